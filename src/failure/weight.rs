//! The weight of a failure among those of other processes.

use crate::event::Cause;

/// The cause of a failure, and its weight among those of other processes.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The cause.
    pub cause: Cause,
    /// The weight.
    pub weight: Weight,
}

/// The weight of a cause among those of other processes, the heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The process failed by itself.
    Own,
    /// Its error reads like a consequence of another process's failure.
    Consequence,
    /// It ended because it was told to.
    Told,
}
