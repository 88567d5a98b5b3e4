//! The last line that a process wrote after its error.

use super::lines::Log;
use super::noise::{self, RecordLevel};
use super::{other, wrapper};

/// Returns the last line that was written after the line `end` of stderr, unless that line only states that the program
/// ends. `end` is `None` for an error that was not read from stderr, and 0 if there was no error.
pub(super) fn last_line<'l>(stderr: &'l Log, stdout: &'l Log, end: Option<usize>, covered: &[bool]) -> Option<&'l str> {
    let is_silent = matches!(end, None | Some(0));
    let found = match other::last_line(stderr, end.unwrap_or(0), covered) {
        // After an error, the records that are logged while the program ends add nothing.
        Some(at) if !is_silent && noise::level(stderr.text(at)) == Some(RecordLevel::Harmless) => None,
        Some(at) if !is_silent && other::is_summary(stderr.text(at)) => None,
        Some(at) if !is_silent && wrapper::is_shown_command(stderr.text(at)) => None,
        Some(at) => Some(stderr.text(at)),
        None if end == Some(0) => other::last_line(stdout, 0, &[]).map(|at| stdout.text(at)),
        None => None,
    };
    // A harmless record counts only if there was no error.
    found.filter(|line| end == Some(0) || !noise::is_harmless_record(line))
}
