//! Removal of secrets from everything that footplate prints or writes, by one function, [`Redactor::clean`]. Also makes
//! text harmless for terminals: see [`visible`].
//!
//! A secret is recognized by its name ([`name_kind`]) or by its form: a token with a known prefix, the user part of a
//! URL, a private key. A number, a word, a path or a placeholder is not a secret, whatever its name is. The secrets
//! among the variables and hyperparameters are collected once, at the start. They are removed from every text in all
//! their spellings.
//!
//! The time for a text grows only with its length, whatever its content is, because texts come from scripts, servers
//! and other hosts.
//!
//! This folder must not decide where texts go. Every text that footplate prints or writes, and that contains the user's
//! data, passes through it. The script's own output does not, because it belongs to the user.

mod addresses;
mod below;
mod calls;
mod decoded;
mod forms;
mod headers;
mod known;
mod lines;
mod names;
mod notation;
mod part;
mod prefixes;
mod programs;
mod prose;
mod reading;
mod separator;
mod shapes;
#[cfg(test)]
mod tests;
mod tokens;
mod values;
mod visible;
mod words;
mod wrapped;

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
use values::{Pairing, is_harmless, is_secret};

/// The replacement of a secret in a text.
pub const HIDDEN: &str = "******";

/// The maximum size, in bytes, of a value that is searched for secrets by their forms. A larger value is data.
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
    /// Creates a redactor from names and values. It keeps only the values that are secrets, and the secrets within
    /// values.
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
            if is_secret(name_kind(name.as_ref()), value, Pairing::InText) {
                secrets.insert(value.to_owned());
            }
            if value.len() <= MAX_VALUE {
                let mut places = Vec::new();
                forms::find(value, Pairing::InText, &mut places);
                for place in places {
                    let found = &value[place];
                    // The user part of a URL holds a password that can also be used without the user's name.
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
        self.cleaned(text, Pairing::InText)
    }

    fn cleaned<'t>(&self, text: &'t str, beside: Pairing) -> Cow<'t, str> {
        let mut places = Vec::new();
        self.known.find(text, &mut places);
        forms::find(text, beside, &mut places);
        without(text, places)
    }

    /// Returns `value` as it may be shown next to `name`: hidden if its name makes it a secret, else cleaned.
    pub fn clean_value<'t>(&self, name: &str, value: &'t str) -> Cow<'t, str> {
        if is_secret(name_kind(name), value, Pairing::Certainly) {
            Cow::Borrowed(HIDDEN)
        } else {
            self.cleaned(value, Pairing::Certainly)
        }
    }

    /// Returns the words of a command, with the secrets after options such as `--api-key` hidden.
    pub fn clean_words<A: AsRef<str>>(&self, words: &[A]) -> Vec<String> {
        let mut option = "";
        let mut program = None;
        let mut secret_arguments = 0..0;
        let mut cleaned = Vec::with_capacity(words.len());
        for word in words.iter().map(AsRef::as_ref) {
            let taking = program.filter(|program: &Program| program.takes_password(option));
            let kind = if taking.is_some() { NameKind::Password } else { name_kind(option) };
            let holds = taking.and_then(|program| program.holds_password(option, word)).unwrap_or(true);
            if !option.is_empty() && !word.starts_with("--") && holds && is_secret(kind, word, Pairing::Certainly) {
                cleaned.push(HIDDEN.to_owned());
                option = "";
                continue;
            }
            if secret_arguments.contains(&cleaned.len()) {
                cleaned.push(HIDDEN.to_owned());
                option = "";
                continue;
            }
            let name = word.rsplit('/').next().unwrap_or_default();
            program = Program::named(name, program).or(program);
            if lines::has_rule(name) {
                let after = cleaned.len() + 1;
                let rest: Vec<&str> = words[after..].iter().map(AsRef::as_ref).collect();
                let secrets = lines::secret_arguments(name, &rest);
                secret_arguments = after + secrets.start..after + secrets.end;
            }
            if program.is_some_and(|program| program.has_password(word))
                && is_secret(NameKind::Password, &word[2..], Pairing::Certainly)
            {
                cleaned.push(format!("{}{HIDDEN}", &word[..2]));
                continue;
            }
            option = if word.starts_with('-') && !word.contains('=') { word } else { "" };
            cleaned.push(match word.split_once('=') {
                Some((name, value)) if name.bytes().all(tokens::is_word_byte) => {
                    format!("{}={}", self.clean(name), self.clean_value(name, value))
                }
                _ => self.cleaned(word, Pairing::Certainly).into_owned(),
            });
        }
        cleaned
    }

    /// Returns a command as one line that a shell can read, with the secrets after options such as `--api-key` hidden.
    pub fn clean_command<A: AsRef<str>>(&self, words: &[A]) -> String {
        let words: Vec<String> = self.clean_words(words).iter().map(|word| quoted(word).into_owned()).collect();
        // A secret can extend over several words, and short options can only be understood with the program before
        // them.
        self.clean(&words.join(" ")).into_owned()
    }
}

/// Returns a text with [`HIDDEN`] in place of these ranges, which may overlap.
fn without(text: &str, mut places: Vec<Range<usize>>) -> Cow<'_, str> {
    if places.is_empty() {
        return Cow::Borrowed(text);
    }
    places.sort_by_key(|place| place.start);
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for place in places {
        // A range ends inside a character if a secret matches only some of the bytes of that character.
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
