//! Services: they start before the ranks, stage by stage, and end after them, in their shutdown order.

use std::time::Instant;

use nix::sys::signal::Signal;

use super::super::timing::CLOSE_TIME;
use super::member::Life;
use super::{Action, Group, GroupMember, News, Phase, Purpose, Target};
use crate::event::CommonStep;

/// The steps of a launch whose services wait for those of other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnSteps {
    /// The last step that this host may take: [`CommonStep::LAST`] if it waits for no other host.
    pub(super) allowed: CommonStep,
    /// The last step that this host has completed, as it was announced.
    pub(super) completed: CommonStep,
}

impl Group {
    /// Notes that a service is ready, which may be what the next stage waits for.
    pub(super) fn ready(&mut self, member: usize) -> Vec<Action> {
        if self.members[member].is_ready || !self.members[member].is_running() {
            return Vec::new();
        }
        self.members[member].is_ready = true;
        self.members[member].ready_until = None;
        let mut actions = vec![Action::Tell(News::Ready(member))];
        actions.extend(self.start_next());
        actions
    }

    /// Notes the step that every host may take now.
    pub(super) fn allow(&mut self, step: CommonStep) -> Vec<Action> {
        self.steps.allowed = self.steps.allowed.max(step);
        // A sweep follows, which ends services if they may end.
        self.start_next()
    }

    /// Starts the members of the next stage, if all services of lower stages are ready, on every host that this one waits
    /// for. Ranks form the last stage.
    pub(super) fn start_next(&mut self) -> Vec<Action> {
        let waiting = self.own().filter(|member| member.waits_for_start());
        let Some(next) = waiting.map(step_of).min().filter(|_| self.phase == Phase::Running) else { return Vec::new() };
        let is_held_up = self.own().any(|member| step_of(member) < next && !member.is_ready);
        if is_held_up || self.steps.allowed < next {
            return Vec::new();
        }
        let starts = self.positions(|member| member.is_own() && member.waits_for_start() && step_of(member) == next);
        for at in &starts {
            self.members[*at].life = Life::Starting;
        }
        starts.into_iter().map(Action::Start).collect()
    }

    /// Announces the last step that this host has completed, if that is news.
    pub(super) fn completed(&mut self) -> Option<Action> {
        if self.steps.allowed == CommonStep::LAST {
            return None;
        }
        let is_unready = |member: &&GroupMember| {
            member.service().is_some() && (self.still_starts(member) || member.is_running() && !member.is_ready)
        };
        let is_starting = self.phase == Phase::Running;
        let unready = self.own().filter(is_unready).map(step_of).min().filter(|_| is_starting);
        let closing = self.members.iter().filter(|member| member.is_running());
        let closing = closing.filter_map(|member| Some(CommonStep::close(member.service()?.stop_order))).min();
        let open = match unready {
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

    /// Returns the time by which the next service must be ready.
    pub(super) fn ready_until(&self) -> Option<Instant> {
        let late = self.members.iter().filter(|member| member.is_running()).filter_map(|member| member.ready_until);
        late.min().filter(|_| self.phase == Phase::Running)
    }

    /// Kills services that are not ready in time. Their ends are failures.
    pub(super) fn end_late(&mut self, now: Instant) -> Vec<Action> {
        let late = self.positions(|member| member.is_running() && member.ready_until.is_some_and(|until| until <= now));
        let mut actions = Vec::new();
        for member in late {
            self.members[member].ready_until = None;
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

    /// Ends services when the ranks have ended, on every host that this one waits for: those of the lowest place in the
    /// shutdown order first. After a failure, those of other hosts are not waited for.
    pub(super) fn close_services(&mut self, now: Instant) -> Vec<Action> {
        let running = self.members.iter().filter(|member| member.is_running());
        let Some(order) = running.filter_map(|member| Some(member.service()?.stop_order)).min() else {
            return Vec::new();
        };
        let why = self.phase.why();
        let has_failed = why.is_some_and(|why| !why.is_orderly());
        let may_close = has_failed || self.steps.allowed >= CommonStep::close(order);
        if self.is_rank_left() || !may_close {
            return Vec::new();
        }
        let until = match self.phase {
            Phase::Running => now + CLOSE_TIME,
            Phase::Closing { order: present, .. } if present >= order => return Vec::new(),
            // The grace period of a stop counts for all, because the platform's own does.
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
        // Each engine ends what it has started in an order of its own.
        let to = Target::Mains(self.positions(is_due));
        vec![Action::Signal { signal: Signal::SIGTERM, to, purpose: Purpose::Close }]
    }
}

/// Returns the step in which a member starts.
fn step_of(member: &GroupMember) -> CommonStep {
    member.service().map_or(CommonStep::SCRIPT, |service| CommonStep::start(service.stage))
}
