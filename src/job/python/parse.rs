//! A JSON parser that accepts the texts that Python's `json.loads` accepts, up to a fixed depth.
//!
//! It accepts NaN and Infinity, integers of any size, and lone surrogates. It refuses comments, trailing commas, and
//! control characters in strings.

use super::text::Text;
use super::value::{DictBuilder, Value};

/// The maximum depth of nested lists and objects. It keeps the recursion within the stack; Python's own limit is a
/// RecursionError at about 1,000.
const MAX_DEPTH: usize = 500;

/// The maximum number of digits of an integer. Python raises ValueError for a longer one (CVE-2020-10735).
const MAX_INTEGER_DIGITS: usize = 4300;

/// An error in a JSON text, with its position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in code points, counted from 1.
    pub column: usize,
    /// The error, as a lower-case fragment.
    pub message: String,
}

/// Parses a JSON text as `json.loads` does. If an object has a key twice, the last value counts.
///
/// # Errors
///
/// The first position at which Python would refuse the text, or one of the two limits: 500 nested levels, and 4,300
/// digits of an integer.
pub fn parse(text: &str) -> Result<Value, ParseError> {
    Parser { text, at: 0, depth: 0, unique_keys: false }.whole()
}

/// A parser at a position in a text.
pub struct Parser<'t> {
    text: &'t str,
    /// The position, in bytes.
    at: usize,
    depth: usize,
    unique_keys: bool,
}

impl<'t> Parser<'t> {
    /// Returns a parser that refuses an object with a duplicate key.
    pub fn with_unique_keys(text: &'t str) -> Parser<'t> {
        Parser { text, at: 0, depth: 0, unique_keys: true }
    }

    /// Parses the whole text as one value.
    ///
    /// # Errors
    ///
    /// The errors of [`parse`], and a duplicate key if this parser refuses those.
    pub fn whole(mut self) -> Result<Value, ParseError> {
        if self.text.starts_with('\u{FEFF}') {
            return Err(self.error(0, "begins with a byte-order mark (U+FEFF)"));
        }
        self.skip_space();
        let value = self.value()?;
        self.skip_space();
        if self.at == self.text.len() {
            Ok(value)
        } else {
            Err(self.error(self.at, format!("{} after the end of the value", self.found())))
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

    /// Parses the inside of a list or an object, one level deeper.
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
        let mut dict = DictBuilder::default();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Value::Dict(dict.finish()));
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
            if self.unique_keys && dict.has(&key) {
                return Err(self.error(key_at, format!("the key {key:?} comes twice")));
            }
            dict.set(key, value);
            self.skip_space();
            if self.eat(b'}') {
                return Ok(Value::Dict(dict.finish()));
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
        // Python ends the number before an incomplete fraction or exponent: in `1.` and `1e` it reads 1, and then
        // refuses the rest as extra data.
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

    /// Skips ASCII digits and returns their number.
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

    /// Parses an escape in a string and returns its code point. A pair of escaped surrogates is one code point.
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

    /// Takes four hexadecimal digits.
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

    /// Skips the byte if it is the next one; returns true if it was.
    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Describes the next character, for an error.
    fn found(&self) -> String {
        match self.text[self.at..].chars().next() {
            None => "the end of the text".to_owned(),
            Some('\'') => "a single quote".to_owned(),
            Some(c) if c.is_control() => format!("the control character U+{:04X}", c as u32),
            Some(c) => format!("{c:?}"),
        }
    }

    /// Returns an error at a position in bytes.
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
    use crate::job::python::Value;

    #[test]
    fn a_text_that_python_refuses_is_refused_with_its_position() {
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
    fn a_duplicate_key_is_overwritten_or_refused() {
        let text = r#"{"a": 1, "b": 2, "a": 3}"#;
        let Ok(Value::Dict(dict)) = parse(text) else { panic!("not read") };
        assert_eq!(dict.get("a"), Some(&Value::Int("3".to_owned())));
        assert_eq!(dict.len(), 2);
        let error = Parser::with_unique_keys(text).whole().map_err(|error| error.to_string());
        assert_eq!(error, Err(r#"line 1, column 18: the key "a" comes twice"#.to_owned()));
        // With so many keys, the hash table finds the duplicate.
        let many: String = (0..100).map(|n| format!("\"k{n}\": {n}, ")).collect();
        assert!(Parser::with_unique_keys(&format!("{{{many}\"k50\": 0}}")).whole().is_err());
        assert!(Parser::with_unique_keys(&format!("{{{many}\"k100\": 0}}")).whole().is_ok());
    }
}
