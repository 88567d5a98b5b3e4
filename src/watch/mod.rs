//! The watch over the running script.
//!
//! - [`checkpoints`] notices what the script writes into its folder of checkpoints.
//! - [`stacks`] reads what each rank is doing, and [`door`] tells it to whoever asks.
//! - [`hang`] notices that no rank gives a sign of life, and tells why.
//! - [`flight_recorder`] keeps what PyTorch wrote of its collective operations.
//! - [`words`] has times in words.
//!
//! A watch turns its observations into events or answers. It must not start or end the script itself.

pub mod checkpoints;
pub mod door;
pub mod flight_recorder;
pub mod hang;
pub mod stacks;
pub mod words;
