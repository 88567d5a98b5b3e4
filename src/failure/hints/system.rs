//! Hints about limits of the kernel and of the container's environment.

use super::HintFacts;
use super::facts::HintRow;

/// Returns the hint for a limit that was reached.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    if facts.was_killed_by(nix::libc::SIGXCPU) {
        return Some("a limit on CPU time was reached (ulimit -t); raise it in the script or image".to_owned());
    }
    if facts.was_killed_by(nix::libc::SIGXFSZ) {
        return Some(
            "a limit on the size of files was reached (ulimit -f); raise it, or write several files".to_owned(),
        );
    }
    facts.advice(ROWS)
}

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &["EOFError: EOF when reading a line"],
        hint: "the script asked for input, and a job has no terminal; pass the answer as a hyperparameter, or as an option of the program that \
               asks",
    },
    HintRow {
        wordings: &["bdb.BdbQuit"],
        hint: "a breakpoint() is left in the code, and a job has no terminal; remove it, or set PYTHONBREAKPOINT=0",
    },
    HintRow {
        wordings: &["Too many open files in system", "[Errno 23]", "ENFILE: "],
        hint: "the machine's own limit of open files was reached (fs.file-max, of all its processes), which ulimit -n does not raise; close \
               files, use fewer workers, or another instance",
    },
    HintRow {
        wordings: &["Too many open files", "EMFILE: ", "[Errno 24]", "received 0 items of ancdata"],
        hint: "the limit of open files was reached; raise it (ulimit -n 65536 before the script), close files, use fewer workers, or \
               torch.multiprocessing.set_sharing_strategy('file_system')",
    },
    HintRow {
        wordings: &[
            "can't start new thread",
            "pthread_create failed",
            "Thread creation failed: Resource temporarily unavailable",
            "fork: retry: Resource temporarily unavailable",
            "fork: Resource temporarily unavailable",
            "annot fork: Resource temporarily unavailable",
            "BlockingIOError: [Errno 11] Resource temporarily unavailable",
            "unable to create native thread",
            "unable to create new native thread",
            "libuv: thread creation",
            "failed to spawn thread",
        ],
        hint: "the limit of threads or processes was reached (ulimit -u, or the container's pids limit); use fewer workers, and \
               OMP_NUM_THREADS=1 in each",
    },
    HintRow {
        wordings: &[
            "inotify watch limit reached",
            "inotify instance limit reached",
            "System limit for number of file watchers reached",
        ],
        hint: "the kernel's limit of watched files was reached, not the disk's; switch file watching off in the program",
    },
    HintRow {
        wordings: &["'ascii' codec can't encode", "'ascii' codec can't decode"],
        hint: "the container's locale is ASCII; set LANG=C.UTF-8 and PYTHONUTF8=1 in the image or the job's environment, or open files with \
               encoding='utf-8'",
    },
    HintRow {
        wordings: &["[Errno 1] Operation not permitted", "EPERM: operation not permitted"],
        hint: "the container may not do this (it has no such capability, or the mount does not support it); do it when the image is built, or \
               without",
    },
];
