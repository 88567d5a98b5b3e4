//! Services: they start before the ranks, stage by stage, and end after them, in their shutdown order.

use std::time::Instant;

use nix::sys::signal::Signal;

use super::{Action, Group, GroupMember, News, Phase, Purpose, Release, Target};

impl Group {
    /// Notes that a service is ready, which may be what the next stage waits for.
    pub(super) fn ready(&mut self, member: usize) -> Vec<Action> {
        if self.members[member].is_ready || !self.members[member].is_running() {
            return Vec::new();
        }
        self.members[member].is_ready = true;
        let mut actions = vec![Action::Tell(News::Ready(member))];
        actions.extend(self.start_next());
        actions
    }

    /// Starts the members of the next stage, if all services of lower stages are ready. Ranks form the last stage.
    pub(super) fn start_next(&self) -> Vec<Action> {
        let stage =
            |member: &GroupMember| member.service().map_or(u16::from(u8::MAX) + 1, |service| service.stage.into());
        let waiting = self.own().filter(|member| !member.has_begun());
        let Some(next) = waiting.map(stage).min().filter(|_| self.phase == Phase::Running) else { return Vec::new() };
        let is_held_up = self.own().any(|member| stage(member) < next && !member.is_ready);
        if is_held_up {
            return Vec::new();
        }
        let starts = self.positions(|member| member.is_own() && !member.has_begun() && stage(member) == next);
        starts.into_iter().map(Action::Start).collect()
    }

    /// Returns true for a member that will still be started.
    pub(super) fn still_starts(&self, member: &GroupMember) -> bool {
        !member.has_begun() && self.phase == Phase::Running
    }

    /// Ends services when the ranks have ended: those of the lowest place in the shutdown order first. On a host that only
    /// serves, the ranks are those of other hosts.
    pub(super) fn close_services(&mut self, now: Instant) -> Vec<Action> {
        let is_rank = |member: &&GroupMember| member.service().is_none();
        let mut ranks = self.members.iter().filter(is_rank).peekable();
        let only_serves = ranks.peek().is_none();
        let is_rank_left = ranks.any(|member| member.is_running() || self.still_starts(member));
        let is_needed = only_serves && self.phase == Phase::Running && self.release == Release::Awaited;
        if is_rank_left || is_needed {
            return Vec::new();
        }
        let running = self.members.iter().filter(|member| member.is_running());
        let Some(order) = running.filter_map(|member| Some(member.service()?.stop_order)).min() else {
            return Vec::new();
        };
        // The grace period of a stop counts for all, because the platform's own does.
        let until = match self.phase {
            Phase::Running => now + self.timing.grace_period,
            Phase::Closing { order: present, .. } if present == order => return Vec::new(),
            Phase::Stopping { until, .. } | Phase::Closing { until, .. } => until,
            Phase::Draining { .. }
            | Phase::Ending { .. }
            | Phase::Killed { .. }
            | Phase::Flushing { .. }
            | Phase::Over { .. } => return Vec::new(),
        };
        self.phase = Phase::Closing { stop: self.phase.stop(), order, until };
        let to = self.positions(|member| {
            member.is_running() && member.service().is_some_and(|service| service.stop_order == order)
        });
        vec![Action::Signal { signal: Signal::SIGTERM, to: Target::Only(to), purpose: Purpose::Close }]
    }
}
