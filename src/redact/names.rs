//! The rule for names whose values are secrets, based on tables of words ([`words`]). Only whole words count.
//!
//! A name is split at every character that is neither a letter nor a digit, between lower and upper case, and after
//! digits. `AWS_SECRET_ACCESS_KEY`, `dbPassword` and `x-api-key` have four, two and three words. Digits at the end of a
//! word are ignored. So `tokenizer`, `monkey` and `num_passes` contain no word of a secret, but `API_KEY_2` does.

use super::words::{self, holds};

/// The likelihood that a value is a secret, judged only by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind {
    /// The value is not a secret.
    Plain,
    /// The value is a secret if it looks random: `session_id`, `my_key`, `TOKEN_GITHUB`.
    Doubtful,
    /// The value is a secret unless that is impossible: a number, a word or a path.
    Secret,
    /// The value is a secret even if it is a word, as passwords can be.
    Password,
}

/// The part that a word plays in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It names a password, wherever it is in the name.
    Password,
    /// It names a secret, wherever it is in the name.
    Secret,
    /// It names a secret at the end of the name: `http_auth`, but not `auth_mode`.
    AtEnd,
    /// It may name a secret.
    Doubtful,
    /// `key` or `keys`.
    Key,
    /// `token`.
    Token,
    /// `tokens`.
    Tokens,
    /// `pass`.
    Pass,
    /// `pat`.
    Pat,
}

/// A classification of the words after a word that names a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// None, or only neutral ones: `API_KEY_PROD`.
    Neutral,
    /// A word that makes the value the number or name of the secret: `secret_id`.
    Id,
    /// A word that makes the value a description of the secret: `password_file`.
    Descriptor,
    /// Others.
    Unknown,
}

/// Returns the role of a word, or `None` if it has nothing to do with secrets.
fn role(word: &str) -> Option<Role> {
    Some(match word {
        "password" | "passwords" | "passwd" | "passphrase" | "passphrases" | "passcode" | "passcodes" | "secret"
        | "secrets" | "passwrd" | "pswd" | "psw" | "pwd" | "pw" => Role::Password,
        "authorization" | "bearer" | "connstr" | "cookie" | "cookies" | "cred" | "credential" | "credentials"
        | "creds" | "dsn" | "htpasswd" | "jwt" | "kubeconfig" | "mnemonic" | "netrc" => Role::Secret,
        "auth" | "oauth" | "otp" | "pin" | "psk" | "sas" | "totp" => Role::AtEnd,
        "authentication" | "cert" | "csrf" | "jsessionid" | "nonce" | "phpsessid" | "salt" | "session"
        | "sessionid" | "sid" | "sig" | "signature" | "sso" | "webhook" | "xsrf" => Role::Doubtful,
        "key" | "keys" => Role::Key,
        "token" => Role::Token,
        "tokens" => Role::Tokens,
        "pass" => Role::Pass,
        "pat" => Role::Pat,
        _ => return glued(word),
    })
}

/// Returns the role of a word that is composed of two words without a separator, such as `pgpassword`.
fn glued(word: &str) -> Option<Role> {
    let ends = |ends: &str| ends.split_ascii_whitespace().any(|end| word.len() > end.len() && word.ends_with(end));
    let begins = |end: &str, table: &str| word.strip_suffix(end).is_some_and(|begin| holds(table, begin));
    let one = word.strip_suffix('s').unwrap_or(word);
    let is_key = || words::ENDS_OF_KEYS.split_ascii_whitespace().any(|end| one.ends_with(end));
    if word.len() < "dbpw".len() {
        None
    } else if ends(words::ENDS_OF_PASSWORDS) || ["pass", "pwd", "pw"].iter().any(|end| begins(end, words::BEFORE_PASS))
    {
        Some(Role::Password)
    } else if one.ends_with("key") && is_key()
        || begins("token", words::BEFORE_TOKEN)
        || word.ends_with("credentials")
        || matches!(word, "basicauth" | "httpauth" | "masterauth" | "proxyauth" | "connectionstring")
    {
        Some(Role::Secret)
    } else {
        None
    }
}

/// Returns the meaning of the words after a word that names a secret.
fn rest(words: &[&str]) -> Rest {
    let is_neutral = |word: &&str| holds(words::NEUTRAL, word) || without_digits(word).len() <= 1;
    if words.iter().all(is_neutral) {
        Rest::Neutral
    } else if words.iter().any(|word| holds(words::DESCRIPTORS, word)) {
        Rest::Descriptor
    } else if words.iter().any(|word| matches!(*word, "id" | "ids")) {
        Rest::Id
    } else {
        Rest::Unknown
    }
}

/// Returns the kind of the word `key`, by the word before it.
fn key_kind(before: Option<&str>) -> NameKind {
    match before {
        Some(word) if holds(words::BEFORE_PASSWORD_KEY, word) => NameKind::Password,
        Some(word) if holds(words::BEFORE_SECRET_KEY, word) => NameKind::Secret,
        Some(word) if !holds(words::BEFORE_PLAIN_KEY, word) => NameKind::Doubtful,
        _ => NameKind::Plain,
    }
}

/// The maximum number of words of a name that are examined, counted from its end.
const MAX_WORDS: usize = 12;

/// The maximum length, in bytes, of a name that is examined, counted from its end.
pub(super) const MAX_NAME: usize = 96;

/// Returns the likelihood that the value of a variable, a hyperparameter or an option with this name is a secret.
pub fn name_kind(name: &str) -> NameKind {
    let name = name.as_bytes();
    let name = &name[name.len().saturating_sub(MAX_NAME)..];
    let mut lower = [0; MAX_NAME];
    lower[..name.len()].copy_from_slice(name);
    lower.make_ascii_lowercase();
    let mut words = [""; MAX_WORDS];
    let mut count = 0;
    let mut end = name.len();
    while count < MAX_WORDS {
        while end > 0 && !name[end - 1].is_ascii_alphanumeric() {
            end -= 1;
        }
        if end == 0 {
            break;
        }
        let start = word_start(name, end);
        // A word consists of ASCII characters.
        words[MAX_WORDS - 1 - count] = std::str::from_utf8(&lower[start..end]).unwrap_or_default();
        count += 1;
        end = start;
    }
    kind_of_words(&words[MAX_WORDS - count..])
}

/// Returns true if everything below a name, such as `credentials`, is secret.
pub fn is_secret_name(name: &str) -> bool {
    name_kind(name) >= NameKind::Secret
}

/// Returns the start of the word that ends at `end`.
fn word_start(name: &[u8], end: usize) -> usize {
    let mut start = end - 1;
    while start > 0 {
        let [before, first] = [name[start - 1], name[start]];
        let is_boundary = !before.is_ascii_alphanumeric()
            || before.is_ascii_digit() && first.is_ascii_alphabetic()
            || before.is_ascii_lowercase() && first.is_ascii_uppercase()
            // The last capital before a lower-case letter begins a word: `HTTPAuth`.
            || before.is_ascii_uppercase()
                && first.is_ascii_uppercase()
                && start + 1 < end
                && name[start + 1].is_ascii_lowercase();
        if is_boundary {
            break;
        }
        start -= 1;
    }
    start
}

fn without_digits(word: &str) -> &str {
    word.trim_end_matches(|c: char| c.is_ascii_digit())
}

fn kind_of_words(words: &[&str]) -> NameKind {
    let kind = |at: usize| {
        let word = without_digits(words[at]);
        let Some(role) = role(word) else {
            // Names of two words that mean nothing by themselves, such as `conn_str`.
            let is_secret = match words.get(at + 1).copied().unwrap_or_default() {
                "str" | "string" => matches!(word, "conn" | "connection"),
                "phrase" => matches!(word, "seed" | "recovery"),
                "code" | "codes" => word == "recovery",
                _ => false,
            };
            return if is_secret { NameKind::Secret } else { NameKind::Plain };
        };
        let before = at.checked_sub(1).map(|before| words[before]);
        let is_alone = words.len() == 1;
        let after = &words[at + 1..];
        match (role, rest(after)) {
            (_, Rest::Descriptor) => NameKind::Plain,
            (Role::Password, Rest::Id) | (Role::Doubtful, Rest::Id | Rest::Neutral) => NameKind::Doubtful,
            (Role::Password, _) => NameKind::Password,
            (Role::Secret, Rest::Id) => NameKind::Doubtful,
            (Role::Secret, _) => NameKind::Secret,
            (Role::AtEnd, Rest::Neutral) => NameKind::Secret,
            (Role::AtEnd, Rest::Unknown) if after[0] == "config" => NameKind::Secret,
            (Role::Doubtful | Role::AtEnd, _) => NameKind::Plain,
            (Role::Key | Role::Token | Role::Tokens | Role::Pat, Rest::Id) => NameKind::Plain,
            (Role::Key, Rest::Neutral) => key_kind(before),
            // `API_KEY_OPENAI` is a secret, but `key_value_heads` is not.
            (Role::Key, _) => {
                key_kind(before).min(if before == Some("api") { NameKind::Secret } else { NameKind::Doubtful })
            }
            (Role::Token, Rest::Neutral) if before.is_some_and(|word| holds(words::OF_VOCABULARY, word)) => {
                NameKind::Plain
            }
            // A part of a vocabulary, as pipelines of language models return it.
            (Role::Token, Rest::Neutral) if before.is_none() && after == ["str"] => NameKind::Plain,
            (Role::Token, Rest::Neutral) => NameKind::Secret,
            (Role::Token, _) => NameKind::Doubtful,
            (Role::Tokens, Rest::Neutral) => match before {
                Some("access" | "api" | "auth" | "bearer" | "github" | "hf" | "hub" | "refresh" | "session") => {
                    NameKind::Secret
                }
                _ => NameKind::Plain,
            },
            (Role::Tokens, _) => NameKind::Plain,
            (Role::Pass, Rest::Neutral) if before.is_some_and(|word| holds(words::BEFORE_RUN, word)) => NameKind::Plain,
            (Role::Pass, Rest::Neutral) => NameKind::Password,
            (Role::Pass, _) if matches!(after[0], "phrase" | "word") => NameKind::Password,
            (Role::Pass, _) => NameKind::Plain,
            (Role::Pat, Rest::Neutral) => match before {
                Some(
                    "ado" | "azdo" | "azure" | "bitbucket" | "devops" | "gh" | "ghe" | "git" | "github" | "gitlab"
                    | "personal" | "snowflake",
                ) => NameKind::Secret,
                _ if is_alone => NameKind::Secret,
                _ => NameKind::Doubtful,
            },
            (Role::Pat, _) => NameKind::Plain,
        }
    };
    (0..words.len()).map(kind).max().unwrap_or(NameKind::Plain)
}
