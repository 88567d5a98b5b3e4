//! Uncaught exceptions of Nim, with or without their stack:
//!
//! ```text
//! Traceback (most recent call last)
//! /opt/ml/code/fit.nim(3)  main
//! /opt/ml/code/fit.nim(2)  load
//! Error: unhandled exception: invalid integer: x3 [ValueError]
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static CALL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?P<path>\S+\.nims?)\((?P<line>\d+)\)(?:\s+(?P<function>\S+))?$"));
static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?P<message>.*) \[(?P<name>[A-Z]\w*)\]$"));

const HEADER: &str = "Traceback (most recent call last)";
const ERROR: &str = "Error: unhandled exception: ";

/// The maximum number of lines of a stack.
const MAX_LINES: usize = 400;

/// The maximum number of lines of a message.
const MAX_MESSAGE: usize = 40;

/// Returns true if an exception may be read at a line.
pub(super) fn begins(line: &str) -> bool {
    line == HEADER || line.starts_with(ERROR) || line.contains(".nim")
}

/// Reads the exception at the cursor: its calls, the outermost first, and its message.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let start = cursor.at;
    cursor.take_if(|line| line == HEADER);
    let mut frames = Vec::new();
    while let Some(call) = cursor.line().filter(|_| frames.len() < MAX_LINES).and_then(|line| CALL.captures(line)) {
        let function = call.name("function").map(|name| name.as_str().to_owned());
        frames.push(Frame::new(&call["path"], call["line"].parse().unwrap_or(0), function));
        cursor.at += 1;
    }
    let passed = cursor.at.max(start + 1);
    let Some(first) = cursor.line().and_then(|line| line.strip_prefix(ERROR)) else {
        cursor.at = passed;
        return None;
    };
    // The name of the exception is at the end of its message, which can have several lines.
    let mut lines = vec![first];
    let more = cursor.lines[cursor.at + 1..].iter().take(MAX_MESSAGE);
    let end = [first].iter().chain(more).position(|line| NAME.is_match(line)).unwrap_or(0);
    lines.extend(&cursor.lines[cursor.at + 1..=cursor.at + end]);
    cursor.at += end + 1;
    let text = lines.join("\n");
    let (name, message) = match text.rsplit_once(" [").filter(|_| text.ends_with(']')) {
        Some((message, name)) => (name.trim_end_matches(']').to_owned(), message.to_owned()),
        None => (String::new(), text),
    };
    Some(vec![Raised { name, message, frames, ..Raised::default() }])
}
