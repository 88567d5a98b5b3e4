//! The most telling line of programs that are not Python, and of Python's errors without a traceback.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::event::SourcePlace;

use super::lines::Log;
use super::noise::{self, RecordLevel};

/// A line about the failure, and the place that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TellingLine {
    pub(super) headline: String,
    pub(super) place: Option<SourcePlace>,
    /// The index of the last line that it was read from.
    pub(super) line: usize,
}

/// The number of meaningful lines before the end that are searched for an error. The program survived errors before those.
const SEARCHED_LINES: usize = 12;

/// Words by which a line tells of an error.
static ERROR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)\b(?:errors?|fatal|\w*exception|cannot|can't|could not|couldn't|unable to|not found|no such|denied|killed|",
        r"panic|panicked|failed|failure|abort|aborted|aborting|invalid|unrecognized|unknown option|segmentation fault|",
        r"bus error|illegal instruction|core dumped|undefined symbol|no module named|no space left|out of memory|refused|",
        r"required|missing|halted|not executable|bad interpreter)\b|\b[A-Z]\w+Error\b|what\(\):",
    ))
    .expect("a valid pattern")
});

/// Lines that only summarize the lines before them.
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

/// Messages before SIGABRT, apart from those of a C++ exception and a Rust panic.
static ABORT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"Assertion .*failed|Check failed:|double free or corruption|^(?:malloc|free|realloc|munmap_chunk)\(\): |",
        r"Watchdog caught collective operation timeout|corrupted (?:size|double-linked)|invalid (?:next )?size|stack smashing detected|^OMP: Error|LLVM ERROR:",
    ))
    .expect("a valid pattern")
});

/// Returns the last message of argparse from the line `from` on, if its usage stands there too.
pub(super) fn argument_error(log: &Log, from: usize) -> Option<TellingLine> {
    let used = log.lines[from.min(log.lines.len())..].iter().any(|line| line.text.starts_with("usage: "));
    let line = (from..log.lines.len()).rev().find(|&at| used && ARGUMENT.is_match(log.text(at)))?;
    Some(TellingLine { headline: log.text(line).to_owned(), place: None, line })
}

/// Returns the reason why a program called `abort`: an uncaught C++ exception, a Rust panic, or a failed assertion.
pub(super) fn abort(log: &Log) -> Option<TellingLine> {
    exception(log, 0).or_else(|| panic(log, 0)).or_else(|| {
        let line = (0..log.lines.len()).rev().find(|&at| ABORT.is_match(log.text(at)))?;
        Some(TellingLine { headline: log.text(line).trim().to_owned(), place: None, line })
    })
}

/// Returns the most telling line about an error among the last lines from `from` on. `skipped` is true for each line that
/// belongs to something else, such as a traceback.
pub(super) fn telling(log: &Log, from: usize, skipped: &[bool]) -> Option<TellingLine> {
    if let Some(found) = panic(log, from).or_else(|| exception(log, from)) {
        return Some(found);
    }
    let lines = || meaningful(log, from, skipped).take(SEARCHED_LINES).filter(|&at| ERROR.is_match(log.text(at)));
    let line = lines().find(|&at| !SUMMARY.is_match(log.text(at))).or_else(|| lines().next())?;
    Some(TellingLine { headline: noise::without_progress(log.text(line)).trim().to_owned(), place: None, line })
}

/// Returns the last meaningful line, unless it is a log record below error or only a summary.
pub(super) fn last_words(log: &Log, from: usize, skipped: &[bool]) -> Option<TellingLine> {
    let line = meaningful(log, from, skipped).next()?;
    Some(TellingLine { headline: noise::without_progress(log.text(line)).trim().to_owned(), place: None, line })
        .filter(|_| noise::level(log.text(line)) != Some(RecordLevel::Harmless) && !SUMMARY.is_match(log.text(line)))
}

/// Returns the index of the last line, from `from` on, that is neither noise nor skipped.
pub(super) fn last_line(log: &Log, from: usize, skipped: &[bool]) -> Option<usize> {
    meaningful(log, from, skipped).next()
}

/// Returns the number of one writer's lines in a range that are neither noise nor skipped.
pub(super) fn count_between(log: &Log, range: Range<usize>, skipped: &[bool], writer: usize) -> usize {
    let lines = log.lines_of(writer, range.start).iter().take_while(|&&at| at < range.end);
    lines.filter(|&&at| is_meaningful(log, at, skipped)).count()
}

/// Returns the number of one writer's lines, from `from` on, that are neither noise nor skipped.
pub(super) fn count(log: &Log, from: usize, skipped: &[bool], writer: usize) -> usize {
    log.lines_of(writer, from).iter().filter(|&&at| is_meaningful(log, at, skipped)).count()
}

/// Returns the indices of the lines from `from` on that are neither noise nor skipped, the last one first.
fn meaningful<'l>(log: &'l Log, from: usize, skipped: &'l [bool]) -> impl Iterator<Item = usize> + 'l {
    (from..log.lines.len()).rev().filter(move |&at| is_meaningful(log, at, skipped))
}

fn is_meaningful(log: &Log, at: usize, skipped: &[bool]) -> bool {
    let text = log.text(at);
    let skipped = text.is_empty() || skipped.get(at).copied().unwrap_or(false);
    !skipped && !noise::is_noise(noise::without_progress(text))
}

/// Returns the last uncaught exception of the C++ runtime: `terminate called after throwing an instance of 'T'`, and
/// `what():  message` on the next line.
fn exception(log: &Log, from: usize) -> Option<TellingLine> {
    const THROWN: &str = "terminate called after throwing an instance of '";
    let at = (from..log.lines.len()).rev().find(|&at| log.text(at).starts_with(THROWN))?;
    let name = log.text(at)[THROWN.len()..].trim_end_matches('\'');
    let next = at + 1;
    let what = log.lines.get(next).and_then(|line| line.text.trim_start().strip_prefix("what():"));
    let (headline, line) = match what {
        Some(what) => (format!("{name}: {}", what.trim()), next),
        None => (name.to_owned(), at),
    };
    Some(TellingLine { headline, place: None, line })
}

/// Returns the last panic of Rust: `thread 'main' panicked at src/main.rs:3:5:` with the message on the next line, or, before
/// Rust 1.73, with the message within the line.
fn panic(log: &Log, from: usize) -> Option<TellingLine> {
    let (at, found) = (from..log.lines.len()).rev().find_map(|at| Some((at, PANIC.captures(log.text(at))?)))?;
    let place = SourcePlace { path: found[3].to_owned(), line: found[4].parse().unwrap_or(0), function: None };
    let (message, line) = match (found.get(2), log.lines.get(at + 1)) {
        (Some(message), _) => (message.as_str(), at),
        (None, Some(next)) => (next.text.as_str(), at + 1),
        (None, None) => ("", at),
    };
    let headline = format!("thread '{}' panicked: {message}", &found[1]);
    Some(TellingLine { headline, place: Some(place), line })
}
