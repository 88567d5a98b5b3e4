//! The form of a text in which a secret is the same regardless of its encoding and of its line breaks.
//!
//! Quoting for JSON or Python, at any depth, adds backslashes and escapes. URLs are encoded with percent signs, and XML
//! with entities. Mail, consoles and certificates fold lines. [`decoded`] undoes all of this at once, without knowing
//! which of it was applied. A decoded secret and a decoded text can be compared byte by byte.

use std::ops::Range;

/// A decoded text, with the position in the original of each of its parts.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) text: Vec<u8>,
    parts: Vec<Part>,
    /// True if the positions are kept.
    keeps_places: bool,
}

/// A part of a decoded text.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Its start in the decoded text.
    at: usize,
    /// Its start in the original.
    from: usize,
    /// The length of its original, or `None` if it was copied unchanged.
    decoded_from: Option<usize>,
}

impl Decoded {
    /// Returns the range of the original that was decoded into a range of the decoded text. The range must not be
    /// empty.
    pub(super) fn original(&self, range: Range<usize>) -> Range<usize> {
        let part_of = |at: usize| &self.parts[self.parts.partition_point(|part| part.at <= at) - 1];
        let (first, last) = (part_of(range.start), part_of(range.end - 1));
        let start = if first.decoded_from.is_some() { first.from } else { first.from + range.start - first.at };
        let end = match last.decoded_from {
            Some(length) => last.from + length,
            None => last.from + range.end - last.at,
        };
        start..end
    }

    fn copy(&mut self, from: usize, bytes: &[u8]) {
        let continues = self
            .parts
            .last()
            .is_some_and(|part| part.decoded_from.is_none() && from - part.from == self.text.len() - part.at);
        if self.keeps_places && !continues {
            self.parts.push(Part { at: self.text.len(), from, decoded_from: None });
        }
        self.text.extend_from_slice(bytes);
    }

    fn add(&mut self, from: usize, length: usize, bytes: &[u8]) {
        if self.keeps_places {
            self.parts.push(Part { at: self.text.len(), from, decoded_from: Some(length) });
        }
        self.text.extend_from_slice(bytes);
    }
}

/// Returns true if [`decoded`] would change nothing.
pub(super) fn is_decoded(text: &str) -> bool {
    !text.bytes().any(is_special)
}

/// Returns the bytes of a decoded secret.
pub(super) fn decoded_secret(secret: &str) -> Vec<u8> {
    decode(secret, false).text
}

/// Decodes a text: removes backslashes, escapes, encoding percent signs, entities and white space.
pub(super) fn decoded(text: &str) -> Decoded {
    decode(text, true)
}

fn decode(text: &str, keeps_places: bool) -> Decoded {
    let bytes = text.as_bytes();
    let mut out = Decoded { text: Vec::with_capacity(bytes.len()), parts: Vec::new(), keeps_places };
    let mut at = 0;
    while at < bytes.len() {
        let plain = bytes[at..].iter().take_while(|byte| !is_special(**byte)).count();
        if plain > 0 {
            out.copy(at, &bytes[at..at + plain]);
            at += plain;
            continue;
        }
        at = match bytes[at] {
            b'%' => encoded(&mut out, bytes, at),
            b'&' => entity(&mut out, bytes, at),
            _ => blank_or_escape(&mut out, bytes, at),
        };
    }
    out
}

/// Returns true for bytes at which an encoded part can begin. 0xE2 is the first byte of the lines of boxes.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%' | b'&' | b'\n' | b'\r' | b'\t' | b' ' | 0xE2)
}

/// Decodes a sequence such as `%2F`, which may have been encoded again (`%252F`), and returns the position after it.
fn encoded(out: &mut Decoded, bytes: &[u8], at: usize) -> usize {
    /// The maximum number of times that a text was encoded again.
    const MOST: usize = 4;
    let again = (0..MOST).take_while(|times| {
        let digits = at + 1 + 2 * times;
        // No program encodes a letter or a digit.
        let next = hex(bytes, digits + 2, 2).filter(|byte| !(*byte as u8).is_ascii_alphanumeric());
        bytes[digits..].starts_with(b"25") && next.is_some()
    });
    let digits = at + 1 + 2 * again.count();
    match hex(bytes, digits, 2) {
        Some(byte) => {
            out.add(at, digits + 2 - at, &[byte as u8]);
            digits + 2
        }
        None => {
            out.copy(at, b"%");
            at + 1
        }
    }
}

/// Decodes an XML entity, and returns the position after it.
fn entity(out: &mut Decoded, bytes: &[u8], at: usize) -> usize {
    const NAMES: [(&[u8], &[u8]); 5] =
        [(b"&amp;", b"&"), (b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b"\""), (b"&apos;", b"'")];
    if let Some((name, character)) = NAMES.iter().find(|(name, _)| bytes[at..].starts_with(name)) {
        out.add(at, name.len(), character);
        return at + name.len();
    }
    match numeric_entity(&bytes[at..]) {
        Some((character, length)) => {
            out.add(at, length, character.encode_utf8(&mut [0; 4]).as_bytes());
            at + length
        }
        None => {
            out.copy(at, b"&");
            at + 1
        }
    }
}

/// Returns the character of an entity such as `&#43;` or `&#x2B;`, and the length of the entity.
fn numeric_entity(bytes: &[u8]) -> Option<(char, usize)> {
    const MOST_DIGITS: usize = 7;
    let rest = bytes.strip_prefix(b"&#")?;
    let (radix, digits) = match rest.first()? {
        b'x' | b'X' => (16, &rest[1..]),
        _ => (10, rest),
    };
    let length = digits.iter().take(MOST_DIGITS).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let number = u32::from_str_radix(std::str::from_utf8(&digits[..length]).ok()?, radix).ok()?;
    let character = char::from_u32(number).filter(|_| digits.get(length) == Some(&b';'))?;
    Some((character, bytes.len() - digits.len() + length + 1))
}

/// Skips blanks, line breaks and the lines of boxes, and decodes escapes after backslashes. Returns the position after
/// them.
fn blank_or_escape(out: &mut Decoded, bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\t' | b'\r' | b'\n') => at += 1,
            // A line of a box, between blanks.
            Some(b'|') if at > start => at += 1,
            Some(0xE2) if is_box(bytes, at) => at += 3,
            Some(b'\\') => {
                let after = at + bytes[at..].iter().take_while(|byte| **byte == b'\\').count();
                if !matches!(bytes.get(after), Some(b'n' | b'r' | b't')) {
                    break;
                }
                at = after + 1;
            }
            _ => break,
        }
    }
    if at > start {
        return at;
    }
    if bytes[at] != b'\\' {
        out.copy(at, &bytes[at..=at]);
        return at + 1;
    }
    let after = at + bytes[at..].iter().take_while(|byte| **byte == b'\\').count();
    let unit = |from: usize| hex(bytes, from, 4);
    let read = match bytes.get(after) {
        Some(b'u') => unit(after + 1).map(|first| {
            let second = bytes.get(after + 5..).and_then(|rest| {
                let slashes = rest.iter().take_while(|byte| **byte == b'\\').count();
                (slashes > 0 && rest.get(slashes) == Some(&b'u')).then(|| (unit(after + 6 + slashes), slashes))
            });
            match second {
                Some((Some(low @ 0xDC00..0xE000), slashes)) if (0xD800..0xDC00).contains(&first) => {
                    (0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00), after + 10 + slashes)
                }
                _ => (first, after + 5),
            }
        }),
        Some(b'U') => hex(bytes, after + 1, 8).map(|code| (code, after + 9)),
        Some(b'x') => hex(bytes, after + 1, 2).map(|code| (code, after + 3)),
        _ => None,
    };
    match read.and_then(|(code, end)| Some((char::from_u32(code)?, end))) {
        Some((character, end)) => {
            out.add(at, end - at, character.encode_utf8(&mut [0; 4]).as_bytes());
            end
        }
        None => after,
    }
}

/// Returns true for │ and ┃.
fn is_box(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at..at + 3), Some([0xE2, 0x94, 0x82 | 0x83]))
}

/// Returns the number that these hexadecimal digits represent.
fn hex(bytes: &[u8], at: usize, digits: usize) -> Option<u32> {
    let digits = std::str::from_utf8(bytes.get(at..at + digits)?).ok()?;
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}
