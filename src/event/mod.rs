//! The facts of a job as plain data, and the bus on which components report them to each other.
//!
//! Components emit [`Event`]s where things happen, through [`Events`]. Subscribers receive them: the supervisor, the
//! channel to the other hosts, the judge of failures and the run record. A fact stays structured data until a person
//! is to read it; only then does it become text.
//!
//! This folder must not observe, decide or format for a user: it imports no other folder that does.

mod bus;
mod cause;
mod checkpoint;
mod collective;
mod consequence;
mod ending;
mod kind;
mod stacks;
mod step;
mod task;
mod watch;

pub use bus::{Events, Subscriber};
pub use cause::{Cause, CauseDetail, CauseEnding, CauseStage, DetailLabel, SourcePlace, TENSORFLOW_TASK};
pub use checkpoint::Checkpoint;
pub use collective::{Collective, RankProgress};
pub use consequence::reads_like_consequence;
pub use ending::{Ending, RankTally};
pub use kind::{
    EndedRank, Event, EventKind, JobPhase, KillReason, Moment, Output, Process, RankOutput, StopReason, Stream, Verdict,
};
pub use stacks::{RankGroup, StackMethod, StackPlace};
pub use step::CommonStep;
pub use task::TaskFailure;
pub use watch::{Activity, HangReport, HostStacks, LastSign, WatchNote};

/// The variable that holds the number of the attempt in processes of the script.
pub const ATTEMPT: &str = "FOOTPLATE_ATTEMPT";
