//! Another attempt of all hosts after a failure.

use std::time::Instant;

use super::{Account, HostTable, LeaderAction, Standing};
use crate::cluster::message::Message;
use crate::event::Verdict;
use crate::failure::NextAttempt;

impl HostTable {
    /// Returns true if the ranks may be run again when all have ended.
    pub(super) fn may_restart(&self) -> bool {
        let is_able = |(host, standing): (&String, &Standing)| match standing {
            Standing::Absent | Standing::Present | Standing::Ready => true,
            Standing::Finished | Standing::Ended => self.willing.contains(host),
            Standing::Lost => false,
        };
        let cause = self.cause().map(|account| &account.cause);
        !self.is_decided && self.hosts.iter().all(is_able) && cause.is_some_and(|cause| self.restarts.allows(cause))
    }

    /// Begins the next attempt, if there is one. The ranks of all hosts have ended.
    pub(super) fn restart(&mut self, now: Instant) -> Option<LeaderAction> {
        if !self.may_restart() {
            return None;
        }
        let Account { host, cause, .. } = self.cause()?.clone();
        let NextAttempt { attempt, pause } = self.restarts.next(&cause, now.duration_since(self.begun))?;
        self.failures.clear();
        self.ended_ranks.clear();
        self.willing.clear();
        (self.settle_until, self.restart_until, self.is_rank_killed) = (None, None, false);
        self.begun = now + pause;
        for standing in self.hosts.values_mut().filter(|standing| **standing != Standing::Absent) {
            *standing = Standing::Ready;
        }
        Some(LeaderAction::All(Message::Restart { attempt, pause, verdict: Box::new(Verdict { host, cause }) }))
    }

    /// Returns the first account, in order of arrival, that nothing else explains.
    pub(super) fn cause(&self) -> Option<&Account> {
        self.failures.iter().min_by_key(|account| account.gives_way())
    }
}
