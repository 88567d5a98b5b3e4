//! Failures of tests in the form in which pytest prints them:
//!
//! ```text
//! E       ValueError: bad
//!
//! test_train.py:3: ValueError
//! ```
//!
//! If a module cannot be imported, and with `--tb=short`, the calls are above the error:
//! `test_train.py:3: in test_rows`.

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static ERROR: LazyLock<Regex> = LazyLock::new(|| pattern(r"^E {3,}(?:([\w.]+): )?(.*)$"));
static PLACE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(\S+):(\d+): ([\w.]+)$"));

static CALL: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(\S+):(\d+): in (\S+)$"));

/// The maximum number of lines between an error and the outermost call above it.
const MAX_ABOVE: usize = 100;

/// The maximum number of lines between the error and its place.
const NEAR: usize = 6;

/// Returns true if a line may be part of an error.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("E   ")
}

/// Reads an error and the place below it.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let from = cursor.at;
    let mut lines: Vec<String> = Vec::new();
    while let Some(line) = cursor.take_if(begins) {
        lines.push(line[1..].trim().to_owned());
    }
    let Some(place) = cursor.find(NEAR, |line| PLACE.is_match(line)) else {
        let first = ERROR.captures(cursor.lines[from])?;
        let name = first.get(1)?.as_str().to_owned();
        lines[0] = first[2].to_owned();
        let frames = calls_above(cursor, from);
        return (!frames.is_empty())
            .then(|| vec![Raised { name, message: lines.join("\n"), frames, ..Raised::default() }]);
    };
    let found = PLACE.captures(cursor.lines[place])?;
    let name = found[3].rsplit('.').next().unwrap_or_default().to_owned();
    let first = ERROR.captures(cursor.lines[from])?;
    let qualified = first.get(1).filter(|qualified| qualified.as_str().ends_with(&name));
    if qualified.is_some() {
        lines[0] = first[2].to_owned();
    }
    let name = qualified.map_or(name, |qualified| qualified.as_str().to_owned());
    let frame = Frame::new(&found[1], found[2].parse().unwrap_or(0), None);
    cursor.at = place + 1;
    Some(vec![Raised { name, message: lines.join("\n"), frames: vec![frame], ..Raised::default() }])
}

/// Returns the calls above an error, the outermost first.
fn calls_above(cursor: &Cursor<'_>, error: usize) -> Vec<Frame> {
    let above = cursor.lines[cursor.floor.max(error.saturating_sub(MAX_ABOVE))..error].iter().rev();
    let lines = above.take_while(|line| !line.starts_with(['=', '_']));
    let mut frames: Vec<Frame> = lines
        .filter_map(|line| CALL.captures(line))
        .map(|found| Frame::new(&found[1], found[2].parse().unwrap_or(0), Some(found[3].to_owned())))
        .collect();
    frames.reverse();
    frames
}
