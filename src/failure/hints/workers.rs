//! Hints about worker processes that ended without an exception: those of data loaders and of process pools.

use nix::sys::signal::Signal;

use super::HintFacts;
use super::memory::{LESS_MEMORY, unproven};

/// Returns the hint for a worker that was killed, crashed, or ended by itself.
pub(super) fn ended(facts: &HintFacts<'_>) -> Option<String> {
    // Shared memory and proven kills have other hints.
    if facts.evidence.memory.is_some() || facts.evidence.stopped.is_some() {
        return None;
    }
    data_loader(facts).or_else(|| loky(facts)).or_else(|| pool(facts)).or_else(|| dask(facts))
}

/// Returns the hint for torch's data loader, which prints `DataLoader worker (pid 71) is killed by signal: Killed. `,
/// and in its parent `DataLoader worker (pid(s) 71) exited unexpectedly`.
fn data_loader(facts: &HintFacts<'_>) -> Option<String> {
    const WORKER: &str = "a data loader's worker";
    if facts.wording(&["DataLoader worker (pid * is killed by signal: Killed"]).is_some() {
        return Some(format!("{WORKER} was killed by SIGKILL; {}", unproven(facts)));
    }
    if facts.wording(&["DataLoader worker (pid * is killed by signal: Segmentation fault"]).is_some() {
        return Some(format!(
            "native code crashed in {WORKER}; set PYTHONFAULTHANDLER=1 or num_workers=0 to see in which line of Python"
        ));
    }
    // The worker owns the socket from which its batch is read.
    let is_gone = facts.exception().is_some_and(|name| {
        matches!(
            name,
            "ConnectionResetError" | "ConnectionRefusedError" | "FileNotFoundError" | "BrokenPipeError" | "EOFError"
        )
    });
    if is_gone && facts.mentions(&["torch/utils/data/dataloader.py*in rebuild_storage_fd"]).is_some() {
        return Some(format!(
            "{WORKER} ended before its batch was read; its own output says why, or run with num_workers=0"
        ));
    }
    facts.wording(&["DataLoader worker (pid"])?;
    if let Some(code) = facts.between("exited unexpectedly with exit code ", ".") {
        return Some(format!(
            "{WORKER} ended by itself with exit code {code}; its own output says why, or run with num_workers=0"
        ));
    }
    None
}

/// Returns the hint for loky (joblib), whose message ends with the workers' exit codes, such as `{SIGKILL(-9)}`.
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

/// Returns the hint for `concurrent.futures`, which does not report how its worker ended.
fn pool(facts: &HintFacts<'_>) -> Option<String> {
    let wordings = [
        "A process in the process pool was terminated abruptly",
        "A child process terminated abruptly, the process pool is not usable anymore",
    ];
    facts.claims(&wordings)?;
    // If the worker's own exception is known, that exception is the headline.
    let is_known = facts.exception().is_some_and(|name| !name.ends_with("BrokenProcessPool"));
    (!is_known).then(|| vanished(facts))
}

/// Returns the hint for a task of Dask, whose workers died while they ran it.
fn dask(facts: &HintFacts<'_>) -> Option<String> {
    facts.claims(&["KilledWorker: Attempted to run task * but all those workers died while running it"])?;
    Some(format!(
        "each worker of Dask that ran this task ended: mostly for want of memory (Dask's own limit or the container's), or by a crash; {LESS_MEMORY}; \
         the workers' logs tell"
    ))
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
