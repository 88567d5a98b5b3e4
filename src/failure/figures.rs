//! Lines that consist of figures and their names, with which a training reports its progress.

use super::noise;

/// The maximum number of words around each figure in a list of figures.
pub(super) const WORDS_OF_FIGURE: usize = 2;

/// Returns true if a line of a training contains only figures and their names: `step 120 loss 0.31`.
pub(super) fn is_figures(line: &str) -> bool {
    let (numbers, words) = counted(line);
    numbers > 1 && words <= WORDS_OF_FIGURE * numbers && noise::is_step(line)
}

/// Returns the number of figures and of words in a line.
pub(super) fn counted(line: &str) -> (usize, usize) {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '%');
    let parts = line.split(|c| !is_part(c)).filter(|part| part.contains(char::is_alphanumeric));
    let is_number = |part: &&str| {
        part.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()) || matches!(*part, "nan" | "inf")
    };
    let (numbers, words): (Vec<&str>, Vec<&str>) = parts.partition(is_number);
    (numbers.len(), words.len())
}
