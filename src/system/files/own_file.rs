//! Files that footplate itself writes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

/// The mode of files that everyone may read, so that other users can collect the output.
const MODE: u32 = 0o644;

/// Makes a new, empty file in a folder that the script can also write to, and replaces any file with its name. Does
/// not follow a link that the script may have put there.
///
/// # Errors
/// The error of the file system.
pub fn create_own(path: &Path) -> io::Result<File> {
    // footplate must not write into a file that it did not create.
    let _ = fs::remove_file(path);
    OpenOptions::new().write(true).create_new(true).custom_flags(libc::O_NOFOLLOW).mode(MODE).open(path)
}

/// Writes a new file that only this user can read.
///
/// # Errors
/// The error of the file system, [`io::ErrorKind::AlreadyExists`] if the path exists.
pub fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
