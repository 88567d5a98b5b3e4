//! Prefixes that a program put before each line of another one: a logger that logs a traceback line by line, `srun --label`,
//! pdsh, Docker Compose, `ts`, and the drivers of Ray and vLLM.
//!
//! No list of them is needed, because a traceback shows its prefix: the text before its first line that stands before one of
//! its calls, too.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::record::TRACEBACK;
use crate::failure::pattern::pattern;

/// The maximum number of different prefixes. Each line is compared with all of them.
const MAX_SHAPES: usize = 8;

/// The maximum number of texts before tracebacks that are tried.
const MAX_TRIED: usize = 64;

/// The maximum length of a prefix, in bytes.
const MAX_LENGTH: usize = 160;

/// The maximum number of lines, of other writers too, between the first two lines of a traceback.
const NEAR: usize = 64;

/// Dates and times within a prefix, which differ from line to line and do not tell who wrote it.
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:\d{4}[-/])?\d\d[-/]\d\d[ T]|(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d |",
        r"\d\d?:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?(?: \d{4})?|\[\s*\d+\.\d+\]",
    ))
});

/// The rank in the prefix of `srun --label`, and where a prefix names it.
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
    /// The prefix without times, which tells its writer from others.
    pub(super) writer: String,
    /// The rank that the prefix names.
    pub(super) rank: Option<usize>,
}

impl Prefixes {
    /// Finds the prefixes of a text by the tracebacks in it. `plain` removes colours from a line. `belongs` is true for the text
    /// before the first line of a traceback that is a part of its format.
    pub(super) fn find<'t>(
        text: &'t str,
        plain: impl Fn(&'t str) -> Cow<'t, str>,
        belongs: impl Fn(&str) -> bool,
    ) -> Prefixes {
        let mut found = Prefixes::default();
        if !text.contains(TRACEBACK) {
            return found;
        }
        let lines: Vec<Cow<'_, str>> = text.split('\n').map(plain).collect();
        let mut tried = 0;
        for (at, line) in lines.iter().enumerate() {
            let Some(prefix) = line.trim_end().strip_suffix(TRACEBACK) else { continue };
            let is_prefix = prefix.len() <= MAX_LENGTH && prefix.ends_with([' ', ':', '|', ']', '>', '\t']);
            if !is_prefix || belongs(prefix) || found.strip(line).is_some_and(|stripped| stripped.text == TRACEBACK) {
                continue;
            }
            tried += 1;
            if tried > MAX_TRIED {
                break;
            }
            let Some(shape) = shape(prefix) else { continue };
            let is_of_call = |line: &Cow<'_, str>| {
                shape.find(line).is_some_and(|prefix| line[prefix.end()..].trim_start().starts_with("File \""))
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

    /// Returns a line without its prefix; `None` if it has none.
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

/// Returns the pattern of a prefix: other numbers may stand in it.
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
    // An empty line loses the blank at its end.
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

    /// Returns the lines without their prefixes, and the writers of those that have one.
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
