//! The relay, which carries lines from the processes' pipes to footplate's own standard output and error.
//!
//! One thread, the [`Relay`], reads every pipe and does all writing, footplate's own messages included. So lines of
//! different origin never mix. The relay waits for no reader. If a reader takes nothing, the relay stops reading the
//! streams that go to it, which blocks only the script's own writes. The relay promises:
//!
//! - The bytes of a stream come out as they came in, on the same stream and in order. Nothing is lost while anybody
//!   reads.
//! - Whole lines are written in one piece. A line without an end is passed on after [`PARTIAL_LINE_DELAY`].
//! - Memory is bounded, whatever a line's length.
//! - The last [`TAPE_SIZE`] bytes or so of each stream are kept as evidence. Once a process has ended, what its pipes hold is
//!   read even if no reader takes it, so that the evidence contains the last words.
//! - If the reader of standard output or error is gone, reading goes on, so that the script does not die of it.
//!
//! It must not decide anything or know what a job is. It looks into lines only for a [`Rewrite`], for the [`Tags`] by
//! which mpirun's ranks share a stream, and for the line by which a service says that it is ready.

mod destination;
mod label;
mod last_words;
mod messages;
mod pulse;
mod raised;
mod relay;
mod source;
mod stream;
mod style;
mod styled;
mod tags;
mod tally;
mod tap;
mod tape;
mod timestamp;

pub use label::RankLabel;
pub use last_words::Silence;
pub use messages::{Level, clean, init, redactor, set_redactor};
pub use pulse::Pulses;
pub use relay::Relay;
pub use stream::{AwaitedText, Relayed, StreamId, StreamNews};
pub use style::{Rewrite, Style, Tags};
pub use tap::{LineSubscriber, Tap, TappedLines};
pub use timestamp::Timestamp;

use std::time::Duration;

/// The time for which an unfinished line is held back.
pub const PARTIAL_LINE_DELAY: Duration = Duration::from_millis(50);

/// The time for which an unfinished line is held back if several processes write to one place, so that lines of
/// different ranks do not mix.
pub const SHARED_PARTIAL_LINE_DELAY: Duration = Duration::from_secs(1);

/// The maximum size of an unfinished line, or of a progress bar's state, that is held back outside of a stream's own
/// memory, in bytes.
const MAX_HELD: usize = 64 << 10;

/// The size of the buffer that keeps the last bytes of a stream, in bytes.
pub const TAPE_SIZE: usize = 256 << 10;
