//! Unpacking a tar archive safely: nothing is written outside the code folder, members that code has no use for are
//! skipped, and the cost of an archive is limited.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::block::ArchiveError;
use super::limits::{self, ArchiveLimits};
use super::members::{Member, MemberKind, Members};
use super::names::path_inside;
use crate::machine::{Bytes, FileSystem};
use crate::prepare::code::code_folder::{CodeFolder, WriteReport};
use crate::prepare::code::error::CodeError;
use crate::prepare::code::notes::shown;

/// The number of bytes that are read and written at a time.
const CHUNK: usize = 64 << 10;
/// The number of written bytes after which free space is checked again. A file of at least this size is checked before
/// it is written.
const SPACE_EVERY: u64 = 16 << 20;
/// The approximate space that a file takes on disk in addition to its content, in bytes.
const PER_FILE: u64 = 4 << 10;
/// The maximum number of reads after the archive's end. They reach the checksum of compressed data.
const READS_AFTER_END: usize = 16;

/// Unpacks the archive at `archive` into `folder`, over the files there.
///
/// Names that are absolute or hold `..` are moved inside the folder, as `sagemaker-training` does (its `files.py`).
/// Links that lead outside, devices and other special files are skipped. The report has a note about each.
///
/// # Errors
///
/// [`CodeError::NotArchive`], [`CodeError::Damaged`], [`CodeError::TooLarge`], and errors of the file system. Files that
/// were unpacked before the error remain.
pub fn unpack(archive: &Path, folder: &Path, limits: &ArchiveLimits) -> Result<WriteReport, CodeError> {
    let mut folder = CodeFolder::open(folder, Some(archive))?;
    unpack_file(archive, &mut folder, limits)?;
    Ok(folder.report)
}

/// Unpacks an archive file into an open code folder.
///
/// # Errors
///
/// The errors of [`unpack`].
pub fn unpack_file(archive: &Path, folder: &mut CodeFolder, limits: &ArchiveLimits) -> Result<(), CodeError> {
    let file = File::open(archive).map_err(|error| CodeError::reading(archive, error))?;
    unpack_stream(archive, file, folder, limits)
}

/// Unpacks an archive from `input` into an open code folder; `archive` is the name that errors show.
///
/// # Errors
///
/// The errors of [`unpack`], and [`CodeError::Storage`] if `input` reads from S3.
pub fn unpack_stream(
    archive: &Path,
    input: impl Read,
    folder: &mut CodeFolder,
    limits: &ArchiveLimits,
) -> Result<(), CodeError> {
    let mut input = BufReader::with_capacity(CHUNK, input);
    let magic = io::BufRead::fill_buf(&mut input).map_err(|error| CodeError::reading(archive, error))?;
    let is_compressed = magic.starts_with(&[0x1f, 0x8b]);
    let mut unpacking = Unpacking {
        members: Members::new(limits::metered(input, is_compressed, limits), limits.entries),
        folder,
        limits,
        buffer: vec![0; CHUNK],
        unpacked: 0,
        unchecked: 0,
    };
    let result = unpacking.all().and_then(|()| unpacking.finish());
    let headers = unpacking.members.headers();
    result.map_err(|error| match error {
        UnpackError::Code(error) => error,
        UnpackError::Archive(error) => explained(error, archive, headers, is_compressed),
    })
}

/// Returns the error for the user about an archive that could not be read beyond the first `headers` headers.
fn explained(error: ArchiveError, archive: &Path, headers: u64, is_compressed: bool) -> CodeError {
    let path = archive.to_owned();
    match error {
        ArchiveError::Read(error) if CodeError::is_storage(&error) => CodeError::reading(archive, error),
        ArchiveError::Limit(detail) => CodeError::TooLarge { path, detail },
        ArchiveError::Read(error) if limits::is_overrun(&error) => {
            CodeError::TooLarge { path, detail: error.to_string() }
        }
        // Errors of the file system have a number; errors of the decompression have none.
        ArchiveError::Read(error) if error.raw_os_error().is_some() => CodeError::reading(archive, error),
        error if headers == 0 => {
            let found = if is_compressed { "compressed data" } else { "a file" };
            let reason = match error {
                ArchiveError::Read(error) => error.to_string(),
                _ => "it does not begin with a tar header".to_owned(),
            };
            CodeError::NotArchive { path, found: format!("{found} that holds none ({reason})") }
        }
        ArchiveError::Malformed(detail) => CodeError::Damaged { path, detail },
        ArchiveError::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            CodeError::Damaged { path, detail: format!("it is cut off after {headers} entries") }
        }
        ArchiveError::Read(error) => CodeError::Damaged { path, detail: format!("after {headers} entries: {error}") },
    }
}

/// A reason to stop unpacking: the archive, or the folder that it is written to.
enum UnpackError {
    Archive(ArchiveError),
    Code(CodeError),
}

impl From<ArchiveError> for UnpackError {
    fn from(error: ArchiveError) -> UnpackError {
        UnpackError::Archive(error)
    }
}

impl From<io::Error> for UnpackError {
    fn from(error: io::Error) -> UnpackError {
        UnpackError::Archive(ArchiveError::Read(error))
    }
}

impl From<CodeError> for UnpackError {
    fn from(error: CodeError) -> UnpackError {
        UnpackError::Code(error)
    }
}

/// An archive that is being unpacked.
struct Unpacking<'a, R> {
    members: Members<R>,
    folder: &'a mut CodeFolder,
    limits: &'a ArchiveLimits,
    buffer: Vec<u8>,
    /// The size of all files written so far, in bytes, including holes.
    unpacked: u64,
    /// The number of bytes written since free space was last checked.
    unchecked: u64,
}

impl<R: Read> Unpacking<'_, R> {
    /// Writes all members.
    fn all(&mut self) -> Result<(), UnpackError> {
        while let Some(member) = self.members.next()? {
            let Some(name) = self.path_of(&member) else { continue };
            match &member.kind {
                MemberKind::File => self.file(&member, &name)?,
                MemberKind::Folder => self.folder.folder(&name, member.mode)?,
                MemberKind::Symlink => self.folder.symlink(&name, &member.link)?,
                MemberKind::HardLink => match path_inside(&member.link) {
                    Some(existing) => self.folder.hard_link(&name, &existing.path)?,
                    None => self.folder.note(&name, || "is a link to nothing: left out".to_owned()),
                },
                MemberKind::Other(what) => self.folder.note(&name, || format!("is {what}: left out")),
            }
            self.account(PER_FILE)?;
        }
        Ok(())
    }

    /// Reads a little beyond the archive's end, so that the decompression verifies its checksum.
    fn finish(&mut self) -> Result<(), UnpackError> {
        for _ in 0..READS_AFTER_END {
            match self.members.input().read(&mut self.buffer) {
                Ok(0) => break,
                Ok(_) => {}
                // A missing or wrong checksum means that the archive was not read correctly.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof || is_checksum_error(&error) => {
                    return Err(error.into());
                }
                Err(error) if CodeError::is_storage(&error) => return Err(error.into()),
                // Other data may follow an archive.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Returns the path to write a member to, or `None` if the member is skipped.
    fn path_of(&mut self, member: &Member) -> Option<PathBuf> {
        let raw = &member.name;
        let notes = &mut self.folder.report.notes;
        let Some(inner) = path_inside(raw) else {
            // Nearly every archive holds `./`, the folder itself.
            if member.kind != MemberKind::Folder {
                notes.add(|| format!("{} is not a usable name: left out", shown(raw)));
            }
            return None;
        };
        let parts = || inner.path.components().map(|part| part.as_os_str().len());
        let length = inner.path.as_os_str().len();
        if length > self.limits.path
            || parts().any(|part| part > self.limits.part)
            || parts().count() > self.limits.depth
        {
            notes.add(|| format!("{} is too long or too deep a path: left out", shown(raw)));
            return None;
        }
        if inner.was_outside {
            notes.add(|| {
                format!("{} would be outside the code folder: written to {}", shown(raw), inner.path.display())
            });
        }
        Some(inner.path)
    }

    /// Writes a file, if the limits and the free space allow it.
    fn file(&mut self, member: &Member, name: &Path) -> Result<(), UnpackError> {
        self.unpacked = self.unpacked.saturating_add(member.size);
        if self.unpacked > self.limits.bytes {
            let limit = Bytes(self.limits.bytes);
            return Err(ArchiveError::Limit(format!("its files have more than {limit}")).into());
        }
        let size = member.data_size();
        if size >= SPACE_EVERY {
            self.check_space(size, name)?;
        }
        let (mut file, at) = self.folder.file(name, member.mode)?;
        self.data(member, &mut file, &at).inspect_err(|_| {
            let _ = std::fs::remove_file(&at); // a partial file is useless, and the failure file may need its space
        })?;
        self.folder.report.bytes += member.size;
        Ok(())
    }

    /// Writes a member's data into `file`, at its place in a sparse file.
    fn data(&mut self, member: &Member, file: &mut File, at: &Path) -> Result<(), UnpackError> {
        let Some(map) = &member.sparse else { return self.copy(file, at, member.size) };
        let failed = |error| CodeError::writing(at, error);
        for region in &map.regions {
            file.seek(SeekFrom::Start(region.offset)).map_err(failed)?;
            self.copy(file, at, region.length)?;
        }
        Ok(file.set_len(member.size).map_err(failed)?)
    }

    /// Copies `length` bytes of the current member's data into `file`.
    fn copy(&mut self, file: &mut File, at: &Path, mut length: u64) -> Result<(), UnpackError> {
        while length > 0 {
            let most = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
            let count = self.members.read(&mut self.buffer[..most])?;
            if count == 0 {
                return Err(ArchiveError::malformed("a file holds less than its size says").into());
            }
            file.write_all(&self.buffer[..count]).map_err(|error| CodeError::writing(at, error))?;
            length -= count as u64;
            self.account(count as u64)?;
        }
        Ok(())
    }

    /// Counts written bytes, and checks the free space after every [`SPACE_EVERY`] of them.
    fn account(&mut self, written: u64) -> Result<(), CodeError> {
        self.unchecked += written;
        if self.unchecked < SPACE_EVERY {
            return Ok(());
        }
        self.check_space(0, Path::new(""))
    }

    /// Returns an error if the file system has less than `wanted` bytes free, in addition to the reserve.
    fn check_space(&mut self, wanted: u64, name: &Path) -> Result<(), CodeError> {
        self.unchecked = 0;
        // A file system that does not report its free space reports an error when it is full.
        let Ok(FileSystem { free_bytes: free, .. }) = FileSystem::of(self.folder.root()) else { return Ok(()) };
        // A small archive may fill a small file system completely; a large one must leave the reserve.
        let reserve = if self.unpacked >= self.limits.reserve { self.limits.reserve } else { 0 };
        let needed = wanted.saturating_add(reserve);
        if needed > free {
            return Err(CodeError::NoSpace { path: self.folder.root().join(name), sizes: Some((needed, free)) });
        }
        Ok(())
    }
}

/// Returns true if compressed data does not match its checksum.
///
/// flate2 has no type for this error, so its text decides. The test `data_with_a_wrong_checksum_is_damaged` fails if a
/// new version changes the text.
fn is_checksum_error(error: &io::Error) -> bool {
    error.to_string().contains("checksum")
}
