//! Secrets that can be recognized by their shape, although they have no prefix of their own: hashes of passwords, as in
//! `/etc/shadow` and in databases of users, and tokens whose parts have fixed lengths.

use std::ops::Range;

use super::tokens::is_word_byte;
use super::values::is_random_word;

/// The methods of hashes that begin with a dollar sign: `$6$salt$hash`.
const METHODS: [&str; 17] = [
    "1", "2a", "2b", "2x", "2y", "5", "6", "7", "8", "y", "gy", "sha1", "apr1", "argon2i", "argon2d", "argon2id",
    "scrypt",
];

/// The beginnings of the methods of hashes that begin with a word: `pbkdf2_sha256$600000$salt$hash`.
const NAMED_METHODS: [&str; 4] = ["pbkdf2", "bcrypt", "scrypt", "argon2"];

/// The schemes of hashes in LDAP: `{SSHA}hash`.
const SCHEMES: [&str; 9] = ["SHA", "SSHA", "SHA256", "SSHA256", "SHA512", "SSHA512", "MD5", "SMD5", "CRYPT"];

/// Beginnings that only tokens of at least this length have: those of Dropbox, Meta and Square, Trello, and Gemini.
const LONG_TOKENS: [(&str, usize); 4] = [("sl.", 60), ("EAA", 60), ("ATTA", 60), ("AQ.Ab", 30)];

/// The minimum length of the last part of a hash.
const MIN_HASH: usize = 20;

/// The maximum number of dollar signs after the method of a hash.
const MAX_DOLLARS: usize = 6;

/// The maximum length of a secret that is recognized by its shape.
const LONGEST: usize = 512;

/// Returns the range of the secret that begins with this word, or with the sign before it.
pub(super) fn find(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    let before = word.start.checked_sub(1).map_or(b' ', |before| text.as_bytes()[before]);
    if word.len() >= SHORTEST_TOKEN && is_token(&text[word.clone()]) {
        return Some(word);
    }
    match text.as_bytes().get(word.end)? {
        b':' if text.as_bytes()[word.end - 1].is_ascii_digit() => telegram_token(text, word),
        b'$' | b':' => hash(text, word, before),
        b'}' if before == b'{' => hash_of_scheme(text, word),
        b'~' => azure_secret(text, word),
        b'/' if !is_word_byte(before) => google_token(text, word),
        _ => None,
    }
}

/// The minimum length of a word that is a token by its shape.
const SHORTEST_TOKEN: usize = 26;

/// Returns true for a word that is a token of Airtable, Discord, Mailchimp, Terraform or Vault, or one of [`LONG_TOKENS`].
fn is_token(word: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_alphanumeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if let Some((digits, region)) = word.split_once("-us") {
        return digits.len() == 32 && is_hex(digits) && region.len() <= 2 && region.bytes().all(|c| c.is_ascii_digit());
    }
    let is_long = |(begin, least): &(&str, usize)| word.len() >= *least && word.starts_with(begin);
    if LONG_TOKENS.iter().any(is_long) {
        return word
            .split(['.', '-', '_'])
            .any(|part| part.bytes().any(|c| c.is_ascii_digit()) && is_random_word(part));
    }
    let mut parts = word.split('.');
    match [parts.next(), parts.next(), parts.next(), parts.next()] {
        [Some("s"), Some(key), None, _] => key.len() == 24 && is_alphanumeric(key) && is_random_word(key),
        [Some(id), Some(key), None, _] => {
            id.len() == 17 && id.starts_with("pat") && is_alphanumeric(id) && key.len() == 64 && is_hex(key)
        }
        [Some(id), Some("atlasv1"), Some(key), None] => id.len() == 14 && key.len() >= 60,
        // A number in base64, a time and a signature
        [Some(id), Some(time), Some(signature), None] => {
            (24..=28).contains(&id.len())
                && id.starts_with(['M', 'N', 'O'])
                && (6..=7).contains(&time.len())
                && (27..=40).contains(&signature.len())
                && is_random_word(id)
        }
        _ => false,
    }
}

/// Returns the range of a token of a bot of Telegram: a number of 8 to 10 digits, which `bot` can precede, a colon, and 35
/// characters that begin with `AA`.
fn telegram_token(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    let number = text[word.clone()].strip_prefix("bot").unwrap_or(&text[word.clone()]);
    let is_number = (8..=10).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let start = word.end + 1;
    let length = length(text, start, is_base64url);
    let is_token = is_number && length == 35 && text[start..].starts_with("AA");
    is_token.then(|| word.end - number.len()..start + length)
}

/// Returns true for the bytes of base64 in its form for URLs (RFC 4648, section 5), without padding.
fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Returns the number of bytes from a position that all belong to a secret.
fn length(text: &str, start: usize, mut is_part: impl FnMut(u8) -> bool) -> usize {
    text.as_bytes()[start..].iter().take(LONGEST).take_while(|byte| is_part(**byte)).count()
}

/// Returns the range of a hash whose method is this word.
fn hash(text: &str, word: Range<usize>, before: u8) -> Option<Range<usize>> {
    let method = &text[word.clone()];
    let is_crypt = before == b'$' && METHODS.contains(&method) && text.as_bytes()[word.end] == b'$';
    let is_named = NAMED_METHODS.iter().any(|known| method.starts_with(known));
    if !is_crypt && !is_named {
        return None;
    }
    // Werkzeug separates the parameters of a named method with colons.
    let is_part = |byte: u8| is_word_byte(byte) || b"$/=,+".contains(&byte) || byte == b':' && !is_crypt;
    let mut dollars = 0;
    let is_in_hash = |byte: u8| {
        dollars += usize::from(byte == b'$');
        dollars <= MAX_DOLLARS && is_part(byte)
    };
    let tail = &text[word.end..word.end + length(text, word.end, is_in_hash)];
    let last = tail.rsplit('$').next().unwrap_or_default();
    let has_digit = last.bytes().any(|byte| byte.is_ascii_digit());
    let is_hash = tail.contains('$') && last.len() >= MIN_HASH && has_digit;
    let start = if before == b'$' { word.start - 1 } else { word.start };
    is_hash.then(|| start..word.end + tail.trim_end_matches(['.', ':']).len())
}

/// Returns the range of a hash after the scheme in braces that is this word.
fn hash_of_scheme(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    let start = word.end + 1;
    let length = length(text, start, |byte| byte.is_ascii_alphanumeric() || b"+/=.$".contains(&byte));
    let is_hash = SCHEMES.contains(&&text[word.clone()]) && length >= MIN_HASH;
    is_hash.then(|| word.start - 1..start + length)
}

/// Returns the range of the secret of an application of Azure: three characters, a digit, `Q~`, and 31 or more
/// characters.
fn azure_secret(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    const SHORTEST: usize = 31;
    let head = &text.as_bytes()[word.clone()];
    let length = length(text, word.end + 1, |byte| is_word_byte(byte) || byte == b'~');
    let is_secret = head.len() == 5 && head[3].is_ascii_digit() && head[4] == b'Q' && length >= SHORTEST;
    is_secret.then(|| word.start..word.end + 1 + length)
}

/// Returns the range of a refresh token of Google: `1//0` and 30 or more characters.
fn google_token(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    const SHORTEST: usize = 30;
    let tail = text[word.clone()].strip_prefix('1')?;
    let tail = tail.is_empty().then(|| text[word.end..].strip_prefix("//0")).flatten()?;
    let length = length(tail, 0, is_base64url);
    (length >= SHORTEST).then(|| word.start..word.end + "//0".len() + length)
}
