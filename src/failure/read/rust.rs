//! Errors that the `main` function of a Rust program returned, in the form of anyhow and eyre:
//!
//! ```text
//! Error: cannot train
//!
//! Caused by:
//!     0: cannot read the index
//!     1: No such file or directory (os error 2)
//! ```
//!
//! color-eyre numbers the error together with its causes, and miette puts marks before them:
//!
//! ```text
//! Error:
//!    0: cannot train
//!    1: No such file or directory (os error 2)
//!
//! Location:
//!    src/main.rs:88
//! ```
//!
//! ```text
//! Error: config::parse
//!
//!   × cannot read the config
//!    ╭─[config.kdl:2:5]
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Link, Raised};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// The place below the line `Location:`, or in the frame around a source text.
static PLACE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*(?:[╭┌].*\[)?(?P<path>[^\s:\[\]]+\.\w+):(?P<line>\d+)(?::\d+)?\]?$"));

/// The mark before an error of miette, and the marks before its causes.
const MARKS: [&str; 3] = ["× ", "├─▶ ", "╰─▶ "];

/// The maximum number of causes that are read.
const MAX_CAUSES: usize = 20;

/// Returns true if an error may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("Error: ") || line == "Error:" || line.starts_with("  × ")
}

/// Reads an error with its causes.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let line = cursor.line()?;
    if let Some(raised) = marked(cursor) {
        return Some(vec![raised]);
    }
    let is_numbered = line == "Error:" && cursor.lines.get(cursor.at + 1)?.starts_with("   0: ");
    let mut chain = Vec::new();
    if is_numbered {
        cursor.at += 1;
    } else {
        let causes = cursor.find(4, |line| line == "Caused by:")?;
        chain.push(Raised { message: line.to_owned(), ..Raised::default() });
        cursor.at = causes + 1;
    }
    while let Some(line) = cursor.line().filter(|line| line.starts_with("   ") && chain.len() <= MAX_CAUSES) {
        let line = line.trim();
        let numbered = line.split_once(": ").filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
        let message = numbered.map_or(line, |(_, message)| message).to_owned();
        chain.push(Raised { message, ..Raised::default() });
        cursor.at += 1;
    }
    if is_numbered && let Some(at) = cursor.find(4, |line| line == "Location:") {
        let place = cursor.lines.get(at + 1).and_then(|line| PLACE.captures(line));
        chain[0].frames.extend(place.map(|found| frame(&found)));
        cursor.at = at + 2;
    }
    chain.reverse();
    for raised in &mut chain[1..] {
        raised.link = Some(Link::Cause);
    }
    Some(chain)
}

/// Reads an error of miette, with the error's place in the source text.
fn marked(cursor: &mut Cursor<'_>) -> Option<Raised> {
    const NEAR: usize = 4;
    const MAX_LINES: usize = 40;
    let unmarked = |line: &str| {
        let text = line.trim_start().trim_start_matches("Error: ").trim_start();
        MARKS.iter().find_map(|mark| text.strip_prefix(mark)).map(str::to_owned)
    };
    let first = cursor.find(NEAR, |line| unmarked(line).is_some())?;
    // pip has a similar form.
    let has_cause = || cursor.find(MAX_LINES, |line| line.contains(MARKS[2])).is_some();
    if cursor.lines[cursor.at].starts_with("  ") && !has_cause() {
        return None;
    }
    let code = cursor.lines[cursor.at].strip_prefix("Error: ").filter(|_| first > cursor.at);
    let end = cursor.lines.len().min(first + MAX_LINES);
    let text = &cursor.lines[first..end];
    let mut messages: Vec<String> = Vec::new();
    let count = text.iter().take_while(|line| !line.is_empty() && !line.contains("╭─[")).count();
    for line in &text[..count] {
        match (unmarked(line), messages.last_mut()) {
            (Some(message), _) => messages.push(message),
            (None, Some(message)) => *message += &format!(" {}", line.trim_start_matches([' ', '│'])),
            (None, None) => {}
        }
    }
    let place = text.iter().find_map(|line| PLACE.captures(line).filter(|_| line.contains('[')));
    // The frame around the source text ends with a rule.
    let last = text.iter().position(|line| line.trim_start().starts_with("╰──")).map_or(count, |at| at + 1);
    cursor.at = first + last;
    Some(Raised {
        name: code.unwrap_or_default().to_owned(),
        message: messages.join("\n"),
        frames: place.map(|found| frame(&found)).into_iter().collect(),
        ..Raised::default()
    })
}

fn frame(found: &regex::Captures<'_>) -> Frame {
    Frame::new(&found["path"], found["line"].parse().unwrap_or(0), None)
}
