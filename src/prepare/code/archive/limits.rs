//! The maximum cost of an archive, and the reader that enforces it.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use thiserror::Error;

use crate::machine::Bytes;

/// The maximum cost of an archive. The defaults are far above any real source, and low enough to protect the container.
#[derive(Clone, Debug)]
pub struct ArchiveLimits {
    /// The maximum number of headers. Default: one million, which take a minute or two to unpack, and as many inodes.
    pub entries: u64,
    /// The maximum size of all files together, in bytes. Default: 64 GiB, twice a job's default volume.
    pub bytes: u64,
    /// The maximum number of bytes that one compressed byte may expand to, once `ratio_from` bytes were decompressed.
    /// Default: 500. Text expands to about 10, zeros to 1,030.
    pub ratio: u64,
    /// The number of decompressed bytes from which `ratio` applies. Default: 1 GiB, because a model file may begin with
    /// zeros.
    pub ratio_from: u64,
    /// The space to leave free on the file system, in bytes, once an archive has unpacked that much. Default: 64 MiB.
    pub reserve: u64,
    /// The maximum length of a path within the archive, in bytes. Members with longer paths are skipped. Default: 3,072.
    pub path: usize,
    /// The maximum length of one component of a path, in bytes. Default: 255, which is Linux's limit.
    pub part: usize,
    /// The maximum number of components of a path. Default: 128.
    pub depth: usize,
}

impl Default for ArchiveLimits {
    fn default() -> ArchiveLimits {
        ArchiveLimits {
            entries: 1_000_000,
            bytes: 64 << 30,
            ratio: 500,
            ratio_from: 1 << 30,
            reserve: 64 << 20,
            path: 3072,
            part: 255,
            depth: 128,
        }
    }
}

/// Returns a reader of the archive's content that fails with an error for [`is_overrun`] when a limit is exceeded.
///
/// With `compressed`, the content is decompressed. Consecutive gzip members are one stream.
pub fn metered<'a>(file: impl Read + 'a, compressed: bool, limits: &'a ArchiveLimits) -> Box<dyn Read + 'a> {
    let taken = Rc::new(Cell::new(0));
    let counted = Counted { input: file, taken: Rc::clone(&taken) };
    if compressed {
        Box::new(Metered { input: MultiGzDecoder::new(counted), taken, given: 0, limits })
    } else {
        Box::new(Metered { input: counted, taken, given: 0, limits })
    }
}

/// Returns true if a read failed because a limit was exceeded.
pub fn is_overrun(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<Overrun>())
}

/// A reader that counts the bytes taken from the archive's file.
struct Counted<R> {
    input: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(count)
    }
}

/// A reader that refuses to return more bytes than the limits allow, including data that is only skipped.
struct Metered<'a, R> {
    input: R,
    /// The bytes taken from the archive's file.
    taken: Rc<Cell<u64>>,
    /// The bytes returned, after decompression.
    given: u64,
    limits: &'a ArchiveLimits,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.given += count as u64;
        let ArchiveLimits { bytes, ratio, ratio_from, .. } = *self.limits;
        // An eighth and 1 MiB more than the files may have, for the archive's own headers.
        if self.given > bytes.saturating_add(bytes / 8).saturating_add(1 << 20) {
            return Err(io::Error::other(Overrun(format!("it decompresses to more than {}", Bytes(bytes)))));
        }
        if self.given > ratio_from && self.given / ratio > self.taken.get() {
            let (given, taken) = (Bytes(self.given), Bytes(self.taken.get()));
            return Err(io::Error::other(Overrun(format!("{taken} of it decompress to {given} and more"))));
        }
        Ok(count)
    }
}

/// The error inside an [`io::Error`] for content that exceeds a limit.
#[derive(Debug, Error)]
#[error("{0}")]
struct Overrun(String);
