//! Errors of MATLAB and of Octave. A stack contains the names of functions, but not of their files.
//!
//! ```text
//! {Error using load_rows (line 3)
//! Index exceeds the number of array elements.
//!
//! Error in fit (line 5)
//! load_rows('a')
//! }
//! ```
//!
//! ```text
//! error: index (7): out of bound 3
//! error: called from
//!     load_rows at line 3 column 5
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Raised, Reading};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// A call of MATLAB. The first line names the function that raised the error, and the others name its callers.
static CALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^\{?\x08?Error (?P<kind>using|in) (?P<function>[\w.>/\\<+@ -]+?)(?: \(line (?P<line>\d+)\))?$")
});
static OCTAVE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^    (?P<function>\S+) at line (?P<line>\d+)(?: column \d+)?$"));

const CALLED: &str = "error: called from";
const PARSE: &str = "error: parse error";

/// The line that Octave prints before it ends.
const PARTING: &str = "error: ignoring const execution_exception";

/// The maximum number of lines of a message, of a stack, and before a stack.
const MAX_LINES: usize = 100;

/// Returns true if a line may be part of an error.
pub(super) fn begins(line: &str) -> bool {
    line == CALLED
        || line.starts_with(PARSE)
        || line.starts_with(PARTING)
        || line.contains("Error ") && CALL.is_match(line)
}

/// Reads the error at the cursor.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    let line = cursor.line()?;
    if CALL.is_match(line) {
        return of_matlab(cursor);
    }
    let is_parse = line.starts_with(PARSE);
    // The message is the line above the stack, or above Octave's last line.
    let first = if is_parse { Some(cursor.at) } else { cursor.at.checked_sub(1).filter(|&at| at >= cursor.floor) };
    let mut message = Some(cursor.lines[first?]).filter(|line| line.starts_with("error: "))?.to_owned();
    cursor.at += usize::from(line == CALLED || is_parse);
    let mut frames = Vec::new();
    while let Some(call) = cursor.line().and_then(|line| OCTAVE.captures(line)).filter(|_| frames.len() < MAX_LINES) {
        frames.push(call_of(&call));
        cursor.at += 1;
    }
    if is_parse {
        let is_more = |line: &&&str| !line.starts_with("error: ");
        let more: Vec<&str> =
            cursor.lines[cursor.at..].iter().take(MAX_LINES / 10).take_while(is_more).copied().collect();
        cursor.at += more.len();
        let said = more.iter().map(|line| line.trim()).filter(|line| !line.is_empty() && *line != "^");
        message = [message].into_iter().chain(said.map(str::to_owned)).collect::<Vec<_>>().join("\n");
    }
    cursor.take_if(|line| line.starts_with(PARTING));
    frames.reverse();
    Some(Reading { first, ..Reading::here(vec![Raised { message, frames, ..Raised::default() }]) })
}

/// Reads the calls of MATLAB at the cursor, each with its source line. If the function that raised the error is
/// missing, the message is above the calls.
fn of_matlab(cursor: &mut Cursor<'_>) -> Option<Reading> {
    let head = CALL.captures(cursor.line()?)?;
    let start = cursor.at;
    let is_text = |line: &&&str| !line.is_empty() && !line.starts_with('}') && !CALL.is_match(line);
    cursor.at += 1;
    let (first, message) = if &head["kind"] == "using" {
        let message: Vec<&str> =
            cursor.lines[cursor.at..].iter().take(MAX_LINES).take_while(is_text).copied().collect();
        cursor.at += message.len();
        (start, message.join("\n"))
    } else {
        // R and make also print `Error in …`, but without a line number.
        head.name("line")?;
        let above = &cursor.lines[cursor.floor..start];
        let blank = above.iter().rev().take_while(|line| line.is_empty()).count();
        let count = above[..above.len() - blank].iter().rev().take(MAX_LINES / 10).take_while(is_text).count();
        let from = start - blank - count;
        let message = cursor.lines[from..start - blank].join("\n");
        (from, message.trim_start_matches(['{', '\x08']).to_owned())
    };
    if message.is_empty() {
        return None;
    }
    let mut frames: Vec<Frame> = head.name("line").map(|_| call_of(&head)).into_iter().collect();
    for _ in 0..MAX_LINES {
        match cursor.line() {
            Some(line) if CALL.is_match(line) => {
                frames
                    .extend(CALL.captures(line).filter(|call| call.name("line").is_some()).map(|call| call_of(&call)));
            }
            Some(line) if line.starts_with('}') || line.is_empty() => {}
            // A source line is directly below its call.
            Some(_) if cursor.at > 0 && CALL.is_match(cursor.lines[cursor.at - 1]) => {}
            _ => break,
        }
        cursor.at += 1;
    }
    frames.reverse();
    Some(Reading { first: Some(first), ..Reading::here(vec![Raised { message, frames, ..Raised::default() }]) })
}

fn call_of(call: &regex::Captures<'_>) -> Frame {
    Frame::new(&call["function"], call["line"].parse().unwrap_or(0), None)
}
