//! The integration tests: the built binary with real processes.
//!
//! - `cli`: the command line, and `footplate check`
//! - `code`: where the code comes from, which file of it runs, by which Python
//! - `config`: configuration files that are wrong
//! - `environment`: what the script is given, and the commands that show it
//! - `failure`: failure files, from scripts that really fail
//! - `local`: a job on this machine
//! - `parity`: the recorded runs of the incumbents
//! - `python`: values are read and written as real Python does
//! - `requirements`: installed with real pip
//! - `structure`: who imports whom, where `unsafe` is, how long files are

mod cli;
mod code;
mod config;
mod empty_image;
mod environment;
mod failure;
mod job;
mod local;
mod parity;
mod python;
mod recorder;
mod requirements;
mod structure;
