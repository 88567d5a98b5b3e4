//! Unpacking a tar archive, compressed with gzip or not, safely: nothing is written outside the code folder, nothing is
//! taken over that a source has no need of, and what an archive can cost is limited.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::budget::{self, Limits};
use super::destination::{Destination, Report};
use super::error::CodeError;
use super::members::{Kind, Member, Members, Trouble};
use super::notes::shown;
use crate::machine::Bytes;

/// How much is read and written at a time.
const CHUNK: usize = 64 << 10;
/// Free space is asked for after this many written bytes (and every so many files), and before a file of this size.
const SPACE_EVERY: u64 = 16 << 20;
/// What a file takes on disk beside its bytes, about.
const PER_FILE: u64 = 4 << 10;

/// Unpacks the archive at `archive` over what is in `folder`.
///
/// Names that are absolute or hold `..` are brought inside, as `sagemaker-training` does (its `files.py`); links that
/// lead out, devices and the like are left out. Both are remarked on in the report.
///
/// # Errors
///
/// [`CodeError::NotArchive`], [`CodeError::Damaged`], [`CodeError::TooLarge`], and what the system refuses. What was
/// unpacked before stays.
pub fn unpack(archive: &Path, folder: &Path, limits: &Limits) -> Result<Report, CodeError> {
    let mut destination = Destination::open(folder, Some(archive))?;
    unpack_into(archive, &mut destination, limits)?;
    Ok(destination.report)
}

/// Unpacks an archive into a folder that is open.
pub(super) fn unpack_into(archive: &Path, destination: &mut Destination, limits: &Limits) -> Result<(), CodeError> {
    let file = File::open(archive).map_err(|error| CodeError::reading(archive, error))?;
    unpack_stream(archive, file, destination, limits)
}

/// The same for an archive that comes from somewhere else; `archive` is what it is called.
pub(super) fn unpack_stream(
    archive: &Path,
    input: impl Read,
    destination: &mut Destination,
    limits: &Limits,
) -> Result<(), CodeError> {
    let mut input = BufReader::with_capacity(CHUNK, input);
    let magic = io::BufRead::fill_buf(&mut input).map_err(|error| CodeError::reading(archive, error))?;
    let compressed = magic.starts_with(&[0x1f, 0x8b]);
    let mut unpacking = Unpacking {
        members: Members::new(budget::metered(input, compressed, limits), limits.entries),
        destination,
        limits,
        buffer: vec![0; CHUNK],
        unpacked: 0,
        unchecked: 0,
    };
    let result = unpacking.all().and_then(|()| unpacking.finish());
    let headers = unpacking.members.headers();
    let damaged = |detail| CodeError::Damaged { path: archive.to_owned(), detail };
    result.map_err(|stop| match stop {
        Stop::Code(error) => error,
        Stop::Archive(Trouble::Read(error)) if CodeError::is_storage(&error) => CodeError::reading(archive, error),
        Stop::Archive(Trouble::Limit(detail)) => CodeError::TooLarge { path: archive.to_owned(), detail },
        Stop::Archive(Trouble::Read(error)) if budget::is_overrun(&error) => {
            CodeError::TooLarge { path: archive.to_owned(), detail: error.to_string() }
        }
        // Errors of the disk have a number; those of the decompression have none.
        Stop::Archive(Trouble::Read(error)) if error.raw_os_error().is_some() => CodeError::reading(archive, error),
        Stop::Archive(trouble) if headers == 0 => {
            let what = if compressed { "compressed data" } else { "a file" };
            let why = match trouble {
                Trouble::Read(error) => error.to_string(),
                _ => "it does not begin as one does".to_owned(),
            };
            CodeError::NotArchive { path: archive.to_owned(), found: format!("{what} that holds none ({why})") }
        }
        Stop::Archive(Trouble::Malformed(detail)) => damaged(detail),
        Stop::Archive(Trouble::Read(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            damaged(format!("it is cut off after {headers} entries"))
        }
        Stop::Archive(Trouble::Read(error)) => damaged(format!("after {headers} entries: {error}")),
    })
}

/// Why unpacking stopped: because of the archive or because of where it goes.
enum Stop {
    Archive(Trouble),
    Code(CodeError),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Stop {
        Stop::Archive(trouble)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Archive(Trouble::Read(error))
    }
}

impl From<CodeError> for Stop {
    fn from(error: CodeError) -> Stop {
        Stop::Code(error)
    }
}

struct Unpacking<'a, R> {
    members: Members<R>,
    destination: &'a mut Destination,
    limits: &'a Limits,
    buffer: Vec<u8>,
    /// How many bytes the files have that were written, holes among them.
    unpacked: u64,
    /// How many bytes were written since free space was last asked for.
    unchecked: u64,
}

impl<R: Read> Unpacking<'_, R> {
    fn all(&mut self) -> Result<(), Stop> {
        while let Some(member) = self.members.next()? {
            let Some(name) = self.name(&member) else { continue };
            match &member.kind {
                Kind::File => self.file(&member, &name)?,
                Kind::Folder => self.destination.folder(&name, member.mode)?,
                Kind::Symlink => self.destination.symlink(&name, &member.link)?,
                Kind::HardLink => match inside(&member.link) {
                    Some((existing, _)) => self.destination.hard_link(&name, &existing)?,
                    None => self.destination.note(&name, || "is a link to nothing: left out".to_owned()),
                },
                Kind::Other(what) => self.destination.note(&name, || format!("is {what}: left out")),
            }
            self.account(PER_FILE)?;
        }
        Ok(())
    }

    /// Reads what little follows the end, where the check of compressed data is.
    fn finish(&mut self) -> Result<(), Stop> {
        for _ in 0..16 {
            match self.members.input().read(&mut self.buffer) {
                Ok(0) => break,
                Ok(_) => {}
                // Something else may follow an archive; a wrong checksum or none is one that was not read right.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(error.into()),
                Err(error) if error.to_string().contains("checksum") => return Err(error.into()),
                Err(error) if CodeError::is_storage(&error) => return Err(error.into()),
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Where a member is to be written, or `None` if it is to be left out.
    fn name(&mut self, member: &Member) -> Option<PathBuf> {
        let raw = &member.name;
        let notes = &mut self.destination.report.notes;
        let Some((name, moved)) = inside(raw) else {
            // `./` is the folder itself, and in nearly every archive.
            if member.kind != Kind::Folder {
                notes.add(|| format!("{} is no usable name: left out", shown(raw)));
            }
            return None;
        };
        let parts = || name.components().map(|part| part.as_os_str().len());
        let length = name.as_os_str().len();
        if length > self.limits.path
            || parts().any(|part| part > self.limits.part)
            || parts().count() > self.limits.depth
        {
            notes.add(|| format!("{} is too long or too deep a path: left out", shown(raw)));
            return None;
        }
        if moved {
            notes.add(|| format!("{} would be outside the code folder: written to {}", shown(raw), name.display()));
        }
        Some(name)
    }

    fn file(&mut self, member: &Member, name: &Path) -> Result<(), Stop> {
        self.unpacked = self.unpacked.saturating_add(member.size);
        if self.unpacked > self.limits.bytes {
            let limit = Bytes(self.limits.bytes);
            return Err(Trouble::Limit(format!("its files have more than {limit}")).into());
        }
        let data = member.pieces.as_ref().map_or(member.size, |map| map.iter().map(|piece| piece.length).sum());
        if data >= SPACE_EVERY {
            self.space(data, name)?;
        }
        let (mut file, at) = self.destination.file(name, member.mode)?;
        self.data(member, &mut file, &at).inspect_err(|_| {
            let _ = std::fs::remove_file(&at); // half a file is of no use, and takes space that the failure file may need
        })?;
        self.destination.report.bytes += member.size;
        Ok(())
    }

    fn data(&mut self, member: &Member, file: &mut File, at: &Path) -> Result<(), Stop> {
        let Some(pieces) = &member.pieces else { return self.copy(file, at, member.size) };
        let failed = |error| CodeError::writing(at, error);
        for piece in pieces {
            file.seek(SeekFrom::Start(piece.offset)).map_err(failed)?;
            self.copy(file, at, piece.length)?;
        }
        Ok(file.set_len(member.size).map_err(failed)?)
    }

    fn copy(&mut self, file: &mut File, at: &Path, mut length: u64) -> Result<(), Stop> {
        while length > 0 {
            let most = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
            let count = self.members.read(&mut self.buffer[..most])?;
            if count == 0 {
                return Err(Trouble::Malformed("a file holds less than it says".to_owned()).into());
            }
            file.write_all(&self.buffer[..count]).map_err(|error| CodeError::writing(at, error))?;
            length -= count as u64;
            self.account(count as u64)?;
        }
        Ok(())
    }

    /// Looks from time to time whether the file system is about to be full.
    fn account(&mut self, written: u64) -> Result<(), CodeError> {
        self.unchecked += written;
        if self.unchecked < SPACE_EVERY {
            return Ok(());
        }
        self.space(0, Path::new(""))
    }

    fn space(&mut self, wanted: u64, name: &Path) -> Result<(), CodeError> {
        self.unchecked = 0;
        // A file system that does not say what is free has to say itself when it is full.
        let Ok(system) = statvfs(self.destination.root()) else { return Ok(()) };
        #[allow(clippy::useless_conversion, reason = "their types differ between C libraries")]
        let free = u64::from(system.blocks_available()).saturating_mul(u64::from(system.fragment_size()));
        // A small archive may fill a small file system to the brim; a large one leaves something to live on.
        let reserve = if self.unpacked >= self.limits.reserve { self.limits.reserve } else { 0 };
        match wanted.saturating_add(reserve) > free {
            true => Err(CodeError::NoSpace {
                path: self.destination.root().join(name),
                sizes: Some((wanted.saturating_add(reserve), free)),
            }),
            false => Ok(()),
        }
    }
}

/// A member's name as a path below the code folder, and whether it had to be changed to be below. `None` if nothing is
/// left of it.
///
/// As in `sagemaker-training`, `..` is dropped: `../../etc/passwd` becomes `etc/passwd`. A backslash is a letter like
/// any other.
pub(super) fn inside(name: &[u8]) -> Option<(PathBuf, bool)> {
    if name.contains(&0) {
        return None;
    }
    let mut moved = name.starts_with(b"/");
    let mut path = Vec::with_capacity(name.len());
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => continue,
            b".." => moved = true,
            part => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(part);
            }
        }
    }
    match path.is_empty() {
        true => None,
        false => Some((PathBuf::from(OsString::from_vec(path)), moved)),
    }
}

#[cfg(test)]
mod tests;
