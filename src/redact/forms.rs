//! Secrets beside their names, and the user parts of URLs, in any text.
//!
//! One pass over the words of a text. A word is looked at once, and a value is read once however many names stand before or
//! in it, so that the time grows with the length of the text only.

use std::ops::Range;

use super::names::{MAX_NAME, NameKind, name_kind};
use super::programs::Program;
use super::tokens::{self, is_word_byte};
use super::values::{Beside, is_harmless, is_secret, looks_random};

/// The maximum number of backslashes before a quote: JSON in JSON four times.
const MAX_DEPTH: usize = 16;

/// The minimum length of a word that is a secret by itself, or begins one.
const SHORTEST: usize = 4;

/// The maximum number of blanks on each side of `=` or `:`.
const MAX_BLANKS: usize = 8;

/// Adds the places of the secrets that a text shows by their form to `found`.
/// `beside` says how certain it is that a value belongs to the name before it.
pub(super) fn find(text: &str, beside: Beside, found: &mut Vec<Range<usize>>) {
    Scanner { text, bytes: text.as_bytes(), beside, found, bare: 0..0, nested_until: 0, program: None }.run();
}

/// The text between a name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    /// `=`, `=>` or `:=`.
    Equals,
    /// `:`, after the closing quote of the name or without quotes.
    Colon { is_quoted: bool },
    /// `,` between quoted words.
    Comma,
    /// Blanks.
    Blanks,
}

/// A value in quotes, or up to the next character that ends it.
struct Value {
    range: Range<usize>,
    is_quoted: bool,
}

struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    beside: Beside,
    found: &'t mut Vec<Range<usize>>,
    /// The last value without quotes. A value that begins in it ends with it.
    bare: Range<usize>,
    /// The end of the last list or object below a secret's name.
    nested_until: usize,
    /// The program that was named last on this line.
    program: Option<Program>,
}

impl Scanner<'_> {
    fn run(mut self) {
        let mut at = 0;
        while at < self.bytes.len() {
            if !is_word_byte(self.bytes[at]) {
                if self.bytes[at] == b'\n' {
                    self.program = None;
                }
                at += 1;
                continue;
            }
            let end = at + self.bytes[at..].iter().take_while(|byte| is_word_byte(**byte)).count();
            at = self.word(at..end).max(end);
        }
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }

    fn blanks(&self, at: usize) -> usize {
        self.bytes[at.min(self.bytes.len())..].iter().take(MAX_BLANKS).take_while(|byte| **byte == b' ').count()
    }

    /// Looks at a word. Returns the place from which on the text must be looked at.
    fn word(&mut self, word: Range<usize>) -> usize {
        if word.len() < SHORTEST && self.program.is_none() && !is_before_value(self.byte(word.end)) {
            return word.end;
        }
        if let Some(range) = tokens::find(self.text, word.clone()) {
            let end = range.end;
            self.found.push(range);
            return end;
        }
        if self.bytes[word.end..].starts_with(b"://") {
            self.user_part(word.clone());
            return word.end;
        }
        let text = &self.text[word.clone()];
        self.program = Program::named(text).or(self.program);
        if self.program.is_some_and(|program| program.has_password(text))
            && let Some(value) = self.bare(word.start + 2)
        {
            let end = value.range.end;
            self.found.push(value.range);
            return end;
        }
        let Some((separator, start)) = self.separator(word.clone()) else { return word.end };
        let name = self.name(word.clone());
        let kind = self.kind(name, word.start, separator);
        if kind == NameKind::Plain {
            return word.end;
        }
        if separator != Separator::Blanks
            && let Some(end) = self.header(word.clone(), start)
        {
            return end;
        }
        if matches!(self.byte(start), b'{' | b'[') {
            if kind >= NameKind::Secret && start >= self.nested_until {
                self.nested(kind, start);
            }
            return word.end;
        }
        let Some(value) = self.value(start) else { return word.end };
        if self.is_hidden(kind, &value, separator) {
            let end = value.range.end;
            self.found.push(value.range);
            return end;
        }
        word.end
    }

    /// Returns the name that a word ends with.
    fn name(&self, word: Range<usize>) -> &str {
        // A word consists of ASCII characters.
        &self.text[word.start.max(word.end.saturating_sub(MAX_NAME))..word.end]
    }

    /// Returns the likelihood that the value after this name is a secret.
    fn kind(&self, name: &str, start: usize, separator: Separator) -> NameKind {
        let is_in_url = start > 0 && matches!(self.bytes[start - 1], b'?' | b'&');
        let is_password = self.program.is_some_and(|program| program.takes_password(name));
        match name_kind(name) {
            _ if is_password => NameKind::Password,
            // The word before a password without a sign between them must be sure: `password hunter2`.
            NameKind::Password if separator == Separator::Blanks && !name.starts_with('-') => NameKind::Doubtful,
            NameKind::Doubtful if is_in_url => NameKind::Secret,
            NameKind::Plain if is_in_url && name.eq_ignore_ascii_case("key") => NameKind::Doubtful,
            // `Unexpected token: x`
            NameKind::Secret
                if separator == (Separator::Colon { is_quoted: false }) && name.eq_ignore_ascii_case("token") =>
            {
                NameKind::Doubtful
            }
            // A list of names: `('token', 'label')`
            kind if separator == Separator::Comma && !name.starts_with('-') => kind.min(NameKind::Doubtful),
            kind => kind,
        }
    }

    /// Returns what stands between a name and its value, and the start of the value.
    fn separator(&self, name: Range<usize>) -> Option<(Separator, usize)> {
        let mut at = name.end;
        let quote = self.quote(at);
        if let Some((_, end)) = quote {
            at = end;
        }
        let blanks = self.blanks(at);
        let is_option = self.bytes[name.start] == b'-';
        let may_stand_before_blanks = is_option || is_password_word(&self.text[name.clone()]);
        let after = at + blanks;
        let (separator, mut start) = match self.byte(after) {
            b'=' => match self.byte(after + 1) {
                b'=' | b'~' => return None,
                b'>' => (Separator::Equals, after + 2),
                _ => (Separator::Equals, after + 1),
            },
            b':' => match self.byte(after + 1) {
                b':' | b'/' => return None,
                b'=' => (Separator::Equals, after + 2),
                _ => (Separator::Colon { is_quoted: quote.is_some() }, after + 1),
            },
            b',' if quote.is_some() => (Separator::Comma, after + 1),
            _ if blanks > 0 && quote.is_none() && may_stand_before_blanks => (Separator::Blanks, after),
            _ => return None,
        };
        start += self.blanks(start);
        // Only words of a list are options with a comma, and their values are in quotes.
        let value_quote = self.quote(start + usize::from(is_prefix(self.byte(start))));
        if separator == Separator::Comma && value_quote.is_none() {
            return None;
        }
        let is_next_option = self.byte(start) == b'-' && self.byte(start + 1).is_ascii_alphabetic()
            || self.bytes[start.min(self.bytes.len())..].starts_with(b"--");
        if is_option && separator == Separator::Blanks && is_next_option {
            return None;
        }
        Some((separator, start))
    }

    /// Returns the number of backslashes before a quote, and the place after it.
    fn quote(&self, at: usize) -> Option<(usize, usize)> {
        let rest = self.bytes.get(at..)?;
        let depth = rest.iter().take(MAX_DEPTH + 1).take_while(|byte| **byte == b'\\').count();
        let is_quote = depth <= MAX_DEPTH && matches!(rest.get(depth), Some(b'"' | b'\'' | b'`'));
        is_quote.then_some((depth, at + depth + 1))
    }

    /// Reads the value that begins at `start`.
    fn value(&mut self, start: usize) -> Option<Value> {
        let quote = match self.quote(start) {
            Some(quote) => Some(quote),
            None if is_prefix(self.byte(start)) => self.quote(start + 1),
            None => None,
        };
        if let Some((depth, open)) = quote {
            if let Some(end) = self.closing(depth, open) {
                return (end > open).then_some(Value { range: open..end, is_quoted: true });
            }
            return self.bare(open);
        }
        self.bare(start)
    }

    /// Returns the start of the closing quote, its backslashes included, if it is on the same line.
    fn closing(&self, depth: usize, open: usize) -> Option<usize> {
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
    fn bare(&mut self, start: usize) -> Option<Value> {
        if self.byte(start) == b'<' {
            let close = self.bytes[start..].iter().take(64).position(|byte| *byte == b'>');
            if let Some(close) = close {
                return Some(Value { range: start..start + close + 1, is_quoted: false });
            }
        }
        if !self.bare.contains(&start) {
            let rest = &self.text[start.min(self.text.len())..];
            let length = (start..start + rest.len()).take_while(|&at| !self.ends_bare(at)).count();
            self.bare = start..start + rest[..length].trim_end_matches(['.', ':', '!', '?']).len();
        }
        let range = start..self.bare.end;
        (!range.is_empty()).then_some(Value { range, is_quoted: false })
    }

    /// Returns true if a value without quotes ends at this place.
    fn ends_bare(&self, at: usize) -> bool {
        match self.bytes[at] {
            // It separates the parts of a query, and commands of a shell.
            b'&' => {
                let name = self.bytes[at + 1..].iter().take(MAX_NAME).take_while(|byte| is_word_byte(**byte)).count();
                name == 0 || self.byte(at + 1 + name) == b'='
            }
            byte => byte.is_ascii_whitespace() || b"\"'`,;)]}>|\\".contains(&byte),
        }
    }

    fn is_hidden(&self, kind: NameKind, value: &Value, separator: Separator) -> bool {
        let text = &self.text[value.range.clone()];
        // Code: `token=os.environ["TOKEN"]`, `password=getpass()`
        if !value.is_quoted
            && separator != Separator::Blanks
            && let Some(at) = text.bytes().take(128).position(|byte| matches!(byte, b'(' | b'['))
            && at > 0
            && is_harmless(&text[..at])
        {
            return false;
        }
        is_secret(kind, text, self.beside)
    }

    /// Hides the credentials of a header such as `Authorization: Bearer …` or `Cookie: …`. Returns the place from which on
    /// the text must be looked at, or `None` if the name is not one of such a header.
    fn header(&mut self, name: Range<usize>, start: usize) -> Option<usize> {
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
                (start, value.end)
            }
        };
        let value = &self.text[start..end];
        let scheme = if is_cookie { 0 } else { scheme_length(&value[..value.floor_char_boundary(64)]) };
        let credentials = &value[scheme..];
        // A signature of AWS has names for its parts.
        if is_harmless(credentials) || credentials.starts_with("Credential=") {
            return Some(name_end);
        }
        self.found.push(start + scheme..end);
        Some(end)
    }

    fn line_end(&self, at: usize) -> usize {
        at + self.bytes[at..].iter().take_while(|byte| **byte != b'\n').count()
    }

    /// Hides the strings of a list or an object below a secret's name, except for the names in it.
    fn nested(&mut self, kind: NameKind, start: usize) {
        let mut depth = 0;
        let mut at = start;
        while at < self.bytes.len() {
            match self.bytes[at] {
                b'\n' => break,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'"' | b'\'' | b'\\' => {
                    if let Some((slashes, open)) = self.quote(at)
                        && let Some(end) = self.closing(slashes, open)
                    {
                        let after = end + slashes + 1;
                        let is_name = self.byte(after + self.blanks(after)) == b':';
                        if !is_name && is_secret(kind, &self.text[open..end], self.beside) {
                            self.found.push(open..end);
                        }
                        at = after;
                        continue;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        self.nested_until = at;
    }

    /// Hides the user part of a URL, `scheme://user:password@host`, up to the last `@` before the path.
    fn user_part(&mut self, scheme: Range<usize>) {
        let start = scheme.end + 3;
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#'\"<>`".contains(byte);
        let length = self.bytes[start..].iter().take_while(|byte| !ends(byte)).count();
        let Some(user) = self.text[start..start + length].rfind('@') else { return };
        let text = &self.text[start..start + user];
        let is_web = self.text[scheme].to_ascii_lowercase().ends_with("http")
            || self.bytes[..start].ends_with(b"https://")
            || self.bytes[..start].ends_with(b"HTTPS://");
        let is_hidden = match text.split_once(':') {
            Some((_, password)) => !password.is_empty() && !is_variable(password),
            // A name alone is a token, if it is no word.
            None => !is_harmless(text) && (is_web || looks_random(text)),
        };
        if is_hidden {
            self.found.push(start..start + user);
        }
    }
}

/// Returns true for a byte that can stand between a name, a program or a scheme and what belongs to it.
fn is_before_value(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"=:,\"'`\\".contains(&byte)
}

/// Returns true for a word that a password can follow without a sign between them: `password hunter2`.
fn is_password_word(word: &str) -> bool {
    ["password", "passwd", "passphrase"].iter().any(|password| word.eq_ignore_ascii_case(password))
}

/// Returns true for a letter that Python writes before a string.
fn is_prefix(byte: u8) -> bool {
    matches!(byte, b'b' | b'B' | b'r' | b'R' | b'u' | b'f')
}

/// Returns true for a reference to a variable, and for a password that was hidden before.
fn is_variable(password: &str) -> bool {
    password.starts_with(['$', '<', '{']) || password.bytes().all(|byte| byte == b'*')
}

/// Returns the length of the scheme at the start of a header's value, with the blanks after it.
fn scheme_length(value: &str) -> usize {
    let word = value.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
    let blanks = value[word..].bytes().take_while(|byte| *byte == b' ').count();
    if word > 0 && word <= 32 && blanks > 0 { word + blanks } else { 0 }
}
