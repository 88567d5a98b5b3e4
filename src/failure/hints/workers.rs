//! Worker processes that ended without an exception: of data loaders and of process pools.

use nix::sys::signal::Signal;

use super::HintFacts;
use super::memory::{LESS_MEMORY, unproven};

/// A worker that was killed, crashed, or ended by itself.
pub(super) fn ended(facts: &HintFacts<'_>) -> Option<String> {
    // Shared memory and proven kills have hints of their own.
    if facts.evidence.memory.is_some() || facts.evidence.stopped.is_some() {
        return None;
    }
    data_loader(facts).or_else(|| loky(facts)).or_else(|| pool(facts))
}

/// torch's data loader: `DataLoader worker (pid 71) is killed by signal: Killed. `, and, from its parent, `DataLoader worker
/// (pid(s) 71) exited unexpectedly`.
fn data_loader(facts: &HintFacts<'_>) -> Option<String> {
    const WORKER: &str = "a data loader's worker";
    if facts.tells(&["DataLoader worker (pid * is killed by signal: Killed"]).is_some() {
        return Some(format!("{WORKER} was killed by SIGKILL; {}", unproven(facts)));
    }
    if facts.tells(&["DataLoader worker (pid * is killed by signal: Segmentation fault"]).is_some() {
        return Some(format!(
            "native code crashed in {WORKER}; set PYTHONFAULTHANDLER=1 or num_workers=0 to see in which line of Python"
        ));
    }
    facts.tells(&["DataLoader worker (pid"])?;
    if let Some(code) = facts.between("exited unexpectedly with exit code ", ".") {
        return Some(format!(
            "{WORKER} ended by itself with exit code {code}; its own output says why, or run with num_workers=0"
        ));
    }
    None
}

/// loky (joblib): the message ends in the workers' exit codes, such as `{SIGKILL(-9)}`.
fn loky(facts: &HintFacts<'_>) -> Option<String> {
    facts.claims(&["A worker process managed by the executor was unexpectedly terminated"])?;
    let said = "The exit codes of the workers are {";
    let codes = facts.between(said, "}").or_else(|| facts.between_of_tail(said, "}")).unwrap_or_default();
    Some(if codes.contains("SIGKILL") {
        format!(
            "a worker of the pool was killed by SIGKILL; {}; each worker (n_jobs) holds data of its own",
            unproven(facts)
        )
    } else if codes.contains("SIGSEGV") || codes.contains("SIGABRT") {
        format!("native code crashed in a worker of the pool ({codes}); run with n_jobs=1 to see where")
    } else if codes.contains("EXIT") {
        format!("a worker of the pool ended by itself ({codes}); its own output says why, or run with n_jobs=1")
    } else {
        vanished(facts)
    })
}

/// `concurrent.futures`, which does not say how its worker ended.
fn pool(facts: &HintFacts<'_>) -> Option<String> {
    let wordings = [
        "A process in the process pool was terminated abruptly",
        "A child process terminated abruptly, the process pool is not usable anymore",
    ];
    facts.claims(&wordings)?;
    // If the worker's own exception is known, it is the headline.
    let is_known = facts.exception().is_some_and(|name| !name.ends_with("BrokenProcessPool"));
    (!is_known).then(|| vanished(facts))
}

fn vanished(facts: &HintFacts<'_>) -> String {
    let sigkill = Signal::SIGKILL;
    if facts.kills_are_counted() {
        "a worker of the pool ended without an exception, though the cgroup counted no kill for want of memory: a crash of \
         native code, or os._exit; set PYTHONFAULTHANDLER=1, or run the task without the pool"
            .to_owned()
    } else {
        format!(
            "a worker of the pool ended without an exception: {sigkill} (mostly out of memory), or a crash; {LESS_MEMORY}"
        )
    }
}
