//! Copies of metrics and samples for other programs, on request.
//!
//! - [`Board`] writes an event file that TensorBoard reads.
//! - [`Push`] sends metrics to an OpenTelemetry collector.
//!
//! Both are written without the libraries of their formats, which are a few kinds of messages. Neither can delay the job.

mod board;
mod otlp;
mod protobuf;
mod push;

pub use board::Board;
pub use push::{Push, PushInput, PushSettings};
