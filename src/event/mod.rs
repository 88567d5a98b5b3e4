//! The facts of a job as plain data: what can be recorded, sent to another host, and shown.
//!
//! Every type here can be serialized, so that a fact travels as structure and becomes text only where a person reads it.
//! This folder must not observe, decide or format for a user: it imports no other folder that does.

mod cause;
mod ending;

pub use cause::{Cause, CauseDetail, CauseEnding, CauseStage, DetailLabel, SourcePlace, reads_like_consequence};
pub use ending::Ending;
