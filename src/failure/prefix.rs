//! Prefixes that a program put before each line of another program. Examples are those of a logger that logs a
//! traceback line by line, `srun --label`, pdsh, Docker Compose, `ts`, and the drivers of Ray and vLLM.
//!
//! No list of prefixes is needed, because a traceback of Python or Java reveals its prefix: it is the text before the
//! first line of the traceback, if the same text precedes one of its calls.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::record::TRACEBACK;
use crate::failure::pattern::pattern;

/// The beginning of Java's report of an uncaught exception.
const JAVA: &str = "Exception in thread \"";

/// The maximum number of different prefixes. Each line is compared with all of them.
const MAX_SHAPES: usize = 8;

/// The maximum number of texts before tracebacks that are tried as prefixes.
const MAX_TRIED: usize = 64;

/// The maximum length of a prefix, in bytes.
const MAX_LENGTH: usize = 160;

/// The maximum number of lines, including those of other writers, between the first two lines of a traceback.
const NEAR: usize = 64;

/// Dates and times within a prefix. They differ from line to line and do not identify the writer.
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:\d{4}[-/])?\d\d[-/]\d\d[ T]|(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d |",
        r"\d\d?:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?(?: \d{4})?|\[\s*\d+\.\d+\]",
    ))
});

/// The rank in the prefix of `srun --label`, and in prefixes that name it.
static RANK: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*(?P<label>\d{1,5}): $|(?i:\brank[ :=_]?)(?P<named>\d{1,5})\b"));

/// The prefixes of a text.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    shapes: Vec<Regex>,
}

/// A line without its prefix.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stripped<'l> {
    /// The rest of the line.
    pub(super) text: &'l str,
    /// The prefix.
    pub(super) prefix: &'l str,
    /// The prefix without times, which identifies its writer.
    pub(super) writer: String,
    /// The rank that the prefix names.
    pub(super) rank: Option<usize>,
}

impl Prefixes {
    /// Finds the prefixes of a text with the help of the tracebacks in it. `plain` removes colours from a line.
    /// `belongs` returns true for a text before the first line of a traceback that is part of the traceback's format.
    pub(super) fn find<'t>(
        text: &'t str,
        plain: impl Fn(&'t str) -> Cow<'t, str>,
        belongs: impl Fn(&str) -> bool,
    ) -> Prefixes {
        let mut found = Prefixes::default();
        if !text.contains(TRACEBACK) && !text.contains(JAVA) {
            return found;
        }
        let lines: Vec<Cow<'_, str>> = text.split('\n').map(plain).collect();
        let mut tried = 0;
        for (at, line) in lines.iter().enumerate() {
            let of_python = line.trim_end().strip_suffix(TRACEBACK).map(|prefix| (prefix, "File \""));
            let of_java = || line.split_once(JAVA).map(|(prefix, _)| (prefix, "at "));
            let Some((prefix, call)) = of_python.or_else(of_java) else { continue };
            let is_prefix = prefix.len() <= MAX_LENGTH && prefix.ends_with([' ', ':', '|', ']', '>', '\t']);
            if !is_prefix || belongs(prefix) || found.strip(line).is_some_and(|stripped| stripped.prefix == prefix) {
                continue;
            }
            tried += 1;
            if tried > MAX_TRIED {
                break;
            }
            let Some(shape) = shape(prefix) else { continue };
            let is_of_call = |line: &Cow<'_, str>| {
                shape.find(line).is_some_and(|prefix| line[prefix.end()..].trim_start().starts_with(call))
            };
            if lines[at + 1..].iter().take(NEAR).any(is_of_call) {
                found.shapes.push(shape);
            }
            if found.shapes.len() == MAX_SHAPES {
                break;
            }
        }
        found
    }

    /// Returns a line without its prefix. `None` if it has no prefix.
    pub(super) fn strip<'l>(&self, line: &'l str) -> Option<Stripped<'l>> {
        let end = self.shapes.iter().find_map(|shape| shape.find(line))?.end();
        let (prefix, text) = line.split_at(end);
        let rank = RANK.captures(prefix).and_then(|found| {
            found.name("label").or(found.name("named")).and_then(|digits| digits.as_str().parse().ok())
        });
        let writer = TIME.replace_all(prefix, "").split_whitespace().collect::<Vec<_>>().join(" ");
        Some(Stripped { text, prefix, writer, rank })
    }
}

/// Returns the pattern of a prefix. It also matches the prefix with other numbers.
fn shape(prefix: &str) -> Option<Regex> {
    let mut shape = String::from("^");
    let mut rest = prefix;
    let indent = rest.len() - rest.trim_start().len();
    if indent > 0 || rest.starts_with(|c: char| c.is_ascii_digit()) {
        shape.push_str(r"\s*");
        rest = &rest[indent..];
    }
    while let Some(first) = rest.chars().next() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            shape.push_str(r"\d+");
            rest = &rest[digits..];
        } else {
            shape.push_str(&regex::escape(&rest[..first.len_utf8()]));
            rest = &rest[first.len_utf8()..];
        }
    }
    // An empty line may lack the blank at the end of the prefix.
    let shape = match shape.strip_suffix(' ') {
        Some(start) => format!("{start}(?: |$)"),
        None => shape,
    };
    Regex::new(&shape).ok()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::Prefixes;

    /// Returns the lines without their prefixes, and the writers of the lines that have a prefix.
    fn stripped(text: &str) -> Vec<(String, String, Option<usize>)> {
        let prefixes = Prefixes::find(text, Cow::Borrowed, |before| before.trim().is_empty());
        let strip = |line| match prefixes.strip(line) {
            Some(found) => (found.text.to_owned(), found.writer, found.rank),
            None => (line.to_owned(), String::new(), None),
        };
        text.lines().map(strip).collect()
    }

    #[test]
    fn a_prefix_is_found_by_the_first_two_lines_of_a_traceback() {
        let text = "trainer-1  | epoch 1\ntrainer-1  | Traceback (most recent call last):\ntrainer-1  |   File \"a.py\", line 1\ntrainer-1  |\ntrainer-1  | KeyError: 'a'\ndone";
        let texts: Vec<String> = stripped(text).into_iter().map(|(text, _, _)| text).collect();
        assert_eq!(
            texts,
            ["epoch 1", "Traceback (most recent call last):", "  File \"a.py\", line 1", "", "KeyError: 'a'", "done"]
        );
    }

    #[test]
    fn numbers_tell_writers_apart_and_times_do_not() {
        let text = " 9: Traceback (most recent call last):\n10: Traceback (most recent call last):\n 9:   File \"a.py\", line 1\n10:   File \"b.py\", line 2";
        let writers: Vec<_> = stripped(text).into_iter().map(|(_, writer, rank)| (writer, rank)).collect();
        let (nine, ten) = (("9:".to_owned(), Some(9)), ("10:".to_owned(), Some(10)));
        assert_eq!(writers, [nine.clone(), ten.clone(), nine, ten]);
        let text = "Nov  8 09:59:59 Traceback (most recent call last):\nNov  8 10:00:00   File \"a.py\", line 1";
        let writers: Vec<_> = stripped(text).into_iter().map(|(_, writer, _)| writer).collect();
        assert_eq!(writers, ["", ""]);
    }

    #[test]
    fn a_text_before_one_line_only_is_no_prefix() {
        let text = "train: Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'a'\ntrain: x";
        assert!(stripped(text).iter().all(|(_, writer, _)| writer.is_empty()));
        assert_eq!(stripped("a: b\na:   File \"x\"")[0].0, "a: b");
    }
}
