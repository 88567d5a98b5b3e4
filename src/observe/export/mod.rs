//! Copies of metrics and samples for other programs, on request.
//!
//! - [`EventFile`] writes an event file that TensorBoard reads.
//! - [`Push`] sends metrics to an OpenTelemetry collector.
//!
//! Both are written without the libraries of their formats, which are a few kinds of messages. Neither can delay the job.

mod event_file;
mod otlp;
mod protobuf;
mod push;

pub use event_file::EventFile;
pub use push::{Push, PushInput, PushSettings};
