//! Files of footplate's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

/// The mode of files for everybody: whoever collects the output may read them.
const MODE: u32 = 0o644;

/// Makes a new, empty file for writing in a folder that the script can write to, too, in place of what has its name. Does not
/// follow a link that the script may have put there.
///
/// # Errors
/// The error of the file system.
pub fn create_own(path: &Path) -> io::Result<File> {
    // Whatever has the name is not ours to write into.
    let _ = fs::remove_file(path);
    OpenOptions::new().write(true).create_new(true).custom_flags(libc::O_NOFOLLOW).mode(MODE).open(path)
}

/// Writes a new file that only this user can read.
///
/// # Errors
/// The error of the file system, [`io::ErrorKind::AlreadyExists`] if there is something of that name.
pub fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
