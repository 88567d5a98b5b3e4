//! Copying a folder of code, or a single file, into the code folder.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::code_folder::CodeFolder;
use super::error::CodeError;

/// The maximum depth of nested folders.
const MAX_DEPTH: usize = 128;

/// Copies the content of `source` into the code folder.
///
/// Symbolic links are followed, as `sagemaker-training` does, because a mounted folder may consist of links only. Links
/// that lead nowhere or in a circle are skipped with a note.
///
/// # Errors
///
/// [`CodeError::Overlaps`] if `source` holds the code folder, and errors of the file system.
pub(super) fn copy_folder(source: &Path, code: &mut CodeFolder) -> Result<(), CodeError> {
    let folder = source.canonicalize().map_err(|error| CodeError::reading(source, error))?;
    if code.root().starts_with(&folder) {
        return Err(CodeError::Overlaps { folder, code: code.root().to_owned() });
    }
    // Seeded with the code folder: a link in the source may lead to it, and it must not be copied into itself.
    let found = code.root().metadata().map_err(|error| CodeError::reading(code.root(), error))?;
    copy_level(&folder, Path::new(""), &mut vec![(found.dev(), found.ino())], code)
}

/// Copies one file to `name` in the code folder.
pub(super) fn copy_file(source: &Path, name: &Path, code: &mut CodeFolder) -> Result<(), CodeError> {
    let failed = |error| CodeError::reading(source, error);
    let mut input = File::open(source).map_err(failed)?;
    let mode = input.metadata().map_err(failed)?.permissions().mode();
    let (mut output, at) = code.file(name, mode)?;
    let count = io::copy(&mut input, &mut output).map_err(|error| {
        let _ = fs::remove_file(&at); // a partial file is useless, and the failure file may need its space
        CodeError::writing(&at, error)
    })?;
    code.report.bytes += count;
    Ok(())
}

/// Copies the content of `folder` to `below`. `above` holds the device and inode of each folder on the way down.
fn copy_level(
    folder: &Path,
    below: &Path,
    above: &mut Vec<(u64, u64)>,
    code: &mut CodeFolder,
) -> Result<(), CodeError> {
    let failed = |error| CodeError::reading(folder, error);
    let found = folder.metadata().map_err(failed)?;
    let identity = (found.dev(), found.ino());
    if above.contains(&identity) || above.len() > MAX_DEPTH {
        code.note(below, || "leads in a circle or too deep: left out".to_owned());
        return Ok(());
    }
    if !below.as_os_str().is_empty() {
        code.folder(below, found.permissions().mode())?;
    }
    above.push(identity);
    // Listed before anything is written, because the code folder may lie within.
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name());
    }
    names.sort();
    for name in names {
        let (from, to) = (folder.join(&name), below.join(&name));
        match from.metadata() {
            Ok(found) if found.is_dir() => copy_level(&from, &to, above, code)?,
            Ok(found) if found.is_file() => copy_file(&from, &to, code)?,
            Ok(_) => code.note(&to, || "is neither a file nor a folder: left out".to_owned()),
            Err(_) if from.is_symlink() => {
                code.note(&to, || "is a link that leads nowhere: left out".to_owned());
            }
            Err(error) => return Err(CodeError::reading(&from, error)),
        }
    }
    above.pop();
    Ok(())
}
