//! Secrets on the lines below their names: the items of a list in YAML, and a value that fills the next line. Also
//! contains the tags of YAML before a value.
//!
//! ```text
//! passwords:
//!   - x9y8z7w6
//! ```

use std::ops::Range;

use super::forms::SecretScanner;
use super::names::{MAX_NAME, NameKind, name_kind};
use super::part::range_of;
use super::values::{is_secret, looks_random};

/// The maximum number of blanks before a name, an item or a value.
const MAX_INDENTATION: usize = 64;

/// The maximum number of blanks between a name and the end of its line.
const MAX_BLANKS: usize = 8;

impl SecretScanner<'_> {
    /// Hides the secrets below a name that ends its line. Returns the position at which the search continues, or `None`
    /// if there are none.
    pub(super) fn below(&mut self, name: Range<usize>) -> Option<usize> {
        let after = &self.text[name.end..];
        if !after.starts_with([':', '=', '\n', '\r']) || name.start < self.nested_until {
            return None;
        }
        let rest = after.strip_prefix([':', '=']).unwrap_or(after);
        let has_sign = rest.len() < after.len();
        let blanks = self.blanks(name.end + usize::from(has_sign)).min(MAX_BLANKS);
        let rest = rest[blanks..].strip_prefix('\r').unwrap_or(&rest[blanks..]).strip_prefix('\n')?;
        let kind = name_kind(self.name(name.clone()));
        if kind < NameKind::Secret {
            return None;
        }
        let outer = self.indentation_before(name.start);
        let inner = indentation(rest)?;
        if has_sign && rest[inner..].starts_with("- ") {
            return self.items(kind, rest, inner);
        }
        let line = rest[inner..].split('\n').next().unwrap_or_default();
        let value = line.trim_end_matches([' ', '\r']).trim_matches(['"', '\'']);
        let is_inside = has_sign && outer.is_some_and(|outer| inner > outer);
        let is_alone = has_sign || outer.is_some();
        let is_hidden = if is_inside { is_secret(kind, value, self.beside) } else { looks_random(value) };
        if value.contains(char::is_whitespace) || value.ends_with(':') || !is_alone || !is_hidden {
            return None;
        }
        let found = range_of(self.text, value);
        let end = found.end;
        self.found.push(found);
        Some(end)
    }

    /// Returns the start of the value after a tag or an anchor of YAML: `password: !vault x9y8`, `password: &pw x9y8`.
    pub(super) fn after_tag(&self, start: usize) -> usize {
        let rest = &self.bytes[start.min(self.bytes.len())..];
        let marks =
            if rest.starts_with(b"!!") { 2 } else { usize::from(rest.starts_with(b"!") || rest.starts_with(b"&")) };
        let letters = rest.iter().skip(marks).take(MAX_NAME).take_while(|byte| byte.is_ascii_lowercase()).count();
        let end = start + marks + letters;
        if marks > 0 && letters > 0 && self.byte(end) == b' ' { end + self.blanks(end) } else { start }
    }

    /// Hides the items of a list that begins with the line at the start of `rest`.
    fn items(&mut self, kind: NameKind, rest: &str, inner: usize) -> Option<usize> {
        let mut end = None;
        for line in rest.split('\n') {
            let Some(item) = line.get(inner..).and_then(|line| line.strip_prefix("- ")) else { break };
            if indentation(line) != Some(inner) {
                break;
            }
            let item = item.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
            let is_value = !item.contains(": ") && !item.ends_with(':') && !item.starts_with(['{', '[']);
            let found = range_of(self.text, item);
            self.nested_until = found.end;
            if is_value && is_secret(kind, item, self.beside) {
                end = Some(found.end);
                self.found.push(found);
            }
        }
        end
    }

    /// Returns the number of blanks before a name, if only blanks are before it on its line.
    fn indentation_before(&self, start: usize) -> Option<usize> {
        let blanks = self.bytes[..start].iter().rev().take(MAX_INDENTATION).take_while(|byte| **byte == b' ').count();
        (start == blanks || self.bytes[start - blanks - 1] == b'\n').then_some(blanks)
    }
}

/// Returns the number of blanks at the start of a line. `None` if there are too many.
fn indentation(line: &str) -> Option<usize> {
    let blanks = line.bytes().take(MAX_INDENTATION).take_while(|byte| *byte == b' ').count();
    (blanks < MAX_INDENTATION).then_some(blanks)
}
