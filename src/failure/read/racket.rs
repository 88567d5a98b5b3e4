//! Errors of Racket:
//!
//! ```text
//! load-rows: no rows in the table
//!   context...:
//!    /opt/ml/code/fit.rkt:3:0: load-rows
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Raised, Reading};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static CALL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^   (?P<path>\S+?):(?P<line>\d+):\d+(?:: (?P<function>\S+))?$|^   \S"));

/// The maximum number of lines of a stack.
const MAX_LINES: usize = 400;

/// Returns true if a line is the head of a stack.
pub(super) fn begins(line: &str) -> bool {
    line == "  context...:"
}

/// Reads the error above the stack at the cursor, and moves the cursor past the stack.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    let is_detail = |at: &usize| cursor.lines[*at].starts_with("  ");
    let first = (cursor.floor..cursor.at).rev().take(MAX_LINES).find(|at| !is_detail(at))?;
    let message = cursor.lines[first..cursor.at].iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n");
    cursor.at += 1;
    let mut frames = Vec::new();
    while let Some(call) = cursor.line().filter(|_| frames.len() < MAX_LINES).and_then(|line| CALL.captures(line)) {
        if let (Some(path), Some(line)) = (call.name("path"), call.name("line")) {
            let function = call.name("function").map(|name| name.as_str().to_owned());
            frames.push(Frame::new(path.as_str(), line.as_str().parse().unwrap_or(0), function));
        }
        cursor.at += 1;
    }
    frames.reverse();
    let raised = Raised { message, frames, ..Raised::default() };
    (!raised.message.is_empty()).then(|| Reading { first: Some(first), ..Reading::here(vec![raised]) })
}
