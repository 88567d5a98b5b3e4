//! Failures of the build tools CMake and Gradle, and of the compilers of Scala and Kotlin:
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
//!
//! ```text
//! [error] ./Fit.scala:3:11
//! [error] Not found: lode
//! ```
//!
//! ```text
//! e: file:///opt/ml/code/Main.kt:5:7 Unresolved reference: lode
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Raised, Reading};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static CMAKE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^CMake Error(?: at (?P<path>[^\s:]+):(?P<line>\d+) \((?P<function>\w+)\))?:(?P<first> .*)?$")
});

static COMPILER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:\[error\]|e:) (?:file://)?(?P<path>\S+\.(?:scala|sc|kts?|java)):(?P<line>\d+)(?::\d+)?:?(?: (?P<message>\S.*))?$",
    )
});

/// The line above Gradle's reason.
const GRADLE: &str = "* What went wrong:";

/// The maximum number of lines of a message.
const MAX_LINES: usize = 30;

/// Returns true if a failure may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("CMake Error") || line == GRADLE || line.starts_with("[error] ") || line.starts_with("e: ")
}

/// Reads a failure.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    if let Some(found) = COMPILER.captures(cursor.line()?) {
        cursor.at += 1;
        return compiled(cursor, &found).map(|raised| Reading::of_series(vec![raised]));
    }
    built(cursor).map(Reading::here)
}

/// Reads an error that a compiler found, whose first line was read.
fn compiled(cursor: &mut Cursor<'_>, found: &regex::Captures<'_>) -> Option<Raised> {
    let first = found.name("message").map(|message| message.as_str());
    let message = first.or_else(|| cursor.take()?.strip_prefix("[error] "))?.to_owned();
    // The source line and a mark are below the message.
    while cursor.take_if(|line| line.starts_with("[error] ") && !COMPILER.is_match(line)).is_some() {}
    let frame = Frame::new(&found["path"], found["line"].parse().unwrap_or(0), None);
    Some(Raised { message, frames: vec![frame], ..Raised::default() })
}

/// Reads a failure of CMake or Gradle.
fn built(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
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
    // The message is wrapped. Its first paragraph states the error.
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
