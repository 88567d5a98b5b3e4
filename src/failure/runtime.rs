//! The words with which the runtime of a language ends a program: uncaught exceptions of C++, panics of Rust, failed
//! assertions, and what else is written before `abort`.

use std::sync::LazyLock;

use regex::Regex;

use crate::event::SourcePlace;

use super::lines::Log;
use super::noise;
use crate::failure::pattern::pattern;

/// A line about the failure, and the place that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TellingLine {
    pub(super) headline: String,
    pub(super) place: Option<SourcePlace>,
    /// The index of the last line that it was read from.
    pub(super) line: usize,
}

static PANIC: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^thread '(.*?)'(?: \(\d+\))? panicked at (?:'(.*)', )?(\S+?):(\d+):\d+:?$"));

/// Panics of Rust that follow from another one: of a thread that waited for it, and while its stack was unwound.
static FOLLOWING_PANIC: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"Any \{ \.\. \}|PoisonError \{|\b(?:Recv|Send)Error\b|a scoped thread panicked|^panic in a (?:destructor during cleanup|function that cannot unwind)",
    )
});

/// Messages before SIGABRT, apart from those of a C++ exception and a Rust panic: of the C and C++ libraries, glog, V8, the
/// Java virtual machine, OpenMP, MKL, Go, Rust.
static ABORT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"Assertion .*failed|[Aa]ssertion failed|Check failed:|double free or corruption|",
        r"^(?:malloc|free|realloc|munmap_chunk|malloc_consolidate|unaligned)\w*\(\): |^\*\*\* .* detected \*\*\*|",
        r"corrupted (?:size|double-linked)|invalid (?:next )?size|stack smashing detected|pure virtual method|^libc\+\+abi: |",
        r"^OMP: Error|LLVM ERROR:|MKL ERROR|^FATAL ERROR: |^fatal error: |^F(?:\d{4}|\d{8}) \d\d:|^\d{4}-\d\d-\d\d \S+: F |",
        r"Watchdog caught collective operation timeout|^# There is insufficient memory|^#  SIG[A-Z]+ \(0x|^Terminating due to java|",
        r"^fatal runtime error: |^Memory access fault by GPU|\bHSA_STATUS_ERROR_\w+: |\bFATAL\b",
    ))
});

/// The place before the message of a fatal record of Google's logging library: `F0314 12:00:00.000000 71 rows.cc:88] `, also of its twin
/// in Python.
static CHECKED_AT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^F\d{4}.{0,60}? (?P<path>\S+\.(?:cc|cpp|cxx|cu|h|hpp|c|py)):(?P<line>\d+)\] "));

/// The maximum number of lines of a message.
const MAX_MESSAGE: usize = 8;

/// Returns the reason why a program called `abort`: an uncaught C++ exception, a Rust panic, or a failed assertion.
pub(super) fn abort(log: &Log) -> Option<TellingLine> {
    exception(log, 0).or_else(|| panic(log, 0)).or_else(|| {
        let text = |at: usize| noise::without_progress(log.text(at)).trim();
        let line = (0..log.lines.len()).rev().find(|&at| ABORT.is_match(text(at)))?;
        let headline = noise::message(text(line)).trim_start_matches(['#', ' ']).to_owned();
        let place = CHECKED_AT.captures(log.text(line)).map(|found| place_of(&found));
        Some(TellingLine { headline, place, line })
    })
}

/// Returns the place that a pattern has found as `path` and `line`.
pub(super) fn place_of(found: &regex::Captures<'_>) -> SourcePlace {
    SourcePlace { path: found["path"].to_owned(), line: found["line"].parse().unwrap_or(0), function: None }
}

/// Returns true if nothing caught an exception, and the runtime of .NET then aborted, or threads were still running at the exit.
pub(super) fn aborts_for_exception(log: &Log) -> bool {
    let is_told = |line: &str| {
        line == "terminate called without an active exception" || line.starts_with("Unhandled exception. ")
    };
    log.lines.iter().any(|line| is_told(&line.text))
}

/// Returns the reason why the Java virtual machine called `abort`, from its report, which it writes to stdout: the signal,
/// and the code in which it came.
pub(super) fn crash_of_java(stdout: &Log) -> Option<String> {
    static SIGNAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"^#  SIG[A-Z]+ \(0x"));
    let bare = |at: usize| stdout.text(at).trim_start_matches(['#', ' ']);
    let signal = (0..stdout.lines.len()).rev().find(|&at| SIGNAL.is_match(stdout.text(at)))?;
    let frame = (signal..stdout.lines.len() - 1).find(|&at| stdout.text(at) == "# Problematic frame:");
    Some(match frame {
        Some(frame) => format!("{} in {}", bare(signal), bare(frame + 1)),
        None => bare(signal).to_owned(),
    })
}

/// Returns the last uncaught exception of the C++ runtime: `terminate called after throwing an instance of 'T'`, and
/// `what():  message` on the next lines.
pub(super) fn exception(log: &Log, from: usize) -> Option<TellingLine> {
    const THROWN: &str = "terminate called after throwing an instance of '";
    let at = (from..log.lines.len()).rev().find(|&at| log.text(at).starts_with(THROWN))?;
    let name = log.text(at)[THROWN.len()..].trim_end_matches('\'');
    let next = at + 1;
    let Some(what) = log.lines.get(next).and_then(|line| line.text.trim_start().strip_prefix("what():")) else {
        return Some(TellingLine { headline: log.text(at).to_owned(), place: None, line: at });
    };
    let mut headline = format!("{name}: {}", what.trim());
    let mut line = next;
    // The lines of a message are not marked. Those that are indented belong to it.
    let more = log.lines[next + 1..].iter().take(MAX_MESSAGE);
    for text in more.map(|line| line.text.as_str()).take_while(|text| text.starts_with(' ') && !noise::is_noise(text)) {
        headline.push('\n');
        headline.push_str(text.trim());
        line += 1;
    }
    Some(TellingLine { headline, place: None, line })
}

/// Returns the panic of Rust that ended a program: `thread 'main' panicked at src/main.rs:3:5:` with the message on the next
/// line, or, before Rust 1.73, with the message within the line. The last panic counts, unless it follows from an earlier one.
pub(super) fn panic(log: &Log, from: usize) -> Option<TellingLine> {
    let mut panics = (from..log.lines.len()).rev().filter_map(|at| panic_at(log, at));
    let last = panics.next()?;
    let is_following = |found: &TellingLine| {
        found.headline.split_once(" panicked: ").is_some_and(|(_, message)| FOLLOWING_PANIC.is_match(message))
    };
    if !is_following(&last) {
        return Some(last);
    }
    let is_unwinding = last.headline.contains(" panicked: panic in a ");
    let earlier: Vec<TellingLine> = panics.filter(|found| !is_following(found)).collect();
    // The panic of a destructor, which ran because of the first one, stands between the two.
    let cause = if is_unwinding { earlier.last() } else { earlier.first() };
    Some(cause.cloned().map_or(last.clone(), |cause| TellingLine { line: last.line, ..cause }))
}

/// Returns the panic that begins at a line.
fn panic_at(log: &Log, at: usize) -> Option<TellingLine> {
    let found = PANIC.captures(log.text(at))?;
    let place = SourcePlace { path: found[3].to_owned(), line: found[4].parse().unwrap_or(0), function: None };
    let (message, line) = match (found.get(2), log.lines.get(at + 1)) {
        (Some(message), _) => (message.as_str(), at),
        (None, Some(next)) => (next.text.as_str(), at + 1),
        (None, None) => ("", at),
    };
    let headline = format!("thread '{}' panicked: {message}", &found[1]);
    Some(TellingLine { headline, place: Some(place), line })
}
