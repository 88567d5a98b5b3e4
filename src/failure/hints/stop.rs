//! Stops that footplate passed on.

use super::HintFacts;

/// footplate passed on a stop signal.
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
