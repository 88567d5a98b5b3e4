//! Errors of Lua and Torch7:
//!
//! ```text
//! lua: train.lua:3: attempt to index a nil value (local 'x')
//! stack traceback:
//!     [C]: in ?
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Raised, Reading};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static ERROR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:\S*lua[\w.-]*: |\S*torch\S*: )?(?:(?P<path>[^\s:]+):(?P<line>\d+): )?(?P<message>.*)$")
});

/// Returns true if a line is the head of a stack.
pub(super) fn begins(line: &str) -> bool {
    line == "stack traceback:"
}

/// Reads the error above the stack at which the cursor is, and passes the stack.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    let first = cursor.at.checked_sub(1).filter(|&at| at >= cursor.floor)?;
    let found = ERROR.captures(cursor.lines[first])?;
    let frame = found.name("path").map(|path| Frame::new(path.as_str(), found["line"].parse().unwrap_or(0), None));
    let message = found["message"].to_owned();
    cursor.at += 1;
    while cursor.take_if(|line| line.starts_with(['\t', ' '])).is_some() {}
    let raised = Raised { message, frames: frame.into_iter().collect(), ..Raised::default() };
    Some(Reading { chain: vec![raised], first: Some(first), origin: None })
}
