//! Failures of the build tools CMake and Gradle:
//!
//! ```text
//! CMake Error at CMakeLists.txt:3 (find_package):
//!   Could not find a package configuration file provided by "Torch" with any of
//!   the following names:
//! ```
//!
//! ```text
//! * What went wrong:
//! Execution failed for task ':fit'.
//! > no rows
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static CMAKE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^CMake Error(?: at (?P<path>[^\s:]+):(?P<line>\d+) \((?P<function>\w+)\))?:(?P<first> .*)?$")
});

/// The line above Gradle's reason.
const GRADLE: &str = "* What went wrong:";

/// The maximum number of lines of a message.
const MAX_LINES: usize = 30;

/// Returns true if a failure may begin at a line.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("CMake Error") || line == GRADLE
}

/// Reads a failure.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let line = cursor.line()?;
    if line == GRADLE {
        cursor.at += 1;
        let end = cursor.find(MAX_LINES, str::is_empty).unwrap_or(cursor.lines.len());
        let lines = &cursor.lines[cursor.at..end];
        cursor.at = end;
        return (!lines.is_empty()).then(|| vec![Raised { message: lines.join("\n"), ..Raised::default() }]);
    }
    let found = CMAKE.captures(line)?;
    cursor.at += 1;
    let mut lines: Vec<&str> = found.name("first").map(|first| first.as_str().trim()).into_iter().collect();
    while let Some(line) = cursor.take_if(|line| line.is_empty() || line.starts_with("  ")) {
        lines.push(line.trim());
    }
    // The message is wrapped. Its first paragraph says what went wrong.
    let first: Vec<&str> =
        lines.iter().copied().skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty()).collect();
    let rest: Vec<&str> = lines
        .into_iter()
        .skip_while(|line| line.is_empty())
        .skip(first.len())
        .filter(|line| !line.is_empty())
        .take(MAX_LINES)
        .collect();
    let message = [first.join(" "), rest.join(" ")].join("\n").trim().to_owned();
    let frame = found.name("path").map(|path| {
        let function = found.name("function").map(|name| name.as_str().to_owned());
        Frame::new(path.as_str(), found["line"].parse().unwrap_or(0), function)
    });
    (!message.is_empty()).then(|| {
        vec![Raised {
            name: "CMake Error".to_owned(),
            message,
            frames: frame.into_iter().collect(),
            ..Raised::default()
        }]
    })
}
