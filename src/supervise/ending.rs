//! How a process ended, in numbers and in words.

use std::fmt;

use nix::sys::signal::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ended by itself with this exit code, 0 to 255.
    Exited(i32),
    /// It was ended by the signal of this number.
    Signaled(i32),
}

impl Ending {
    /// The exit code that stands for this ending: the process's own, or 128 + n for death by signal n, as shells have it.
    pub fn exit_code(self) -> i32 {
        match self {
            Ending::Exited(code) => code,
            Ending::Signaled(number) => 128 + number,
        }
    }

    /// Whether it ended as a success: by itself, with code 0.
    pub fn is_success(self) -> bool {
        self == Ending::Exited(0)
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
    fn endings_read_as_words_and_as_codes() {
        assert_eq!(Ending::Exited(3).to_string(), "exit code 3");
        assert_eq!(Ending::Signaled(9).to_string(), "killed by SIGKILL (signal 9)");
        assert_eq!(Ending::Signaled(40).to_string(), "killed by signal 40");
        assert_eq!(Ending::Signaled(11).exit_code(), 139);
        assert!(!Ending::Signaled(0).is_success());
    }
}
