//! Secrets next to their names, and the user parts of URLs, in any text.
//!
//! The text is read once, word by word. Each word is examined once, and a value is read only once, regardless of how
//! many names precede it or are in it. Therefore the time grows only with the length of the text.

use std::ops::Range;

use super::addresses;
use super::names::{MAX_NAME, NameKind, name_kind};
use super::notation;
use super::programs::Program;
use super::prose;
use super::shapes;
use super::tokens::{self, is_word_byte};
use super::values::{Pairing, is_harmless, is_identifier, is_random_word, is_secret, looks_random};

/// The minimum length of a word that is a secret by itself, or that is the beginning of one.
const SHORTEST: usize = 4;

/// The maximum number of blanks on each side of `=` or `:`.
const MAX_BLANKS: usize = 8;

/// The minimum length of a key that is an argument of `login`.
const LOGIN_KEY: usize = 24;

/// The number of bytes after a name that are used to judge a value that does not directly follow the name.
const MAX_HEAD: usize = 1 << 10;

/// Adds the ranges of the secrets that can be recognized in a text by their form to `found`. `beside` is the certainty
/// with which a value belongs to the name before it.
pub(super) fn find(text: &str, beside: Pairing, found: &mut Vec<Range<usize>>) {
    SecretScanner {
        text,
        bytes: text.as_bytes(),
        beside,
        found,
        bare: 0..0,
        nested_until: 0,
        program: None,
        paired_until: 0,
    }
    .run();
}

/// The text between a name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    /// `=`, `=>` or `:=`.
    Equals,
    /// `:`, after the closing quote of the name or without quotes.
    Colon { is_quoted: bool },
    /// `,` between quoted words.
    Comma,
    /// Blanks, or a dash between blanks.
    Blanks,
    /// `==` or `!=`, before a value in quotes.
    Comparison,
}

/// A value in quotes, or without quotes up to the next character that ends it.
pub(super) struct FoundValue {
    pub(super) range: Range<usize>,
    pub(super) is_quoted: bool,
}

pub(super) struct SecretScanner<'t> {
    pub(super) text: &'t str,
    pub(super) bytes: &'t [u8],
    pub(super) beside: Pairing,
    pub(super) found: &'t mut Vec<Range<usize>>,
    /// The last value without quotes. A value that begins within this one ends with it.
    pub(super) bare: Range<usize>,
    /// The end of the last list or object below a secret's name.
    pub(super) nested_until: usize,
    /// The last program that was named on this line.
    pub(super) program: Option<Program>,
    /// The end of the last lines that were searched for the secret of an access key.
    paired_until: usize,
}

impl SecretScanner<'_> {
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

    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }

    pub(super) fn blanks(&self, at: usize) -> usize {
        self.bytes[at.min(self.bytes.len())..].iter().take(MAX_BLANKS).take_while(|byte| **byte == b' ').count()
    }

    /// Examines a word. Returns the position at which the search continues.
    fn word(&mut self, word: Range<usize>) -> usize {
        let by_place = || self.pgpass(word.clone()).or_else(|| self.shadow(word.clone()));
        if let Some(secret) = shapes::find(self.text, word.clone()).or_else(by_place) {
            let end = secret.end;
            self.found.push(secret);
            return end;
        }
        let is_oracle = self.program == Some(Program::Oracle);
        if let Some(password) = addresses::oracle_password(self.text, word.clone(), is_oracle) {
            let end = password.end;
            self.found.push(password);
            return end;
        }
        if word.len() < SHORTEST && self.program.is_none() && !is_before_value(self.byte(word.end)) {
            return word.end;
        }
        if let Some(range) = tokens::find(self.text, word.clone()) {
            let end = range.end;
            if tokens::is_access_key(&self.text[range.clone()]) {
                self.pair(range.start);
            }
            self.found.push(range);
            return end;
        }
        if self.program == Some(Program::KeyLogin) {
            if word.len() >= LOGIN_KEY && is_random_word(&self.text[word.clone()]) {
                let end = word.end;
                self.found.push(word);
                return end;
            }
            // A sentence such as `login failed for run …`.
            let is_argument = self.bytes[word.start] == b'-' || !self.text[..word.start].ends_with("login ");
            self.program = self.program.filter(|_| is_argument);
        }
        let user = addresses::encoded_user_part(self.text, word.end);
        if let Some(user) = user.or_else(|| addresses::password_before_host(self.text, word.clone())) {
            let end = user.end;
            self.found.push(user);
            return end;
        }
        if self.bytes[word.end..].starts_with(b"://") || self.bytes[word.end..].starts_with(br":\/\/") {
            let Some(user) = addresses::user_part(self.text, word.clone()) else { return word.end };
            let end = user.end;
            self.found.push(user);
            return end;
        }
        let text = &self.text[word.clone()];
        if text.eq_ignore_ascii_case("arn") && self.byte(word.end) == b':' {
            return self.resource_name(word.end);
        }
        if let Some(secret) = addresses::secret_path(self.text, word.clone()) {
            let end = secret.end;
            self.found.push(secret);
            return end;
        }
        if let Some(end) = self.login_call(word.clone()).or_else(|| self.below(word.clone())) {
            return end;
        }
        if let Some(password) = self.piped(word.clone()) {
            self.found.push(password);
            return word.end;
        }
        self.program = Program::named(text, self.program).or(self.program);
        if let Some(end) = self.arguments(word.clone()) {
            return end;
        }
        if let Some(value) = self.value_apart(word.clone()) {
            let end = value.end;
            self.found.push(value);
            return end;
        }
        if let Some(value) = prose::value(self.text, word.clone()) {
            let end = value.end;
            self.found.push(value);
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
        if matches!(self.byte(start), b'{' | b'[' | b'(') {
            if kind >= NameKind::Secret && start >= self.nested_until {
                self.nested(kind, start);
                self.enclosed(kind, start);
            }
            return word.end;
        }
        if kind >= NameKind::Secret
            && let Some(end) = self.in_wrapper(kind, start)
        {
            return end;
        }
        let Some(value) = self.value(start) else { return word.end };
        // The string that the name begins ends here: `input("Password: ")`.
        let quote = |at: usize| at.checked_sub(1).map_or(0, |before| self.bytes[before]);
        if value.is_quoted && quote(word.start) == quote(value.range.start) && self.quote(word.end).is_none() {
            return word.end;
        }
        let name = &self.text[word.clone()];
        let program = self.program.filter(|program| program.takes_password(name));
        let holds = program.and_then(|program| program.holds_password(name, &self.text[value.range.clone()]));
        let is_hidden = match holds {
            Some(holds) => holds && is_secret(NameKind::Password, &self.text[value.range.clone()], Pairing::Certainly),
            None => self.is_hidden(kind, &value, separator, word.start),
        };
        if is_hidden {
            let end = value.range.end;
            self.found.push(value.range);
            return end;
        }
        word.end
    }

    /// Hides the words on this line and the next one that can be the secret of the access key whose identifier is at this
    /// position.
    fn pair(&mut self, at: usize) {
        if at < self.paired_until {
            return;
        }
        let start = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        let length: usize = self.text[start..].split('\n').take(2).map(|line| line.len() + 1).sum();
        let lines = self.text.get(start..start + length).unwrap_or(&self.text[start..]);
        self.found.extend(tokens::secrets_of_access_key(lines).map(|place| start + place.start..start + place.end));
        self.paired_until = start + lines.len();
    }

    /// Returns the range of the secret that belongs to this name, if the secret does not directly follow the name.
    fn value_apart(&self, name: Range<usize>) -> Option<Range<usize>> {
        let head = &self.text[..self.text.floor_char_boundary(name.end + MAX_HEAD)];
        let value = notation::value(head, name.clone())?;
        let is_hidden = is_secret(name_kind(self.name(name.clone())), &self.text[value], self.beside);
        if is_hidden { notation::value(self.text, name) } else { None }
    }

    /// Returns the name at the end of a word.
    pub(super) fn name(&self, word: Range<usize>) -> &str {
        // A word consists of ASCII characters.
        &self.text[word.start.max(word.end.saturating_sub(MAX_NAME))..word.end]
    }

    /// Returns the likelihood that the value after this name is a secret.
    fn kind(&self, name: &str, start: usize, separator: Separator) -> NameKind {
        let is_in_url = start > 0 && matches!(self.bytes[start - 1], b'?' | b'&');
        let is_password = self.program.is_some_and(|program| program.takes_password(name));
        match name_kind(name) {
            _ if is_password => NameKind::Password,
            // If only blanks separate a name from its value, the value must look random, unless the name is an option
            // or both fill the line.
            kind if separator == Separator::Blanks && !name.starts_with('-') && !self.is_alone(start) => {
                kind.min(NameKind::Doubtful)
            }
            NameKind::Doubtful if is_in_url => NameKind::Secret,
            NameKind::Plain if name == "input_value" => self.kind_of_field_above(start),
            NameKind::Plain if name.eq_ignore_ascii_case("key") && (is_in_url || self.is_after_user(start)) => {
                NameKind::Doubtful
            }
            // An error about a file, such as `/run/secrets/hf_token: InvalidFormatError`.
            kind if separator == (Separator::Colon { is_quoted: false })
                && self.text[..start].ends_with('/')
                && !self.is_switch(start, name) =>
            {
                kind.min(NameKind::Doubtful)
            }
            // A message such as `Unexpected token: x`.
            NameKind::Secret
                if separator == (Separator::Colon { is_quoted: false }) && name.eq_ignore_ascii_case("token") =>
            {
                NameKind::Doubtful
            }
            // Code that compares a token of a vocabulary: `if token == "a1":`.
            kind if separator == Separator::Comparison && kind != NameKind::Password => kind.min(NameKind::Doubtful),
            // A list of names such as `('token', 'label')`.
            kind if separator == Separator::Comma && !name.starts_with('-') && kind != NameKind::Password => {
                kind.min(NameKind::Doubtful)
            }
            kind => kind,
        }
    }

    /// Returns true for an option as Windows has them, such as `/password:x`. The places of a volume, `/key:/key`, are none.
    fn is_switch(&self, start: usize, name: &str) -> bool {
        let before = start.checked_sub(2).map_or(b' ', |before| self.bytes[before]);
        let after = self.byte(start + name.len() + 1);
        before.is_ascii_whitespace() && !after.is_ascii_whitespace() && after != b'/'
    }

    fn is_hidden(&self, kind: NameKind, value: &FoundValue, separator: Separator, name: usize) -> bool {
        let text = &self.text[value.range.clone()];
        // Code such as `token=os.environ["TOKEN"]` or `password=getpass()`.
        if !value.is_quoted
            && separator != Separator::Blanks
            && let Some(at) = text.bytes().take(128).position(|byte| matches!(byte, b'(' | b'['))
            && at > 0
            && (is_harmless(&text[..at]) || is_member(&text[..at]) || is_identifier(&text[..at]))
        {
            return false;
        }
        // A variable that is named after what it holds: `token=aws_session_token`. A password may be such words.
        if kind == NameKind::Secret && !value.is_quoted && is_identifier(text) && name_kind(text) != NameKind::Plain {
            return false;
        }
        // A sentence or a statement: `the password 'x9y8' was refused`, `WITH PASSWORD 'x9y8'`.
        if separator == Separator::Blanks
            && value.is_quoted
            && text.bytes().any(|byte| byte.is_ascii_digit())
            && name_kind(self.text[name..value.range.start].trim_end_matches([' ', '"', '\''])) == NameKind::Password
        {
            return is_secret(NameKind::Password, text, self.beside);
        }
        if self.is_certain(name) {
            return is_secret(name_kind(&self.text[name..value.range.start]), text, Pairing::Certainly);
        }
        is_secret(kind, text, self.beside)
    }

    /// Returns the end of the name of an AWS resource, `arn:aws:secretsmanager:…:secret:prod/db-a1B2c3`, which is not a
    /// secret.
    fn resource_name(&self, start: usize) -> usize {
        let is_part = |byte: &u8| is_word_byte(*byte) || b":/*+=@".contains(byte);
        start + self.bytes[start..].iter().take_while(|byte| is_part(byte)).count()
    }

    /// Returns true if a line consists of a name, which begins at `start`, and one more word, as in a `.netrc` file.
    fn is_alone(&self, start: usize) -> bool {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
        let indentation = self.bytes[..start].iter().rev().take(MAX_NAME).take_while(blank).count();
        if start != indentation && self.bytes[start - indentation - 1] != b'\n' {
            return false;
        }
        let words = self.bytes[start..].iter().take(2 * MAX_NAME).take_while(|byte| **byte != b'\n').count();
        let line = &self.text[start..self.text.floor_char_boundary(start + words)];
        line.split_ascii_whitespace().count() == 2
    }
}

/// Returns true for a byte that can be between a name, a program or a scheme and the value that belongs to it.
fn is_before_value(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"=:,\"'`\\".contains(&byte)
}

/// Returns true for a letter that can precede a string literal in Python.
pub(super) fn is_prefix(byte: u8) -> bool {
    matches!(byte, b'b' | b'B' | b'r' | b'R' | b'u' | b'f')
}

/// Returns true for the name of a function in a module or of an object, such as `boto3.Session`.
fn is_member(name: &str) -> bool {
    let is_part = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !looks_random(part);
    name.contains('.') && name.bytes().all(is_word_byte) && name.split('.').all(is_part)
}
