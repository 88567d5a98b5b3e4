//! Patterns that are written in this folder's code.

use regex::Regex;

/// Compiles a pattern that is written in this code. `\b` in it considers only ASCII letters. With the letters of all
/// languages, matching a text in another language would take a hundred times as long.
///
/// # Panics
/// The pattern is not valid.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(&text.replace(r"\b", r"(?-u:\b)")).expect("a valid pattern")
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
}
