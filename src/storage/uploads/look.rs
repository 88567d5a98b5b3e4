//! Looking at a path of the folder: whether what is there can be uploaded, and opening it.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::table::Stamp;

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Look {
    /// A file: where it is, links resolved, and as what.
    File(PathBuf, Stamp),
    /// Nothing, or a folder.
    Gone,
    /// What is not uploaded, and why.
    LeftOut(String),
}

/// Looks at a path below `root`, which is itself without links.
pub(super) fn look(root: &Path, below: &Path) -> Look {
    if let Err(why) = name_of(below) {
        return Look::LeftOut(why);
    }
    let path = root.join(below);
    let own = match fs::symlink_metadata(&path) {
        Ok(own) => own,
        Err(error) => return failed(&error),
    };
    // Also a folder on the way may have become a link.
    let is_folder = |below: &Path| fs::symlink_metadata(root.join(below)).is_ok_and(|found| found.is_dir());
    if own.is_file() && below.ancestors().skip(1).filter(|on_the_way| *on_the_way != Path::new("")).all(is_folder) {
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

/// A path below the folder as the end of a key.
///
/// # Errors
/// Why it cannot be one.
pub(super) fn name_of(below: &Path) -> Result<&str, String> {
    let name = below.to_str().ok_or("names that are not UTF-8 cannot be keys")?;
    match name.chars().any(|c| c.is_ascii_control()) {
        true => Err("names with control characters cannot be keys".to_owned()),
        false => Ok(name),
    }
}

/// Opens a file that [`look`] has found; nothing that it has become meanwhile can make it wait.
pub(super) fn open(real: &Path) -> Result<(File, Stamp), Look> {
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

fn failed(error: &io::Error) -> Look {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Look::Gone,
        _ => Look::LeftOut(format!("cannot be read: {error}")),
    }
}

fn stamp_of(found: &Metadata) -> Stamp {
    let written = found.mtime().wrapping_mul(1_000_000_000).wrapping_add(found.mtime_nsec());
    Stamp { inode: found.ino(), size: found.size(), written }
}

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
    fn only_files_of_the_folder_are_taken() {
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
            Look::LeftOut(why) => why,
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
        assert!(matches!(open(&root.join("pipe")), Err(Look::Gone)), "it waits for a writer");
        assert!(open(&root.join("outside")).is_err());
    }
}
