//! Advice in plain words, drawn from the resources and the metrics of a job. Each item is given once, with its
//! evidence and a remedy.
//!
//! [`RULES`] is the table of all rules, which are pure functions of [`facts`].

mod container;
mod facts;
mod gpus;
mod metrics;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::metrics::MetricSummary;
use super::resources::ResourceSample;
pub use facts::Processes;
use facts::{Facts, History};
pub(in crate::observe) use gpus::UNDERUSED;

/// An item of advice, as the run record stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// The name of the rule.
    pub kind: &'static str,
    /// The observation.
    pub text: &'static str,
    /// The figures that support the observation.
    pub evidence: String,
    /// The remedy.
    pub remedy: &'static str,
}

/// A rule.
#[derive(Debug)]
pub struct AdviceRule {
    /// The name.
    pub kind: &'static str,
    /// The condition, for the documents.
    pub when: &'static str,
    /// The observation.
    pub text: &'static str,
    /// The remedy.
    pub remedy: &'static str,
    /// Returns the evidence if the rule applies.
    look: fn(&Facts<'_>) -> Option<String>,
}

/// All rules, in the order in which their advice is given.
pub static RULES: [AdviceRule; 16] = [
    AdviceRule {
        kind: "memory",
        when: "The working set is above 90 % of the limit.",
        text: "memory is nearly used up",
        remedy: "at the limit the kernel kills a process: use a smaller batch, fewer data-loading workers, or an instance \
                 with more memory",
        look: container::memory,
    },
    AdviceRule {
        kind: "memory-growth",
        when: "The working set has grown steadily for nine minutes, and reaches the limit within two hours.",
        text: "memory grows towards its limit",
        remedy: "look for what is kept from step to step, such as losses with their graph, lists of outputs, or caches of \
                 data",
        look: container::memory_growth,
    },
    AdviceRule {
        kind: "throttled",
        when: "The container was throttled in more than 20 % of the periods of the last minute.",
        text: "the processors are throttled",
        remedy: "use no more threads and workers than processors, or raise the quota",
        look: container::throttled,
    },
    AdviceRule {
        kind: "shm",
        when: "More than 90 % of `/dev/shm` is in use.",
        text: "shared memory is nearly used up",
        remedy: "a data loader that finds it full dies: use fewer data-loading workers or smaller batches, or start the \
                 container with a larger --shm-size",
        look: container::shared_memory,
    },
    AdviceRule {
        kind: "disk",
        when: "More than 95 % of the file system of the base folder is in use.",
        text: "the disk is nearly full",
        remedy: "keep fewer checkpoints, or give the job a larger volume",
        look: container::disk,
    },
    AdviceRule {
        kind: "data-loader",
        when: "For five minutes, the GPUs were busy less than half of the time while more than 90 % of the processors were in \
               use.",
        text: "the GPUs wait for the processors",
        remedy: "prepare the data ahead of the job, use faster decoders, or move augmentation to the GPUs; set num_workers to \
                 the number of processors, persistent_workers and pin_memory; or take an instance with more processors for \
                 each GPU",
        look: gpus::wait_for_processors,
    },
    AdviceRule {
        kind: "data-wait",
        when: "For five minutes, the GPUs were busy less than half of the time, and whenever that was seen, most ranks were \
               in their data loader. The processors were not all in use.",
        text: "the GPUs wait for the data loader",
        remedy: "raise num_workers of the DataLoader, which is 0 by default, and set persistent_workers, pin_memory and \
                 prefetch_factor; if the workers wait for files, store the data in fewer and larger ones",
        look: gpus::wait_for_loader,
    },
    AdviceRule {
        kind: "one-process",
        when: "For five minutes, only one of several GPUs was busy, and this host runs one process.",
        text: "only one GPU is in use",
        remedy: "start a process for each GPU (FOOTPLATE_LAUNCHER=torchrun or per-gpu) and make the script distributed, or \
                 take an instance with one GPU",
        look: gpus::used_by_one_process,
    },
    AdviceRule {
        kind: "gpu-idle",
        when: "For five minutes, a GPU was busy less than 10 % of the time, and none of the three rules above says why.",
        text: "GPUs are idle",
        remedy: "see whether the script has put its model on the GPU, and what it waits for: data, downloads, a checkpoint or \
                 another host",
        look: gpus::idle,
    },
    AdviceRule {
        kind: "gpu-memory",
        when: "For five minutes, all GPUs were busy more than 80 % of the time and never used half of their memory.",
        text: "GPU memory is left over",
        remedy: "a larger batch may train faster, with a learning rate to suit it",
        look: gpus::have_memory_left,
    },
    AdviceRule {
        kind: "gpu-slow",
        when: "For five minutes, the clock of one busy GPU was more than 10 % below that of the others.",
        text: "one GPU is slower than the others",
        remedy: "all ranks wait for the slowest one: if it stays so in another job, report the instance or take another one",
        look: gpus::one_is_slow,
    },
    AdviceRule {
        kind: "gpu-heat",
        when: "In more than 20 % of the samples of five minutes, a GPU was slowed down by its temperature, by a power brake or \
               by its own protection.",
        text: "a GPU protects itself and runs slower",
        remedy: "this is a fault of the machine's cooling or power: report the instance or take another one",
        look: gpus::protect_themselves,
    },
    AdviceRule {
        kind: "gpu-power",
        when: "In more than half of the samples of five minutes, a GPU was slowed down by its power limit, to less than 70 % of \
               its greatest clock.",
        text: "a GPU is held back by its power limit",
        remedy: "see whether somebody has lowered the limit (nvidia-smi -q -d POWER)",
        look: gpus::lack_power,
    },
    AdviceRule {
        kind: "metric-not-finite",
        when: "A metric that had finite values has become NaN or infinite, or a loss or a score has never been finite.",
        text: "a metric is not a number",
        remedy: "lower the learning rate, clip gradients, or look for a division by zero or a logarithm of zero",
        look: metrics::not_finite,
    },
    AdviceRule {
        kind: "metric-flat",
        when: "A loss or a score had one value in more than half of all its values, the last ones, of at least 40.",
        text: "a metric does not change any more",
        remedy: "look at the learning rate, at frozen parameters, and whether the data changes from step to step",
        look: metrics::flat,
    },
    AdviceRule {
        kind: "metric-cut",
        when: "A pattern takes only a part of a number in a line of the script.",
        text: "the pattern of a metric cuts its numbers",
        remedy: r"a pattern for every number is ([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)",
        look: metrics::cut,
    },
];

/// Gives advice, each item once.
#[derive(Debug)]
pub(super) struct Advisor {
    history: History,
    processes: Processes,
    said: BTreeSet<&'static str>,
}

impl Advisor {
    /// Makes an advisor for samples that are taken at this interval.
    pub(super) fn new(interval: Duration, processes: Processes) -> Advisor {
        Advisor { history: History::new(interval), processes, said: BTreeSet::new() }
    }

    /// Returns the advice that follows from another sample and was not given before. `in_loader` is the share of ranks
    /// in their data loader, from 0 to 1, if they were examined.
    pub(super) fn examine(
        &mut self,
        sample: &ResourceSample,
        metrics: &[(String, MetricSummary)],
        in_loader: Option<f64>,
    ) -> Vec<Advice> {
        self.history.add(sample, in_loader);
        let facts = Facts { history: &self.history, newest: sample, metrics, processes: self.processes };
        let fresh = RULES.iter().filter(|rule| !self.said.contains(rule.kind));
        let advice: Vec<Advice> = fresh
            .filter_map(|AdviceRule { kind, text, remedy, look, .. }| {
                look(&facts).map(|evidence| Advice { kind, text, evidence, remedy })
            })
            .collect();
        self.said.extend(advice.iter().map(|advice| advice.kind));
        advice
    }
}

#[cfg(test)]
mod tests;
