//! Reports about processes at their end.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::event::{Ending, KillReason, Output, Process};

/// A stop signal that was passed to the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// SIGTERM or SIGINT.
    pub signal: Signal,
    /// The reason why processes were killed. `None` if none were.
    pub killed: Option<KillReason>,
}

/// The reason why processes are stopped because of other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerStop {
    /// The job has failed on another host.
    Failed,
    /// The job was told to stop on another host.
    Stopped,
}

/// The progress of the ranks of one launcher on all hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerRanks {
    /// At an orderly stop, a rank was killed by a signal.
    Killed,
    /// All ranks have ended.
    Ended,
}

/// The end of a process.
#[derive(Debug)]
pub struct EndReport {
    /// The position of the process's task.
    pub task: usize,
    /// The identity of the process.
    pub process: Process,
    /// True for a rank that a launcher started.
    pub is_launched: bool,
    /// The way it ended.
    pub ending: Ending,
    /// Its last output.
    pub output: Output,
    /// The time for which it ran.
    pub duration: Duration,
    /// True if the process was told to end before it ended.
    pub followed: bool,
}

/// The ends of processes that ran side by side.
#[derive(Debug)]
pub struct Reports {
    /// A report for each task, and one for each launched rank whose end is known. A launcher has none if one of its
    /// ranks failed, because it ends only as a consequence.
    pub reports: Vec<EndReport>,
    /// The last output of each service.
    pub services: Vec<(Process, Output)>,
    /// The stop signal that was passed to them, if any.
    pub stop: Option<Stop>,
}
