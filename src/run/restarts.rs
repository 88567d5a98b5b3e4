//! Running the ranks again after a failure, on this host alone or together with all others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::hang;
use super::judge::Ended;
use super::live::Live;
use super::peers::{self, Settled, Willingness};
use super::start::RankTask;
use super::{Outcome, Prepared};
use crate::event::{ATTEMPT, EventKind};
use crate::failure::{self, NextAttempt, Restarts};
use crate::launch::{CAUSE_FILE, ERROR_FILE};
use crate::logs;
use crate::supervise::direct;

/// The time for killed processes to end, in addition to the grace period.
const END_TIME: Duration = Duration::from_secs(10);

/// The decision after an attempt.
pub(super) enum AfterAttempt {
    /// Another attempt follows.
    Again(NextAttempt),
    /// The job ends on this host.
    Over(Ended),
}

/// The restarts of this host's ranks.
pub(super) struct RestartLoop {
    /// The decisions of a host in a job of one host.
    own: Restarts,
    is_allowed: bool,
    patience: Duration,
}

impl RestartLoop {
    /// Returns the loop of a launch. `can_restart` is false if the hosts cannot run its ranks again.
    pub(super) fn new(prepared: &Prepared, can_restart: bool) -> RestartLoop {
        let limits = peers::limits(&prepared.settings);
        RestartLoop {
            own: Restarts::new(limits),
            is_allowed: can_restart && !limits.is_none(),
            patience: prepared.settings.grace_period + END_TIME,
        }
    }

    /// Decides what follows after an attempt, together with the other hosts if there are any.
    pub(super) async fn after(
        &mut self,
        live: &mut Live,
        prepared: &Prepared,
        ended: Ended,
        lasted: Duration,
    ) -> AfterAttempt {
        if !self.is_allowed || ended.was_stopped {
            return AfterAttempt::Over(ended);
        }
        if live.peers.is_some() {
            let Ended { was_stopped, only_followed, ref ranks, .. } = ended;
            let ranks = ranks.clone();
            return match peers::settle(live, ended, Willingness::Willing(self.patience)).await {
                Settled::Again(next) => AfterAttempt::Again(next),
                Settled::Over(outcome) => AfterAttempt::Over(Ended { outcome, ranks, was_stopped, only_followed }),
            };
        }
        let ended = hang::judge(live, ended);
        // The ranks of hosts that cannot be asked would not join the ranks that start again.
        let is_alone = prepared.job.nodes().len() == 1;
        let Ended { outcome: Outcome::Failed(mut cause), ranks, was_stopped, only_followed } = ended else {
            return AfterAttempt::Over(ended);
        };
        match self.own.next(&cause, lasted).filter(|_| is_alone) {
            Some(next) => {
                let NextAttempt { attempt, pause } = next;
                let cause = Arc::new(failure::redacted(&cause, &logs::redactor()));
                live.events.emit(EventKind::Restarting { attempt, pause, cause });
                AfterAttempt::Again(next)
            }
            None => {
                self.own.explain(&mut cause);
                AfterAttempt::Over(Ended { outcome: Outcome::Failed(cause), ranks, was_stopped, only_followed })
            }
        }
    }
}

/// Waits until the next attempt starts, and makes all later events part of it.
///
/// # Errors
/// A stop signal came, or another host ends the job.
pub(super) async fn begin(live: &mut Live, next: NextAttempt) -> Result<(), Outcome> {
    let NextAttempt { attempt, pause } = next;
    live.events = live.events.for_attempt(attempt);
    live.supervisor.begin_attempt(&live.events);
    let when = if pause.is_zero() { "now".to_owned() } else { format!("in {} s", pause.as_secs_f64()) };
    let lost = live.checkpoints.as_ref().and_then(|folder| folder.story.so_far().lost());
    let lost = lost.map(|lost| format!("; lost: {lost}")).unwrap_or_default();
    tracing::warn!("the ranks of all hosts are run again {when}: attempt {}{lost}", attempt + 1);
    live.supervisor.check()?;
    live.supervisor.wait_for(tokio::time::sleep(pause)).await?;
    Ok(())
}

/// Changes a process so that it belongs to another attempt.
pub(super) fn again(rank: &mut RankTask, attempt: u32) {
    rank.task.attempt = attempt;
    let variables = &mut rank.task.variables;
    variables.insert(ATTEMPT.into(), attempt.to_string().into());
    if let Some(count) = variables.get_mut(std::ffi::OsStr::new(direct::RESTART_COUNT)) {
        *count = attempt.to_string().into();
    }
    // The files of the previous attempt may still exist.
    for (name, path) in [(ERROR_FILE, &mut rank.error_file), (CAUSE_FILE, &mut rank.cause_file)] {
        let Some(path) = path else { continue };
        *path = of_attempt(path, attempt);
        variables.insert(name.into(), path.clone().into());
    }
}

/// Returns the path of a rank's file for another attempt: `error-RANK.ATTEMPT.json`.
fn of_attempt(path: &std::path::Path, attempt: u32) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let of_rank = name.split('.').next().unwrap_or_default();
    path.with_file_name(format!("{of_rank}.{attempt}.json"))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::of_attempt;

    #[test]
    fn each_attempt_of_a_rank_has_an_error_file_of_its_own() {
        assert_eq!(of_attempt(Path::new("/tmp/x/error-3.0.json"), 2), PathBuf::from("/tmp/x/error-3.2.json"));
        assert_eq!(of_attempt(Path::new("/tmp/x/error-3.2.json"), 3), PathBuf::from("/tmp/x/error-3.3.json"));
    }
}
