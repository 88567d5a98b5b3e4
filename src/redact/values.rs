//! The rules for values that cannot be secrets, whatever their name is, and for values that look random.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::sync::LazyLock;

use super::HIDDEN;
use super::names::NameKind;
use super::words::{ALGORITHMS, holds};

/// The minimum number of digits of a number that can be a secret.
const SECRET_DIGITS: usize = 16;

/// The maximum length, in bytes, of a value that can be harmless, except for a URL. A longer value is not examined
/// further, so that the time for a text grows only with its length.
const MAX_HARMLESS: usize = 512;

/// The number of bytes of a value that must look random.
const RANDOM_HEAD: usize = 64;

/// The certainty that a value belongs to the name next to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pairing {
    /// It is the value of a variable, a hyperparameter or an option.
    Certainly,
    /// It follows the name in some text.
    InText,
}

/// Returns true if a value next to a name of this kind is a secret.
pub(super) fn is_secret(kind: NameKind, value: &str, beside: Pairing) -> bool {
    match kind {
        NameKind::Plain => false,
        NameKind::Doubtful => looks_random(value),
        NameKind::Secret => !is_harmless(value),
        NameKind::Password if beside == Pairing::Certainly => !is_harmless(value) || is_word_of_users(value),
        NameKind::Password => !is_harmless(value),
    }
}

/// Returns true if a value cannot be a secret: a number shorter than 16 digits, `true`, `None`, a word or two, a path, a URL
/// without a user part, or a placeholder such as `<your_token>`.
pub(super) fn is_harmless(value: &str) -> bool {
    let value = value.trim();
    if value.len() > MAX_HARMLESS {
        return is_plain_url(value);
    }
    value.is_empty()
        || is_path(value)
        || is_number(value)
        || are_words(value)
        || is_foreign_word(value)
        || is_placeholder(value)
        || is_plain_url(value)
        || is_file(value)
        || is_algorithm(value)
        || is_reference(value)
}

/// Returns true if a value looks as if it was generated at random.
pub(super) fn looks_random(value: &str) -> bool {
    let value = after_name(value.trim());
    let value = &value[..value.floor_char_boundary(RANDOM_HEAD)];
    // What was random in a text that was cleaned before is hidden already.
    if value.len() < 8 || value.starts_with(['{', '[', '(']) || value.contains(HIDDEN) {
        return false;
    }
    // One bit each for lower case, upper case, digits, signs and white space.
    let classes = value.bytes().fold(0, |classes, byte| {
        classes
            | match byte {
                b'a'..=b'z' => 1,
                b'A'..=b'Z' => 2,
                b'0'..=b'9' => 4,
                b'+' | b'=' | b'&' | b'!' | b'#' | b'$' | b'%' | b'^' | b'*' | b'?' | b'@' | b'~' => 8,
                b' ' | b'\t' | b'\n' => 16,
                _ => 0,
            }
    });
    let is_mixed = matches!(classes, 11 | 13 | 14 | 15);
    (is_mixed || is_key_of_aws(value) || value.split(|c: char| !c.is_ascii_alphanumeric()).any(is_random_word))
        && !is_harmless(value)
}

/// Returns true for the form of AWS's secret keys: 40 characters of base64, of every kind. A commit's digest has no
/// upper-case letters.
pub(super) fn is_key_of_aws(value: &str) -> bool {
    let has = |accept: fn(&u8) -> bool| value.as_bytes().iter().any(accept);
    value.len() == 40
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
}

/// Returns the value of an assignment such as `session=spark-1`, and any other text unchanged.
fn after_name(text: &str) -> &str {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    match text.split_once('=') {
        Some((name, value)) if is_name(name) && !value.trim_matches('=').is_empty() => value,
        _ => text,
    }
}

/// Returns true if letters and digits are mixed in a way in which no word and no name mixes them.
pub(super) fn is_random_word(word: &str) -> bool {
    let bytes = word.as_bytes();
    if bytes.len() < 8 {
        return false;
    }
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let changes = || bytes.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
    let has_both_cases = || bytes.iter().any(u8::is_ascii_lowercase) && bytes.iter().any(u8::is_ascii_uppercase);
    match bytes.len() {
        20.. => {
            digits > 0 && digits < bytes.len() || digits >= SECRET_DIGITS || !(are_words(word) || is_camel_case(word))
        }
        _ if digits == 0 => false,
        12.. => changes() >= 3 || has_both_cases(),
        _ => changes() >= 3 || has_both_cases() && changes() >= 2,
    }
}

/// Returns true for the name of a variable, a function or a class: words of lower-case letters that are joined by `_`, such as
/// `aws_session_token`, or words that are joined by capitals.
pub(super) fn is_identifier(text: &str) -> bool {
    const LONGEST: usize = 64;
    let is_part = |part: &str| {
        part.is_empty() || is_short(part) || is_word(part) && !part.starts_with(|c: char| c.is_uppercase())
    };
    let is_name = |text: &str| text.split('_').all(is_part) || is_camel_case(text);
    text.len() <= LONGEST && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && is_name(text)
}

/// Returns true for an abbreviation in the name of a variable: `s3`, `kms`.
fn is_short(part: &str) -> bool {
    part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Returns true for words of at least three letters that are joined by capitals, such as `InvalidIdentityToken`.
fn is_camel_case(word: &str) -> bool {
    humps(word).all(|word| word.len() >= 3 && is_word(word))
}

/// Returns true for a number shorter than [`SECRET_DIGITS`], and for dates, times, versions and ranges.
fn is_number(value: &str) -> bool {
    if !value.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return false;
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let is_part = |byte: u8| byte.is_ascii_digit() || b".,:+-/_%eE ".contains(&byte);
    let is_decimal = value.bytes().all(is_part);
    let hex = value.strip_prefix("0x").unwrap_or_default();
    (1..SECRET_DIGITS).contains(&digits) && is_decimal
        || (1..SECRET_DIGITS).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns true for `<your_token>`, `${TOKEN}`, `{token}`, `%(token)s`, `****`, `…` and similar placeholders.
fn is_placeholder(value: &str) -> bool {
    let encloses = |open: &str, close: &str| value.starts_with(open) && value.ends_with(close);
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_variable = value.strip_prefix('$').is_some_and(|name| {
        is_name(name) && !name.bytes().any(|byte| byte.is_ascii_digit())
            || is_numbered_variable(name)
            || name.starts_with(['{', '('])
    });
    // A part of a vocabulary: `[PAD]`, `▁the`, `Ġthe`, `##ing`.
    let is_of_vocabulary = value.starts_with(['▁', 'Ġ']) || value.starts_with("##") && are_words(&value[2..]);
    let is_bracketed = encloses("[", "]") && are_words(&value[1..value.len() - 1]);
    encloses("<", ">")
        || value.strip_prefix('<').is_some_and(are_words)
        || encloses("{", "}") && is_name(value.trim_matches(['{', '}']).trim())
        || value.starts_with("%(")
        || value == "%s"
        || value == "%r"
        || is_variable
        || is_of_vocabulary
        || is_bracketed
        || value.split(|c: char| !c.is_ascii_alphabetic()).any(|word| word.eq_ignore_ascii_case("your"))
        || ["n/a", "tbd", "tba"].iter().any(|known| value.eq_ignore_ascii_case(known))
        || value.bytes().all(|byte| b"*.xX-_#<>|&;?".contains(&byte))
}

/// Returns true for a reference to a secret that is kept elsewhere: the name of a resource, or of a variable.
fn is_reference(value: &str) -> bool {
    let of_variable = value.strip_prefix("env:").map(|name| name.trim_start_matches('/'));
    value.starts_with("arn:")
        || value.starts_with("{{resolve:") && value.ends_with("}}")
        || value.starts_with("projects/") && value.contains("/secrets/")
        || of_variable.is_some_and(|name| !name.is_empty() && is_numbered_variable(name))
}

/// Suffixes of files that have no folder before them.
const SUFFIXES: [&str; 20] = [
    ".bin",
    ".ckpt",
    ".csv",
    ".gz",
    ".h5",
    ".json",
    ".jsonl",
    ".npy",
    ".npz",
    ".onnx",
    ".parquet",
    ".pem",
    ".pkl",
    ".pt",
    ".pth",
    ".safetensors",
    ".tar",
    ".txt",
    ".yaml",
    ".yml",
];

/// Returns true for the path of a file with a suffix, such as `conf/kube-1.yaml`, and for the name of a file with a usual suffix.
/// Base64 has no dots, and tokens with dots have no slashes.
fn is_file(value: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-=".contains(&byte);
    let Some((_, suffix)) = value.rsplit_once('.').filter(|_| value.bytes().all(is_part)) else { return false };
    let is_suffix = (1..=11).contains(&suffix.len())
        && suffix.starts_with(|c: char| c.is_ascii_lowercase())
        && suffix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    is_suffix && value.contains('/') || SUFFIXES.iter().any(|suffix| value.ends_with(suffix))
}

/// Returns true for the name of a method or an algorithm: `sha256`, `scram-sha-256`, `RS256`, `oauth2`.
fn is_algorithm(value: &str) -> bool {
    const LONGEST: usize = 24;
    if value.len() > LONGEST {
        return false;
    }
    let lower = value.to_ascii_lowercase();
    let mut parts = lower.split(['-', '_', '/']);
    let is_number = |part: &str| part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.clone().any(|part| holds(ALGORITHMS, part))
        && parts.all(|part| holds(ALGORITHMS, part) || is_word(part) || is_number(part))
}

/// Returns true for the name of a variable in capitals, whose words may have a number at their end: `API_KEY_2`.
fn is_numbered_variable(name: &str) -> bool {
    let is_part = |part: &str| {
        let number = part.trim_start_matches(|c: char| c.is_ascii_uppercase());
        number.bytes().all(|byte| byte.is_ascii_digit())
    };
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.split('_').all(is_part)
}

/// Returns true for one or two words, such as `customer_id` or `trueValue`, and for a longer chain of words with dots
/// or slashes, such as `self.config.token` and `data/train.csv`, or in the name of an error.
fn are_words(value: &str) -> bool {
    if value.len() > 128 || !value.starts_with(|c: char| c.is_ascii_alphabetic() || "._-:/|".contains(c)) {
        return false;
    }
    let is_error = ["Error", "Exception"].iter().any(|end| value.trim_end_matches(':').ends_with(end));
    let most = if is_error || value.contains(['.', '/']) { 10 } else { 2 };
    let mut count = 0;
    for part in value.trim_end_matches(['.', '!', '?', ':', '…']).split([' ', '_', '-', '.', ':', '/', '|']) {
        for word in humps(part) {
            count += 1;
            if count > most || !is_word(word) {
                return false;
            }
        }
    }
    count > 0
}

/// Returns true for one word with letters that are not in ASCII, such as `naïve` and `猫`.
fn is_foreign_word(value: &str) -> bool {
    const LONGEST: usize = 60;
    value.len() <= LONGEST && !value.is_ascii() && value.chars().all(char::is_alphabetic)
}

/// Returns true for words that, as a value, can only be a password.
fn is_word_of_users(value: &str) -> bool {
    let value = value.trim();
    let constants = ["true", "false", "none", "null", "yes", "no", "on", "off", "nan", "undefined", "nil"];
    (are_words(value) || is_foreign_word(value))
        && !is_placeholder(value)
        && !is_path(value)
        && !constants.iter().any(|constant| value.eq_ignore_ascii_case(constant))
        && !value.contains(['.', '/'])
}

/// Returns the words of a part in camel case: `Key` and `Error` for `KeyError`.
fn humps(part: &str) -> impl Iterator<Item = &str> {
    let mut rest = part;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let bytes = rest.as_bytes();
        let end = (1..bytes.len()).find(|&at| bytes[at - 1].is_ascii_lowercase() && bytes[at].is_ascii_uppercase());
        let (word, others) = rest.split_at(end.unwrap_or(rest.len()));
        rest = others;
        Some(word)
    })
}

/// Words and abbreviations without a vowel that are common as values.
const WITHOUT_VOWEL: [&str; 14] =
    ["cls", "csv", "ftp", "http", "https", "jwt", "pwd", "sql", "ssh", "ssl", "str", "tls", "txt", "xml"];

/// Returns true for letters that can be pronounced as a word, in a usual mix of upper and lower case.
fn is_word(word: &str) -> bool {
    let letters = word.as_bytes();
    if letters.is_empty() || letters.len() > 20 || !letters.iter().all(u8::is_ascii_alphabetic) {
        return false;
    }
    let tail = &letters[1..];
    if !(tail.iter().all(u8::is_ascii_lowercase) || letters.iter().all(u8::is_ascii_uppercase)) {
        return false;
    }
    let is_vowel = |letter: &u8| b"aeiouy".contains(&letter.to_ascii_lowercase());
    let longest = letters.split(is_vowel).map(<[u8]>::len).max().unwrap_or_default();
    let is_usual = |usual: &&str| word.eq_ignore_ascii_case(usual);
    longest <= 5 && letters.iter().any(is_vowel) || WITHOUT_VOWEL.iter().any(is_usual)
}

/// The names in the root folder.
static ROOT: LazyLock<BTreeSet<OsString>> =
    LazyLock::new(|| std::fs::read_dir("/").into_iter().flatten().flatten().map(|entry| entry.file_name()).collect());

/// Returns true for a path of this machine, or one below the user's folder. Only its first folder is checked for
/// existence, because checking more could wait for a network file system.
fn is_path(value: &str) -> bool {
    let usual = ["bin", "data", "dev", "etc", "fsx", "home", "mnt", "opt", "proc", "root", "run", "tmp", "usr", "var"];
    ["~/", "./", "../"].iter().any(|folder| value.starts_with(folder))
        || value == "/"
        || value
            .strip_prefix('/')
            .and_then(|path| path.split('/').next())
            .is_some_and(|first| usual.contains(&first) || ROOT.contains(OsStr::new(first)))
}

/// Returns true for a URL without a user part.
fn is_plain_url(value: &str) -> bool {
    let head = &value[..value.floor_char_boundary(MAX_HARMLESS)];
    let Some((scheme, rest)) = head.split_once(':') else { return false };
    let Some(rest) = rest.strip_prefix("//") else { return false };
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // The user part may be hidden already.
    let host = authority.rsplit_once('@').filter(|(user, _)| *user == HIDDEN).map_or(authority, |(_, host)| host);
    is_scheme && !host.contains(['@', ' '])
}
