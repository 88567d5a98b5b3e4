//! The integration tests: the built binary with real processes.
//!
//! - `docker`: jobs in containers, and docker/
//! - `parity`: the recorded runs of the incumbents
//! - `sdk`: jobs of the SageMaker Python SDKs' local modes

mod container;
mod docker;
mod images;
mod job;
mod parity;
mod sdk;
