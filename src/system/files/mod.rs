//! Reader of small files, which copes with anything else in their place.
//!
//! A name in a job can lead to anything: a FIFO without a writer, an endless device, a socket, a file of gigabytes,
//! or a file system that does not answer. Every read here ends, because only regular files are read, up to a size
//! limit, on a thread that is abandoned after [`PATIENCE`].
//!
//! This folder must not interpret the content of files.

mod answer;
mod own_file;

pub use answer::{Unanswered, together, within};
pub use own_file::{create_own, write_secret};

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::libc;

/// The time limit for a file system to answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The maximum size of a file that users write by hand, such as requirements or settings, in bytes.
pub const TEXT_SIZE: u64 = 16 << 20;

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// The error of the file system. [`ErrorKind::IsADirectory`] or [`ErrorKind::InvalidInput`] if it is not a regular
/// file, [`ErrorKind::FileTooLarge`], and [`ErrorKind::TimedOut`] if the file system does not answer.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_within(PATIENCE, path, limit)
}

/// Reads a regular file of at most `limit` bytes, with another time limit than [`PATIENCE`].
///
/// # Errors
/// As for [`read`].
pub fn read_within(patience: Duration, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    answered(patience, move || {
        let (file, found) = open(&path)?;
        if found.len() > limit {
            return Err(too_large(format!("it has {} bytes, more than {limit}", found.len())));
        }
        bounded(&file, found.len(), limit)
    })
}

/// Reads a file of the kernel, in /proc or /sys, that holds text of at most `limit` bytes. The kernel answers from
/// memory, so it is read on this thread.
///
/// # Errors
/// As for [`read`], except that there is no time limit.
pub fn of_kernel(path: &Path, limit: u64) -> io::Result<String> {
    let bytes = bounded(&open(path)?.0, 0, limit)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a file of at most `limit` bytes. The kernel's own files report the size 0.
fn bounded(file: &File, size: u64, limit: u64) -> io::Result<Vec<u8>> {
    const LEAST: u64 = 1024;
    // The buffer has room for one more byte, so that the end of the file is found without another allocation.
    let mut bytes = Vec::with_capacity(usize::try_from(size.max(LEAST) + 1).unwrap_or_default());
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// Reads a regular file of at most `limit` bytes that holds text. Bytes that are not UTF-8 are replaced.
///
/// # Errors
/// As for [`read`].
pub fn text(path: &Path, limit: u64) -> io::Result<String> {
    read(path, limit).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads the first `length` bytes of a regular file, or all of it if it is shorter.
///
/// # Errors
/// As for [`read`], except for the size.
pub fn start(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    answered(PATIENCE, move || {
        let mut bytes = Vec::new();
        open(&path)?.0.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    })
}

/// Reads the last `length` bytes of a regular file, or all of it if it is shorter.
///
/// # Errors
/// As for [`read`], except for the size.
pub fn end(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    answered(PATIENCE, move || {
        let (mut file, found) = open(&path)?;
        file.seek(SeekFrom::Start(found.len().saturating_sub(length)))?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    })
}

/// Returns true if the path is a folder.
///
/// # Errors
/// [`ErrorKind::TimedOut`] if the file system does not answer.
pub fn is_folder(path: &Path) -> io::Result<bool> {
    let path = path.to_owned();
    answered(PATIENCE, move || {
        answer::note(Some(&path));
        Ok(path.is_dir())
    })
}

/// Returns true for the error of a file that exists but that no program should read, because reading it could take
/// for ever or use all memory.
pub fn is_dangerous(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::FileTooLarge | ErrorKind::TimedOut)
}

fn answered<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    answer::together_within(patience, work).unwrap_or_else(|error| Err(error.into()))
}

impl From<Unanswered> for io::Error {
    fn from(error: Unanswered) -> io::Error {
        io::Error::new(ErrorKind::TimedOut, error.to_string())
    }
}

/// Opens a regular file for reading. Does not wait for a FIFO or a device.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    answer::note(Some(path));
    // Opening a device could have side effects.
    refuse(&std::fs::metadata(path)?)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    // The file may have been replaced meanwhile.
    let found = file.metadata()?;
    refuse(&found)?;
    Ok((file, found))
}

/// Returns an error if this is not a regular file.
fn refuse(found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let what = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder")),
        _ if kind.is_fifo() => "it is a FIFO (a named pipe)",
        _ if kind.is_socket() => "it is a socket",
        _ => "it is a device",
    };
    Err(io::Error::new(ErrorKind::InvalidInput, format!("{what}, not a regular file")))
}

fn too_large(reason: String) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, reason)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use nix::sys::stat::Mode;

    use super::{end, is_dangerous, read, start, text};

    #[test]
    fn whatever_is_no_regular_file_is_refused_by_its_kind() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).expect("made");
        let _socket = UnixListener::bind(at("socket")).expect("bound");
        symlink(at("nothing"), at("dangling")).expect("linked");
        symlink(at("fifo"), at("link")).expect("linked");
        for (path, kind, text) in [
            (at("fifo"), ErrorKind::InvalidInput, "it is a FIFO (a named pipe), not a regular file"),
            (at("link"), ErrorKind::InvalidInput, "it is a FIFO (a named pipe), not a regular file"),
            (at("socket"), ErrorKind::InvalidInput, "it is a socket, not a regular file"),
            (Path::new("/dev/zero").into(), ErrorKind::InvalidInput, "it is a device, not a regular file"),
            (at(""), ErrorKind::IsADirectory, "it is a folder"),
            (at("dangling"), ErrorKind::NotFound, "No such file or directory (os error 2)"),
        ] {
            for result in [read(&path, 10), start(&path, 10), end(&path, 10)] {
                let error = result.expect_err("refused");
                assert_eq!((error.kind(), error.to_string().as_str()), (kind, text), "{}", path.display());
                assert_eq!(is_dangerous(&error), kind == ErrorKind::InvalidInput);
            }
        }
    }

    #[test]
    fn a_file_may_be_as_large_as_the_limit_and_not_larger() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        std::fs::write(&path, b"a\xffc").expect("written");
        assert_eq!(read(&path, 3).expect("read"), b"a\xffc");
        assert_eq!(text(&path, 3).expect("read"), "a\u{fffd}c");
        assert_eq!(start(&path, 2).expect("read"), b"a\xff");
        assert_eq!((end(&path, 2).expect("read"), end(&path, 9).expect("read")), (b"\xffc".into(), b"a\xffc".into()));
        let error = read(&path, 2).expect_err("too large");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::FileTooLarge, "it has 3 bytes, more than 2")
        );
        assert!(is_dangerous(&error));
        // The file reports no size, but has more bytes than the limit.
        let error = read(Path::new("/proc/self/maps"), 10).expect_err("too large");
        assert_eq!(error.to_string(), "it has more than 10 bytes");
    }
}
