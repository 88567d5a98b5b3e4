//! The metrics of a job: the values that its metric definitions find in the lines of the script.
//!
//! The platform's scraper reads definitions as patterns in Python's syntax, looks for them in each line of standard
//! output and error, and takes the first group of the first match as the value. This module does the same, beside the
//! relay, with the lines as the script wrote them. It writes every value to `metrics.jsonl`, thinned if there are
//! many. It adds exact counts and extremes to the run record, and writes the file of the platform's Experiments if
//! the platform provides a folder for it.
//!
//! A definition never fails a job. Its problems are logged.
//!
//! Most lines match nothing, so whole blocks are searched for short texts ([`windows`]). Each text is rare in this
//! job's output, and every match of a pattern contains one of the pattern's texts. A pattern is tried only on lines
//! with one of its texts.

mod checks;
mod collector;
mod compiled;
mod core;
mod experiments;
mod finder;
mod number;
mod rarity;
mod sample;
mod scan;
mod state;
mod step;
mod summary;
mod translate;
mod values;
mod windows;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use summary::{MetricSummary, TuningSummary};

use collector::Collector;
use state::SharedMetrics;

use super::export::EventFile;
use crate::job::config::MetricDefinition;
use crate::logs::Tap;

/// The time limit for searching the last lines.
const PATIENCE: Duration = Duration::from_secs(2);

/// The input of the collector of metrics on this host.
#[derive(Debug)]
pub struct MetricsInput {
    /// The definitions.
    pub definitions: Vec<MetricDefinition>,
    /// The metric by which a tuning job rates this job.
    pub objective: Option<String>,
    /// The name of this host.
    pub host: String,
    /// The folder of metrics.jsonl.
    pub folder: PathBuf,
    /// The folder of the platform's Experiments, if the platform has set one.
    pub experiments: Option<PathBuf>,
    /// The event file for TensorBoard, if it was requested.
    pub event_file: Option<EventFile>,
}

/// The metrics of this host.
#[derive(Clone, Debug)]
pub struct Metrics {
    shared: Arc<SharedMetrics>,
    tap: Tap,
}

impl Metrics {
    /// Begins to collect metrics from the lines of a tap, on the tap's thread, where the definitions are compiled
    /// too.
    ///
    /// # Errors
    /// The kernel refuses a thread.
    pub fn begin(input: MetricsInput) -> io::Result<Metrics> {
        let shared = Arc::new(SharedMetrics::default());
        let collected = Arc::clone(&shared);
        let tap = Tap::start(move || vec![Box::new(Collector::new(input, collected))])?;
        Ok(Metrics { shared, tap })
    }

    /// Returns the tap, for the relay.
    pub fn tap(&self) -> Tap {
        self.tap.clone()
    }

    /// Returns a number that changes with the metrics.
    pub fn version(&self) -> u64 {
        self.shared.lock().version
    }

    /// Returns each metric by its name.
    pub fn summaries(&self) -> Vec<(String, MetricSummary)> {
        self.shared.lock().metrics.clone()
    }

    /// Returns the state of the tuning job's objective, if this job belongs to a tuning job.
    pub fn tuning(&self) -> Option<TuningSummary> {
        self.shared.lock().tuning()
    }

    /// Waits until all lines are searched, and returns a line about each metric.
    pub async fn finish(&self) -> Vec<String> {
        if tokio::time::timeout(PATIENCE, self.tap.finish()).await.is_err() {
            return vec!["the metrics are not complete: the last lines were not searched in time".to_owned()];
        }
        self.shared.lock().words.clone()
    }
}
