//! The core of a pattern: the part that has to be searched for.
//!
//! Many patterns of users begin and end with `.*`, which a search engine follows through the whole line, character by
//! character. The first `.*` only selects the last occurrence of the rest, and the last `.*` changes nothing at all.

use std::ops::Range;
use std::sync::OnceLock;

use memchr::memmem;
use regex::{CaptureLocations, Regex, RegexBuilder};
use regex_syntax::hir::{self, Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, HirKind, Look};

/// The maximum size of a compiled pattern, in bytes.
const MAX_COMPILED: usize = 2 << 20;

/// The weight of a pattern below which it is certainly smaller than [`MAX_COMPILED`]: no range of characters takes more than
/// 4 KiB.
const MAX_UNTRIED: u64 = (MAX_COMPILED >> 12) as u64;

/// The maximum size of the states that a pattern keeps while it runs, in bytes. A larger cache would only help on
/// lines that no other pattern is tried on.
const MAX_CACHE: usize = 64 << 10;

/// The maximum number of occurrences of a core that are inspected in a line. Inspecting all of them could take time
/// proportional to the square of the line's length.
const MAX_OCCURRENCES: usize = 16;

/// The part of a pattern without `.*` around it.
#[derive(Clone, Debug)]
pub(super) struct Core {
    /// The core for lines of ASCII. It needs much less memory than the other one, in which a class such as `\S` has
    /// hundreds of ranges. Like the other engines here, it is compiled when the first line must be searched, because
    /// many definitions match nothing, or only lines of ASCII.
    in_ascii: OnceLock<Option<Compiled>>,
    /// The core for other lines.
    in_text: OnceLock<Option<Compiled>>,
    core: Hir,
    /// The texts that each match contains, in this order. Empty if there is only one, which the search engine itself
    /// looks for.
    texts: Vec<memmem::Finder<'static>>,
    wanted: Occurrence,
    /// The whole pattern, for lines with many occurrences of the core.
    whole: OnceLock<Option<Regex>>,
    pattern: String,
}

/// A search engine, and the position of the first group in its matches.
#[derive(Clone, Debug)]
struct Compiled {
    regex: Regex,
    group: Group,
}

/// The occurrence of the core that is the match of the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occurrence {
    First,
    /// The pattern begins with `.*`.
    Last,
}

/// The position of the first group in a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// The numbers of bytes between the beginning of the match and the group, and between the group and the end of the match.
    Within(usize, usize),
    /// The search engine has to report the position, which takes as long as the search itself.
    Told,
}

impl Core {
    /// Compiles the core of a pattern, or returns `None` if it is too large.
    pub(super) fn of(pattern: &Hir) -> Option<Core> {
        let (core, wanted) = without_any(pattern);
        let mut texts = Texts::default();
        texts.collect(&core);
        texts.end();
        if let ([_], Some(prefix)) = (&texts.all[..], prefix_of(&core))
            && prefix == texts.all[0]
        {
            texts.all.clear();
        }
        let finders = texts.all.iter().map(|text| memmem::Finder::new(text).into_owned());
        // The core for lines of ASCII is smaller. Compiling takes 330 KiB for a moment.
        if weight_of(&core) > MAX_UNTRIED {
            Compiled::of(&core)?;
        }
        Some(Core {
            in_ascii: OnceLock::new(),
            in_text: OnceLock::new(),
            core,
            texts: finders.collect(),
            wanted,
            whole: OnceLock::new(),
            pattern: pattern.to_string(),
        })
    }

    /// Searches a line. Returns `None` if the line does not match the pattern. Otherwise returns the range of the
    /// first group, if the group takes part in the match.
    pub(super) fn search(&self, line: &str) -> Option<Option<Range<usize>>> {
        let mut rest = line.as_bytes();
        for text in &self.texts {
            rest = &rest[text.find(rest)? + text.needle().len()..];
        }
        let compiled = if line.is_ascii() {
            self.in_ascii.get_or_init(|| Compiled::of(&for_ascii(&self.core)))
        } else {
            self.in_text.get_or_init(|| Compiled::of(&self.core))
        };
        let compiled = compiled.as_ref()?;
        let mut places = compiled.regex.capture_locations();
        let (mut start, mut group) = compiled.next(line, 0, &mut places)?;
        if self.wanted == Occurrence::Last {
            let mut occurrences = 1;
            while let Some(length) = line[start..].chars().next().map(char::len_utf8) {
                let Some(next) = compiled.next(line, start + length, &mut places) else { break };
                occurrences += 1;
                if occurrences > MAX_OCCURRENCES {
                    return self.search_whole(line);
                }
                (start, group) = next;
            }
        }
        Some(group)
    }

    fn search_whole(&self, line: &str) -> Option<Option<Range<usize>>> {
        let whole = self.whole.get_or_init(|| compile(&self.pattern)).as_ref()?;
        whole.captures(line).map(|found| found.get(1).map(|group| group.range()))
    }
}

impl Compiled {
    /// Compiles a core, or returns `None` if it is too large.
    fn of(core: &Hir) -> Option<Compiled> {
        Some(Compiled { regex: compile(&core.to_string())?, group: group_of(core) })
    }

    /// Returns the start of the first match at or after `from`, and its first group.
    fn next(&self, line: &str, from: usize, places: &mut CaptureLocations) -> Option<(usize, Option<Range<usize>>)> {
        match self.group {
            Group::Within(before, after) => {
                let found = self.regex.find_at(line, from)?;
                Some((found.start(), Some(found.start() + before..found.end() - after)))
            }
            Group::Told => {
                let found = self.regex.captures_read_at(places, line, from)?;
                Some((found.start(), places.get(1).map(|(start, end)| start..end)))
            }
        }
    }
}

fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).size_limit(MAX_COMPILED).dfa_size_limit(MAX_CACHE).build().ok()
}

/// Returns the number of ranges of characters of a pattern, with its repetitions written out.
fn weight_of(pattern: &Hir) -> u64 {
    let all = |parts: &[Hir]| parts.iter().map(weight_of).fold(1, u64::saturating_add);
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(Class::Unicode(class)) => class.ranges().len() as u64,
        HirKind::Class(Class::Bytes(class)) => class.ranges().len() as u64,
        HirKind::Capture(capture) => weight_of(&capture.sub).saturating_add(2),
        HirKind::Repetition(repetition) => {
            let times = u64::from(repetition.max.unwrap_or(repetition.min)) + 1;
            weight_of(&repetition.sub).saturating_add(1).saturating_mul(times)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => all(parts),
    }
}

/// Returns a pattern that has the same matches in lines of ASCII, written with classes of bytes.
fn for_ascii(pattern: &Hir) -> Hir {
    let all = |parts: &[Hir]| parts.iter().map(for_ascii).collect();
    match pattern.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            let mut class = class.clone();
            class.intersect(&ClassUnicode::new([ClassUnicodeRange::new('\0', '\x7f')]));
            class.to_byte_class().map_or_else(Hir::fail, |bytes| Hir::class(Class::Bytes(bytes)))
        }
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            other => *other,
        }),
        HirKind::Repetition(repetition) => {
            Hir::repetition(hir::Repetition { sub: Box::new(for_ascii(&repetition.sub)), ..repetition.clone() })
        }
        HirKind::Capture(capture) => {
            Hir::capture(hir::Capture { sub: Box::new(for_ascii(&capture.sub)), ..capture.clone() })
        }
        HirKind::Concat(parts) => Hir::concat(all(parts)),
        HirKind::Alternation(parts) => Hir::alternation(all(parts)),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(Class::Bytes(_)) => pattern.clone(),
    }
}

/// Returns a pattern without the `.*` at its beginning and its end.
fn without_any(pattern: &Hir) -> (Hir, Occurrence) {
    let HirKind::Concat(parts) = pattern.kind() else { return (pattern.clone(), Occurrence::First) };
    let mut parts = &parts[..];
    while let [rest @ .., last] = parts
        && is_any(last).is_some()
        && !rest.is_empty()
    {
        parts = rest;
    }
    let mut wanted = Occurrence::First;
    if let [first, rest @ ..] = parts
        && let Some(is_greedy) = is_any(first)
        && !rest.is_empty()
    {
        parts = rest;
        wanted = if is_greedy { Occurrence::Last } else { Occurrence::First };
    }
    (Hir::concat(parts.to_vec()), wanted)
}

/// Finds the position of the first group in every match.
fn group_of(core: &Hir) -> Group {
    let parts = if let HirKind::Concat(parts) = core.kind() { &parts[..] } else { std::slice::from_ref(core) };
    let is_capture = |part: &Hir| matches!(part.kind(), HirKind::Capture(capture) if capture.index == 1);
    let Some(at) = parts.iter().position(is_capture) else { return Group::Told };
    let length = |parts: &[Hir]| -> Option<usize> {
        parts
            .iter()
            .map(|part| {
                let properties = part.properties();
                properties.minimum_len().filter(|length| properties.maximum_len() == Some(*length))
            })
            .sum()
    };
    match (length(&parts[..at]), length(&parts[at + 1..])) {
        (Some(before), Some(after)) => Group::Within(before, after),
        _ => Group::Told,
    }
}

/// Returns the text with which every match begins.
fn prefix_of(core: &Hir) -> Option<&[u8]> {
    match core.kind() {
        HirKind::Literal(literal) => Some(&literal.0),
        HirKind::Concat(parts) => parts.first().and_then(prefix_of),
        _ => None,
    }
}

/// Returns true for `.*`, false for `.*?`, and `None` for anything else.
fn is_any(part: &Hir) -> Option<bool> {
    match part.kind() {
        HirKind::Repetition(repetition) if repetition.min == 0 && repetition.max.is_none() => {
            (*repetition.sub == Hir::dot(Dot::AnyCharExceptLF)).then_some(repetition.greedy)
        }
        _ => None,
    }
}

/// The texts that every match of a pattern contains.
#[derive(Default)]
struct Texts {
    all: Vec<Vec<u8>>,
    /// The text that the next part may extend.
    current: Vec<u8>,
}

impl Texts {
    fn collect(&mut self, pattern: &Hir) {
        match pattern.kind() {
            HirKind::Literal(literal) => self.current.extend_from_slice(&literal.0),
            HirKind::Capture(capture) => self.collect(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.collect(part)),
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Class(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => self.end(),
        }
    }

    fn end(&mut self) {
        if !self.current.is_empty() {
            self.all.push(std::mem::take(&mut self.current));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop, prop_assert_eq, proptest};
    use regex::Regex;

    use super::{Core, Group, MAX_UNTRIED, Occurrence, compile, group_of, weight_of, without_any};

    #[test]
    fn what_stands_around_the_core_is_left_out() {
        for (pattern, core, wanted) in [
            (".*loss: ([0-9.]+).*", "loss: ([0-9.]+)", Occurrence::Last),
            (".*?loss: ([0-9.]+).*?.*", "loss: ([0-9.]+)", Occurrence::First),
            ("loss.*: (.*)", "loss.*: (.*)", Occurrence::First),
            (".*", ".*", Occurrence::First),
            (".*.*x", ".*x", Occurrence::Last),
            ("^.*x", "^.*x", Occurrence::First),
            ("[0-9]*x", "[0-9]*x", Occurrence::First),
        ] {
            let parsed = |pattern| regex_syntax::parse(pattern).expect(pattern);
            assert_eq!(without_any(&parsed(pattern)), (parsed(core), wanted), "{pattern}");
        }
    }

    #[test]
    fn a_group_between_parts_of_fixed_length_needs_no_further_search() {
        for (pattern, group) in [
            ("loss: ([0-9.]+)", Group::Within(6, 0)),
            ("[lL]oss: ([0-9.]+)%", Group::Within(6, 1)),
            ("loss=(.*?);", Group::Within(5, 1)),
            ("(?:a|bc)=([0-9]+)", Group::Told),
            ("é?(a+)", Group::Told),
            ("(?:x(a+))", Group::Within(1, 0)),
            ("(a+)", Group::Within(0, 0)),
            ("a(b)?", Group::Told),
        ] {
            let parsed = regex_syntax::parse(pattern).expect(pattern);
            assert_eq!(group_of(&parsed), group, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_is_small_by_its_weight_compiles() {
        // Ranges of characters of two, three and four bytes, none of which ends where an encoding has a boundary.
        for range in
            [(0x81, 0x7fe), (0x801, 0xffe), (0x1001, 0xd7fe), (0x81, 0xfffe), (0x10001, 0x10_fffe), (0x81, 0x10_fffe)]
        {
            let class = format!("[\\u{{{:x}}}-\\u{{{:x}}}]", range.0, range.1);
            let mut count = 1;
            while weight_of(&regex_syntax::parse(&class.repeat(count + 1)).expect("parsed")) <= MAX_UNTRIED {
                count += 1;
            }
            assert!(count > 400, "{count}");
            assert!(compile(&class.repeat(count)).is_some(), "{class} {count} times");
        }
        assert!(weight_of(&regex_syntax::parse(r"\w{9}").expect("parsed")) > MAX_UNTRIED);
        assert!(Core::of(&regex_syntax::parse(r"\w{900}").expect("parsed")).is_none());
    }

    /// Pieces of patterns that can follow each other in any order.
    const PIECES: [&str; 24] = [
        ".*",
        ".*?",
        "a",
        "ab",
        "é",
        "(a+)",
        "(b*)",
        "(?:a|b)",
        "[ab]",
        r"\b",
        "^",
        "$",
        "(.*)",
        "(.*?)",
        "x?",
        "(?i:B)",
        "(?i:k)",
        r"\S+",
        r"(\s)",
        r"\w",
        r"\B",
        "[^a]",
        "(?:é|b)",
        r"\b{start}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_core_finds_the_group_of_its_pattern(
            pieces in prop::collection::vec(0..PIECES.len(), 1..6),
            line in "[abx ]{0,40}|[abéxK\u{212a} ]{0,40}",
        ) {
            let pattern: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
            let whole = Regex::new(&pattern).expect("a pattern");
            let expected = whole.captures(&line).map(|found| found.get(1).map(|group| group.range()));
            let core = Core::of(&regex_syntax::parse(&pattern).expect("parsed")).expect("compiled");
            prop_assert_eq!(core.search(&line), expected, "{} in {:?}", pattern, line);
        }
    }
}
