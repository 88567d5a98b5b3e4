//! The state of the main program of a process that is silent after a traceback.

use std::fmt;

use nix::unistd::Pid;

use crate::logs::Silence;

/// The state of the main program of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MainCode {
    /// It still runs, so that it has caught the exception.
    Runs,
    /// It has ended, and the process waits for other ranks in the code of a framework.
    Waits,
    /// Nothing is known about it, or it has ended and something else goes on.
    Unknown,
}

/// The function that returns the state of a process's main program.
pub struct MainCodeProbe(pub Box<dyn Fn(i32) -> MainCode + Send>);

impl Default for MainCodeProbe {
    /// Returns a probe that knows nothing about any process.
    fn default() -> MainCodeProbe {
        MainCodeProbe(Box::new(|_| MainCode::Unknown))
    }
}

impl fmt::Debug for MainCodeProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MainCodeProbe")
    }
}

impl MainCodeProbe {
    /// Returns true if a process that waits silently after a traceback will never end by itself.
    pub(super) fn is_stuck(&self, pid: Pid, silence: Silence) -> bool {
        match (self.0)(pid.as_raw()) {
            MainCode::Runs => false,
            MainCode::Waits => true,
            MainCode::Unknown => silence == Silence::Long,
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::Pid;

    use super::{MainCode, MainCodeProbe};
    use crate::logs::Silence;

    #[test]
    fn a_process_is_stuck_at_once_or_never_if_the_state_of_its_program_is_known() {
        for (state, expected) in
            [(MainCode::Runs, [false, false]), (MainCode::Waits, [true, true]), (MainCode::Unknown, [false, true])]
        {
            let probe = MainCodeProbe(Box::new(move |_| state));
            let found = [Silence::Short, Silence::Long].map(|silence| probe.is_stuck(Pid::this(), silence));
            assert_eq!(found, expected, "{state:?}");
        }
    }
}
