//! Errors of Haskell:
//!
//! ```text
//! fit: no rows
//! CallStack (from HasCallStack):
//!   error, called at app/Main.hs:14:5 in main:Main
//! ```
//!
//! Since GHC 9.10, a line `fit: Uncaught exception …:` and an empty line are above the message, and the head of the stack
//! is `HasCallStack backtrace:`.

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Raised, Reading};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static CALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^  (?P<function>\S+), called at (?P<path>[^\s:]+):(?P<line>\d+):\d+ in (?P<package>[^\s:]+):\S+$")
});

/// The maximum number of lines of a message, and of the lines around it.
const MAX_MESSAGE: usize = 20;

/// Returns true if a line is the head of a stack.
pub(super) fn begins(line: &str) -> bool {
    line == "CallStack (from HasCallStack):" || line == "HasCallStack backtrace:"
}

/// Reads the error above the stack at the cursor, and moves the cursor past the stack.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    let above = |end: usize| end.checked_sub(1).filter(|&at| at >= cursor.floor);
    let is_uncaught = |at: &usize| cursor.lines[*at].contains(": Uncaught exception ");
    let head = || (cursor.floor.max(cursor.at.saturating_sub(MAX_MESSAGE))..cursor.at).rev().find(is_uncaught);
    let (first, message) = match above(cursor.at).filter(|&at| !cursor.lines[at].is_empty()) {
        Some(at) => (at, cursor.lines[at].to_owned()),
        None => {
            let head = head()?;
            let lines =
                cursor.lines[head + 1..cursor.at].iter().map(|line| line.trim()).filter(|line| !line.is_empty());
            (head, lines.collect::<Vec<_>>().join("\n"))
        }
    };
    cursor.at += 1;
    let mut frames = Vec::new();
    while let Some(found) = cursor.line().and_then(|line| CALL.captures(line)) {
        let frame = Frame::new(&found["path"], found["line"].parse().unwrap_or(0), None);
        frames.push(Frame { is_library: matches!(&found["package"], "base" | "ghc-internal"), ..frame });
        cursor.at += 1;
    }
    frames.reverse();
    Some(Reading { first: Some(first), ..Reading::here(vec![Raised { message, frames, ..Raised::default() }]) })
}
