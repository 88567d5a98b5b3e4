//! Removal of secrets from everything that footplate prints or writes, by one function: [`Redactor::clean`]; and text that
//! does nothing to a terminal but appear on it: [`visible`].
//!
//! A secret is recognized by its name ([`name_kind`]) or by its form: a token with a known prefix, the user part of a URL, a
//! private key. A number, a word, a path or a placeholder is none, whatever its name. The secrets among the variables and
//! hyperparameters are collected once, at the start, and removed from every text in all their spellings.
//!
//! The time for a text grows with its length only, whatever it contains: texts come from scripts, servers and other hosts.
//!
//! It must not decide where texts go. Every text of the user's that leaves footplate passes through it, but the script's own
//! output, which is the user's, does not.

mod addresses;
mod decoded;
mod forms;
mod headers;
mod known;
mod names;
mod notation;
mod programs;
#[cfg(test)]
mod tests;
mod tokens;
mod values;
mod visible;
mod words;

pub use names::{NameKind, is_secret_name, name_kind};
pub use tokens::without_private_keys;
pub use visible::{visible, visible_json, visible_lines, visible_message};

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use known::Known;
use programs::Program;
use values::{Beside, is_harmless, is_secret};

/// The replacement of a secret in a text.
pub const HIDDEN: &str = "******";

/// The maximum size, in bytes, of a value in which secrets are looked for by their forms. A larger one is data.
const MAX_VALUE: usize = 64 << 10;

/// A remover of secrets from text. A job has one, made from its variables and hyperparameters.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Arc<BTreeSet<String>>,
    known: Arc<Known>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor of {} secrets", self.secrets.len())
    }
}

impl Redactor {
    /// Creates a redactor from names and values. Only the secrets among the values, and in them, are kept.
    pub fn new<N, V>(named_values: impl IntoIterator<Item = (N, V)>) -> Redactor
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        Redactor::default().with(named_values)
    }

    /// Returns a redactor that also removes the secrets among these values.
    pub fn with<N, V>(&self, named_values: impl IntoIterator<Item = (N, V)>) -> Redactor
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut secrets = BTreeSet::clone(&self.secrets);
        for (name, value) in named_values {
            let value = value.as_ref().trim();
            if is_secret(name_kind(name.as_ref()), value, Beside::InText) {
                secrets.insert(value.to_owned());
            }
            if value.len() <= MAX_VALUE {
                let mut places = Vec::new();
                forms::find(value, Beside::InText, &mut places);
                for place in places {
                    let found = &value[place];
                    // The user part of a URL holds a password that can be used without it.
                    let password = found.split_once(':').map(|(_, password)| password);
                    secrets.extend(
                        [Some(found), password]
                            .into_iter()
                            .flatten()
                            .filter(|part| !is_harmless(part))
                            .map(str::to_owned),
                    );
                }
            }
        }
        if secrets.len() == self.secrets.len() { self.clone() } else { Redactor::of(secrets) }
    }

    /// Returns a redactor that removes one more secret, whatever its name.
    pub fn and(&self, secret: &str) -> Redactor {
        let mut secrets = BTreeSet::clone(&self.secrets);
        secrets.insert(secret.to_owned());
        Redactor::of(secrets)
    }

    fn of(secrets: BTreeSet<String>) -> Redactor {
        Redactor { known: Arc::new(Known::new(&secrets)), secrets: Arc::new(secrets) }
    }

    /// Returns `text` without secrets. Every text that footplate prints or writes goes through this function.
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.cleaned(text, Beside::InText)
    }

    fn cleaned<'t>(&self, text: &'t str, beside: Beside) -> Cow<'t, str> {
        let mut places = Vec::new();
        self.known.find(text, &mut places);
        forms::find(text, beside, &mut places);
        without(text, places)
    }

    /// Returns `value` as it may be shown beside `name`: hidden if it is a secret by its name, else cleaned.
    pub fn clean_value<'t>(&self, name: &str, value: &'t str) -> Cow<'t, str> {
        if is_secret(name_kind(name), value, Beside::Certainly) {
            Cow::Borrowed(HIDDEN)
        } else {
            self.cleaned(value, Beside::Certainly)
        }
    }

    /// Returns the words of a command, with the secrets after options such as `--api-key` hidden.
    pub fn clean_words<A: AsRef<str>>(&self, words: &[A]) -> Vec<String> {
        let mut option = "";
        let mut program = None;
        let mut cleaned = Vec::with_capacity(words.len());
        for word in words.iter().map(AsRef::as_ref) {
            let takes_password = program.is_some_and(|program: Program| program.takes_password(option));
            let kind = if takes_password { NameKind::Password } else { name_kind(option) };
            if !option.is_empty() && !word.starts_with("--") && is_secret(kind, word, Beside::Certainly) {
                cleaned.push(HIDDEN.to_owned());
                option = "";
                continue;
            }
            program = Program::named(word.rsplit('/').next().unwrap_or_default()).or(program);
            if program.is_some_and(|program| program.has_password(word))
                && is_secret(NameKind::Password, &word[2..], Beside::Certainly)
            {
                cleaned.push(format!("{}{HIDDEN}", &word[..2]));
                continue;
            }
            option = if word.starts_with('-') && !word.contains('=') { word } else { "" };
            cleaned.push(match word.split_once('=') {
                Some((name, value)) if name.bytes().all(tokens::is_word_byte) => {
                    format!("{}={}", self.clean(name), self.clean_value(name, value))
                }
                _ => self.cleaned(word, Beside::Certainly).into_owned(),
            });
        }
        cleaned
    }

    /// Returns a command as one line that a shell can read, with the secrets after options such as `--api-key` hidden.
    pub fn clean_command<A: AsRef<str>>(&self, words: &[A]) -> String {
        let words: Vec<String> = self.clean_words(words).iter().map(|word| quoted(word).into_owned()).collect();
        // A secret can span words, and short options are read with the program before them.
        self.clean(&words.join(" ")).into_owned()
    }
}

/// Returns a text with [`HIDDEN`] in place of these parts, which may overlap.
fn without(text: &str, mut places: Vec<Range<usize>>) -> Cow<'_, str> {
    if places.is_empty() {
        return Cow::Borrowed(text);
    }
    places.sort_by_key(|place| place.start);
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for place in places {
        // A place ends inside a character if a secret agrees with the text in a part of the character only.
        let (from, to) = (text.floor_char_boundary(place.start), text.ceil_char_boundary(place.end));
        if from > end || end == 0 {
            out.push_str(&text[end..from]);
            out.push_str(HIDDEN);
        }
        end = end.max(to);
    }
    out.push_str(&text[end..]);
    Cow::Owned(out)
}

/// Returns `text` quoted for a POSIX shell: unquoted if that is safe, else in single quotes.
fn quoted(text: &str) -> Cow<'_, str> {
    let bare = |c: char| c.is_alphanumeric() || "_@%+=:,./-*".contains(c);
    if !text.is_empty() && text.chars().all(bare) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
    }
}
