//! Judging a failed process by the evidence: at once for the other hosts, and again at the end.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::served::{self, LateServices};
use super::start::{RankTask, timing};
use super::{Outcome, Prepared};
use crate::event::{Cause, CauseEnding, Collective, Ending, Event, EventKind, Events, KillReason, Output, Process};
use crate::event::{EndedRank, RankOutput, RankTally};
use crate::failure::{self, Evidence, Judgement, MemoryWatch, RankEvidence, ScriptText, Weight};
use crate::job::Variables;
use crate::launch::{self, ERROR_FILE, TF_CONFIG};
use crate::logs::{self, RankLabel};
use crate::redact::without_private_keys;
use crate::supervise::{EndReport, Reports, Stop, Supervisor};
use crate::system::files;
use crate::system::kernel;

/// The time limit for judging. It takes milliseconds, unless a file system does not answer.
const JUDGE_TIME: Duration = Duration::from_secs(10);

/// The time limit for reading an error file, or for asking for the free space on the disks.
const EVIDENCE_TIME: Duration = Duration::from_secs(2);

/// The maximum size of a rank's error file, in bytes. torch elastic writes a traceback into it.
const MAX_ERROR_FILE: u64 = 4 << 20;

/// The maximum size of a script whose functions are looked up in it.
const MAX_SCRIPT: u64 = 1 << 20;

/// The end of the script's processes, as it matters for this host and for the others.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// The numbers of ranks of this host that ended with a failure.
    pub(super) ranks: RankTally,
    /// True if the processes were told to stop by a signal to footplate.
    pub(super) was_stopped: bool,
    /// True if the processes that failed were only told to end, because of another failure.
    pub(super) only_followed: bool,
}

impl From<Outcome> for Ended {
    /// Returns the end of a host on which no process of the script has run.
    fn from(outcome: Outcome) -> Ended {
        Ended { outcome, ranks: RankTally::default(), was_stopped: false, only_followed: false }
    }
}

/// Judges the processes of the script.
#[derive(Debug)]
pub(super) struct Judge {
    variables: Variables,
    prepared: Prepared,
    code_dir: PathBuf,
    memory: MemoryWatch,
    processes: Vec<Judged>,
    late: LateServices,
}

/// The facts about a process that are known before it runs.
#[derive(Debug)]
struct Judged {
    process: Process,
    /// The rank of the process, if the job has several.
    rank: Option<usize>,
    /// The command without secrets.
    command: String,
    /// The file into which the process may write its error.
    error_file: Option<PathBuf>,
    /// The file into which the process may write the cause that another footplate judged.
    cause_file: Option<PathBuf>,
    /// The name of a service, as used in sentences.
    service: Option<&'static str>,
    /// The value of TF_CONFIG, if the process has one.
    tf_config: Option<OsString>,
    /// True if the process on this host is mpirun's daemon, which [`super::remote`] judges.
    serves: bool,
}

/// An order for the thread that judges failures as they are reported.
enum JudgeOrder {
    /// A process has failed.
    Failure { process: Process, ending: Ending, output: Option<Arc<Output>> },
    /// The ranks have ended. Some of them were told to end.
    Last { tally: RankTally, ended: Vec<EndedRank> },
}

impl Judged {
    /// Returns the cause that the process passed on before it ended in this way, if it did. The exit codes differ if
    /// the process ended for another reason.
    fn passed_on(&self, ending: Ending) -> Option<Cause> {
        let bytes = files::read_within(EVIDENCE_TIME, self.cause_file.as_deref()?, MAX_ERROR_FILE).ok()?;
        let cause: Cause = serde_json::from_slice(&bytes).ok()?;
        (cause.exit_code() == ending.exit_code()).then_some(cause)
    }
}

impl Judge {
    /// Prepares to judge these tasks, and begins to watch the memory.
    pub(super) fn new(
        variables: &Variables,
        prepared: &Prepared,
        code_dir: PathBuf,
        tasks: &[RankTask],
        late: LateServices,
    ) -> Judge {
        let redactor = logs::redactor();
        let judged = |task: &RankTask| Judged {
            process: task.task.process.clone(),
            rank: task.rank,
            command: task.shown_command(&redactor),
            error_file: task.error_file.clone(),
            cause_file: task.cause_file.clone(),
            service: task.service,
            tf_config: task.task.variables.get(OsStr::new(TF_CONFIG)).cloned(),
            serves: task.serves,
        };
        Judge {
            variables: variables.clone(),
            prepared: prepared.clone(),
            code_dir,
            memory: MemoryWatch::start(),
            processes: tasks.iter().map(judged).collect(),
            late,
        }
    }

    /// Judges failures as they are reported, on a separate thread, and emits the causes.
    pub(super) fn listen(self: &Arc<Self>, events: &Events) {
        let (sender, orders) = mpsc::channel();
        let (judge, told) = (Arc::clone(self), events.clone());
        let spawned = kernel::spawn_thread("judge", None, move || {
            for order in orders {
                match order {
                    JudgeOrder::Failure { process, ending, output } => {
                        let is_final = output.is_some();
                        let cause = Arc::new(judge.early_cause(&process, ending, output.as_deref()));
                        told.emit(EventKind::CauseJudged { process: Some(process), cause, is_final });
                    }
                    JudgeOrder::Last { tally, ended } => {
                        if let Some((process, cause)) = ended.iter().find_map(|rank| judge.cause_of_ended(rank)) {
                            let (process, cause) = (Some(process), Arc::new(cause));
                            told.emit(EventKind::CauseJudged { process, cause, is_final: true });
                        }
                        told.emit(EventKind::FailuresJudged(tally));
                    }
                }
            }
        });
        if let Err(error) = spawned {
            // The other hosts will receive the failures at the end.
            tracing::debug!("failures are not judged early: {error}");
            let told = events.clone();
            events.subscribe(move |event: &Event| {
                if let EventKind::RanksEnded { tally, .. } = &event.kind {
                    told.emit(EventKind::FailuresJudged(tally.clone()));
                }
            });
            return;
        }
        let serves = self.processes.iter().any(|judged| judged.serves);
        let (attempt, mut sender) = (events.attempt(), Some(sender));
        events.subscribe(move |event: &Event| {
            if event.attempt > attempt {
                // This ends the thread.
                sender = None;
            }
            let Some(sender) = &sender else { return };
            let order = match &event.kind {
                EventKind::ProcessFailed { process, ending, output, .. }
                    if !(serves && matches!(process, Process::Launcher(_))) =>
                {
                    JudgeOrder::Failure { process: process.clone(), ending: *ending, output: output.clone() }
                }
                // This order takes the same way as the failures, so that the other hosts receive it after the causes.
                EventKind::RanksEnded { tally, ended } => {
                    JudgeOrder::Last { tally: tally.clone(), ended: ended.clone() }
                }
                _ => return,
            };
            // The thread ends with the attempt.
            let _ = sender.send(order);
        });
    }

    /// Returns the cause of a failure while other processes may still run. Before the output was read, only the
    /// ending is known.
    fn early_cause(&self, process: &Process, ending: Ending, output: Option<&Output>) -> Cause {
        match output {
            Some(output) => self.judged(process, ending, output, None, false).cause,
            None => {
                let cause = Cause::new(ending.to_string(), CauseEnding::Process(ending));
                self.of_service(process, ending, &Output::default(), Cause { rank: self.rank_of(process), ..cause })
            }
        }
    }

    /// Returns the rank's own failure at the time when it was ended, if it had one.
    fn cause_of_ended(&self, rank: &EndedRank) -> Option<(Process, Cause)> {
        let judgement = self.judged(&rank.process, rank.ending, &rank.output, None, true);
        (judgement.weight == Weight::Own).then(|| {
            // Otherwise it would have ended with Python's exit code for an exception.
            let ending = CauseEnding::Process(Ending::Exited(1));
            (rank.process.clone(), Cause { ending, ..judgement.cause })
        })
    }

    /// Judges why a process failed.
    fn judged(
        &self,
        process: &Process,
        ending: Ending,
        output: &Output,
        stop: Option<Stop>,
        was_told: bool,
    ) -> Judgement {
        let job = &self.prepared.job;
        let own = self.processes.iter().find(|judged| judged.process == *process);
        // A rank that a launcher started has the launcher's command.
        let judged = own.or(self.processes.first());
        let command = judged.map(|judged| judged.command.clone()).unwrap_or_default();
        let (stderr, stdout) = (without_private_keys(&output.stderr), without_private_keys(&output.stdout));
        let mut evidence = Evidence::new(ending, &stderr, &stdout, &self.code_dir, command);
        let of_rank = |rank: &RankOutput| RankLabel::new(job.cluster.current_host.clone(), rank.rank);
        let ranks = output.ranks.iter();
        evidence.ranks = ranks
            .map(|rank| RankEvidence { label: of_rank(rank), stdout: &rank.stdout, stderr: &rank.stderr })
            .collect();
        evidence.hosts = &job.cluster.hosts;
        evidence.host = (job.cluster.hosts.len() > 1).then(|| job.cluster.current_host.clone());
        evidence.rank = own.map_or(process.rank(), |own| own.rank);
        evidence.told_to_end = was_told;
        evidence.stopped = stop.map(|stop| failure::StopEvidence {
            signal: stop.signal.to_string(),
            grace_seconds: self.prepared.settings.grace_period.as_secs(),
            killed_after_grace: stop.killed == Some(KillReason::GraceOver),
        });
        evidence.memory = self.memory.out_of_memory();
        evidence.job = self.job_evidence();
        evidence.redactor = logs::redactor();
        let temporary = std::env::temp_dir();
        let places = [job.paths.base().to_owned(), job.paths.output(), job.paths.model(), temporary];
        let full = files::within(EVIDENCE_TIME, move || failure::full_disks(&places));
        evidence.full = full.unwrap_or_default();
        let given = self.variables.get_os(ERROR_FILE).map(PathBuf::from);
        let error_file = judged.and_then(|judged| judged.error_file.clone()).or(given);
        let error_file = error_file.and_then(|path| files::read_within(EVIDENCE_TIME, &path, MAX_ERROR_FILE).ok());
        evidence.error_file = error_file.and_then(|bytes| failure::error_file(&bytes));
        let has_lost_names = |text: &[u8]| memchr::memmem::find(text, failure::WITHOUT_FILE.as_bytes()).is_some();
        if has_lost_names(&stderr) || output.ranks.iter().any(|rank| has_lost_names(&rank.stderr)) {
            evidence.script = script_text(&self.code_dir, self.prepared.job.request.program.as_deref());
        }
        let mut judgement = failure::judge(&evidence);
        let config = own.and_then(|judged| judged.tf_config.as_deref()).and_then(OsStr::to_str).unwrap_or_default();
        for (task, address) in launch::tasks_of_cluster(config) {
            if let Some(host) = self.host_at(&address) {
                judgement.cause.locate_task(&task, host);
            }
        }
        // mpirun was given the addresses of hosts whose names may not resolve.
        for (name, address) in &self.prepared.settings.host_addresses {
            judgement.cause.call_host(&address.to_string(), name);
        }
        if let Some(passed_on) = own.and_then(|own| own.passed_on(ending)) {
            judgement.cause = passed_on;
        }
        judgement.cause = self.of_service(process, ending, output, judgement.cause);
        judgement
    }

    /// Returns the host of the job that others reach at this address or by this name, if there is exactly one.
    fn host_at(&self, address: &str) -> Option<&str> {
        let known = &self.prepared.settings.host_addresses;
        let mut at = known.iter().filter(|(_, own)| own.to_string() == address).map(|(name, _)| name);
        match (at.next(), at.next()) {
            (None, _) => self.prepared.job.cluster.hosts.iter().find(|host| *host == address).map(String::as_str),
            (Some(name), None) => Some(name),
            (Some(_), Some(_)) => None,
        }
    }

    /// Returns the cause of a service's failure in terms of its meaning for the job.
    fn of_service(&self, process: &Process, ending: Ending, output: &Output, cause: Cause) -> Cause {
        let Some(title) = self.judged_of(process).and_then(|judged| judged.service) else { return cause };
        if !self.late.contains(process) {
            return served::ended(title, ending, cause);
        }
        let last = served::last_line(&output.stderr).or_else(|| served::last_line(&output.stdout));
        served::late(title, timing(&self.prepared.settings).service_time, last, cause)
    }

    fn judged_of(&self, process: &Process) -> Option<&Judged> {
        self.processes.iter().find(|judged| judged.process == *process)
    }

    /// Returns true if a report is about a failure. A service that ended by itself is reported only if that was a
    /// failure.
    fn is_failure(&self, report: &EndReport) -> bool {
        !report.ending.is_success() || self.is_service(report)
    }

    fn is_service(&self, report: &EndReport) -> bool {
        self.judged_of(&report.process).is_some_and(|judged| judged.service.is_some())
    }

    /// Returns the facts about the job and the container that hints use.
    fn job_evidence(&self) -> failure::JobEvidence {
        let job = &self.prepared.job;
        let names = |dict: &crate::job::python::Dict| dict.keys().map(|name| name.to_str().into_owned()).collect();
        failure::JobEvidence {
            channels: names(&job.channels),
            inputs: Some(job.paths.data().to_string_lossy().into_owned()),
            hyperparameters: names(&job.hyperparameters),
            user: Some(nix::unistd::geteuid().as_raw()),
            kills_are_counted: self.memory.counts(),
        }
    }

    /// Judges how the processes of the script ended, on a separate thread, so that stop signals are handled
    /// meanwhile. If judging takes too long, only the endings are known.
    pub(super) async fn outcome(self: &Arc<Self>, supervisor: &mut Supervisor, reports: Reports) -> Ended {
        let reports = Arc::new(reports);
        if !reports.reports.iter().any(|report| self.is_failure(report)) {
            return self.ended(&reports, Judge::of_report);
        }
        let (judge, judged) = (Arc::clone(self), Arc::clone(&reports));
        let ended = supervisor.run_at_end(JUDGE_TIME, move || judge.ended(&judged, Judge::of_report)).await;
        ended.unwrap_or_else(|| {
            tracing::warn!("the output of the failed processes is not looked at: that takes too long");
            self.ended(&reports, |judge, report, _| Judgement {
                cause: judge.early_cause(&report.process, report.ending, None),
                weight: if report.followed { Weight::Told } else { Weight::Own },
            })
        })
    }

    /// Judges why a process with this report failed.
    fn of_report(&self, report: &EndReport, stop: Option<Stop>) -> Judgement {
        self.judged(&report.process, report.ending, &report.output, stop, report.followed)
    }

    /// Chooses the process that failed first, with the help of the causes.
    fn ended(&self, reports: &Reports, judge: impl Fn(&Judge, &EndReport, Option<Stop>) -> Judgement) -> Ended {
        let failed: Vec<&EndReport> = reports.reports.iter().filter(|report| self.is_failure(report)).collect();
        let judged = failed.iter().map(|report| {
            tracing::debug!("{} after {:.3} s", report.ending, report.duration.as_secs_f64());
            (*report, judge(self, report, reports.stop))
        });
        let by_sigterm = |report: &EndReport| report.ending == Ending::Signaled(nix::libc::SIGTERM);
        let first = judged.min_by_key(|(report, judgement)| {
            (judgement.weight, report.followed && by_sigterm(report), report.duration)
        });
        let only_followed = first.as_ref().is_some_and(|(report, judgement)| {
            report.followed && judgement.weight == Weight::Told && matches!(report.ending, Ending::Signaled(_))
        });
        let is_cause = |report: &EndReport| {
            !only_followed && first.as_ref().is_some_and(|(first, _)| std::ptr::eq(*first, report))
        };
        let others = || failed.iter().filter(|report| !is_cause(report) && !self.is_service(report));
        let ended: Vec<usize> =
            others().filter(|report| report.followed).flat_map(|report| self.ranks_of(report)).collect();
        let followers = others().filter(|report| !report.followed).count();
        let ranks = RankTally { failed: failed.len().min(followers + usize::from(!only_followed)), ended };
        let outcome = match first {
            None => Outcome::Succeeded,
            Some((report, Judgement { mut cause, weight })) => {
                (cause.followers, cause.ended) =
                    (followers, ranks.ended.len().saturating_sub(usize::from(only_followed)));
                if let Some(collective) = &mut cause.collective {
                    *collective = self.collective(reports, &ranks);
                }
                if weight == Weight::Consequence {
                    let left = self.left_before(reports, report);
                    cause.hints = failure::with_ranks_that_left(&left, cause.hints);
                }
                // The rank was ended while it was failing, and would otherwise have ended like the ranks that only
                // noticed.
                if report.followed && weight != Weight::Told && matches!(report.ending, Ending::Signaled(_)) {
                    let noticed = failed.iter().filter(|other| !other.followed).min_by_key(|other| other.duration);
                    cause.ending = CauseEnding::Process(noticed.map_or(Ending::Exited(1), |other| other.ending));
                }
                Outcome::Failed(Box::new(cause))
            }
        };
        Ended { outcome, ranks, was_stopped: reports.stop.is_some(), only_followed }
    }

    /// Returns the reports of all ranks of this host about a collective operation that timed out.
    fn collective(&self, reports: &Reports, ranks: &RankTally) -> Collective {
        let outputs = reports.reports.iter().flat_map(|report| {
            let own = (self.rank_of(&report.process), &report.output.stderr[..]);
            let launched = report.output.ranks.iter().map(|rank| (Some(rank.rank), &rank.stderr[..]));
            std::iter::once(own).chain(launched)
        });
        let mut collective = failure::collective_of(outputs);
        collective.add_silent(ranks.ended.iter().copied());
        collective
    }

    /// Returns the ranks that ended by themselves with exit code 0 before the process of this report.
    fn left_before(&self, reports: &Reports, failed: &EndReport) -> Vec<usize> {
        let has_left = |report: &&EndReport| {
            report.ending.is_success()
                && !report.followed
                && report.duration < failed.duration
                && !self.is_service(report)
        };
        reports.reports.iter().filter(has_left).filter_map(|report| self.rank_of(&report.process)).collect()
    }

    /// Returns the ranks that a report is about.
    fn ranks_of(&self, report: &EndReport) -> Vec<usize> {
        match self.rank_of(&report.process) {
            Some(rank) => vec![rank],
            None => report.output.ranks.iter().map(|rank| rank.rank).collect(),
        }
    }

    fn rank_of(&self, process: &Process) -> Option<usize> {
        let own = self.processes.iter().find(|judged| judged.process == *process);
        own.map_or(process.rank(), |own| own.rank)
    }
}

/// Returns the script, if it is a file in the folder of the code that can be read.
pub(super) fn script_text(code_dir: &Path, program: Option<&str>) -> Option<ScriptText> {
    let path = code_dir.join(program?);
    let text = files::read_within(EVIDENCE_TIME, &path, MAX_SCRIPT).ok()?;
    Some(ScriptText { path: path.display().to_string(), text: String::from_utf8_lossy(&text).into_owned() })
}
