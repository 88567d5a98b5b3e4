//! From the evidence about a failed process to its cause: at once for the other hosts, and once more at the end.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::start::{RankTask, shown_command};
use super::{Outcome, Prepared};
use crate::event::{Cause, CauseEnding, Ending, Event, EventKind, Events, KillReason, Output, Process, RankOutput};
use crate::failure::{self, Evidence, MemoryWatch, RankEvidence};
use crate::job::Variables;
use crate::kernel;
use crate::launch::ERROR_FILE;
use crate::logs::{self, RankLabel};
use crate::supervise::{EndReport, Reports, Stop, Supervisor};

/// The time that judging may take. It takes milliseconds, unless a file system does not answer.
const JUDGE_TIME: Duration = Duration::from_secs(10);

/// The end of the script's processes, for this host and for the others.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// The number of ranks that failed on this host.
    pub(super) failed_ranks: usize,
    /// True if the processes were told to stop by a signal to footplate.
    pub(super) was_stopped: bool,
    /// True if those that failed were only told to end, because of another one.
    pub(super) only_followed: bool,
}

impl From<Outcome> for Ended {
    /// Returns the end of a host on which no process of the script ran.
    fn from(outcome: Outcome) -> Ended {
        Ended { outcome, failed_ranks: 0, was_stopped: false, only_followed: false }
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
}

/// The facts about a process that are known before it runs.
#[derive(Debug)]
struct Judged {
    process: Process,
    /// Its rank, if the job has several.
    rank: Option<usize>,
    /// The command without secrets.
    command: String,
    /// The file into which it may write its error.
    error_file: Option<PathBuf>,
    /// True if the process on this host is mpirun's daemon, which is judged by [`super::remote`].
    serves: bool,
}

/// An order for the thread that judges failures as they are told.
enum JudgeOrder {
    /// A process has failed.
    Failure { process: Process, ending: Ending, output: Option<Arc<Output>> },
    /// The ranks have ended. Holds the number of failed ones.
    Last(usize),
}

impl Judge {
    /// Prepares to judge these tasks, and begins to watch the memory.
    pub(super) fn new(variables: &Variables, prepared: &Prepared, code_dir: PathBuf, tasks: &[RankTask]) -> Judge {
        let redactor = logs::redactor();
        let judged = |task: &RankTask| Judged {
            process: task.task.process.clone(),
            rank: task.rank,
            command: shown_command(&redactor, &task.task.arguments),
            error_file: task.error_file.clone(),
            serves: task.serves,
        };
        Judge {
            variables: variables.clone(),
            prepared: prepared.clone(),
            code_dir,
            memory: MemoryWatch::start(),
            processes: tasks.iter().map(judged).collect(),
        }
    }

    /// Judges failures as they are told, on a thread of its own, and tells the causes.
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
                    JudgeOrder::Last(failed) => told.emit(EventKind::FailuresJudged(failed)),
                }
            }
        });
        if let Err(error) = spawned {
            // The others hear of failures at the end.
            tracing::debug!("failures are not judged early: {error}");
            let told = events.clone();
            events.subscribe(move |event: &Event| {
                if let EventKind::RanksEnded(failed) = event.kind {
                    told.emit(EventKind::FailuresJudged(failed));
                }
            });
            return;
        }
        let serves = self.processes.iter().any(|judged| judged.serves);
        events.subscribe(move |event: &Event| {
            let order = match &event.kind {
                EventKind::ProcessFailed { process, ending, output, .. }
                    if !(serves && matches!(process, Process::Launcher(_))) =>
                {
                    JudgeOrder::Failure { process: process.clone(), ending: *ending, output: output.clone() }
                }
                // It goes the same way, so that the other hosts hear of it after the causes.
                EventKind::RanksEnded(failed) => JudgeOrder::Last(*failed),
                _ => return,
            };
            // The thread ends with the process.
            let _ = sender.send(order);
        });
    }

    /// Returns the cause of a failure while others may still run. Before its output was read, only the ending is known.
    fn early_cause(&self, process: &Process, ending: Ending, output: Option<&Output>) -> Cause {
        match output {
            Some(output) => self.cause(process, ending, output, None, 0),
            None => {
                let own = self.processes.iter().find(|judged| judged.process == *process);
                let rank = own.map_or(process.rank(), |own| own.rank);
                Cause { rank, ..Cause::new(ending.to_string(), CauseEnding::Process(ending)) }
            }
        }
    }

    /// Judges why a process failed.
    fn cause(&self, process: &Process, ending: Ending, output: &Output, stop: Option<Stop>, followers: usize) -> Cause {
        let job = &self.prepared.job;
        let own = self.processes.iter().find(|judged| judged.process == *process);
        // A rank that a launcher started runs by the launcher's command.
        let judged = own.or(self.processes.first());
        let command = judged.map(|judged| judged.command.clone()).unwrap_or_default();
        let mut evidence = Evidence::new(ending, &output.stderr, &output.stdout, &self.code_dir, command);
        let of_rank = |rank: &RankOutput| RankLabel::new(job.cluster.current_host.clone(), rank.rank);
        let ranks = output.ranks.iter();
        evidence.ranks = ranks
            .map(|rank| RankEvidence { label: of_rank(rank), stdout: &rank.stdout, stderr: &rank.stderr })
            .collect();
        evidence.hosts = &job.cluster.hosts;
        evidence.host = (job.cluster.hosts.len() > 1).then(|| job.cluster.current_host.clone());
        evidence.rank = own.map_or(process.rank(), |own| own.rank);
        evidence.followers = followers;
        evidence.stopped = stop.map(|stop| failure::StopEvidence {
            signal: stop.signal.to_string(),
            grace_seconds: self.prepared.settings.grace_period.as_secs(),
            killed_after_grace: stop.killed == Some(KillReason::GraceOver),
        });
        evidence.memory = self.memory.out_of_memory();
        let temporary = std::env::temp_dir();
        evidence.full =
            failure::full_disks(&[job.paths.base().to_owned(), job.paths.output(), job.paths.model(), temporary]);
        let given = self.variables.get_os(ERROR_FILE).map(PathBuf::from);
        let error_file = judged.and_then(|judged| judged.error_file.clone()).or(given);
        let error_file = error_file.and_then(|path| std::fs::read(path).ok());
        evidence.error_file = error_file.and_then(|bytes| failure::error_file(&bytes));
        let mut cause = failure::cause(&evidence);
        // mpirun was given the addresses of hosts whose names need not resolve.
        for (name, address) in &self.prepared.settings.host_addresses {
            cause.call_host(&address.to_string(), name);
        }
        cause
    }

    /// Judges how the processes of the script ended, on a thread of its own: a stop signal is heard meanwhile. If judging takes
    /// too long, only the endings are known.
    pub(super) async fn outcome(self: &Arc<Self>, supervisor: &mut Supervisor, reports: Reports) -> Ended {
        let reports = Arc::new(reports);
        if reports.reports.iter().all(|report| report.ending.is_success()) {
            return self.ended(&reports, Judge::cause_of);
        }
        let (judge, judged) = (Arc::clone(self), Arc::clone(&reports));
        let ended = supervisor.attend(JUDGE_TIME, move || judge.ended(&judged, Judge::cause_of)).await;
        ended.unwrap_or_else(|| {
            tracing::warn!("the output of the failed processes is not looked at: that takes too long");
            self.ended(&reports, |judge, report, _, _| judge.early_cause(&report.process, report.ending, None))
        })
    }

    /// Returns the cause of a failed process, of which there are `followers` more.
    fn cause_of(&self, report: &EndReport, stop: Option<Stop>, followers: usize) -> Cause {
        self.cause(&report.process, report.ending, &report.output, stop, followers)
    }

    /// Chooses the process that failed first by the causes.
    fn ended(&self, reports: &Reports, cause: impl Fn(&Judge, &EndReport, Option<Stop>, usize) -> Cause) -> Ended {
        let failed: Vec<&EndReport> = reports.reports.iter().filter(|report| !report.ending.is_success()).collect();
        let causes = failed.iter().map(|report| {
            tracing::debug!("{} after {:.3} s", report.ending, report.duration.as_secs_f64());
            (report, cause(self, report, reports.stop, failed.len() - 1))
        });
        // The rank that failed first, unless it only noticed that another was failing, or was told to end.
        let first = causes.min_by_key(|(report, cause)| {
            let told = report.followed && report.ending == Ending::Signaled(nix::libc::SIGTERM);
            (told, cause.is_consequence(), report.duration)
        });
        let only_followed =
            first.as_ref().is_some_and(|(report, _)| report.followed && matches!(report.ending, Ending::Signaled(_)));
        Ended {
            outcome: first.map_or(Outcome::Succeeded, |(_, cause)| Outcome::Failed(Box::new(cause))),
            failed_ranks: failed.len(),
            was_stopped: reports.stop.is_some(),
            only_followed,
        }
    }
}
