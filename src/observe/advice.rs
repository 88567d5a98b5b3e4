//! Advice in plain words from the resources and the metrics of a job: each item once, with its evidence and a remedy.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::metrics::MetricSummary;
use super::resources::ResourceSample;
use crate::machine::Bytes;

/// The time that rules look back.
const WINDOW: f64 = 600.0;

/// An item of advice, as the run record has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// The rule.
    pub kind: &'static str,
    /// The evidence.
    pub text: String,
    /// The remedy.
    pub remedy: &'static str,
}

/// A rule: looks at the samples of the last minutes, the newest at the end, and at the metrics.
type Rule = fn(&Facts<'_>) -> Option<Advice>;

/// The facts that rules look at.
struct Facts<'a> {
    samples: &'a VecDeque<ResourceSample>,
    metrics: &'a [(String, MetricSummary)],
}

/// All rules.
const RULES: [Rule; 7] = [memory, memory_growth, throttled, shared_memory, disk, not_finite, flat];

/// Gives advice, each item once.
#[derive(Debug)]
pub(super) struct Advisor {
    samples: VecDeque<ResourceSample>,
    /// The maximum number of samples that are kept.
    kept: usize,
    said: BTreeSet<&'static str>,
}

impl Advisor {
    /// Makes an advisor for samples at an interval.
    pub(super) fn new(interval: Duration) -> Advisor {
        let kept = (WINDOW / interval.as_secs_f64().max(0.1)).ceil() as usize + 1;
        Advisor { samples: VecDeque::new(), kept: kept.clamp(2, 1000), said: BTreeSet::new() }
    }

    /// Returns the advice that follows from a further sample and was not given before.
    pub(super) fn look(&mut self, sample: &ResourceSample, metrics: &[(String, MetricSummary)]) -> Vec<Advice> {
        if self.samples.len() == self.kept {
            self.samples.pop_front();
        }
        self.samples.push_back(sample.clone());
        let facts = Facts { samples: &self.samples, metrics };
        let advice = RULES.iter().filter_map(|rule| rule(&facts));
        advice.filter(|advice| self.said.insert(advice.kind)).collect()
    }
}

impl Facts<'_> {
    /// Returns the samples of the last seconds, if they span at least that time.
    fn last(&self, seconds: f64) -> Option<impl Iterator<Item = &ResourceSample>> {
        let newest = self.samples.back()?.elapsed;
        let is_long_enough = self.samples.front().is_some_and(|oldest| newest - oldest.elapsed >= seconds);
        is_long_enough.then(|| self.samples.iter().filter(move |sample| newest - sample.elapsed <= seconds))
    }
}

/// The working set is above 90 % of the limit.
fn memory(facts: &Facts<'_>) -> Option<Advice> {
    let memory = facts.samples.back()?.memory?;
    let limit = memory.limit.filter(|limit| *limit > 0)?;
    (memory.working_set as f64 > 0.9 * limit as f64).then(|| Advice {
        kind: "memory",
        text: format!("{} of the container's {} of memory are in use", Bytes(memory.working_set), Bytes(limit)),
        remedy: "at the limit the kernel kills a process: use a smaller batch, fewer data-loading workers, or an instance with \
                 more memory",
    })
}

/// The working set has grown steadily for ten minutes, so that it will reach the limit within two hours.
fn memory_growth(facts: &Facts<'_>) -> Option<Advice> {
    const SPAN: f64 = WINDOW * 0.9;
    let points: Vec<(f64, f64)> = facts
        .last(SPAN)?
        .map(|sample| Some((sample.elapsed, sample.memory?.working_set as f64)))
        .collect::<Option<_>>()?;
    let newest = facts.samples.back()?.memory?;
    let limit = newest.limit?;
    // Means of tenths of the time: a garbage collector or a cache makes a saw.
    let (start, end) = (points.first()?.0, points.last()?.0);
    let tenth = |(at, _): &(f64, f64)| ((at - start) / (end - start) * 9.999) as usize;
    let means: Vec<(f64, f64)> = (0..10)
        .map(|number| {
            let within: Vec<&(f64, f64)> = points.iter().filter(|point| tenth(point) == number).collect();
            let mean =
                |of: fn(&(f64, f64)) -> f64| within.iter().map(|point| of(point)).sum::<f64>() / within.len() as f64;
            (!within.is_empty()).then(|| (mean(|point| point.0), mean(|point| point.1)))
        })
        .collect::<Option<_>>()?;
    let grows = means.windows(2).all(|pair| pair[1].1 > pair[0].1);
    let per_second = (means[9].1 - means[0].1) / (means[9].0 - means[0].0);
    let left = (limit.saturating_sub(newest.working_set)) as f64 / per_second;
    (grows && per_second > 0.0 && left < 7200.0).then(|| Advice {
        kind: "memory-growth",
        text: format!(
            "the memory in use has grown for {:.0} minutes by {} a minute, and reaches the limit of {} in about {:.0} minutes",
            SPAN / 60.0,
            Bytes((per_second * 60.0) as u64),
            Bytes(limit),
            left / 60.0
        ),
        remedy: "look for what is kept from step to step, such as losses with their graph, lists of outputs, or caches of data",
    })
}

/// More than a fifth of the scheduling periods of the last minute were throttled.
fn throttled(facts: &Facts<'_>) -> Option<Advice> {
    let shares: Vec<f64> = facts.last(60.0)?.filter_map(|sample| sample.cpu.throttled).collect();
    let mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
    let cores = facts.samples.back()?.cpu.cores;
    (mean > 20.0).then(|| Advice {
        kind: "throttled",
        text: format!(
            "the container was throttled in {mean:.0} % of the last minute's periods: its quota is {cores} processors"
        ),
        remedy: "use no more threads and workers than processors, or raise the quota",
    })
}

/// More than 90 % of the shared memory is in use.
fn shared_memory(facts: &Facts<'_>) -> Option<Advice> {
    let shm = facts.samples.back()?.shm.filter(|shm| shm.size > 0)?;
    (shm.used as f64 > 0.9 * shm.size as f64).then(|| Advice {
        kind: "shm",
        text: format!("{} of {} of shared memory (/dev/shm) are in use", Bytes(shm.used), Bytes(shm.size)),
        remedy: "a data loader that finds it full dies: use fewer data-loading workers or smaller batches, or start the container \
                 with a larger --shm-size",
    })
}

/// More than 95 % of the disk is in use.
fn disk(facts: &Facts<'_>) -> Option<Advice> {
    let disk = facts.samples.back()?.disk.filter(|disk| disk.size > 0)?;
    (disk.used as f64 > 0.95 * disk.size as f64).then(|| Advice {
        kind: "disk",
        text: format!("{} of the disk's {} are free", Bytes(disk.free), Bytes(disk.size)),
        remedy: "keep fewer checkpoints, or give the job a larger volume",
    })
}

/// A metric has become NaN or infinite.
fn not_finite(facts: &Facts<'_>) -> Option<Advice> {
    let (name, summary) =
        facts.metrics.iter().find(|(_, summary)| summary.not_finite > 0 && summary.first.is_some())?;
    Some(Advice {
        kind: "metric-not-finite",
        text: format!("metric {name} is NaN or infinite in {} of its {} values", summary.not_finite, summary.count),
        remedy: "lower the learning rate, clip gradients, or look for a division by zero or a logarithm of zero",
    })
}

/// A loss or a score has had one value for more than half of the job.
fn flat(facts: &Facts<'_>) -> Option<Advice> {
    const FEWEST: u64 = 40;
    const LEARNED: [&str; 10] =
        ["loss", "acc", "accuracy", "f1", "auc", "error", "rmse", "mae", "perplexity", "reward"];
    let is_learned = |name: &str| {
        let name = name.to_lowercase();
        let mut words = name.split(|letter: char| !letter.is_alphanumeric());
        words.any(|word| LEARNED.contains(&word))
    };
    let is_flat = |summary: &MetricSummary| summary.count >= FEWEST && summary.unchanged * 2 > summary.count;
    let (name, summary) = facts.metrics.iter().find(|(name, summary)| is_learned(name) && is_flat(summary))?;
    Some(Advice {
        kind: "metric-flat",
        text: format!(
            "metric {name} was {} in all of its last {} values, of {}",
            summary.last?, summary.unchanged, summary.count
        ),
        remedy: "look at the learning rate, at frozen parameters, and whether the data changes from step to step",
    })
}

#[cfg(test)]
mod tests;
