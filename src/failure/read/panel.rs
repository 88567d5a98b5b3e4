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
    pattern(
        r"^\s*[╭┌┏+][─━-]+ (?P<title>[^─━]*?(?i:error|exception|failed|failure|required|unrecognized|missing)[^─━]*?) [─━-]+[╮┐┓+]$",
    )
});

/// The maximum number of lines of a box.
const MAX_LINES: usize = 60;

/// Returns true if a line may be the upper edge of a box.
pub(super) fn begins(line: &str) -> bool {
    line.trim_start().starts_with(['╭', '┌', '┏', '+'])
}

/// Reads the message in a box whose title is that of an error.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let title = TITLE.captures(cursor.line()?)?["title"].trim().to_owned();
    let (message, end) = content(&cursor.lines[cursor.at..])?;
    cursor.at += end;
    Some(vec![Raised { name: title, message, ..Raised::default() }])
}

/// Returns the words in a box and the number of its lines. `lines` begins with the upper edge of the box.
pub(in crate::failure) fn content(lines: &[&str]) -> Option<(String, usize)> {
    let is_inner = |line: &&&str| line.trim_start().starts_with(['│', '┃', '|']);
    let count = lines.iter().skip(1).take(MAX_LINES).take_while(is_inner).count();
    let texts = lines[1..=count].iter().map(|line| line.trim().trim_matches(['│', '┃', '|']).trim());
    // Help is printed below a rule.
    let is_rule = |text: &&str| !text.is_empty() && text.chars().all(|c| matches!(c, '─' | '━' | '-'));
    let words: Vec<&str> = texts.take_while(|text| !is_rule(text)).filter(|text| !text.is_empty()).collect();
    let has_edge = lines.get(count + 1).is_some_and(|line| line.trim_start().starts_with(['╰', '└', '┗', '+']));
    (!words.is_empty()).then(|| (words.join(" "), count + 1 + usize::from(has_edge)))
}

/// Returns the title in the upper edge of a box, which can be empty. `None` if the line is not an edge.
pub(in crate::failure) fn title(line: &str) -> Option<&str> {
    let is_edge = |c: char| matches!(c, '╭' | '╮' | '┌' | '┐' | '┏' | '┓' | '─' | '━' | ' ');
    let line = line.trim();
    line.starts_with(['╭', '┌', '┏']).then(|| line.trim_matches(is_edge))
}
