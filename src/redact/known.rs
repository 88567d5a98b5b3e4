//! The search for known secrets, in time that grows with the text, regardless of the number of secrets.

use std::collections::BTreeSet;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::decoded::{decoded, decoded_secret, is_decoded};

/// The minimum length, in bytes, of a secret that is searched for in all text. Shorter secrets are hidden only next to
/// their name: `key=1` must not turn every 1 of a log into stars.
const SEARCHED_LENGTH: usize = 6;

/// The minimum length, in bytes, of a secret that is found even if it is interrupted by blanks on one line.
const FOLDED_LENGTH: usize = 16;

/// The number of bytes of a longer pattern that must match. After these, the text is hidden as far as it matches.
const HEAD: usize = 256;

/// The maximum length, in bytes, of the beginning of a secret that is searched for in base64. Base64 that follows is
/// hidden.
const BASE64_HEAD: usize = 48;

/// The maximum number of secrets that are searched for in base64. No job has this many, but a vocabulary can look like
/// secrets.
const MAX_BASE64: usize = 500;

/// The minimum length, in bytes, of a line that is searched for separately if a secret has several lines.
const SEARCHED_LINE: usize = 16;

/// The maximum number of such lines for each secret.
const MAX_LINES: usize = 500;

/// The number of bits of [`Known::starts`].
const START_BITS: usize = 1 << 16;

/// A search for all spellings of the known secrets.
#[derive(Default)]
pub(super) struct Known {
    /// The bytes of all patterns.
    store: Vec<u8>,
    /// The patterns, sorted by their bytes.
    patterns: Vec<Pattern>,
    /// One bit for the hash of each start of a pattern, so that one lookup rules out a match at most positions. Empty
    /// if there is no pattern.
    starts: Vec<u64>,
}

/// A spelling of a secret.
#[derive(Clone, Debug)]
struct Pattern {
    bytes: Range<usize>,
    /// True if base64 characters after a match are part of the secret.
    is_base64: bool,
    /// The index of the longest other pattern with which this one begins.
    shorter: Option<usize>,
}

impl Known {
    /// Prepares the search for these secrets.
    pub(super) fn new(secrets: &BTreeSet<String>) -> Known {
        let mut known = Known::default();
        for (number, secret) in secrets.iter().map(|secret| secret.trim()).enumerate() {
            let plain = if is_decoded(secret) { Vec::new() } else { decoded_secret(secret) };
            for spelling in [secret.as_bytes(), &plain] {
                known.add(spelling, false);
                // URL-encoded forms have plus signs in place of blanks.
                if spelling.contains(&b' ') {
                    let form: Vec<u8> = spelling.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect();
                    known.add(&form, false);
                }
            }
            if number < MAX_BASE64 {
                known.add_base64(secret.as_bytes());
            }
            // JSON has lines such as `"type": "service_account"`. Secrets in JSON are found by their names.
            if secret.contains('\n') && !secret.starts_with(['{', '[']) {
                for line in secret.lines().take(MAX_LINES).map(str::trim) {
                    if line.len() >= SEARCHED_LINE && !line.starts_with("-----") {
                        known.add(line.as_bytes(), false);
                    }
                }
            }
        }
        known.sort();
        known
    }

    fn add(&mut self, bytes: &[u8], is_base64: bool) {
        if bytes.len() >= SEARCHED_LENGTH {
            let start = self.store.len();
            self.store.extend_from_slice(bytes);
            self.patterns.push(Pattern { bytes: start..self.store.len(), is_base64, shorter: None });
        }
    }

    /// Adds the base64 characters that follow from a secret alone, for each of the three positions at which it can
    /// begin.
    fn add_base64(&mut self, secret: &[u8]) {
        if secret.len() < SEARCHED_LENGTH {
            return;
        }
        let head = &secret[..secret.len().min(BASE64_HEAD)];
        for before in 0..3 {
            let padded = [&[0; 2][..before], head].concat();
            // A character represents six bits.
            let certain = (before * 8).div_ceil(6)..padded.len() * 8 / 6;
            let standard = STANDARD_NO_PAD.encode(&padded);
            self.add(&standard.as_bytes()[certain.clone()], true);
            let in_urls = URL_SAFE_NO_PAD.encode(&padded);
            if in_urls != standard {
                self.add(&in_urls.as_bytes()[certain], true);
            }
        }
    }

    /// Sorts the patterns and prepares the search.
    fn sort(&mut self) {
        let store = &self.store;
        self.patterns.sort_unstable_by(|a, b| store[a.bytes.clone()].cmp(&store[b.bytes.clone()]));
        self.patterns.dedup_by(|a, b| store[a.bytes.clone()] == store[b.bytes.clone()]);
        if !self.patterns.is_empty() {
            self.starts = vec![0; START_BITS / 64];
        }
        let mut open: Vec<usize> = Vec::new();
        for index in 0..self.patterns.len() {
            let bytes = &self.store[self.patterns[index].bytes.clone()];
            while open.last().is_some_and(|&last| !bytes.starts_with(&self.store[self.patterns[last].bytes.clone()])) {
                open.pop();
            }
            let bit = hash(bytes);
            self.starts[bit / 64] |= 1 << (bit % 64);
            self.patterns[index].shorter = open.last().copied();
            open.push(index);
        }
    }

    /// Adds the ranges of the secrets in a text to `found`.
    pub(super) fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        if self.patterns.is_empty() {
            return;
        }
        self.search(text.as_bytes(), |range| found.push(range));
        if !is_decoded(text) {
            let plain = decoded(text);
            self.search(&plain.text, |range| {
                let length = range.len();
                let place = plain.original(range);
                // `epoch 1` is not the secret `epoch1`.
                let original = &text.as_bytes()[place.clone()];
                let is_fold = original.iter().any(|byte| matches!(byte, b'\n' | b'\\' | b'%'));
                if length >= FOLDED_LENGTH || is_fold || !original.contains(&b' ') {
                    found.push(place);
                }
            });
        }
    }

    fn search(&self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        let mut at = 0;
        while at + SEARCHED_LENGTH <= text.len() {
            let bit = hash(&text[at..]);
            let length = if self.starts[bit / 64] & (1 << (bit % 64)) == 0 { 0 } else { self.match_at(&text[at..]) };
            if length > 0 {
                found(at..at + length);
            }
            // Secrets can overlap. Only the end of a long match is searched again.
            at += (length.saturating_sub(HEAD)).max(1);
        }
    }

    /// Returns the length of the longest match at the start of a text, or 0.
    fn match_at(&self, text: &[u8]) -> usize {
        let bytes = |index: usize| &self.store[self.patterns[index].bytes.clone()];
        let after = self.patterns.partition_point(|pattern| &self.store[pattern.bytes.clone()] <= text);
        // Among the long patterns, those next to the text in the sorted order have the longest match.
        let beside = [after.checked_sub(1), Some(after).filter(|&after| after < self.patterns.len())];
        let agreed = beside.into_iter().flatten().map(|index| agreement(bytes(index), text)).max().unwrap_or_default();
        let mut length = if agreed >= HEAD { agreed } else { 0 };
        let mut shorter = after.checked_sub(1);
        while let Some(index) = shorter {
            if text.starts_with(bytes(index)) {
                let whole = bytes(index).len();
                let is_digit = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
                let more =
                    if self.patterns[index].is_base64 { text[whole..].iter().take_while(is_digit).count() } else { 0 };
                length = length.max(whole + more);
                break;
            }
            shorter = self.patterns[index].shorter;
        }
        length
    }
}

/// Returns the length of the common beginning of both.
fn agreement(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Returns the index of the bit for a start, which must have [`SEARCHED_LENGTH`] bytes.
fn hash(text: &[u8]) -> usize {
    let [a, b, c, d, e, f] = [text[0], text[1], text[2], text[3], text[4], text[5]];
    let start = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    (start.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize
}
