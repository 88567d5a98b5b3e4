//! The state of the metrics, which the collector writes and the run record reads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::summary::{MetricSummary, TuningSummary, similar};

/// The state, shared between threads.
#[derive(Debug, Default)]
pub(super) struct SharedMetrics(Mutex<MetricsState>);

impl SharedMetrics {
    pub(super) fn lock(&self) -> MutexGuard<'_, MetricsState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of all metrics of this host.
#[derive(Debug, Default)]
pub(super) struct MetricsState {
    /// Each metric with its name, in the order of the definitions.
    pub(super) metrics: Vec<(String, MetricSummary)>,
    /// The metric by which a tuning job rates this job.
    objective: Option<String>,
    /// The number of lines that were not searched, because there were too many at once.
    pub(super) unread: u64,
    /// A number that changes with the state.
    pub(super) version: u64,
    /// A line for each metric, once the script has ended.
    pub(super) words: Vec<String>,
}

impl MetricsState {
    /// Returns the number of a metric. Adds the metric if there is none of that name.
    pub(super) fn metric(&mut self, name: &str) -> usize {
        self.version += 1;
        self.metrics.iter().position(|(own, _)| own == name).unwrap_or_else(|| {
            self.metrics.push((name.to_owned(), MetricSummary::default()));
            self.metrics.len() - 1
        })
    }

    /// Watches a tuning job's objective. Warns if no definition has its name.
    pub(super) fn watch(&mut self, objective: &str) {
        self.objective = Some(objective.to_owned());
        if let Some(tuning) = self.tuning().filter(|_| !self.has(objective)) {
            let nearest = tuning.nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            tracing::warn!("the tuning job's objective {objective} is no metric of this job{nearest}");
        }
    }

    fn has(&self, name: &str) -> bool {
        self.metrics.iter().any(|(own, _)| own == name)
    }

    /// Returns the state of the tuning job's objective.
    pub(super) fn tuning(&self) -> Option<TuningSummary> {
        let objective = self.objective.clone()?;
        let own = self.metrics.iter().find(|(name, _)| *name == objective);
        let names = self.metrics.iter().map(|(name, _)| name.as_str());
        Some(TuningSummary {
            seen: own.map_or(0, |(_, summary)| summary.count),
            nearest: if own.is_some() { None } else { similar(&objective, names).map(str::to_owned) },
            objective,
        })
    }

    /// Returns true if a metric has no value yet.
    pub(super) fn lacks_values(&self) -> bool {
        self.metrics.iter().any(|(_, summary)| summary.count == 0)
    }

    /// Stores the final lines about the metrics, and adds one about the objective.
    pub(super) fn finish(&mut self, mut words: Vec<String>) {
        if let Some(tuning) = self.tuning().filter(|tuning| tuning.seen == 0) {
            words.push(format!(
                "the tuning job's objective {} has no value: the tuning job will count this training job as failed",
                tuning.objective
            ));
        }
        if self.unread > 0 {
            words.push(format!(
                "{} lines came too fast to be searched for metrics: their values are missing",
                self.unread
            ));
        }
        self.version += 1;
        self.words = words;
    }
}
