//! Observers of a job: subscribers of its events and lines that write down what happened.
//!
//! - [`metrics`] collects the values of the job's metric definitions.
//! - [`resources`] samples what the container uses.
//! - [`advice`] explains in words what both show.
//! - [`export`] copies metrics and samples for TensorBoard and OpenTelemetry.
//! - [`record`] keeps the run record, `run.json`.
//! - [`report`] makes a page from the files of the others, after the job or on another machine.
//!
//! This folder must not influence a job. Only the folders `run` and `cli` may import it.

pub mod advice;
pub mod export;
mod json_lines;
pub mod metrics;
pub mod record;
pub mod report;
pub mod resources;
