//! Errors of Haskell:
//!
//! ```text
//! fit: no rows
//! CallStack (from HasCallStack):
//!   error, called at app/Main.hs:14:5 in main:Main
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Raised, Reading};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static CALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^  (?P<function>\S+), called at (?P<path>[^\s:]+):(?P<line>\d+):\d+ in (?P<package>[^\s:]+):\S+$")
});

/// Returns true if a line is the head of a stack.
pub(super) fn begins(line: &str) -> bool {
    line == "CallStack (from HasCallStack):"
}

/// Reads the error above the stack at which the cursor is, and passes the stack.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    let first = cursor.at.checked_sub(1).filter(|&at| at >= cursor.floor && !cursor.lines[at].is_empty())?;
    cursor.at += 1;
    let mut frames = Vec::new();
    while let Some(found) = cursor.line().and_then(|line| CALL.captures(line)) {
        let frame = Frame::new(&found["path"], found["line"].parse().unwrap_or(0), None);
        frames.push(Frame { is_library: &found["package"] == "base", ..frame });
        cursor.at += 1;
    }
    frames.reverse();
    let message = cursor.lines[first].to_owned();
    Some(Reading { chain: vec![Raised { message, frames, ..Raised::default() }], first: Some(first), origin: None })
}
