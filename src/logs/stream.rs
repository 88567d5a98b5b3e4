//! The streams that a relay reads: their numbers, their sources, and the facts that are told about them.

use std::os::fd::OwnedFd;

use super::style::Style;
use crate::event::{Moment, Process};

/// The number of a stream. Whoever adds streams to the relay counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamId {
    /// The process, counted from 0.
    pub process: usize,
    /// 0 for its own; those of the ranks that it starts are counted from 1.
    pub part: usize,
    /// True for its standard error.
    pub is_stderr: bool,
    /// The attempt at running the ranks, counted from 0.
    pub attempt: u32,
}

/// A fact about a stream.
#[derive(Debug)]
pub enum StreamNews {
    /// Its first bytes were read.
    Began {
        /// The stream.
        id: StreamId,
        /// The time.
        at: Moment,
    },
    /// The awaited text has appeared. Reported once.
    Matched {
        /// The stream.
        id: StreamId,
    },
    /// It ends in a traceback that nothing caught, and its process has written nothing since for long.
    LastWords {
        /// The stream.
        id: StreamId,
    },
    /// It has ended, and all of it was passed on.
    Ended {
        /// The stream.
        id: StreamId,
        /// Its last bytes.
        record: Vec<u8>,
        /// The number of line ends in it.
        lines: u64,
        /// Its size in bytes.
        bytes: u64,
        /// The time of its last bytes. `None` if there were none.
        last_output: Option<Moment>,
    },
}

impl StreamNews {
    /// Returns the stream.
    pub fn id(&self) -> StreamId {
        match self {
            StreamNews::Began { id, .. }
            | StreamNews::Matched { id }
            | StreamNews::LastWords { id }
            | StreamNews::Ended { id, .. } => *id,
        }
    }
}

/// A stream for the relay to read.
#[derive(Debug)]
pub struct Relayed {
    /// The number by which the relay knows it.
    pub id: StreamId,
    /// The process that writes to it, for taps.
    pub writer: Process,
    /// Its reading end.
    pub source: OwnedFd,
    /// The changes that are made to its lines.
    pub style: Style,
    /// The text whose appearance is reported.
    pub awaited: Option<AwaitedText>,
    /// True if a traceback after which its process writes nothing is reported.
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
