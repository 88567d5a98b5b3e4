//! The integration tests: the built binary with real processes.
//!
//! - `parity`: the recorded runs of the incumbents

mod job;
mod parity;
