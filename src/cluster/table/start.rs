//! The start of a launch, once it does not have to wait for any host.

use std::time::Instant;

use super::{Account, HostTable, LeaderAction, Message, causes};

impl HostTable {
    /// Returns true if the launch does not have to wait for any host: each is ready, or absent and not needed.
    pub(super) fn may_start(&self) -> bool {
        if self.needs_all { self.unready.is_empty() } else { self.unready.is_subset(&self.absent) }
    }

    /// Starts the launch if it does not have to wait for any host.
    pub(super) fn start_if_ready(&mut self, now: Instant) -> Vec<LeaderAction> {
        if self.has_started || !self.failures.is_empty() || !self.may_start() {
            return Vec::new();
        }
        (self.has_started, self.begun) = (true, now);
        vec![LeaderAction::All(Message::Start)]
    }

    /// Records that a host ends. If it was not ready yet, the others would wait for it for ever.
    pub(super) fn left_early(&mut self, host: &str, now: Instant) -> Vec<LeaderAction> {
        if self.has_started || !self.unready.remove(host) || !self.failures.is_empty() {
            return Vec::new();
        }
        if self.needs_all {
            self.failed(Account::of_host(host, causes::left_early(host)), now)
        } else {
            self.start_if_ready(now)
        }
    }
}
