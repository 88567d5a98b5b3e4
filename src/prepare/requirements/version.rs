//! Versions of Python packages and conditions on them, as PEP 440 has them.

use std::cmp::Ordering;

/// A version. Two that differ only in zeros at the end of the release are equal.
#[derive(Clone, Debug)]
pub struct Version {
    epoch: u64,
    release: Vec<u64>,
    /// 0 for `a`, 1 for `b`, 2 for `rc`.
    pre: Option<(u8, u64)>,
    post: Option<u64>,
    dev: Option<u64>,
    local: Option<Vec<Part>>,
}

/// A part of a local version: text is less than any number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Text(String),
    Number(u64),
}

/// Reads a text from its front.
struct Cursor<'t>(&'t str);

impl Cursor<'_> {
    fn number(&mut self) -> Option<u64> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let number = self.0[..end].parse().ok()?;
        self.0 = &self.0[end..];
        Some(number)
    }

    /// Takes one of these words, with a separator before it or none; gives its place.
    fn word(&mut self, words: &[&str]) -> Option<usize> {
        let rest = self.0.strip_prefix(['.', '-', '_']).unwrap_or(self.0);
        let (place, word) = words.iter().enumerate().find(|(_, word)| rest.starts_with(**word))?;
        self.0 = &rest[word.len()..];
        Some(place)
    }

    /// The number after a word, with a separator before it or none; 0 where there is none.
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
    /// Reads one; `None` if it is none.
    pub fn parse(text: &str) -> Option<Version> {
        let text = text.trim().to_ascii_lowercase();
        let (public, local) = match text.split_once('+') {
            Some((public, local)) => (public, Some(local)),
            None => (text.as_str(), None),
        };
        let public = public.strip_prefix('v').unwrap_or(public);
        let (epoch, rest) = match public.split_once('!') {
            Some((epoch, rest)) => (epoch.parse().ok()?, rest),
            None => (0, public),
        };
        let mut cursor = Cursor(rest);
        let mut release = vec![cursor.number()?];
        while let Some(rest) = cursor.0.strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            cursor.0 = rest;
            release.push(cursor.number()?);
        }
        // The longer words first.
        let pre = cursor.word(&["alpha", "beta", "preview", "pre", "rc", "a", "b", "c"]).map(|place| {
            let kind = [0, 1, 2, 2, 2, 0, 1, 2][place];
            (kind, cursor.number_after())
        });
        let implicit = cursor.0.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let post = if let Some(rest) = implicit {
            cursor.0 = rest;
            Some(cursor.number()?)
        } else {
            cursor.word(&["post", "rev", "r"]).map(|_| cursor.number_after())
        };
        let dev = cursor.word(&["dev"]).map(|_| cursor.number_after());
        let part = |part: &str| match part.parse() {
            Ok(number) => Some(Part::Number(number)),
            Err(_) if !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()) => {
                Some(Part::Text(part.to_owned()))
            }
            Err(_) => None,
        };
        let local = match local {
            Some(local) => Some(local.split(['.', '-', '_']).map(part).collect::<Option<Vec<_>>>()?),
            None => None,
        };
        cursor.0.is_empty().then_some(Version { epoch, release, pre, post, dev, local })
    }

    /// A number of the release; zeros follow without end.
    fn number(&self, place: usize) -> u64 {
        self.release.get(place).copied().unwrap_or(0)
    }

    fn compare_base(&self, other: &Version) -> Ordering {
        let places = self.release.len().max(other.release.len());
        let numbers = || (0..places).map(|place| self.number(place).cmp(&other.number(place)));
        self.epoch.cmp(&other.epoch).then_with(|| numbers().find(|order| order.is_ne()).unwrap_or(Ordering::Equal))
    }

    fn compare(&self, other: &Version) -> Ordering {
        // A development release comes before the pre-releases of the same release, the release itself after them.
        let pre = |version: &Version| match (version.pre, version.post, version.dev) {
            (Some((kind, number)), ..) => (i16::from(kind), number),
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

    /// Whether the release begins with these numbers, in the same epoch.
    fn begins_with(&self, epoch: u64, numbers: &[u64]) -> bool {
        self.epoch == epoch && numbers.iter().enumerate().all(|(place, number)| self.number(place) == *number)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.compare(other).is_eq()
    }
}

/// Conditions on a version, all of which must hold: `>=1.0,!=1.5`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Specifiers(Vec<Specifier>);

#[derive(Clone, Debug, PartialEq)]
enum Specifier {
    Is(Version),
    IsNot(Version),
    Begins(u64, Vec<u64>),
    BeginsNot(u64, Vec<u64>),
    AtLeast(Version),
    AtMost(Version),
    More(Version),
    Less(Version),
    Compatible(Version),
}

impl Specifiers {
    /// Reads them; `None` if they cannot be read, or are ones that this does not decide (`===`).
    pub fn parse(text: &str) -> Option<Specifiers> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(Specifier::parse).collect::<Option<_>>().map(Specifiers)
    }

    /// Whether all hold for a version; pre-releases are versions like others, as pip has it for what is installed.
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
            let is_plain = version.pre.is_none() && version.post.is_none() && version.dev.is_none();
            let (epoch, release) = is_plain.then_some((version.epoch, version.release))?;
            return Some(if operator == "==" {
                Specifier::Begins(epoch, release)
            } else {
                Specifier::BeginsNot(epoch, release)
            });
        }
        let version = Version::parse(rest)?;
        if version.local.is_some() && !matches!(operator, "==" | "!=") {
            return None;
        }
        Some(match operator {
            "==" => Specifier::Is(version),
            "!=" => Specifier::IsNot(version),
            "<=" => Specifier::AtMost(version),
            ">=" => Specifier::AtLeast(version),
            "<" => Specifier::Less(version),
            ">" => Specifier::More(version),
            "~=" if version.release.len() > 1 => Specifier::Compatible(version),
            _ => return None,
        })
    }

    fn holds_for(&self, found: &Version) -> bool {
        let is = |version: &Version| match version.local {
            Some(_) => found == version,
            None => found.without_local() == *version,
        };
        let compared = |version: &Version| found.without_local().compare(version);
        let is_same_base = |version: &Version| found.compare_base(version).is_eq();
        match self {
            Specifier::Is(version) => is(version),
            Specifier::IsNot(version) => !is(version),
            Specifier::Begins(epoch, numbers) => found.begins_with(*epoch, numbers),
            Specifier::BeginsNot(epoch, numbers) => !found.begins_with(*epoch, numbers),
            Specifier::AtLeast(version) => compared(version).is_ge(),
            Specifier::AtMost(version) => compared(version).is_le(),
            Specifier::Less(version) => {
                let is_early = |version: &Version| version.pre.is_some() || version.dev.is_some();
                found.compare(version).is_lt() && (is_early(version) || !is_early(found) || !is_same_base(version))
            }
            Specifier::More(version) => {
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
mod tests {
    use super::{Specifiers, Version};

    #[test]
    fn versions_stand_in_their_order() {
        let order = [
            "1.dev0",
            "1.0.dev456",
            "1.0a1",
            "1.0a2.dev456",
            "1.0a12.dev456",
            "1.0a12",
            "1.0b1.dev456",
            "1.0b2",
            "1.0b2.post345.dev456",
            "1.0b2.post345",
            "1.0rc1.dev456",
            "1.0rc1",
            "1.0",
            "1.0+abc.5",
            "1.0+abc.7",
            "1.0+5",
            "1.0.post456.dev34",
            "1.0.post456",
            "1.0.15",
            "1.1.dev1",
            "1!0.1",
        ];
        let versions: Vec<Version> = order.iter().map(|text| Version::parse(text).expect(text)).collect();
        for (a, left) in versions.iter().enumerate() {
            for (b, right) in versions.iter().enumerate() {
                assert_eq!(left.compare(right), a.cmp(&b), "{} {}", order[a], order[b]);
            }
        }
        for (left, right) in
            [("1.0", "1"), ("v1.0-alpha.1", "1a1"), ("1.0-1", "1.0.post1"), ("1.0_rev2", "1.post2"), ("1C1", "1rc1")]
        {
            assert_eq!(Version::parse(left), Version::parse(right));
        }
        for text in ["", "x", "1.", "1.0x", "1.0+", "1..0", "1.0 2"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn conditions_hold_as_pip_has_them() {
        for (specifiers, version, holds) in [
            ("", "1.0", true),
            ("==1.0", "1.0+cu121", true),
            ("==1.0+cu121", "1.0", false),
            ("== 1.0 , !=1.0.1", "1", true),
            ("!=1.0", "1.0+cpu", false),
            ("==2.*", "2.3.1", true),
            ("==2.*", "20.1", false),
            ("!=2.3.*", "2.3", false),
            ("<=1.0", "1.0+cpu", true),
            ("<2", "2.0rc1", false),
            ("<2.0rc2", "2.0rc1", true),
            ("<2", "1.9rc1", true),
            (">1.0", "1.0.post1", false),
            (">1.0", "1.0+cpu", false),
            (">1.0", "1.0.1+cpu", true),
            (">=1.0", "2.0b1", true),
            ("~=1.4.5", "1.4.9", true),
            ("~=1.4.5", "1.5", false),
            ("~=2.2", "2.9", true),
            (">=1,<2", "2.0", false),
        ] {
            let found =
                Specifiers::parse(specifiers).expect(specifiers).hold_for(&Version::parse(version).expect(version));
            assert_eq!(found, holds, "{specifiers} {version}");
        }
        for text in ["===1.0", "1.0", "=1.0", "~=1", ">=1.*", ">=1.0+x", "==x"] {
            assert_eq!(Specifiers::parse(text), None, "{text}");
        }
    }
}
