//! The watch over the running script.
//!
//! - [`checkpoints`] notices the checkpoints that the script writes into its folder.
//! - [`stacks`] finds out what each rank is doing, and [`run_socket`] answers requests for that.
//! - [`hang`] notices that no rank shows a sign of life, and reports why.
//! - [`flight_recorder`] keeps the files that PyTorch wrote about its collective operations.
//! - [`words`] displays times in words.
//!
//! A watch turns its observations into events or answers. It must not start or end the script itself.

pub mod checkpoints;
pub mod flight_recorder;
pub mod hang;
pub mod run_socket;
pub mod stacks;
pub mod words;
