//! Reports of Spring Boot about an application that could not start:
//!
//! ```text
//! ***************************
//! APPLICATION FAILED TO START
//! ***************************
//!
//! Description:
//!
//! Web server failed to start. Port 8080 was already in use.
//!
//! Action:
//! ```

use super::cursor::Cursor;
use super::traceback::Raised;

/// The maximum number of lines of a description, and of those above it.
const MAX_LINES: usize = 12;

/// Returns true if a report may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line == "APPLICATION FAILED TO START"
}

/// Reads the description in a report.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let title = cursor.find(MAX_LINES, |line| line == "Description:")?;
    cursor.at = title + 1;
    cursor.skip_empty();
    let mut lines = Vec::new();
    while let Some(line) = cursor.take_if(|line| !line.is_empty() && line != "Action:") {
        lines.push(line);
        if lines.len() == MAX_LINES {
            break;
        }
    }
    (!lines.is_empty()).then(|| vec![Raised { message: lines.join("\n"), ..Raised::default() }])
}
