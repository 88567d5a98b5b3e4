//! Observers of a job: subscribers of its events and lines that write down what happened.
//!
//! - [`metrics`] collects the values of the job's metric definitions.
//! - [`record`] keeps the run record, `run.json`.
//!
//! Nothing here influences a job. No other folder but `run` and `cli` may import this one.

pub mod metrics;
pub mod record;
