//! Errors of Elixir:
//!
//! ```text
//! ** (ArgumentError) no rows
//!     fit.exs:2: Fit.load/1
//!     (elixir 1.14.0) lib/code.ex:1245: Code.require_file/2
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static ERROR: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\*\* \((?P<name>[A-Z][\w.]*)\) (?P<message>.*)$"));

static CALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^    (?:\((?P<app>[\w.]+) [\w.-]+\) )?(?P<path>[^\s:]+\.(?:exs?|erl)):(?P<line>\d+): (?P<function>\S+).*$|^    \([\w.]+ [\w.-]+\) ",
    )
});

/// The applications of the language and of its libraries. The script's own application is named in the same way.
const OF_LANGUAGE: [&str; 18] = [
    "elixir",
    "stdlib",
    "kernel",
    "erts",
    "compiler",
    "mix",
    "ex_unit",
    "logger",
    "eex",
    "iex",
    "nx",
    "exla",
    "axon",
    "explorer",
    "jason",
    "ecto",
    "ecto_sql",
    "db_connection",
];

/// The maximum number of lines of a message.
const MAX_MESSAGE: usize = 20;

/// Returns true if an error may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("** (")
}

/// Reads an error and its calls.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let found = ERROR.captures(cursor.line()?)?;
    let calls = cursor.find(MAX_MESSAGE, |line| CALL.is_match(line))?;
    let more = cursor.lines[cursor.at + 1..calls].iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    let message = [&found["message"]].into_iter().chain(more).collect::<Vec<_>>().join("\n");
    cursor.at = calls;
    let mut frames = Vec::new();
    while let Some(call) = cursor.line().and_then(|line| CALL.captures(line)) {
        if let (Some(path), Some(number)) = (call.name("path"), call.name("line")) {
            let function = call.name("function").map(|name| name.as_str().to_owned());
            let frame = Frame::new(path.as_str(), number.as_str().parse().unwrap_or(0), function);
            let is_library = call.name("app").is_some_and(|app| OF_LANGUAGE.contains(&app.as_str()));
            frames.push(Frame { is_library, ..frame });
        }
        cursor.at += 1;
    }
    frames.reverse();
    Some(vec![Raised { name: found["name"].to_owned(), message, frames, ..Raised::default() }])
}
