//! One requirement, such as `name[extra]>=1.0; python_version < "3.12"`, and its marker (PEP 508). The marker is the
//! condition after `;`.

use std::collections::BTreeMap;

use super::version::{Specifiers, Version};

/// A requirement that selects a package by name and version. Requirements by URL or path are not represented.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// The normal name of the package: lower case, with `-` between words.
    pub name: String,
    /// The normal names of the requested extras.
    pub extras: Vec<String>,
    /// The conditions on the version.
    pub specifiers: Specifiers,
    /// The text of the marker, if there is one.
    marker: Option<String>,
}

/// The values of the variables in markers, such as `python_version`, for one interpreter.
pub type MarkerValues = BTreeMap<String, String>;

/// Returns the normal form of the name of a package or an extra: `A__b.C` becomes `a-b-c`.
pub fn normal_name(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

impl Requirement {
    /// Parses a requirement; returns `None` if it has another form (a URL, a path, an option) or is malformed.
    pub fn parse(text: &str) -> Option<Requirement> {
        let (text, marker) = match text.split_once(';') {
            Some((text, marker)) => (text.trim(), Some(marker.trim().to_owned())),
            None => (text.trim(), None),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !name.ends_with(|c: char| c.is_ascii_alphanumeric())
        {
            return None;
        }
        let rest = rest.trim();
        let (extras, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let rest = rest.trim();
        let rest = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(rest);
        let extras = extras.split(',').map(str::trim).filter(|extra| !extra.is_empty()).map(normal_name).collect();
        Some(Requirement { name: normal_name(name), extras, specifiers: Specifiers::parse(rest)?, marker })
    }

    /// Returns true if the marker holds for the interpreter, either without an extra or with one of `extras`, the
    /// requested extras of the package that lists this requirement. Returns `None` if the marker cannot be evaluated.
    pub fn applies(&self, values: &MarkerValues, extras: &[String]) -> Option<bool> {
        let Some(marker) = &self.marker else { return Some(true) };
        let holds = |extra: &str| {
            let mut parser = MarkerParser { tokens: tokens(marker)?, at: 0, values, extra };
            let value = parser.any()?;
            (parser.at == parser.tokens.len()).then_some(value)
        };
        let mut applies = holds("")?;
        for extra in extras {
            applies |= holds(extra)?;
        }
        Some(applies)
    }
}

/// The variables of markers that installers know, with the older names of some.
const MARKER_VARIABLES: [&str; 18] = [
    "os_name",
    "sys_platform",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_version",
    "python_full_version",
    "implementation_name",
    "implementation_version",
    "extra",
    "os.name",
    "sys.platform",
    "platform.version",
    "platform.machine",
    "platform.python_implementation",
    "python_implementation",
];

/// Returns true if a text is a marker by the grammar of PEP 508, whatever its value is.
pub(super) fn is_well_formed_marker(text: &str) -> bool {
    let Some(tokens) = tokens(text) else { return false };
    let is_side = |token: Option<&MarkerToken>| match token {
        Some(MarkerToken::Text(_)) => true,
        Some(MarkerToken::Word(word)) => MARKER_VARIABLES.contains(&word.as_str()),
        Some(MarkerToken::Operator(_)) | None => false,
    };
    let is = |token: Option<&MarkerToken>, text: &str| match token {
        Some(MarkerToken::Operator(found) | MarkerToken::Word(found)) => found == text,
        Some(MarkerToken::Text(_)) | None => false,
    };
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        while is(tokens.get(at), "(") {
            (at, depth) = (at + 1, depth + 1);
        }
        let has_not = is(tokens.get(at + 1), "not");
        let operator_at = at + 1 + usize::from(has_not);
        let is_operator = match tokens.get(operator_at) {
            Some(MarkerToken::Operator(operator)) => !has_not && operator != "(" && operator != ")",
            Some(MarkerToken::Word(word)) => word == "in",
            Some(MarkerToken::Text(_)) | None => false,
        };
        if !is_side(tokens.get(at)) || !is_operator || !is_side(tokens.get(operator_at + 1)) {
            return false;
        }
        at = operator_at + 2;
        while depth > 0 && is(tokens.get(at), ")") {
            (at, depth) = (at + 1, depth - 1);
        }
        match tokens.get(at) {
            None => return depth == 0,
            Some(MarkerToken::Word(word)) if word == "and" || word == "or" => at += 1,
            Some(_) => return false,
        }
    }
}

/// A lexical unit of a marker.
#[derive(Clone, Debug, PartialEq)]
enum MarkerToken {
    /// A string, without its quotes.
    Text(String),
    /// A variable, or one of `and`, `or`, `in` and `not`.
    Word(String),
    /// A comparison or a parenthesis.
    Operator(String),
}

/// Splits a marker into tokens; returns `None` at a character that no token begins with.
fn tokens(text: &str) -> Option<Vec<MarkerToken>> {
    let (mut rest, mut found) = (text.trim_start(), Vec::new());
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' | '\'' => {
                let end = rest[1..].find(first)?;
                found.push(MarkerToken::Text(rest[1..=end].to_owned()));
                end + 2
            }
            '(' | ')' => {
                found.push(MarkerToken::Operator(first.to_string()));
                1
            }
            c if "<>=!~".contains(c) => {
                let end = rest.find(|c| !"<>=!~".contains(c))?;
                found.push(MarkerToken::Operator(rest[..end].to_owned()));
                end
            }
            c if c.is_ascii_alphabetic() => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c))).unwrap_or(rest.len());
                found.push(MarkerToken::Word(rest[..end].to_owned()));
                end
            }
            _ => return None,
        };
        rest = rest[taken..].trim_start();
    }
    Some(found)
}

/// The maximum number of tokens in a marker with parentheses. It bounds the depth of the recursion.
const MAX_TOKENS: usize = 1000;

/// A recursive descent parser that evaluates a marker while it reads it.
struct MarkerParser<'v> {
    tokens: Vec<MarkerToken>,
    at: usize,
    values: &'v MarkerValues,
    extra: &'v str,
}

/// One side of a comparison: its value, and true if it is the variable `extra`.
type Side = (String, bool);

impl MarkerParser<'_> {
    /// Takes this token if it is the next one; returns true if it was.
    fn take(&mut self, token: &MarkerToken) -> bool {
        let found = self.tokens.get(self.at) == Some(token);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.take(&MarkerToken::Word(word.to_owned()))
    }

    /// Evaluates operands joined by `or`.
    fn any(&mut self) -> Option<bool> {
        let mut value = self.all()?;
        while self.take_word("or") {
            value |= self.all()?;
        }
        Some(value)
    }

    /// Evaluates operands joined by `and`.
    fn all(&mut self) -> Option<bool> {
        let mut value = self.one()?;
        while self.take_word("and") {
            value &= self.one()?;
        }
        Some(value)
    }

    /// Evaluates a comparison or a group in parentheses.
    fn one(&mut self) -> Option<bool> {
        if self.take(&MarkerToken::Operator("(".to_owned())) {
            if self.tokens.len() > MAX_TOKENS {
                return None;
            }
            let value = self.any()?;
            return self.take(&MarkerToken::Operator(")".to_owned())).then_some(value);
        }
        let left = self.side()?;
        let operator = match self.tokens.get(self.at)?.clone() {
            MarkerToken::Operator(operator) => operator,
            MarkerToken::Word(word) if word == "in" => word,
            MarkerToken::Word(word)
                if word == "not" && self.tokens.get(self.at + 1) == Some(&MarkerToken::Word("in".to_owned())) =>
            {
                self.at += 1;
                "not in".to_owned()
            }
            _ => return None,
        };
        self.at += 1;
        let right = self.side()?;
        compare(&left, &operator, &right)
    }

    fn side(&mut self) -> Option<Side> {
        let side = match self.tokens.get(self.at)? {
            MarkerToken::Text(text) => (text.clone(), false),
            MarkerToken::Word(name) if name == "extra" => (self.extra.to_owned(), true),
            MarkerToken::Word(name) => (self.values.get(name)?.clone(), false),
            MarkerToken::Operator(_) => return None,
        };
        self.at += 1;
        Some(side)
    }
}

/// Compares two values as versions if the right one is a version, else as text. Returns `None` if the operator is
/// not defined for text, or if versions are compared and the left one is not a version.
fn compare((left, left_is_extra): &Side, operator: &str, (right, right_is_extra): &Side) -> Option<bool> {
    if *left_is_extra || *right_is_extra {
        let equal = normal_name(left) == normal_name(right);
        return match operator {
            "==" => Some(equal),
            "!=" => Some(!equal),
            _ => None,
        };
    }
    match operator {
        "in" => return Some(right.contains(left.as_str())),
        "not in" => return Some(!right.contains(left.as_str())),
        _ => {}
    }
    if let Some(specifiers) = Specifiers::parse(&format!("{operator}{right}")) {
        // `platform_release` is often not a version, for example 5.15.0-aws.
        return Version::parse(left).map(|version| specifiers.hold_for(&version));
    }
    match operator {
        "==" => Some(left == right),
        "!=" => Some(left != right),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{MarkerValues, Requirement, normal_name};

    fn values() -> MarkerValues {
        let pairs = [
            ("python_version", "3.11"),
            ("python_full_version", "3.11.7"),
            ("sys_platform", "linux"),
            ("platform_machine", "x86_64"),
            ("platform_release", "5.15.0-aws"),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_requirement_is_read_with_its_name_extras_and_versions() {
        let found = Requirement::parse("Ruamel._Yaml [JSON, big_int] (>=1,<2) ; python_version>'3'").expect("read");
        assert_eq!(
            (found.name.as_str(), found.extras.as_slice()),
            ("ruamel-yaml", &["json".to_owned(), "big-int".to_owned()][..])
        );
        assert_eq!(found.specifiers, super::Specifiers::parse(">=1,<2").expect("read"));
        for text in ["", "./local", "name @ https://x/y.whl", "https://x/y.whl", "a b", "-e .", "name-", "a[b", "a===1"]
        {
            assert_eq!(Requirement::parse(text), None, "{text}");
        }
        assert_eq!(normal_name("A__b.-C"), "a-b-c");
    }

    #[test]
    fn a_marker_holds_or_fails_or_cannot_be_evaluated() {
        for (marker, expected) in [
            ("python_version >= '3.9'", Some(true)),
            ("python_version < \"3.9\"", Some(false)),
            ("'3.9' <= python_full_version", Some(true)),
            ("sys_platform == 'win32' or platform_machine in 'x86_64 aarch64'", Some(true)),
            ("sys_platform == 'linux' and (python_version == '3.1.*' or python_version ~= '3.10')", Some(true)),
            ("sys_platform not in 'linux darwin'", Some(false)),
            ("sys_platform != 'darwin'", Some(true)),
            ("extra == 'json'", Some(false)),
            ("platform_release >= '20'", None),
            ("sys_platform > 'a'", None),
            ("unheard_of == 'x'", None),
            ("python_version >= '3.9' and", None),
            ("(python_version >= '3.9'", None),
            ("python_version >= '3.9') ", None),
            ("'unfinished", None),
        ] {
            let requirement = Requirement::parse(&format!("x; {marker}")).expect(marker);
            assert_eq!(requirement.applies(&values(), &[]), expected, "{marker}");
        }
        let requirement = Requirement::parse("x; extra == 'Big_Int'").expect("read");
        assert_eq!(requirement.applies(&values(), &["big-int".to_owned()]), Some(true));
    }
}
