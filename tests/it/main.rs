//! The integration tests: the built binary with real processes.
//!
//! - `config`: configuration files that are wrong
//! - `environment`: what the script is given, and the commands that show it
//! - `failure`: failure files, from scripts that really fail
//! - `parity`: the recorded runs of the incumbents

mod config;
mod environment;
mod failure;
mod job;
mod parity;
mod recorder;
