//! Reading the text between a name and its value.

use std::ops::Range;

use super::forms::{SecretScanner, Separator, is_prefix};

impl SecretScanner<'_> {
    /// Returns the separator between a name and its value, and the start of the value.
    pub(super) fn separator(&self, name: Range<usize>) -> Option<(Separator, usize)> {
        let mut at = name.end;
        let quote = self.quote(at);
        if let Some((_, end)) = quote {
            // The name is a key: `os.environ["API_KEY"] = …`.
            let is_key = self.byte(end) == b']' && self.byte(end + 1 + self.blanks(end + 1)) == b'=';
            at = if is_key { end + 1 } else { end };
        }
        let blanks = self.blanks(at);
        let is_option = self.bytes[name.start] == b'-';
        let may_stand_before_blanks = is_option || is_before_blanks(&self.text[name.clone()]);
        let after = at + blanks;
        let (separator, mut start) = match self.byte(after) {
            b'=' | b'!' if self.byte(after + 1) == b'=' => {
                let signs = self.bytes[after..].iter().take(3).take_while(|byte| matches!(byte, b'=' | b'!')).count();
                let value = after + signs + self.blanks(after + signs);
                self.quote(value + usize::from(is_prefix(self.byte(value))))?;
                (Separator::Comparison, value)
            }
            b'=' => match self.byte(after + 1) {
                b'~' => return None,
                b'>' => (Separator::Equals, after + 2),
                _ => (Separator::Equals, after + 1),
            },
            b':' => match self.byte(after + 1) {
                b':' | b'/' => return None,
                b'=' => (Separator::Equals, after + 2),
                _ => (Separator::Colon { is_quoted: quote.is_some() }, after + 1),
            },
            b',' if quote.is_some() => (Separator::Comma, after + 1),
            b'-' if blanks > 0 && self.byte(after + 1) == b'>' => (Separator::Colon { is_quoted: false }, after + 2),
            // A colon of full width, as Chinese and Japanese texts have it.
            _ if self.bytes[after..].starts_with("：".as_bytes()) => {
                (Separator::Colon { is_quoted: quote.is_some() }, after + "：".len())
            }
            // A dash between blanks. Both dashes have three bytes.
            _ if blanks > 0 && ["– ", "— "].iter().any(|dash| self.bytes[after..].starts_with(dash.as_bytes())) => {
                (Separator::Blanks, after + "–".len())
            }
            // The words of a command, each in quotes.
            _ if blanks > 0 && quote.is_some() && is_option && self.quote(after).is_some() => {
                (Separator::Blanks, after)
            }
            _ if blanks > 0 && quote.is_none() => {
                let cell = if is_option { None } else { self.next_cell(at) };
                (Separator::Blanks, cell.or(may_stand_before_blanks.then_some(after))?)
            }
            _ => return None,
        };
        start += self.blanks(start);
        if separator == (Separator::Colon { is_quoted: false }) {
            start = self.after_tag(self.after_type(start));
        }
        // A comma separates only the words of a list, and values there are in quotes.
        let value_quote = self.quote(start + usize::from(is_prefix(self.byte(start))));
        if separator == Separator::Comma && value_quote.is_none() {
            return None;
        }
        let word = self.quote(start).map_or(start, |(_, open)| open).min(self.bytes.len());
        let is_next_option = self.byte(word) == b'-' && self.byte(word + 1).is_ascii_alphabetic()
            || self.bytes[word..].starts_with(b"--");
        if is_option && separator == Separator::Blanks && is_next_option {
            return None;
        }
        Some((separator, start))
    }
}

/// Returns true for a word that a secret can follow after only a blank: `password hunter2`, `hub_token x9y8`.
fn is_before_blanks(word: &str) -> bool {
    word.trim_end_matches('.').contains(['_', '.']) && word.contains(|c: char| c.is_ascii_alphabetic())
        || ["password", "passwd", "passphrase", "requirepass", "masterauth", "bindpw"]
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name))
}
