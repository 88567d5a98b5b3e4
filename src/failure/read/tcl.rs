//! Errors of Tcl:
//!
//! ```text
//! no rows
//!     while executing
//! "error "no rows""
//!     (procedure "load" line 1)
//!     invoked from within
//! "load 7"
//!     (file "fit.tcl" line 2)
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Raised, Reading};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static FILE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"^    \(file "(?P<path>[^"]+)" line (?P<line>\d+)\)$"#));

/// The lines that introduce the commands of a stack.
const STACK: [&str; 2] = ["    while executing", "    invoked from within"];

/// The maximum number of lines of a stack.
const MAX_LINES: usize = 200;

/// Returns true if a line is the head of a stack.
pub(super) fn begins(line: &str) -> bool {
    line == STACK[0]
}

/// Reads the error above the stack at the cursor, and moves the cursor past the stack.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    let first = cursor.at.checked_sub(1).filter(|&at| at >= cursor.floor && !cursor.lines[at].is_empty())?;
    let message = cursor.lines[first].to_owned();
    let mut frames = Vec::new();
    let mut end = cursor.at + 1;
    for (at, line) in cursor.lines.iter().enumerate().skip(cursor.at).take(MAX_LINES) {
        if let Some(found) = FILE.captures(line) {
            frames.push(Frame::new(&found["path"], found["line"].parse().unwrap_or(0), None));
            end = at + 1;
        } else if STACK.contains(line) || line.starts_with("    (") {
            end = at + 1;
        } else if line.is_empty() {
            break;
        }
    }
    cursor.at = end;
    frames.reverse();
    Some(Reading { first: Some(first), ..Reading::here(vec![Raised { message, frames, ..Raised::default() }]) })
}
