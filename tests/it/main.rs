//! The integration tests: the built binary with real processes.

mod container;
mod docker;
mod images;
mod sdk;
