//! The integration tests: the built binary with real processes.
//!
//! - `config`: configuration files that are wrong
//! - `docker`: jobs in containers, and docker/
//! - `environment`: what the script is given, and the commands that show it
//! - `failure`: failure files, from scripts that really fail
//! - `output`: what the script writes: every byte, in order, whoever reads it and however
//! - `parity`: the recorded runs of the incumbents
//! - `process_orphans`: what a script leaves behind: orphans, zombies, daemons, streams held open
//! - `process_signals`: which processes get a signal, how long they have, and what the failure text says
//! - `process`: how the script is started, and how its end becomes an exit code and a failure text
//! - `sdk`: jobs of the SageMaker Python SDKs' local modes

mod config;
mod container;
mod docker;
mod environment;
mod failure;
mod images;
mod job;
mod output;
mod parity;
mod process;
mod process_orphans;
mod process_signals;
mod readme;
mod recorder;
mod running;
mod sdk;
