//! Full file systems, and shared memory.

use super::HintFacts;
use crate::machine::SHARED_MEMORY;

/// Errors about shared memory.
const SHARED: &[&str] = &[
    "nable to mmap",
    "insufficient shared memory",
    "(shm)",
    "open shared memory object",
    "create shared memory object",
    "resize shared memory object",
    "shared memory segment",
    "allocate shared memory",
    "torch_shm_manager",
    "us error encountered in worker",
    "is killed by signal: Bus error",
    "o space left on device: '/dev/shm",
    "[Errno 28] No space left on device*/dev/shm",
    "write * to /dev/shm",
    "posix_fallocate failed",
];

/// Errors of writers that found no space.
const NO_SPACE: &[&str] =
    &["o space left on device", "[Errno 28]", "ENOSPC: ", "requested and * written", "unexpected pos "];

/// Errors with the number of a full disk whose reason is a limit of the kernel.
const WATCHES: &[&str] = &["inotify", "file watchers"];

/// A bus error, or an error about shared memory.
pub(super) fn shared_memory(facts: &HintFacts<'_>) -> Option<String> {
    let bus = facts.was_killed_by(nix::libc::SIGBUS);
    let full = facts.evidence.full.iter().find(|full| full.path.as_os_str() == SHARED_MEMORY);
    let is_named = facts.mentions(SHARED).is_some();
    let ran_out = full.is_some() && facts.mentions(NO_SPACE).is_some();
    // A semaphore of Python is a file in shared memory.
    let semaphore = facts.claims(&["[Errno 28]"]).is_some() && facts.mentions(&["_multiprocessing.SemLock("]).is_some();
    if !bus && !is_named && !ran_out && !semaphore {
        return None;
    }
    let state = match full {
        Some(full) => full.to_string(),
        None if is_named || semaphore => format!("{SHARED_MEMORY} is too small or was full"),
        None => format!("a bus error mostly means that {SHARED_MEMORY} was full"),
    };
    let nccl = facts.mentions(&["NCCL"]).map_or("", |_| "; NCCL_SHM_DISABLE=1 lets NCCL do without");
    Some(format!(
        "{state}; set the data loader's num_workers to 0 or lower, or use an instance with more memory, whose {SHARED_MEMORY} is larger{nccl}"
    ))
}

/// A full disk.
pub(super) fn full(facts: &HintFacts<'_>) -> Option<String> {
    if facts.claims(&["[Errno 122]", "isk quota exceeded"]).is_some() {
        return Some(
            "a quota of the file system is used up (EDQUOT); delete files there, raise the quota, or write elsewhere"
                .to_owned(),
        );
    }
    let full: Vec<String> = facts
        .evidence
        .full
        .iter()
        .filter(|full| full.path.as_os_str() != SHARED_MEMORY)
        .map(|full| full.to_string())
        .collect();
    if !full.is_empty() {
        return Some(format!("{}; write less, or give the job a larger volume", full.join(", ")));
    }
    let claims_none = facts.claims(&["o space left on device", "[Errno 28]", "ENOSPC: "]).is_some();
    let has_other_reason = facts.claims(WATCHES).is_some()
        || facts.mentions(SHARED).is_some()
        || facts.mentions(&["_multiprocessing.SemLock("]).is_some();
    (claims_none && !has_other_reason && facts.evidence.full.is_empty()).then(|| {
        "a file system was full, though none is now; write less, or give the job a larger volume (volume_size)"
            .to_owned()
    })
}
