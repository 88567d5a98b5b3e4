//! The life of processes that run side by side, as a pure state machine.
//!
//! [`Group::step`] takes an [`Input`] and the time and returns [`Action`]s. It starts nothing, sends no signal, and
//! reads no file and no clock. The [`Shell`](super::shell) does that, and hands the results back as inputs.
//!
//! ```text
//! Running ─► Stopping ─► Closing ─► Draining ─► Ending ─► Killed ─► Flushing ─► Over
//! ```
//!
//! Each phase may be skipped. A failure, a stop signal or another host leads from Running to Stopping; the end of all
//! members to Draining; a second stop signal or the end of a grace period to Killed.

mod branches;
mod launchers;
mod member;
mod phase;
mod protocol;
mod resend;
mod services;
mod stopping;
mod terminal;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::Stop;
use super::timing::Timing;
use super::timing::{ABORT_PATIENCE, FLUSH_PATIENCE, KILL_PATIENCE};
use crate::event::{CommonStep, Ending, KillReason};

pub(super) use branches::{Place, ProcessId, ProgramImage, Reaction, SurveyedProcess};
pub(super) use launchers::{Release, Watch};
use member::ReadyState;
pub(super) use member::{End, GroupMember, Part, ReportedEnding};
pub use member::{Service, ServiceEnd};
pub(super) use phase::{EndReason, OutputFate, Phase};
pub(super) use protocol::{Action, Input, LendingResult, News, Purpose, Target};

use launchers::{Drained, Frozen};
use resend::SignalledForks;
use services::OwnSteps;
use stopping::SignalOrder;
use terminal::Terminal;

/// The exit code of Python after an uncaught exception.
const TRACEBACK_CODE: i32 = 1;

/// Processes that run side by side.
#[derive(Debug)]
pub(super) struct Group {
    members: Vec<GroupMember>,
    timing: Timing,
    begun: Instant,
    phase: Phase,
    /// True if the last sweep found any child, running or ended.
    has_children: bool,
    /// The state of the regular checks on launchers and keepers.
    watch: Watch,
    /// True if the ranks of a launcher have keepers, which report how each rank ended.
    has_keepers: bool,
    release: Release,
    steps: OwnSteps,
    /// The time at which the other ranks are ended after a rank aborted.
    abort_until: Option<Instant>,
    frozen: Frozen,
    drained: Drained,
    /// The order in which a stop signal is sent to the processes.
    order: SignalOrder,
    /// The forked processes that may have lost the stop signal.
    signalled_forks: Option<SignalledForks>,
    terminal: Terminal,
}

impl Group {
    /// Makes a group of members that all wait to be started. The process of a specification comes before the ranks
    /// that it launches.
    pub(super) fn new(
        parts: &[(usize, Part)],
        timing: Timing,
        release: Release,
        allowed: CommonStep,
        now: Instant,
    ) -> Group {
        let members: Vec<GroupMember> = parts.iter().map(|(spec, part)| GroupMember::new(*spec, *part)).collect();
        let has_keepers = members.iter().any(|member| !member.is_own());
        Group {
            members,
            timing,
            begun: now,
            phase: Phase::Running,
            has_children: false,
            watch: Watch::Off,
            has_keepers,
            release,
            steps: OwnSteps { allowed, completed: CommonStep::NONE },
            abort_until: None,
            frozen: Frozen::No,
            drained: Drained::No,
            order: SignalOrder::AtOnce,
            signalled_forks: None,
            terminal: Terminal::default(),
        }
    }

    /// Returns the first actions: the members of the lowest stage start.
    pub(super) fn begin(&mut self, now: Instant) -> Vec<Action> {
        if self.has_keepers {
            self.watch_keepers(now);
        }
        let mut actions = self.start_next();
        actions.extend(self.completed());
        actions
    }

    /// Takes a fact and returns what follows from it.
    pub(super) fn step(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let mut actions = self.handle(input, now);
        actions.extend(self.completed());
        actions
    }

    fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        match input {
            Input::Started { member, pid } => self.began(member, pid, now),
            Input::Ready { member } => self.ready(member),
            Input::Outlived { member } => self.outlived(member),
            Input::Caught(number) => self.caught(number, now),
            Input::PeersStop(stop) => self.stop_for_peers(stop, now),
            Input::PeerRanks(ranks) => self.record_peer_ranks(ranks, now),
            Input::Allowed(step) => self.allow(step),
            Input::RankBegan { rank, pid } => match self.kept(rank) {
                Some(member) => {
                    let mut actions = self.began(member, pid, now);
                    actions.extend(self.signal_late_rank(pid));
                    actions
                }
                None => Vec::new(),
            },
            Input::RankEnded { rank, ending } => match self.kept(rank) {
                Some(member) => self.ended(member, ending, now),
                None => Vec::new(),
            },
            Input::Reaped { pid, ending } => self.reaped(pid, ending, now),
            Input::EndedByLauncher { member } => self.ended_as(member, Ending::Signaled(libc::SIGTERM), true, now),
            Input::Swept { has_children } => {
                self.has_children = has_children;
                let mut actions = self.swept(now);
                actions.extend(self.news());
                actions
            }
            Input::OutputRead { member } => {
                self.members[member].is_read = true;
                Vec::new()
            }
            Input::Signalled { purpose, is_limited, reached } => {
                let is_in_vain = is_limited && reached == 0 && self.waits_for_first_rank();
                if is_in_vain { self.signal_everything(purpose) } else { self.signalled(purpose, reached, now) }
            }
            Input::Surveyed(seen) => self.surveyed(seen, now),
            Input::Gone(process) => self.process_ended(process),
            Input::ChildStopped { pid, signal } => self.child_stopped(pid, signal),
            Input::LendingResult { pid, result } => self.lending(pid, result, now),
            Input::Suspended => self.suspended(),
            Input::OnlyLaunchersLeft(is_so) => self.checked_for_others(is_so, now),
            Input::KeeperSeen { member, is_gone } => self.checked_for_keeper(member, is_gone, now),
            Input::Written(bytes) => self.written(bytes, now),
            Input::Deadline => self.overdue(now),
        }
    }

    /// Returns the time at which [`Input::Deadline`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let look = self.watch.next_check().filter(|_| self.phase.has_ranks());
        let abort = self.abort_until.filter(|_| self.phase == Phase::Running);
        let late = self.ready_until();
        let due = [look, self.next_survey(), self.terminal_is_due(), self.phase.deadline(), abort, late];
        due.into_iter().flatten().min()
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn members(&self) -> &[GroupMember] {
        &self.members
    }

    /// Returns the time since the group began.
    pub(super) fn lasted(&self, now: Instant) -> Duration {
        now - self.begun
    }

    /// The members that footplate itself starts.
    fn own(&self) -> impl Iterator<Item = &GroupMember> {
        self.members.iter().filter(|member| member.is_own())
    }

    /// The position of the member for a rank that has a keeper.
    fn kept(&self, rank: usize) -> Option<usize> {
        self.members.iter().position(|member| member.kept_rank() == Some(rank))
    }

    fn positions(&self, is_wanted: impl Fn(&GroupMember) -> bool) -> Vec<usize> {
        (0..self.members.len()).filter(|at| is_wanted(&self.members[*at])).collect()
    }

    fn began(&mut self, member: usize, pid: Pid, now: Instant) -> Vec<Action> {
        let begun = &mut self.members[member];
        begun.life = member::Life::Running(pid);
        if !begun.is_ready() {
            begun.ready_state = ReadyState::Until(now + self.timing.service_time);
        }
        vec![Action::Tell(News::Began(member))]
    }

    /// Does the work that is due because the present phase has lasted long enough, or because a check is due.
    fn overdue(&mut self, now: Instant) -> Vec<Action> {
        if let Some(survey) = self.survey_if_due(now) {
            return vec![survey];
        }
        if let Some(actions) = self.update_terminal(now) {
            return actions;
        }
        let warn = |text: &str| Action::Log(tracing::Level::WARN, text.to_owned());
        match self.phase {
            Phase::Over { .. } => Vec::new(),
            Phase::Running if self.has_keepers => self.check_for_keepers(now),
            // A sweep follows, which ends the others if one has failed.
            Phase::Running => self.end_late(now),
            Phase::Stopping { until, .. } if now < until => self.check_for_others(),
            Phase::Stopping { why, .. } => {
                let (text, killed) = match why {
                    EndReason::Signal(_) => {
                        ("the grace period is over: killing what still runs", Some(KillReason::GraceOver))
                    }
                    EndReason::Failure | EndReason::Peers(_) => {
                        ("the grace period is over: killing the processes that still run", None)
                    }
                };
                let mut actions = vec![warn(text)];
                actions.extend(self.kill(self.phase.stop(), killed, now));
                actions
            }
            Phase::Closing { .. } => {
                let mut actions = vec![warn("the services have had their time: killing those that still run")];
                actions.extend(self.kill(self.phase.stop(), None, now));
                actions
            }
            Phase::Draining { .. } => {
                self.phase = Phase::Ending { until: now + self.timing.drain_time };
                let (signal, to) = (Signal::SIGTERM, Target::Everything);
                vec![Action::Signal { signal, to, purpose: Purpose::Leftovers }]
            }
            Phase::Ending { .. } => self.kill(None, None, now),
            Phase::Killed { stop, .. } => {
                let mut actions = vec![warn("some processes cannot even be killed, and are left behind")];
                actions.extend(self.flush(stop, now));
                actions
            }
            Phase::Flushing { stop, written, .. } => {
                // The relay's next answer is compared with the count of bytes written before.
                self.phase = Phase::Flushing { stop, written, until: now + FLUSH_PATIENCE };
                vec![Action::AskWritten]
            }
        }
    }

    fn kill(&mut self, stop: Option<Stop>, killed: Option<KillReason>, now: Instant) -> Vec<Action> {
        self.phase = Phase::Killed { stop, until: now + KILL_PATIENCE };
        let (signal, to) = (Signal::SIGKILL, Target::Everything);
        vec![Action::Signal { signal, to, purpose: Purpose::Kill(killed) }]
    }

    /// Ends the streams after reading what is available at once, because other processes may still hold them open.
    fn flush(&mut self, stop: Option<Stop>, now: Instant) -> Vec<Action> {
        self.phase = Phase::Flushing { stop, until: now + FLUSH_PATIENCE, written: None };
        vec![Action::CloseStreams]
    }

    /// Compares the relay's progress with that of the last check.
    fn written(&mut self, bytes: u64, now: Instant) -> Vec<Action> {
        let Phase::Flushing { stop, until, written } = self.phase else { return Vec::new() };
        match written {
            None => self.phase = Phase::Flushing { stop, until, written: Some(bytes) },
            Some(before) if before == bytes => self.phase = Phase::Over { stop, output: OutputFate::GivenUp },
            Some(_) => return self.flush(stop, now),
        }
        Vec::new()
    }

    /// Records the end of a child, if it is a member.
    fn reaped(&mut self, pid: Pid, ending: Ending, now: Instant) -> Vec<Action> {
        match self.members.iter().position(|member| member.pid() == Some(pid)) {
            Some(at) => self.ended(at, ending, now),
            None => Vec::new(),
        }
    }

    /// Records the end of a member.
    fn ended(&mut self, at: usize, ending: Ending, now: Instant) -> Vec<Action> {
        if self.members[at].end().is_some() {
            return Vec::new();
        }
        let followed = !matches!(self.phase, Phase::Running | Phase::Draining { .. });
        self.ended_as(at, ending, followed, now)
    }

    fn ended_as(&mut self, at: usize, ending: Ending, followed: bool, now: Instant) -> Vec<Action> {
        let member = &mut self.members[at];
        let ending = match (member.reported, ending) {
            (ReportedEnding::Success, _) => Ending::Exited(0),
            (ReportedEnding::Exception, Ending::Signaled(_)) => Ending::Exited(TRACEBACK_CODE),
            (ReportedEnding::Own | ReportedEnding::Exception, own) => own,
        };
        member.life = member::Life::Ended(End { ending, duration: now - self.begun, followed });
        let (spec, is_own) = (member.spec, member.is_own());
        // Once its launcher has ended, a rank whose keeper never reported has no process left that writes.
        let is_gone = |member: &GroupMember| is_own && member.spec == spec && !member.is_running();
        let released = (0..self.members.len()).filter(|place| *place == at || is_gone(&self.members[*place]));
        let mut actions: Vec<Action> = released.map(Action::Release).collect();
        actions.push(Action::Tell(News::Ended(at)));
        actions.extend(self.done(at));
        actions
    }

    /// Kills a member that waits for other ranks after its traceback, while they wait for it. Its end tells the
    /// others about its failure.
    fn outlived(&mut self, at: usize) -> Vec<Action> {
        let member = &mut self.members[at];
        if !member.is_running() || !self.phase.has_ranks() {
            return Vec::new();
        }
        member.reported = ReportedEnding::Exception;
        let log = "a process has written a traceback and does not end: killing it".to_owned();
        let (signal, to, purpose) = (Signal::SIGKILL, Target::Only(vec![at]), Purpose::Again);
        vec![Action::Log(tracing::Level::WARN, log), Action::Signal { signal, to, purpose }]
    }

    /// Moves on if a member has ended, or if nothing is left.
    fn swept(&mut self, now: Instant) -> Vec<Action> {
        if self.phase.is_over() {
            return Vec::new();
        }
        let mut actions = Vec::new();
        let any_runs = self.members.iter().any(GroupMember::is_running) || self.own().any(|member| !member.has_begun());
        if any_runs && self.phase == Phase::Running && self.has_to_end(now) {
            actions.extend(self.stop_members(EndReason::Failure, Signal::SIGTERM, Purpose::Failure, now));
        }
        if self.members.iter().any(GroupMember::is_killed_rank) {
            actions.extend(self.freeze());
        }
        actions.extend(self.close_services(now));
        if self.own().any(|member| member.is_running() || self.still_starts(member)) {
            return actions;
        }
        let is_all_read = self.members.iter().all(|member| member.is_read || member.is_own() && !member.has_begun());
        match (self.has_children, self.phase) {
            (false, _) if is_all_read => self.phase = Phase::Over { stop: self.phase.stop(), output: OutputFate::Read },
            (_, Phase::Running | Phase::Closing { why: None, .. }) => {
                self.phase = Phase::Draining { until: now + self.timing.drain_time };
            }
            // Leftovers of ranks, such as a child that saves, got SIGTERM with them and have the same grace period.
            (true, Phase::Killed { .. }) => {
                let (signal, to) = (Signal::SIGKILL, Target::Everything);
                actions.push(Action::Signal { signal, to, purpose: Purpose::Again });
            }
            (true, _) => {}
            // No process is left that could use the time.
            (false, Phase::Stopping { .. } | Phase::Closing { .. } | Phase::Ending { .. } | Phase::Killed { .. }) => {
                actions.extend(self.flush(self.phase.stop(), now))
            }
            (false, Phase::Draining { .. } | Phase::Flushing { .. } | Phase::Over { .. }) => {}
        }
        actions
    }

    /// Returns true if a member has failed and the others must be ended. A library that gives up on other ranks
    /// aborts its process in every rank at about the same time. All of these ranks are given time to report why.
    fn has_to_end(&mut self, now: Instant) -> bool {
        let mut failed = self.members.iter().filter(|member| member.has_failed_itself()).peekable();
        if failed.peek().is_none() {
            return false;
        }
        let is_abort =
            |member: &GroupMember| member.end().is_some_and(|end| end.ending == Ending::Signaled(libc::SIGABRT));
        let is_for_others = self.own().filter(|member| member.is_running()).count() > 0 && failed.all(is_abort);
        !is_for_others || now >= *self.abort_until.get_or_insert(now + ABORT_PATIENCE)
    }

    /// Returns the news since the last sweep.
    fn news(&mut self) -> Vec<Action> {
        // A launcher that fails after one of its ranks only follows that rank.
        let rank_failed = self.members.iter().any(|member| !member.is_own() && member.has_failed_itself());
        let mut actions = Vec::new();
        for (at, member) in self.members.iter_mut().enumerate() {
            if !(member.is_launcher() && rank_failed) && member.has_news() {
                actions.push(Action::Tell(News::Failed(at)));
            }
        }
        actions.extend(self.drained());
        actions
    }
}
