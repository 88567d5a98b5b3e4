//! Exceptions of OCaml, with `OCAMLRUNPARAM=b`:
//!
//! ```text
//! Fatal error: exception Failure("no rows")
//! Raised at Stdlib.failwith in file "stdlib.ml", line 29, characters 17-33
//! Called from Fit in file "fit.ml", line 2, characters 9-15
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// The beginning of the line that names the exception.
const ERROR: &str = "Fatal error: exception ";

static CALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"^(?:Raised|Re-raised|Called)(?: by primitive operation)? (?:at|from|in) (?P<function>\S+) in file "(?P<path>[^"]+)"(?: \(inlined\))?, lines? (?P<line>\d+)"#,
    )
});

/// Returns true if an exception may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with(ERROR)
}

/// Reads an exception and its calls.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let message = cursor.take()?.strip_prefix(ERROR)?.to_owned();
    let mut frames = Vec::new();
    while let Some(found) = cursor.line().and_then(|line| CALL.captures(line)) {
        let function = found["function"].to_owned();
        let is_library = function.starts_with("Stdlib") || function.starts_with("Caml");
        let frame = Frame::new(&found["path"], found["line"].parse().unwrap_or(0), Some(function));
        frames.push(Frame { is_library, ..frame });
        cursor.at += 1;
    }
    frames.reverse();
    Some(vec![Raised {
        name: "Fatal error".to_owned(),
        message: format!("exception {message}"),
        frames,
        ..Raised::default()
    }])
}
