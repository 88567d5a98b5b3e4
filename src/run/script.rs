//! Running the script.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::judge::{Ended, Judge};
use super::live::Live;
use super::restarts::{self, AfterAttempt, RestartLoop};
use super::served::{self, LateServices};
use super::start::{self, RankTask};
use super::{Outcome, Prepared, Refusal};
use crate::event::{Event, EventKind, JobPhase, StopReason};
use crate::files;
use crate::job::exit_code;
use crate::launch::EndTraits;
use crate::prepare::code::{EntryError, SHELL, Shebang, shebang};
use crate::supervise::{SpawnError, Task, Timing};

/// The time for which the script waits for the reservation of the failure file, because it may fill the disk. On a file system
/// that hangs, it starts without.
pub(super) const RESERVE_TIME: Duration = Duration::from_millis(100);

/// The time that processes have to end after a failure, if their framework swallows the signal that tells them.
const SWALLOWED_GRACE: Duration = Duration::from_secs(10);

/// The rules by which the script's processes end and begin again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    /// The traits of the framework that keep its processes from ending.
    pub(super) end_traits: EndTraits,
    /// True if this host can run its processes again after a failure.
    pub(super) can_restart: bool,
}

/// Runs the script's processes to their ends and judges them. After a failure, they may be run again.
pub(super) async fn run(
    context: &Context,
    live: &mut Live,
    prepared: &Prepared,
    mut ranks: Vec<RankTask>,
    code_dir: &Path,
    rules: Rules,
) -> Result<Ended, Outcome> {
    let Rules { end_traits, can_restart } = rules;
    let timing = timing(prepared, end_traits);
    if let Some(way) = end_traits.notices_stop_by {
        live.events.subscribe(move |event: &Event| advise(event, way));
    }
    if let Some(record) = &live.record {
        record.wait_until_reserved();
    }
    context.files.wait_until_reserved(RESERVE_TIME);
    if let Some(checkpoints) = &live.checkpoints {
        checkpoints.watch.wait_for_first_look();
    }
    let mut restarts = RestartLoop::new(prepared, can_restart);
    loop {
        let begun = Instant::now();
        let ended = attempt(context, live, prepared, &ranks, code_dir, timing).await?;
        let failed = matches!(ended.outcome, Outcome::Failed(_)).then(|| ended.outcome.clone());
        let next = match restarts.after(live, prepared, ended, begun.elapsed()).await {
            AfterAttempt::Over(ended) => return Ok(ended),
            AfterAttempt::Again(next) => next,
        };
        match (restarts::begin(live, next).await, failed) {
            (Ok(()), _) => ranks.iter_mut().for_each(|rank| restarts::again(rank, next.attempt)),
            // The reason of the end is the failure, and not that the next attempt was not waited for.
            (Err(Outcome::Stopped(_)), Some(outcome)) => {
                return Ok(Ended { was_stopped: true, ..Ended::from(outcome) });
            }
            (Err(outcome), _) => return Err(outcome),
        }
    }
}

/// Runs the script's processes to their ends once, and judges them.
async fn attempt(
    context: &Context,
    live: &mut Live,
    prepared: &Prepared,
    ranks: &[RankTask],
    code_dir: &Path,
    timing: Timing,
) -> Result<Ended, Outcome> {
    live.supervisor.check()?;
    let judge = judge(context, live, prepared, ranks, code_dir);
    let tasks: Vec<Task> = ranks.iter().map(|rank| rank.task.clone()).collect();
    live.events.emit(EventKind::PhaseStarted(JobPhase::Script));
    let reports = match live.supervisor.run(&tasks, timing).await {
        Ok(reports) => reports,
        Err(error) => {
            let tasks: Option<Vec<Task>> = tasks.iter().map(|task| by_shell(task, &error)).collect();
            let tasks = tasks.ok_or_else(|| not_started(&error))?;
            live.supervisor.run(&tasks, timing).await.map_err(|error| not_started(&error))?
        }
    };
    live.events.emit(EventKind::PhaseEnded(JobPhase::Script));
    if !prepared.settings.service_log {
        served::keep_output(context, &prepared.job, &reports.services);
    }
    Ok(judge.outcome(&mut live.supervisor, reports).await)
}

/// Returns the times of the script's processes. A framework that swallows SIGTERM leaves its processes in calls that cannot end
/// after a failure, however long they have.
fn timing(prepared: &Prepared, end_traits: EndTraits) -> Timing {
    let usual = start::timing(&prepared.settings);
    match end_traits.notices_stop_by {
        Some(_) => Timing { failure_grace: usual.grace_period.min(SWALLOWED_GRACE), ..usual },
        None => usual,
    }
}

/// Logs at an orderly stop how a script can notice it, if the framework swallows the signal.
fn advise(event: &Event, way: &str) {
    if let EventKind::Stopping(StopReason::Signal(_) | StopReason::PeerStopped(_)) = event.kind {
        tracing::info!("{way}");
    }
}

/// Returns the judge of these processes. If there are other hosts, it tells them of failures as they happen.
pub(super) fn judge(
    context: &Context,
    live: &Live,
    prepared: &Prepared,
    ranks: &[RankTask],
    code_dir: &Path,
) -> Arc<Judge> {
    let late = LateServices::listen(&live.events);
    let judge = Arc::new(Judge::new(&context.variables, prepared, code_dir.to_owned(), ranks, late));
    if live.peers.is_some() {
        judge.listen(&live.events);
    }
    judge
}

/// Returns a task that has a shell read the script, if the kernel does not execute it: one without `#!`, or one on a
/// file system that is mounted `noexec`. Shells do the same.
fn by_shell(task: &Task, error: &SpawnError) -> Option<Task> {
    let is_script = task.program.extension().is_some_and(|extension| extension == "sh");
    let has_no_interpreter = error.is_unknown_format() && !is_binary(&error.program);
    let cannot_be_executed_here = error.is_not_executable() && is_script;
    if !(has_no_interpreter || cannot_be_executed_here) {
        return None;
    }
    let mut arguments = vec![OsString::from(SHELL)];
    arguments.extend(task.arguments.iter().cloned());
    Some(Task { program: SHELL.into(), arguments, ..task.clone() })
}

/// Returns true if a file is a program, such as one for another machine, of which a shell would make nonsense. Bash
/// decides it in the same way, by a NUL in the first line.
fn is_binary(program: &Path) -> bool {
    let Ok(start) = files::start(program, 256) else { return false };
    let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    start.starts_with(b"\x7fELF") || first_line.contains(&0)
}

pub(super) fn not_started(error: &SpawnError) -> Outcome {
    let message = match shebang(&error.program) {
        Ok(Shebang::WindowsLineEnds(_)) => EntryError::WindowsLineEnds { path: error.program.clone() }.to_string(),
        _ => error.to_string(),
    };
    let refusal = if error.exit_code() == exit_code::NOT_FOUND { Refusal::NotFound } else { Refusal::NotExecutable };
    Outcome::refused(refusal, message)
}
