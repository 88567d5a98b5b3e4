//! Reports about processes at their end.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::event::{Ending, KillReason, Output, Process};

/// A stop signal that the processes were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// SIGTERM or SIGINT.
    pub signal: Signal,
    /// The reason why something had to be killed. `None` if nothing had.
    pub killed: Option<KillReason>,
}

/// The reason why processes are stopped because of other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerStop {
    /// The job has failed there.
    Failed,
    /// The job was told to stop there.
    Stopped,
}

/// The progress of the ranks of all hosts that one launcher started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerRanks {
    /// At an orderly stop, one was killed by a signal.
    Killed,
    /// All have ended.
    Ended,
}

/// The end of a process.
#[derive(Debug)]
pub struct EndReport {
    /// The position of its task.
    pub task: usize,
    /// Its identity.
    pub process: Process,
    /// True for a rank that a launcher started.
    pub is_launched: bool,
    /// The way it ended.
    pub ending: Ending,
    /// Its last output.
    pub output: Output,
    /// The time that it ran.
    pub duration: Duration,
    /// True if it was told to end before.
    pub followed: bool,
}

/// The ends of processes that ran side by side.
#[derive(Debug)]
pub struct Reports {
    /// One for each task, and one for each launched rank whose end is known. A launcher has none if one of its ranks failed,
    /// because it only follows.
    pub reports: Vec<EndReport>,
    /// The last output of each service.
    pub services: Vec<(Process, Output)>,
    /// The stop signal that they were told, if any.
    pub stop: Option<Stop>,
}
