//! Patterns that are written in this folder's code.

use regex::Regex;

/// The members of `\d`.
const DIGITS: &str = "0-9";

/// The members of `\s`.
const BLANKS: &str = r"\t-\r ";

/// The members of `\w`: those of ASCII, and the blocks of Unicode that consist of letters. The exact class has hundreds of
/// ranges.
const WORD: &str = r"0-9A-Za-z_\u{C0}-\u{1FFF}\u{2C00}-\u{2FEF}\u{3040}-\u{D7FF}\u{F900}-\u{FAFF}";

/// The flag of a pattern that ignores the case of letters. Its `\w` stays as it is, because the case of each member would
/// be looked up.
const ANY_CASE: &str = "(?i)";

/// Compiles a pattern that is written in this code.
///
/// Judging a failure compiles dozens of patterns, which takes twice as long with the classes of Unicode. So `\d` and `\s`
/// consist of ASCII characters, and `\w` of a few blocks of letters. `\b` considers only ASCII letters: with those of all
/// languages, matching a text in another language would take a hundred times as long.
///
/// # Panics
/// The pattern is not valid.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(&with_small_classes(text)).expect("a valid pattern")
}

/// Returns the pattern with small classes in place of those of Unicode.
fn with_small_classes(text: &str) -> String {
    let ignores_case = text.contains(ANY_CASE);
    let mut written = String::with_capacity(text.len() * 2);
    let mut open_brackets: usize = 0;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            match letter {
                '[' => open_brackets += 1,
                ']' => open_brackets = open_brackets.saturating_sub(1),
                _ => {}
            }
            written.push(letter);
            continue;
        }
        let escaped = letters.next().unwrap_or_default();
        let (negation, members) = match escaped {
            'd' => ("", DIGITS),
            'D' => ("^", DIGITS),
            's' => ("", BLANKS),
            'S' => ("^", BLANKS),
            'w' if !ignores_case => ("", WORD),
            'W' if !ignores_case => ("^", WORD),
            'b' => {
                written.push_str(r"(?-u:\b)");
                continue;
            }
            other => {
                written.extend(['\\', other]);
                continue;
            }
        };
        if open_brackets > 0 && negation.is_empty() {
            written.push_str(members);
        } else {
            written.extend(["[", negation, members, "]"]);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn a_word_ends_before_a_letter_of_another_language() {
        let error = pattern(r"\berror\b");
        let found = error.find_iter("error: é error错误 noerror").map(|found| found.start());
        assert_eq!(found.collect::<Vec<_>>(), [0, 10]);
    }

    #[test]
    fn the_classes_have_the_members_that_texts_have() {
        for (text, matching, others) in [
            (
                r"^\w+$",
                vec!["Error_1", "Fehlerö", "Ошибка", "错误", "エラー", "오류"],
                vec!["a b", "─", "“", "→", "：", "a-b"],
            ),
            (r"^\W+$", vec!["- ", "→ ", "…", "│"], vec!["é", "_", "错"]),
            (r"^[\w.]+$", vec!["a.b", "é.错"], vec!["a,b", "→"]),
            (r"^[^\w\s]+$", vec!["→-", "⚠"], vec!["a", " ", "ö"]),
            (r"^\d+$", vec!["0123456789"], vec!["", "x", "１"]),
            (r"^[^\d\]]+$", vec!["ab"], vec!["1", "]"]),
            (r"^\D$", vec!["x", "é"], vec!["5"]),
            (r"^a\sb\S$", vec!["a bc", "a\tbé", "a\u{b}b."], vec!["ab", "a b "]),
            (r"(?i)^\w+ Ä\d$", vec!["öX ä1"], vec!["→ ä1"]),
            (r"^\\d\.$", vec![r"\d."], vec!["5."]),
        ] {
            let compiled = pattern(text);
            assert_eq!(matching.iter().find(|text| !compiled.is_match(text)), None, "{text}");
            assert_eq!(others.iter().find(|text| compiled.is_match(text)), None, "{text}");
        }
    }
}
