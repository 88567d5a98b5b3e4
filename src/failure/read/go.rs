//! Panics and fatal errors of Go:
//!
//! ```text
//! panic: runtime error: index out of range [5] with length 3
//!
//! goroutine 1 [running]:
//! main.load(...)
//!     /opt/ml/code/main.go:8
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static PLACE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s+(\S.*\.(?:go|s|c)):(\d+)(?: \+0x[0-9a-f]+)?$"));

/// The maximum number of lines of a message, up to the first goroutine.
const MAX_MESSAGE: usize = 12;

/// The beginnings of the line that names the error.
const STARTS: [&str; 2] = ["panic: ", "fatal error: "];

/// Returns true if a panic may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    STARTS.iter().any(|start| line.starts_with(start))
}

/// Returns the name of the function in a call, with the type that a method belongs to: `main.(*Vocab).Add(0xc000)`.
fn called(call: &str) -> &str {
    let receiver = call.find(".(*").and_then(|start| Some(start + call[start..].find(')')?));
    let from = receiver.unwrap_or(0);
    call[from..].find('(').map_or(call, |end| &call[..from + end])
}

/// Reads a panic and the calls of the goroutine in which it happened.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let goroutine = cursor.find(MAX_MESSAGE, |line| line.starts_with("goroutine ") || line == "runtime stack:")?;
    let name = if cursor.line()?.starts_with("panic: ") { "panic" } else { "fatal error" };
    let lines = &cursor.lines[cursor.at..goroutine];
    // A nested panic is indented; `[signal …]` describes a fault.
    let message: Vec<&str> = lines.iter().copied().filter(|line| !line.is_empty() && !line.starts_with('[')).collect();
    let message = message.join("\n")[name.len() + 2..].replace(" [recovered]", "");
    cursor.at = goroutine + 1;
    let mut frames = Vec::new();
    let mut function: Option<String> = None;
    while let Some(line) = cursor.take_if(|line| !line.is_empty()) {
        if let Some(place) = PLACE.captures(line) {
            let name = function.take().filter(|name| !name.starts_with("created by "));
            let is_library =
                name.as_ref().is_some_and(|name| name.starts_with("runtime.") || name.starts_with("panic("));
            let name = name.map(|name| called(&name).to_owned());
            let frame = Frame::new(&place[1], place[2].parse().unwrap_or(0), name);
            frames.push(Frame { is_library, ..frame });
        } else {
            function = Some(line.to_owned());
        }
    }
    // The other goroutines add no information.
    loop {
        let from = cursor.at;
        cursor.skip_empty();
        if cursor.take_if(|line| line.starts_with("goroutine ")).is_none() {
            cursor.at = from;
            break;
        }
        while cursor.take_if(|line| !line.is_empty()).is_some() {}
    }
    frames.reverse();
    Some(vec![Raised { name: name.to_owned(), message, frames, ..Raised::default() }])
}
