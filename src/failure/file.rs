//! The failure file and the success file in the output folder.
//!
//! The platform shows the first 1024 characters of the failure file as the job's failure reason. The success file is a
//! convention of the toolkits: an empty file after a script that succeeded.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

/// The mode of both files: every user may read them, because another one may collect the output.
const MODE: u32 = 0o644;

/// The result of writing a failure text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The file contains the text now.
    Written,
    /// The file already contained a text of the script's own, which was kept.
    Kept,
}

/// The state of the failure file before the script started. A file that was there by then is of an earlier run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier(Option<(u64, u64, Option<SystemTime>)>);

impl Earlier {
    /// Returns the present state of the file at `path`.
    pub fn look(path: &Path) -> Earlier {
        let found = fs::metadata(path).ok().filter(|found| found.is_file());
        Earlier(found.map(|found| (found.ino(), found.len(), found.modified().ok())))
    }
}

/// Writes `text` to the failure file at `path`. The file is replaced in one step: a reader sees all of the text or nothing.
///
/// A file that the script wrote is kept, because the script knows best why it failed. An empty file is replaced, and so is one
/// that has not changed since `earlier`. The parent folder is created if it does not exist.
///
/// # Errors
///
/// The folder or the file cannot be written; the message names the path.
pub fn write(path: &Path, text: &str, earlier: &Earlier) -> Result<Written> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() > 0 && Earlier::look(path) != *earlier => return Ok(Written::Kept),
        Ok(found) if !found.is_file() => return overwrite(path, text).map(|()| Written::Written),
        _ => {}
    }
    create_parent(path)?;
    let temporary = temporary_path(path);
    let renamed = fs::write(&temporary, text)
        .and_then(|()| fs::set_permissions(&temporary, Permissions::from_mode(MODE)))
        .and_then(|()| fs::rename(&temporary, path));
    if renamed.is_ok() {
        return Ok(Written::Written);
    }
    // The folder may be read-only and contain a writable, mounted file. Removing the temporary file may fail: then it was not
    // created.
    let _ = fs::remove_file(&temporary);
    overwrite(path, text)?;
    Ok(Written::Written)
}

/// Creates the empty success file at `path`, and its parent folder if that does not exist.
///
/// # Errors
///
/// The folder or the file cannot be written; the message names the path.
pub fn success(path: &Path) -> Result<()> {
    create_parent(path)?;
    overwrite(path, "")
}

/// Writes to the file itself, which may also be a pipe or a device.
fn overwrite(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).and_then(|()| permit(path)).with_context(|| format!("failed to write {}", path.display()))
}

/// Sets the mode of a regular file, whatever the umask.
fn permit(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_file() {
        // A file of another owner keeps its mode.
        let _ = fs::set_permissions(path, Permissions::from_mode(MODE));
    }
    Ok(())
}

fn create_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => {
            fs::create_dir_all(folder).with_context(|| format!("failed to create the folder {}", folder.display()))
        }
        None => Ok(()),
    }
}

/// Returns a temporary path in the folder of `path`, and so on its file system.
fn temporary_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{Earlier, Written, success, write};

    #[test]
    fn the_failure_file_is_written_once_and_never_replaces_the_scripts_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output/failure");
        assert_eq!(write(&path, "first", &Earlier::default()).unwrap(), Written::Written);
        assert_eq!(write(&path, "second", &Earlier::default()).unwrap(), Written::Kept);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn the_failure_file_of_an_earlier_run_is_replaced_unless_the_script_rewrote_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("failure");
        fs::write(&path, "of the last run").unwrap();
        let earlier = Earlier::look(&path);
        assert_eq!(write(&path, "of this run", &earlier).unwrap(), Written::Written);
        let earlier = Earlier::look(&path);
        fs::write(&path, "of the script").unwrap();
        assert_eq!(write(&path, "of footplate", &earlier).unwrap(), Written::Kept);
    }

    #[test]
    fn an_empty_failure_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("failure");
        fs::write(&path, "").unwrap();
        assert_eq!(write(&path, "text", &Earlier::default()).unwrap(), Written::Written);
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }

    #[test]
    fn a_file_that_cannot_be_replaced_by_a_rename_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        // The temporary name would be too long; the file's own name is not.
        let path = folder.path().join("f".repeat(252));
        assert_eq!(write(&path, "text", &Earlier::default()).unwrap(), Written::Written);
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        assert_eq!(write(std::path::Path::new("/dev/null"), "text", &Earlier::default()).unwrap(), Written::Written);
    }

    #[test]
    fn an_error_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "x").unwrap();
        let error = format!("{:#}", write(&folder.path().join("file/failure"), "x", &Earlier::default()).unwrap_err());
        assert!(error.starts_with("failed to create the folder ") && error.contains("/file"), "{error}");
        let error = format!("{:#}", write(folder.path(), "x", &Earlier::default()).unwrap_err());
        assert!(error.starts_with(&format!("failed to write {}", folder.path().display())), "{error}");
        let error = format!("{:#}", success(folder.path()).unwrap_err());
        assert!(error.starts_with(&format!("failed to write {}", folder.path().display())), "{error}");
    }

    #[test]
    fn the_success_file_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output/success");
        success(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    }
}
