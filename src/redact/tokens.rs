//! Secrets that can be recognized without a name: tokens with the prefix of the service that issues them, JSON web
//! tokens, credentials after `Bearer` and `Basic`, and private keys.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use memchr::memmem;

use super::HIDDEN;
use super::part::range_of;
use super::prefixes::{ONE_PART, PREFIXES};
use super::values::{is_harmless, is_key_of_aws, is_random_word};

/// The beginnings of the identifiers of AWS's access keys.
const ACCESS_KEYS: [&str; 4] = ["AKIA", "ASIA", "ABIA", "ACCA"];

/// The beginnings of secrets in base64: AWS's session tokens, private keys, the logins of Docker, and Neptune's tokens.
const IN_BASE64: [&str; 10] = [
    "IQoJb3JpZ2lu",
    "FwoGZXIvYXdz",
    "FQoGZXIvYXdz",
    "AQoDYXdz",
    "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVkt",
    "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS",
    "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS",
    "LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUg",
    "eyJhdXRocyI6",
    "eyJhcGlfYWRkcmVzcyI6",
];

/// The minimum length of the part of a token after its prefix.
const MIN_TAIL: usize = 8;

/// The minimum length of a token with its prefix.
const SHORTEST_TOKEN: usize = MIN_TAIL + 3;

/// The maximum length of a line of a private key of PuTTY.
const MAX_KEY_LINE: usize = 128;

/// The name of the field with the number of lines of a private key of PuTTY.
const PUTTY: &[u8] = b"Private-Lines";

/// The minimum length of a line of a private key.
const KEY_LINE: usize = 20;

/// Returns true for the bytes that names and tokens consist of.
pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Returns the range of the secret that begins in this word, if it has a known form.
pub(super) fn find(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    let (start, bytes) = (word.start, &text.as_bytes()[word.clone()]);
    if bytes.ends_with(b"-----BEGIN") {
        return private_key(text, word.end);
    }
    if bytes == PUTTY {
        return key_of_putty(text, word.end);
    }
    if bytes.eq_ignore_ascii_case(b"bearer") {
        return bearer(text, word.end);
    }
    if bytes.eq_ignore_ascii_case(b"basic") {
        return basic(text, word.end);
    }
    let at = bytes.iter().position(u8::is_ascii_alphanumeric)?;
    token(text, start + at..word.end)
}

/// Returns the range of a token that begins where this word begins.
fn token(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    let rest = &text[word.clone()];
    if rest.len() < SHORTEST_TOKEN || !may_begin(rest.as_bytes()[0]) {
        return None;
    }
    if ACCESS_KEYS.iter().any(|prefix| rest.starts_with(prefix)) {
        let length = rest.bytes().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).count();
        let is_whole = rest.as_bytes().get(length).is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
        return (length == 20 && is_whole).then_some(word.start..word.start + 20);
    }
    if IN_BASE64.iter().any(|prefix| rest.starts_with(prefix)) {
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=%_-".contains(byte);
        let length = text.as_bytes()[word.start..].iter().take_while(|byte| is_base64(byte)).count();
        return (length >= 64).then_some(word.start..word.start + length);
    }
    if rest.starts_with("eyJ") {
        return web_token(text, word);
    }
    // A key of Mailgun. Other words begin with `key-` too.
    if let Some(digits) = rest.strip_prefix("key-") {
        let is_key = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        return is_key.then_some(word);
    }
    let prefix = PREFIXES.iter().find(|prefix| rest.starts_with(**prefix))?;
    let may_have_dots = prefix.contains('.') || *prefix == "glpat-";
    let is_part =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || may_have_dots && byte == b'.';
    let tail = &rest[prefix.len()..];
    let tail = tail[..tail.bytes().take_while(|byte| is_part(*byte)).count()].trim_end_matches('.');
    // GitHub's and GitLab's prefixes have no other meaning, but `hf_transfer` and `npm_config_cache` are not tokens.
    let is_certain = prefix.starts_with("gh") || prefix.starts_with("gl") || prefix.starts_with("github");
    let mut parts = tail.split(['_', '-', '.']);
    let is_random = if ONE_PART.contains(prefix) {
        !tail.contains(['_', '-']) && is_random_word(tail)
    } else if *prefix == "sk-" {
        // Jobs and images have such names too, but their parts are short.
        parts.any(|part| part.len() >= 12 && is_random_word(part))
    } else {
        is_certain && tail.bytes().any(|byte| byte.is_ascii_digit()) || parts.any(is_random_word)
    };
    // A checksum follows the tokens of Atlassian: `=1A2B3C4D`.
    let end = word.start + prefix.len() + tail.len();
    let checksum = text[end..].strip_prefix('=').filter(|_| prefix.starts_with("AT"));
    let digits = checksum.map_or(0, |text| text.bytes().take(9).take_while(u8::is_ascii_hexdigit).count());
    let end = if digits == 8 { end + 1 + digits } else { end };
    (tail.len() >= MIN_TAIL && is_random).then_some(word.start..end)
}

/// Returns true for the identifier of an AWS access key.
pub(super) fn is_access_key(token: &str) -> bool {
    token.len() == 20 && ACCESS_KEYS.iter().any(|prefix| token.starts_with(prefix))
}

/// Returns the ranges of the words of a text that can be the secret of an AWS access key: 40 characters of base64. The
/// text contains the identifier of the key.
pub(super) fn secrets_of_access_key(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let words = text.split(move |c: char| !is_digit(c)).map(|word| (range_of(text, word).start, word));
    // A path has parts that are words.
    let is_secret = |word: &str| is_key_of_aws(word) && !is_harmless(word);
    words.filter(move |(_, word)| is_secret(word)).map(|(start, word)| start..start + word.len())
}

/// Returns true if a token can begin with this byte.
fn may_begin(byte: u8) -> bool {
    b"aAbcCdefFgGhHiIjkKlLmnNopPrsStwxy".contains(&byte)
}

/// Returns the range of a JSON web token: two parts in base64 that begin like JSON, and further ones.
fn web_token(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    let token = text[word.clone()].trim_end_matches('.');
    let mut parts = token.split('.');
    let is_part = |part: &str| part.len() >= 8;
    let is_token =
        parts.next().is_some_and(is_part) && parts.next().is_some_and(|part| is_part(part) || part.is_empty());
    is_token.then(|| word.start..word.start + token.len())
}

/// Returns the range of the credentials after `Bearer`.
fn bearer(text: &str, end: usize) -> Option<Range<usize>> {
    let start = end + text.as_bytes()[end..].iter().take(4).take_while(|byte| **byte == b' ').count();
    let is_token = |byte: &u8| is_word_byte(*byte) || b"~+/".contains(byte);
    let length = text.as_bytes()[start..].iter().take_while(|byte| is_token(byte)).count();
    let padding = text.as_bytes()[start + length..].iter().take(2).take_while(|byte| **byte == b'=').count();
    let token = &text[start..start + length];
    // `Bearer realm="x"` requests credentials and contains none.
    let is_parameter = padding == 1 && matches!(text.as_bytes().get(start + length + 1), Some(b'"' | b'\''));
    let is_secret = start > end && length >= 6 && !is_parameter && !is_harmless(token);
    is_secret.then(|| start..start + length + padding)
}

/// Returns the range of `user:password` in base64 after `Basic`.
fn basic(text: &str, end: usize) -> Option<Range<usize>> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let start = end + text.as_bytes()[end..].iter().take(4).take_while(|byte| **byte == b' ').count();
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let length = text.as_bytes()[start..].iter().take_while(|byte| is_digit(byte)).count();
    let padding = text.as_bytes()[start + length..].iter().take(2).take_while(|byte| **byte == b'=').count();
    let plain = BASE64.decode(&text[start..start + length]).ok()?;
    let is_login = plain.contains(&b':') && plain.iter().all(|byte| *byte >= b' ');
    (start > end && length >= 6 && is_login).then(|| start..start + length + padding)
}

/// Returns the output of a process without private keys. This must happen before single lines of the output are shown,
/// because a line of a key looks like any other word.
pub fn without_private_keys(output: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(output, b"PRIVATE KEY").or_else(|| memmem::find(output, PUTTY)).is_none() {
        return Cow::Borrowed(output);
    }
    let text = String::from_utf8_lossy(output);
    let mut cleaned = String::with_capacity(text.len());
    let mut end = 0;
    let begins = |begin: &'static [u8]| memmem::find_iter(text.as_bytes(), begin).map(|at| at + begin.len());
    let keys = begins(b"-----BEGIN").filter_map(|at| private_key(&text, at));
    let mut keys: Vec<_> = keys.chain(begins(PUTTY).filter_map(|at| key_of_putty(&text, at))).collect();
    keys.sort_by_key(|key| key.start);
    for key in keys {
        if key.start >= end {
            cleaned.push_str(&text[end..key.start]);
            cleaned.push_str(HIDDEN);
            end = key.end;
        }
    }
    cleaned.push_str(&text[end..]);
    Cow::Owned(cleaned.into_bytes())
}

/// Returns the range of the lines of a private key of PuTTY after `Private-Lines`.
fn key_of_putty(text: &str, end: usize) -> Option<Range<usize>> {
    let rest = text[end..].strip_prefix(": ")?;
    let digits = rest.bytes().take(4).take_while(u8::is_ascii_digit).count();
    let mut lines: usize = rest[..digits].parse().ok()?;
    let bytes = text.as_bytes();
    let mut at = text.len() - rest.len() + digits;
    let start = at + separators(&bytes[at..]);
    let mut key = start..start;
    while lines > 0 {
        at += separators(&bytes[at..]);
        let is_digit = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        let length = bytes[at..].iter().take(MAX_KEY_LINE).take_while(is_digit).count();
        if length == 0 || bytes.get(at + length) == Some(&b':') || bytes.get(at + length) == Some(&b'-') {
            break;
        }
        at += length;
        key.end = at;
        lines -= 1;
    }
    (!key.is_empty()).then_some(key)
}

/// Returns the range of the lines of a private key after `-----BEGIN`. They may be separated by line ends, blanks or
/// escapes.
fn private_key(text: &str, end: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let head = &text[end..text.floor_char_boundary(end + 64)];
    let kind = head.split("-----").next().filter(|kind| kind.len() < head.len())?;
    if !kind.contains("PRIVATE KEY")
        || !kind.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ')
    {
        return None;
    }
    let start = end + kind.len() + 5;
    let mut at = start;
    let mut hidden_to = start;
    let mut has_key = false;
    let mut is_after_line = false;
    loop {
        at += separators(&bytes[at..]);
        if bytes[at..].starts_with(b"-----END") {
            return has_key.then_some(start..at);
        }
        let is_part = |at: usize| match bytes.get(at) {
            Some(b'-') => bytes.get(at + 1) != Some(&b'-'),
            Some(byte) => byte.is_ascii_alphanumeric() || b"+/=:,".contains(byte),
            None => false,
        };
        let length = (at..).take_while(|&at| is_part(at)).count();
        if length == 0 {
            break;
        }
        let part = &text[at..at + length];
        let is_base64 = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        let is_line = is_base64 && length >= KEY_LINE;
        has_key = has_key || is_line || is_base64 && !is_harmless(part);
        at += length;
        if is_line || is_base64 && is_after_line {
            hidden_to = at;
        }
        is_after_line = is_line;
    }
    // The end of the key is missing. Words may follow it.
    (hidden_to > start).then_some(start..hidden_to)
}

/// Returns the length of a sequence of blanks, line ends, escaped line ends, and lines of a box.
fn separators(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\t' | b'\r' | b'\n' | b'|' | b'>') => at += 1,
            Some(0xE2) if matches!(bytes.get(at + 1..at + 3), Some([0x94, 0x82 | 0x83])) => at += 3,
            Some(b'\\') => {
                let slashes = bytes[at..].iter().take_while(|byte| **byte == b'\\').count();
                match bytes.get(at + slashes) {
                    Some(b'n' | b'r' | b't') => at += slashes + 1,
                    _ => return at,
                }
            }
            _ => return at,
        }
    }
}
