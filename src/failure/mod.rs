//! Failures: from evidence to a cause, and the failure file.
//!
//! This folder answers one question, once, after a process has failed: what does the user need to read? It is handed
//! [`Evidence`] (how the process ended, the last that it wrote, what the kernel counted) and judges the [`Cause`](crate::event::Cause):
//!
//! ```text
//! ValueError: bad data in x.csv line 3        what happened: the exception, the signal, the telling line
//! at train.py:4 in load                       where in the user's code
//! caused by: KeyError: 'x'                    what led to it
//! host algo-2, rank 3, exit code 1            on whom, and how it ended
//! hint: …                                     what it points to, and the remedy
//! command: python3 train.py --lr 0.1
//! ```
//!
//! The judgement is pure; what has to be read from the machine is read by [`MemoryWatch`] (started before the script)
//! and [`full_disks`] (asked after it), and written by [`write()`]. It claims no more than the evidence supports: an
//! exception that was caught and logged is not the cause of a SIGKILL that came later.
//!
//! It must not decide on exit codes, stop or start anything, or print. Text of the user leaves it only through a
//! [`Redactor`](crate::redact::Redactor).

mod cause;
mod disk;
mod evidence;
mod file;
mod hints;
mod launcher;
mod layout;
mod lines;
mod memory;
mod nccl;
mod noise;
mod other;
mod place;
mod python;
mod select;
mod text;

#[cfg(test)]
mod tests;

pub use cause::cause;
pub use disk::{Full, FullDisk, full_disks};
pub use evidence::{Evidence, Stop};
pub use file::{Earlier, Written, success, write};
pub use launcher::{ErrorFile, error_file};
pub use layout::{MAX_TEXT, headline, redacted, status, text};
pub use memory::{MemoryWatch, OutOfMemory};
