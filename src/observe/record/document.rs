//! The document of a run record, `footplate.run/1`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::Cause;
use crate::observe::advice::Advice;
use crate::observe::metrics::{MetricSummary, TuningSummary};
use crate::observe::resources::ResourceSummary;

/// The name and version of the schema.
pub(super) const SCHEMA: &str = "footplate.run/1";

/// The facts about a job that do not change, without secrets.
#[derive(Clone, Debug, Default)]
pub struct JobFacts {
    /// The name of the job.
    pub name: Option<String>,
    /// The name of this host.
    pub host: String,
    /// All hosts, in the order of their node ranks.
    pub hosts: Vec<String>,
    /// The instance type of this host.
    pub instance_type: String,
    /// The entry point or command that the job's configuration names.
    pub command: Option<String>,
    /// The hyperparameters as a JSON object.
    pub hyperparameters: serde_json::Value,
}

/// A process that is planned on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedProcess {
    /// The role: `rank`, `launcher` or `service`.
    pub role: &'static str,
    /// The name of a launcher or service, or the rank.
    pub name: String,
    /// The rank, for a rank.
    pub rank: Option<usize>,
    /// The command without secrets.
    pub command: String,
}

/// The run record.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    pub schema: &'static str,
    /// The version of footplate.
    pub footplate: &'static str,
    pub status: Status,
    pub attempt: u32,
    pub attempts: &'a [AttemptPart],
    pub host: &'a str,
    pub hosts: &'a [String],
    pub instance_type: &'a str,
    pub started: f64,
    pub ended: Option<f64>,
    pub exit_code: Option<i32>,
    pub job: JobPart<'a>,
    pub plan: Option<&'a Plan>,
    pub phases: &'a [PhasePart],
    pub ranks: Vec<&'a ProcessPart>,
    pub services: Vec<&'a ProcessPart>,
    pub uploads: &'a UploadPart,
    pub peers: &'a [PeerPart],
    pub stop: Option<&'a StopPart>,
    pub checkpoints: &'a CheckpointsPart,
    pub metrics: BTreeMap<String, MetricSummary>,
    pub tuning: Option<TuningSummary>,
    pub resources: Option<ResourceSummary>,
    pub advice: Vec<Advice>,
    pub failure: Option<&'a FailurePart>,
    pub hang: Option<HangPart<'a>>,
}

/// The status of a job on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Running,
    Completed,
    Failed,
    Stopped,
}

#[derive(Debug, Serialize)]
pub(super) struct JobPart<'a> {
    pub name: Option<&'a str>,
    pub command: Option<&'a str>,
    pub hyperparameters: &'a serde_json::Value,
}

/// The plan of this host.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Plan {
    pub launcher: String,
    pub processes: Vec<PlannedProcess>,
}

/// A phase with its times, in Unix seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct PhasePart {
    pub name: &'static str,
    pub start: f64,
    pub end: Option<f64>,
}

/// An attempt at running the ranks that was followed by another one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct AttemptPart {
    pub attempt: u32,
    /// The time at which all of its ranks had ended.
    pub ended: f64,
    /// The first line of the failure text.
    pub first_line: String,
    pub host: Option<String>,
    pub rank: Option<usize>,
    pub exit_code: i32,
    /// The pause before the next attempt, in seconds.
    pub pause: f64,
}

/// A process that ran.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ProcessPart {
    /// The name of a launcher or service.
    pub name: Option<String>,
    pub rank: Option<usize>,
    pub host: String,
    pub attempt: u32,
    pub pid: Option<i32>,
    /// The GPU that it is given, if each rank has one.
    pub gpu: Option<usize>,
    pub started: Option<f64>,
    pub ended: Option<f64>,
    pub exit_code: Option<i32>,
    /// The number of the signal that killed it.
    pub signal: Option<i32>,
    /// True if it was told to end before it ended.
    pub followed: bool,
    /// The number of lines on both streams.
    pub lines: u64,
    /// The number of bytes on both streams.
    pub bytes: u64,
    /// The time of its first output.
    pub first_line: Option<f64>,
    /// The time of its last output.
    pub last_line: Option<f64>,
}

/// The uploads of intermediate output.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct UploadPart {
    pub files: u64,
    pub bytes: u64,
    pub failed: u64,
    /// The error of the last file that failed.
    pub last_error: Option<String>,
}

/// A hang of the job.
#[derive(Debug, Serialize)]
pub(super) struct HangPart<'a> {
    /// The means by which the stacks were read.
    pub method: Option<String>,
    /// The time without progress, in seconds.
    pub after: f64,
    pub odd_ranks: &'a [usize],
    pub groups: Vec<HangGroupPart<'a>>,
}

/// Ranks that were all at one place in the code.
#[derive(Debug, Serialize)]
pub(super) struct HangGroupPart<'a> {
    pub ranks: &'a [usize],
    /// The calls, the innermost first.
    pub stack: Vec<String>,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CheckpointPart {
    pub name: String,
    /// The time of the checkpoint's last change.
    pub time: f64,
    /// The size of its files, in bytes.
    pub size: u64,
}

/// The checkpoints of this host.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct CheckpointsPart {
    /// The newest checkpoint that existed at the start.
    pub found: Option<CheckpointPart>,
    /// The last checkpoint that was written.
    pub last: Option<CheckpointPart>,
    /// The number of checkpoints that were written.
    pub written: u64,
}

/// Another host.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PeerPart {
    pub host: String,
    pub joined: Option<f64>,
    pub ready: Option<f64>,
    pub lost: Option<f64>,
    pub why: Option<String>,
}

/// A stop.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StopPart {
    /// `signal`, `failure`, `peer failed` or `peer stopped`.
    pub by: &'static str,
    pub signal: Option<String>,
    pub why: Option<String>,
    pub at: f64,
    /// The time at which processes were killed.
    pub killed: Option<f64>,
    /// The reason for the kill.
    pub killed_because: Option<&'static str>,
    /// The last checkpoint that was written after the stop signal.
    pub checkpoint: Option<CheckpointPart>,
}

/// The failure.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FailurePart {
    /// The text of the failure file.
    pub text: String,
    pub first_line: String,
    pub rank: Option<usize>,
    pub host: Option<String>,
    pub exit_code: i32,
    pub cause: Cause,
    pub evidence: EvidencePart,
}

/// The last lines of the process that failed on this host.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct EvidencePart {
    pub stdout: String,
    pub stderr: String,
}
