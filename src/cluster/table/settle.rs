//! The time at which the verdict is due: a moment after the first failure, and later while accounts of other hosts may
//! change it.

use std::time::{Duration, Instant};

use super::HostTable;
use crate::cluster::{CONSEQUENCE_TIME, PROVISIONAL_TIME, TASKS_TIME};

impl HostTable {
    /// Returns the time at which the verdict is due. It is later while no account is certain to be the cause and one is
    /// provisional.
    pub(super) fn settles_at(&self) -> Option<Instant> {
        let is_settled = self.failures.iter().any(|account| !account.gives_way());
        let is_awaited = self.failures.iter().any(|account| !account.is_final && self.is_at_work(&account.host));
        let has_noticed = self.failures.iter().any(|account| account.is_final && account.cause.is_consequence());
        let further = match (is_settled, is_awaited) {
            (true, _) if self.awaits_tasks() => TASKS_TIME,
            (true, _) => Duration::ZERO,
            (false, true) => PROVISIONAL_TIME,
            // The rank that caused the failure may be on a host whose ranks are just ending.
            (false, false) if has_noticed && self.hosts.values().any(|standing| standing.is_at_work()) => {
                CONSEQUENCE_TIME
            }
            (false, false) => Duration::ZERO,
        };
        Some(self.settle_until? + further)
    }

    /// Returns true if the exception of the script may have been raised in a task of a host that has not reported its
    /// failed tasks.
    fn awaits_tasks(&self) -> bool {
        let Some(account) = self.cause() else { return false };
        let may_explain = |host: &String| self.tasks.may_explain(host, &account.cause);
        self.hosts.iter().any(|(host, standing)| standing.is_at_work() && may_explain(host))
    }

    fn is_at_work(&self, host: &str) -> bool {
        self.hosts.get(host).is_some_and(|standing| standing.is_at_work())
    }
}
