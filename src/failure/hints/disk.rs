//! Hints about full file systems and shared memory.

use super::HintFacts;
use crate::machine::SHARED_MEMORY;

/// Errors about shared memory.
const SHARED: &[&str] = &[
    "nable to mmap * bytes from file </torch_*o space left on device",
    "insufficient shared memory",
    "open shared memory object",
    "create shared memory object",
    "resize shared memory object",
    "creating shared memory segment",
    "shared memory segment*o space left on device",
    "allocate shared memory",
    "torch_shm_manager*o space left on device",
    "us error encountered in worker",
    "is killed by signal: Bus error",
    "o space left on device: '/dev/shm",
    "[Errno 28] No space left on device*/dev/shm",
    "write * to /dev/shm",
    "posix_fallocate failed",
];

/// Reasons of errors about shared memory that is not full.
const OTHER_REASONS: &[&str] = &[
    "Too many open files",
    "o such file or directory",
    "ermission denied",
    "peration not permitted",
    "Cannot allocate memory (12)",
    "File exists",
    "Invalid argument",
    "Read-only file system",
    "not implemented",
    "name too long",
];

/// Errors of programs that found no space to write.
const NO_SPACE: &[&str] =
    &["o space left on device", "[Errno 28]", "ENOSPC: ", "requested and * written", "unexpected pos "];

/// Errors that have the number of a full disk, but whose reason is a limit of the kernel.
const WATCHES: &[&str] = &["inotify", "file watchers"];

/// Returns the hint for a bus error, or for an error about shared memory.
pub(super) fn shared_memory(facts: &HintFacts<'_>) -> Option<String> {
    let bus = facts.was_killed_by(nix::libc::SIGBUS);
    let full = facts.evidence.full.iter().find(|full| full.path.as_os_str() == SHARED_MEMORY);
    // The log may mention shared memory for another reason.
    let may_be_its = facts.exception().is_none()
        || facts.claims(&["DataLoader worker", "NCCL", "nccl", "killed by ", "Errno 28", "o space left"]).is_some();
    let has_other_reason = facts.claims(OTHER_REASONS).is_some() && facts.claims(&["o space left"]).is_none();
    let is_named =
        !has_other_reason && (facts.claims(SHARED).is_some() || may_be_its && facts.mentions(SHARED).is_some());
    let ran_out = full.is_some() && facts.mentions(NO_SPACE).is_some();
    // Python keeps a semaphore as a file in shared memory.
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

/// Returns the hint for a full disk.
pub(super) fn full(facts: &HintFacts<'_>) -> Option<String> {
    if facts.claims(&["[Errno 122]", ": Disk quota exceeded", "EDQUOT: ", "(os error 122)"]).is_some() {
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
        // Only the job's own file systems are looked at, and this one may be another.
        "a file system was full; write less, or give the job a larger volume (volume_size)".to_owned()
    })
}
