//! Defects of a pattern that can be found before the job has written a line.

use regex_syntax::hir::{Class, Hir, HirKind, Look};
use thiserror::Error;

use super::core::Core;
use super::number::python_float;

/// A defect of a pattern.
#[derive(Clone, Debug, PartialEq, Error)]
pub(super) enum Defect {
    #[error("it has no group, so it gives no value: put the number into a group, such as {NUMBER}")]
    NoGroup,
    #[error("it can never match a line")]
    NeverMatches,
    #[error("its group is lazy and nothing follows it, so it is always empty: use {NUMBER}")]
    AlwaysEmpty,
    #[error("its group can never be a number: put only the number into it, such as {NUMBER}")]
    NeverNumber,
    #[error("it reads {number} as {value}: {NUMBER} reads every number")]
    Cuts {
        /// The number, as a script writes it.
        number: &'static str,
        /// The part of the number that the group captures.
        value: String,
    },
}

/// A group that captures every number completely.
const NUMBER: &str = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)";

/// The characters of texts that Python's `float` accepts, apart from white space.
const NUMBER_CHARACTERS: &str = "0123456789.+-_eEinftyaINFTYA";

/// Returns the first defect of a pattern that can be found without a line.
pub(super) fn defect(pattern: &Hir, core: &Core) -> Option<Defect> {
    if never_matches(pattern) {
        return Some(Defect::NeverMatches);
    }
    let mut around = Around::default();
    let Some(group) = around.find(pattern) else { return Some(Defect::NoGroup) };
    if prefers_empty(group) && around.prefers_empty_after {
        return Some(Defect::AlwaysEmpty);
    }
    if is_never_number(group) {
        return Some(Defect::NeverNumber);
    }
    let value = |number: &str| {
        let line = format!("{}{number}{}", around.before, around.after);
        core.search(&line).flatten().map(|group| line[group].to_owned())
    };
    // A group that captures only the whole part is meant for integers.
    let is_for_integers =
        |number: &str| number == "12.5" && python_float(&value(number).unwrap_or_default()) == Some(12.0);
    for number in ["12.5", "-12.5", "1.2e-05"] {
        match value(number) {
            Some(_) if is_for_integers(number) => return None,
            Some(value) if python_float(&value).is_some() && python_float(&value) != python_float(number) => {
                return Some(Defect::Cuts { number, value });
            }
            // The pattern captures no such numbers at all, or the invented line is not of the kind that it is meant
            // for.
            None if number == "12.5" => return None,
            _ => {}
        }
    }
    None
}

/// The context of the first group.
#[derive(Debug)]
struct Around {
    /// A text that the part of the pattern before the group may match.
    before: String,
    /// A text that the part of the pattern after the group may match.
    after: String,
    /// True if the part after the group prefers the empty text to a longer match.
    prefers_empty_after: bool,
}

impl Default for Around {
    fn default() -> Around {
        Around { before: String::new(), after: String::new(), prefers_empty_after: true }
    }
}

impl Around {
    /// Returns the content of the first group, and records the context around it.
    fn find<'a>(&mut self, pattern: &'a Hir) -> Option<&'a Hir> {
        match pattern.kind() {
            HirKind::Capture(capture) if capture.index == 1 => Some(&capture.sub),
            HirKind::Capture(capture) => self.find(&capture.sub),
            HirKind::Repetition(repetition) => self.find(&repetition.sub),
            HirKind::Alternation(branches) => branches.iter().find_map(|branch| self.find(branch)),
            HirKind::Concat(parts) => {
                let (at, group) = parts.iter().enumerate().find_map(|(at, part)| Some((at, self.find(part)?)))?;
                self.before.insert_str(0, &parts[..at].iter().map(example).collect::<String>());
                self.after.extend(parts[at + 1..].iter().map(example));
                self.prefers_empty_after &= parts[at + 1..].iter().all(prefers_empty);
                Some(group)
            }
            HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => None,
        }
    }
}

/// Returns a short text that a pattern matches, ignoring assertions such as `\b`.
fn example(pattern: &Hir) -> String {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => String::new(),
        HirKind::Literal(literal) => String::from_utf8_lossy(&literal.0).into_owned(),
        HirKind::Class(Class::Unicode(class)) => {
            let has = |letter: char| class.iter().any(|range| (range.start()..=range.end()).contains(&letter));
            let usual = "x 1:=,".chars().find(|letter| has(*letter));
            usual.or_else(|| class.iter().map(|range| range.start()).next()).map(String::from).unwrap_or_default()
        }
        HirKind::Class(Class::Bytes(class)) => class.iter().map(|range| char::from(range.start())).take(1).collect(),
        HirKind::Repetition(repetition) => example(&repetition.sub).repeat(repetition.min.min(100) as usize),
        HirKind::Capture(capture) => example(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(example).collect(),
        HirKind::Alternation(branches) => branches.first().map(example).unwrap_or_default(),
    }
}

/// Returns true if a pattern that nothing follows always matches the empty text rather than a longer one.
fn prefers_empty(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Empty => true,
        HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
        HirKind::Repetition(repetition) => {
            repetition.max == Some(0) || (repetition.min == 0 && !repetition.greedy) || prefers_empty(&repetition.sub)
        }
        HirKind::Capture(capture) => prefers_empty(&capture.sub),
        HirKind::Concat(parts) => parts.iter().all(prefers_empty),
        HirKind::Alternation(branches) => branches.first().is_some_and(prefers_empty),
    }
}

/// Returns true if every match of a pattern contains a character that no number contains.
fn is_never_number(pattern: &Hir) -> bool {
    let is_of_number = |letter: char| letter.is_whitespace() || NUMBER_CHARACTERS.contains(letter);
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => !String::from_utf8_lossy(&literal.0).chars().all(is_of_number),
        HirKind::Class(Class::Unicode(class)) => {
            let has = |letter: char| class.iter().any(|range| (range.start()..=range.end()).contains(&letter));
            !NUMBER_CHARACTERS.chars().chain(" \t".chars()).any(has)
        }
        HirKind::Class(Class::Bytes(_)) => false,
        HirKind::Repetition(repetition) => repetition.min > 0 && is_never_number(&repetition.sub),
        HirKind::Capture(capture) => is_never_number(&capture.sub),
        HirKind::Concat(parts) => parts.iter().any(is_never_number),
        HirKind::Alternation(branches) => branches.iter().all(is_never_number),
    }
}

/// Returns true if a pattern matches no line. A line does not contain its line end.
fn never_matches(pattern: &Hir) -> bool {
    let Some(_) = pattern.properties().minimum_len() else { return true };
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.iter().any(|byte| matches!(byte, b'\n' | b'\r')),
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().all(|range| range.start() == range.end() && matches!(range.start(), '\n' | '\r'))
        }
        HirKind::Class(Class::Bytes(_)) => false,
        HirKind::Repetition(repetition) => repetition.min > 0 && never_matches(&repetition.sub),
        HirKind::Capture(capture) => never_matches(&capture.sub),
        HirKind::Concat(parts) => {
            let takes = |part: &Hir| part.properties().minimum_len().is_some_and(|length| length > 0);
            let begins = |part: &Hir| {
                let looks = part.properties().look_set_prefix();
                looks.contains(Look::Start) || looks.contains(Look::StartLF)
            };
            let ends = |part: &Hir| {
                let looks = part.properties().look_set_suffix();
                looks.contains(Look::End) || looks.contains(Look::EndLF)
            };
            let starts_late = (1..parts.len()).any(|at| begins(&parts[at]) && parts[..at].iter().any(takes));
            let ends_early = (0..parts.len()).any(|at| ends(&parts[at]) && parts[at + 1..].iter().any(takes));
            starts_late || ends_early || parts.iter().any(never_matches)
        }
        HirKind::Alternation(branches) => branches.iter().all(never_matches),
    }
}

#[cfg(test)]
mod tests {
    use super::{Core, Defect, defect};

    fn of(pattern: &str) -> Option<Defect> {
        let hir = regex_syntax::parse(pattern).expect(pattern);
        defect(&hir, &Core::of(&hir).expect(pattern))
    }

    fn cuts(number: &'static str, value: &str) -> Option<Defect> {
        Some(Defect::Cuts { number, value: value.to_owned() })
    }

    #[test]
    fn patterns_that_cut_numbers_are_known_with_what_they_make_of_them() {
        for (pattern, expected) in [
            (r"loss: ([0-9\.]+)", cuts("1.2e-05", "1.2")),
            (r".*loss=([0-9.]+).*", cuts("1.2e-05", "1.2")),
            (r"loss=([-+]?\d+\.\d+)", cuts("1.2e-05", "1.2")),
            (r"loss=.*?([0-9.]+)", cuts("-12.5", "12.5")),
            (r"loss=.*([0-9.]+)", cuts("12.5", "5")),
            (r"loss=([0-9]+(.|e\-)[0-9]+),?", cuts("1.2e-05", "1.2")),
        ] {
            assert_eq!(of(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_take_whole_numbers_have_no_defect() {
        for pattern in [
            r"loss: (\S+)",
            r"loss: (.*?);",
            r"loss=([-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?)",
            r"epoch=(\d+)",
            r"epoch ([0-9]+)/[0-9]+",
            r"loss=([0-9.e+-]+)",
            r"loss: ([0-9\.]+) - acc",
            r"\bloss\b (.*)$",
        ] {
            assert_eq!(of(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_never_give_a_value_are_known() {
        for (pattern, expected) in [
            ("loss: [0-9.]+", Defect::NoGroup),
            ("loss:(.*?)", Defect::AlwaysEmpty),
            ("loss:([0-9.]*?)", Defect::AlwaysEmpty),
            ("loss:(.*?)[a-z]*?", Defect::AlwaysEmpty),
            (r"losses: (\[.*\])", Defect::NeverNumber),
            ("acc: ([0-9.]+%)", Defect::NeverNumber),
            ("loss$ ([0-9.]+)", Defect::NeverMatches),
            ("loss: ^([0-9.]+)", Defect::NeverMatches),
            (r"loss\nacc ([0-9.]+)", Defect::NeverMatches),
        ] {
            assert_eq!(of(pattern), Some(expected), "{pattern}");
        }
        assert_eq!(of("loss:(.*?)$"), None);
        assert_eq!(of(r"(?:^|,)loss=(\S+)"), None);
    }
}
