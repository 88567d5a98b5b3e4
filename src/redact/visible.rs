//! Text that a terminal only displays: without control characters, and without characters that change the order of
//! others.
//!
//! Names and values of a job, paths, the output of programs and the texts of other hosts can contain escape sequences.
//! These would move the cursor, rename the window or hide the previous line.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns true for control characters (C0, DEL and C1), for the controls of bidirectional text, and for the separators of
/// lines and paragraphs.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a text on one line, with a visible escape such as `\n` or `\u{1b}` in place of each unsafe character.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, is_unsafe, |out, c| match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ => write_code(out, c),
    })
}

/// Returns a text with a visible escape in place of each unsafe character except line ends.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_unsafe(c), write_code)
}

/// Returns JSON, as `serde_json` writes it, with JSON escapes in place of the unsafe characters. Its values stay the
/// same.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    escaped(
        json,
        |c| c != '\n' && is_unsafe(c),
        |out, c| {
            // Writing to a string cannot fail, and every unsafe character is one UTF-16 unit.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        },
    )
}

/// Returns a text on one line, with a blank in place of each line end and tab, and a visible escape in place of each other
/// unsafe character.
pub fn visible_message(text: &str) -> Cow<'_, str> {
    escaped(text, is_unsafe, |out, c| if matches!(c, '\n' | '\r' | '\t') { out.push(' ') } else { write_code(out, c) })
}

fn write_code(out: &mut String, c: char) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool, write: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) {
            write(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}
