//! What is told of programs, while they run and at their end.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::event::Ending;

/// How much time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the signal that stops to the kill.
    pub grace_period: Duration,
    /// For what a program leaves behind.
    pub drain_time: Duration,
}

/// That the job was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// By SIGTERM or SIGINT.
    pub signal: Signal,
    /// Why something had to be killed, if anything had.
    pub killed: Option<Killed>,
}

/// Why what still ran was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// The grace period was over.
    GraceOver,
    /// A second stop signal came.
    SecondSignal,
}

/// How a program ran.
#[derive(Debug)]
pub struct Report {
    /// Its place among the tasks.
    pub task: usize,
    /// Which rank it is, if it is one that a launcher started.
    pub rank: Option<usize>,
    /// How it ended.
    pub ending: Ending,
    /// The last bytes of its standard output.
    pub stdout: Vec<u8>,
    /// The last bytes of its standard error.
    pub stderr: Vec<u8>,
    /// How long it ran.
    pub duration: Duration,
    /// Whether it was told to end because another had failed before.
    pub followed: bool,
}

/// A program that failed while others may still run.
#[derive(Clone, Copy, Debug)]
pub struct Failing<'a> {
    /// Its place among all that run.
    pub index: usize,
    /// Its place among the tasks.
    pub task: usize,
    /// Which rank it is, if it is one that a launcher started.
    pub rank: Option<usize>,
    /// How it ended.
    pub ending: Ending,
    /// How long it ran.
    pub duration: Duration,
    /// The last bytes of its standard output and its standard error, once both have ended.
    pub streams: Option<[&'a [u8]; 2]>,
}

/// What is told while programs run.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// One has failed.
    Failing(Failing<'a>),
    /// A stop signal came.
    Stopping(Signal),
    /// At an orderly stop, a rank that a launcher started was killed by a signal.
    RankKilled,
    /// Of what is to end nothing is left here but launchers, which wait for the ranks of other hosts. So many ranks failed.
    Drained(usize),
}

/// How far the ranks of all hosts are that one launcher started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllRanks {
    /// They run, or end by themselves.
    #[default]
    Run,
    /// At an orderly stop, one was killed by a signal.
    Killed,
    /// They have ended.
    Ended,
}

/// Why programs are stopped because of other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// The job has failed there.
    Failed,
    /// It was told to stop there.
    Stopped,
}

/// How programs that ran side by side ended.
#[derive(Debug)]
pub struct Reports {
    /// Each task's, and that of each rank whose end is known. A launcher of which a rank failed has none: it only follows.
    pub reports: Vec<Report>,
    /// Whether they were told to stop.
    pub stop: Option<Stop>,
}
