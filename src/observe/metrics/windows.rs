//! Windows: short texts, at least one of which is in every match of a pattern.
//!
//! Looking for a few rare texts in a whole block of output costs far less than trying each pattern on each line. Only
//! a line that contains one of a pattern's texts is tried.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::rarity::Rarity;

/// The length of a window, in bytes. A longer one is hardly rarer, and short windows of equal length are found
/// faster.
const LENGTH: usize = 4;

/// The maximum number of windows of a pattern.
const MAX_WINDOWS: usize = 32;

/// The maximum number of spellings of one character, such as `l` and `L`.
const MAX_SPELLINGS: usize = 4;

/// The windows of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Windows {
    pub(super) texts: Vec<Vec<u8>>,
    /// The estimated frequency of all windows together.
    frequency: f32,
}

impl Windows {
    /// Returns the rarest windows of a pattern. `None` if no text is certain to appear in every match.
    pub(super) fn of(pattern: &Hir, rarity: &Rarity) -> Option<Windows> {
        match pattern.kind() {
            HirKind::Empty | HirKind::Look(_) => None,
            HirKind::Literal(_) | HirKind::Class(_) => Windows::of_sequence(std::slice::from_ref(pattern), rarity),
            HirKind::Repetition(repetition) => {
                if repetition.min == 0 {
                    None
                } else {
                    Windows::of(&repetition.sub, rarity)
                }
            }
            HirKind::Capture(capture) => Windows::of(&capture.sub, rarity),
            HirKind::Concat(parts) => Windows::of_sequence(parts, rarity),
            HirKind::Alternation(branches) => {
                let mut all = Windows { texts: Vec::new(), frequency: 0.0 };
                for branch in branches {
                    let windows = Windows::of(branch, rarity)?;
                    all.texts.extend(windows.texts);
                    all.frequency += windows.frequency;
                }
                all.texts.sort();
                all.texts.dedup();
                (all.texts.len() <= MAX_WINDOWS).then_some(all)
            }
        }
    }

    /// Returns the rarest windows among those of the parts and those that span several parts.
    fn of_sequence(parts: &[Hir], rarity: &Rarity) -> Option<Windows> {
        let mut best: Option<Windows> = None;
        let mut run: Vec<Vec<Vec<u8>>> = Vec::new();
        for part in parts {
            match spellings(part) {
                Some(spelled) => run.extend(spelled),
                None => {
                    best = rarer(best, Windows::of_run(&run, rarity));
                    run.clear();
                    if !matches!(part.kind(), HirKind::Literal(_) | HirKind::Class(_)) {
                        best = rarer(best, Windows::of(part, rarity));
                    }
                }
            }
        }
        rarer(best, Windows::of_run(&run, rarity))
    }

    /// Returns the rarest windows of a run of characters, each given with its spellings.
    fn of_run(run: &[Vec<Vec<u8>>], rarity: &Rarity) -> Option<Windows> {
        (0..run.len()).fold(None, |best, start| rarer(best, Windows::at_start(&run[start..], rarity)))
    }

    /// Returns the windows that begin with the first character.
    fn at_start(run: &[Vec<Vec<u8>>], rarity: &Rarity) -> Option<Windows> {
        let mut texts = vec![Vec::new()];
        for spelled in run {
            if texts.iter().all(|text| text.len() >= LENGTH) || texts.len() * spelled.len() > MAX_WINDOWS {
                break;
            }
            texts = texts.iter().flat_map(|text| spelled.iter().map(|more| [&text[..], more].concat())).collect();
        }
        if texts.iter().any(Vec::is_empty) {
            return None;
        }
        let frequency = texts.iter().map(|text| rarity.frequency(text)).sum();
        Some(Windows { texts, frequency })
    }
}

/// Returns the characters of a part, each with its spellings. `None` if the part is not a text.
fn spellings(part: &Hir) -> Option<Vec<Vec<Vec<u8>>>> {
    match part.kind() {
        HirKind::Literal(literal) => Some(literal.0.iter().map(|byte| vec![vec![*byte]]).collect()),
        HirKind::Capture(capture) => spellings(&capture.sub),
        HirKind::Class(Class::Unicode(class)) => {
            let count: usize = class.iter().map(|range| range.len()).sum();
            let spelled = class.iter().flat_map(|range| range.start()..=range.end());
            (count > 0 && count <= MAX_SPELLINGS)
                .then(|| vec![spelled.map(|letter| letter.to_string().into_bytes()).collect()])
        }
        HirKind::Alternation(branches) if branches.len() <= MAX_SPELLINGS => {
            let text = |branch: &Hir| match branch.kind() {
                HirKind::Literal(literal) => Some(literal.0.to_vec()),
                _ => None,
            };
            let all: Option<Vec<_>> = branches.iter().map(text).collect();
            all.map(|all| vec![all])
        }
        HirKind::Concat(parts) => {
            let all: Option<Vec<_>> = parts.iter().map(spellings).collect();
            all.map(|all| all.into_iter().flatten().collect())
        }
        _ => None,
    }
}

fn rarer(one: Option<Windows>, other: Option<Windows>) -> Option<Windows> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.frequency < one.frequency { other } else { one }),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::{Rarity, Windows};

    fn windows(pattern: &str) -> Option<Vec<String>> {
        let hir = regex_syntax::parse(pattern).expect(pattern);
        let windows = Windows::of(&hir, &Rarity::typical())?;
        Some(windows.texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
    }

    #[test]
    fn the_rarest_text_of_each_match_is_taken() {
        for (pattern, expected) in [
            (r"validation_mAP: ([0-9.]+)", Some(vec!["_mAP"])),
            (r"f1=(\S+)", Some(vec!["f1="])),
            (r"(?:zq|xj)=(\d)", Some(vec!["xj=", "zq="])),
            (r"(\d+)", None),
            (r"(?:loss)?(\d+)", None),
            (r"(?:qqqq)+ (\d+)", Some(vec!["qqqq"])),
        ] {
            assert_eq!(
                windows(pattern).map(|mut texts| {
                    texts.sort();
                    texts
                }),
                expected.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect()),
                "{pattern}"
            );
        }
    }

    #[test]
    fn all_spellings_of_a_pattern_without_regard_to_case_are_windows() {
        let texts = windows("(?i)zq=([0-9]+)").expect("windows");
        assert_eq!(texts.len(), 4, "{texts:?}");
        assert!(texts.iter().any(|text| text == "zQ="), "{texts:?}");
    }

    #[test]
    fn each_match_contains_a_window() {
        for (pattern, line) in [
            (r"loss: ([0-9.]+), acc(?:uracy)?: [0-9.]+", "loss: 0.5, acc: 0.7"),
            (r"(?i)(train|validation)[-_ ]loss\s*[=:]\s*([0-9.]+)", "Validation-Loss = 0.5"),
            (r".*\[[0-9]+\].*#011train-mae:([0-9.]+)", "[3]#011train-mae:0.5"),
            ("é=(\\d)|ü=(\\d)", "ü=3"),
        ] {
            assert!(regex::Regex::new(pattern).expect(pattern).is_match(line), "{pattern}");
            let texts = windows(pattern).expect(pattern);
            assert!(texts.iter().any(|text| line.contains(text.as_str())), "{pattern}: {texts:?}");
        }
    }
}
