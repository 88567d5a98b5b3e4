//! The steps of a launch with services, and the decision when every host may take the next one.

use std::collections::BTreeMap;

use super::{HostTable, LeaderAction, Message, Standing};
use crate::event::CommonStep;

/// The progress of all hosts.
#[derive(Debug)]
pub(super) struct HostSteps {
    /// The last step that each host has completed. Empty if the launch has no services.
    completed: BTreeMap<String, CommonStep>,
    /// The last step that the hosts were allowed to take.
    allowed: CommonStep,
}

impl Default for HostSteps {
    fn default() -> HostSteps {
        HostSteps { completed: BTreeMap::new(), allowed: CommonStep::start(0) }
    }
}

impl HostSteps {
    /// Records that a host has completed a step.
    pub(super) fn note(&mut self, host: &str, step: CommonStep) {
        let known = self.completed.entry(host.to_owned()).or_insert(step);
        *known = (*known).max(step);
    }

    /// Returns the last step that a host has completed.
    pub(super) fn of(&self, host: &str) -> CommonStep {
        self.completed.get(host).copied().unwrap_or(CommonStep::NONE)
    }

    /// Returns the last step that the hosts were allowed to take, if the launch has services.
    pub(super) fn allowed(&self) -> Option<CommonStep> {
        (!self.completed.is_empty()).then_some(self.allowed)
    }

    /// Returns the step that every host may take now, if it was not allowed before. It is allowed if each of these
    /// hosts has completed the previous step, or has ended and does not hold up the others. Nothing starts any more once
    /// the job `is_ending`.
    pub(super) fn allow(
        &mut self,
        hosts: &[String],
        has_ended: impl Fn(&str) -> bool,
        is_ending: bool,
    ) -> Option<CommonStep> {
        if self.completed.is_empty() {
            return None;
        }
        let progress = |host: &String| if has_ended(host) { CommonStep::LAST } else { self.of(host) };
        let next = hosts.iter().map(progress).min()?.next();
        if next <= self.allowed || (is_ending && next <= CommonStep::SCRIPT) {
            return None;
        }
        self.allowed = next;
        Some(next)
    }
}

impl HostTable {
    /// Allows the next step of a launch with services, once every host has completed the previous one.
    pub(super) fn allow(&mut self) -> Vec<LeaderAction> {
        let has_ended = |host: &str| match self.hosts.get(host) {
            Some(Standing::Finished | Standing::Ended | Standing::Lost) => true,
            // The launch has started without this host.
            Some(Standing::Absent) => !self.needs_all,
            _ => false,
        };
        let allowed = self.steps.allow(&self.nodes, has_ended, !self.failures.is_empty());
        allowed.map(|step| LeaderAction::All(Message::Allowed(step))).into_iter().collect()
    }
}
