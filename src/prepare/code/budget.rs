//! What an archive may cost, and the reader that refuses more.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::machine::Bytes;

/// What an archive may cost. The defaults are far beyond any source, and below what takes a container down.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many headers: a million. That many files take a minute or two and as many inodes; no source has them.
    pub entries: u64,
    /// How many bytes it may unpack to: 64 GiB, twice the volume that a job has by default.
    pub bytes: u64,
    /// How many bytes one compressed byte may stand for: 500, where text comes to 10 and zeros come to 1030 …
    pub ratio: u64,
    /// … once this many bytes were unpacked: 1 GiB. A model that begins with zeros is no bomb.
    pub ratio_from: u64,
    /// How much space of the file system must stay free once an archive has unpacked that much itself: 64 MiB.
    pub reserve: u64,
    /// How long a path within the archive may be, in bytes; longer ones are left out.
    pub path: usize,
    /// How long one part of it may be, in bytes: 255, which is Linux's limit.
    pub part: usize,
    /// How many folders may lie in one another.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
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

/// The contents of an archive's file, decompressed if need be, up to what the limits allow. Members of a gzip file that
/// follow one another are one stream.
pub(super) fn metered<'a>(file: impl Read + 'a, compressed: bool, limits: &'a Limits) -> Box<dyn Read + 'a> {
    let taken = Rc::new(Cell::new(0));
    let counted = Counted { input: file, taken: Rc::clone(&taken) };
    match compressed {
        true => Box::new(Metered { input: MultiGzDecoder::new(counted), taken, given: 0, limits }),
        false => Box::new(Metered { input: counted, taken, given: 0, limits }),
    }
}

/// Whether reading failed because the limits do not allow more.
pub(super) fn is_overrun(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<Overrun>())
}

/// Counts what is read of the archive's file.
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

/// Refuses to decompress more than the limits allow, whatever it is for: what is skipped costs time, too.
struct Metered<'a, R> {
    input: R,
    taken: Rc<Cell<u64>>,
    given: u64,
    limits: &'a Limits,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.given += count as u64;
        let Limits { bytes, ratio, ratio_from, .. } = *self.limits;
        // The archive's own headers come on top of what the files may have.
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

/// More than the limits allow came out of the decompression.
#[derive(Debug)]
struct Overrun(String);

impl std::fmt::Display for Overrun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Overrun {}
