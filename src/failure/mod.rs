//! Failures: the way from evidence to a cause, and the failure file.
//!
//! After a process has failed, this folder decides once which cause the user reads. It judges the
//! [`Cause`](crate::event::Cause) from [`Evidence`] (the ending of the process, the end of its output, the counters of
//! the kernel), and lays the cause out as text:
//!
//! ```text
//! ValueError: bad data in x.csv line 3        headline: the exception, the signal, or the most informative line
//! at train.py:4 in load                       place in the user's code
//! caused by: KeyError: 'x'                    details: the exceptions that led to it
//! host algo-2, rank 3, exit code 1            status: where it failed, and how it ended
//! hint: …                                     the problem that the evidence points to, and the remedy
//! command: python3 train.py --lr 0.1
//! ```
//!
//! The judgement is pure. Only [`MemoryWatch`] (started before the script), [`full_disks`] (called after it) and
//! [`OutputFiles`] touch the machine. A cause claims no more than the evidence supports: an exception that was caught
//! and logged is not the cause of a later SIGKILL.
//!
//! This folder must not decide on exit codes, stop or start anything, or print. The user's text leaves it only through
//! a [`Redactor`](crate::redact::Redactor).

mod account;
mod afterwards;
mod behind;
mod chain;
mod columns;
mod dask;
mod disk;
mod dynamic;
mod evidence;
mod figures;
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
mod plain;
mod prefix;
mod quoted;
mod read;
mod record;
mod restart;
mod room;
mod runtime;
mod select;
mod signal;
mod signs;
mod swallowed;
mod teardown;
mod text;
mod weight;
mod words;
mod wrapper;

#[cfg(test)]
mod tests;

pub use dask::FailedTasks;
pub use disk::{Full, FullDisk, full_disks};
pub use dynamic::{ScriptText, WITHOUT_FILE};
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
