//! Failures of tests as pytest prints them:
//!
//! ```text
//! E       ValueError: bad
//!
//! test_train.py:3: ValueError
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static ERROR: LazyLock<Regex> = LazyLock::new(|| pattern(r"^E {3,}(?:([\w.]+): )?(.*)$"));
static PLACE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(\S+):(\d+): ([\w.]+)$"));

/// The maximum number of lines between the error and its place.
const NEAR: usize = 6;

/// Returns true if a line may tell of an error.
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
    let place = cursor.find(NEAR, |line| PLACE.is_match(line))?;
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
