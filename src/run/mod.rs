//! The order of a job's phases.
//!
//! ```text
//! config ─► code ─► requirements ─► environment ─► launch ─► script ─► outcome
//! ```
//!
//! Each phase either returns the input of the next one, or ends the job with an [`Outcome`]. Only the outcome makes
//! the exit code and the failure text. [`context`] holds the facts that never change, [`live`] holds the parts that
//! live as long as the run, and [`lifecycle`] has the order. Before the script starts, a stop signal ends the job at
//! once; after that, the [`Supervisor`](crate::supervise::Supervisor) gives all processes their grace period.
//!
//! This folder must not do a phase's work itself.

mod addresses;
mod bring;
mod call;
mod checkpoint_story;
mod checkpoints;
mod command;
mod context;
mod entry;
mod exec;
mod hang;
mod install;
mod intermediate;
mod judge;
mod lifecycle;
mod link;
mod live;
mod misspelt;
mod module;
mod observe;
mod outcome;
mod panic;
mod peers;
mod prepare;
mod python_module;
mod ranks;
mod record;
mod remote;
mod report;
mod restarts;
mod scratch;
mod script;
mod secret;
mod served;
mod start;
mod tasks;
mod timeline;
mod train;
mod usage;

pub use command::apply;
pub use context::{EntryPointCall, Options, ProcessingCommand};
pub use entry::{entry_of, find_runner, needs_python};
pub use exec::exec;
pub use outcome::{Outcome, Refusal};
pub use prepare::{Prepared, environment_of, hardware, image, prepare, redactor};
pub use python_module::{find_frameworks, missing_module};
pub use scratch::Scratch;
pub use secret::engine_token;
pub use train::{entry_point, process, train};
pub use usage::refuse_command_line;
