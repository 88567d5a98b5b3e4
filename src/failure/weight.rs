//! The weight of a failure compared with those of other processes.

use crate::event::Cause;

/// The cause of a failure, and its weight compared with those of other processes.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The cause.
    pub cause: Cause,
    /// The weight.
    pub weight: Weight,
}

/// The weight of a cause compared with those of other processes, the heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The process failed by itself.
    Own,
    /// The error of the process reads like a consequence of another process's failure.
    Consequence,
    /// The process ended because it was told to end.
    Told,
}
