//! Programs that are not Python, and Python's own errors without a traceback: the line that tells most.

use std::sync::LazyLock;

use regex::Regex;

use crate::event::SourcePlace;

use super::lines::Log;
use super::noise::{self, Level};

/// What a program said last of its failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) headline: String,
    pub(super) place: Option<SourcePlace>,
    /// The last line it was read from.
    pub(super) line: usize,
}

/// How many meaningful lines before the end are searched for one that tells of an error. Errors further up were
/// survived.
const SEARCHED_LINES: usize = 12;

/// Words of errors.
static ERROR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)\b(?:errors?|fatal|\w*exception|cannot|can't|could not|couldn't|unable to|not found|no such|denied|killed|",
        r"panic|panicked|failed|failure|abort|aborted|aborting|invalid|unrecognized|unknown option|segmentation fault|",
        r"bus error|illegal instruction|core dumped|undefined symbol|no module named|no space left|out of memory|refused|",
        r"required|missing|halted|not executable|bad interpreter)\b|\b[A-Z]\w+Error\b|what\(\):",
    ))
    .expect("a valid pattern")
});

/// Lines that only sum up what was said before them.
static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)^g?make(?:\[\d+\])?: \*\*\*|exit(?:ed)? (?:status|code|with)|non-zero|^execution halted|^ninja: |^usage:",
    )
    .expect("a valid pattern")
});

static PANIC: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^thread '(.*?)'(?: \(\d+\))? panicked at (?:'(.*)', )?(\S+?):(\d+):\d+:?$").expect("a valid pattern")
});

/// `train.py: error: unrecognized arguments: --foo`, as argparse ends a program with exit code 2.
static ARGUMENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[^\s:]+(?: [^\s:]+)*: error: ").expect("a valid pattern"));

/// What ends a program by SIGABRT, beside a C++ exception and a Rust panic.
static ABORT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"Assertion .*failed|Check failed:|double free or corruption|^(?:malloc|free|realloc|munmap_chunk)\(\): |",
        r"corrupted (?:size|double-linked)|invalid (?:next )?size|stack smashing detected|^OMP: Error|LLVM ERROR:",
    ))
    .expect("a valid pattern")
});

/// The message of argparse, if the log ends with one.
pub(super) fn argument_error(log: &Log, from: usize) -> Option<Telling> {
    let used = log.lines[from.min(log.lines.len())..].iter().any(|line| line.text.starts_with("usage: "));
    let line = (from..log.lines.len()).rev().find(|&at| used && ARGUMENT.is_match(log.text(at)))?;
    Some(Telling { headline: log.text(line).to_owned(), place: None, line })
}

/// Why a program called `abort`: an uncaught C++ exception, a Rust panic, a failed assertion.
pub(super) fn abort(log: &Log) -> Option<Telling> {
    let last = log.lines.len();
    exception(log, 0).or_else(|| panic(log, 0)).or_else(|| {
        let line = (0..last).rev().find(|&at| ABORT.is_match(log.text(at)))?;
        Some(Telling { headline: log.text(line).trim().to_owned(), place: None, line })
    })
}

/// The line, among the last ones from `from` on, that tells most of an error. `skipped` lines belong to something that
/// was judged already.
pub(super) fn telling(log: &Log, from: usize, skipped: &[bool]) -> Option<Telling> {
    if let Some(found) = panic(log, from).or_else(|| exception(log, from)) {
        return Some(found);
    }
    let lines = || meaningful(log, from, skipped).take(SEARCHED_LINES).filter(|&at| ERROR.is_match(log.text(at)));
    let line = lines().find(|&at| !SUMMARY.is_match(log.text(at))).or_else(|| lines().next())?;
    Some(Telling { headline: noise::without_progress(log.text(line)).trim().to_owned(), place: None, line })
}

/// The last line that may be a message to the user: no record of a logger below error, no usage.
pub(super) fn last_words(log: &Log, from: usize, skipped: &[bool]) -> Option<Telling> {
    let line = meaningful(log, from, skipped).next()?;
    Some(Telling { headline: noise::without_progress(log.text(line)).trim().to_owned(), place: None, line })
        .filter(|_| noise::level(log.text(line)) != Some(Level::Harmless) && !SUMMARY.is_match(log.text(line)))
}

/// The last line of a log that is no noise, whatever it says.
pub(super) fn last_line(log: &Log, from: usize, skipped: &[bool]) -> Option<usize> {
    meaningful(log, from, skipped).next()
}

/// How many lines of one stream, from `from` on, are neither noise nor skipped.
pub(super) fn count(log: &Log, from: usize, skipped: &[bool], stream: usize) -> usize {
    log.of_stream(stream, from).iter().filter(|&&at| is_meaningful(log, at, skipped)).count()
}

/// The lines from `from` on that are neither noise nor skipped, the last one first.
fn meaningful<'l>(log: &'l Log, from: usize, skipped: &'l [bool]) -> impl Iterator<Item = usize> + 'l {
    (from..log.lines.len()).rev().filter(move |&at| is_meaningful(log, at, skipped))
}

fn is_meaningful(log: &Log, at: usize, skipped: &[bool]) -> bool {
    let text = log.text(at);
    let skipped = text.is_empty() || skipped.get(at).copied().unwrap_or(false);
    !skipped && !noise::is_noise(noise::without_progress(text))
}

/// `terminate called after throwing an instance of 'T'` and `what():  message`, of the C++ runtime.
fn exception(log: &Log, from: usize) -> Option<Telling> {
    const THROWN: &str = "terminate called after throwing an instance of '";
    let at = (from..log.lines.len()).rev().find(|&at| log.text(at).starts_with(THROWN))?;
    let name = log.text(at)[THROWN.len()..].trim_end_matches('\'');
    let next = at + 1;
    let what = log.lines.get(next).and_then(|line| line.text.trim_start().strip_prefix("what():"));
    let (headline, line) = match what {
        Some(what) => (format!("{name}: {}", what.trim()), next),
        None => (name.to_owned(), at),
    };
    Some(Telling { headline, place: None, line })
}

/// `thread 'main' panicked at src/main.rs:3:5:` and the message after it, or between (before Rust 1.73).
fn panic(log: &Log, from: usize) -> Option<Telling> {
    let (at, found) = (from..log.lines.len()).rev().find_map(|at| Some((at, PANIC.captures(log.text(at))?)))?;
    let place = SourcePlace { path: found[3].to_owned(), line: found[4].parse().unwrap_or(0), function: None };
    let (message, line) = match (found.get(2), log.lines.get(at + 1)) {
        (Some(message), _) => (message.as_str(), at),
        (None, Some(next)) => (next.text.as_str(), at + 1),
        (None, None) => ("", at),
    };
    let headline = format!("thread '{}' panicked: {message}", &found[1]);
    Some(Telling { headline, place: Some(place), line })
}
