//! The strings of Python.

use std::borrow::Cow;
use std::fmt;

/// A Python `str`: a sequence of code points that can include lone surrogates. JSON can hold those (`"\ud800"`), but
/// Rust's `str` cannot.
///
/// The encoding is WTF-8: UTF-8 in which a surrogate is encoded like any other code point. Its byte order is the order
/// of code points, and so the order in which Python sorts.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Vec<u8>);

impl Text {
    /// Appends a code point, which can be a surrogate.
    pub(super) fn push(&mut self, code_point: u32) {
        match char::from_u32(code_point) {
            Some(c) => self.0.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.0.extend_from_slice(&[
                0xE0 | (code_point >> 12) as u8 & 0x0F,
                0x80 | (code_point >> 6) as u8 & 0x3F,
                0x80 | code_point as u8 & 0x3F,
            ]),
        }
    }

    /// Appends a text without surrogates.
    pub(super) fn push_str(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Appends a text. A high surrogate at the end of this text and a low one at the start of the other stay two code
    /// points.
    pub fn push_text(&mut self, text: &Text) {
        self.0.extend_from_slice(&text.0);
    }

    /// Returns the code points.
    pub fn code_points(&self) -> impl Iterator<Item = u32> + '_ {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (&first, _) = rest.split_first()?;
            let (length, bits) = match first {
                0..=0x7F => (1, u32::from(first)),
                0x80..=0xDF => (2, u32::from(first & 0x1F)),
                0xE0..=0xEF => (3, u32::from(first & 0x0F)),
                _ => (4, u32::from(first & 0x07)),
            };
            let (bytes, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            Some(bytes[1..].iter().fold(bits, |bits, byte| bits << 6 | u32::from(byte & 0x3F)))
        })
    }

    /// Returns the text; `None` if it holds a surrogate.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Returns the text with each surrogate replaced by U+FFFD.
    pub fn to_str(&self) -> Cow<'_, str> {
        match self.as_str() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.code_points().map(|c| char::from_u32(c).unwrap_or('\u{FFFD}')).collect()),
        }
    }

    /// Returns the bytes that Python passes to the system (`os.fsencode`): UTF-8, in which each surrogate from U+DC80
    /// to U+DCFF stands for one byte (PEP 383). Python refuses all other surrogates; here, they become U+FFFD.
    pub fn to_system(&self) -> Vec<u8> {
        if self.as_str().is_some() {
            return self.0.clone();
        }
        let mut bytes = Vec::with_capacity(self.0.len());
        for code_point in self.code_points() {
            match char::from_u32(code_point) {
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None if (0xDC80..=0xDCFF).contains(&code_point) => bytes.push(code_point as u8),
                None => bytes.extend_from_slice("\u{FFFD}".as_bytes()),
            }
        }
        bytes
    }

    /// Returns the string that Python makes of bytes of the system (`os.fsdecode`), from which [`Text::to_system`] makes the same
    /// bytes again.
    pub fn of_system(bytes: &[u8]) -> Text {
        let mut text = Text::default();
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            chunk.invalid().iter().for_each(|byte| text.push(0xDC00 + u32::from(*byte)));
        }
        text
    }

    /// Returns true if there is no code point.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.as_bytes().to_vec())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(text.into_bytes())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str())
    }
}
