//! The credentials of headers such as `Authorization: Bearer …` and `Cookie: …`.

use std::ops::Range;

use super::forms::{SecretScanner, is_prefix};
use super::tokens::is_word_byte;
use super::values::is_harmless;

impl SecretScanner<'_> {
    /// Hides the credentials of a header such as `Authorization: Bearer …` or `Cookie: …`. Returns the position at
    /// which the search continues, or `None` if the name is not that of such a header.
    pub(super) fn header(&mut self, name: Range<usize>, start: usize) -> Option<usize> {
        let name_end = name.end;
        let name = self.name(name);
        let is = |wanted: &str| {
            name.len().checked_sub(wanted.len()).is_some_and(|from| name[from..].eq_ignore_ascii_case(wanted))
        };
        let is_cookie = is("cookie");
        if !is_cookie && !is("authorization") {
            return None;
        }
        let quote = self.quote(start).or_else(|| self.quote(start + usize::from(is_prefix(self.byte(start)))));
        let (start, end) = match quote {
            Some((depth, open)) => (open, self.closing(depth, open).unwrap_or_else(|| self.line_end(open))),
            None if is_cookie => (start, self.line_end(start)),
            None => {
                let line = &self.text[start.min(self.text.len())..];
                let from = start + scheme_length(&line[..line.floor_char_boundary(64)]);
                let value = self.bare(from).map_or(from..from, |value| value.range);
                (start, value.end.max(self.parameters_end(from)))
            }
        };
        let value = &self.text[start..end];
        let scheme = if is_cookie { 0 } else { scheme_length(&value[..value.floor_char_boundary(64)]) };
        let credentials = &value[scheme..];
        // The parts of an AWS signature have names, so they are examined one by one.
        if is_harmless(credentials) || credentials.starts_with("Credential=") {
            return Some(name_end);
        }
        self.found.push(start + scheme..end);
        Some(end)
    }

    /// Returns the end of a list of parameters, `username="me", response="x9"`, or `start` if none begins there.
    fn parameters_end(&self, start: usize) -> usize {
        let mut end = start;
        let mut at = start;
        loop {
            let name = self.bytes[at..].iter().take_while(|byte| is_word_byte(**byte)).count();
            let value = at + name + 1;
            if name == 0 || self.byte(at + name) != b'=' {
                return end;
            }
            end = match self.quote(value) {
                Some((depth, open)) => match self.closing(depth, open) {
                    Some(close) => close + depth + 1,
                    None => return end,
                },
                None => value + self.bytes[value..].iter().take_while(|byte| is_word_byte(**byte)).count(),
            };
            let separator = self.bytes[end..].iter().take(4).take_while(|byte| matches!(byte, b',' | b' ')).count();
            if separator == 0 || self.byte(end) != b',' {
                return end;
            }
            at = end + separator;
        }
    }

    fn line_end(&self, at: usize) -> usize {
        at + self.bytes[at..].iter().take_while(|byte| **byte != b'\n').count()
    }
}

/// Returns the length of the scheme at the start of a header's value, with the blanks after it.
fn scheme_length(value: &str) -> usize {
    let word = value.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
    let blanks = value[word..].bytes().take_while(|byte| *byte == b' ').count();
    if word > 0 && word <= 32 && blanks > 0 { word + blanks } else { 0 }
}
