//! The end of a process: an exit code or a signal.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::job::exit_code;

/// The end of a process, as the kernel reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The process exited with this code, 0 to 255.
    Exited(i32),
    /// The signal of this number killed the process.
    Signaled(i32),
}

impl Ending {
    /// Returns the exit code that represents this ending: the process's own, or 128 + n after death by signal n, as
    /// shells report it.
    pub fn exit_code(self) -> i32 {
        match self {
            Ending::Exited(code) => code,
            Ending::Signaled(number) => exit_code::of_signal(number),
        }
    }

    /// Returns true if the process exited with code 0.
    pub fn is_success(self) -> bool {
        self == Ending::Exited(0)
    }
}

/// The ranks of a host that ended with a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankTally {
    /// The number of ranks that failed by themselves.
    pub failed: usize,
    /// The ranks that were told to end before they ended, because another rank or host had failed.
    pub ended: Vec<usize>,
}

impl From<ExitStatus> for Ending {
    /// Returns the ending that the wait for a child has reported.
    fn from(status: ExitStatus) -> Ending {
        match status.signal() {
            Some(number) => Ending::Signaled(number),
            None => Ending::Exited(status.code().unwrap_or_default()),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "exit code {code}"),
            Ending::Signaled(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "killed by {signal} (signal {number})"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ending;

    #[test]
    fn an_ending_is_shown_in_words_and_as_an_exit_code() {
        assert_eq!(Ending::Exited(3).to_string(), "exit code 3");
        assert_eq!(Ending::Signaled(9).to_string(), "killed by SIGKILL (signal 9)");
        assert_eq!(Ending::Signaled(40).to_string(), "killed by signal 40");
        assert_eq!(Ending::Signaled(11).exit_code(), 139);
        assert!(!Ending::Signaled(0).is_success());
    }

    #[test]
    fn an_ending_survives_serialization() {
        for (ending, json) in [(Ending::Exited(3), r#"{"exited":3}"#), (Ending::Signaled(9), r#"{"signaled":9}"#)] {
            assert_eq!(serde_json::to_string(&ending).unwrap(), json);
            assert_eq!(serde_json::from_str::<Ending>(json).unwrap(), ending);
        }
    }
}
