//! A Python string.

use std::borrow::Cow;
use std::fmt;

/// A Python `str`: code points, lone surrogates included, which JSON can hold (`"\ud800"`) and Rust's `str` cannot.
///
/// Kept as WTF-8, that is UTF-8 in which a surrogate is encoded like any other code point. Its byte order is the order
/// of code points, which is the order in which Python sorts.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Vec<u8>);

impl Text {
    /// Adds a code point, which may be a surrogate.
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

    /// Adds text without surrogates.
    pub(super) fn push_str(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Adds a text. A high surrogate at the end of the one and a low one at the start of the other stay two.
    pub fn push_text(&mut self, text: &Text) {
        self.0.extend_from_slice(&text.0);
    }

    /// Its code points.
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

    /// Its text, if it holds no surrogate.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Its text, with U+FFFD in the place of surrogates.
    pub fn to_str(&self) -> Cow<'_, str> {
        match self.as_str() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.code_points().map(|c| char::from_u32(c).unwrap_or('\u{FFFD}')).collect()),
        }
    }

    /// The bytes that Python gives to the system for it (`os.fsencode`): UTF-8, in which the surrogates U+DC80 to U+DCFF
    /// stand for single bytes (PEP 383). Other surrogates have no bytes, and become U+FFFD.
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

    /// Whether it has no code points.
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
