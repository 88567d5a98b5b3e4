//! The messages with which the runtime of a language ends a program: uncaught exceptions of C++, panics of Rust, failed
//! assertions, and other messages before `abort`.

use std::sync::LazyLock;

use regex::Regex;

use crate::event::SourcePlace;

use super::lines::Log;
use super::{noise, read};
use crate::failure::pattern::pattern;

/// A line about the failure, and the place that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorLine {
    pub(super) headline: String,
    pub(super) place: Option<SourcePlace>,
    /// The index of the last line that it was read from.
    pub(super) line: usize,
}

static PANIC: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^thread '(.*?)'(?: \(\d+\))? panicked at (?:'(.*)', )?(\S+?):(\d+):\d+:?$"));

/// Panics of Rust that are a consequence of another panic: in a thread that waited for it, and while its stack was
/// unwound.
static FOLLOWING_PANIC: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"Any \{ \.\. \}|PoisonError \{|\b(?:Recv|Send)Error\b|a scoped thread panicked|^panic in a (?:destructor during cleanup|function that cannot unwind)",
    )
});

/// Messages before SIGABRT, other than those of a C++ exception and a Rust panic. They are from the C and C++
/// libraries, glog, V8, the Java virtual machine, OpenMP, MKL, Go and Rust.
static ABORT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"Assertion .*failed|[Aa]ssertion failed|Check failed:|double free or corruption|",
        r"^(?:malloc|free|realloc|munmap_chunk|malloc_consolidate|unaligned)\w*\(\): |^\*\*\* .* detected \*\*\*|",
        r"corrupted (?:size|double-linked)|invalid (?:next )?size|stack smashing detected|pure virtual method|^libc\+\+abi: |",
        r"^OMP: Error|LLVM ERROR:|MKL ERROR|^FATAL ERROR: |^fatal error: |^F(?:\d{4}|\d{8}) \d\d:|^\d{4}-\d\d-\d\d \S+: F |",
        r"Watchdog caught collective operation timeout|^# There is insufficient memory|^#  SIG[A-Z]+ \(0x|^Terminating due to java|",
        r"^fatal runtime error: |^Memory access fault by GPU|\bHSA_STATUS_ERROR_\w+: |\bFATAL\b|^\S+\.rb:\d+: \[BUG\] |",
        r"\b[A-Z]{2,8}_ASSERT\(.*\) failed|Failed assertion: |\] Attempt to free invalid pointer|^GNU MP: Cannot allocate ",
    ))
});

/// The place before the message of a fatal record of Google's logging library, also of its Python version:
/// `F0314 12:00:00.000000 71 rows.cc:88] `.
static CHECKED_AT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^F\d{4}.{0,60}? (?P<path>\S+\.(?:cc|cpp|cxx|cu|h|hpp|c|py)):(?P<line>\d+)\] "));

/// The place before a fatal error of Ruby's interpreter: `fit.rb:12: [BUG] Segmentation fault at 0x0`.
static BUG_AT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?P<path>\S+\.rb):(?P<line>\d+): \[BUG\] "));

/// The place of an assertion of C: `fit: src/rows.cc:12: void load(int): Assertion `n > 0' failed.`
static ASSERTED_AT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[^\s:]+: (?P<path>[^\s:]+):(?P<line>\d+): .*: Assertion `"));

/// The maximum number of lines of a message.
const MAX_MESSAGE: usize = 8;

/// Returns the reason why a program called `abort`: an uncaught C++ exception, a Rust panic, or a failed assertion.
pub(super) fn abort(log: &Log) -> Option<ErrorLine> {
    exception(log, 0).or_else(|| panic(log, 0)).or_else(|| {
        let text = |at: usize| noise::without_progress(log.text(at)).trim();
        let line = (0..log.lines.len()).rev().find(|&at| ABORT.is_match(text(at)))?;
        let headline = noise::message(text(line)).trim_start_matches(['#', ' ']).to_owned();
        let place = [&CHECKED_AT, &ASSERTED_AT, &BUG_AT].iter().find_map(|place| place.captures(log.text(line)));
        let place = place.map(|found| place_of(&found));
        Some(ErrorLine { headline, place, line })
    })
}

/// Returns the place that a pattern found as its groups `path` and `line`.
pub(super) fn place_of(found: &regex::Captures<'_>) -> SourcePlace {
    SourcePlace { path: found["path"].to_owned(), line: found["line"].parse().unwrap_or(0), function: None }
}

/// Returns true if the runtime ended the program with a signal because of an error that it printed (.NET and Kotlin for
/// an exception, Swift and Zig for a fatal error, sanitizers for a report), or if threads were still running at the
/// exit. Python then ends with a fatal error if a thread holds the lock of stderr.
pub(super) fn aborts_for_exception(log: &Log) -> bool {
    let is_told = |line: &str| {
        line == "terminate called without an active exception"
            || line.starts_with("Unhandled exception. ")
            || line.starts_with("Uncaught Kotlin exception: ")
            || line.starts_with("Fatal Python error: ") && line.contains(" at interpreter shutdown")
            || line.starts_with("==") && line.contains("==ERROR: ") && line.contains("Sanitizer: ")
            || read::is_panic_of_zig(line)
            || read::is_error_of_swift(line)
    };
    log.lines.iter().any(|line| is_told(&line.text))
}

/// Returns the reason why the Java virtual machine called `abort`. It is read from the virtual machine's report on
/// stdout, and consists of the signal and the code in which it occurred.
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
pub(super) fn exception(log: &Log, from: usize) -> Option<ErrorLine> {
    const THROWN: &str = "terminate called after throwing an instance of '";
    let at = (from..log.lines.len()).rev().find(|&at| log.text(at).starts_with(THROWN))?;
    let name = log.text(at)[THROWN.len()..].trim_end_matches('\'');
    let next = at + 1;
    let Some(what) = log.lines.get(next).and_then(|line| line.text.trim_start().strip_prefix("what():")) else {
        return Some(ErrorLine { headline: log.text(at).to_owned(), place: None, line: at });
    };
    let mut headline = format!("{name}: {}", what.trim());
    let mut line = next;
    // The lines of a message are not marked. Indented lines are part of it.
    let more = log.lines[next + 1..].iter().take(MAX_MESSAGE);
    for text in more.map(|line| line.text.as_str()).take_while(|text| text.starts_with(' ') && !noise::is_noise(text)) {
        headline.push('\n');
        headline.push_str(text.trim());
        line += 1;
    }
    Some(ErrorLine { headline, place: None, line })
}

/// Returns the panic of Rust that ended a program: `thread 'main' panicked at src/main.rs:3:5:` with the message on the
/// next line, or, before Rust 1.73, with the message within the line. The last panic counts, unless it is a consequence
/// of an earlier one.
pub(super) fn panic(log: &Log, from: usize) -> Option<ErrorLine> {
    let mut panics = (from..log.lines.len()).rev().filter_map(|at| panic_at(log, at));
    let last = panics.next()?;
    let is_following = |found: &ErrorLine| {
        found.headline.split_once(" panicked: ").is_some_and(|(_, message)| FOLLOWING_PANIC.is_match(message))
    };
    if !is_following(&last) {
        return Some(last);
    }
    let is_unwinding = last.headline.contains(" panicked: panic in a ");
    let earlier: Vec<ErrorLine> = panics.filter(|found| !is_following(found)).collect();
    // The first panic can run a destructor that panics too. The destructor's panic is then printed between the two.
    let cause = if is_unwinding { earlier.last() } else { earlier.first() };
    Some(cause.cloned().map_or(last.clone(), |cause| ErrorLine { line: last.line, ..cause }))
}

/// Returns the panic that begins at a line.
fn panic_at(log: &Log, at: usize) -> Option<ErrorLine> {
    let text = Some(log.text(at)).filter(|text| text.starts_with("thread '"))?;
    let found = PANIC.captures(text)?;
    let place = SourcePlace { path: found[3].to_owned(), line: found[4].parse().unwrap_or(0), function: None };
    let (message, line) = match (found.get(2), log.lines.get(at + 1)) {
        (Some(message), _) => (message.as_str(), at),
        (None, Some(next)) => (next.text.as_str(), at + 1),
        (None, None) => ("", at),
    };
    let headline = format!("thread '{}' panicked: {message}", &found[1]);
    Some(ErrorLine { headline, place: Some(place), line })
}
