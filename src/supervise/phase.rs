//! Where programs that run side by side are.

use std::time::Instant;

use super::Stop;

/// Where programs are between their start and the end of the last process that they left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// They run.
    Running,
    /// One has failed: the others have until then.
    Failing(Instant),
    /// All have ended: what they left behind may run on until then.
    Draining(Instant),
    /// What they left behind got SIGTERM, and may run on until then.
    Ending(Instant),
    /// A stop signal came: all have until then.
    Stopping(Stop, Instant),
    /// Everything was killed, and must end until then.
    Killed(Option<Stop>, Instant),
    /// No process is left that is waited for, only what they wrote: the relay is looked at again then, when it had written
    /// so much before.
    Flushing(Option<Stop>, Instant, u64),
    /// Nothing is left to be waited for.
    Over(Option<Stop>),
}

impl Phase {
    /// When it has lasted long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match *self {
            Phase::Running | Phase::Over(_) => None,
            Phase::Failing(deadline)
            | Phase::Draining(deadline)
            | Phase::Ending(deadline)
            | Phase::Stopping(_, deadline)
            | Phase::Killed(_, deadline)
            | Phase::Flushing(_, deadline, _) => Some(deadline),
        }
    }

    /// Whether ranks run, or have time to end.
    pub(super) fn has_ranks(&self) -> bool {
        matches!(self, Phase::Running | Phase::Failing(_) | Phase::Stopping(..))
    }

    /// That programs were told to stop, if they were.
    pub(super) fn stop(&self) -> Option<Stop> {
        match *self {
            Phase::Running | Phase::Failing(_) | Phase::Draining(_) | Phase::Ending(_) => None,
            Phase::Stopping(stop, _) => Some(stop),
            Phase::Killed(stop, _) | Phase::Flushing(stop, ..) | Phase::Over(stop) => stop,
        }
    }
}
