//! Launchers and the ranks that they started: whom a stop is for, how far ranks are, and when launchers are not needed any
//! more.

use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::super::keeper::Note;
use super::super::phase::Phase;
use super::super::{AllRanks, tree};
use super::{KILL_PATIENCE, Run};
use crate::event::Ending;

/// How long launchers may go on when none of the processes that they started here is left, once another host has failed:
/// mpirun can wait for ever for the daemon of a host that is cut off.
const LAUNCHER_PATIENCE: Duration = Duration::from_secs(3);

/// How often it is looked whether only launchers are left, and the same where it is known how each rank ended: then nothing
/// else is waited for.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(500);
const KEPT_LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How often it is looked whether ranks have lost their keepers.
pub(super) const KEEPER_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long ranks may be without keepers: mpirun that ends its ranks kills those, and then ends itself.
const KEEPER_PATIENCE: Duration = Duration::from_secs(5);

/// How a rank of Open MPI 4 ends, without a word, a second after the daemon that has started it: as an exit code,
/// PMIX_ERR_LOST_CONNECTION_TO_SERVER, which is -61.
pub(super) const LOST_DAEMON: Ending = Ending::Exited(195);

/// As what that counts: mpirun has ended it.
pub(super) const BY_DAEMON: Ending = Ending::Signaled(libc::SIGTERM);

/// How far it is that launchers have nothing to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    Not,
    /// Nothing is left here but launchers.
    Here,
    /// The same, and it was told.
    Told,
}

impl Run<'_> {
    /// Passes a stop signal on, so that everybody has the grace period: launchers only where they have started nothing.
    pub(super) fn stop_ranks(&self, signal: Signal) -> usize {
        let launchers = self.launchers();
        let has_begun = self.programs.iter().any(|program| program.rank.is_some() && program.pid.is_some());
        match tree::signal_all_but(&launchers, signal, &self.groups()) {
            0 if !launchers.is_empty() && !has_begun => tree::signal_all(signal, &self.groups()),
            reached => reached,
        }
    }

    pub(super) fn launchers(&self) -> Vec<Pid> {
        self.own().filter(|(program, _)| program.is_launcher).map(|(_, pid)| pid).collect()
    }

    /// Whether a rank that has a keeper has failed.
    pub(super) fn kept_failed(&self) -> bool {
        self.programs.iter().any(|program| program.rank.is_some() && program.has_failed_itself())
    }

    /// From now on it is looked whether ranks are left that are to end.
    pub(super) fn look_from_now(&mut self, is_orderly: bool) {
        self.is_orderly = is_orderly;
        self.next_look = Some((Instant::now() + KEPT_LOOK_INTERVAL, None));
    }

    /// Stops mpirun and its daemons for good: at an orderly stop, a rank was killed by it, here or on another host, because
    /// it does not handle the signal. Of that mpirun would make an end of the job within two seconds, and ranks of Open MPI 4
    /// end when their daemon does, whether they have saved or not. After a failure it is left to do so: other ranks that fail
    /// too wait in MPI_Abort for its answer.
    pub(super) fn freeze(&mut self) {
        let may_end = self.phase.has_ranks() && self.is_orderly && self.keepers.is_some();
        if may_end && !std::mem::replace(&mut self.is_frozen, true) {
            tree::freeze(&self.launchers());
        }
    }

    /// Heeds how far the ranks of all hosts are.
    pub(in crate::supervise) fn heed(&mut self, ranks: AllRanks) {
        match ranks {
            AllRanks::Run => {}
            AllRanks::Killed => self.freeze(),
            AllRanks::Ended => {
                self.awaits_release = false;
                if self.drained != Drained::Not {
                    self.dismiss();
                }
            }
        }
    }

    /// Looks whether only launchers are left, and ends them when they have been for long enough.
    pub(super) fn look(&mut self, alone_since: Option<Instant>) {
        let now = Instant::now();
        let alone_since = tree::only_launchers(&self.launchers()).then(|| alone_since.unwrap_or(now));
        let (interval, patience) = match (&self.keepers, self.is_frozen || !self.is_orderly) {
            (Some(_), true) => (KEPT_LOOK_INTERVAL, Duration::ZERO),
            // A launcher whose ranks ended well ends by itself.
            (Some(_), false) => (KEPT_LOOK_INTERVAL, LAUNCHER_PATIENCE),
            (None, _) => (LOOK_INTERVAL, LAUNCHER_PATIENCE),
        };
        self.next_look = Some((now + interval, alone_since));
        if alone_since.is_none_or(|since| now - since < patience) {
            return;
        }
        match self.keepers.is_some() && self.awaits_release {
            true => (self.drained, self.next_look) = (Drained::Here, None),
            false => self.dismiss(),
        }
    }

    /// Looks whether ranks have lost their keepers. mpirun that ends its ranks kills those, and then tells why; where it does
    /// not, somebody else did, and the rank is one that was killed.
    pub(super) fn look_for_keepers(&mut self) {
        self.next_look = Some((Instant::now() + KEEPER_LOOK_INTERVAL, None));
        for at in 0..self.programs.len() {
            let program = &mut self.programs[at];
            let is_orphan = program.is_kept() && program.pid.is_some_and(tree::is_child);
            program.orphan_since = is_orphan.then(|| program.orphan_since.unwrap_or_else(Instant::now));
            if program.orphan_since.is_some_and(|since| since.elapsed() >= KEEPER_PATIENCE) {
                self.end(at, Ending::Signaled(libc::SIGKILL));
            }
        }
    }

    /// Kills launchers, which have nothing left to wait for.
    pub(super) fn dismiss(&mut self) {
        if !matches!(self.phase, Phase::Failing(_) | Phase::Stopping(..)) {
            return;
        }
        tracing::debug!("killing the launcher, which has nothing left to wait for");
        let is_kept = self.keepers.is_some();
        for program in self.programs.iter_mut().filter(|program| program.is_launcher && program.ending.is_none()) {
            program.is_dismissed = is_kept;
        }
        tree::signal_all(Signal::SIGKILL, &self.groups());
        self.phase = Phase::Killed(self.stop(), Instant::now() + KILL_PATIENCE);
    }

    /// Hears what keepers have said.
    pub(super) fn hear(&mut self) {
        let Some(keepers) = self.keepers.clone() else { return };
        while let Some(note) = keepers.next() {
            self.said(note);
        }
    }

    /// Notes what a keeper has said of its rank.
    pub(in crate::supervise) fn said(&mut self, note: Note) {
        let (Note::Began(rank, _) | Note::Ended(rank, _)) = note;
        let Some(at) = self.programs.iter().position(|program| program.rank == Some(rank)) else { return };
        match note {
            Note::Began(_, pid) => self.programs[at].pid = Some(pid),
            Note::Ended(_, ending) => self.end(at, ending),
        }
    }
}
