//! Errors of Ruby:
//!
//! ```text
//! train.rb:3:in 'load': bad row (ArgumentError)
//!     from train.rb:7:in '<main>'
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Link, Raised};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static ERROR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?P<path>[^\s:]+|<internal:[^>]+>):(?P<line>\d+):in [`'](?P<function>[^']+)': (?P<message>.*) \((?P<name>[A-Z][\w:]*)\)$",
    )
});

static CALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^\s+(?:\d+: )?from (?P<path>[^\s:]+|<internal:[^>]+>):(?P<line>\d+):in [`'](?P<function>[^']+)'$")
});

/// Returns true if an error may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.ends_with(')') && (line.contains(":in `") || line.contains(":in '"))
}

/// Reads an error and its causes, which follow it.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let mut chain = vec![error(cursor)?];
    while let Some(cause) = error(cursor) {
        chain.push(cause);
    }
    chain.reverse();
    for raised in &mut chain[1..] {
        raised.link = Some(Link::Cause);
    }
    Some(chain)
}

/// Reads an error and its calls.
fn error(cursor: &mut Cursor<'_>) -> Option<Raised> {
    let found = ERROR.captures(cursor.line()?)?;
    cursor.at += 1;
    let frame = |found: &regex::Captures<'_>| {
        let function = Some(found["function"].to_owned()).filter(|name| !name.starts_with('<'));
        Frame::new(&found["path"], found["line"].parse().unwrap_or(0), function)
    };
    let mut frames = vec![frame(&found)];
    while let Some(call) = cursor.line().and_then(|line| CALL.captures(line)) {
        frames.push(frame(&call));
        cursor.at += 1;
    }
    frames.reverse();
    let (name, message) = (found["name"].to_owned(), found["message"].to_owned());
    Some(Raised { name, message, frames, ..Raised::default() })
}
