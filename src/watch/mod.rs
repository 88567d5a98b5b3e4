//! The watch over the running script.
//!
//! - [`checkpoints`] notices what the script writes into its folder of checkpoints.
//! - [`words`] has times in words.
//!
//! What a watch sees becomes an event or an answer. It must not start or end the script itself.

pub mod checkpoints;
pub mod words;
