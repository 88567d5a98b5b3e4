//! Uncaught values in Node that have no calls of their own: values that are not errors, and errors of the system.
//!
//! ```text
//! /opt/ml/code/fit.js:2
//!   throw 'no rows';
//!   ^
//! no rows
//! (Use `node --trace-uncaught ...` to show where the exception was thrown)
//! ```
//!
//! ```text
//! [Error: ENOENT: no such file or directory, open '/data/x.json'] {
//!   errno: -2,
//! }
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::javascript;
use super::traceback::{Raised, Reading};
use crate::failure::pattern::pattern;

static BRACKETED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\[(?P<name>\w*(?:Error|Exception|Rejection)): (?P<message>.*)\](?: \{)?$"));

/// An error within another one.
static MEMBER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^    (?:\[)?(?P<name>\w*(?:Error|Exception)): (?P<message>[^\]]*)\]?,?$"));

/// The line below a thrown value that is not an error.
const HELP: &str = "(Use `node --trace-uncaught";

/// The maximum number of lines of a thrown value.
const MAX_VALUE: usize = 20;

/// The maximum number of lines of an error's properties, including the errors in them.
const MAX_PROPERTIES: usize = 200;

/// Returns true if a line is the mark below a source line: `  ^`.
pub(super) fn begins(line: &str) -> bool {
    line.ends_with('^') && line.trim_start().trim_end_matches('^').is_empty()
}

/// Reads the value below the mark at the cursor.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    let source = javascript::source_above(cursor, cursor.at);
    let help =
        (cursor.at + 1..cursor.lines.len().min(cursor.at + MAX_VALUE)).find(|&at| cursor.lines[at].starts_with(HELP));
    if let (Some((first, frame)), Some(help)) = (&source, help) {
        let lines = cursor.lines[cursor.at + 1..help].iter().copied().filter(|line| !line.is_empty());
        let message = lines.collect::<Vec<_>>().join("\n");
        cursor.at = help + 1;
        let thrown = Raised { message, frames: vec![frame.clone()], ..Raised::default() };
        return Some(Reading { first: Some(*first), ..Reading::here(vec![thrown]) });
    }
    let at = cursor.at + 1 + usize::from(cursor.lines.get(cursor.at + 1).is_some_and(|line| line.is_empty()));
    let found = BRACKETED.captures(cursor.lines.get(at)?)?;
    let start = cursor.at;
    cursor.at = at + 1;
    let mut members = Vec::new();
    if cursor.lines[at].ends_with('{') {
        for _ in 0..MAX_PROPERTIES {
            let Some(line) = cursor.take().filter(|line| !line.starts_with('}')) else { break };
            if let Some(member) = MEMBER.captures(line) {
                let frames = javascript::frames(cursor);
                let (name, message) = (member["name"].to_owned(), member["message"].to_owned());
                members.push(Raised { name, message, frames, ..Raised::default() });
            }
        }
    }
    let (name, message) = (found["name"].to_owned(), found["message"].to_owned());
    let raised = Raised { name, message, members, ..Raised::default() };
    Some(Reading { first: Some(start), ..Reading::here(vec![raised]) })
}
