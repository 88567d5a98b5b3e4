//! The figures that the relay's thread shares with those who wait for it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The maximum size of footplate's own messages that wait for the reader of standard error, in bytes.
const MAX_MESSAGES: usize = 256 << 10;

/// The figures of a relay.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The number of bytes written so far.
    pub(super) written: AtomicU64,
    /// The size of the messages that wait, in bytes.
    messages: AtomicUsize,
    /// The number of messages that were dropped since the last report, because too many were waiting.
    left_out: AtomicU64,
}

impl Tally {
    /// Counts a message that is about to wait. Returns false if the message must be dropped.
    pub(super) fn admit(&self, size: usize) -> bool {
        let is_admitted = self.messages.fetch_add(size, Ordering::Relaxed) + size <= MAX_MESSAGES;
        if !is_admitted {
            self.messages.fetch_sub(size, Ordering::Relaxed);
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        is_admitted
    }

    /// Counts messages that were written, and returns the number of messages that were dropped meanwhile.
    pub(super) fn dismiss(&self, size: usize) -> u64 {
        self.messages.fetch_sub(size, Ordering::Relaxed);
        self.left_out.swap(0, Ordering::Relaxed)
    }
}
