//! Running the ranks again after a failure: by this host alone, or together with all others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::judge::Ended;
use super::live::Live;
use super::peers::{self, Settled, Willingness};
use super::start::RankTask;
use super::{Outcome, Prepared};
use crate::event::EventKind;
use crate::failure::{self, NextAttempt, Restarts};
use crate::logs;
use crate::prepare::environment::ATTEMPT;

/// The variable with the number of restarts that torchrun's ranks have.
const RESTART_COUNT: &str = "TORCHELASTIC_RESTART_COUNT";

/// The time that processes which were killed may take to end, beyond the grace period.
const END_TIME: Duration = Duration::from_secs(10);

/// The step after an attempt.
pub(super) enum AfterAttempt {
    /// Another one.
    Again(NextAttempt),
    /// The end of the job on this host.
    Over(Ended),
}

/// The restarts of this host's ranks.
pub(super) struct RestartLoop {
    /// The decisions of a host that has no others.
    own: Restarts,
    is_allowed: bool,
    patience: Duration,
}

impl RestartLoop {
    /// Returns the loop of a launch. `can_restart` is false if its ranks cannot be run again by their hosts.
    pub(super) fn new(prepared: &Prepared, can_restart: bool) -> RestartLoop {
        let limits = peers::limits(&prepared.settings);
        RestartLoop {
            own: Restarts::new(limits),
            is_allowed: can_restart && !limits.is_none(),
            patience: prepared.settings.grace_period + END_TIME,
        }
    }

    /// Decides what follows an attempt: with the other hosts, if there are any.
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
        // Ranks of hosts that cannot be asked would not join those that start again.
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

/// Waits until the next attempt starts, and makes it that of all events from now on.
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

/// Makes a process that of another attempt.
pub(super) fn again(rank: &mut RankTask, attempt: u32) {
    rank.task.attempt = attempt;
    let variables = &mut rank.task.variables;
    variables.insert(ATTEMPT.into(), attempt.to_string().into());
    if let Some(count) = variables.get_mut(std::ffi::OsStr::new(RESTART_COUNT)) {
        *count = attempt.to_string().into();
    }
    // The file of the attempt before may still be there.
    if let Some(path) = rank.error_file.as_mut() {
        let renamed = of_attempt(path, attempt);
        variables.insert(crate::launch::ERROR_FILE.into(), renamed.clone().into());
        *path = renamed;
    }
}

/// Returns the path of an error file for another attempt: `error-RANK.ATTEMPT.json`.
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
