//! Reports of the sanitizers of Clang and GCC:
//!
//! ```text
//! ==71==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000020 at pc 0x401 bp 0x7ff sp 0x7ff
//! READ of size 4 at 0x602000000020 thread T0
//!     #0 0x4011b6 in load(int*) /opt/ml/code/load.cpp:5
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Raised, Reading};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static ERROR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:==\d+==)?\s*(?:ERROR|WARNING): (?P<name>\w+Sanitizer): (?P<message>.*)$"));

static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^\s+#\d+ (?:0x[0-9a-f]+ in )?(?P<function>.+?) (?P<path>[^\s():]+):(?P<line>\d+)(?::\d+)?(?: \(.*\))?$")
});

/// The undefined behaviour that UBSan reports in one line.
static UNDEFINED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?P<path>[^\s:]+):(?P<line>\d+):\d+: (?P<message>runtime error: .*)$"));

/// The maximum number of lines between the report's first line and its first call.
const NEAR: usize = 6;

/// The maximum number of lines of a report after its first stack.
const MAX_LINES: usize = 100;

/// Returns true if a report may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.contains("Sanitizer: ") || line.contains(": runtime error: ")
}

/// Reads a report up to the end of its first stack.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    let line = cursor.line()?;
    if let Some(found) = UNDEFINED.captures(line) {
        cursor.at += 1;
        let frame = Frame::new(&found["path"], found["line"].parse().unwrap_or(0), None);
        let message = found["message"].to_owned();
        return Some(Reading::of_series(vec![Raised { message, frames: vec![frame], ..Raised::default() }]));
    }
    let found = ERROR.captures(line)?;
    let message = found["message"].split(" (pc 0x").next().unwrap_or_default();
    let message = message.split(" at pc 0x").next().unwrap_or_default();
    let (name, message) = (found["name"].to_owned(), message.to_owned());
    let stack = cursor.find(NEAR, |line| line.trim_start().starts_with("#0 "));
    cursor.at = stack.unwrap_or(cursor.at + 1);
    let mut frames = Vec::new();
    while let Some(line) = cursor.take_if(|line| line.trim_start().starts_with('#')) {
        frames.extend(FRAME.captures(line).map(|found| {
            let function = found["function"].split('(').next().map(str::to_owned);
            let frame = Frame::new(&found["path"], found["line"].parse().unwrap_or(0), function);
            // Such paths are the sanitizer's own replacements of functions, and the C library.
            let is_library = !found["path"].starts_with('/') && found["path"].contains("../");
            Frame { is_library, ..frame }
        }));
    }
    // The stacks of the allocation, the summary and the map of the memory add no information.
    if let Some(end) = cursor.find(MAX_LINES, |line| line.ends_with("==ABORTING") || line.starts_with("SUMMARY: ")) {
        cursor.at = end + 1;
    }
    frames.reverse();
    // The program goes on after a data race.
    let is_of_series = name == "ThreadSanitizer";
    Some(Reading { is_of_series, ..Reading::here(vec![Raised { name, message, frames, ..Raised::default() }]) })
}
