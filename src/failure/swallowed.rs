//! Lines in the form of other output that are the only error of a program: `wandb: ERROR Sweep not found`.
//!
//! Services and progress bars write such lines while a program works, so they are used only if nothing else is known.

use super::lines::Log;
use super::noise::{self, RecordLevel};
use super::runtime::ErrorLine;
use super::words::has_words_of_error;

/// The number of lines at the end that are searched.
const SEARCHED_LINES: usize = 12;

/// Returns the last line from `from` on that states an error in the form of other output. If a log has only one line, its
/// words are enough.
pub(super) fn line(log: &Log, from: usize, skipped: &[bool]) -> Option<ErrorLine> {
    let is_free = |at: &usize| !log.text(*at).is_empty() && !skipped.get(*at).copied().unwrap_or(false);
    let lines: Vec<usize> = (from..log.lines.len()).rev().filter(is_free).take(SEARCHED_LINES).collect();
    let states = |at: &usize| {
        let text = log.text(*at);
        noise::is_rate_or_of_service(text)
            && noise::level(text) != Some(RecordLevel::Harmless)
            && (noise::level(text) == Some(RecordLevel::Error) || has_words_of_error(text))
    };
    let line = lines.iter().copied().find(states)?;
    Some(ErrorLine { headline: noise::message(log.text(line)).trim().to_owned(), place: None, line })
}
