//! The last words of a process that does not end: the traceback of an uncaught exception, followed by silence.
//!
//! Some frameworks wait in an exit handler for processes that wait for this one. Such a process looks like one that
//! caught the exception and goes on silently. Only the first frame differs. Python prints an uncaught exception from
//! the module's own frame on, and one that a function caught from that function on.

use std::time::{Duration, Instant};

/// The time in which the rest of a traceback is written: the lines of its message, and the output of exit handlers.
const TELLING: Duration = Duration::from_secs(1);

/// The interval at which the silence after a traceback is reported.
const INTERVAL: Duration = Duration::from_secs(1);

/// The number of reports. After the last one, the traceback counts as the last words.
const REPORTS: u32 = 5;

/// The silence after a traceback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// One to four seconds. Only the state of the process can show that it will not go on.
    Short,
    /// Five seconds.
    Long,
}

/// The first line of a traceback.
const HEADER: &[u8] = b"Traceback (most recent call last):";

/// The progress of the search for a traceback at the end of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TracebackProgress {
    /// The last line belongs to no traceback.
    #[default]
    None,
    /// The last line is the first of a traceback.
    Header,
    /// The last line belongs to a frame. Holds true if the first frame is the module's own.
    Frames(bool),
    /// The line with the exception's name was read.
    Named {
        /// The time at which that line was read.
        at: Instant,
        /// The time of the last line.
        last: Instant,
        /// The number of reports about the silence since then.
        reports: u32,
    },
}

impl TracebackProgress {
    /// Takes whole lines.
    pub(super) fn take(&mut self, lines: &[u8], now: Instant) {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            *self = self.after(line, now);
        }
    }

    fn after(self, line: &[u8], now: Instant) -> TracebackProgress {
        if line.starts_with(HEADER) {
            return TracebackProgress::Header;
        }
        let is_indented = line.starts_with(b" ");
        match self {
            TracebackProgress::Header if is_indented => TracebackProgress::Frames(is_of_module(line)),
            TracebackProgress::Frames(is_whole) if is_indented => TracebackProgress::Frames(is_whole),
            TracebackProgress::Frames(true) => TracebackProgress::Named { at: now, last: now, reports: 0 },
            TracebackProgress::Named { at, .. } if now - at <= TELLING => {
                TracebackProgress::Named { at, last: now, reports: 0 }
            }
            TracebackProgress::None
            | TracebackProgress::Header
            | TracebackProgress::Frames(_)
            | TracebackProgress::Named { .. } => TracebackProgress::None,
        }
    }

    /// Records that the process wrote something else, for example to its other stream.
    pub(super) fn wrote_elsewhere(&mut self, at: Instant) {
        if let TracebackProgress::Named { at: named, .. } = *self
            && at > named + TELLING
        {
            *self = TracebackProgress::None;
        }
    }

    /// Returns the silence to report at this time. `None` if no report is due.
    pub(super) fn report(&mut self, now: Instant) -> Option<Silence> {
        let TracebackProgress::Named { at, last, .. } = *self else { return None };
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        let reports = u32::try_from((now - last).as_secs() / INTERVAL.as_secs()).unwrap_or(REPORTS);
        if reports < REPORTS {
            *self = TracebackProgress::Named { at, last, reports };
            return Some(Silence::Short);
        }
        *self = TracebackProgress::None;
        Some(Silence::Long)
    }

    /// Returns the time at which the next report is due.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            TracebackProgress::Named { last, reports, .. } => Some(*last + INTERVAL * (reports + 1)),
            TracebackProgress::None | TracebackProgress::Header | TracebackProgress::Frames(_) => None,
        }
    }
}

/// Returns true if the line names a module's own frame, or a frame of Python's own code that runs a module.
fn is_of_module(line: &[u8]) -> bool {
    line.ends_with(b", in <module>") || line.starts_with(b"  File \"<frozen runpy>\"")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Silence, TracebackProgress};

    const UNCAUGHT: &str = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 7, in <module>\n    \
                            main()\n  File \"/opt/ml/code/train.py\", line 3, in main\n    raise ValueError('bad')\nValueError: bad\n";

    #[test]
    fn a_traceback_of_the_module_and_then_nothing_are_the_last_words() {
        let now = Instant::now();
        let seconds = |n: u64| now + Duration::from_secs(n);
        let of_function = UNCAUGHT.replace("in <module>", "in step");
        let chained =
            format!("{of_function}\nDuring handling of the above exception, another exception occurred:\n\n{UNCAUGHT}");
        let of_runpy =
            UNCAUGHT.replace("\"/opt/ml/code/train.py\", line 7, in <module>", "\"<frozen runpy>\", line 1, in _run");
        for (texts, due) in [
            (&[(0, UNCAUGHT)][..], Some(5)),
            (&[(0, &UNCAUGHT[..20]), (0, &UNCAUGHT[20..])], None),
            (&[(0, UNCAUGHT), (1, "  a message of several lines\n\nand more\n")], Some(6)),
            (&[(0, UNCAUGHT), (2, "step 4\n")], None),
            (&[(0, UNCAUGHT), (2, "step 4\n"), (3, UNCAUGHT)], Some(8)),
            (&[(0, &of_function)], None),
            (&[(0, &chained)], Some(5)),
            (&[(0, &of_runpy)], Some(5)),
            (&[(0, "ValueError: bad\n")], None),
            (&[(0, UNCAUGHT), (0, "Traceback (most recent call last):\n")], None),
        ] {
            let mut words = TracebackProgress::default();
            for (second, text) in texts {
                words.take(text.as_bytes(), seconds(*second));
            }
            let short = due.map(|due| seconds(due - 4));
            assert_eq!(words.due(), short, "{texts:?}");
            let first = short.unwrap_or(seconds(99));
            assert_eq!(words.report(first), short.map(|_| Silence::Short));
            assert_eq!(words.report(first), None);
            assert_eq!(words.report(first + Duration::from_secs(3)), short.map(|_| Silence::Short));
            assert_eq!(words.due(), due.map(seconds), "{texts:?}");
            assert_eq!(words.report(seconds(99)), due.map(|_| Silence::Long));
            assert_eq!(words.report(seconds(99)), None);
        }
    }

    #[test]
    fn a_process_that_writes_to_its_other_stream_has_not_said_its_last_words() {
        let now = Instant::now();
        let mut words = TracebackProgress::default();
        words.take(UNCAUGHT.as_bytes(), now);
        words.wrote_elsewhere(now - Duration::from_secs(9));
        assert!(words.due().is_some());
        words.wrote_elsewhere(now + Duration::from_secs(3));
        assert!(words.due().is_none());
    }
}
