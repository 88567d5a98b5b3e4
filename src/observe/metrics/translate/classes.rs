//! Character classes and escapes.

use std::fmt::Write as _;

use super::{Before, PatternError, Translator};

/// A member of a character class.
enum Member {
    Character(char),
    /// A class within the class, in the crate's syntax.
    Class(&'static str),
}

impl Translator {
    /// Reads a class after its bracket.
    pub(super) fn class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        if self.take('^') {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            if self.take(']') {
                if !is_first {
                    self.out.push(']');
                    return Ok(());
                }
                self.at -= 1;
            }
            is_first = false;
            let low = self.member()?;
            if self.peek() != Some('-') {
                self.push_member(&low);
                continue;
            }
            self.at += 1;
            if self.peek() == Some(']') {
                self.push_member(&low);
                self.push_member(&Member::Character('-'));
                continue;
            }
            match (low, self.member()?) {
                (Member::Character(low), Member::Character(high)) if low <= high => {
                    self.hex(low);
                    self.out.push('-');
                    self.hex(high);
                }
                _ => return Err(self.invalid("bad character range")),
            }
        }
    }

    fn push_member(&mut self, member: &Member) {
        match member {
            Member::Character(character) => self.hex(*character),
            Member::Class(class) => self.out.push_str(class),
        }
    }

    fn member(&mut self) -> Result<Member, PatternError> {
        match self.next() {
            None => Err(self.invalid("unterminated character set")),
            Some('\\') => match self.next() {
                None => Err(self.invalid("bad escape (end of pattern)")),
                Some('b') => Ok(Member::Character('\x08')),
                Some(letter) => match self.shorthand(letter) {
                    Some(class) => Ok(Member::Class(class)),
                    None if letter.is_ascii_digit() => {
                        self.at -= 1;
                        self.octal(3).map(Member::Character)
                    }
                    None => self.character(letter).map(Member::Character),
                },
            },
            Some(character) => Ok(Member::Character(character)),
        }
    }

    /// Returns the members of a class such as `\d`, in the syntax of the crate's classes.
    fn shorthand(&self, letter: char) -> Option<&'static str> {
        Some(match (letter, self.is_ascii) {
            ('d', false) => r"\d",
            ('D', false) => r"\D",
            ('s', false) => r"\s\x1c-\x1f",
            ('S', false) => r"[^\s\x1c-\x1f]",
            ('w', false) => r"\p{L}\p{N}_",
            ('W', false) => r"[^\p{L}\p{N}_]",
            ('d', true) => "0-9",
            ('D', true) => "[^0-9]",
            ('s', true) => r" \t\n\r\x0b\x0c",
            ('S', true) => r"[^ \t\n\r\x0b\x0c]",
            ('w', true) => "0-9A-Za-z_",
            ('W', true) => "[^0-9A-Za-z_]",
            _ => return None,
        })
    }

    /// Reads an escape after its backslash, outside of a class.
    pub(super) fn escape(&mut self) -> Result<Before, PatternError> {
        let Some(letter) = self.next() else { return Err(self.invalid("bad escape (end of pattern)")) };
        match letter {
            'A' => self.out.push_str(r"\A"),
            'Z' => self.out.push_str(r"\z"),
            'b' if self.is_ascii => self.out.push_str(r"(?-u:\b)"),
            'b' => self.out.push_str(r"\b"),
            'B' => self.out.push_str(r"\B"),
            '0' => {
                self.at -= 1;
                let character = self.octal(3)?;
                self.hex(character);
                return Ok(Before::Item);
            }
            '1'..='9' => {
                let is_octal = |at: usize| self.chars.get(at).is_some_and(|digit| ('0'..='7').contains(digit));
                if letter > '7' || !is_octal(self.at) || !is_octal(self.at + 1) {
                    return Err(PatternError::Unsupported("a back reference"));
                }
                self.at -= 1;
                let character = self.octal(3)?;
                self.hex(character);
                return Ok(Before::Item);
            }
            _ => {
                match self.shorthand(letter) {
                    Some(class) => {
                        let _ = write!(self.out, "[{class}]");
                    }
                    None => {
                        let character = self.character(letter)?;
                        self.hex(character);
                    }
                }
                return Ok(Before::Item);
            }
        }
        Ok(Before::Nothing)
    }

    /// Reads at most `most` octal digits.
    fn octal(&mut self, most: usize) -> Result<char, PatternError> {
        let start = self.at;
        while self.at < start + most && self.peek().is_some_and(|digit| ('0'..='7').contains(&digit)) {
            self.at += 1;
        }
        let value =
            self.chars[start..self.at].iter().fold(0, |value, digit| value * 8 + digit.to_digit(8).unwrap_or(0));
        if start == self.at {
            return Err(self.invalid("bad escape"));
        }
        if value > 0o377 { None } else { char::from_u32(value) }
            .ok_or_else(|| self.invalid("octal escape value outside of range 0-0o377"))
    }

    /// Returns the character that an escape such as `\n` or `\.` stands for.
    fn character(&mut self, letter: char) -> Result<char, PatternError> {
        match letter {
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            'x' => self.code(2),
            'u' => self.code(4),
            'U' => self.code(8),
            'N' => Err(PatternError::Unsupported("a character by its name")),
            other if other.is_ascii_alphanumeric() => Err(self.invalid(format!("bad escape \\{other}"))),
            other => Ok(other),
        }
    }

    /// Reads exactly `length` hexadecimal digits.
    fn code(&mut self, length: usize) -> Result<char, PatternError> {
        let digits: String = self.chars[self.at..].iter().take(length).collect();
        let is_hex = digits.len() == length && digits.chars().all(|digit| digit.is_ascii_hexdigit());
        let value = u32::from_str_radix(&digits, 16).ok().filter(|_| is_hex);
        let character = value.and_then(char::from_u32).ok_or_else(|| self.invalid("incomplete escape"))?;
        self.at += length;
        Ok(character)
    }
}
