//! Hints about stop signals that footplate passed on, and about those that others sent.

use super::HintFacts;

/// Returns the hint for a stop signal that footplate passed on.
pub(super) fn stopped(facts: &HintFacts<'_>) -> Option<String> {
    let stop = facts.evidence.stopped.as_ref()?;
    let (signal, grace) = (&stop.signal, stop.grace_seconds);
    Some(if stop.killed_after_grace {
        format!(
            "the job was stopped: {signal} was passed on, and what still ran after {grace} s was killed; save and end sooner after {signal}"
        )
    } else {
        format!("the job was stopped: {signal} was passed on to the script; save a checkpoint when it comes")
    })
}

/// Returns the hint for a SIGTERM that killed the process or ended torchrun, although footplate had received no stop
/// signal and had told no process to end.
pub(super) fn not_stopped(facts: &HintFacts<'_>) -> Option<String> {
    let was_sent = facts.claimed().starts_with("killed by SIGTERM")
        || facts.between("SignalException: Process ", " got signal: 15").is_some();
    let by_footplate = facts.evidence.stopped.is_some() || facts.evidence.told_to_end;
    (was_sent && !by_footplate).then(|| {
        "footplate was not told to stop, and sent no SIGTERM; look for kill() in your code or a library, timeout(1), a launcher or a \
         watchdog"
            .to_owned()
    })
}
