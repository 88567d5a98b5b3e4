//! The state of a run record, as the events so far have described it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::document::{
    AttemptPart, CheckpointPart, CheckpointsPart, Document, EvidencePart, FailurePart, HangGroupPart, HangPart,
    JobFacts, JobPart, PeerPart, PhasePart, Plan, PlannedProcess, ProcessPart, SCHEMA, Status, StopPart, UploadPart,
};
use crate::event::{
    Cause, CauseEnding, Checkpoint, Ending, Event, EventKind, HangReport, JobPhase, KillReason, Moment, Output,
    Process, RankGroup, StopReason,
};
use crate::failure;
use crate::logs;
use crate::observe::metrics::Metrics;
use crate::observe::resources::Resources;
use crate::redact::visible_json;

/// The maximum number of failed processes whose output is kept until the cause is known.
const MAX_OUTPUTS: usize = 8;

/// The maximum length of the evidence of each stream, in bytes.
const EVIDENCE_SIZE: usize = 8 << 10;

/// The maximum number of earlier attempts in the record. The latest ones are kept.
const MAX_ATTEMPTS: usize = 20;

/// The content of a record.
#[derive(Debug)]
pub(super) struct State {
    /// The number of changes.
    version: u64,
    job: JobFacts,
    attempt: u32,
    /// The attempts that were followed by another one. The latest ones are kept.
    attempts: Vec<AttemptPart>,
    started: Moment,
    ended: Option<Moment>,
    exit_code: Option<i32>,
    plan: Option<Plan>,
    phases: Vec<PhasePart>,
    processes: BTreeMap<Process, ProcessPart>,
    uploads: UploadPart,
    checkpoints: CheckpointsPart,
    peers: Vec<PeerPart>,
    metrics: Option<Metrics>,
    resources: Option<Resources>,
    stop: Option<StopPart>,
    /// The time of the stop by the wall clock, as files have theirs.
    stopped: Option<SystemTime>,
    failure: Option<FailurePart>,
    hang: Option<Arc<HangReport>>,
    /// The output of the first processes that failed.
    outputs: Vec<(Process, Arc<Output>)>,
}

impl State {
    pub(super) fn new(started: Moment) -> State {
        // The first phase began before the job's facts were known.
        let config = PhasePart { name: JobPhase::Config.name(), start: wall_seconds(started.wall), end: None };
        State {
            version: 0,
            job: JobFacts::default(),
            attempt: 0,
            attempts: Vec::new(),
            started,
            ended: None,
            exit_code: None,
            plan: None,
            phases: vec![config],
            processes: BTreeMap::new(),
            uploads: UploadPart::default(),
            checkpoints: CheckpointsPart::default(),
            peers: Vec::new(),
            metrics: None,
            resources: None,
            stop: None,
            stopped: None,
            failure: None,
            hang: None,
            outputs: Vec::new(),
        }
    }

    /// Returns a number that changes with the state.
    pub(super) fn version(&self) -> u64 {
        let observed = self.metrics.as_ref().map_or(0, Metrics::version);
        self.version + observed + self.resources.as_ref().map_or(0, Resources::version)
    }

    pub(super) fn sample(&mut self, resources: Resources) {
        self.version += 1;
        self.resources = Some(resources);
    }

    pub(super) fn watch(&mut self, metrics: Metrics) {
        self.version += 1;
        self.metrics = Some(metrics);
    }

    pub(super) fn describe(&mut self, job: JobFacts) {
        self.version += 1;
        self.job = job;
    }

    pub(super) fn plan(&mut self, launcher: &str, processes: Vec<PlannedProcess>) {
        self.version += 1;
        self.plan = Some(Plan { launcher: launcher.to_owned(), processes });
    }

    /// Returns a time in Unix seconds, to the millisecond. Times have their true distances, also if the wall clock is set while
    /// the job runs.
    fn seconds(&self, moment: Moment) -> f64 {
        let Moment { monotonic, wall } = self.started;
        let at = match moment.monotonic.checked_duration_since(monotonic) {
            Some(after) => wall + after,
            None => wall - monotonic.duration_since(moment.monotonic),
        };
        wall_seconds(at)
    }

    /// Takes an event.
    pub(super) fn receive(&mut self, event: &Event) {
        self.version += 1;
        // The events of other hosts do not count here, because they belong to no attempt.
        self.attempt = self.attempt.max(event.attempt);
        let at = self.seconds(event.at);
        match &event.kind {
            EventKind::PhaseStarted(phase) => self.phases.push(PhasePart { name: phase.name(), start: at, end: None }),
            EventKind::PhaseEnded(phase) => {
                let open = self.phases.iter_mut().rev().find(|part| part.name == phase.name() && part.end.is_none());
                if let Some(part) = open {
                    part.end = Some(at);
                }
            }
            EventKind::ProcessStarted { process, pid } => {
                let part = self.process(process, event);
                (part.pid, part.started) = (Some(*pid), Some(at));
            }
            EventKind::FirstOutput { process, .. } => {
                let part = self.process(process, event);
                part.first_line = part.first_line.or(Some(at));
            }
            EventKind::StreamClosed { process, lines, bytes, last_output, .. } => {
                let last_output = last_output.map(|at| self.seconds(at));
                let part = self.process(process, event);
                part.lines += lines;
                part.bytes += bytes;
                part.last_line = part.last_line.into_iter().chain(last_output).reduce(f64::max);
            }
            EventKind::ProcessEnded { process, ending, followed, .. } => {
                let part = self.process(process, event);
                (part.ended, part.followed) = (Some(at), *followed);
                (part.exit_code, part.signal) = match ending {
                    Ending::Exited(code) => (Some(*code), None),
                    Ending::Signaled(number) => (None, Some(*number)),
                };
            }
            EventKind::ProcessFailed { process, output: Some(output), .. } if self.outputs.len() < MAX_OUTPUTS => {
                self.outputs.push((process.clone(), Arc::clone(output)));
            }
            EventKind::Stopping(reason) if self.stop.is_none() => {
                self.stop = Some(stop(reason, at));
                self.stopped = Some(event.at.wall);
            }
            EventKind::Killed(reason) => {
                if let Some(stop) = &mut self.stop {
                    stop.killed = Some(at);
                    stop.killed_because = reason.map(|reason| match reason {
                        KillReason::GraceOver => "grace period over",
                        KillReason::SecondSignal => "second stop signal",
                    });
                }
            }
            EventKind::UploadFinished { bytes, .. } => {
                self.uploads.files += 1;
                self.uploads.bytes += bytes;
            }
            EventKind::UploadFailed { error, .. } => {
                self.uploads.failed += 1;
                self.uploads.last_error = Some(logs::clean(error));
            }
            EventKind::HangFound(report) => self.hang = Some(Arc::clone(report)),
            EventKind::CheckpointFound(found) => self.checkpoints.found = Some(checkpoint(found)),
            EventKind::CheckpointWritten(written) => {
                let is_since = self.stopped.is_some_and(|stopped| written.is_since(stopped));
                if let Some(stop) = self.stop.as_mut().filter(|_| is_since) {
                    stop.checkpoint = Some(checkpoint(written));
                }
                self.checkpoints.written += 1;
                self.checkpoints.last = Some(checkpoint(written));
            }
            EventKind::HostJoined(host) => self.peer(host).joined = Some(at),
            EventKind::HostReady(host) => self.peer(host).ready = Some(at),
            EventKind::HostLost { host, why } => {
                let peer = self.peer(host);
                (peer.lost, peer.why) = (Some(at), Some(why.clone()));
            }
            EventKind::Restarting { attempt, pause, cause } => self.restart(*attempt, *pause, cause, at),
            EventKind::JobOver { exit_code, cause } => {
                self.end(event.at, *exit_code, cause.as_deref());
            }
            EventKind::ProcessReady(_)
            | EventKind::ProcessLate(_)
            | EventKind::StepCompleted(_)
            | EventKind::StepAllowed(_)
            | EventKind::ProcessFailed { .. }
            | EventKind::Stopping(_)
            | EventKind::RankKilled
            | EventKind::PeerRankKilled
            | EventKind::RanksEnded { .. }
            | EventKind::FailuresJudged(_)
            | EventKind::PeersEnded
            | EventKind::HostsStarted
            | EventKind::PeerNote { .. }
            | EventKind::StacksAsked
            | EventKind::CauseJudged { .. }
            | EventKind::Agreed(_) => {}
        }
    }

    /// Records the end of the job on this host.
    pub(super) fn end(&mut self, at: Moment, exit_code: i32, cause: Option<&Cause>) {
        self.version += 1;
        (self.ended, self.exit_code) = (Some(at), Some(exit_code));
        self.failure = cause.map(|cause| self.failed(cause));
        let end = Some(self.seconds(at));
        self.phases.iter_mut().filter(|part| part.end.is_none()).for_each(|part| part.end = end);
    }

    /// Records the end of the job on this host, with the text of a failure file that was written already.
    pub(super) fn end_with(&mut self, at: Moment, exit_code: i32, text: String) {
        self.end(at, exit_code, Some(&Cause::from_message(&text, CauseEnding::NoProcess(exit_code))));
        if let Some(failure) = &mut self.failure {
            failure.text = text;
        }
    }

    /// Records an attempt that is followed by another one. The record lists only the processes of the last attempt.
    fn restart(&mut self, next: u32, pause: Duration, cause: &Cause, at: f64) {
        if self.attempts.len() == MAX_ATTEMPTS {
            self.attempts.remove(0);
        }
        self.attempts.push(AttemptPart {
            attempt: next.saturating_sub(1),
            ended: at,
            first_line: failure::headline(cause, &logs::redactor()),
            host: cause.host.clone(),
            rank: cause.rank,
            exit_code: cause.exit_code(),
            pause: pause.as_secs_f64(),
        });
        self.attempt = next;
        self.processes.clear();
        self.stop = None;
        self.outputs.clear();
    }

    /// Returns the entry of a process. Adds one if there is none.
    fn process(&mut self, process: &Process, event: &Event) -> &mut ProcessPart {
        let (host, attempt) = (event.host.to_string(), event.attempt);
        self.processes.entry(process.clone()).or_insert_with(|| ProcessPart {
            name: if process.rank().is_some() { None } else { Some(process.to_string()) },
            rank: process.rank(),
            host,
            attempt,
            ..ProcessPart::default()
        })
    }

    fn peer(&mut self, host: &str) -> &mut PeerPart {
        let at = self.peers.iter().position(|peer| peer.host == host).unwrap_or_else(|| {
            let host = host.to_owned();
            self.peers.push(PeerPart { host, joined: None, ready: None, lost: None, why: None });
            self.peers.len() - 1
        });
        &mut self.peers[at]
    }

    fn failed(&self, cause: &Cause) -> FailurePart {
        let cause = failure::redacted(cause, &logs::redactor());
        let text = failure::text(&cause, &logs::redactor());
        let is_of_cause =
            |(process, _): &&(Process, Arc<Output>)| cause.rank.is_none_or(|rank| process.rank() == Some(rank));
        let output = self.outputs.iter().find(is_of_cause).map(|(_, output)| output);
        FailurePart {
            first_line: text.lines().next().unwrap_or_default().to_owned(),
            text,
            rank: cause.rank,
            host: cause.host.clone(),
            exit_code: cause.exit_code(),
            evidence: output.map(|output| evidence(output)).unwrap_or_default(),
            cause,
        }
    }

    /// Returns the record as JSON.
    pub(super) fn text(&self) -> String {
        let was_stopped = self.stop.as_ref().is_some_and(|stop| matches!(stop.by, "signal" | "peer stopped"));
        let status = match self.exit_code {
            None => Status::Running,
            Some(0) => Status::Completed,
            Some(_) if was_stopped => Status::Stopped,
            Some(_) => Status::Failed,
        };
        let part =
            |is_rank: bool| self.processes.values().filter(move |process| process.rank.is_some() == is_rank).collect();
        let document = Document {
            schema: SCHEMA,
            footplate: env!("CARGO_PKG_VERSION"),
            status,
            attempt: self.attempt,
            attempts: &self.attempts,
            host: &self.job.host,
            hosts: &self.job.hosts,
            instance_type: &self.job.instance_type,
            started: self.seconds(self.started),
            ended: self.ended.map(|at| self.seconds(at)),
            exit_code: self.exit_code,
            job: JobPart {
                name: self.job.name.as_deref(),
                command: self.job.command.as_deref(),
                hyperparameters: &self.job.hyperparameters,
            },
            plan: self.plan.as_ref(),
            phases: &self.phases,
            ranks: part(true),
            services: part(false),
            uploads: &self.uploads,
            peers: &self.peers,
            stop: self.stop.as_ref(),
            checkpoints: &self.checkpoints,
            metrics: self.metrics.iter().flat_map(Metrics::summaries).collect(),
            tuning: self.metrics.as_ref().and_then(Metrics::tuning),
            resources: self.resources.as_ref().map(Resources::summary),
            advice: self.resources.as_ref().map(Resources::advice).unwrap_or_default(),
            failure: self.failure.as_ref(),
            hang: self.hang.as_deref().map(hang),
        };
        let mut text = serde_json::to_string_pretty(&document)
            .unwrap_or_else(|error| unreachable!("every key is a text and every number is finite: {error}"));
        text.push('\n');
        visible_json(&text).into_owned()
    }
}

/// Returns a time in Unix seconds, to the millisecond.
fn wall_seconds(time: SystemTime) -> f64 {
    (time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0).round() / 1000.0
}

fn hang(report: &HangReport) -> HangPart<'_> {
    let HangReport { after_ms, method, odd_ranks, groups, .. } = report;
    let part = |group: &RankGroup| group.stack.iter().map(|call| logs::clean(call)).collect();
    HangPart {
        method: method.map(|method| method.to_string()),
        after: after_ms.unwrap_or_default() as f64 / 1000.0,
        odd_ranks,
        groups: groups.iter().map(|group| HangGroupPart { ranks: &group.ranks, stack: part(group) }).collect(),
    }
}

fn checkpoint(checkpoint: &Checkpoint) -> CheckpointPart {
    let Checkpoint { name, modified, size } = checkpoint;
    CheckpointPart { name: name.clone(), time: wall_seconds(*modified), size: *size }
}

fn stop(reason: &StopReason, at: f64) -> StopPart {
    let (by, signal, why) = match reason {
        StopReason::Signal(signal) => ("signal", Some(signal.to_string()), None),
        StopReason::Hang(why) => ("hang", None, Some(logs::clean(why))),
        StopReason::Failure => ("failure", None, None),
        StopReason::PeerFailed(why) => ("peer failed", None, Some(logs::clean(why))),
        StopReason::PeerStopped(why) => ("peer stopped", None, Some(logs::clean(why))),
    };
    StopPart { by, signal, why, at, killed: None, killed_because: None, checkpoint: None }
}

/// Returns the last lines of an output, without secrets.
fn evidence(output: &Output) -> EvidencePart {
    let redactor = logs::redactor();
    let tail = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(4 * EVIDENCE_SIZE)..]).into_owned();
        // The text is cleaned before it is cut, because the cut could split a secret.
        let clean = redactor.clean(&text);
        let start = clean.ceil_char_boundary(clean.len().saturating_sub(EVIDENCE_SIZE));
        let from = if start == 0 { 0 } else { clean[start..].find('\n').map_or(start, |end| start + end + 1) };
        clean[from..].to_owned()
    };
    EvidencePart { stdout: tail(&output.stdout), stderr: tail(&output.stderr) }
}
