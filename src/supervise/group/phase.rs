//! The phases that a group of processes passes through.

use std::time::Instant;

use super::super::{PeerStop, Stop};

/// The stage between the start of a group and the end of the last process that it left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Phase {
    /// The members run.
    Running,
    /// The members were told to end and may take until the grace period ends.
    Stopping {
        /// The reason, which decides which members the stop is for.
        why: EndReason,
        /// The end of the grace period.
        until: Instant,
    },
    /// The ranks have ended. The services of this place in the shutdown order were told to end.
    Closing {
        /// The reason why the ranks were told to end. `None` if they ended by themselves.
        why: Option<EndReason>,
        /// The place in the shutdown order.
        order: u8,
        /// The end of the grace period.
        until: Instant,
    },
    /// All members have ended. Processes that they left behind may continue until the drain time ends.
    Draining {
        /// The end of the drain time.
        until: Instant,
    },
    /// The processes left behind got SIGTERM and may continue for a moment.
    Ending {
        /// The time at which they are killed.
        until: Instant,
    },
    /// Everything was killed.
    Killed {
        /// The stop signal, if one came before.
        stop: Option<Stop>,
        /// The time after which footplate abandons processes that cannot be killed.
        until: Instant,
    },
    /// No process is waited for any more. Only the relay still has output to write.
    Flushing {
        /// The stop signal, if one came before.
        stop: Option<Stop>,
        /// The time of the next check on the relay.
        until: Instant,
        /// The number of bytes that the relay had written at the last check. `None` before the first check.
        written: Option<u64>,
    },
    /// Nothing is left to wait for.
    Over {
        /// The stop signal, if one came.
        stop: Option<Stop>,
        /// The fate of the output.
        output: OutputFate,
    },
}

/// The reason why members were told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum EndReason {
    /// A stop signal came.
    Signal(Stop),
    /// A member failed.
    Failure,
    /// Another host failed or was told to stop.
    Peers(PeerStop),
}

/// The fate of the output when a group is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum OutputFate {
    /// All of it was read.
    Read,
    /// The reader of standard output or error stopped taking bytes.
    GivenUp,
}

impl EndReason {
    /// Returns true if nothing has failed, so that all members end in order and may use the grace period.
    pub(in crate::supervise) fn is_orderly(self) -> bool {
        match self {
            EndReason::Signal(_) => true,
            EndReason::Failure => false,
            EndReason::Peers(stop) => stop == PeerStop::Stopped,
        }
    }
}

impl Phase {
    /// Returns the time at which the phase has lasted long enough.
    pub(in crate::supervise) fn deadline(&self) -> Option<Instant> {
        match *self {
            Phase::Running | Phase::Over { .. } => None,
            Phase::Stopping { until, .. }
            | Phase::Closing { until, .. }
            | Phase::Draining { until }
            | Phase::Ending { until }
            | Phase::Killed { until, .. }
            | Phase::Flushing { until, .. } => Some(until),
        }
    }

    /// Returns true while ranks run or have time to end.
    pub(in crate::supervise) fn has_ranks(&self) -> bool {
        matches!(self, Phase::Running | Phase::Stopping { .. })
    }

    /// Returns true while processes that were told to end have their grace period.
    pub(in crate::supervise) fn gives_grace(&self) -> bool {
        matches!(self, Phase::Stopping { .. } | Phase::Closing { .. })
    }

    /// Returns true once members are not told to end any more because of this group's own state.
    pub(in crate::supervise) fn is_over(&self) -> bool {
        matches!(self, Phase::Over { .. })
    }

    /// Returns the reason why members were told to end, while they have their grace period.
    pub(in crate::supervise) fn why(&self) -> Option<EndReason> {
        match *self {
            Phase::Stopping { why, .. } => Some(why),
            Phase::Closing { why, .. } => why,
            _ => None,
        }
    }

    /// Returns the stop signal that was passed to the group, if any.
    pub(in crate::supervise) fn stop(&self) -> Option<Stop> {
        match *self {
            Phase::Stopping { why: EndReason::Signal(stop), .. }
            | Phase::Closing { why: Some(EndReason::Signal(stop)), .. } => Some(stop),
            Phase::Running
            | Phase::Stopping { .. }
            | Phase::Closing { .. }
            | Phase::Draining { .. }
            | Phase::Ending { .. } => None,
            Phase::Killed { stop, .. } | Phase::Flushing { stop, .. } | Phase::Over { stop, .. } => stop,
        }
    }
}
