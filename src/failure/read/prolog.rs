//! Errors of SWI-Prolog, with the goals that failed because of them:
//!
//! ```text
//! ERROR: /opt/ml/code/fit.pl:2:
//! ERROR:    is/2: Arithmetic: `foo/0' is not a function
//! Warning: /opt/ml/code/fit.pl:2:
//! Warning:    Goal (directive) failed: user:main
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static AT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:ERROR|Warning): (?P<path>\S+\.(?:pl|pro|plt|prolog)):(?P<line>\d+)(?::\d+)?:(?: (?P<message>.*))?$")
});

/// The words that introduce the error in the next line.
const INTRODUCES: &str = "Initialization goal raised exception:";

/// The maximum number of lines of an error, and of the goals that failed because of it.
const MAX_LINES: usize = 100;

/// Returns true if a line may contain the place of an error.
pub(super) fn begins(line: &str) -> bool {
    (line.starts_with("ERROR: ") || line.starts_with("Warning: ")) && AT.is_match(line)
}

/// Reads the error at the cursor, or the goal that failed, and moves the cursor past the goals that failed because of
/// it. Other warnings are not errors.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let found = AT.captures(cursor.line()?)?;
    let kind = if cursor.line()?.starts_with("ERROR") { "ERROR: " } else { "Warning: " };
    cursor.at += 1;
    let introduced = found.name("message").map_or("", |message| message.as_str());
    let mut message: Vec<&str> =
        Some(introduced).filter(|text| !matches!(*text, "" | INTRODUCES)).into_iter().collect();
    while message.len() < MAX_LINES
        && let Some(line) = cursor.take_if(|line| line.starts_with(kind) && !AT.is_match(line))
    {
        message.push(line[kind.len()..].trim());
    }
    let is_failure =
        kind == "ERROR: " || message.iter().any(|line| line.starts_with("Goal (") && line.contains(" failed"));
    if message.is_empty() || !is_failure {
        return None;
    }
    for _ in 0..MAX_LINES {
        let is_goal = |line: &str| line.starts_with("Warning: ");
        if cursor.take_if(is_goal).is_none() {
            break;
        }
    }
    let frame = Frame::new(&found["path"], found["line"].parse().unwrap_or(0), None);
    Some(vec![Raised { message: message.join("\n"), frames: vec![frame], ..Raised::default() }])
}
