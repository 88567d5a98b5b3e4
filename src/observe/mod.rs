//! Observers of a job: subscribers of its events and lines that write down what happened.
//!
//! - [`metrics`] collects the values of the job's metric definitions.
//! - [`resources`] samples what the container uses.
//! - [`advice`] says in words what both show.
//! - [`export`] copies metrics and samples for TensorBoard and OpenTelemetry.
//! - [`record`] keeps the run record, `run.json`.
//! - [`report`] makes a page of what the others wrote, after the job or on another machine.
//!
//! Nothing here influences a job. No other folder but `run` and `cli` may import this one.

pub mod advice;
pub mod export;
mod json_lines;
pub mod metrics;
pub mod record;
pub mod report;
pub mod resources;
