//! The decision to run the ranks of a job again after a failure.
//!
//! Pure. A failure uses up one of the restarts that the settings allow. If the next attempt would fail in the same way,
//! there is no restart, and the job ends with this failure. The first restart is immediate. After attempts that end
//! soon, the pauses grow.

use std::time::Duration;

use crate::event::{Cause, CauseDetail, CauseEnding, DetailLabel, Ending};
use crate::job::exit_code;

/// The numbers of restarts that the settings allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestartLimits {
    /// The restarts after failures of ranks.
    pub failures: u32,
    /// The additional restarts for ranks that were killed from outside.
    pub preemptions: u32,
}

impl RestartLimits {
    /// Returns true if no restart is allowed.
    pub fn is_none(self) -> bool {
        self == RestartLimits::default()
    }
}

/// The next attempt at running the ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextAttempt {
    /// The number of the attempt, counted from 0.
    pub attempt: u32,
    /// The time until the attempt starts.
    pub pause: Duration,
}

/// The prospect of another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prospect {
    /// It would fail in the same way. Contains the unchangeable reason.
    Hopeless(&'static str),
    /// It may succeed.
    Open,
    /// It may succeed, because a rank was killed from outside.
    Preempted,
}

/// The minimum duration of an attempt after which the pauses start from zero again.
const LASTING: Duration = Duration::from_secs(300);

/// The pause before the second restart. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The restarts of a job so far.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    limits: RestartLimits,
    used: RestartLimits,
    attempt: u32,
    /// The number of attempts in a row that ended sooner than [`LASTING`].
    short: u32,
    /// The headline of the first failure, without digits.
    first: Option<String>,
    has_changed: bool,
}

impl Restarts {
    /// Returns the restarts of a job that has begun its first attempt.
    pub fn new(limits: RestartLimits) -> Restarts {
        Restarts { limits, ..Restarts::default() }
    }

    /// Returns true if another attempt may follow a failure.
    pub fn allows(&self, cause: &Cause) -> bool {
        self.clone().next(cause, Duration::ZERO).is_some()
    }

    /// Records the failure of an attempt that lasted for the time `lasted`, and returns the next attempt. `None` if
    /// there is none.
    pub fn next(&mut self, cause: &Cause, lasted: Duration) -> Option<NextAttempt> {
        let budget = match prospect(cause) {
            Prospect::Hopeless(_) => None,
            Prospect::Preempted if self.used.preemptions < self.limits.preemptions => Some(&mut self.used.preemptions),
            Prospect::Preempted | Prospect::Open => {
                Some(&mut self.used.failures).filter(|used| **used < self.limits.failures)
            }
        };
        *budget? += 1;
        self.note(cause);
        self.short = if lasted >= LASTING { 0 } else { self.short + 1 };
        self.attempt += 1;
        let doubled = |short: u32| FIRST_PAUSE * 2u32.pow((short - 2).min(10));
        let pause = if self.short < 2 { Duration::ZERO } else { doubled(self.short).min(LONGEST_PAUSE) };
        Some(NextAttempt { attempt: self.attempt, pause })
    }

    /// Adds the number of attempts to the cause of the last failure, or the reason why there was only one.
    pub fn explain(&mut self, cause: &mut Cause) {
        cause.attempt = self.attempt;
        if self.limits.is_none() || cause.is_stop() {
            return;
        }
        self.note(cause);
        let count = self.attempt + 1;
        let hopeless = match prospect(cause) {
            Prospect::Hopeless(what) => Some(what),
            Prospect::Open | Prospect::Preempted => None,
        };
        let text = match (count, hopeless, self.has_changed) {
            (1, Some(what), _) => format!("1: another one would not change {what}"),
            (1, None, _) => "1".to_owned(),
            (_, _, false) => format!("{count}, which all failed alike"),
            (_, _, true) => format!("{count}, which failed in different ways; the first: {}", self.first()),
        };
        // It is placed before the other details, so that it is shown however many there are.
        let continues = usize::from(cause.details.first().is_some_and(|detail| detail.label.is_none()));
        cause.details.insert(continues, CauseDetail { label: Some(DetailLabel::Attempts), text });
    }

    fn first(&self) -> &str {
        self.first.as_deref().unwrap_or_default()
    }

    fn note(&mut self, cause: &Cause) {
        match &self.first {
            None => self.first = Some(cause.headline.clone()),
            Some(first) => self.has_changed |= without_figures(first) != without_figures(&cause.headline),
        }
    }
}

/// Returns a headline without numbers, because times, addresses, steps and process numbers differ between equal failures.
fn without_figures(headline: &str) -> String {
    let bytes = headline.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let is_of_number = |at: usize, c: char| {
        c.is_ascii_digit() || matches!(c, '.' | ',') && is_digit(at.checked_sub(1)) && is_digit(Some(at + 1))
    };
    headline.char_indices().filter(|(at, c)| !is_of_number(*at, *c)).map(|(_, c)| c).collect()
}

/// Returns the prospect of a further attempt.
fn prospect(cause: &Cause) -> Prospect {
    let ending = match cause.ending {
        CauseEnding::Process(ending) => ending,
        CauseEnding::NoProcess(exit_code::HANG) => return Prospect::Open,
        CauseEnding::NoProcess(_) => return Prospect::Hopeless("what failed outside the script"),
    };
    if cause.stage.is_some() {
        return Prospect::Hopeless("what failed before the script");
    }
    let headline = cause.headline.as_str();
    let is = |names: &[&str]| {
        let name = headline.split(':').next().unwrap_or_default();
        names.contains(&name.rsplit('.').next().unwrap_or_default())
    };
    if is(&["SyntaxError", "IndentationError", "TabError"]) {
        return Prospect::Hopeless("the syntax of the code");
    }
    if is(&["ImportError", "ModuleNotFoundError"]) {
        return Prospect::Hopeless("what can be imported");
    }
    if is(&["FileNotFoundError", "NotADirectoryError"]) && names_own_file(headline) {
        return Prospect::Hopeless("the files of the code");
    }
    match cause.rank_ending.unwrap_or(ending) {
        // argparse, click and shells end in this way if they refuse the arguments.
        Ending::Exited(2) if headline.contains("error: ") || headline.starts_with("usage: ") => {
            Prospect::Hopeless("the arguments")
        }
        Ending::Exited(126 | 127) => Prospect::Hopeless("the programs of the image"),
        // A kill by the kernel for lack of memory is the script's fault.
        ending if was_killed_from_outside(ending, headline) && !headline.contains("out of memory") => {
            Prospect::Preempted
        }
        Ending::Exited(_) | Ending::Signaled(_) => Prospect::Open,
    }
}

/// Returns true if SIGHUP, SIGINT, SIGKILL or SIGTERM killed the process, or a child whose end it passed on as its own
/// exit code: a shell as 128 + n, a launcher of Python as -n.
fn was_killed_from_outside(ending: Ending, headline: &str) -> bool {
    let number = match ending {
        Ending::Signaled(number) => number,
        Ending::Exited(_) if !headline.starts_with("killed by ") && !headline.starts_with("exit code ") => {
            return false;
        }
        Ending::Exited(code @ 129..192) => code - 128,
        // 255 and 254 are also what a script means by -1 and -2.
        Ending::Exited(code @ 192..254) => 256 - code,
        Ending::Exited(_) => return false,
    };
    matches!(number, 1 | 2 | 9 | 15)
}

/// Returns true if an error names a file by a relative path or in the folder of the code. Such a file is missing in the
/// code.
fn names_own_file(headline: &str) -> bool {
    let path = headline.rsplit_once(": ").map_or("", |(_, path)| path.trim_matches(['\'', '"']));
    !path.is_empty() && (!path.starts_with('/') || path.contains("/code/"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{NextAttempt, RestartLimits, Restarts};
    use crate::event::{Cause, CauseEnding, CauseStage, Ending};

    const SOON: Duration = Duration::from_secs(3);

    fn exited(headline: &str, code: i32) -> Cause {
        Cause::new(headline, CauseEnding::Process(Ending::Exited(code)))
    }

    fn killed(number: i32) -> Cause {
        let ending = Ending::Signaled(number);
        Cause::new(ending.to_string(), CauseEnding::Process(ending))
    }

    fn limited(failures: u32, preemptions: u32) -> Restarts {
        Restarts::new(RestartLimits { failures, preemptions })
    }

    #[test]
    fn attempts_end_with_the_budget_and_pause_longer_each_time() {
        let mut restarts = limited(9, 0);
        let pauses: Vec<u64> = std::iter::from_fn(|| restarts.next(&exited("ValueError: bad", 1), SOON))
            .map(|next| next.pause.as_secs())
            .collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30, 30]);
        let mut restarts = limited(3, 0);
        let mut next = |lasted| restarts.next(&exited("ValueError: bad", 1), lasted).expect("an attempt");
        assert_eq!(next(SOON), NextAttempt { attempt: 1, pause: Duration::ZERO });
        assert_eq!(next(SOON), NextAttempt { attempt: 2, pause: Duration::from_secs(1) });
        assert_eq!(next(Duration::from_secs(600)), NextAttempt { attempt: 3, pause: Duration::ZERO });
    }

    #[test]
    fn what_cannot_change_is_not_run_again() {
        let stage = Cause { stage: Some(CauseStage::Requirements), ..exited("no network", 1) };
        for hopeless in [
            exited("SyntaxError: invalid syntax", 1),
            exited("IndentationError: unexpected indent", 1),
            exited("ModuleNotFoundError: No module named 'x'", 1),
            exited("ImportError: cannot import name 'x'", 1),
            exited("FileNotFoundError: [Errno 2] No such file or directory: 'config.yaml'", 1),
            exited("FileNotFoundError: [Errno 2] No such file or directory: '/opt/ml/code/config.yaml'", 1),
            exited("train.py: error: the following arguments are required: --lr", 2),
            exited("sh: 1: frobnicate: not found", 127),
            Cause {
                rank_ending: Some(Ending::Exited(2)),
                ..exited("train.py: error: the following arguments are required: --lr", 1)
            },
            Cause::new("host algo-2 is lost", CauseEnding::NoProcess(68)),
            Cause::new("the job was told to stop by SIGTERM", CauseEnding::NoProcess(0)),
            stage,
        ] {
            assert_eq!(limited(3, 3).next(&hopeless, SOON), None, "{}", hopeless.headline);
        }
        for open in [
            exited("ValueError: bad", 1),
            exited("FileNotFoundError: [Errno 2] No such file or directory: '/mnt/data/shard-3'", 1),
            exited("exit code 2", 2),
            killed(11),
            Cause { headline: "killed by SIGKILL (signal 9): out of memory".to_owned(), ..killed(9) },
        ] {
            assert!(limited(1, 0).allows(&open), "{}", open.headline);
            assert!(!limited(0, 1).allows(&open), "{}", open.headline);
        }
    }

    #[test]
    fn preemptions_have_a_budget_of_their_own_and_then_that_of_failures() {
        let mut restarts = limited(1, 2);
        for number in [9, 15, 9] {
            assert!(restarts.next(&killed(number), SOON).is_some());
        }
        assert_eq!(restarts.next(&killed(9), SOON), None);
        assert_eq!(restarts.next(&exited("ValueError: bad", 1), SOON), None);
    }

    #[test]
    fn a_kill_that_a_launcher_or_a_shell_passed_on_is_a_preemption() {
        let under_launcher =
            Cause { rank_ending: Some(Ending::Signaled(9)), ..exited("killed by SIGKILL (signal 9)", 1) };
        for preempted in [
            under_launcher,
            exited("exit code 137: a child process was killed by SIGKILL (signal 9)", 137),
            exited("exit code 247 (-9): a child process was killed by SIGKILL (signal 9)", 247),
        ] {
            assert!(limited(0, 1).allows(&preempted), "{}", preempted.headline);
        }
        let crashed = Cause { rank_ending: Some(Ending::Signaled(11)), ..exited("killed by SIGSEGV (signal 11)", 1) };
        for open in [crashed, exited("ValueError: bad", 137), exited("exit code 255", 255), exited("exit code 1", 1)] {
            assert!(!limited(0, 1).allows(&open), "{}", open.headline);
        }
    }

    #[test]
    fn the_last_cause_says_how_many_attempts_there_were() {
        let explained = |limits: (u32, u32), headlines: &[&str]| {
            let mut restarts = limited(limits.0, limits.1);
            let (last, others) = headlines.split_last().expect("a failure");
            others.iter().for_each(|headline| assert!(restarts.next(&exited(headline, 1), SOON).is_some()));
            let mut cause = exited(last, 1);
            restarts.explain(&mut cause);
            cause.details.first().map(|detail| format!("{}: {}", detail.label.expect("a label"), detail.text))
        };
        assert_eq!(explained((0, 0), &["ValueError: bad"]), None);
        for (headlines, text) in [
            (&["ValueError: row 1", "ValueError: row 23"][..], "attempts: 2, which all failed alike"),
            (&["no progress for 2 s.", "no progress for 6.1 s."], "attempts: 2, which all failed alike"),
            (
                &["KeyError: 'x'", "ValueError: bad"],
                "attempts: 2, which failed in different ways; the first: KeyError: 'x'",
            ),
            (&["SyntaxError: bad"], "attempts: 1: another one would not change the syntax of the code"),
        ] {
            assert_eq!(explained((1, 0), headlines).as_deref(), Some(text));
        }
    }
}
