//! Failures: from evidence to a cause, and the failure file.
//!
//! This folder decides, once after a process has failed, what the user needs to read. From [`Evidence`] (the ending of the
//! process, the end of its output, the counters of the kernel) it judges the [`Cause`](crate::event::Cause), and it lays a cause
//! out as text:
//!
//! ```text
//! ValueError: bad data in x.csv line 3        headline: the exception, the signal, or the most telling line
//! at train.py:4 in load                       place in the user's code
//! caused by: KeyError: 'x'                    details: what led to it
//! host algo-2, rank 3, exit code 1            status: where it failed, and how it ended
//! hint: …                                     what the evidence points to, and the remedy
//! command: python3 train.py --lr 0.1
//! ```
//!
//! The judgement is pure. Only [`MemoryWatch`] (started before the script), [`full_disks`] (asked after it) and
//! [`OutputFiles`] touch the machine. A cause claims no more than the evidence supports: an exception that was caught and logged is not the
//! cause of a SIGKILL that came later.
//!
//! This folder must not decide on exit codes, stop or start anything, or print. Text of the user leaves it only through a
//! [`Redactor`](crate::redact::Redactor).

mod account;
mod afterwards;
mod behind;
mod chain;
mod disk;
mod evidence;
mod file;
mod hints;
mod judge;
mod launcher;
mod layout;
mod lines;
mod memory;
mod nccl;
mod noise;
mod other;
mod pattern;
mod place;
mod prefix;
mod read;
mod record;
mod restart;
mod room;
mod runtime;
mod select;
mod signal;
mod signs;
mod text;
mod weight;

#[cfg(test)]
mod tests;

pub use disk::{Full, FullDisk, full_disks};
pub use evidence::{Evidence, JobEvidence, RankEvidence, StopEvidence};
pub use file::{OutputFiles, Written};
pub use hints::{installer_hints, with_ranks_that_left};
pub use judge::{cause, judge};
pub use launcher::{ErrorFile, error_file};
pub use layout::{MAX_TEXT, TextLimit, headline, redacted, text, text_within};
pub use memory::{MemoryWatch, OutOfMemory};
pub use nccl::collective_of;
pub use noise::is_harmless_record;
pub use restart::{NextAttempt, RestartLimits, Restarts};
pub use weight::{Judgement, Weight};
