//! Times for people to read.

use std::fmt;
use std::time::Duration;

/// A duration that is displayed in the largest suitable unit: `12 s`, `34 min`, `5 h`, `3 days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoughTime(pub Duration);

impl fmt::Display for RoughTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        // A unit is used from two of it on, so that rounding down loses little.
        match self.0.as_secs() {
            seconds if seconds < 2 * MINUTE => write!(f, "{seconds} s"),
            seconds if seconds < 2 * HOUR => write!(f, "{} min", seconds / MINUTE),
            seconds if seconds < 2 * DAY => write!(f, "{} h", seconds / HOUR),
            seconds => write!(f, "{} days", seconds / DAY),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::RoughTime;

    #[test]
    fn a_time_is_written_in_the_unit_that_suits_it() {
        for (seconds, text) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(RoughTime(Duration::from_secs(seconds)).to_string(), text);
        }
    }
}
