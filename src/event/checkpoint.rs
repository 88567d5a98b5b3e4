//! A checkpoint that the script wrote, as plain data.

use std::time::{Duration, SystemTime};

/// The maximum amount by which the timestamp of a file may be behind the clock. File systems use the time of the
/// kernel's last tick.
const TICK: Duration = Duration::from_millis(10);

/// An entry of the folder of checkpoints: a file, or a folder with the files of one checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name in the folder.
    pub name: String,
    /// The time of its last change.
    pub modified: SystemTime,
    /// The size of its files, in bytes.
    pub size: u64,
}

impl Checkpoint {
    /// Returns true if the checkpoint was written after this time.
    pub fn is_since(&self, time: SystemTime) -> bool {
        self.modified + TICK >= time
    }
}
