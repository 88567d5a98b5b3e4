//! The streams that a relay reads: their numbers, their sources, and the facts that the relay reports about them.

use std::os::fd::OwnedFd;

use super::last_words::Silence;
use super::style::Style;
use crate::event::{Moment, Process};

/// The number of a stream. The caller that adds streams to the relay assigns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamId {
    /// The process, counted from 0.
    pub process: usize,
    /// 0 for the process's own streams. The streams of the ranks that it starts are counted from 1.
    pub part: usize,
    /// True for standard error.
    pub is_stderr: bool,
    /// The attempt at running the ranks, counted from 0.
    pub attempt: u32,
}

/// A fact about a stream.
#[derive(Debug)]
pub enum StreamNews {
    /// The first bytes of the stream were read.
    Began {
        /// The stream.
        id: StreamId,
        /// The time.
        at: Moment,
    },
    /// The awaited text has appeared often enough. Reported once.
    Matched {
        /// The stream.
        id: StreamId,
    },
    /// The stream ends in the traceback of an uncaught exception, and its process has been silent since.
    LastWords {
        /// The stream.
        id: StreamId,
        /// The silence so far.
        silence: Silence,
    },
    /// The stream has ended, and all of it was passed on.
    Ended {
        /// The stream.
        id: StreamId,
        /// The last bytes of the stream.
        record: Vec<u8>,
        /// The number of line ends in the stream.
        lines: u64,
        /// The size of the stream, in bytes.
        bytes: u64,
        /// The time of the stream's last bytes. `None` if it was empty.
        last_output: Option<Moment>,
    },
}

impl StreamNews {
    /// Returns the stream.
    pub fn id(&self) -> StreamId {
        match self {
            StreamNews::Began { id, .. }
            | StreamNews::Matched { id }
            | StreamNews::LastWords { id, .. }
            | StreamNews::Ended { id, .. } => *id,
        }
    }
}

/// A stream for the relay to read.
#[derive(Debug)]
pub struct Relayed {
    /// The number by which the relay knows the stream.
    pub id: StreamId,
    /// The process that writes to the stream; taps receive it with each line.
    pub writer: Process,
    /// The reading end of the stream.
    pub source: OwnedFd,
    /// The changes that are made to the stream's lines.
    pub style: Style,
    /// The text whose appearance is reported.
    pub awaited: Option<AwaitedText>,
    /// True if the relay reports a traceback after which the process is silent.
    pub reports_last_words: bool,
}

/// A text whose appearance in a stream is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitedText {
    /// The text.
    pub text: Vec<u8>,
    /// The number of times that it must appear.
    pub times: usize,
}
