//! Observers of a job: subscribers of its events that write down what happened.
//!
//! - [`record`] keeps the run record, `run.json`.
//!
//! Nothing here influences a job. No other folder but `run` and `cli` may import this one.

pub mod record;
