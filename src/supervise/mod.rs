//! Processes: starting them, passing signals on, reaping them, and giving them their grace.
//!
//! One place, the [`Supervisor`], starts every program that runs for longer than a moment, and is the only one that
//! waits for children. What it promises:
//!
//! - Signals are caught from before the first program is started, so that none is lost; real-time signals from then on.
//! - A program starts with the signal mask, the dispositions and the descriptors that footplate itself was given, in a
//!   process group of its own.
//! - SIGTERM and SIGINT go at once to every process that descends from footplate, whatever group or session it is in; what
//!   runs on after the grace period is killed; a second one kills at once. Every other signal that can be caught goes to
//!   the program.
//! - Everything is reaped: as PID 1, or as a subreaper, footplate is the parent of all orphans.
//! - Of programs that run side by side, the failure of one ends the others, with their grace; so it is with the ranks that
//!   mpirun starts, each of which has a [`keeper`].
//! - When all have ended, what they left behind may run on for the drain time, and is then ended.
//!
//! It must not decide whether an ending is a failure, nor why: it reports.

pub mod direct;
mod group;
pub mod keeper;
mod outputs;
mod report;
mod shell;
mod signals;
mod supervisor;
mod task;
mod timing;
mod tree;

pub use group::{Service, ServiceEnd};
pub use report::{PeerRanks, PeerStop, Report, Reports, Stop};
pub use supervisor::{Interrupted, Supervisor};
pub use task::{Launching, Readiness, Role, SpawnError, Task};
pub use timing::{FLUSH_PATIENCE, Timing};

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Makes this binary callable by another name, by a link in a folder; gives the link's path.
///
/// # Errors
/// The link cannot be made.
pub fn link_under(name: &str, folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join(name);
    symlink(std::env::current_exe()?, &path)?;
    Ok(path)
}

/// Kills every process that descends from this one, when nothing else can be done any more.
pub fn kill_descendants() {
    tree::signal_all(nix::sys::signal::Signal::SIGKILL, &[]);
}
