//! Launchers and the ranks that they start: which of them a stop is for, the progress of the ranks, and the time at
//! which launchers are not needed any more.

use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;

use super::super::PeerRanks;
use super::super::timing::{KEEPER_LOOK_INTERVAL, KEEPER_PATIENCE, KEPT_LOOK_INTERVAL, KILL_PATIENCE};
use super::super::timing::{LAUNCHER_PATIENCE, LOOK_INTERVAL};
use crate::event::{Ending, RankTally};

use super::{Action, EndReason, Group, GroupMember, News, Phase, Purpose, ReportedEnding, Target};

/// The state of the regular checks on launchers and keepers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Watch {
    /// No checks are made.
    Off,
    /// While ranks run: the time of the next check for ranks that have lost their keepers.
    Keepers(Instant),
    /// While ranks are to end: the next check for processes other than launchers.
    Others {
        /// The time of the next check.
        next: Instant,
        /// The time since which only launchers were seen.
        alone_since: Option<Instant>,
    },
}

impl Watch {
    pub(super) fn next_check(self) -> Option<Instant> {
        match self {
            Watch::Off => None,
            Watch::Keepers(next) | Watch::Others { next, .. } => Some(next),
        }
    }
}

/// The state of other hosts' need for the launchers of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Release {
    /// No other host needs them.
    Free,
    /// The ranks of other hosts need them until they have ended.
    Awaited,
}

/// The state of launchers during an orderly stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frozen {
    /// They run.
    No,
    /// They were stopped for good.
    Yes,
}

/// The progress towards the point at which launchers have nothing left to wait for on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    /// Processes other than launchers run, or are not known to have ended.
    No,
    /// Nothing is left here but launchers.
    Yes,
    /// Nothing is left here but launchers, and that was announced.
    Announced,
}

impl Group {
    /// Returns true if launchers were spared by a stop although they have started no rank yet. Then no process would
    /// end.
    pub(super) fn waits_for_first_rank(&self) -> bool {
        let has_launcher = self.members.iter().any(|member| member.is_launcher() && member.is_running());
        let has_begun = self.members.iter().any(|member| !member.is_own() && member.has_begun());
        has_launcher && !has_begun
    }

    pub(super) fn watch_keepers(&mut self, now: Instant) {
        self.watch = Watch::Keepers(now + KEEPER_LOOK_INTERVAL);
    }

    /// Decides if and when to check for processes other than launchers, once ranks were told to end.
    pub(super) fn watch_launchers(&mut self, why: EndReason, now: Instant) {
        let interval = match why {
            _ if self.has_keepers => Some(KEPT_LOOK_INTERVAL),
            // A launcher whose ranks were told to end because of another host may wait for that host for ever.
            EndReason::Peers(_) if !why.is_orderly() && !self.launchers().is_empty() => Some(LOOK_INTERVAL),
            EndReason::Signal(_) | EndReason::Failure | EndReason::Peers(_) => None,
        };
        self.watch = match interval {
            Some(interval) => Watch::Others { next: now + interval, alone_since: None },
            None => Watch::Off,
        };
    }

    fn launchers(&self) -> Vec<usize> {
        self.positions(|member| member.is_launcher() && member.has_begun())
    }

    fn is_stopping_in_order(&self) -> bool {
        matches!(self.phase, Phase::Stopping { why, .. } if why.is_orderly())
    }

    /// Freezes launchers and their daemons for good (SIGSTOP), because a rank that does not handle the signal was
    /// killed by it at an orderly stop, here or on another host. mpirun would end the job within two seconds of that,
    /// and ranks of Open MPI 4 end with their daemon even if they have not saved yet. After a failure, launchers are
    /// not frozen, because other ranks that fail too wait in MPI_Abort for mpirun's answer.
    pub(super) fn freeze(&mut self) -> Vec<Action> {
        if !self.is_stopping_in_order() || !self.has_keepers || self.frozen == Frozen::Yes {
            return Vec::new();
        }
        self.frozen = Frozen::Yes;
        vec![Action::Freeze(self.launchers()), Action::Tell(News::RankKilled)]
    }

    /// Records the progress of the ranks of all hosts, and returns what follows from it.
    pub(super) fn record_peer_ranks(&mut self, ranks: PeerRanks, now: Instant) -> Vec<Action> {
        match ranks {
            PeerRanks::Killed => self.freeze(),
            PeerRanks::Ended => {
                self.release = Release::Free;
                if self.drained == Drained::No { Vec::new() } else { self.dismiss(now) }
            }
        }
    }

    pub(super) fn check_for_others(&self) -> Vec<Action> {
        vec![Action::LookForOthers(self.launchers())]
    }

    /// Handles the result of a check for other processes. Ends launchers that have been alone for long enough.
    pub(super) fn checked_for_others(&mut self, is_alone: bool, now: Instant) -> Vec<Action> {
        let Watch::Others { alone_since, .. } = self.watch else { return Vec::new() };
        let alone_since = is_alone.then(|| alone_since.unwrap_or(now));
        let is_left_to_itself = self.is_stopping_in_order() && self.frozen == Frozen::No;
        let (interval, patience) = match (self.has_keepers, is_left_to_itself) {
            (true, false) => (KEPT_LOOK_INTERVAL, Duration::ZERO),
            // A launcher whose ranks ended successfully ends by itself.
            (true, true) => (KEPT_LOOK_INTERVAL, LAUNCHER_PATIENCE),
            (false, _) => (LOOK_INTERVAL, LAUNCHER_PATIENCE),
        };
        self.watch = Watch::Others { next: now + interval, alone_since };
        if alone_since.is_none_or(|since| now - since < patience) {
            return Vec::new();
        }
        if self.has_keepers && self.release == Release::Awaited {
            (self.drained, self.watch) = (Drained::Yes, Watch::Off);
            return Vec::new();
        }
        self.dismiss(now)
    }

    pub(super) fn check_for_keepers(&mut self, now: Instant) -> Vec<Action> {
        self.watch_keepers(now);
        let kept = self.members.iter().enumerate().filter(|(_, member)| !member.is_own());
        vec![Action::LookForKeepers(kept.filter_map(|(at, member)| Some((at, member.pid()?))).collect())]
    }

    /// Treats a rank that has been without its keeper for longer than `KEEPER_PATIENCE` as killed. When mpirun ends
    /// its ranks, it kills the keepers and then reports why. If mpirun reports nothing, something else has killed the
    /// keeper.
    pub(super) fn checked_for_keeper(&mut self, at: usize, is_gone: bool, now: Instant) -> Vec<Action> {
        let member = &mut self.members[at];
        member.orphan_since = is_gone.then(|| member.orphan_since.unwrap_or(now));
        if member.orphan_since.is_some_and(|since| now - since >= KEEPER_PATIENCE) {
            return self.ended(at, Ending::Signaled(libc::SIGKILL), now);
        }
        Vec::new()
    }

    /// Kills launchers that have nothing left to wait for.
    fn dismiss(&mut self, now: Instant) -> Vec<Action> {
        if !matches!(self.phase, Phase::Stopping { .. }) {
            return Vec::new();
        }
        if self.has_keepers {
            for member in self.members.iter_mut().filter(|member| member.is_launcher() && member.is_running()) {
                member.reported = ReportedEnding::Success;
            }
        }
        self.phase = Phase::Killed { stop: self.phase.stop(), until: now + KILL_PATIENCE };
        let log = "killing the launcher, which has nothing left to wait for".to_owned();
        let (signal, to, purpose) = (Signal::SIGKILL, Target::Everything, Purpose::Again);
        vec![Action::Log(tracing::Level::DEBUG, log), Action::Signal { signal, to, purpose }]
    }

    /// Announces once that only launchers are left here, after all output of the ranks was read.
    pub(super) fn drained(&mut self) -> Option<Action> {
        let mut kept = self.members.iter().filter(|member| !member.is_own() && member.has_begun());
        if self.drained != Drained::Yes || !kept.all(|member| member.is_read) {
            return None;
        }
        self.drained = Drained::Announced;
        let failed = || self.members.iter().filter(|member| !member.is_own() && member.has_failed());
        let ended = failed().filter(|member| !member.has_failed_itself()).filter_map(GroupMember::kept_rank);
        let by_themselves = failed().filter(|member| member.has_failed_itself()).count();
        Some(Action::Tell(News::Drained(RankTally { failed: by_themselves, ended: ended.collect() })))
    }
}
