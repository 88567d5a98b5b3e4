//! Secrets that can be recognized by their shape, although they have no prefix of letters: hashes of passwords, as in
//! `/etc/shadow` and in databases of users, and keys of Azure and Google.

use std::ops::Range;

use super::tokens::is_word_byte;

/// The methods of hashes that begin with a dollar sign: `$6$salt$hash`.
const METHODS: [&str; 17] = [
    "1", "2a", "2b", "2x", "2y", "5", "6", "7", "8", "y", "gy", "sha1", "apr1", "argon2i", "argon2d", "argon2id",
    "scrypt",
];

/// The beginnings of the methods of hashes that begin with a word: `pbkdf2_sha256$600000$salt$hash`.
const NAMED_METHODS: [&str; 4] = ["pbkdf2", "bcrypt", "scrypt", "argon2"];

/// The schemes of hashes in LDAP: `{SSHA}hash`.
const SCHEMES: [&str; 9] = ["SHA", "SSHA", "SHA256", "SSHA256", "SHA512", "SSHA512", "MD5", "SMD5", "CRYPT"];

/// The minimum length of the last part of a hash.
const MIN_HASH: usize = 20;

/// The maximum number of dollar signs after the method of a hash.
const MAX_DOLLARS: usize = 6;

/// The maximum length of a secret that is recognized by its shape.
const LONGEST: usize = 512;

/// Returns the range of the secret that begins with this word, or with the sign before it.
pub(super) fn find(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    let before = word.start.checked_sub(1).map_or(b' ', |before| text.as_bytes()[before]);
    match text.as_bytes().get(word.end)? {
        b'$' | b':' => hash(text, word, before),
        b'}' if before == b'{' => hash_of_scheme(text, word),
        b'~' => azure_secret(text, word),
        b'/' if !is_word_byte(before) => google_token(text, word),
        _ => None,
    }
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
    let length = length(tail, 0, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    (length >= SHORTEST).then(|| word.start..word.end + "//0".len() + length)
}
