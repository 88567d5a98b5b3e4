//! Secrets in sentences: `Your API key is x9y8z7w6…`, `incorrect token provided: x9y8z7w6…`, `the password of user me is
//! x9y8z7w6…`, `using access token x9y8z7w6…`.

use std::ops::Range;

use super::names::{NameKind, name_kind};
use super::part::range_of;
use super::tokens::is_word_byte;
use super::values::{is_harmless, looks_random};

/// The maximum number of bytes between the name of a secret and the end of the secret.
const REACH: usize = 192;

/// The maximum number of words and signs between the name and the secret.
const MAX_BETWEEN: usize = 8;

/// The words that can appear between the name and the secret.
const BETWEEN: [&str; 20] = [
    "is",
    "was",
    "provided",
    "given",
    "used",
    "received",
    "supplied",
    "got",
    "value",
    "set",
    "to",
    "of",
    "the",
    "[None]",
    "must",
    "be",
    "40",
    "characters",
    "long,",
    "yours",
];

/// The words after a name that begin a description of its owner: `the password for user me is …`.
const OWNERS: [&str; 3] = ["for", "of", "in"];

/// The maximum number of words of such a description.
const MAX_OWNER: usize = 3;

/// The words before `token` that say that a value follows.
const BEFORE_TOKEN: [&str; 11] =
    ["using", "use", "used", "access", "api", "auth", "authentication", "bearer", "refresh", "hub", "session"];

/// The words before the name of a secret that say that a refused value follows.
const REFUSED: [&str; 6] = ["invalid", "incorrect", "wrong", "bad", "expired", "revoked"];

/// The names of secrets that are one word.
const NAMES: [&str; 8] = ["token", "password", "passphrase", "passcode", "secret", "apikey", "api-key", "x-api-key"];

/// Returns the range of the value in a sentence about the secret that this word names. The value must look random,
/// because any word can follow.
pub(super) fn value(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    let name = &text[word.clone()];
    if name.eq_ignore_ascii_case("by") && is_after(text, word.start, &["identified"]) {
        return of_statement(text, word.end);
    }
    let is_key = name.eq_ignore_ascii_case("key") && is_named_key(text, word.start);
    if !is_key && !NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return None;
    }
    let end = text.floor_char_boundary(word.end + REACH);
    // A sign that directly follows a name does not belong to a sentence.
    if !is_key && !text[word.end..].starts_with(' ') {
        return None;
    }
    let mut at = after_owner(&text[..end], word.end);
    let mut says_so = is_key
        || name.eq_ignore_ascii_case("token") && is_after(text, word.start, &BEFORE_TOKEN)
        || is_after(text, word.start, &REFUSED);
    for _ in 0..MAX_BETWEEN {
        at += text[at..end].len() - text[at..end].trim_start_matches([' ', '"', '\'', '`', '(']).len();
        let rest = &text[at..end];
        if rest.starts_with([':', '=']) {
            at += 1;
        } else if let Some(between) = BETWEEN.iter().find(|between| is_first_word(rest, between)) {
            at += between.len();
        } else {
            break;
        }
        says_so = true;
    }
    let ends = |c: char| c.is_whitespace() || "\"'`,;()<>".contains(c);
    // A long value is judged by its beginning.
    let head = text[at..text.floor_char_boundary(at + REACH)].split(ends).next()?;
    let head = head.trim_end_matches(['.', ':', '!', '?']);
    if !says_so || at == word.end || !(looks_random(head) || is_key && is_mixed(head)) {
        return None;
    }
    let value = text[at..].split(ends).next()?.trim_end_matches(['.', ':', '!', '?']);
    Some(at..at + value.len())
}

/// Returns the range of the password in a statement of SQL: `CREATE USER me IDENTIFIED BY 'x9y8'`.
fn of_statement(text: &str, end: usize) -> Option<Range<usize>> {
    let rest = text[end..text.floor_char_boundary(end + REACH)].trim_start_matches(' ');
    let inside = rest.strip_prefix('\'')?.split('\'').next()?;
    (!inside.is_empty() && !inside.starts_with(['$', '<', '{', '*'])).then(|| range_of(text, inside))
}

/// Returns the position after a description of the owner of a secret, if a verb follows: `for user me`. Returns `start`
/// for other texts.
fn after_owner(text: &str, start: usize) -> usize {
    let words = || text[start..].split(' ').skip(1);
    if !words().next().is_some_and(|word| OWNERS.contains(&word)) {
        return start;
    }
    let verb = words().take(MAX_OWNER + 2).position(|word| matches!(word, "is" | "was"));
    verb.map_or(start, |verb| start + words().take(verb).map(|word| word.len() + 1).sum::<usize>())
}

/// Returns true if the word before a name is one of these.
fn is_after(text: &str, start: usize, words: &[&str]) -> bool {
    const LONGEST: usize = 16;
    let Some(before) = text[..start].strip_suffix(' ') else { return false };
    let before = &before[before.ceil_char_boundary(before.len().saturating_sub(LONGEST))..];
    let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Returns true for a long base64 word with upper-case letters, lower-case letters and digits.
fn is_mixed(value: &str) -> bool {
    const SHORTEST: usize = 20;
    let has = |accept: fn(&u8) -> bool| value.as_bytes().iter().any(accept);
    value.len() >= SHORTEST
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
        && !is_harmless(value)
}

/// Returns true if a text begins with a word.
fn is_first_word(text: &str, word: &str) -> bool {
    text.starts_with(word) && text.as_bytes().get(word.len()).is_none_or(|byte| !is_word_byte(*byte))
}

/// Returns true if the word before `key` makes this the name of a secret: `API key`.
fn is_named_key(text: &str, start: usize) -> bool {
    const LONGEST: usize = 16;
    let Some(before) = text[..start].strip_suffix(' ') else { return false };
    let before = &before[before.ceil_char_boundary(before.len().saturating_sub(LONGEST))..];
    let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    !word.is_empty() && name_kind(&format!("{word}_key")) >= NameKind::Secret
}
