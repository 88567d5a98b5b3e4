//! Versions of Python packages and conditions on them (PEP 440).
//!
//! The contract is PyPA's package `packaging`, which every pip contains. Its releases 21.3 (in pip 23.2.1) and 26.3
//! disagree about a few conditions with `<` and `>` that involve pre-releases, post-releases or local versions, for
//! example about `>1.0.dev1` for 1.0.post1. This module returns the stricter answer: a condition that wrongly fails
//! only starts an installer, but one that wrongly holds would leave a package out.

use std::cmp::Ordering;

/// A version, ordered as pip orders it. Zeros at the end of the release do not count: `1.0` equals `1`.
#[derive(Clone, Debug)]
pub struct Version {
    epoch: u64,
    release: Vec<u64>,
    /// The stage of a pre-release (0 for `a`, 1 for `b`, 2 for `rc`) and its number.
    pre: Option<(u8, u64)>,
    post: Option<u64>,
    dev: Option<u64>,
    local: Option<Vec<LocalPart>>,
}

/// A part of a local version, the text after `+`. Any text is less than any number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LocalPart {
    Text(String),
    Number(u64),
}

/// The rest of a text that is read from its front.
struct Cursor<'t>(&'t str);

impl Cursor<'_> {
    /// Takes a decimal number; `None` if the text does not begin with one, or if it exceeds 64 bits.
    fn number(&mut self) -> Option<u64> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let number = self.0[..end].parse().ok()?;
        self.0 = &self.0[end..];
        Some(number)
    }

    /// Takes the first of these words that follows, with or without a separator before it, and returns its index.
    fn word(&mut self, words: &[&str]) -> Option<usize> {
        let rest = self.0.strip_prefix(['.', '-', '_']).unwrap_or(self.0);
        let (index, word) = words.iter().enumerate().find(|(_, word)| rest.starts_with(**word))?;
        self.0 = &rest[word.len()..];
        Some(index)
    }

    /// Takes the number after a word, with or without a separator before it; returns 0 if there is no number.
    fn number_after(&mut self) -> u64 {
        let whole = self.0;
        self.0 = self.0.strip_prefix(['.', '-', '_']).unwrap_or(self.0);
        self.number().unwrap_or_else(|| {
            self.0 = whole;
            0
        })
    }
}

impl Version {
    /// Parses a version; returns `None` if the text is not one, or if a number in it exceeds 64 bits.
    pub fn parse(text: &str) -> Option<Version> {
        let text = text.trim().to_ascii_lowercase();
        let (public, local) = match text.split_once('+') {
            Some((public, local)) => (public, Some(local)),
            None => (text.as_str(), None),
        };
        let public = public.strip_prefix('v').unwrap_or(public);
        let (epoch, rest) = match public.split_once('!') {
            Some((epoch, rest)) => (decimal(epoch)?, rest),
            None => (0, public),
        };
        let mut cursor = Cursor(rest);
        let mut release = vec![cursor.number()?];
        while let Some(rest) = cursor.0.strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            cursor.0 = rest;
            release.push(cursor.number()?);
        }
        // A word must stand before its own beginnings: `alpha` before `a`.
        let pre = cursor.word(&["alpha", "beta", "preview", "pre", "rc", "a", "b", "c"]).map(|index| {
            let stage = [0, 1, 2, 2, 2, 0, 1, 2][index];
            (stage, cursor.number_after())
        });
        let implicit = cursor.0.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let post = if let Some(rest) = implicit {
            cursor.0 = rest;
            Some(cursor.number()?)
        } else {
            cursor.word(&["post", "rev", "r"]).map(|_| cursor.number_after())
        };
        let dev = cursor.word(&["dev"]).map(|_| cursor.number_after());
        let part = |part: &str| match decimal(part) {
            Some(number) => Some(LocalPart::Number(number)),
            None if !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()) => {
                Some(LocalPart::Text(part.to_owned()))
            }
            None => None,
        };
        let local = match local {
            Some(local) => Some(local.split(['.', '-', '_']).map(part).collect::<Option<Vec<_>>>()?),
            None => None,
        };
        cursor.0.is_empty().then_some(Version { epoch, release, pre, post, dev, local })
    }

    /// Returns the number at an index of the release; 0 after its end.
    fn release_number(&self, index: usize) -> u64 {
        self.release.get(index).copied().unwrap_or(0)
    }

    /// Compares the epochs and the releases only.
    fn compare_base(&self, other: &Version) -> Ordering {
        let length = self.release.len().max(other.release.len());
        let numbers = || (0..length).map(|index| self.release_number(index).cmp(&other.release_number(index)));
        self.epoch.cmp(&other.epoch).then_with(|| numbers().find(|order| order.is_ne()).unwrap_or(Ordering::Equal))
    }

    fn compare(&self, other: &Version) -> Ordering {
        // A development release precedes the pre-releases of its release, and the release itself follows them.
        let pre = |version: &Version| match (version.pre, version.post, version.dev) {
            (Some((stage, number)), ..) => (i16::from(stage), number),
            (None, None, Some(_)) => (-1, 0),
            (None, ..) => (3, 0),
        };
        let dev = |version: &Version| version.dev.map_or((1, 0), |number| (0, number));
        self.compare_base(other)
            .then_with(|| pre(self).cmp(&pre(other)))
            .then_with(|| self.post.cmp(&other.post))
            .then_with(|| dev(self).cmp(&dev(other)))
            .then_with(|| self.local.cmp(&other.local))
    }

    fn without_local(&self) -> Version {
        Version { local: None, ..self.clone() }
    }

    /// Returns true if the epoch is this one and the release begins with these numbers.
    fn begins_with(&self, epoch: u64, numbers: &[u64]) -> bool {
        self.epoch == epoch && numbers.iter().enumerate().all(|(index, number)| self.release_number(index) == *number)
    }
}

/// Parses a number of digits only. `str::parse` alone would also accept a sign.
fn decimal(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.compare(other).is_eq()
    }
}

/// The conditions on a version, such as `>=1.0,!=1.5`. All of them must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Specifiers(Vec<Specifier>);

/// One condition. A version in it without a local part also matches installed versions with one.
#[derive(Clone, Debug, PartialEq)]
enum Specifier {
    Equal(Version),
    NotEqual(Version),
    BeginsWith(u64, Vec<u64>),
    DoesNotBeginWith(u64, Vec<u64>),
    AtLeast(Version),
    AtMost(Version),
    Greater(Version),
    Less(Version),
    Compatible(Version),
}

impl Specifiers {
    /// Parses conditions separated by commas; returns `None` if one is malformed or has the operator `===`, which this
    /// module does not decide.
    pub fn parse(text: &str) -> Option<Specifiers> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(Specifier::parse).collect::<Option<_>>().map(Specifiers)
    }

    /// Returns true if all conditions hold for a version. Pre-releases are accepted, as pip accepts installed ones.
    pub fn hold_for(&self, version: &Version) -> bool {
        self.0.iter().all(|specifier| specifier.holds_for(version))
    }
}

impl Specifier {
    fn parse(text: &str) -> Option<Specifier> {
        let operators = ["===", "==", "!=", "<=", ">=", "~=", "<", ">"];
        let operator = operators.into_iter().find(|operator| text.starts_with(operator))?;
        let rest = text[operator.len()..].trim();
        if let (Some(prefix), "==" | "!=") = (rest.strip_suffix(".*"), operator) {
            let version = Version::parse(prefix)?;
            let has_suffix = version.pre.is_some() || version.post.is_some() || version.dev.is_some();
            let is_plain = !has_suffix && version.local.is_none();
            let (epoch, release) = is_plain.then_some((version.epoch, version.release))?;
            return Some(if operator == "==" {
                Specifier::BeginsWith(epoch, release)
            } else {
                Specifier::DoesNotBeginWith(epoch, release)
            });
        }
        let version = Version::parse(rest)?;
        if version.local.is_some() && !matches!(operator, "==" | "!=") {
            return None;
        }
        Some(match operator {
            "==" => Specifier::Equal(version),
            "!=" => Specifier::NotEqual(version),
            "<=" => Specifier::AtMost(version),
            ">=" => Specifier::AtLeast(version),
            "<" => Specifier::Less(version),
            ">" => Specifier::Greater(version),
            "~=" if version.release.len() > 1 => Specifier::Compatible(version),
            _ => return None,
        })
    }

    fn holds_for(&self, found: &Version) -> bool {
        let is_equal = |version: &Version| match version.local {
            Some(_) => found == version,
            None => found.without_local() == *version,
        };
        let compared = |version: &Version| found.without_local().compare(version);
        let is_same_base = |version: &Version| found.compare_base(version).is_eq();
        match self {
            Specifier::Equal(version) => is_equal(version),
            Specifier::NotEqual(version) => !is_equal(version),
            Specifier::BeginsWith(epoch, numbers) => found.begins_with(*epoch, numbers),
            Specifier::DoesNotBeginWith(epoch, numbers) => !found.begins_with(*epoch, numbers),
            Specifier::AtLeast(version) => compared(version).is_ge(),
            Specifier::AtMost(version) => compared(version).is_le(),
            Specifier::Less(version) => {
                // `<2` excludes the pre-releases of 2, unless the condition names a pre-release itself.
                let is_early = |version: &Version| version.pre.is_some() || version.dev.is_some();
                found.compare(version).is_lt() && (is_early(version) || !is_early(found) || !is_same_base(version))
            }
            Specifier::Greater(version) => {
                // `>2` excludes the post-releases and the local versions of 2.
                let is_late = found.post.is_some() && version.post.is_none() || found.local.is_some();
                found.compare(version).is_gt() && !(is_late && is_same_base(version))
            }
            Specifier::Compatible(version) => {
                let prefix = &version.release[..version.release.len() - 1];
                compared(version).is_ge() && found.begins_with(version.epoch, prefix)
            }
        }
    }
}

#[cfg(test)]
mod tests;
