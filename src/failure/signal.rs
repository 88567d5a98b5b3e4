//! Exit codes that represent the signal that killed a process.

use std::sync::LazyLock;

use regex::Regex;

use crate::event::Ending;
use crate::failure::pattern::pattern;
use crate::job::exit_code;

/// Returns the signal that killed a process, or its child if a shell reported the child's signal n as exit code 128 +
/// n.
pub(super) fn deadly(ending: Ending) -> Option<i32> {
    // HUP INT QUIT ILL TRAP ABRT BUS FPE KILL SEGV PIPE ALRM TERM XCPU XFSZ SYS
    const DEADLY: [i32; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 24, 25, 31];
    match ending {
        Ending::Signaled(number) => Some(number),
        Ending::Exited(code) => exit_code::as_signal(code).filter(|number| DEADLY.contains(number)),
    }
}

/// Returns the signal that killed a child process, if a Python program ended with the child's return code:
/// `sys.exit(-9)` is exit code 247.
pub(super) fn negative(code: i32) -> Option<i32> {
    Some(256 - code).filter(|number| [4, 6, 7, 8, 9, 11].contains(number))
}

/// Returns true if an error only states that the process was told to end.
pub(super) fn is_about_a_stop(headline: &str) -> bool {
    static STOP: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)sigterm|sigint\b|signal:? 15|\bsignal:? terminated|^KeyboardInterrupt|^SystemExit|SignalException",
        )
    });
    STOP.is_match(headline)
}

#[cfg(test)]
mod tests {
    use super::{deadly, negative};
    use crate::event::Ending;

    #[test]
    fn an_exit_code_stands_for_a_signal_only_if_that_kills() {
        assert_eq!(deadly(Ending::Signaled(40)), Some(40));
        assert_eq!(deadly(Ending::Exited(137)), Some(9));
        // 145 is 128 + SIGCHLD, which is not deadly. The other codes represent no signal.
        for code in [0, 1, 9, 127, 128, 145, 255] {
            assert_eq!(deadly(Ending::Exited(code)), None, "{code}");
        }
        assert_eq!((negative(247), negative(245), negative(255), negative(1)), (Some(9), Some(11), None, None));
    }
}
