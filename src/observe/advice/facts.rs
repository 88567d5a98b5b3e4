//! The facts that rules inspect: the samples of the last minutes, in compact form, and the metrics.

use std::collections::VecDeque;
use std::time::Duration;

use crate::machine::devices::{GpuState, Slowdown};
use crate::observe::metrics::MetricSummary;
use crate::observe::resources::ResourceSample;

/// The time over which rules look back, in seconds.
pub(super) const WINDOW: f64 = 600.0;

/// The maximum number of samples that are kept.
const MOST_KEPT: usize = 1000;

/// The number of training processes on a host, as far as advice depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processes {
    /// One.
    One,
    /// Several, or as many as a launcher starts.
    Several,
}

/// The facts that rules inspect.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) history: &'a History,
    pub(super) newest: &'a ResourceSample,
    pub(super) metrics: &'a [(String, MetricSummary)],
    pub(super) processes: Processes,
}

/// The samples of the last minutes.
#[derive(Debug)]
pub(super) struct History {
    points: VecDeque<HistoryPoint>,
    kept: usize,
}

/// A sample, reduced to the values that rules inspect.
#[derive(Clone, Debug)]
pub(super) struct HistoryPoint {
    /// The seconds since the first sample.
    pub(super) elapsed: f64,
    /// The working set, in bytes.
    pub(super) working_set: Option<u64>,
    /// The share of throttled periods, in per cent.
    pub(super) throttled: Option<f64>,
    /// The share of the processors in use, in per cent.
    pub(super) processors: Option<f64>,
    /// The GPUs. Empty if the sample has none.
    pub(super) gpus: Box<[GpuPoint]>,
    /// The share of ranks in their data loader, if they were examined.
    pub(super) in_loader: Option<f64>,
}

/// The state of a GPU, reduced to the values that rules inspect. Shares are per cent.
#[derive(Clone, Copy, Debug)]
pub(super) struct GpuPoint {
    pub(super) index: u32,
    pub(super) busy: Option<f32>,
    pub(super) memory: Option<f32>,
    /// The clock, in MHz.
    pub(super) clock: Option<f32>,
    /// The clock as a share of the maximum clock.
    pub(super) clock_share: Option<f32>,
    pub(super) is_protected: bool,
    pub(super) is_power_capped: bool,
}

impl History {
    pub(super) fn new(interval: Duration) -> History {
        let kept = (WINDOW / interval.as_secs_f64().max(0.1)).ceil() as usize + 1;
        History { points: VecDeque::new(), kept: kept.clamp(2, MOST_KEPT) }
    }

    pub(super) fn add(&mut self, sample: &ResourceSample, in_loader: Option<f64>) {
        if self.points.len() == self.kept {
            self.points.pop_front();
        }
        self.points.push_back(HistoryPoint {
            elapsed: sample.elapsed,
            working_set: sample.memory.map(|memory| memory.working_set),
            throttled: sample.cpu.throttled,
            processors: sample.cpu.used.map(|used| 100.0 * used / sample.cpu.cores.max(0.001)),
            gpus: sample.gpus.iter().map(gpu).collect(),
            in_loader,
        });
    }

    /// Returns the samples of the last `seconds`, if the history is at least that long.
    pub(super) fn last(&self, seconds: f64) -> Option<impl Iterator<Item = &HistoryPoint>> {
        let newest = self.points.back()?.elapsed;
        let is_long_enough = self.points.front().is_some_and(|oldest| newest - oldest.elapsed >= seconds);
        is_long_enough.then(|| self.points.iter().filter(move |point| newest - point.elapsed <= seconds))
    }
}

fn gpu(state: &GpuState) -> GpuPoint {
    let share =
        |part: Option<f64>, whole: Option<f64>| Some((100.0 * part? / whole.filter(|whole| *whole > 0.0)?) as f32);
    let bytes = |size: Option<u64>| size.map(|size| size as f64);
    GpuPoint {
        index: state.index,
        busy: state.busy.map(|busy| busy as f32),
        memory: share(bytes(state.memory_used), bytes(state.memory_total)),
        clock: state.clock.map(|clock| clock as f32),
        clock_share: share(state.clock, state.max_clock),
        is_protected: state.slowed.iter().any(|slowdown| *slowdown != Slowdown::PowerCap),
        is_power_capped: state.slowed.contains(&Slowdown::PowerCap),
    }
}
