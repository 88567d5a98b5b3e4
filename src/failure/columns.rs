//! Errors that Rich prints in boxes and in columns.

use std::sync::LazyLock;

use regex::Regex;

use super::lines::Log;
use super::read;
use super::runtime::{ErrorLine, place_of};
use crate::failure::pattern::pattern;

/// A record of Rich's logger.
static COLUMNS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?P<before>(?:\[[^\]]*\])?\s+(?:ERROR|CRITICAL|FATAL|EXCEPTION)\s+)(?P<message>\S.*?)\s{2,}(?P<path>\S+\.py):(?P<line>\d+)$",
    )
});

/// Returns the title and the words of the box that contains a line.
pub(super) fn in_box(log: &Log, line: usize) -> Option<ErrorLine> {
    const MAX_LINES: usize = 40;
    if !log.text(line).trim_start().starts_with(['│', '┃']) {
        return None;
    }
    let edge = (line.saturating_sub(MAX_LINES)..line).rev().find(|&at| read::title(log.text(at)).is_some())?;
    let lines: Vec<&str> = log.lines[edge..].iter().take(2 * MAX_LINES).map(|line| line.text.as_str()).collect();
    let (words, count) = read::content(&lines)?;
    let title = read::title(lines[0]).filter(|title| !title.is_empty()).map(|title| format!("{title}: "));
    // The line may be below a box instead of in it.
    (edge + count > line).then(|| ErrorLine {
        headline: title.unwrap_or_default() + &words,
        place: None,
        line: edge + count - 1,
    })
}

/// Returns the message of a record that Rich prints in columns: time, level, message over several lines, and place.
pub(super) fn in_columns(log: &Log, line: usize) -> Option<ErrorLine> {
    const MAX_LINES: usize = 10;
    let found = COLUMNS.captures(log.text(line))?;
    let column = found["before"].len();
    let mut words = vec![found["message"].trim().to_owned()];
    let mut last = line;
    for (at, next) in log.lines.iter().enumerate().skip(line + 1).take(MAX_LINES) {
        let Some((before, text)) = next.text.split_at_checked(column) else { break };
        if !before.trim().is_empty() || !text.starts_with(|c: char| c.is_alphanumeric() || c.is_ascii_punctuation()) {
            break;
        }
        words.push(text.trim().to_owned());
        last = at;
    }
    Some(ErrorLine { headline: words.join(" "), place: Some(place_of(&found)), line: last })
}
