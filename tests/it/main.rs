//! The integration tests: the built binary with real processes.
//!
//! - `code`: where the code comes from, which file of it runs, by which Python
//! - `config`: configuration files that are wrong
//! - `environment`: what the script is given, and the commands that show it
//! - `failure`: failure files, from scripts that really fail
//! - `parity`: the recorded runs of the incumbents
//! - `requirements`: installed with real pip

mod code;
mod config;
mod environment;
mod failure;
mod job;
mod parity;
mod recorder;
mod requirements;
