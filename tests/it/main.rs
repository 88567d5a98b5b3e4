//! The integration tests: the built binary with real processes.
//!
//! - `output`: what the script writes: every byte, in order, whoever reads it and however
//! - `parity`: the recorded runs of the incumbents
//! - `process`: how the script is started, and how its end becomes an exit code and a failure text
//! - `process_orphans`: what a script leaves behind: orphans, zombies, daemons, streams held open
//! - `process_places`: another user, a read-only folder, no /proc, a terminal
//! - `process_signals`: which processes get a signal, how long they have, and what the failure text says
//! - `secrets`: they are in nothing that footplate itself writes

mod job;
mod output;
mod parity;
mod process;
mod process_orphans;
mod process_places;
mod process_signals;
mod running;
mod secrets;
