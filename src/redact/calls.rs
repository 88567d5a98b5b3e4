//! Secrets in lists and objects below a secret's name, and in calls that make credentials.

use std::ops::Range;

use super::forms::SecretScanner;
use super::names::NameKind;
use super::part::range_of;
use super::values::{is_random_word, is_secret};

/// The minimum length of an argument of `login` that is hidden because it looks random.
const MIN_ARGUMENT: usize = 32;

/// The maximum length, in bytes, of the part of a call that is examined.
const LONGEST_CALL: usize = 256;

impl SecretScanner<'_> {
    /// Hides the strings that look random in the call of a function `login`: `wandb.login(key="0a1b…")`.
    fn random_arguments(&mut self, start: usize) {
        let end = self.text.floor_char_boundary(start + LONGEST_CALL);
        let line = self.text[start..end].split(['\n', ')']).next().unwrap_or_default();
        for word in
            line.split(['"', '\'']).skip(1).step_by(2).filter(|word| word.len() >= MIN_ARGUMENT && is_random_word(word))
        {
            self.found.push(range_of(self.text, word));
        }
    }

    /// Hides the strings in a list or an object below a secret's name, except for the names in it.
    pub(super) fn nested(&mut self, kind: NameKind, start: usize) {
        let mut depth = 0;
        let mut at = start;
        while at < self.bytes.len() {
            match self.bytes[at] {
                b'\n' => break,
                b'{' | b'[' | b'(' => depth += 1,
                b'}' | b']' | b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'"' | b'\'' | b'\\' => {
                    if let Some((slashes, open)) = self.quote(at)
                        && let Some(end) = self.closing(slashes, open)
                    {
                        let after = end + slashes + 1;
                        let is_name = self.byte(after + self.blanks(after)) == b':';
                        if !is_name && is_secret(kind, &self.text[open..end], self.beside) {
                            self.found.push(open..end);
                        }
                        at = after;
                        continue;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        self.nested_until = at;
    }

    /// Hides the strings in a call that makes credentials: `HTTPBasicAuth('me', 'x9y8')`, `SecretStr('x9y8')`. Returns
    /// the position at which the search continues, or `None` for other words.
    pub(super) fn login_call(&mut self, name: Range<usize>) -> Option<usize> {
        let text = &self.text[name.clone()];
        let class = text.rsplit('.').next().unwrap_or_default();
        if class == "login" && self.byte(name.end) == b'(' {
            self.random_arguments(name.end);
            return None;
        }
        let is_login = class.ends_with("Auth")
            || class.ends_with("KeyCredential")
            || matches!(class, "ClientSecretCredential" | "Fernet" | "SecretStr" | "SecretBytes")
            || self.is_setter(name.clone());
        if !is_login || self.byte(name.end) != b'(' || name.end < self.nested_until {
            return None;
        }
        self.nested(NameKind::Secret, name.end);
        Some(name.end)
    }
}
