//! The known word that a misspelled word most likely stands for.

/// Returns the candidate that `word` is most likely a misspelling of, or `None` if none is near enough.
///
/// A candidate is near enough if it differs only in case, or by at most one change for every three letters of `word`. A
/// change adds, removes or replaces a letter, or swaps two neighbors. The first of equally near candidates wins.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let allowed = word.len().div_ceil(3);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.to_lowercase().chars().collect();
        // The lengths alone rule out most candidates, and bound the cost of the others.
        if letters.len().abs_diff(word.len()) > allowed {
            continue;
        }
        let changes = distance_of_letters(&word, &letters);
        if changes <= allowed && changes < letters.len() && best.is_none_or(|(least, _)| changes < least) {
            best = Some((changes, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Returns the number of changes that turn `a` into `b`.
pub fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| text.chars().collect::<Vec<char>>();
    distance_of_letters(&letters(a), &letters(b))
}

/// Returns the optimal string alignment distance.
fn distance_of_letters(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let mut least = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + usize::from(a[i - 1] != b[j - 1]));
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn a_near_word_is_found_and_a_distant_one_is_not() {
        let files = ["requirements.txt", "train.py", "evaluate.py", "model.py"];
        for (word, expected) in [
            ("trian.py", Some("train.py")),
            ("Train.PY", Some("train.py")),
            ("trains.py", Some("train.py")),
            ("evalaute.py", Some("evaluate.py")),
            ("requirement.txt", Some("requirements.txt")),
            ("main.py", Some("train.py")),
            ("inference_server.py", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, files), expected, "{word}");
        }
        assert_eq!(nearest("ab", ["ac", "ad"]), Some("ac"));
        assert_eq!(nearest("a", ["b"]), None, "a word of one letter is near to no other");
    }

    #[test]
    fn two_swapped_letters_count_as_one_change() {
        for (a, b, changes) in
            [("", "", 0), ("abc", "", 3), ("abc", "acb", 1), ("kitten", "sitting", 3), ("äö", "öä", 1)]
        {
            assert_eq!(distance(a, b), changes, "{a} {b}");
        }
    }
}
