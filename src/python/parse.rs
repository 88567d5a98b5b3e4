//! Reading JSON as Python's `json.loads` does: NaN and Infinity, integers of any size, lone surrogates; no comments, no
//! trailing commas, no control characters in strings.

use std::collections::HashMap;
use std::fmt;

use super::{Dict, Text, Value};

/// How deep lists and objects may be nested, so that no text can exhaust the stack. Python's limit is a RecursionError at
/// about 1,000.
const MAX_DEPTH: usize = 500;

/// Python refuses to make an integer of more digits (CVE-2020-10735): `json.loads` then raises ValueError.
const MAX_INTEGER_DIGITS: usize = 4300;

/// From how many keys on a table is kept to find one that came before.
const INDEXED_KEYS: usize = 16;

/// Why a text is not JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in code points, counted from 1.
    pub column: usize,
    /// What is wrong there, as a lower-case fragment.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Reads a JSON text as `json.loads` does; of keys that come twice, the last value holds.
///
/// # Errors
/// Where the text is not JSON as Python knows it.
pub fn parse(text: &str) -> Result<Value, ParseError> {
    Parser { text, at: 0, depth: 0, unique_keys: false }.whole()
}

/// A reader at a place in a text.
pub struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    unique_keys: bool,
}

impl<'t> Parser<'t> {
    /// A reader that refuses a key that comes twice in an object.
    pub fn with_unique_keys(text: &'t str) -> Parser<'t> {
        Parser { text, at: 0, depth: 0, unique_keys: true }
    }

    /// Reads the whole text as one value.
    ///
    /// # Errors
    /// Where the text is not JSON as Python knows it, or holds a key twice and must not.
    pub fn whole(mut self) -> Result<Value, ParseError> {
        if self.text.starts_with('\u{FEFF}') {
            return Err(self.error(0, "begins with a byte-order mark (U+FEFF)"));
        }
        self.skip_space();
        let value = self.value()?;
        self.skip_space();
        match self.at == self.text.len() {
            true => Ok(value),
            false => Err(self.error(self.at, format!("{} after the end of the value", self.found()))),
        }
    }

    fn value(&mut self) -> Result<Value, ParseError> {
        match self.peek() {
            Some(b'"') => Ok(Value::Str(self.string()?)),
            Some(b'{') => self.nested(Parser::object),
            Some(b'[') => self.nested(Parser::list),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [
                    ("null", Value::None),
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                    ("NaN", Value::Float(f64::NAN)),
                    ("Infinity", Value::Float(f64::INFINITY)),
                ] {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.error(self.at, format!("expected a value, found {}", self.found())))
            }
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, ParseError>) -> Result<Value, ParseError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(self.at, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn list(&mut self) -> Result<Value, ParseError> {
        let mut list = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(Value::List(list));
        }
        loop {
            self.skip_space();
            list.push(self.value()?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Value::List(list));
            }
            if !self.eat(b',') {
                return Err(self.error(self.at, format!("expected , or ], found {}", self.found())));
            }
        }
    }

    fn object(&mut self) -> Result<Value, ParseError> {
        let mut pairs: Vec<(Text, Value)> = Vec::new();
        let mut index: HashMap<Text, usize> = HashMap::new();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Value::Dict(Dict::from_distinct(pairs)));
        }
        loop {
            self.skip_space();
            let key_at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.error(self.at, format!("expected a key in double quotes, found {}", self.found())));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.error(self.at, format!("expected : after the key {key:?}, found {}", self.found())));
            }
            self.skip_space();
            let value = self.value()?;
            let before = match pairs.len() < INDEXED_KEYS {
                true => pairs.iter().position(|(name, _)| *name == key),
                false => {
                    if index.is_empty() {
                        index = pairs.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
                    }
                    index.get(&key).copied()
                }
            };
            match before {
                Some(_) if self.unique_keys => return Err(self.error(key_at, format!("the key {key:?} comes twice"))),
                Some(before) => pairs[before].1 = value,
                None => {
                    if !index.is_empty() {
                        index.insert(key.clone(), pairs.len());
                    }
                    pairs.push((key, value));
                }
            }
            self.skip_space();
            if self.eat(b'}') {
                return Ok(Value::Dict(Dict::from_distinct(pairs)));
            }
            if !self.eat(b',') {
                return Err(self.error(self.at, format!("expected , or }}, found {}", self.found())));
            }
        }
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let start = self.at;
        if self.text[self.at..].starts_with("-Infinity") {
            self.at += "-Infinity".len();
            return Ok(Value::Float(f64::NEG_INFINITY));
        }
        self.eat(b'-');
        let digits_at = self.at;
        if !self.eat(b'0') {
            self.digits();
        }
        if self.at == digits_at {
            return Err(self.error(start, format!("expected digits after -, found {}", self.found())));
        }
        let integer_end = self.at;
        // Python reads as far as a number goes: of `1.` and `1e` the 1, and then finds extra data.
        if self.eat(b'.') && self.digits() == 0 {
            self.at = integer_end;
        }
        let fraction_end = self.at;
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            if self.digits() == 0 {
                self.at = fraction_end;
            }
        }
        let text = &self.text[start..self.at];
        if self.at > integer_end {
            let number = text.parse().map_err(|_| self.error(start, format!("cannot read the number {text}")))?;
            return Ok(Value::Float(number));
        }
        if integer_end - digits_at > MAX_INTEGER_DIGITS {
            return Err(self.error(start, format!("an integer of more than {MAX_INTEGER_DIGITS} digits")));
        }
        Ok(Value::Int(if text == "-0" { "0" } else { text }.to_owned()))
    }

    fn digits(&mut self) -> usize {
        let length = self.text[self.at..].bytes().take_while(u8::is_ascii_digit).count();
        self.at += length;
        length
    }

    fn string(&mut self) -> Result<Text, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut text = Text::default();
        loop {
            let rest = &self.text[self.at..];
            let Some(length) = rest.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20) else {
                return Err(self.error(start, "a string that does not end"));
            };
            text.push_str(&rest[..length]);
            self.at += length;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    let code_point = self.escape()?;
                    text.push(code_point);
                }
                _ => return Err(self.error(self.at, format!("{} in a string, where it must be escaped", self.found()))),
            }
        }
    }

    fn escape(&mut self) -> Result<u32, ParseError> {
        let start = self.at;
        self.at += 1;
        let code_point = match self.peek() {
            Some(b'"') => 0x22,
            Some(b'\\') => 0x5C,
            Some(b'/') => 0x2F,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0C,
            Some(b'n') => 0x0A,
            Some(b'r') => 0x0D,
            Some(b't') => 0x09,
            Some(b'u') => {
                self.at += 1;
                let first =
                    self.hex4().ok_or_else(|| self.error(start, "expected four hexadecimal digits after \\u"))?;
                if !(0xD800..0xDC00).contains(&first) || !self.text[self.at..].starts_with("\\u") {
                    return Ok(first);
                }
                let before_second = self.at;
                self.at += 2;
                return match self.hex4() {
                    Some(second @ 0xDC00..=0xDFFF) => Ok(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)),
                    _ => {
                        self.at = before_second;
                        Ok(first)
                    }
                };
            }
            _ => return Err(self.error(start, "an unknown escape in a string")),
        };
        self.at += 1;
        Ok(code_point)
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// What stands at the present place, for a message.
    fn found(&self) -> String {
        match self.text[self.at..].chars().next() {
            None => "the end of the text".to_owned(),
            Some('\'') => "a single quote".to_owned(),
            Some(c) if c.is_control() => format!("the control character U+{:04X}", c as u32),
            Some(c) => format!("{c:?}"),
        }
    }

    fn error(&self, at: usize, message: impl Into<String>) -> ParseError {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ParseError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Parser, parse};
    use crate::python::Value;

    #[test]
    fn what_python_refuses_is_refused_with_its_place() {
        for (text, error) in [
            ("", "line 1, column 1: expected a value, found the end of the text"),
            ("{'a': 1}", "line 1, column 2: expected a key in double quotes, found a single quote"),
            ("{\n \"é\": 1,\n}", "line 3, column 1: expected a key in double quotes, found '}'"),
            ("[1,]", "line 1, column 4: expected a value, found ']'"),
            ("[1 2]", "line 1, column 4: expected , or ], found '2'"),
            ("01", "line 1, column 2: '1' after the end of the value"),
            ("1.", "line 1, column 2: '.' after the end of the value"),
            ("-", "line 1, column 1: expected digits after -, found the end of the text"),
            ("\"a\nb\"", "line 1, column 3: the control character U+000A in a string, where it must be escaped"),
            ("\"ab", "line 1, column 1: a string that does not end"),
            (r#""\x""#, "line 1, column 2: an unknown escape in a string"),
            (r#""\u12""#, "line 1, column 2: expected four hexadecimal digits after \\u"),
            ("\u{FEFF}1", "line 1, column 1: begins with a byte-order mark (U+FEFF)"),
        ] {
            assert_eq!(parse(text).map_err(|error| error.to_string()), Err(error.to_owned()), "{text:?}");
        }
        assert!(parse(&"9".repeat(4300)).is_ok());
        assert!(parse(&"9".repeat(4301)).is_err());
        assert!(parse(&("[".repeat(100_000))).is_err());
    }

    #[test]
    fn keys_that_come_twice_are_overwritten_or_refused() {
        let text = r#"{"a": 1, "b": 2, "a": 3}"#;
        let Ok(Value::Dict(dict)) = parse(text) else { panic!("not read") };
        assert_eq!(dict.get("a"), Some(&Value::Int("3".to_owned())));
        assert_eq!(dict.len(), 2);
        let error = Parser::with_unique_keys(text).whole().map_err(|error| error.to_string());
        assert_eq!(error, Err(r#"line 1, column 18: the key "a" comes twice"#.to_owned()));
        // The same where there are enough keys for a table.
        let many: String = (0..100).map(|n| format!("\"k{n}\": {n}, ")).collect();
        assert!(Parser::with_unique_keys(&format!("{{{many}\"k50\": 0}}")).whole().is_err());
        assert!(Parser::with_unique_keys(&format!("{{{many}\"k100\": 0}}")).whole().is_ok());
    }
}
