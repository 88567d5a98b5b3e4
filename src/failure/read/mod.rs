//! Reading tracebacks: from the lines of a log to the exceptions that they tell of.

mod python;
mod traceback;

pub(super) use python::{fatal, tracebacks};
pub(super) use traceback::{Link, Origin, Raised, Traceback};
