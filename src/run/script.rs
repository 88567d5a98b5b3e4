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
use crate::job::exit_code;
use crate::launch::EndTraits;
use crate::prepare::code::{EntryError, SHELL, Shebang, is_binary, shebang};
use crate::supervise::{SpawnError, Task, Timing};
use crate::system::files;

/// The time for which the script waits for the reservation of the failure file, because it may fill the disk. On a
/// file system that hangs, the script starts without the reservation.
pub(super) const RESERVE_TIME: Duration = Duration::from_millis(100);

/// The time that processes have to end after a failure, if their framework keeps them from noticing the signal that tells
/// them to end, or if they wait for a service that has failed. The last host must be down 3 s after the failure.
const SHORT_GRACE: Duration = Duration::from_secs(2);

/// The rules for the end and the restart of the script's processes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    /// The ways in which the framework keeps its processes from ending.
    pub(super) end_traits: EndTraits,
    /// True if this host can run its processes again after a failure.
    pub(super) can_restart: bool,
}

/// Runs the script's processes until they end, and judges them. After a failure, they may be run again.
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
        checkpoints.watch.wait_for_first_scan();
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
            // The failure is the reason for the end, not the stop during the wait for the next attempt.
            (Err(Outcome::Stopped(_)), Some(outcome)) => {
                return Ok(Ended { was_stopped: true, ..Ended::from(outcome) });
            }
            (Err(outcome), _) => return Err(outcome),
        }
    }
}

/// Runs the script's processes once until they end, and judges them.
async fn attempt(
    context: &Context,
    live: &mut Live,
    prepared: &Prepared,
    ranks: &[RankTask],
    code_dir: &Path,
    timing: Timing,
) -> Result<Ended, Outcome> {
    live.supervisor.check()?;
    live.supervisor.begin_script();
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

/// Returns the times of the script's processes.
fn timing(prepared: &Prepared, end_traits: EndTraits) -> Timing {
    let usual = start::timing(&prepared.settings);
    let failure_grace = failure_grace(usual.grace_period, end_traits);
    let is_awaited = end_traits.waits_for_lost_service;
    let unserved_grace = if is_awaited { failure_grace.min(SHORT_GRACE) } else { failure_grace };
    Timing { failure_grace, unserved_grace, ..usual }
}

/// Returns the grace period after a failure. The processes of a framework that swallows SIGTERM, or that waits for the
/// failed process, stay in calls that never end, so a long grace period would be useless.
fn failure_grace(grace_period: Duration, end_traits: EndTraits) -> Duration {
    let notices_signal = end_traits.notices_stop_by.is_none() && !end_traits.outlives_traceback;
    if notices_signal { grace_period } else { grace_period.min(SHORT_GRACE) }
}

/// Logs, at an orderly stop, how a script can notice the stop if the framework swallows the signal.
fn advise(event: &Event, way: &str) {
    if let EventKind::Stopping(StopReason::Signal(_) | StopReason::PeerStopped(_)) = event.kind {
        tracing::info!("{way}");
    }
}

/// Returns the judge of these processes. If there are other hosts, failures are judged as they happen, so that the
/// hosts hear of them at once.
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

/// Returns a task in which a shell reads the script, if the kernel does not execute the script because it has no `#!`
/// or its file system is mounted `noexec`. Shells do the same.
fn by_shell(task: &Task, error: &SpawnError) -> Option<Task> {
    let is_script = task.program.extension().is_some_and(|extension| extension == "sh");
    let has_no_interpreter = error.is_unknown_format() && is_text(&error.program);
    let cannot_be_executed_here = error.is_not_executable() && is_script;
    if !(has_no_interpreter || cannot_be_executed_here) {
        return None;
    }
    let mut arguments = vec![OsString::from(SHELL)];
    arguments.extend(task.arguments.iter().cloned());
    Some(Task { program: SHELL.into(), arguments, ..task.clone() })
}

/// Returns true if a file can be read and is not a binary.
fn is_text(program: &Path) -> bool {
    files::start(program, 256).is_ok_and(|start| !is_binary(&start))
}

pub(super) fn not_started(error: &SpawnError) -> Outcome {
    let message = match shebang(&error.program) {
        Ok(Shebang::WindowsLineEnds(_)) => EntryError::WindowsLineEnds { path: error.program.clone() }.to_string(),
        _ => error.to_string(),
    };
    let refusal = if error.exit_code() == exit_code::NOT_FOUND { Refusal::NotFound } else { Refusal::NotExecutable };
    Outcome::refused(refusal, message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::failure_grace;
    use crate::launch::EndTraits;

    #[test]
    fn unstoppable_processes_have_a_short_grace_period_after_a_failure() {
        let usual = Duration::from_secs(110);
        let jax = EndTraits { outlives_traceback: true, notices_stop_by: Some("a handler"), ..EndTraits::default() };
        let mxnet = EndTraits { outlives_traceback: true, ..EndTraits::default() };
        let tensorflow = EndTraits { notices_stop_by: Some("a handler"), ..EndTraits::default() };
        for end_traits in [jax, mxnet, tensorflow] {
            assert_eq!(failure_grace(usual, end_traits), Duration::from_secs(2));
            assert_eq!(failure_grace(Duration::from_secs(1), end_traits), Duration::from_secs(1));
        }
        assert_eq!(failure_grace(usual, EndTraits::default()), usual);
    }
}
