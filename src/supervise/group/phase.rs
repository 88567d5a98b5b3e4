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
        /// The reason, which decides whom the stop was for.
        why: Why,
        /// The end of the grace period.
        until: Instant,
    },
    /// The ranks have ended. The services of this place in the shutdown order were told to end.
    Closing {
        /// The reason why the ranks were told to end. `None` if they ended by themselves.
        why: Option<Why>,
        /// The place in the shutdown order.
        order: u8,
        /// The end of the grace period.
        until: Instant,
    },
    /// All members have ended. Processes that they left behind may run on until the drain time ends.
    Draining {
        /// The end of the drain time.
        until: Instant,
    },
    /// The processes left behind got SIGTERM and may run on until then.
    Ending {
        /// The time at which they are killed.
        until: Instant,
    },
    /// Everything was killed.
    Killed {
        /// The stop signal, if one came before.
        stop: Option<Stop>,
        /// The time after which processes that cannot be killed are left behind.
        until: Instant,
    },
    /// No process is waited for any more, only the output that the relay still has to write.
    Flushing {
        /// The stop signal, if one came before.
        stop: Option<Stop>,
        /// The time of the next look at the relay.
        until: Instant,
        /// The number of bytes that the relay had written at the last look. `None` until it is known.
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
pub(in crate::supervise) enum Why {
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
    /// The reader of standard output or error took nothing any more.
    GivenUp,
}

impl Why {
    /// Returns true if nothing has failed: everyone is to end in order, and may take the grace period.
    pub(in crate::supervise) fn is_orderly(self) -> bool {
        match self {
            Why::Signal(_) => true,
            Why::Failure => false,
            Why::Peers(stop) => stop == PeerStop::Stopped,
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

    /// Returns true while members are not told to end because of this group's own state.
    pub(in crate::supervise) fn is_over(&self) -> bool {
        matches!(self, Phase::Over { .. })
    }

    /// Returns the reason why members were told to end, while they have their grace period.
    pub(in crate::supervise) fn why(&self) -> Option<Why> {
        match *self {
            Phase::Stopping { why, .. } => Some(why),
            Phase::Closing { why, .. } => why,
            _ => None,
        }
    }

    /// Returns the stop signal that the group was told, if any.
    pub(in crate::supervise) fn stop(&self) -> Option<Stop> {
        match *self {
            Phase::Stopping { why: Why::Signal(stop), .. } | Phase::Closing { why: Some(Why::Signal(stop)), .. } => {
                Some(stop)
            }
            Phase::Running
            | Phase::Stopping { .. }
            | Phase::Closing { .. }
            | Phase::Draining { .. }
            | Phase::Ending { .. } => None,
            Phase::Killed { stop, .. } | Phase::Flushing { stop, .. } | Phase::Over { stop, .. } => stop,
        }
    }
}
