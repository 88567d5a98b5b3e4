//! The exit codes of footplate: the only place that defines them and their meanings.
//!
//! The table in `docs/reference.md` is [`EXIT_CODES`]. The numbers are a contract with users; those from 64 to 78
//! follow sysexits.h, and those from 126 up follow POSIX shells.

/// Defines the constants, and a table that documents them. The table also has the codes that are not footplate's own.
macro_rules! exit_codes {
    ($($name:ident = $code:literal, $meaning:literal;)+) => {
        $(
            #[doc = $meaning]
            pub const $name: i32 = $code;
        )+

        /// Every exit code with its meaning.
        pub const EXIT_CODES: &[(&str, &str)] = &[
            ("0", "The script succeeded."),
            (
                "1 to 255",
                "The script's own exit code. If requirements cannot be installed: the exit code of uv or pip, or 1 if \
                 neither was started.",
            ),
            ("128 + n", "Signal n ended the script: 137 is SIGKILL, 143 SIGTERM, 139 SIGSEGV."),
            $((stringify!($code), $meaning),)+
        ];
    };
}

exit_codes! {
    USAGE = 2, "The command line of footplate is wrong, or there is nothing that `footplate report` can make a page of.";
    CODE = 65, "The supplied code cannot be unpacked or copied.";
    HOST_LOST = 68, "Another host of the job was lost or did not join.";
    LAUNCH = 69, "The image or the machine cannot launch what the job asks for.";
    DEFECT = 70, "A defect in footplate itself.";
    CONFIGURATION = 78, "A configuration file or a setting is wrong.";
    HANG = 124, "The job made no progress for the time of `hang_timeout`.";
    NOT_EXECUTABLE = 126, "The entry point cannot be executed.";
    NOT_FOUND = 127, "The entry point, or the interpreter that it needs, was not found.";
}

/// The exit code of a success.
pub const SUCCESS: i32 = 0;

/// The base of the exit codes that represent signals: 128 + n, as shells report the death of a child by signal n.
pub const SIGNALS: i32 = 128;

/// The largest signal number of Linux (SIGRTMAX).
const MAX_SIGNAL: i32 = 64;

/// Returns the exit code that represents death by a signal.
pub const fn of_signal(number: i32) -> i32 {
    SIGNALS + number
}

/// Returns the signal n that an exit code 128 + n represents. `None` if the code does not have that form for a signal
/// of Linux.
///
/// A program may also exit with such a code by itself, so the answer is a guess.
pub const fn as_signal(code: i32) -> Option<i32> {
    let number = code - SIGNALS;
    if number >= 1 && number <= MAX_SIGNAL { Some(number) } else { None }
}

#[cfg(test)]
mod tests {
    use super::{EXIT_CODES, as_signal, of_signal};

    #[test]
    fn signals_map_to_exit_codes_and_back() {
        assert_eq!(of_signal(9), 137);
        assert_eq!(as_signal(137), Some(9));
        assert_eq!([128, 129, 192, 193].map(as_signal), [None, Some(1), Some(64), None]);
    }

    #[test]
    fn the_table_names_each_code_once_and_in_order() {
        let numbers: Vec<i32> = EXIT_CODES[3..].iter().map(|(code, _)| code.parse().expect("a number")).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert_eq!(numbers, [2, 65, 68, 69, 70, 78, 124, 126, 127]);
    }
}
