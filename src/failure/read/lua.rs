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

/// The maximum number of lines between an error and its stack.
const MAX_SEARCHED: usize = 60;

/// Returns true if a line is the head of a stack.
pub(super) fn begins(line: &str) -> bool {
    line == "stack traceback:"
}

/// Reads the error above the stack at the cursor, and moves the cursor past the stack.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    // The folders in which a module was searched for are between the error and the stack.
    let floor = cursor.floor.max(cursor.at.saturating_sub(MAX_SEARCHED));
    let first = (floor..cursor.at).rev().find(|&at| !cursor.lines[at].starts_with(['\t', ' ']))?;
    let found = ERROR.captures(cursor.lines[first])?;
    let frame = found.name("path").map(|path| Frame::new(path.as_str(), found["line"].parse().unwrap_or(0), None));
    let is_list = first + 1 < cursor.at;
    let message = found["message"].trim_end_matches(|c| is_list && c == ':').to_owned();
    cursor.at += 1;
    while cursor.take_if(|line| line.starts_with(['\t', ' '])).is_some() {}
    let raised = Raised { message, frames: frame.into_iter().collect(), ..Raised::default() };
    Some(Reading { first: Some(first), ..Reading::here(vec![raised]) })
}
