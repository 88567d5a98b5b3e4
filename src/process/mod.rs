//! Processes: starting them, passing signals on, reaping them, and giving them their grace.

mod ending;

pub use ending::Ending;
