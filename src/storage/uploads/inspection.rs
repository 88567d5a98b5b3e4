//! The inspection of a path in the folder: decides if the file can be uploaded, and opens it.

use std::fs::{self, File, FileType, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, open as open_at, openat};
use nix::sys::stat::Mode;

use super::table::FileStamp;

/// The result of inspecting a path.
#[derive(Debug)]
pub(super) enum PathInspection {
    /// A file that can be uploaded: its path with links resolved, and its present state.
    File(PathBuf, FileStamp),
    /// The path does not exist, or is a folder.
    Gone,
    /// The path is something that is not uploaded, for this reason.
    LeftOut(String),
}

/// Inspects the path `below`, which is relative to `root`. `root` must be free of links.
pub(super) fn inspect(root: &Path, below: &Path) -> PathInspection {
    if let Err(reason) = name_of(below) {
        return PathInspection::LeftOut(reason);
    }
    if is_replaced(root) {
        return PathInspection::LeftOut("the folder was replaced by a link".to_owned());
    }
    let path = root.join(below);
    let own = match fs::symlink_metadata(&path) {
        Ok(own) => own,
        Err(error) => return failed(&error),
    };
    // A folder of the path may be a link, too. Then the path must be resolved, as for a link.
    let is_folder = |below: &Path| fs::symlink_metadata(root.join(below)).is_ok_and(|found| found.is_dir());
    if own.is_file() && below.ancestors().skip(1).filter(|parent| *parent != Path::new("")).all(is_folder) {
        return PathInspection::File(path, stamp_of(&own));
    }
    let real = match fs::canonicalize(&path) {
        Ok(real) => real,
        Err(error) if own.is_symlink() && error.kind() == ErrorKind::NotFound => {
            return PathInspection::LeftOut("links to nothing".to_owned());
        }
        Err(error) => return failed(&error),
    };
    if !real.starts_with(root) {
        return PathInspection::LeftOut("links to outside of the folder".to_owned());
    }
    match fs::symlink_metadata(&real) {
        Ok(found) if found.is_file() => PathInspection::File(real, stamp_of(&found)),
        Ok(found) if found.is_dir() && own.is_symlink() => PathInspection::LeftOut("links to a folder".to_owned()),
        Ok(found) if found.is_dir() => PathInspection::Gone,
        Ok(found) => PathInspection::LeftOut(special(found.file_type()).to_owned()),
        Err(error) => failed(&error),
    }
}

/// Returns true if the path of the folder, which was free of links, contains a link now. The target of the link is not
/// output of the job.
pub(super) fn is_replaced(root: &Path) -> bool {
    fs::canonicalize(root).is_ok_and(|real| real != root)
}

/// Returns a relative path as the end of a key.
///
/// # Errors
/// The reason why the path cannot be a key, for the log.
pub(super) fn name_of(below: &Path) -> Result<&str, String> {
    let name = below.to_str().ok_or("names that are not UTF-8 cannot be keys")?;
    if name.chars().any(|c| c.is_ascii_control()) {
        return Err("names with control characters cannot be keys".to_owned());
    }
    Ok(name)
}

/// Opens a file that [`look`] has inspected. Does not block, even if the path has become a named pipe since then, and
/// follows no link, even if a folder of the path has become one.
///
/// # Errors
/// The [`PathInspection`] of a path that is no longer a file or cannot be opened.
pub(super) fn open(real: &Path) -> Result<(File, FileStamp), PathInspection> {
    let opened = open_without_links(real).and_then(|file| {
        let found = file.metadata()?;
        Ok((file, found))
    });
    match opened {
        Ok((file, found)) if found.is_file() => Ok((file, stamp_of(&found))),
        Ok(_) => Err(PathInspection::Gone),
        Err(error) => Err(failed(&error)),
    }
}

/// Opens the file of an absolute path, one folder after the other. (openat2 could do it in one call, but old kernels
/// and some sandboxes lack it.)
fn open_without_links(path: &Path) -> io::Result<File> {
    let folder = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut at: OwnedFd = open_at("/", folder, Mode::empty())?;
    for part in path.parent().into_iter().flat_map(Path::components) {
        if let Component::Normal(name) = part {
            at = openat(&at, name, folder, Mode::empty())?;
        }
    }
    let name = path.file_name().ok_or(ErrorKind::NotFound)?;
    let file = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    Ok(openat(&at, name, file, Mode::empty())?.into())
}

/// Converts an error of inspecting a path or opening it.
fn failed(error: &io::Error) -> PathInspection {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => PathInspection::Gone,
        _ => PathInspection::LeftOut(format!("cannot be read: {error}")),
    }
}

fn stamp_of(found: &Metadata) -> FileStamp {
    let written = found.mtime().wrapping_mul(1_000_000_000).wrapping_add(found.mtime_nsec());
    FileStamp { inode: found.ino(), size: found.size(), written }
}

/// Returns the reason why a special file is left out.
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

    use super::{PathInspection, inspect, open};

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
        let said = |name: &str| match inspect(&root, Path::new(name)) {
            PathInspection::File(path, stamp) => {
                format!("{} {}", path.strip_prefix(&root).expect("below").display(), stamp.size)
            }
            PathInspection::Gone => "gone".to_owned(),
            PathInspection::LeftOut(reason) => reason,
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
        assert!(matches!(inspect(&root, Path::new(OsStr::from_bytes(b"\xff"))), PathInspection::LeftOut(_)));
        assert!(open(&root.join("below/file")).is_ok());
        assert!(matches!(open(&root.join("pipe")), Err(PathInspection::Gone)), "opening a pipe waited for a writer");
        assert!(open(&root.join("outside")).is_err());
    }

    #[test]
    fn a_folder_that_was_replaced_by_a_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().canonicalize().expect("a path");
        let root = base.join("output/root");
        fs::create_dir_all(root.join("below")).expect("made");
        fs::create_dir_all(base.join("secrets/root/below")).expect("made");
        for file in ["output/root/below/file", "secrets/root/below/file"] {
            fs::write(base.join(file), "text").expect("written");
        }
        let below = Path::new("below/file");
        let PathInspection::File(real, _) = inspect(&root, below) else { panic!("no file") };
        // The folder itself, a folder above it, and one below it become links after the inspection.
        for replaced in ["output/root", "output", "output/root/below"] {
            let kept = base.join("kept");
            fs::rename(base.join(replaced), &kept).expect("renamed");
            symlink(base.join(replaced.replace("output", "secrets")), base.join(replaced)).expect("linked");
            assert!(matches!(open(&real), Err(PathInspection::Gone)), "{replaced}");
            let expected = if replaced == "output/root/below" {
                "links to outside of the folder"
            } else {
                "the folder was replaced by a link"
            };
            assert!(
                matches!(inspect(&root, below), PathInspection::LeftOut(reason) if reason == expected),
                "{replaced}"
            );
            fs::remove_file(base.join(replaced)).expect("removed");
            fs::rename(&kept, base.join(replaced)).expect("renamed");
        }
        assert!(open(&real).is_ok());
    }
}
