//! Fatal errors of Swift, which end a program with a signal:
//!
//! ```text
//! fit/main.swift:12: Fatal error: no rows in the table
//! Current stack trace:
//! 0    libswiftCore.so   0x00007f0 _swift_stdlib_reportFatalErrorInFile + 109
//! ```
//!
//! Before Swift 5.4, the place is at the end: `Fatal error: no rows: file main.swift, line 12`.

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static ERROR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:(?P<path>\S+\.swift):(?P<line>\d+): )?(?P<name>Fatal error|Precondition failed|Assertion failed)(?:: (?P<message>.*?))?(?:: file (?P<file>\S+\.swift), line (?P<at>\d+))?$",
    )
});

/// A call in the report that Swift 5.9 and later write: `1 load(_:) + 120 in fit at /opt/ml/code/main.swift:7:15`.
static CALL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\d+ (?:.*? )?in \S+ at (?P<path>/\S+\.swift):(?P<line>\d+)(?::\d+)?$"));

/// A line of the report after the message.
static REPORT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:Current stack trace:|\d+ +\S.*|\*\*\* .* \*\*\*|Thread \d+.* crashed:|(?:Illegal instruction|Trace/breakpoint trap|Trace/BPT trap)\b.*|)$",
    )
});

/// The maximum number of lines of a report.
const MAX_LINES: usize = 400;

/// Returns true if a line may be a fatal error.
pub(super) fn begins(line: &str) -> bool {
    line.contains(".swift")
}

/// Returns true if a line is a fatal error.
pub(in crate::failure) fn is_error(line: &str) -> bool {
    begins(line) && ERROR.captures(line).is_some_and(|found| place(&found).is_some())
}

/// Returns the path and the line number in a fatal error.
fn place<'l>(found: &regex::Captures<'l>) -> Option<(regex::Match<'l>, regex::Match<'l>)> {
    found.name("file").zip(found.name("at")).or_else(|| found.name("path").zip(found.name("line")))
}

/// Reads the fatal error at the cursor, and moves the cursor past its stack.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let found = ERROR.captures(cursor.line()?)?;
    let (path, line) = place(&found)?;
    cursor.at += 1;
    let mut frames = Vec::new();
    for _ in 0..MAX_LINES {
        let Some(line) = cursor.take_if(|line| REPORT.is_match(line)) else { break };
        let call = CALL.captures(line);
        frames.extend(call.map(|call| Frame::new(&call["path"], call["line"].parse().unwrap_or(0), None)));
    }
    frames.reverse();
    // A path such as `Swift/ContiguousArrayBuffer.swift` belongs to the standard library.
    if !path.as_str().starts_with("Swift/") {
        frames.push(Frame::new(path.as_str(), line.as_str().parse().unwrap_or(0), None));
    }
    let message = found.name("message").map_or("", |message| message.as_str()).to_owned();
    Some(vec![Raised { name: found["name"].to_owned(), message, frames, ..Raised::default() }])
}
