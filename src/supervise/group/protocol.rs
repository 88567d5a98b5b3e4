//! The facts that the shell reports to a group, and the requests that the group makes.

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::super::{PeerRanks, PeerStop};
use super::branches::{ProcessId, SurveyedProcess};
use crate::event::{CommonStep, Ending, KillReason, RankTally};

/// A fact that the shell reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Input {
    /// A member was started.
    Started {
        /// The member.
        member: usize,
        /// Its process.
        pid: Pid,
    },
    /// A service is ready.
    Ready {
        /// The member.
        member: usize,
    },
    /// A member wrote the traceback of an uncaught exception and has been silent since, but still runs.
    Outlived {
        /// The member.
        member: usize,
    },
    /// A signal was caught.
    Caught(i32),
    /// Another host has failed or was told to stop.
    PeersStop(PeerStop),
    /// The ranks of all hosts have reached this point.
    PeerRanks(PeerRanks),
    /// Every host of the launch has completed the steps before this one.
    Allowed(CommonStep),
    /// A keeper has started its rank.
    RankBegan {
        /// The rank.
        rank: usize,
        /// Its process.
        pid: Pid,
    },
    /// A keeper has seen its rank end.
    RankEnded {
        /// The rank.
        rank: usize,
        /// The way it ended.
        ending: Ending,
    },
    /// A child was reaped, which may be a member.
    Reaped {
        /// The child.
        pid: Pid,
        /// The way it ended.
        ending: Ending,
    },
    /// A kept rank did not end by itself, but because its launcher's daemon ended.
    EndedByLauncher {
        /// The member.
        member: usize,
    },
    /// All children that had ended were reaped.
    Swept {
        /// True if any child is left, running or ended.
        has_children: bool,
    },
    /// All that a member wrote was read.
    OutputRead {
        /// The member.
        member: usize,
    },
    /// A signal was sent.
    Signalled {
        /// The reason.
        purpose: Purpose,
        /// True if the signal was not meant for every process.
        is_limited: bool,
        /// The number of processes that got it.
        reached: usize,
    },
    /// The answer to [`Action::Survey`]: the processes, parents before their children. `None` without /proc.
    Surveyed(Option<Vec<SurveyedProcess>>),
    /// A process that [`Action::Await`] named has ended.
    Gone(ProcessId),
    /// A signal has stopped a child.
    ChildStopped {
        /// The child.
        pid: Pid,
        /// The number of the signal.
        signal: i32,
    },
    /// The answer to [`Action::Lend`].
    LendingResult {
        /// The process.
        pid: Pid,
        /// The result.
        result: LendingResult,
    },
    /// Everything was suspended by [`Action::Suspend`], until SIGCONT comes.
    Suspended,
    /// The answer to [`Action::LookForOthers`].
    OnlyLaunchersLeft(bool),
    /// The answer to [`Action::LookForKeepers`] for one rank: true if it was seen without its keeper.
    KeeperSeen {
        /// The member.
        member: usize,
        /// True if the keeper is gone.
        is_gone: bool,
    },
    /// The number of bytes that the relay has written so far.
    Written(u64),
    /// The time of [`Group::deadline`] has come.
    Deadline,
}

/// A request to the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Action {
    /// Start a member.
    Start(usize),
    /// Send a signal to the processes that descend from footplate; [`Input::Signalled`] follows.
    Signal {
        /// The signal.
        signal: Signal,
        /// The processes that get it.
        to: Target,
        /// The reason, which comes back with the answer.
        purpose: Purpose,
    },
    /// List all processes and find out which of them handle this signal; [`Input::Surveyed`] follows.
    Survey(Signal),
    /// Send a signal to each of these processes; [`Input::Signalled`] follows.
    SignalEach {
        /// The signal.
        signal: Signal,
        /// The processes that get it.
        to: Vec<ProcessId>,
        /// The reason, which comes back with the answer.
        purpose: Purpose,
    },
    /// Let these stopped processes continue (SIGCONT).
    Continue(Vec<ProcessId>),
    /// Report the ends of these processes; [`Input::Gone`] follows for each.
    Await(Vec<ProcessId>),
    /// Send a signal to these processes alone.
    Forward {
        /// The number of the signal.
        number: i32,
        /// The processes.
        to: Vec<Pid>,
    },
    /// Lend the terminal to the group of a process; [`Input::LendingResult`] follows.
    Lend(Pid),
    /// Take the terminal back.
    TakeBack,
    /// Report a child that a signal has stopped.
    ReportStopped {
        /// The child.
        pid: Pid,
        /// The number of the signal.
        signal: i32,
    },
    /// Suspend everything, and footplate itself if a shell can continue it. If no process is known that can, send
    /// SIGTSTP to these processes only.
    Suspend {
        /// The processes.
        to: Vec<Pid>,
        /// The launchers that stay stopped when the others continue.
        frozen: Vec<usize>,
    },
    /// Let every process continue except these launchers.
    Resume(Vec<usize>),
    /// Freeze the launchers of these members and their daemons for good (SIGSTOP).
    Freeze(Vec<usize>),
    /// Check if any process is left except these launchers and their daemons; [`Input::OnlyLaunchersLeft`] follows.
    LookForOthers(Vec<usize>),
    /// Check which of these ranks have lost their keepers; [`Input::KeeperSeen`] follows for each.
    LookForKeepers(Vec<(usize, Pid)>),
    /// Close the writing ends that keep a member's streams open.
    Release(usize),
    /// End all streams after reading what is available at once; [`Input::Written`] follows.
    CloseStreams,
    /// Ask the relay how many bytes it has written; [`Input::Written`] follows.
    AskWritten,
    /// Announce news about the group.
    Tell(News),
    /// Log a sentence.
    Log(tracing::Level, String),
}

/// The processes that a signal is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Target {
    /// Every descendant of footplate.
    Everything,
    /// Every descendant but these members and, for launchers, their daemons.
    AllBut(Vec<usize>),
    /// These members with their descendants.
    Only(Vec<usize>),
    /// The processes that footplate started for these members.
    Mains(Vec<usize>),
}

/// The reason why a signal is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Purpose {
    /// Pass a stop signal on.
    Stop(Signal),
    /// End ranks because a member has failed.
    Failure,
    /// End ranks because of another host.
    Peers,
    /// Signal the processes that waited, because all processes that handle the stop signal have ended.
    Follow(Signal),
    /// End services, because the ranks have ended.
    Close,
    /// End the processes that the members left behind.
    Leftovers,
    /// Kill the processes that still run.
    Kill(Option<KillReason>),
    /// Repeat a signal, or send one that is not logged.
    Again,
}

/// An announcement about the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum News {
    /// A member runs.
    Began(usize),
    /// A service is ready.
    Ready(usize),
    /// A service was not ready in time.
    Late(usize),
    /// This host has completed a step of a launch with services.
    Completed(CommonStep),
    /// A member has ended.
    Ended(usize),
    /// A member has failed. It is announced again when all its output was read.
    Failed(usize),
    /// A stop signal came.
    Stopping(Signal),
    /// Processes were killed.
    Killed(Option<KillReason>),
    /// At an orderly stop, a signal ended a rank that a launcher started.
    RankKilled,
    /// Only launchers are left, which wait for the ranks of other hosts. Holds the tally of ranks that failed.
    Drained(RankTally),
}

/// The result of an attempt to lend the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum LendingResult {
    /// The process's group has the terminal and continues.
    LentTerminal,
    /// Another job has the terminal.
    Elsewhere,
    /// There is no terminal.
    Missing,
}
