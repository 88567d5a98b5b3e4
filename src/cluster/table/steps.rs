//! The steps of a launch with services: when every host may take the next one.

use std::collections::BTreeMap;

use super::{HostTable, LeaderAction, Message, Standing};
use crate::event::CommonStep;

/// The progress of all hosts.
#[derive(Debug)]
pub(super) struct HostSteps {
    /// The last step that each host has completed. Empty if the launch has no services.
    completed: BTreeMap<String, CommonStep>,
    /// The last step that the hosts were allowed.
    allowed: CommonStep,
}

impl Default for HostSteps {
    fn default() -> HostSteps {
        HostSteps { completed: BTreeMap::new(), allowed: CommonStep::start(0) }
    }
}

impl HostSteps {
    /// Notes that a host has completed a step.
    pub(super) fn note(&mut self, host: &str, step: CommonStep) {
        let known = self.completed.entry(host.to_owned()).or_insert(step);
        *known = (*known).max(step);
    }

    /// Returns the last step that a host has completed.
    pub(super) fn of(&self, host: &str) -> CommonStep {
        self.completed.get(host).copied().unwrap_or(CommonStep::NONE)
    }

    /// Returns the last step that the hosts were allowed, if the launch has services.
    pub(super) fn allowed(&self) -> Option<CommonStep> {
        (!self.completed.is_empty()).then_some(self.allowed)
    }

    /// Returns the step that every host may take now, if that is news: each of these hosts has completed the one before, or has
    /// ended and holds up nobody.
    pub(super) fn allow(&mut self, hosts: &[String], has_ended: impl Fn(&str) -> bool) -> Option<CommonStep> {
        if self.completed.is_empty() {
            return None;
        }
        let progress = |host: &String| if has_ended(host) { CommonStep::LAST } else { self.of(host) };
        let next = hosts.iter().map(progress).min()?.next();
        if next <= self.allowed {
            return None;
        }
        self.allowed = next;
        Some(next)
    }
}

impl HostTable {
    /// Allows the next step of a launch with services, once every host has completed the one before.
    pub(super) fn allow(&mut self) -> Vec<LeaderAction> {
        let has_ended = |host: &str| match self.hosts.get(host) {
            Some(Standing::Finished | Standing::Ended | Standing::Lost) => true,
            // The launch has started without it.
            Some(Standing::Absent) => !self.needs_all,
            _ => false,
        };
        let allowed = self.steps.allow(&self.nodes, has_ended);
        allowed.map(|step| LeaderAction::All(Message::Allowed(step))).into_iter().collect()
    }
}
