//! Lines: from the processes' pipes to footplate's own standard output and error.
//!
//! One thread, the [`Relay`], reads every pipe and does all writing, footplate's own messages included, so that lines of
//! different origin never mix, and a reader that is slow or gone can block nothing but this thread. What it promises:
//!
//! - The bytes of a stream come out as they came in, on the same stream, in order; nothing is lost while anybody reads.
//! - Whole lines are written in one piece. A line without an end is passed on after [`PARTIAL_LINE_DELAY`].
//! - Memory is bounded, whatever a line's length.
//! - The last [`TAPE_SIZE`] bytes or so of each stream are kept as evidence.
//! - When the other side of standard output or error is gone, reading goes on, so that the script does not die of it.
//!
//! It must not: look into lines, but for what a [`Rewrite`] that it is given does, and for the [`Tags`] by which mpirun's
//! ranks share a stream; decide anything, or know what a job is.

mod label;
mod messages;
mod relay;
mod stream;
mod style;
mod tags;
mod tap;
mod tape;

pub use label::RankLabel;
pub use messages::{Level, clean, init, redactor, set_redactor};
pub use relay::Relay;
pub use stream::{Relayed, StreamId, StreamNews};
pub use style::{Rewrite, Style};
pub use tags::Tags;
pub use tap::{Line, LineSubscriber, Tap};

use std::time::Duration;

/// How long a line without an end is held back.
pub const PARTIAL_LINE_DELAY: Duration = Duration::from_millis(50);

/// The same where several processes write to one place: lines of different ranks must not mix.
pub const SHARED_PARTIAL_LINE_DELAY: Duration = Duration::from_secs(1);

/// The most of an unfinished line, or of a state of a progress bar, that is held back outside of a stream's own memory.
const MAX_HELD: usize = 64 << 10;

/// How many bytes of a stream are kept in memory.
pub const TAPE_SIZE: usize = 256 << 10;
