//! The integration tests: the built binary with real processes.
//!
//! - `docker`: jobs in containers, and docker/
//! - `parity`: the recorded runs of the incumbents
//! - `process`: how the script is started, and how its end becomes an exit code and a failure text
//! - `process_orphans`: what a script leaves behind: orphans, zombies, daemons, streams held open
//! - `process_signals`: which processes get a signal, how long they have, and what the failure text says
//! - `sdk`: jobs of the SageMaker Python SDKs' local modes

mod container;
mod docker;
mod images;
mod job;
mod parity;
mod process;
mod process_orphans;
mod process_signals;
mod running;
mod sdk;
