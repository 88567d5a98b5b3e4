//! Errors of Julia:
//!
//! ```text
//! ERROR: LoadError: BoundsError: attempt to access 3-element Vector{Int64} at index [4]
//! Stacktrace:
//!  [2] load(v::Vector{Int64})
//!    @ Main /opt/ml/code/train.jl:2
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Link, Raised};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// A call: ` [2] load(v::Vector{Int64})`. Up to Julia 1.5, the place is on the same line.
static CALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^\s*\[\d+\] (?P<function>[^(]+?|\(.*?\))(?:\(.*\))?(?: at (?P<path>\S+):(?P<line>\d+))?$")
});

/// The place of a call: `   @ Main /opt/ml/code/train.jl:2`.
static PLACE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s+@ (?:(?P<module>\S+) )?(?P<path>\S+):(?P<line>\d+)(?: \[inlined\])?$"));

/// The maximum number of lines of a message.
const MAX_MESSAGE: usize = 30;

/// Returns true if an error may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("ERROR: ")
}

/// Reads an error with its causes.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    const STARTING: &str = "in expression starting at ";
    let mut chain = vec![error(cursor, "ERROR: ")?];
    let mut starts = Vec::new();
    // The first error ended the program. The errors that led to it follow.
    loop {
        if cursor.take_if(|line| line == "Stacktrace:").is_some() {
            calls(cursor);
        }
        while let Some(line) = cursor.take_if(|line| line.starts_with(STARTING)) {
            starts.extend(
                line[STARTING.len()..]
                    .rsplit_once(':')
                    .map(|(path, number)| Frame::new(path, number.parse().unwrap_or(0), None)),
            );
        }
        let from = cursor.at;
        cursor.skip_empty();
        match error(cursor, "caused by: ") {
            Some(cause) => chain.push(cause),
            None => {
                cursor.at = from;
                break;
            }
        }
    }
    // All calls may be those of libraries.
    starts.append(&mut chain[0].frames);
    chain[0].frames = starts;
    chain.reverse();
    for raised in &mut chain[1..] {
        raised.link = Some(Link::Cause);
    }
    Some(chain)
}

fn error(cursor: &mut Cursor<'_>, start: &str) -> Option<Raised> {
    let first = cursor.line()?.strip_prefix(start)?;
    let first = first.strip_prefix("LoadError: ").unwrap_or(first);
    let calls_at = cursor.find(MAX_MESSAGE, |line| line.trim() == "Stacktrace:")?;
    let others = cursor.lines[cursor.at + 1..calls_at].iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    // An error about a failed task has no message of its own.
    let (first, mut others) = (first, others.peekable());
    let nested = others.peek().and_then(|line| line.strip_prefix("nested task error: "));
    let first = nested.map_or(first, |nested| {
        others.next();
        nested
    });
    let message = [first].into_iter().chain(others).collect::<Vec<_>>().join("\n");
    cursor.at = calls_at + 1;
    let mut frames = calls(cursor);
    // The stack of the code that waited for a failed task follows.
    if nested.is_some() && cursor.take_if(|line| line == "Stacktrace:").is_some() {
        let mut outer = calls(cursor);
        outer.append(&mut frames);
        frames = outer;
    }
    Some(Raised { message, frames, ..Raised::default() })
}

/// Reads the calls of a stack, the outermost first.
fn calls(cursor: &mut Cursor<'_>) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut function = None;
    while let Some(line) = cursor.line() {
        if let Some(found) = PLACE.captures(line) {
            let module = found.name("module").map_or("", |name| name.as_str());
            frames.push(frame(&found, function.take(), module));
        } else if let Some(found) = CALL.captures(line) {
            function = Some(found["function"].trim().to_owned());
            if found.name("path").is_some() {
                frames.push(frame(&found, function.take(), ""));
            }
        } else {
            break;
        }
        cursor.at += 1;
    }
    frames.reverse();
    frames
}

fn frame(found: &regex::Captures<'_>, function: Option<String>, module: &str) -> Frame {
    let path = &found["path"];
    let function = function.filter(|name| name != "top-level scope" && !name.starts_with('('));
    let frame = Frame::new(path, found["line"].parse().unwrap_or(0), function);
    // Julia names its own files relative to the folder where it was built.
    let is_library = path.starts_with("./") || matches!(module.split('.').next(), Some("Base" | "Core"));
    Frame { is_library, ..frame }
}
