//! The members of a group: processes that footplate starts, and ranks that one of them starts under a keeper.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::event::Ending;

/// The part that a member plays in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Part {
    /// A process of the script that footplate starts.
    Process,
    /// A launcher. It starts ranks and ends when they have ended, so an orderly stop signals the ranks and not the
    /// launcher.
    Launcher,
    /// A rank of the script that a launcher starts under a keeper. Holds the rank.
    KeptRank(usize),
    /// A service of an engine. It runs until every rank has ended.
    Service(Service),
}

/// The rules of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The stage in which it starts. The members of a stage start when all services of lower stages are ready; ranks
    /// start last.
    pub stage: u8,
    /// The meaning of an end before the ranks have ended.
    pub end: ServiceEnd,
    /// The place in the shutdown order. Lower places are ended first.
    pub stop_order: u8,
}

/// The meaning of a service's end before the ranks have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceEnd {
    /// Any end is a failure.
    Failure,
    /// An end with exit code 0 is no failure.
    FailureUnlessZero,
}

/// The state of a member's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Life {
    /// The process was not started yet, or its keeper has not reported yet.
    Waiting,
    /// The shell was asked to start the process.
    Starting,
    /// The process runs.
    Running(Pid),
    /// The process has ended, or the group ended without it.
    Ended(End),
}

/// The end of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) struct End {
    /// The way it ended.
    pub ending: Ending,
    /// The time for which the member ran.
    pub duration: Duration,
    /// True if the member was told to end before it ended, because another member or host had failed or a stop signal
    /// had come.
    pub followed: bool,
}

/// The state of a member that others wait for before they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum ReadyState {
    /// The member is ready. All members but services are, as soon as they run.
    Ready,
    /// A service does not run yet, or was killed because it was not ready in time.
    Unready,
    /// A service runs, and must be ready by this time.
    Until(Instant),
}

/// The ending that is reported for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum ReportedEnding {
    /// The ending of its process.
    Own,
    /// Exit code 0: a launcher was killed because it had nothing left to wait for.
    Success,
    /// Python's exit code for an exception: the member was killed because it did not end after a traceback.
    Exception,
}

/// The part of a member's failure that has been announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Announced {
    Nothing,
    Failure,
    FailureWithOutput,
}

/// A member of a group.
#[derive(Debug)]
pub(in crate::supervise) struct GroupMember {
    /// The position of the member's specification. A launcher shares its specification with the ranks that it
    /// launches.
    pub spec: usize,
    /// The part that the member plays.
    pub part: Part,
    /// The state of the member's process.
    pub life: Life,
    /// The state of a service before it is ready.
    pub ready_state: ReadyState,
    /// True once all output of the member was read.
    pub is_read: bool,
    /// The ending that is reported once the member has ended.
    pub reported: ReportedEnding,
    /// The time since which a kept rank was seen without its keeper.
    pub orphan_since: Option<Instant>,
    announced: Announced,
}

impl GroupMember {
    pub(in crate::supervise) fn new(spec: usize, part: Part) -> GroupMember {
        GroupMember {
            spec,
            part,
            life: Life::Waiting,
            ready_state: if matches!(part, Part::Service(_)) { ReadyState::Unready } else { ReadyState::Ready },
            is_read: false,
            reported: ReportedEnding::Own,
            orphan_since: None,
            announced: Announced::Nothing,
        }
    }

    /// Returns the rank of a member that runs under a keeper.
    pub(in crate::supervise) fn kept_rank(&self) -> Option<usize> {
        match self.part {
            Part::KeptRank(rank) => Some(rank),
            Part::Process | Part::Launcher | Part::Service(_) => None,
        }
    }

    /// Returns true for a process that footplate itself starts.
    pub(in crate::supervise) fn is_own(&self) -> bool {
        self.kept_rank().is_none()
    }

    pub(in crate::supervise) fn is_launcher(&self) -> bool {
        self.part == Part::Launcher
    }

    pub(in crate::supervise) fn service(&self) -> Option<Service> {
        match self.part {
            Part::Service(service) => Some(service),
            Part::Process | Part::Launcher | Part::KeptRank(_) => None,
        }
    }

    /// Returns true once the member's process was started, even if it has ended since.
    pub(in crate::supervise) fn has_begun(&self) -> bool {
        !matches!(self.life, Life::Waiting | Life::Starting)
    }

    pub(in crate::supervise) fn is_ready(&self) -> bool {
        self.ready_state == ReadyState::Ready
    }

    /// Returns the time by which a running service must be ready.
    pub(in crate::supervise) fn ready_until(&self) -> Option<Instant> {
        match self.ready_state {
            ReadyState::Until(time) if self.is_running() => Some(time),
            ReadyState::Until(_) | ReadyState::Ready | ReadyState::Unready => None,
        }
    }

    /// Returns true if the shell was not asked to start the member yet.
    pub(in crate::supervise) fn waits_for_start(&self) -> bool {
        self.life == Life::Waiting
    }

    pub(in crate::supervise) fn is_running(&self) -> bool {
        matches!(self.life, Life::Running(_))
    }

    /// Returns the process number while it runs.
    pub(in crate::supervise) fn pid(&self) -> Option<Pid> {
        match self.life {
            Life::Running(pid) => Some(pid),
            Life::Waiting | Life::Starting | Life::Ended(_) => None,
        }
    }

    pub(in crate::supervise) fn end(&self) -> Option<End> {
        match self.life {
            Life::Ended(end) => Some(end),
            Life::Waiting | Life::Starting | Life::Running(_) => None,
        }
    }

    /// Returns true if the member's end is a failure. The end of a service counts as one unless it was told to end.
    pub(in crate::supervise) fn has_failed(&self) -> bool {
        let Some(end) = self.end() else { return false };
        let fails_anyway = self.service().is_some_and(|service| service.end == ServiceEnd::Failure && !end.followed);
        !end.ending.is_success() || fails_anyway
    }

    /// Returns true if the member failed before it was told to end.
    pub(in crate::supervise) fn has_failed_itself(&self) -> bool {
        self.has_failed() && self.end().is_some_and(|end| !end.followed)
    }

    /// Returns true for a kept rank that was killed by a signal.
    pub(in crate::supervise) fn is_killed_rank(&self) -> bool {
        !self.is_own() && self.end().is_some_and(|end| matches!(end.ending, Ending::Signaled(_)))
    }

    /// Returns true if there is news about the member's failure: first that it failed, and later that all its output
    /// was read. A member that was told to end and exits with a failure may have been failing before. A member that
    /// was killed by a signal after it was told to end has not failed.
    pub(in crate::supervise) fn has_news(&mut self) -> bool {
        let Some(end) = self.end().filter(|_| self.has_failed()) else { return false };
        if end.followed && (matches!(end.ending, Ending::Signaled(_)) || self.service().is_some()) {
            return false;
        }
        let known = if self.is_read { Announced::FailureWithOutput } else { Announced::Failure };
        let is_new = known > self.announced;
        self.announced = known;
        is_new
    }
}
