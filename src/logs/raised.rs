//! The last exception of a stream, which is kept even if much output follows it.

use std::time::{Duration, Instant};

use memchr::memmem::Finder;

/// The first line of Python's tracebacks.
const HEADER: &[u8] = b"Traceback (most recent call last):";

/// The maximum number of bytes that are kept, starting with the line before the traceback.
const MAX_KEPT: usize = 32 << 10;

/// The maximum length of a line that may name the origin of the traceback that follows, in bytes.
const MAX_LINE: usize = 1 << 10;

/// The time after which an exception was certainly caught, because the program was still writing.
const OUTLIVED: Duration = Duration::from_secs(60);

/// The bytes of a stream from its last traceback on, up to [`MAX_KEPT`].
#[derive(Debug)]
pub(super) struct LastException {
    finder: Finder<'static>,
    kept: Vec<u8>,
    /// The position of the last traceback in `kept`.
    last: usize,
    /// True if there is room for more bytes.
    is_open: bool,
    /// The number of bytes of the stream since the first byte of `kept`.
    since: usize,
    /// The time of the last traceback.
    at: Option<Instant>,
    /// The last line before the present bytes, unless it is too long.
    line: Vec<u8>,
}

impl LastException {
    pub(super) fn new() -> LastException {
        let finder = Finder::new(HEADER);
        LastException { finder, kept: Vec::new(), last: 0, is_open: false, since: 0, at: None, line: Vec::new() }
    }

    /// Searches the next bytes of the stream for tracebacks.
    pub(super) fn search(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut seen = 0;
        let hits: Vec<usize> = self.finder.find_iter(bytes).collect();
        for hit in hits {
            let begin = line_before(&bytes[..hit]).max(seen);
            let is_first_line = !bytes[..hit].contains(&b'\n');
            self.add(&bytes[seen..begin]);
            if self.is_open {
                self.last = self.kept.len();
            } else {
                (self.last, self.is_open, self.since) = (0, true, 0);
                self.kept.clear();
                if is_first_line {
                    let line = std::mem::take(&mut self.line);
                    self.add(&line);
                }
            }
            self.at = Some(Instant::now());
            seen = begin;
        }
        self.add(&bytes[seen..]);
        let last = &bytes[line_before(bytes)..];
        self.line.clear();
        if last.len() <= MAX_LINE {
            self.line.extend_from_slice(last);
        }
    }

    /// Adds bytes as far as there is room. Older tracebacks make room for the last one.
    fn add(&mut self, bytes: &[u8]) {
        self.since += bytes.len();
        if !self.is_open {
            return;
        }
        if self.kept.len() + bytes.len() > MAX_KEPT && self.last > 0 {
            self.kept.drain(..self.last);
            self.since -= self.last;
            self.last = 0;
        }
        let room = bytes.len().min(MAX_KEPT - self.kept.len().min(MAX_KEPT));
        self.kept.extend_from_slice(&bytes[..room]);
        self.is_open = self.kept.len() < MAX_KEPT;
    }

    /// Returns the part of `kept` that precedes the last `recorded` bytes of the stream. Empty if the program has
    /// written for longer than [`OUTLIVED`] since the traceback.
    pub(super) fn before(&self, recorded: usize) -> &[u8] {
        if self.at.is_none_or(|at| at.elapsed() > OUTLIVED) {
            return &[];
        }
        &self.kept[..self.kept.len().min(self.since.saturating_sub(recorded))]
    }
}

/// Returns the start of the line before the last line of `bytes`, which may name the origin of the traceback that
/// follows.
fn line_before(bytes: &[u8]) -> usize {
    let end = memchr::memrchr(b'\n', bytes).unwrap_or(0);
    memchr::memrchr(b'\n', &bytes[..end]).map_or(0, |at| at + 1)
}
