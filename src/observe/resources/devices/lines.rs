//! The lines that a companion writes.

use crate::supervise::{Companion, OutputState};

/// The maximum size of an incomplete line that is kept, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// A companion that writes lines.
#[derive(Debug)]
pub(super) struct Lines {
    companion: Companion,
    bytes: Vec<u8>,
    /// True once the companion has ended.
    pub(super) has_ended: bool,
}

impl Lines {
    pub(super) fn of(companion: Companion) -> Lines {
        Lines { companion, bytes: Vec::new(), has_ended: false }
    }

    /// Returns the whole lines that were written since the last call. A line that is too long is lost.
    pub(super) fn take(&mut self) -> Vec<String> {
        if !self.has_ended {
            self.has_ended = self.companion.read(&mut self.bytes) == OutputState::Ended;
        }
        let end = match memchr::memrchr(b'\n', &self.bytes) {
            Some(end) => end + 1,
            None if self.has_ended => self.bytes.len(),
            None => 0,
        };
        let whole: Vec<u8> = self.bytes.drain(..end).collect();
        if self.bytes.len() > MAX_SIZE {
            self.bytes = Vec::new();
        }
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }

    /// Returns the last line that the companion has written to standard error.
    pub(super) fn complaint(&mut self) -> Option<String> {
        self.companion.complaint()
    }
}
