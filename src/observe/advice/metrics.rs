//! Rules about the metrics of the job.

use super::facts::Facts;
use crate::observe::metrics::MetricSummary;

/// The words in the names of metrics that training improves.
const LEARNED: [&str; 10] = ["loss", "acc", "accuracy", "f1", "auc", "error", "rmse", "mae", "perplexity", "reward"];

/// Returns true if a metric is one that training improves, by its name.
fn is_learned(name: &str) -> bool {
    let name = name.to_lowercase();
    let mut words = name.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| LEARNED.contains(&word))
}

/// A metric has become NaN or infinite, or a loss or a score has never been anything else. Another metric may use NaN
/// for a value that it does not have.
pub(super) fn not_finite(facts: &Facts<'_>) -> Option<String> {
    const FEWEST: u64 = 2;
    let (name, summary) = facts.metrics.iter().find(|(name, summary)| {
        let was_finite = summary.first.is_some();
        if was_finite { summary.not_finite > 0 } else { summary.not_finite >= FEWEST && is_learned(name) }
    })?;
    Some(format!("{name} is NaN or infinite in {} of its {} values", summary.not_finite, summary.count))
}

/// A loss or a score has had one value for more than half of the job.
pub(super) fn flat(facts: &Facts<'_>) -> Option<String> {
    const FEWEST: u64 = 40;
    let is_flat = |summary: &MetricSummary| summary.count >= FEWEST && summary.unchanged * 2 > summary.count;
    let (name, summary) = facts.metrics.iter().find(|(name, summary)| is_learned(name) && is_flat(summary))?;
    Some(format!("{name} was {} in all of its last {} values, of {}", summary.last?, summary.unchanged, summary.count))
}

/// A pattern captures only a part of a number.
pub(super) fn cut(facts: &Facts<'_>) -> Option<String> {
    let (name, summary) = facts.metrics.iter().find(|(_, summary)| summary.is_cut)?;
    Some(format!("{name}: {}", summary.problem.as_deref()?))
}
