//! Files in a folder to which other users can write. They are created under unpredictable names and renamed to their
//! final names. No link is followed.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::libc;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use ring::rand::{SecureRandom, SystemRandom};

/// The size of a [`Room`], in bytes: the longest failure text, of 1,024 characters with four bytes each.
const ROOM: usize = 4096;

/// The content of a [`Room`] until it is needed. Zeros might not occupy any blocks on a file system that compresses.
const FILLING: &str = "footplate keeps this room for the reason of a failure.\n";

/// The mode of finished files. Every user may read them, because another user may collect the output.
const MODE: u32 = 0o644;

/// A folder that is held open, so that nothing can be put in its place.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

/// A file that reserves a block and an inode for a text that is not known yet.
#[derive(Debug)]
pub(super) struct Room {
    name: String,
    file: File,
}

impl Folder {
    /// Creates a folder, unless it exists, and opens it.
    pub(super) fn make(path: &Path) -> io::Result<Folder> {
        fs::create_dir_all(path)?;
        Folder::open(path, 0)
    }

    fn open(path: &Path, flags: i32) -> io::Result<Folder> {
        let opened = fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | flags).open(path)?;
        Ok(Folder { path: path.to_owned(), fd: opened.into() })
    }

    /// Returns this folder if its path still leads to it. Otherwise returns the folder that is now at that path, which
    /// is created if needed.
    pub(super) fn present(self) -> io::Result<Folder> {
        let here = fs::metadata(&self.path).is_ok_and(|found| {
            use std::os::unix::fs::MetadataExt;
            fstat(&self.fd).is_ok_and(|own| (own.st_dev, own.st_ino) == (found.dev(), found.ino()))
        });
        if here {
            return Ok(self);
        }
        fs::create_dir_all(&self.path)?;
        Folder::open(&self.path, libc::O_NOFOLLOW)
    }

    /// Returns the state of an entry, without following a link.
    pub(super) fn look(&self, name: &str) -> Option<FileStat> {
        fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()
    }

    /// Removes an entry that is not a folder.
    pub(super) fn remove(&self, name: &str) {
        // It may not exist.
        let _ = unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir);
    }

    /// Creates a file that has space for a text. On a full disk it has only an inode.
    pub(super) fn reserve(&self) -> io::Result<Room> {
        let room = self.new_file()?;
        let filling = FILLING.repeat(ROOM.div_ceil(FILLING.len()));
        if let Err(error) = room.file.write_all_at(&filling.as_bytes()[..ROOM], 0) {
            tracing::debug!("{}: the room for the failure file is not complete: {error}", self.path.display());
        }
        Ok(room)
    }

    fn new_file(&self) -> io::Result<Room> {
        let mut bytes = [0; 12];
        SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the kernel gives no random numbers"))?;
        let name = format!(".footplate-{}", bytes.map(|byte| format!("{byte:02x}")).concat());
        let file = self.open_file(&name, OFlag::O_CREAT | OFlag::O_EXCL)?;
        Ok(Room { name, file })
    }

    fn open_file(&self, name: &str, flags: OFlag) -> io::Result<File> {
        let flags = flags | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        Ok(File::from(openat(&self.fd, name, flags, Mode::from_bits_truncate(0o600))?))
    }

    /// Writes a text to the file with this name: into the room if there is one, else into a new file, else into the
    /// existing file.
    pub(super) fn put(&self, name: &str, text: &str, room: Option<Room>) -> io::Result<()> {
        if let Some(room) = room {
            if self.fill(&room, name, text).is_ok() {
                return Ok(());
            }
            // A new file may fit into the space that the room occupied.
            self.release(room);
        }
        let written = self.new_file().and_then(|room| {
            let filled = self.fill(&room, name, text);
            if filled.is_err() {
                self.release(room);
            }
            filled
        });
        written.or_else(|error| self.overwrite(name, text).map_err(|_| error))
    }

    /// Removes a room.
    pub(super) fn release(&self, room: Room) {
        if self.holds(&room) {
            self.remove(&room.name);
        }
    }

    /// Returns true if a room still has its name. Somebody may have put another file or a link in its place.
    fn holds(&self, room: &Room) -> bool {
        self.look(&room.name).is_some_and(|found| is_same(&found, &room.file))
    }

    /// Writes a text into a room and gives it its final name.
    fn fill(&self, room: &Room, name: &str, text: &str) -> io::Result<()> {
        if !self.holds(room) {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let length = write(&room.file, text)?;
        room.file.set_len(length as u64)?;
        // A file system without modes does not support this.
        let _ = room.file.set_permissions(Permissions::from_mode(MODE));
        let rename = || renameat(&self.fd, room.name.as_str(), &self.fd, name);
        let renamed = rename().or_else(|error| match error {
            // An empty folder at this path has no use and is removed.
            Errno::EISDIR => unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir).and_then(|()| rename()).or(Err(error)),
            _ => Err(error),
        });
        Ok(renamed?)
    }

    /// Writes to the existing regular file. The folder may be read-only and contain a writable, mounted file.
    fn overwrite(&self, name: &str, text: &str) -> io::Result<()> {
        let file = self.open_file(name, OFlag::empty())?;
        if !is_regular(&fstat(&file)?) {
            return Err(io::Error::other("it is not a regular file"));
        }
        let length = write(&file, text)?;
        file.set_len(length as u64)?;
        // The mode of a file of another owner cannot be changed.
        let _ = file.set_permissions(Permissions::from_mode(MODE));
        Ok(())
    }
}

/// Writes a text from the start of a file, and returns the number of bytes written. It is less than the whole text if
/// the file size limit is lower and cannot be raised. This function may only be called when no more processes are
/// started, because they would inherit the raised limit.
fn write(file: &File, text: &str) -> io::Result<usize> {
    let bytes = text.as_bytes();
    let (mut done, mut is_raised) = (0, false);
    while done < bytes.len() {
        match file.write_at(&bytes[done..], done as u64) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(length) => done += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(libc::EFBIG) && !is_raised => {
                raise_size_limit();
                is_raised = true;
            }
            // A part is useful, because the most informative words are at the start.
            Err(error) if error.raw_os_error() == Some(libc::EFBIG) && done > 0 => {
                return Ok(text.floor_char_boundary(done));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Removes the file size limit, or raises it as far as this user may.
fn raise_size_limit() {
    if setrlimit(Resource::RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY).is_err()
        && let Ok((_, hard)) = getrlimit(Resource::RLIMIT_FSIZE)
    {
        // If this fails, the write that follows fails too.
        let _ = setrlimit(Resource::RLIMIT_FSIZE, hard, hard);
    }
}

pub(super) fn is_regular(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

fn is_same(found: &FileStat, file: &File) -> bool {
    fstat(file.as_fd()).is_ok_and(|own| (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino))
}
