//! Errors of R. The reason may be printed below the call:
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

/// Returns true if an error may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("Error in ") || line.starts_with("Error: ") || line == "Error:"
}

/// Reads an error that ended R, which prints `Execution halted` after it.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let from = cursor.at;
    let halted = cursor.find(2 * MAX_LINES, |line| line == "Execution halted")?;
    // If another error follows, the later one counts.
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
    let mut lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    // The package rlang prints the reason last.
    let reason = lines.iter().rposition(|line| line.starts_with("Caused by error")).map(|at| at + 1);
    if let Some(reason) = reason.filter(|&at| at < lines.len()) {
        let text = lines.remove(reason).trim_start_matches("! ");
        lines.insert(1, text);
        lines.retain(|line| !line.starts_with("Caused by error"));
    }
    // A runner of tests has printed the failures.
    if matches!(lines[0], "Error: Test failures" | "Error: Tests failed") {
        return None;
    }
    cursor.at = halted + 1;
    let mut message = lines.join("\n");
    // The package caret prints the reason above its error.
    if message == "Error: Stopping"
        && let Some(reason) = stopped_for(cursor, from)
    {
        message = reason;
    }
    // The call and the reason form one sentence.
    if lines[0].ends_with(':') {
        message = message.replacen('\n', " ", 1);
    }
    // R prints the system's error as a warning.
    if message.ends_with("cannot open the connection") {
        let reason =
            cursor.lines[end..halted].iter().map(|line| line.trim()).find(|line| line.starts_with("cannot open "));
        message.extend(reason.map(|reason| format!("\n{reason}")));
    }
    Some(vec![Raised { message, ..Raised::default() }])
}

/// Returns the reason for which the package caret stopped, and the first error of a model before it. They are above the
/// line `error`.
fn stopped_for(cursor: &Cursor<'_>, error: usize) -> Option<String> {
    /// The maximum number of lines of the table between the reason and the error, and between the first error of a
    /// model and the reason.
    const NEAR: usize = 40;
    let above = |end: usize| cursor.floor.max(end.saturating_sub(NEAR))..end;
    let reason = above(error).rev().find(|&at| cursor.lines[at].starts_with("Something is wrong; all the "))?;
    let is_of_model = |at: &usize| cursor.lines[*at].contains("model fit failed for ");
    let model = above(reason).find(is_of_model);
    let of_model = model.map(|at| {
        let more = cursor.lines.get(at + 1).filter(|_| cursor.lines[at].ends_with(':'));
        format!("\n{} {}", cursor.lines[at].trim(), more.map_or("", |line| line.trim()))
    });
    Some(cursor.lines[reason].trim_end_matches(':').to_owned() + &of_model.unwrap_or_default())
}
