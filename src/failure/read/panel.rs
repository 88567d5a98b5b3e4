//! Error messages in a box, as Typer and rich-click draw them:
//!
//! ```text
//! ╭─ Error ─────────────────────────────────────╮
//! │ No such option: --epoch (Possible options:  │
//! │ --epochs)                                   │
//! ╰─────────────────────────────────────────────╯
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::Raised;
use crate::failure::pattern::pattern;

static TITLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^\s*[╭┌┏+][─━-]+ (?P<title>[^─━]*?(?i:error|exception|failed|failure)[^─━]*?) [─━-]+[╮┐┓+]$")
});

/// The maximum number of lines of a box.
const MAX_LINES: usize = 60;

/// Returns true if a line may be the upper edge of a box.
pub(super) fn begins(line: &str) -> bool {
    line.trim_start().starts_with(['╭', '┌', '┏', '+'])
}

/// Reads the message in a box with the title of an error.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let title = TITLE.captures(cursor.line()?)?["title"].trim().to_owned();
    let end = cursor.lines.len().min(cursor.at + MAX_LINES);
    let is_inner = |line: &str| line.trim_start().starts_with(['│', '┃', '|']);
    let last = (cursor.at + 1..end).take_while(|&at| is_inner(cursor.lines[at])).last()?;
    let lines = cursor.lines[cursor.at + 1..=last].iter();
    let texts = lines.map(|line| line.trim().trim_matches(['│', '┃', '|']).trim());
    // Help stands below a rule.
    let is_rule = |text: &&str| !text.is_empty() && text.chars().all(|c| matches!(c, '─' | '━' | '-'));
    let words = texts.take_while(|text| !is_rule(text)).filter(|text| !text.is_empty());
    let message = words.collect::<Vec<_>>().join(" ");
    cursor.at = last + 1;
    cursor.take_if(|line| line.trim_start().starts_with(['╰', '└', '┗', '+']));
    (!message.is_empty()).then(|| vec![Raised { name: title, message, ..Raised::default() }])
}
