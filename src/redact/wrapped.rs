//! Values behind or inside a further notation: in brackets, in the call of a function or a type that only wraps them,
//! behind a type, and in the cells of tables.

use std::ops::Range;

use super::forms::SecretScanner;
use super::names::{NameKind, name_kind};
use super::part::range_of;
use super::tokens::is_word_byte;
use super::values::is_secret;

/// The maximum length, in bytes, of the text between brackets.
const LONGEST: usize = 256;

/// The minimum length of a value between brackets. Shorter ones are the names of arguments.
const SHORTEST: usize = 6;

/// The maximum number of blanks or dots before a cell.
const MAX_FILL: usize = 64;

/// Functions and types that wrap a value and leave it readable.
const WRAPPERS: [&str; 18] = [
    "Just",
    "Ok",
    "Optional",
    "Password",
    "Some",
    "String",
    "Token",
    "b64decode",
    "b64encode",
    "bytes",
    "encode",
    "fromBase64",
    "quote",
    "quote_plus",
    "repr",
    "str",
    "string",
    "unquote",
];

/// Types that can be between a name and its value: `api_key: str = "x9y8"`.
const TYPES: [&str; 10] = [
    "Optional[str]",
    "Optional[SecretStr]",
    "str | None",
    "SecretStr",
    "string",
    "String",
    "bytes",
    "&'static str",
    "&str",
    "str",
];

impl SecretScanner<'_> {
    /// Hides the values without quotes in brackets after a secret's name: `password=[x9y8]`, `PWD={x9;y8}`.
    pub(super) fn enclosed(&mut self, kind: NameKind, start: usize) {
        let close = match self.byte(start) {
            b'{' => '}',
            b'[' => ']',
            _ => ')',
        };
        let text = self.text;
        let rest = &text[start + 1..text.floor_char_boundary(start + 1 + LONGEST)];
        let Some((inside, _)) = rest.split_once(close) else { return };
        if inside.contains(['"', '\'', ':', '=', '{', '[', '(', '\n', '\\', '`']) {
            return;
        }
        let is_value = |item: &&str| item.len() >= SHORTEST && !item.contains(char::is_whitespace);
        for item in inside.split(',').map(str::trim).filter(is_value) {
            if is_secret(kind, item, self.beside) {
                self.found.push(range_of(text, item));
            }
        }
    }

    /// Hides a value in a call that only wraps it, if it is a secret: `Some("x9y8")`, `Optional[x9y8]`. Returns the
    /// position at which the search continues, or `None` for other texts.
    pub(super) fn in_wrapper(&mut self, kind: NameKind, start: usize) -> Option<usize> {
        let start = start + if self.text[start.min(self.text.len())..].starts_with("new ") { 4 } else { 0 };
        let length = self.bytes.get(start..)?.iter().take(MAX_FILL).take_while(|byte| is_word_byte(**byte)).count();
        let name = self.text[start..start + length].rsplit('.').next().unwrap_or_default();
        let close = match self.byte(start + length) {
            b'(' => ')',
            b'[' => ']',
            _ => return None,
        };
        if !WRAPPERS.contains(&name) {
            return None;
        }
        let inner = start + length + 1;
        let range = match self.quote(inner) {
            Some((depth, open)) => open..self.closing(depth, open)?,
            None => {
                let rest = &self.text[inner..self.text.floor_char_boundary(inner + LONGEST)];
                let (inside, _) = rest.split_once(close)?;
                let is_one = !inside.contains(|c: char| c.is_whitespace() || "\"'([{,".contains(c));
                is_one.then_some(inner..inner + inside.len())?
            }
        };
        let end = range.end;
        if is_secret(kind, &self.text[range.clone()], self.beside) {
            self.found.push(range);
        }
        Some(end)
    }

    /// Returns the start of the value after a type and a sign: `str = "x9y8"`. Returns `start` for other texts.
    pub(super) fn after_type(&self, start: usize) -> usize {
        if !matches!(self.byte(start), b'O' | b's' | b'S' | b'b' | b'&') {
            return start;
        }
        let rest = &self.text[start..];
        let after = TYPES.iter().find_map(|name| rest.strip_prefix(name)?.trim_start_matches(' ').strip_prefix('='));
        match after.filter(|after| !after.starts_with('=')) {
            Some(after) => self.text.len() - after.trim_start_matches(' ').len(),
            None => start,
        }
    }

    /// Returns the start of the cell after the cell that ends here, in a table or behind a row of dots: `│ api_key │ x9y8 │`,
    /// `hub_token ...... x9y8`.
    pub(super) fn next_cell(&self, end: usize) -> Option<usize> {
        let run = |at: usize, byte: u8| {
            self.bytes[at.min(self.bytes.len())..].iter().take(MAX_FILL).take_while(|other| **other == byte).count()
        };
        let at = end + run(end, b' ');
        let edge = match self.byte(at) {
            b'|' => 1,
            0xE2 if self.text[at..].starts_with(['│', '┃']) => '│'.len_utf8(),
            b'.' if run(at, b'.') > 2 => run(at, b'.'),
            _ => return None,
        };
        let blanks = run(at + edge, b' ');
        (at > end && blanks > 0).then_some(at + edge + blanks)
    }

    /// Returns the kind of the name on the line above this position. Validators such as Pydantic's print the value below the name
    /// of its field.
    pub(super) fn kind_of_field_above(&self, at: usize) -> NameKind {
        const REACH: usize = 512;
        let before = &self.text[self.text.ceil_char_boundary(at.saturating_sub(REACH))..at];
        let field = before.rsplit('\n').nth(1).unwrap_or_default().trim();
        let is_name = !field.is_empty() && field.bytes().all(is_word_byte);
        if is_name { name_kind(field) } else { NameKind::Plain }
    }

    /// Returns true if this is the name of a function that sets a secret, before a string: `setPassword("x9y8")`.
    pub(super) fn is_setter(&self, name: Range<usize>) -> bool {
        let text = self.name(name.clone());
        let class = text.rsplit('.').next().unwrap_or_default();
        let sets = class.starts_with("set") || class.starts_with("with");
        sets && self.byte(name.end) == b'('
            && self.quote(name.end + 1).is_some()
            && name_kind(class) >= NameKind::Secret
    }
}
