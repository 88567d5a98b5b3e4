//! Panics of Zig, and errors that the `main` function returned:
//!
//! ```text
//! thread 71 panic: index out of bounds: index 8, len 3
//! /opt/ml/code/fit.zig:2:48: 0x11e4ba7 in get (fit.zig)
//!     return xs[i];
//!              ^
//! ```
//!
//! ```text
//! error: NoRows
//! /opt/ml/code/fit.zig:2:19: 0x11e413c in load (fit.zig)
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static PANIC: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:thread \d+ )?panic: (?P<message>.*)$"));
static ERROR: LazyLock<Regex> = LazyLock::new(|| pattern(r"^error: (?P<message>\w+)$"));
static CALL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?P<path>\S+\.zig):(?P<line>\d+):\d+: 0x[0-9a-f]+ in (?P<function>\S+) \([^()]*\)$"));

/// The beginning of a call about which nothing is known.
const UNKNOWN: &str = "???:?:?: 0x";

/// The maximum number of lines of a stack.
const MAX_LINES: usize = 400;

/// Returns true if a line may report a panic or an error.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("thread ") || line.starts_with("error: ") || line.starts_with("panic: ")
}

/// Returns true if a line reports a panic.
pub(in crate::failure) fn is_panic(line: &str) -> bool {
    PANIC.is_match(line)
}

/// Reads the error at the cursor, and moves the cursor past its stack. Without a stack, only a panic that names its
/// thread is recognized as one of Zig.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let line = cursor.line()?;
    let has_stack = cursor.lines.get(cursor.at + 1).is_some_and(|next| CALL.is_match(next));
    let panic = PANIC.captures(line).filter(|_| has_stack || line.starts_with("thread "));
    let (name, found) = match panic {
        Some(found) => ("panic", found),
        None => ("error", ERROR.captures(line).filter(|_| has_stack)?),
    };
    let message = found["message"].to_owned();
    cursor.at += 1;
    let mut frames = Vec::new();
    let end = cursor.lines.len().min(cursor.at + MAX_LINES);
    while let Some(call) = cursor.line().filter(|_| cursor.at < end).and_then(|line| CALL.captures(line)) {
        let function = Some(call["function"].to_owned());
        frames.push(Frame::new(&call["path"], call["line"].parse().unwrap_or(0), function));
        cursor.at += 1;
        // A call is followed by its source line and the mark below that.
        let is_mark = |line: &&str| line.ends_with('^') && line.trim_start() == "^";
        if cursor.lines.get(cursor.at + 1).filter(|line| is_mark(line)).is_some() {
            cursor.at += 2;
        }
    }
    while cursor.take_if(|line| line.starts_with(UNKNOWN)).is_some() {}
    frames.reverse();
    Some(vec![Raised { name: name.to_owned(), message, frames, ..Raised::default() }])
}
