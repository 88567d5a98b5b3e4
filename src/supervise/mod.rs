//! Processes: starting them, passing signals on, reaping them, and giving them their grace period.
//!
//! The [`Supervisor`] starts every program that runs for longer than a moment, and is the only component that waits
//! for children. It promises:
//!
//! - Signals are caught before the first program starts, so that none is lost. Real-time signals are caught from then
//!   on.
//! - A program starts with the signal mask, the dispositions and the descriptors that footplate itself was given, in a
//!   process group of its own.
//! - SIGTERM and SIGINT go to main processes and to the first process of each branch that handles them. The others get
//!   them when these have ended, or at once if nothing handles them. SIGCONT follows. Processes that still run after the
//!   grace period are killed, and a second stop signal kills at once. Every other signal that can be caught goes to the
//!   program.
//! - On a terminal, programs can read their input, and SIGTSTP suspends everything.
//! - Everything is reaped: as PID 1 or as a subreaper, footplate is the parent of all orphans.
//! - If one of several programs fails, the others end, with their grace period. The same holds for ranks that mpirun
//!   starts, each of which has a [`keeper`].
//! - When all programs have ended, processes that they left behind may run on for the drain time.
//!
//! The decisions are made by a pure state machine, `group`; `shell` does what it asks for. This folder must not decide
//! if an ending is a failure, or why. An ending is reported as an event.

mod companion;
pub mod direct;
mod group;
pub mod guard;
pub mod keeper;
mod main_code;
mod outputs;
mod peers;
mod receipt;
mod report;
mod shell;
mod signals;
mod supervisor;
mod survey;
mod task;
mod terminal;
mod timing;
mod tree;

pub use companion::{Companion, OutputState};
pub use group::{Service, ServiceEnd};
pub use main_code::{MainCode, MainCodeProbe};
pub use report::{EndReport, PeerRanks, PeerStop, Reports, Stop};
pub use supervisor::{Interrupted, Supervisor};
pub use task::{LIMIT_REMEDY, Launching, Readiness, Role, SpawnError, Task};
pub use timing::{FLUSH_PATIENCE, Timing};
pub use tree::{ProcessEntry, descendants};

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Makes this binary callable under another name through a link in a folder, and returns the path of the link.
///
/// # Errors
/// The link cannot be made.
pub fn link_under(name: &str, folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join(name);
    symlink(std::env::current_exe()?, &path)?;
    Ok(path)
}

/// Kills every process that descends from this one. Used after a defect in footplate, when nothing else can be done.
pub fn kill_descendants() {
    tree::signal_all(nix::sys::signal::Signal::SIGKILL, &[]);
}
