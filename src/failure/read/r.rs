//! Errors of R, of which the reason may stand below the call:
//!
//! ```text
//! Error in lm.fit(x, y, offset = offset, singular.ok = singular.ok, ...) :
//!   NA/NaN/Inf in 'y'
//! Calls: lm -> lm.fit
//! Execution halted
//! ```

use super::cursor::Cursor;
use super::traceback::Raised;

/// The maximum number of lines of a call and a message.
const MAX_LINES: usize = 20;

/// Returns true if an error may begin at a line.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("Error in ") || line.starts_with("Error: ") || line == "Error:"
}

/// Reads an error that ended R: `Execution halted` follows it.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let from = cursor.at;
    let halted = cursor.find(2 * MAX_LINES, |line| line == "Execution halted")?;
    // A later error counts.
    if (from + 1..halted).any(|at| begins(cursor.lines[at])) {
        return None;
    }
    let is_end = |line: &str| {
        ["Calls: ", "In addition: ", "Warning message", "Backtrace:", "Execution halted", "Ran `"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let end = (from + 1..halted).find(|&at| is_end(cursor.lines[at])).unwrap_or(halted);
    let lines = cursor.lines[from..end.min(from + MAX_LINES)].iter().map(|line| line.trim());
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    cursor.at = halted + 1;
    let mut message = lines.join("\n");
    // The call and the reason are one sentence.
    if lines[0].ends_with(':') {
        message = message.replacen('\n', " ", 1);
    }
    // R reports what the system said as a warning.
    if message.ends_with("cannot open the connection") {
        let reason =
            cursor.lines[end..halted].iter().map(|line| line.trim()).find(|line| line.starts_with("cannot open "));
        message.extend(reason.map(|reason| format!("\n{reason}")));
    }
    Some(vec![Raised { message, ..Raised::default() }])
}
