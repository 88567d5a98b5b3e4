//! The report of `sagemaker-training` about a program that it ran, which is the script or pip. The report consists of
//! `ExecuteUserScriptError:` and, in `ErrorMessage "…"`, the program's own error.

use super::cursor::Cursor;
use super::python;
use super::traceback::{Link, Raised};

/// The names of the exceptions that are such reports.
const NAMES: [&str; 3] = ["ExecuteUserScriptError", "InstallRequirementsError", "InstallModuleError"];

/// The maximum number of lines of a report.
const MAX_LINES: usize = 200;

/// Returns true if a report may begin at this line of a log.
pub(super) fn begins(line: &str) -> bool {
    name_of(line.trim_end_matches(':')).is_some()
}

/// Returns the name at the end of a text, if it is the name of a report.
fn name_of(text: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|name| text.ends_with(name))
}

/// Reads a report.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let lines = &cursor.lines[cursor.at..cursor.lines.len().min(cursor.at + MAX_LINES)];
    let end = lines.iter().position(|line| line.starts_with("Command \""))?;
    let name = name_of(lines[0].trim_end_matches(':'))?;
    let message = lines[1..end].join("\n");
    cursor.at += end + 1;
    let report = Raised { name: name.to_owned(), message, ..Raised::default() };
    inner(&report).map(|inner| vec![Raised { link: None, ..inner }])
}

/// Returns the program's own error in a report. `None` if the exception is not a report or the report has no such
/// error.
pub(super) fn inner(report: &Raised) -> Option<Raised> {
    name_of(&report.name)?;
    let (_, text) = report.message.split_once("ErrorMessage \"")?;
    let text = text.split_once("\nCommand \"").map_or(text, |(text, _)| text).trim_end().trim_end_matches('"');
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut cursor = Cursor { lines: &lines, at: 0, floor: 0, is_ignored: false };
    while let Some(line) = cursor.line() {
        let at = cursor.at;
        if python::begins(line)
            && let Some(raised) = python::read(&mut cursor).and_then(|mut chain| chain.pop())
        {
            return Some(Raised { link: Some(Link::Within), ..raised });
        }
        cursor.at = cursor.at.max(at + 1);
    }
    let last = lines.iter().rposition(|line| !line.trim().is_empty())?;
    // A failure text of footplate, which the package of `footplate shim` passes on, begins with the headline and ends
    // with the command. In other texts, the last line that names an exception counts, else the last line.
    let told = if lines[last].starts_with("command: ") {
        0
    } else {
        lines.iter().rposition(|line| python::is_named(line.trim())).unwrap_or(last)
    };
    let line = lines[told].trim();
    Some(Raised { message: line.to_owned(), link: Some(Link::Within), ..Raised::default() })
}
