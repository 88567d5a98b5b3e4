//! The summary of each metric: exact counts and extremes, and the reason if there is no value.

use serde::Serialize;

use super::compiled::CompiledMetric;

/// The maximum length of a quoted line in a message, in characters.
const EXCERPT: usize = 160;

/// A metric, as the run record stores it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MetricSummary {
    /// The number of values, finite or not.
    pub count: u64,
    /// The number of values that metrics.jsonl leaves out.
    pub dropped: u64,
    /// The first finite value.
    pub first: Option<f64>,
    /// The last finite value.
    pub last: Option<f64>,
    /// The smallest finite value.
    pub min: Option<f64>,
    /// The largest finite value.
    pub max: Option<f64>,
    /// The number of values that are NaN or infinite.
    pub not_finite: u64,
    /// The problem with the definition or its lines.
    pub problem: Option<String>,
    /// True if the pattern captured only a part of a number.
    #[serde(skip)]
    pub is_cut: bool,
    /// The number of equal values at the end.
    #[serde(skip)]
    pub unchanged: u64,
}

impl MetricSummary {
    /// Counts a value.
    pub(in crate::observe) fn count(&mut self, value: f64) {
        self.count += 1;
        if !value.is_finite() {
            self.not_finite += 1;
            return;
        }
        self.unchanged = if self.last == Some(value) { self.unchanged + 1 } else { 1 };
        self.first = self.first.or(Some(value));
        self.last = Some(value);
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
    }
}

/// The tuning objective, as the run record stores it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TuningSummary {
    /// The name of the metric that the tuning job reads.
    pub objective: String,
    /// The number of values of that metric.
    pub seen: u64,
    /// The name of a definition that is similar, if no definition has the objective's name.
    pub nearest: Option<String>,
}

/// Returns the log line for a metric at the end of the script. `nearest` is a line of the script that resembles the
/// pattern.
pub(super) fn in_words(name: &str, summary: &MetricSummary, pattern: &str, nearest: Option<&str>) -> String {
    let MetricSummary { count, first, last, min, max, not_finite, problem, .. } = summary;
    let problem = problem.as_ref().map(|problem| format!("; {problem}")).unwrap_or_default();
    match (count, first, last, min, max) {
        (1, Some(value), ..) => format!("metric {name}: 1 value, {value}{problem}"),
        (_, Some(first), Some(last), Some(min), Some(max)) => {
            let not_finite = if *not_finite > 0 { format!(", {not_finite} not finite") } else { String::new() };
            format!(
                "metric {name}: {count} values, first {first}, last {last}, least {min}, greatest {max}{not_finite}{problem}"
            )
        }
        (count, ..) if *count > 0 => format!("metric {name}: none of its {count} values is finite{problem}"),
        _ if !problem.is_empty() => format!("metric {name}: no value{problem}"),
        _ => {
            let nearest = nearest.map(|line| format!("; the nearest line: {}", excerpt(line))).unwrap_or_default();
            format!("metric {name}: no value, because no line matches {pattern}{nearest}")
        }
    }
}

/// Returns a line in the form in which a message quotes it.
pub(super) fn excerpt(line: &str) -> String {
    let shown: String = line.trim().chars().take(EXCERPT).collect();
    if shown.len() < line.trim().len() { format!("{shown}…") } else { shown }
}

/// A line that may be the nearest one to a pattern.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    line: &'a str,
    lower_case: String,
    has_digit: bool,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(line: &'a str) -> Candidate<'a> {
        let has_digit = line.bytes().any(|byte| byte.is_ascii_digit());
        Candidate { line, lower_case: line.to_lowercase(), has_digit }
    }
}

/// Returns the line that contains the most words of a definition's pattern, if any line contains one. Lines with a
/// digit win.
pub(super) fn nearest<'a>(definition: &CompiledMetric, candidates: &[Candidate<'a>]) -> Option<&'a str> {
    let words = definition.words();
    let score = |candidate: &Candidate<'_>| {
        (words.iter().filter(|word| candidate.lower_case.contains(*word)).count(), candidate.has_digit)
    };
    let scored = candidates.iter().map(|candidate| (score(candidate), candidate.line));
    // Of equal lines, the first wins.
    let best = scored.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    (best.0.0 > 0).then_some(best.1)
}

/// Returns the name that is most similar to `wanted`, if it shares most of its letters.
pub(super) fn similar<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let key = |name: &str| -> String {
        name.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>().to_lowercase()
    };
    let wanted = key(wanted);
    names
        .filter(|name| {
            let name = key(name);
            !name.is_empty() && (name.contains(&wanted) || wanted.contains(&name))
        })
        .min_by_key(|name| key(name).len().abs_diff(wanted.len()))
}

#[cfg(test)]
mod tests {
    use super::{Candidate, CompiledMetric, MetricSummary, in_words, nearest, similar};
    use crate::job::config::MetricDefinition;

    #[test]
    fn counts_and_extremes_are_exact() {
        let mut summary = MetricSummary::default();
        for value in [2.0, f64::NAN, 0.5, 3.0, f64::INFINITY, 1.0] {
            summary.count(value);
        }
        let expected = "metric loss: 6 values, first 2, last 1, least 0.5, greatest 3, 2 not finite";
        assert_eq!(in_words("loss", &summary, "", None), expected);
        let mut nan = MetricSummary::default();
        nan.count(f64::NAN);
        assert_eq!(in_words("loss", &nan, "", None), "metric loss: none of its 1 values is finite");
    }

    #[test]
    fn a_metric_without_a_value_names_the_nearest_line() {
        let given = MetricDefinition { name: "val".into(), pattern: r"val_loss: ([0-9.]+)".into() };
        let definition = CompiledMetric::compile(&given).expect("a pattern");
        let lines = ["starting", "the Loss function", "Val_loss = 0.5", "loss 0.7"];
        let line = nearest(&definition, &lines.map(Candidate::new));
        assert_eq!(line, Some("Val_loss = 0.5"));
        assert_eq!(
            in_words("val", &MetricSummary::default(), &given.pattern, line),
            "metric val: no value, because no line matches val_loss: ([0-9.]+); the nearest line: Val_loss = 0.5"
        );
        assert_eq!(nearest(&definition, &[Candidate::new("nothing")]), None);
    }

    #[test]
    fn a_name_that_is_almost_the_wanted_one_is_found() {
        let names = ["train:loss", "validation:accuracy", "acc"];
        assert_eq!(similar("validation-accuracy", names.into_iter()), Some("validation:accuracy"));
        assert_eq!(similar("Acc", names.into_iter()), Some("acc"));
        assert_eq!(similar("f1", names.into_iter()), None);
    }
}
