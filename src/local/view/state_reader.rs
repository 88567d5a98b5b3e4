//! The state of a job, read from the files that its hosts write while it runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::event::JobPhase;
use crate::system::files;

/// The maximum size of a run record that is read, in bytes.
const MAX_RECORD: u64 = 8 << 20;

/// The length of the end of a file of JSON lines that is read, in bytes.
const TAIL: u64 = 32 << 10;

/// The state of a job as the view shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct JobState {
    /// The name of the job.
    pub(super) name: String,
    /// The phase, if it is known.
    pub(super) phase: Option<String>,
    /// The number of hosts.
    pub(super) hosts: usize,
    /// The number of ranks that have started.
    pub(super) ranks: usize,
    /// The number of ranks that run.
    pub(super) running: usize,
    /// The latest metrics, sorted by name.
    pub(super) metrics: Vec<Metric>,
    /// The latest sample.
    pub(super) hardware: Option<MachineUse>,
}

/// A metric.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Metric {
    pub(super) name: String,
    /// The last finite value.
    pub(super) last: f64,
    /// The value before it.
    pub(super) before: Option<f64>,
    pub(super) step: Option<u64>,
}

/// The use of this machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MachineUse {
    /// The processors in use.
    pub(super) used: Option<f64>,
    /// The processors that can be used.
    pub(super) cores: f64,
    /// The memory in use, in bytes.
    pub(super) working_set: Option<u64>,
    /// The limit of the memory, in bytes.
    pub(super) limit: Option<u64>,
    pub(super) gpus: Option<GpuUse>,
}

/// The use of all GPUs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct GpuUse {
    pub(super) count: usize,
    /// The share of the time in which they were busy, on average, in per cent.
    pub(super) busy: Option<f64>,
    /// The memory in use, in bytes.
    pub(super) memory_used: u64,
    /// The size of the memory, in bytes.
    pub(super) memory_total: u64,
}

/// Reads the state of a job.
#[derive(Debug)]
pub(super) struct StateReader {
    records: Vec<PathBuf>,
    seen: JobState,
}

impl StateReader {
    /// Describes a job. `records` are the folders in which the hosts keep their records. Nothing is read.
    pub(super) fn new(name: String, records: Vec<PathBuf>) -> StateReader {
        let hosts = records.len();
        StateReader { records, seen: JobState { name, hosts, ..JobState::default() } }
    }

    /// Returns the state of the job at the last read.
    pub(super) fn seen(&self) -> &JobState {
        &self.seen
    }

    /// Reads the files.
    pub(super) fn read(&mut self) {
        let records =
            self.records.iter().filter_map(|folder| json(&files::text(&folder.join("run.json"), MAX_RECORD).ok()?));
        let records: Vec<Value> = records.collect();
        if let Some(first) = records.first() {
            self.seen.phase = phase(first).or(self.seen.phase.take());
        }
        let ranks = || records.iter().filter_map(|record| record["ranks"].as_array()).flatten();
        self.seen.ranks = ranks().count();
        self.seen.running = ranks().filter(|rank| !rank["started"].is_null() && rank["ended"].is_null()).count();
        // The first host that has metrics has those of the lowest ranks.
        let metrics = self.records.iter().map(|folder| metrics(&tail(&folder.join("metrics.jsonl"))));
        if let Some(metrics) = metrics.into_iter().find(|metrics| !metrics.is_empty()) {
            self.seen.metrics = metrics;
        }
        // All hosts of the job run on this machine, so one sample is enough.
        let sampled = self.records.first().and_then(|folder| hardware(&tail(&folder.join("resources.jsonl"))));
        self.seen.hardware = sampled.or(self.seen.hardware.take());
        // The record is written only every few seconds. Metrics and samples already show that the script runs.
        let is_measured = self.seen.hardware.is_some() || !self.seen.metrics.is_empty();
        if is_measured && self.seen.phase.as_deref() != Some(JobPhase::Uploads.name()) {
            self.seen.phase = Some(JobPhase::Script.name().to_owned());
        }
    }
}

fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// Returns the end of a file, from the first whole line on.
fn tail(path: &Path) -> String {
    let Ok(bytes) = files::end(path, TAIL) else { return String::new() };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if (bytes.len() as u64) < TAIL {
        return text;
    }
    text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

/// Returns the phase that has begun last and not ended.
fn phase(record: &Value) -> Option<String> {
    let phases = record["phases"].as_array()?;
    let open = phases.iter().rev().find(|phase| phase["end"].is_null());
    open.and_then(|phase| phase["name"].as_str()).map(str::to_owned)
}

/// Returns the last values of each metric. If several ranks print a metric, those of the lowest rank are returned.
fn metrics(lines: &str) -> Vec<Metric> {
    let mut found: BTreeMap<String, (u64, Metric)> = BTreeMap::new();
    for line in lines.lines().filter_map(json) {
        let (Some(name), Some(last)) = (line["name"].as_str(), line["value"].as_f64()) else { continue };
        let (rank, step) = (line["rank"].as_u64().unwrap_or(0), line["step"].as_u64());
        let before = match found.get(name) {
            Some((lowest, _)) if *lowest < rank => continue,
            Some((same, metric)) if *same == rank => Some(metric.last),
            _ => None,
        };
        found.insert(name.to_owned(), (rank, Metric { name: name.to_owned(), last, before, step }));
    }
    found.into_values().map(|(_, metric)| metric).collect()
}

/// Returns the last sample, with the GPUs of the last sample that contains any.
fn hardware(lines: &str) -> Option<MachineUse> {
    let samples: Vec<Value> = lines.lines().filter_map(json).filter(|line| line["cpu"].is_object()).collect();
    let last = samples.last()?;
    let gpus = samples.iter().rev().find_map(|sample| sample["gpus"].as_array()).map(|gpus| {
        let busy: Vec<f64> = gpus.iter().filter_map(|gpu| gpu["busy"].as_f64()).collect();
        let sum = |key: &str| gpus.iter().filter_map(|gpu| gpu[key].as_u64()).sum();
        GpuUse {
            count: gpus.len(),
            busy: (!busy.is_empty()).then(|| busy.iter().sum::<f64>() / busy.len() as f64),
            memory_used: sum("memory_used"),
            memory_total: sum("memory_total"),
        }
    });
    Some(MachineUse {
        used: last["cpu"]["used"].as_f64(),
        cores: last["cpu"]["cores"].as_f64().unwrap_or_default(),
        working_set: last["memory"]["working_set"].as_u64(),
        limit: last["memory"]["limit"].as_u64(),
        gpus,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{GpuUse, MachineUse, Metric, StateReader};

    #[test]
    fn a_job_is_seen_as_its_hosts_describe_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let hosts = ["algo-1", "algo-2"].map(|host| folder.path().join(host));
        let mut reader = StateReader::new("job".into(), hosts.to_vec());
        reader.read();
        assert_eq!((reader.seen().phase.as_deref(), reader.seen().hosts, reader.seen().ranks), (None, 2, 0));
        for host in &hosts {
            fs::create_dir(host).expect("made");
            let record = r#"{"phases":[{"name":"config","start":1,"end":2},{"name":"script","start":2,"end":null}],
                "ranks":[{"rank":0,"started":3,"ended":null},{"rank":1,"started":3,"ended":4}]}"#;
            fs::write(host.join("run.json"), record).expect("written");
        }
        let values = r#"{"name":"loss","value":0.5,"rank":0,"step":1}
{"name":"loss","value":0.9,"rank":1,"step":1}
{"name":"loss","value":0.25,"rank":0,"step":2}
{"name":"acc","value":null,"text":"nan","rank":0}
{"name":"acc","val"#;
        fs::write(hosts[1].join("metrics.jsonl"), values).expect("written");
        let samples = r#"{"schema":"footplate.resources/1","host":"algo-1","interval":5.0}
{"time":1,"cpu":{"cores":4.0,"used":1.0},"gpus":[{"busy":90.0,"memory_used":1,"memory_total":2},{"busy":null}]}
{"time":2,"cpu":{"cores":4.0,"used":2.0},"memory":{"working_set":7,"limit":9}}
"#;
        fs::write(hosts[0].join("resources.jsonl"), samples).expect("written");
        reader.read();
        let seen = reader.seen();
        assert_eq!((seen.phase.as_deref(), seen.ranks, seen.running), (Some("script"), 4, 2));
        let loss = Metric { name: "loss".into(), last: 0.25, before: Some(0.5), step: Some(2) };
        assert_eq!(seen.metrics, [loss]);
        let gpus = GpuUse { count: 2, busy: Some(90.0), memory_used: 1, memory_total: 2 };
        let expected =
            MachineUse { used: Some(2.0), cores: 4.0, working_set: Some(7), limit: Some(9), gpus: Some(gpus) };
        assert_eq!(seen.hardware, Some(expected));
        // If a file cannot be read for a moment, the values from it stay.
        fs::remove_file(hosts[0].join("resources.jsonl")).expect("removed");
        reader.read();
        assert!(reader.seen().hardware.is_some());
    }
}
