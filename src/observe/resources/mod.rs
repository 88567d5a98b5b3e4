//! The use of processors, memory, disks, networks, GPUs and Neuron cores, sampled at an interval on a thread of its
//! own.
//!
//! Each sample is written as a line to `resources.jsonl`, and a summary goes into the run record. Each sample is also
//! checked for advice ([`advice`](super::advice)). A source that is missing on this machine is left out.

mod devices;
mod sample;
mod summary;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::oneshot;

pub use devices::{DevicesInput, GpuPresence};
pub use sample::{CpuSample, MemorySample, ResourceSample, SpaceSample};
pub use summary::ResourceSummary;

use super::advice::{Advice, Advisor, Processes, UNDERUSED};
use super::export::EventFile;
use super::json_lines::{JsonLines, Limits};
use super::metrics::Metrics;
use crate::event::{Events, Moment};
use crate::machine::{Roots, UsageReader};
use crate::system::kernel;
use devices::Devices;

/// The name of the file.
const NAME: &str = "resources.jsonl";

/// The name and version of the schema.
const SCHEMA: &str = "footplate.resources/1";

/// The limits of the file: a day at the default interval. After that, every second sample is left out, and so on.
const LIMITS: Limits = Limits { lines: 17_280, size: 10_000_000 };

/// The size of the thread's stack, in bytes.
const STACK_SIZE: usize = 128 << 10;

/// The maximum delay before the first state is read. Scripts that end earlier are not slowed down by the reading.
const CALM: Duration = Duration::from_millis(200);

/// The time limit for the last sample.
const LAST_TIME: Duration = Duration::from_secs(1);

/// The minimum time between two looks at the data loaders of ranks.
const LOOK_INTERVAL: Duration = Duration::from_secs(20);

/// A function that returns the share of ranks that are in their data loader, from 0 to 1, if it can be seen.
pub struct LoaderLook(pub Box<dyn Fn() -> Option<f64> + Send>);

impl fmt::Debug for LoaderLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoaderLook")
    }
}

/// The input for sampling the resources of a host.
#[derive(Debug)]
pub struct ResourcesInput {
    /// The time between samples.
    pub interval: Duration,
    /// The folder of resources.jsonl.
    pub folder: PathBuf,
    /// The name of this host.
    pub host: String,
    /// The base folder of the job.
    pub base: PathBuf,
    /// The devices of this host.
    pub devices: DevicesInput,
    /// The number of training processes on this host.
    pub processes: Processes,
    /// The event file for TensorBoard, if it was requested.
    pub event_file: Option<EventFile>,
    /// The metrics of the job, if it has any, for advice.
    pub metrics: Option<Metrics>,
    /// A look at the data loaders of ranks, for advice. `None` if nothing may be read from processes.
    pub loader_look: Option<LoaderLook>,
}

/// The resources of this host.
#[derive(Clone, Debug)]
pub struct Resources {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified when sampling must end.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    summary: ResourceSummary,
    latest: Option<ResourceSample>,
    advice: Vec<Advice>,
    version: u64,
    course: Course,
}

/// The state of the sampling.
#[derive(Debug, Default)]
enum Course {
    /// No state was read yet.
    #[default]
    Waiting,
    Sampling,
    /// The last sample is due. The receiver waits for it.
    Ending(oneshot::Sender<()>),
    Ended,
}

/// The first line of the file.
#[derive(Serialize)]
struct Header<'a> {
    schema: &'static str,
    host: &'a str,
    /// The interval, in seconds.
    interval: f64,
}

impl Resources {
    /// Begins to sample when the first process has started.
    pub fn begin(input: ResourcesInput, events: &Events) -> Resources {
        let shared = Arc::new(Shared::default());
        let sampled = Arc::clone(&shared);
        events.at_first_start(move || {
            let sample = move || sample_until_end(&sampled, &input);
            if let Err(error) = kernel::spawn_thread("resources", Some(STACK_SIZE), sample) {
                tracing::warn!("the use of resources is not recorded: no thread can be started ({error})");
            }
        });
        Resources { shared }
    }

    /// Returns a number that changes with the resources.
    pub fn version(&self) -> u64 {
        self.shared.lock().version
    }

    /// Returns the summary so far.
    pub fn summary(&self) -> ResourceSummary {
        self.shared.lock().summary.clone()
    }

    /// Returns the latest sample, if there is one. It has no GPUs if they were not queried for it.
    pub fn latest(&self) -> Option<ResourceSample> {
        self.shared.lock().latest.clone()
    }

    /// Returns the advice so far.
    pub fn advice(&self) -> Vec<Advice> {
        self.shared.lock().advice.clone()
    }

    /// Takes the last sample, and ends. If the disk hangs, the last sample is lost.
    pub async fn finish(&self) {
        if let Some(ended) = self.shared.end() {
            let _ = tokio::time::timeout(LAST_TIME, ended).await;
        }
    }
}

impl Shared {
    /// Records that sampling begins. Returns false if the job has ended.
    fn begin(&self) -> bool {
        let mut state = self.lock();
        let begins = matches!(state.course, Course::Waiting);
        if begins {
            state.course = Course::Sampling;
        }
        begins
    }

    /// Has the thread take the last sample and end. Returns `None` if it has not begun to sample.
    fn end(&self) -> Option<oneshot::Receiver<()>> {
        let (sender, ended) = oneshot::channel();
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.course, Course::Ended);
        if matches!(before, Course::Sampling) {
            state.course = Course::Ending(sender);
        }
        self.changed.notify_all();
        matches!(before, Course::Sampling).then_some(ended)
    }

    /// Waits for some time. Returns false if the job ends before.
    fn wait(&self, time: Duration) -> bool {
        let state = self.lock();
        let goes_on = |state: &mut State| matches!(state.course, Course::Waiting | Course::Sampling);
        let waited = self.changed.wait_timeout_while(state, time, goes_on);
        waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sample_until_end(shared: &Shared, input: &ResourcesInput) {
    if !shared.wait(CALM.min(input.interval)) || !shared.begin() {
        return;
    }
    let mut reader = UsageReader::open(&Roots::default(), &input.base);
    let mut file = JsonLines::new(&input.folder, NAME, LIMITS);
    file.add(&Header { schema: SCHEMA, host: &input.host, interval: input.interval.as_secs_f64() });
    let mut advisor = Advisor::new(input.interval, input.processes);
    let (mut number, mut stride) = (0u64, 1u64);
    let mut looked_at: Option<Instant> = None;
    let mut devices = Devices::start(&input.devices, input.interval);
    let first = reader.read();
    let missing = first.missing();
    if !missing.is_empty() {
        tracing::info!(
            "resources: {} not recorded, because this container has no readable /sys/fs/cgroup or /proc for it",
            missing.join(", ")
        );
    }
    let mut before = first.clone();
    loop {
        let is_last = !shared.wait(input.interval);
        let now = reader.read();
        let mut sample = ResourceSample::between(&first, &before, &now, Moment::of(now.at).unix_seconds());
        (sample.gpus, sample.neuron) = (devices.gpus(is_last).unwrap_or_default(), devices.neuron());
        before = now;
        if let Some(event_file) = &input.event_file {
            sample.add_to(event_file);
        }
        if number.is_multiple_of(stride) || is_last {
            file.add(&sample);
            file.flush();
        }
        number += 1;
        if file.is_large() {
            stride *= 2;
            let mut line = 0u64;
            file.keep(|_| {
                line += 1;
                // The first line is the header.
                line == 1 || line.is_multiple_of(2)
            });
        }
        let metrics = input.metrics.as_ref().map(Metrics::summaries).unwrap_or_default();
        let is_underused = sample.gpu_busy().is_some_and(|busy| busy < UNDERUSED);
        let is_due = is_underused && looked_at.is_none_or(|at| at.elapsed() >= LOOK_INTERVAL);
        let look = input.loader_look.as_ref().filter(|_| is_due);
        if look.is_some() {
            looked_at = Some(Instant::now());
        }
        let advice = advisor.examine(&sample, &metrics, look.and_then(|look| look.0()));
        for item in &advice {
            tracing::warn!("advice: {} ({}): {}", item.text, item.evidence, item.remedy);
        }
        let mut state = shared.lock();
        state.summary.add(&sample);
        state.latest = Some(sample);
        state.advice.extend(advice);
        state.version += 1;
        if is_last {
            if let Course::Ending(waiting) = std::mem::replace(&mut state.course, Course::Ended) {
                // The receiver is gone if nothing waits any more.
                let _ = waiting.send(());
            }
            return;
        }
    }
}
