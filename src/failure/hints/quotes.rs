//! Texts in quotes within a message. The words of a library count only if a message states them. They do not count if
//! the message only quotes them: `LabelError: row 7 has the unknown category 'No GPU found'`.

use std::ops::Range;

use memchr::memmem;

use super::wording::{between, contains, parts};

/// The pairs of characters that begin and end a quote.
const PAIRS: [(char, char); 6] = [('\'', '\''), ('"', '"'), ('`', '`'), ('‘', '’'), ('“', '”'), ('«', '»')];

/// The letters before a quote with which Python writes a literal of bytes or of a string.
const PREFIXES: [char; 5] = ['b', 'B', 'u', 'r', 'f'];

/// Words before a quote with which a library passes on the message of an error: CUDA's, HDF5's, gRPC's and those of
/// JSON.
const PASSING: [&str; 11] = [
    "failure ",
    "failure 2 ",
    "error message = ",
    "details = ",
    "debug_error_string = ",
    "\"message\":",
    "\"message\": ",
    "'message': ",
    "\"error\":",
    "\"error\": ",
    "'error': ",
];

/// The ends of the names of exceptions, whose literals consist of the name and the message in quotes:
/// `NewConnectionError('…')`.
const EXCEPTIONS: [&str; 6] = ["Error", "Exception", "Timeout", "Disconnected", "error", "timeout"];

/// Built-in exceptions that indicate a mistake in the code.
const MISTAKES: [&str; 8] = [
    "KeyError",
    "IndexError",
    "NameError",
    "UnboundLocalError",
    "AttributeError",
    "TypeError",
    "AssertionError",
    "ZeroDivisionError",
];

/// A text, and the places in it that are in quotes.
#[derive(Clone, Default)]
pub(super) struct QuotingText {
    text: String,
    /// From each opening quote to its closing quote, without the latter.
    quotes: Vec<Range<usize>>,
}

impl QuotingText {
    /// Adds a text after a blank. Finds quotes in it only if `has_quotes`.
    pub(super) fn push(&mut self, text: &str, has_quotes: bool) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        let start = self.text.len();
        self.text.push_str(text);
        if has_quotes {
            let found = quotes(text).into_iter();
            self.quotes.extend(found.map(|quote| start + quote.start..start + quote.end));
        }
    }

    /// Adds another message after a blank.
    pub(super) fn append(&mut self, other: &QuotingText) {
        self.push(&other.text, false);
        let start = self.text.len() - other.text.len();
        self.quotes.extend(other.quotes.iter().map(|quote| start + quote.start..start + quote.end));
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns true if the text contains the parts of the wording, which are separated by `*`, in this order, and not
    /// all of them in quotes.
    pub(super) fn states(&self, wording: &str) -> bool {
        if self.quotes.is_empty() {
            return contains(&self.text, wording);
        }
        let mut from = 0;
        while let Some(places) = parts(&self.text, wording, from).collect::<Option<Vec<_>>>() {
            if !places.iter().all(|place| self.is_quoted(place)) {
                return true;
            }
            from = places[0].end.max(from + 1);
        }
        false
    }

    /// Returns the text between two wordings of which the first is not in quotes, if it is short enough to be shown.
    pub(super) fn between(&self, start: &str, end: &str) -> Option<&str> {
        let mut places = memmem::find_iter(self.text.as_bytes(), start).map(|at| at..at + start.len());
        let place = places.find(|place| !self.is_quoted(place))?;
        between(&self.text[place.start..], start, end)
    }

    /// Returns true if this place of the text is inside a quote.
    fn is_quoted(&self, place: &Range<usize>) -> bool {
        self.quotes.iter().any(|quote| quote.start < place.start && place.end <= quote.end)
    }
}

/// Returns the quotes of a text, except those in which a library passes on an error.
fn quotes(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // For each open bracket, true if it belongs to the literal of an exception.
    let mut brackets: Vec<bool> = Vec::new();
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let next = at + letter.len_utf8();
        match letter {
            '(' => brackets.push(brackets.last() == Some(&true) || is_literal(&text[..at], &text[next..])),
            ')' => {
                brackets.pop();
            }
            _ => {}
        }
        let pair = PAIRS.iter().find(|(open, _)| *open == letter).filter(|_| may_open(&text[..at]));
        let Some((_, close)) = pair else {
            at = next;
            continue;
        };
        // Python's multiprocessing passes on the traceback of a worker in three quotes.
        if text[at..].starts_with("\"\"\"") {
            at += 3;
            continue;
        }
        let Some(end) = closing(text, next, letter, *close) else {
            at = next;
            continue;
        };
        let passes_on = brackets.last() == Some(&true) || PASSING.iter().any(|word| text[..at].ends_with(word));
        if !passes_on {
            found.push(at..end);
        }
        at = end + text[end..].chars().next().map_or(1, char::len_utf8);
    }
    found
}

/// Returns true if a quote can begin behind this text. An apostrophe belongs to a word.
fn may_open(before: &str) -> bool {
    let mut letters = before.chars().rev();
    match letters.next() {
        Some(letter) if PREFIXES.contains(&letter) => letters.next().is_none_or(|letter| !letter.is_alphanumeric()),
        Some(letter) => !letter.is_alphanumeric() && letter != '\\',
        None => true,
    }
}

/// Returns the position of the closing quote. Compilers also end with `'` a quote that begins with a backtick.
fn closing(text: &str, from: usize, open: char, close: char) -> Option<usize> {
    let is_end = |letter: char| letter == close || open == '`' && letter == '\'';
    let ends = text[from..].char_indices().filter(|(_, letter)| is_end(*letter)).map(|(at, _)| from + at);
    ends.filter(|at| !text[..*at].ends_with('\\')).find(|at| {
        let mut behind = text[*at..].chars().skip(1);
        behind.next().is_none_or(|letter| !letter.is_alphanumeric())
    })
}

/// Returns true if an opening bracket between these texts begins the literal of an exception, or its number and message:
/// `SSLCertVerificationError: (1, '…')`.
fn is_literal(before: &str, after: &str) -> bool {
    let is_exception = |text: &str| {
        let start = text.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        text.get(start..).is_some_and(|name| EXCEPTIONS.iter().any(|end| name.ends_with(end)) && !only_quotes(name))
    };
    let is_numbered = || {
        let rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
        rest.len() < after.len() && rest.starts_with(", ")
    };
    is_exception(before) || before.strip_suffix(": ").is_some_and(|before| is_exception(before) && is_numbered())
}

/// Returns true if an exception of this name can only quote the errors of others. No driver, file system or service
/// raises such an exception.
pub(super) fn only_quotes(name: &str) -> bool {
    MISTAKES.contains(&name) || matches!(name, "ValueError" | "LookupError")
}

#[cfg(test)]
mod tests {
    use super::{QuotingText, quotes};

    #[test]
    fn quotes_of_data_are_found() {
        for (text, expected) in [
            ("KeyError: 'a b'", vec!["a b"]),
            ("labels: ['a', \"it's\"] can't be 'read'", vec!["a", "it's", "read"]),
            ("KeyError: b'x' of the workers' list", vec!["x"]),
            ("unknown text “a” or ‘b’ or `c`", vec!["a", "b", "c"]),
            (r"value 'it\'s x' here", vec![r"it\'s x"]),
            ("undefined reference to `f()' and `g()'", vec!["f()", "g()"]),
            ("no quotes: can't, 'tis", vec![]),
        ] {
            let found = quotes(text).into_iter();
            let found: Vec<&str> =
                found.map(|quote| text[quote].trim_start_matches(['\'', '"', '`', '‘', '“'])).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn an_error_that_a_library_passes_on_is_not_quoted() {
        let states = |text: &str| {
            let mut message = QuotingText::default();
            message.push(text, true);
            message.states("full * disk")
        };
        for text in [
            "a full disk or full hard disk",
            "(Caused by NewConnectionError('<x (1)>: full hard disk'))",
            "OperationalError: (2003, \"full hard disk on 'h'\")",
            "Cuda failure 'full hard disk'",
            "RemoteTraceback: \"\"\" full hard disk \"\"\"",
            "{\"message\":\"full hard disk\"}",
            "'full hard disk' of a full hard disk",
            "'full' is not a disk but a full 'hard disk'",
        ] {
            assert!(states(text), "{text}");
        }
        for text in [
            "the label 'full hard disk'",
            "Row(text='full hard disk')",
            "KeyError: (7, 'full hard disk')",
            "labels ['full x', 'hard disk']",
            "[\"full hard disk\"]",
        ] {
            assert!(!states(text), "{text}");
        }
    }
}
