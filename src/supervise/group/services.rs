//! Services: they start before the ranks, stage by stage, and end after them, in their shutdown order.

use std::time::Instant;

use nix::sys::signal::Signal;

use super::super::timing::CLOSE_TIME;
use super::member::{Life, ReadyState, ServiceEnd};
use super::{Action, Group, GroupMember, News, Phase, Purpose, Target};
use crate::event::CommonStep;

/// The progress of this host in the common steps of a launch whose services wait for those of other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnSteps {
    /// The last step that this host may take: [`CommonStep::LAST`] if it waits for no other host.
    pub(super) allowed: CommonStep,
    /// The last step that was announced as completed on this host.
    pub(super) completed: CommonStep,
}

impl Group {
    /// Records that a service is ready. The next stage may have been waiting for it.
    pub(super) fn ready(&mut self, member: usize) -> Vec<Action> {
        if self.members[member].is_ready() || !self.members[member].is_running() {
            return Vec::new();
        }
        self.set_ready(member)
    }

    /// Records the end of a service that may end early, with success. It had nothing to do, so it counts as ready, even if its
    /// end is reported before the line that says so.
    pub(super) fn done(&mut self, member: usize) -> Vec<Action> {
        let ended = &self.members[member];
        let may_end = ended.service().is_some_and(|service| service.end == ServiceEnd::FailureUnlessZero);
        let has_succeeded = ended.end().is_some_and(|end| end.ending.is_success());
        if ended.is_ready() || !may_end || !has_succeeded || self.phase != Phase::Running {
            return Vec::new();
        }
        self.set_ready(member)
    }

    fn set_ready(&mut self, member: usize) -> Vec<Action> {
        self.members[member].ready_state = ReadyState::Ready;
        let mut actions = vec![Action::Tell(News::Ready(member))];
        actions.extend(self.start_next());
        actions
    }

    /// Records the step that every host may take now.
    pub(super) fn allow(&mut self, step: CommonStep) -> Vec<Action> {
        self.steps.allowed = self.steps.allowed.max(step);
        // A sweep follows, which ends services if they may end.
        self.start_next()
    }

    /// Starts the members of the next stage, if all services of lower stages are ready on this host and on every host
    /// that it waits for. Ranks form the last stage.
    pub(super) fn start_next(&mut self) -> Vec<Action> {
        let waiting = self.own().filter(|member| member.waits_for_start());
        let Some(next) = waiting.map(step_of).min().filter(|_| self.phase == Phase::Running) else { return Vec::new() };
        let is_held_up = self.own().any(|member| step_of(member) < next && !member.is_ready());
        if is_held_up || self.steps.allowed < next {
            return Vec::new();
        }
        let starts = self.positions(|member| member.is_own() && member.waits_for_start() && step_of(member) == next);
        for at in &starts {
            self.members[*at].life = Life::Starting;
        }
        starts.into_iter().map(Action::Start).collect()
    }

    /// Announces the last step that this host has completed, unless it was announced already.
    pub(super) fn completed(&mut self) -> Option<Action> {
        if self.steps.allowed == CommonStep::LAST {
            return None;
        }
        let closing = self.members.iter().filter(|member| member.is_running());
        let closing = closing.filter_map(|member| Some(CommonStep::close(member.service()?.stop_order))).min();
        let open = match self.first_unready() {
            Some(step) => step,
            None if self.is_rank_left() => CommonStep::SCRIPT,
            None => closing.unwrap_or(CommonStep::LAST),
        };
        let completed = open.previous();
        if completed <= self.steps.completed {
            return None;
        }
        self.steps.completed = completed;
        Some(Action::Tell(News::Completed(completed)))
    }

    /// Returns the first step in which a member has not started, or a service is not ready. It remains the first one if the
    /// group is told to end meanwhile, so that no other host takes the next step.
    fn first_unready(&self) -> Option<CommonStep> {
        let is_unready =
            |member: &&GroupMember| !member.has_begun() || (member.service().is_some() && !member.is_ready());
        self.own().filter(is_unready).map(step_of).min()
    }

    /// Returns the time by which the next service must be ready.
    pub(super) fn ready_until(&self) -> Option<Instant> {
        let times = self.members.iter().filter_map(GroupMember::ready_until);
        times.min().filter(|_| self.phase == Phase::Running)
    }

    /// Kills services that are not ready in time. Their ends are failures.
    pub(super) fn end_late(&mut self, now: Instant) -> Vec<Action> {
        let late = self.positions(|member| member.ready_until().is_some_and(|until| until <= now));
        let mut actions = Vec::new();
        for member in late {
            self.members[member].ready_state = ReadyState::Unready;
            let (signal, to) = (Signal::SIGKILL, Target::Only(vec![member]));
            actions.push(Action::Tell(News::Late(member)));
            actions.push(Action::Signal { signal, to, purpose: Purpose::Again });
        }
        actions
    }

    /// Returns true for a member that will still be started.
    pub(super) fn still_starts(&self, member: &GroupMember) -> bool {
        !member.has_begun() && self.phase == Phase::Running
    }

    /// Returns true while a process of the script runs here, or will be started.
    fn is_rank_left(&self) -> bool {
        let mut ranks = self.members.iter().filter(|member| member.service().is_none());
        ranks.any(|member| member.is_running() || self.still_starts(member))
    }

    /// Ends services when the ranks have ended on this host and on every host that it waits for. Services with the
    /// lowest place in the shutdown order end first. This host does not wait for other hosts after a failure, or if it was
    /// told to end while it was starting: they wait for it.
    pub(super) fn close_services(&mut self, now: Instant) -> Vec<Action> {
        let running = self.members.iter().filter(|member| member.is_running());
        let Some(order) = running.filter_map(|member| Some(member.service()?.stop_order)).min() else {
            return Vec::new();
        };
        let why = self.phase.why();
        let has_failed = why.is_some_and(|why| !why.is_orderly());
        let was_starting = why.is_some() && self.first_unready().is_some();
        let may_close = has_failed || was_starting || self.steps.allowed >= CommonStep::close(order);
        if self.is_rank_left() || !may_close {
            return Vec::new();
        }
        let until = match self.phase {
            Phase::Running => now + CLOSE_TIME,
            Phase::Closing { order: present, .. } if present >= order => return Vec::new(),
            // The grace period of a stop applies to everything, because it reflects the platform's own limit.
            Phase::Stopping { until, .. } => until.min(now + CLOSE_TIME),
            Phase::Closing { until, .. } => until,
            Phase::Draining { .. }
            | Phase::Ending { .. }
            | Phase::Killed { .. }
            | Phase::Flushing { .. }
            | Phase::Over { .. } => return Vec::new(),
        };
        self.phase = Phase::Closing { why, order, until };
        let is_due = |member: &GroupMember| {
            member.is_running() && member.service().is_some_and(|service| service.stop_order == order)
        };
        // Each engine ends the processes that it started in its own order.
        let to = Target::Mains(self.positions(is_due));
        vec![Action::Signal { signal: Signal::SIGTERM, to, purpose: Purpose::Close }]
    }
}

/// Returns the step in which a member starts.
fn step_of(member: &GroupMember) -> CommonStep {
    member.service().map_or(CommonStep::SCRIPT, |service| CommonStep::start(service.stage))
}
