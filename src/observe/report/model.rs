//! The part of a job's records that the page shows. Every text is clean: without secrets and control characters.

use super::thin::Point;

/// A job: the records of its hosts, and the curves of all of them.
#[derive(Debug)]
pub(super) struct RunView {
    /// The place of the records, as the command line names it.
    pub(super) place: String,
    /// The hosts with a record, in the order of their node ranks. At least one.
    pub(super) hosts: Vec<HostView>,
    /// The hosts of the job without a record.
    pub(super) missing: Vec<String>,
    /// The time from the first to the last known event, in Unix seconds. The end is after the start.
    pub(super) span: (f64, f64),
    pub(super) metrics: Vec<MetricView>,
    pub(super) hardware: HardwareView,
    /// The files, or parts of files, that cannot be read.
    pub(super) problems: Vec<String>,
}

/// The status in a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RunStatus {
    Completed,
    Failed,
    Stopped,
    /// The record was written while the job ran.
    Running,
    /// The record has no status that is known.
    #[default]
    Unknown,
}

/// The record of a host.
#[derive(Debug, Default)]
pub(super) struct HostView {
    pub(super) name: String,
    /// The names of all hosts of the job.
    pub(super) peers: Vec<String>,
    pub(super) status: RunStatus,
    pub(super) footplate: String,
    pub(super) instance_type: String,
    pub(super) started: Option<f64>,
    pub(super) ended: Option<f64>,
    /// The time at which the record was written, according to its file system.
    pub(super) written: Option<f64>,
    pub(super) exit_code: Option<i64>,
    pub(super) attempt: u64,
    pub(super) job: Option<String>,
    pub(super) command: Option<String>,
    pub(super) hyperparameters: Vec<(String, String)>,
    pub(super) launcher: Option<String>,
    /// The command of the first planned process.
    pub(super) planned: Option<String>,
    pub(super) phases: Vec<PhaseView>,
    /// The ranks, in order.
    pub(super) ranks: Vec<RankView>,
    /// Launchers and services.
    pub(super) services: Vec<RankView>,
    pub(super) contacts: Vec<ContactView>,
    pub(super) stop: Option<StopView>,
    pub(super) metrics: Vec<(String, MetricFacts)>,
    pub(super) objective: Option<ObjectiveView>,
    pub(super) resources: Option<ResourceFacts>,
    pub(super) advice: Vec<AdviceView>,
    pub(super) failure: Option<FailureView>,
    pub(super) hang: Option<HangView>,
    pub(super) checkpoints: Option<CheckpointsView>,
    pub(super) uploads: UploadsView,
}

#[derive(Clone, Debug)]
pub(super) struct PhaseView {
    pub(super) name: String,
    pub(super) start: f64,
    pub(super) end: Option<f64>,
}

/// A rank, a launcher or a service.
#[derive(Clone, Debug, Default)]
pub(super) struct RankView {
    /// The name of a launcher or service.
    pub(super) name: Option<String>,
    pub(super) rank: Option<u64>,
    pub(super) gpu: Option<u64>,
    pub(super) pid: Option<u64>,
    pub(super) started: Option<f64>,
    pub(super) ended: Option<f64>,
    pub(super) exit_code: Option<i64>,
    pub(super) signal: Option<i64>,
    /// True if it was told to end before it ended.
    pub(super) followed: bool,
    pub(super) lines: u64,
    pub(super) first_line: Option<f64>,
    pub(super) last_line: Option<f64>,
}

/// Another host, as this one saw it.
#[derive(Clone, Debug)]
pub(super) struct ContactView {
    pub(super) host: String,
    pub(super) joined: Option<f64>,
    pub(super) lost: Option<(f64, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct StopView {
    pub(super) by: String,
    pub(super) signal: Option<String>,
    pub(super) why: Option<String>,
    pub(super) at: Option<f64>,
    pub(super) killed: Option<f64>,
    pub(super) killed_because: Option<String>,
}

/// The figures of a metric in a record.
#[derive(Clone, Debug, Default)]
pub(super) struct MetricFacts {
    pub(super) count: u64,
    pub(super) dropped: u64,
    pub(super) first: Option<f64>,
    pub(super) last: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) not_finite: u64,
    pub(super) problem: Option<String>,
}

/// The metric by which a tuning job rates this job.
#[derive(Clone, Debug)]
pub(super) struct ObjectiveView {
    pub(super) name: String,
    pub(super) seen: u64,
    pub(super) nearest: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ResourceFacts {
    pub(super) cores: Option<f64>,
    pub(super) memory_peak: Option<f64>,
    pub(super) memory_limit: Option<f64>,
    pub(super) kills: u64,
}

#[derive(Clone, Debug)]
pub(super) struct AdviceView {
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) evidence: Option<String>,
    pub(super) remedy: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct FailureView {
    /// The text of the failure file, without its hints.
    pub(super) text: String,
    pub(super) hints: Vec<String>,
    pub(super) first_line: String,
    pub(super) rank: Option<u64>,
    pub(super) host: Option<String>,
    /// The place in the user's code.
    pub(super) place: Option<String>,
    /// True if it failed before the script started.
    pub(super) is_before_script: bool,
    /// The last lines of the process that failed: standard output and standard error.
    pub(super) evidence: [String; 2],
}

#[derive(Clone, Debug)]
pub(super) struct HangView {
    /// The means by which the stacks were read.
    pub(super) method: String,
    /// The time without progress, in seconds.
    pub(super) after: Option<f64>,
    pub(super) odd_ranks: Vec<u64>,
    pub(super) groups: Vec<StackGroup>,
}

/// Ranks with equal stacks.
#[derive(Clone, Debug)]
pub(super) struct StackGroup {
    pub(super) ranks: Vec<u64>,
    pub(super) stack: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct CheckpointsView {
    pub(super) found: Option<CheckpointFile>,
    pub(super) last: Option<CheckpointFile>,
    pub(super) written: u64,
}

#[derive(Clone, Debug)]
pub(super) struct CheckpointFile {
    pub(super) name: String,
    pub(super) time: Option<f64>,
    pub(super) size: Option<u64>,
}

/// The uploads of intermediate output.
#[derive(Clone, Debug, Default)]
pub(super) struct UploadsView {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) failed: u64,
    pub(super) last_error: Option<String>,
}

/// The curves of a metric.
#[derive(Clone, Debug)]
pub(super) struct MetricView {
    pub(super) name: String,
    /// True if x is the step, false if it is the time in Unix seconds.
    pub(super) by_step: bool,
    /// A curve for each rank, with its name.
    pub(super) curves: Vec<(String, Vec<Point>)>,
    /// The number of ranks whose curves are left out.
    pub(super) left_out: usize,
    /// The figures of all ranks together.
    pub(super) facts: MetricFacts,
}

/// The hardware utilization of all hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct HardwareView {
    pub(super) panels: Vec<PanelView>,
    /// A row for each GPU and Neuron core.
    pub(super) devices: Vec<DeviceRow>,
    pub(super) interval: Option<f64>,
}

/// The curves of one resource.
#[derive(Clone, Debug)]
pub(super) struct PanelView {
    pub(super) resource: super::resource::Resource,
    /// A curve for each host, or one each for the minimum, the mean and the maximum of many hosts. x is the time in
    /// Unix seconds.
    pub(super) curves: Vec<(String, Vec<Point>)>,
    /// The limit that all hosts share.
    pub(super) limit: Option<f64>,
    /// The mean over time and hosts.
    pub(super) mean: f64,
    /// The maximum value.
    pub(super) peak: f64,
}

/// The utilization of a GPU or a Neuron core over time.
#[derive(Clone, Debug)]
pub(super) struct DeviceRow {
    pub(super) kind: super::resource::DeviceKind,
    pub(super) host: String,
    pub(super) index: u64,
    /// The utilization in per cent at times in Unix seconds.
    pub(super) busy: Vec<Point>,
    /// The mean of all samples, in per cent.
    pub(super) mean: f64,
    /// The maximum memory in use and, if it is known, the size of the memory, in bytes.
    pub(super) memory: Option<(f64, Option<f64>)>,
}

impl RunView {
    /// Returns the host that represents the job: the first one with a failure, else the first.
    pub(super) fn lead(&self) -> &HostView {
        self.hosts.iter().find(|host| host.failure.is_some()).unwrap_or(&self.hosts[0])
    }

    /// Returns the seconds between the start of the job and a time.
    pub(super) fn since_start(&self, time: f64) -> f64 {
        (time - self.span.0).max(0.0)
    }

    /// Returns the length of the job, in seconds.
    pub(super) fn length(&self) -> f64 {
        self.span.1 - self.span.0
    }

    /// Returns all ranks, each with its host.
    pub(super) fn ranks(&self) -> impl Iterator<Item = (&HostView, &RankView)> {
        self.hosts.iter().flat_map(|host| host.ranks.iter().map(move |rank| (host, rank)))
    }

    /// Returns the hang that was found, if one was.
    pub(super) fn hang(&self) -> Option<&HangView> {
        self.hosts.iter().find_map(|host| host.hang.as_ref())
    }

    /// Returns the known facts about checkpoints, if the job found or wrote any.
    pub(super) fn checkpoints(&self) -> Option<&CheckpointsView> {
        let known = self.hosts.iter().filter_map(|host| host.checkpoints.as_ref());
        known.filter(|checkpoints| checkpoints.found.is_some() || checkpoints.written > 0).max_by_key(|one| one.written)
    }

    /// Returns the time of the last output before a job hung. `None` if it did not hang.
    pub(super) fn stood_still_since(&self) -> Option<f64> {
        let hang = self.hang()?;
        let last = self.ranks().filter_map(|(_, rank)| rank.last_line).reduce(f64::max);
        last.or(hang.after.map(|after| self.span.1 - after)).filter(|since| (self.span.0..self.span.1).contains(since))
    }

    /// Returns the objective of the tuning job, if the job has one.
    pub(super) fn objective(&self) -> Option<&ObjectiveView> {
        self.hosts.iter().find_map(|host| host.objective.as_ref())
    }
}

impl HostView {
    /// Returns the first phase with this name.
    pub(super) fn phase(&self, name: &str) -> Option<&PhaseView> {
        self.phases.iter().find(|phase| phase.name == name)
    }
}

impl MetricFacts {
    /// Adds the values of another rank or host.
    pub(super) fn merge(&mut self, other: &MetricFacts) {
        let pick =
            |one: Option<f64>, other: Option<f64>, of: fn(f64, f64) -> f64| one.into_iter().chain(other).reduce(of);
        self.count += other.count;
        self.dropped += other.dropped;
        self.not_finite += other.not_finite;
        self.first = self.first.or(other.first);
        self.last = self.last.or(other.last);
        self.min = pick(self.min, other.min, f64::min);
        self.max = pick(self.max, other.max, f64::max);
        self.problem = self.problem.take().or_else(|| other.problem.clone());
    }
}
