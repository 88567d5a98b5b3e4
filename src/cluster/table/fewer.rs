//! Launches that accept fewer hosts than the job has (FOOTPLATE_MIN_HOSTS).

use super::{HostTable, LeaderAction, Message, Standing};
use crate::event::CommonStep;

impl HostTable {
    /// Returns true if the job may continue without a host: the host runs only services, and enough others are
    /// connected.
    pub(super) fn is_spare(&self, host: &str) -> bool {
        let is_there = |node: &&String| {
            *node != host && !matches!(self.hosts.get(*node), None | Some(Standing::Absent | Standing::Lost))
        };
        let others = self.nodes.iter().filter(is_there).count();
        self.least_hosts.is_some_and(|least| others >= least) && self.steps.of(host) >= CommonStep::SCRIPT
    }

    /// Starts without the absent hosts, if the others are enough. Returns `None` if they are not.
    pub(super) fn start_with_fewer(&mut self) -> Option<Vec<LeaderAction>> {
        let present = self.nodes.len() - self.absent.len();
        self.least_hosts.filter(|least| present >= *least)?;
        self.needs_all = false;
        let absent: Vec<&str> = self.absent_nodes().collect();
        let note = format!("starting without {} (FOOTPLATE_MIN_HOSTS)", absent.join(", "));
        let mut actions = vec![LeaderAction::Note(note)];
        if self.may_start() {
            self.has_started = true;
            actions.push(LeaderAction::All(Message::Start));
        }
        Some(actions)
    }
}
