//! Errors of JavaScript, as Node prints them:
//!
//! ```text
//! /opt/ml/code/fit.js:3
//!   throw new TypeError("bad row");
//!   ^
//!
//! TypeError: bad row
//!     at load (/opt/ml/code/fit.js:3:9)
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Link, Origin, Raised, Reading};
use crate::failure::noise::{self, RecordLevel};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// `at load (/opt/ml/code/fit.js:3:9)`, `at async file:///opt/ml/code/fit.mjs:3:9`, `at new Promise (<anonymous>)`.
static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s+at (?:async )?(?:(?P<function>\S[^(]*?) (?:\[as .*\] )?\()?(?:file://)?(?P<path>(?:node:)?[^():]+):(?P<line>\d+):\d+\)?(?: \{|,)?$|^\s+at .*\((?:<anonymous>|index \d+|native)\)$|^\s+\.\.\. \d+ lines matching cause stack trace \.\.\.$",
    )
});

/// The line that names an error, possibly after the fields of a log record.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?P<before>.*?)(?:Uncaught |\[cause\]: )?",
        r"(?P<name>[A-Za-z_$][\w$.]*(?:Error|Exception)|Error|\berror)(?: \[(?P<code>[A-Z_0-9]+)\])?(?:: (?P<message>.*))?$",
    ))
});

/// The place of a syntax error, above its source line.
static SOURCE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:file://)?(/[^:]+\.\w+):(\d+)$"));

/// The maximum number of lines of a message, and of the source lines above it.
const MAX_MESSAGE: usize = 12;

/// The maximum length of a line that names an error, in bytes.
const MAX_LENGTH: usize = 4096;

/// The maximum number of lines of an error's properties.
const MAX_PROPERTIES: usize = 30;

/// Returns true if a line may be the first call of an error.
pub(super) fn begins(line: &str) -> bool {
    line.trim_start().starts_with("at ")
}

/// Reads the error whose first call is at the cursor, and its causes.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    frame(cursor.line()?)?;
    // The search above the first call of the same stack has found no headline.
    if cursor.above().is_some_and(|line| frame(line).is_some()) {
        return None;
    }
    let floor = cursor.floor.max(cursor.at.saturating_sub(MAX_MESSAGE));
    let is_named = |line: &str| line.len() < MAX_LENGTH && NAMED.is_match(line);
    let named = (floor..cursor.at).rev().find(|&at| is_named(cursor.lines[at]))?;
    let found = NAMED.captures(cursor.lines[named])?;
    let before = found["before"].trim().to_owned();
    let source = source_above(cursor, named);
    let mut error = exception(cursor, named)?;
    // The calls of a syntax error do not include its place.
    if error.name == "SyntaxError"
        && let Some((_, frame)) = &source
    {
        error.frames.push(frame.clone());
    }
    error.frames.extend(place_of_typescript(&error.message));
    let mut chain = vec![error];
    let mut properties = 0;
    while let Some(line) = cursor.line().filter(|_| cursor.lines[cursor.at - 1].ends_with('{') || properties > 0) {
        properties += 1;
        if line.starts_with('}') || properties > MAX_PROPERTIES {
            cursor.at += usize::from(line.starts_with('}'));
            break;
        }
        let at = cursor.at;
        cursor.at += 1;
        if line.trim_start().starts_with("[cause]: ") && cursor.line().is_some_and(|line| frame(line).is_some()) {
            chain.extend(exception(cursor, at));
        }
    }
    chain.reverse();
    for raised in &mut chain[1..] {
        raised.link = Some(Link::Cause);
    }
    let logged = !before.is_empty() && noise::level(cursor.lines[named]) == Some(RecordLevel::Error);
    let origin = logged.then_some(Origin::Logged);
    Some(Reading { first: Some(source.map_or(named, |(at, _)| at)), origin, ..Reading::here(chain) })
}

/// Returns the place in a message of TypeScript's compiler: `fit.ts:3:7 - error TS2322: …`.
fn place_of_typescript(message: &str) -> Option<Frame> {
    static PLACE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?m)^(?P<path>[^\s:(]+\.[cm]?tsx?)(?::(?P<line>\d+):\d+ - |\((?P<row>\d+),\d+\): )error TS\d+: ")
    });
    let found = message.contains("error TS").then(|| PLACE.captures(message))??;
    let line = found.name("line").or(found.name("row"))?.as_str();
    Some(Frame::new(&found["path"], line.parse().unwrap_or(0), None))
}

/// Returns the place that Node prints with its source line above a line of the log, and the index of the line with the
/// place.
pub(super) fn source_above(cursor: &Cursor<'_>, below: usize) -> Option<(usize, Frame)> {
    (cursor.floor.max(below.saturating_sub(MAX_MESSAGE))..below).rev().find_map(|at| {
        let found = SOURCE.captures(cursor.lines[at])?;
        Some((at, Frame::new(&found[1], found[2].parse().unwrap_or(0), None)))
    })
}

/// Reads the error that line `named` names. The cursor is at the error's first call, and is moved past all calls.
fn exception(cursor: &mut Cursor<'_>, named: usize) -> Option<Raised> {
    let found = NAMED.captures(cursor.lines[named])?;
    let mut message = found.name("message").map_or(String::new(), |text| text.as_str().to_owned());
    for line in &cursor.lines[named + 1..cursor.at] {
        message.push('\n');
        message.push_str(line);
    }
    let frames = frames(cursor);
    let name = match found.name("code") {
        Some(code) => format!("{} [{}]", &found["name"], code.as_str()),
        None => found["name"].to_owned(),
    };
    Some(Raised { name, message: message.trim().to_owned(), frames, ..Raised::default() })
}

/// Reads the calls at the cursor, and returns them with the outermost first.
pub(super) fn frames(cursor: &mut Cursor<'_>) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(call) = cursor.line().and_then(frame) {
        cursor.at += 1;
        frames.extend(call);
    }
    frames.reverse();
    frames
}

/// Reads a call. Returns `None` if the line is not a call, and `Some(None)` if the call has no place.
fn frame(line: &str) -> Option<Option<Frame>> {
    let found = FRAME.captures(line)?;
    let (Some(path), Some(number)) = (found.name("path"), found.name("line")) else { return Some(None) };
    // A call in Node's own code is returned without a place.
    if path.as_str().starts_with("node:") {
        return Some(None);
    }
    let function = found.name("function").map(|name| name.as_str());
    let function = function.filter(|name| !name.ends_with("<anonymous>")).map(str::to_owned);
    Some(Some(Frame::new(path.as_str(), number.as_str().parse().unwrap_or(0), function)))
}
