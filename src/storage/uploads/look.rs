//! Inspecting a path of the folder: decides if it can be uploaded, and opens it.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::table::FileStamp;

/// The result of looking at a path.
#[derive(Debug)]
pub(super) enum Look {
    /// A file that can be uploaded: its path with links resolved, and its present state.
    File(PathBuf, FileStamp),
    /// Nothing is there, or a folder.
    Gone,
    /// Something is there that is not uploaded, for this reason.
    LeftOut(String),
}

/// Looks at the path `below`, which is relative to `root`. `root` must be free of links.
pub(super) fn look(root: &Path, below: &Path) -> Look {
    if let Err(reason) = name_of(below) {
        return Look::LeftOut(reason);
    }
    let path = root.join(below);
    let own = match fs::symlink_metadata(&path) {
        Ok(own) => own,
        Err(error) => return failed(&error),
    };
    // A folder of the path may be a link, too. Then the path must be resolved, as for a link.
    let is_folder = |below: &Path| fs::symlink_metadata(root.join(below)).is_ok_and(|found| found.is_dir());
    if own.is_file() && below.ancestors().skip(1).filter(|parent| *parent != Path::new("")).all(is_folder) {
        return Look::File(path, stamp_of(&own));
    }
    let real = match fs::canonicalize(&path) {
        Ok(real) => real,
        Err(error) if own.is_symlink() && error.kind() == ErrorKind::NotFound => {
            return Look::LeftOut("links to nothing".to_owned());
        }
        Err(error) => return failed(&error),
    };
    if !real.starts_with(root) {
        return Look::LeftOut("links to outside of the folder".to_owned());
    }
    match fs::symlink_metadata(&real) {
        Ok(found) if found.is_file() => Look::File(real, stamp_of(&found)),
        Ok(found) if found.is_dir() && own.is_symlink() => Look::LeftOut("links to a folder".to_owned()),
        Ok(found) if found.is_dir() => Look::Gone,
        Ok(found) => Look::LeftOut(special(found.file_type()).to_owned()),
        Err(error) => failed(&error),
    }
}

/// Returns a relative path as the end of a key.
///
/// # Errors
/// The reason that the path cannot be one, for the log.
pub(super) fn name_of(below: &Path) -> Result<&str, String> {
    let name = below.to_str().ok_or("names that are not UTF-8 cannot be keys")?;
    if name.chars().any(|c| c.is_ascii_control()) {
        return Err("names with control characters cannot be keys".to_owned());
    }
    Ok(name)
}

/// Opens a file that [`look`] has found. Does not block, even if the path has become a named pipe since then.
///
/// # Errors
/// The [`Look`] of a path that is no file any more or cannot be opened.
pub(super) fn open(real: &Path) -> Result<(File, FileStamp), Look> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(real).and_then(|file| {
        let found = file.metadata()?;
        Ok((file, found))
    });
    match opened {
        Ok((file, found)) if found.is_file() => Ok((file, stamp_of(&found))),
        Ok(_) => Err(Look::Gone),
        Err(error) => Err(failed(&error)),
    }
}

/// Converts an error of looking at a path or opening it.
fn failed(error: &io::Error) -> Look {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Look::Gone,
        _ => Look::LeftOut(format!("cannot be read: {error}")),
    }
}

fn stamp_of(found: &Metadata) -> FileStamp {
    let written = found.mtime().wrapping_mul(1_000_000_000).wrapping_add(found.mtime_nsec());
    FileStamp { inode: found.ino(), size: found.size(), written }
}

/// Returns the reason that a special file is left out.
fn special(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_fifo() => "named pipes are not uploaded",
        _ if kind.is_socket() => "sockets are not uploaded",
        _ => "devices are not uploaded",
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{Look, look, open};

    #[test]
    fn only_regular_files_inside_the_folder_can_be_uploaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().canonicalize().expect("a path");
        let root = base.join("root");
        fs::create_dir_all(root.join("below")).expect("made");
        fs::write(base.join("secret"), "x").expect("written");
        fs::write(root.join("below/file"), "text").expect("written");
        symlink("below/file", root.join("inside")).expect("linked");
        symlink("../secret", root.join("outside")).expect("linked");
        symlink("absent", root.join("dangling")).expect("linked");
        symlink("below", root.join("folder")).expect("linked");
        symlink(&base, root.join("up")).expect("linked");
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("made");
        let said = |name: &str| match look(&root, Path::new(name)) {
            Look::File(path, stamp) => format!("{} {}", path.strip_prefix(&root).expect("below").display(), stamp.size),
            Look::Gone => "gone".to_owned(),
            Look::LeftOut(reason) => reason,
        };
        for (name, expected) in [
            ("below/file", "below/file 4"),
            ("inside", "below/file 4"),
            ("outside", "links to outside of the folder"),
            ("up/secret", "links to outside of the folder"),
            ("dangling", "links to nothing"),
            ("folder", "links to a folder"),
            ("below", "gone"),
            ("absent", "gone"),
            ("below/file/x", "gone"),
            ("pipe", "named pipes are not uploaded"),
            ("a\nb", "names with control characters cannot be keys"),
        ] {
            assert_eq!(said(name), expected, "{name}");
        }
        assert!(matches!(look(&root, Path::new(OsStr::from_bytes(b"\xff"))), Look::LeftOut(_)));
        assert!(open(&root.join("below/file")).is_ok());
        assert!(matches!(open(&root.join("pipe")), Err(Look::Gone)), "opening a pipe waited for a writer");
        assert!(open(&root.join("outside")).is_err());
    }
}
