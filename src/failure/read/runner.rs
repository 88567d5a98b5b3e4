//! Failures of tests, in the forms in which GoogleTest, Catch2, doctest, Boost.Test, `go test`, `cargo test`, Jest,
//! Vitest, bats, testthat, RSpec, Minitest, PHPUnit, CTest and Python's doctest print them:
//!
//! ```text
//! rows_test.cc:41: Failure
//! Expected equality of these values:
//!   sum(rows)
//!     Which is: 7
//!   9
//! ```
//!
//! ```text
//! --- FAIL: TestRows (0.00s)
//!     rows_test.go:17: got 3 rows, want 4
//! ```
//!
//! The runner goes on with the next test, and prints a summary at its end.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Raised, Reading, Turn};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// The form of a runner's failures.
struct Runner {
    /// The pattern of the head. It may have the groups `message`, `path` and `line`.
    head: LazyLock<Regex>,
    /// The pattern of a line below the head that is not part of the message.
    skipped: LazyLock<Regex>,
    /// The pattern of the line below the head with which the failure ends. It may have the groups `path` and `line`.
    end: LazyLock<Regex>,
}

macro_rules! runner {
    ($head:expr, $skipped:expr, $end:expr $(,)?) => {
        Runner {
            head: LazyLock::new(|| pattern($head)),
            skipped: LazyLock::new(|| pattern($skipped)),
            end: LazyLock::new(|| pattern($end)),
        }
    };
}

/// A pattern that nothing matches.
const NOTHING: &str = r"[^\s\S]";

static RUNNERS: [Runner; 13] = [
    // GoogleTest
    runner!(r"^(?:(?P<path>[^\s:]+\.\w+):(?P<line>\d+)|unknown file): Failure$", NOTHING, r"^$|^\[ "),
    // Catch2
    runner!(r"^(?P<path>[^\s:]+\.\w+):(?P<line>\d+): FAILED:$", NOTHING, r"^$|^[=~.-]{20}"),
    // doctest for C++
    runner!(
        r"^(?P<path>[^\s:]+\.\w+):(?P<line>\d+): (?:FATAL )?ERROR: (?P<message>(?:CHECK|REQUIRE|test case THREW)\b.*|(?:CHECK|REQUIRE)_\w+\(.*)$",
        NOTHING,
        r"^$|^=+$",
    ),
    // Boost.Test
    runner!(
        r#"^(?P<path>[^\s:]+\.\w+)\((?P<line>\d+)\): (?:fatal )?error: in "[^"]*": (?P<message>.*)$"#,
        NOTHING,
        r"^",
    ),
    // Jest. The place is in the first call outside its own code.
    runner!(
        r"^ +● .* › .*$|^  ● \S.*$",
        r"^\s*>? *\d* *\||^\s+at (?:.*node_modules/|.*\(node:|node:)",
        r"^\s+at (?:.* \()?(?P<path>[^\s():]+):(?P<line>\d+):\d+\)?$|^ +● |^\S",
    ),
    // Vitest
    runner!(r"^ *FAIL  \S+ > .*$", r"^[-+] |^\s*\d+\||^\s+\|", r"^ ❯ (?:\S+ )?(?P<path>[^\s:]+):(?P<line>\d+):\d+$|^⎯"),
    // bats
    runner!(
        r"^(?:#|  ) *\(?in test file (?P<path>[^,]+), line (?P<line>\d+)\)$",
        NOTHING,
        r"^$|^ \S|^(?:not )?ok \d|^\d+ tests?,",
    ),
    // testthat
    runner!(r"^── (?:Failure|Error) \((?P<path>[^\s:()]+):(?P<line>\d+)(?::\d+)?\): ", NOTHING, r"^$|^Backtrace:|^──",),
    // RSpec
    runner!(
        r"^ +Failure/Error: (?P<message>.*)$",
        r"^ +\(compared using |^ +# /",
        r"^ +# \./(?P<path>[^\s:]+):(?P<line>\d+)\b|^  \d+\) |^Finished in ",
    ),
    // Minitest
    runner!(r"^\S+#test_\S+ \[(?P<path>[^\s:\]]+):(?P<line>\d+)\]:$", NOTHING, r"^$"),
    // PHPUnit
    runner!(r"^\d+\) [\w\\]+::\w+.*$", NOTHING, r"^(?P<path>/\S+\.php):(?P<line>\d+)$|^\d+\) |^FAILURES!"),
    // Python's doctest
    runner!(
        r#"^File "(?P<path>[^"]+)", line (?P<line>\d+), in \S+$"#,
        r"^Failed example:$",
        r"^\*{10}|^Exception raised:$",
    ),
    // CTest, if it does not show the output of the tests.
    runner!(r"^(?P<message>The following tests FAILED:)$", NOTHING, r"^$|^\S"),
];

/// The end of a run in which a test failed.
static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^ *\d+ FAILED TESTS?$|^FAIL(?:\t\S+\t[\d.]+s)?$|^test result: FAILED\.|^Tests: +\d+ failed|^Ran all test suites|",
        r"^\d+ tests?, \d+ failures?|^\*{3}Test Failed\*{3}|^assertions: .*\| \d+ failed|^\[doctest\] Status: FAILURE!|",
        r"^\[ FAIL [1-9]|^\d+ examples?, \d+ failures?|^rspec \./|^Tests: \d+, Assertions: |^\*{3} \d+ failures? (?:is|are) detected|",
        r"^=+ .*\b\d+ (?:failed|errors?)\b.* =+$|^\d+ (?:failed|errors?)\b.* in [\d.]+s|^FAILED \((?:failures|errors)=|",
        r"^==\d+== ERROR SUMMARY: [1-9]|^========= ERROR SUMMARY: [1-9]|^ThreadSanitizer: reported |^Found \d+ data race\(s\)$",
    ))
});

/// The line of a test's output with a place: `    rows_test.go:17: got 3 rows, want 4`.
static GO: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s+(?P<path>[^\s:]+\.go):(?P<line>\d+): ?(?P<message>.*)$"));

/// The head of a test's output in `cargo test`, and the panic in it.
static CARGO: LazyLock<Regex> = LazyLock::new(|| pattern(r"^---- \S+ stdout ----$"));
static PANIC: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^thread '.*' (?:\(\d+\) )?panicked at (?:'(?P<message>.*)', )?(?P<path>[^\s:]+):(?P<line>\d+):\d+:?$")
});

/// The line of pytest's summary about a test: `FAILED test_rows.py::test_sums - assert 3 == 4`.
static LISTED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:FAILED|ERROR) \S+\.py(?:::\S+)? - (?P<message>\S.*)$"));

/// The title of a failure of Python's unittest, above a rule: `FAIL: test_rows (__main__.T)`.
static TITLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?P<kind>ERROR|FAIL): \S+ \("));

/// The results of unittest above its first report: a letter for each test, or the end of a line for each test.
static RESULTS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?P<letters>[.sxu]*[EF][.sxuEF]*)$|\.\.\. (?P<word>\w+)"));

/// The maximum number of lines below the head of a failure.
const MAX_LINES: usize = 60;

/// The maximum number of lines of a message.
const MAX_MESSAGE: usize = 12;

/// The maximum number of lines with results above the first report of unittest.
const MAX_RESULTS: usize = 2000;

/// Returns true if a failure, or the summary of a run, may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    // One search for all words takes a tenth of the time that a search for each takes.
    static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
        let words = [
            "Fail",
            "FAIL",
            "fail",
            "● ",
            "in test file ",
            ": error: in ",
            "#test_",
            "::",
            "File \"",
            "ERROR",
            "Ran all",
            "──",
        ];
        AhoCorasick::new(words).expect("a few words")
    });
    WORDS.is_match(line) || SUMMARY_STARTS.iter().any(|start| line.starts_with(start))
}

/// The beginnings of summaries without a word of failure in [`begins`].
const SUMMARY_STARTS: [&str; 6] = ["Tests: ", "*** ", "rspec ./", "ThreadSanitizer: ", "Found ", "---- "];

/// Returns the turn of a traceback of Python at the cursor, if it is that of a test of unittest. unittest prints the
/// errors before the failures, whichever came first.
pub(super) fn turn(cursor: &Cursor<'_>) -> Option<Turn> {
    let title = cursor.at.checked_sub(2).filter(|_| cursor.lines[cursor.at - 1].starts_with("-----"))?;
    let found = TITLE.captures(cursor.lines[title])?;
    if &found["kind"] == "FAIL" {
        return Some(Turn::Failure);
    }
    let above = title.checked_sub(1).filter(|rule| *rule > cursor.floor && cursor.lines[*rule].starts_with("====="));
    let failed_first = above.and_then(|rule| is_failure_first(&cursor.lines[cursor.floor..rule])).unwrap_or(false);
    Some(if failed_first { Turn::AfterFailure } else { Turn::AsPrinted })
}

/// Returns true if the results above the first report show a failure before an error. `None` if they are not shown.
fn is_failure_first(lines: &[&str]) -> Option<bool> {
    let lines = &lines[lines.len().saturating_sub(MAX_RESULTS)..];
    let is_result = |line: &&&str| line.is_empty() || RESULTS.is_match(line);
    let shown = lines.iter().rev().take_while(is_result).filter_map(|line| RESULTS.captures(line));
    let first_of = |found: regex::Captures<'_>| match (found.name("letters"), found.name("word")) {
        (Some(letters), _) => letters.as_str().chars().find(|letter| matches!(letter, 'E' | 'F')),
        (_, Some(word)) => word.as_str().chars().next().filter(|_| matches!(word.as_str(), "FAIL" | "ERROR")),
        _ => None,
    };
    shown.filter_map(first_of).last().map(|letter| letter == 'F')
}

/// Reads a failure, or the summary of a run.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    let line = cursor.line()?;
    if SUMMARY.is_match(line) {
        cursor.at += 1;
        return Some(Reading { is_of_series: true, ..Reading::here(Vec::new()) });
    }
    let is_go = ["--- FAIL: ", "=== FAIL: "].iter().any(|start| line.trim_start().starts_with(start));
    if is_go {
        return go(cursor);
    }
    if CARGO.is_match(line) {
        return cargo(cursor);
    }
    if let Some(found) = LISTED.captures(line) {
        cursor.at += 1;
        return failure(&[&found["message"]], None, None);
    }
    let runner = RUNNERS.iter().find(|runner| runner.head.is_match(line))?;
    let head = runner.head.captures(line)?;
    if line.starts_with("File \"") && cursor.lines.get(cursor.at + 1) != Some(&"Failed example:") {
        return None;
    }
    let start = cursor.at;
    let mut place = place(&head);
    let mut message: Vec<&str> = head.name("message").map(|text| text.as_str()).into_iter().collect();
    cursor.at += 1;
    for _ in 0..MAX_LINES {
        let Some(line) = cursor.line() else { break };
        if let Some(found) = runner.end.captures(line) {
            let below = self::place(&found);
            cursor.at += usize::from(below.is_some());
            place = place.or(below);
            break;
        }
        if !runner.skipped.is_match(line) {
            message.push(line.trim_start_matches("# ").trim());
        }
        cursor.at += 1;
    }
    // Other programs print lists with such marks.
    let is_list = line.trim_start().starts_with('●') && place.is_none() && !line.contains("failed to run");
    if is_list {
        cursor.at = start + 1;
        return None;
    }
    failure(&message, place, None)
}

/// Reads the failure of a test of Go. The output of the test is below the cursor's line, or above it if the runner is
/// verbose.
fn go(cursor: &mut Cursor<'_>) -> Option<Reading> {
    /// Words with which an assertion states what it expected.
    static ASSERTION: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:got|want(?:ed)?|expect(?:ed)?|unexpected|errors?|fail(?:ed|ure)?|not|mismatch)\b")
    });
    let head = cursor.at;
    cursor.at += 1;
    while cursor.take_if(|line| line.starts_with("    ")).is_some() && cursor.at - head < MAX_LINES {}
    let is_output = |line: &&&str| line.starts_with("    ") && !line.trim_start().starts_with("---");
    let below = &cursor.lines[head + 1..cursor.at];
    let floor = cursor.floor.max(head.saturating_sub(MAX_LINES));
    let above = cursor.lines[floor..head].iter().rev().take_while(is_output).count();
    let (from, lines) = if below.iter().any(|line| GO.is_match(line)) {
        (head + 1, below)
    } else {
        (head - above, &cursor.lines[head - above..head])
    };
    let stated = |line: &&str| {
        GO.captures(line).is_some_and(|found| found["message"].is_empty() || ASSERTION.is_match(&found["message"]))
    };
    let at = lines.iter().position(stated).or_else(|| lines.iter().position(|line| GO.is_match(line)))?;
    let found = GO.captures(lines[at])?;
    // The packages of assertions print a table below the place.
    let more = lines[at + 1..].iter().take_while(|line| !GO.is_match(line)).map(|line| line.trim());
    let is_told = |line: &&str| !["Error Trace:", "Test:", "---"].iter().any(|start| line.starts_with(start));
    let more = more.filter(is_told).map(|line| line.trim_start_matches("Error:").trim());
    let message: Vec<&str> = [found.name("message").map_or("", |text| text.as_str())].into_iter().chain(more).collect();
    failure(&message, place(&found), Some(from.min(head)))
}

/// Reads the panic in the output of a test of Rust.
fn cargo(cursor: &mut Cursor<'_>) -> Option<Reading> {
    const NEAR: usize = 20;
    let at = cursor.find(NEAR, |line| PANIC.is_match(line))?;
    let found = PANIC.captures(cursor.lines[at])?;
    let mut message: Vec<&str> = found.name("message").map(|text| text.as_str()).into_iter().collect();
    cursor.at = at + 1;
    let is_end = |line: &str| line.is_empty() || line.starts_with("note: ") || line.starts_with("stack backtrace:");
    while let Some(line) = cursor.take_if(|line| !is_end(line)).filter(|_| message.len() < MAX_MESSAGE) {
        message.push(line.trim());
    }
    failure(&message, place(&found), None)
}

fn place(found: &regex::Captures<'_>) -> Option<Frame> {
    Some(Frame::new(found.name("path")?.as_str(), found["line"].parse().unwrap_or(0), None))
}

fn failure(message: &[&str], place: Option<Frame>, first: Option<usize>) -> Option<Reading> {
    let lines = message.iter().copied().filter(|line| !line.is_empty()).take(MAX_MESSAGE);
    let message = lines.collect::<Vec<_>>().join(" ");
    let raised = Raised { message, frames: place.into_iter().collect(), ..Raised::default() };
    let is_told = !raised.message.is_empty();
    is_told.then(|| Reading { first, is_of_series: true, ..Reading::here(vec![raised]) })
}
