//! The steps that the hosts of a launch with services take together.

use serde::{Deserialize, Serialize};

/// The number of stages.
const STAGES: u16 = u8::MAX as u16 + 1;

/// A step in the life of a launch with services.
///
/// The steps have one order: the starts of the services, stage by stage; the script; the ends of the services, in
/// their shutdown order. No host takes a step before every host has completed the previous one. A host that has
/// nothing to do in a step has completed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CommonStep(u16);

impl CommonStep {
    /// The state before the first step.
    pub const NONE: CommonStep = CommonStep(0);

    /// The step in which the script runs. It is complete when no process of the script is left.
    pub const SCRIPT: CommonStep = CommonStep(1 + STAGES);

    /// A step after all others. A host that does not wait for other hosts may take it.
    pub const LAST: CommonStep = CommonStep(u16::MAX);

    /// Returns the step in which the services of a stage start. It is complete when they are ready.
    pub const fn start(stage: u8) -> CommonStep {
        CommonStep(1 + stage as u16)
    }

    /// Returns the step in which the services with this position in the shutdown order end.
    pub const fn close(order: u8) -> CommonStep {
        CommonStep(2 + STAGES + order as u16)
    }

    /// Returns the step after this one.
    pub const fn next(self) -> CommonStep {
        CommonStep(self.0.saturating_add(1))
    }

    /// Returns the step before this one.
    pub const fn previous(self) -> CommonStep {
        CommonStep(self.0.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::CommonStep;

    #[test]
    fn steps_follow_each_other_from_the_first_start_to_the_last_end() {
        let order = [
            CommonStep::NONE,
            CommonStep::start(0),
            CommonStep::start(1),
            CommonStep::start(255),
            CommonStep::SCRIPT,
            CommonStep::close(0),
        ];
        assert!(order.is_sorted_by(|a, b| a < b));
        assert_eq!(CommonStep::NONE.next(), CommonStep::start(0));
        assert_eq!(CommonStep::start(255).next(), CommonStep::SCRIPT);
        assert_eq!(CommonStep::SCRIPT.next(), CommonStep::close(0));
        assert_eq!(CommonStep::close(1).previous(), CommonStep::close(0));
        assert!(CommonStep::close(255) < CommonStep::LAST);
        assert_eq!((CommonStep::NONE.previous(), CommonStep::LAST.next()), (CommonStep::NONE, CommonStep::LAST));
    }
}
