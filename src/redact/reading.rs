//! Reading values: in quotes, at any depth of escapes, and without quotes.

use super::forms::{FoundValue, SecretScanner, is_prefix};
use super::names::MAX_NAME;
use super::tokens::is_word_byte;

/// The maximum number of backslashes before a quote: JSON in JSON four times.
const MAX_DEPTH: usize = 16;

impl SecretScanner<'_> {
    /// Returns the number of backslashes before a quote, and the position after the quote.
    pub(super) fn quote(&self, at: usize) -> Option<(usize, usize)> {
        let rest = self.bytes.get(at..)?;
        let depth = rest.iter().take(MAX_DEPTH + 1).take_while(|byte| **byte == b'\\').count();
        let is_quote = depth <= MAX_DEPTH && matches!(rest.get(depth), Some(b'"' | b'\'' | b'`'));
        is_quote.then_some((depth, at + depth + 1))
    }

    /// Reads the value that begins at `start`.
    pub(super) fn value(&mut self, start: usize) -> Option<FoundValue> {
        let quote = match self.quote(start) {
            Some(quote) => Some(quote),
            None if is_prefix(self.byte(start)) => self.quote(start + 1),
            None => None,
        };
        if let Some((depth, open)) = quote {
            // Three quotes, as Python and TOML have them.
            let mark = &self.bytes[open - 1..];
            let open = if depth == 0 && mark.starts_with(&[mark[0]; 3]) { open + 2 } else { open };
            if let Some(end) = self.closing(depth, open) {
                return (end > open).then_some(FoundValue { range: open..end, is_quoted: true });
            }
            return self.bare(open);
        }
        self.bare(start)
    }

    /// Returns the start of the closing quote, including its backslashes, if it is on the same line.
    pub(super) fn closing(&self, depth: usize, open: usize) -> Option<usize> {
        let quote = self.bytes[open - 1];
        let mut slashes = 0;
        for (at, &byte) in self.bytes.iter().enumerate().skip(open) {
            match byte {
                b'\\' => slashes += 1,
                b'\n' => return None,
                _ if byte == quote && slashes == depth => return Some(at - depth),
                _ => slashes = 0,
            }
        }
        None
    }

    /// Reads a value without quotes.
    pub(super) fn bare(&mut self, start: usize) -> Option<FoundValue> {
        if self.byte(start) == b'<' {
            let close = self.bytes[start..].iter().take(64).position(|byte| *byte == b'>');
            if let Some(close) = close {
                return Some(FoundValue { range: start..start + close + 1, is_quoted: false });
            }
        }
        if !self.bare.contains(&start) {
            let rest = &self.text[start.min(self.text.len())..];
            let length = (start..start + rest.len()).take_while(|&at| !self.ends_bare(at)).count();
            self.bare = start..start + rest[..length].trim_end_matches(['.', ':', '!', '?']).len();
        }
        let range = start..self.bare.end;
        (!range.is_empty()).then_some(FoundValue { range, is_quoted: false })
    }

    /// Returns true if a value without quotes ends at this position.
    fn ends_bare(&self, at: usize) -> bool {
        match self.bytes[at] {
            // `&` separates the parts of a query, and the commands of a shell.
            b'&' => {
                let name = self.bytes[at + 1..].iter().take(MAX_NAME).take_while(|byte| is_word_byte(**byte)).count();
                name == 0 || self.byte(at + 1 + name) == b'='
            }
            byte => byte.is_ascii_whitespace() || b"\"'`,;)]}>|\\".contains(&byte),
        }
    }
}
