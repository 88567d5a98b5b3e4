//! Hints: one sentence on what the evidence points to, with the remedy.

use std::sync::LazyLock;

use regex::Regex;

use super::evidence::Evidence;
use super::lines::Log;
use super::nccl;
use crate::job::exit_code;
use crate::machine::{Bytes, SHARED_MEMORY};

/// The maximum number of hints: more would crowd out the other lines of the failure text.
const MAX_HINTS: usize = 2;

/// The number of last lines that may support a hint.
const TAIL_LINES: usize = 60;

/// The facts from which hints are derived.
pub(super) struct HintFacts<'f> {
    evidence: &'f Evidence<'f>,
    signal: Option<i32>,
    code: i32,
    /// The headline and its details.
    claimed: String,
    /// The last lines of stdout and of stderr.
    tail: String,
    /// All of stderr, for the messages of several ranks about each other.
    stderr: &'f Log,
}

impl<'f> HintFacts<'f> {
    pub(super) fn new(
        evidence: &'f Evidence<'f>,
        signal: Option<i32>,
        code: i32,
        claimed: String,
        stderr: &'f Log,
        stdout: &Log,
    ) -> HintFacts<'f> {
        let last = |log: &Log| {
            let from = log.lines.len().saturating_sub(TAIL_LINES);
            log.lines[from..].iter().map(|line| line.text.clone() + "\n").collect::<String>()
        };
        HintFacts { evidence, signal, code, claimed, tail: last(stdout) + &last(stderr), stderr }
    }

    /// Returns true if the headline or its details match.
    fn claims(&self, pattern: &Regex) -> bool {
        pattern.is_match(&self.claimed)
    }

    /// Returns true if the headline, its details or the last lines match.
    fn mentions(&self, pattern: &Regex) -> bool {
        self.claims(pattern) || pattern.is_match(&self.tail)
    }
}

macro_rules! patterns {
    ($($name:ident = $pattern:expr;)*) => {
        $(static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).expect("a valid pattern"));)*
    };
}

patterns! {
    SHARED = r"(?i)unable to mmap|insufficient shared memory|\(shm\)|shared memory (?:object|segment)|bus error|no space left on device.{0,9}/dev/shm|torch_shm_manager";
    WORKER_KILLED = r"DataLoader worker \(pid\(?s?\)? [\d, ]+\) is killed by signal: Killed|DataLoader worker .* exited unexpectedly";
    NO_SPACE = r"(?i)no space left on device|\[Errno 28\]|disk quota exceeded";
    GPU_MEMORY = r"(?i)CUDA out of memory|CUDA_ERROR_OUT_OF_MEMORY|cuda\.OutOfMemoryError|torch\.OutOfMemoryError|OOM when allocating|RESOURCE_EXHAUSTED: Out of memory|CUBLAS_STATUS_ALLOC_FAILED";
    NO_MEMORY = r"\b(?:_Array)?MemoryError\b|(?i:cannot allocate memory)|std::bad_alloc";
    NO_MODULE = r"ModuleNotFoundError: No module named '([^']+)'|: No module named '?([\w.]+)'?";
    LINE_ENDS = r"\^M|\\r'|\$'\\r'";
    INTERPRETER = r"cannot execute: required file not found|bad interpreter|no such file or directory: '?/usr/bin/env";
    ARCHITECTURE = r"(?i)exec format error|wrong ELF class|cannot execute binary file";
    ILLEGAL = r"(?i)illegal instruction";
    PYTHON = r"(?:^|[/ ])python[\d.]*(?: |$)|\.py\b";
    FATAL = r"(?m)^Fatal Python error: ";
}

/// Returns the hints that the evidence supports, the most certain first, at most [`MAX_HINTS`].
pub(super) fn hints(facts: &HintFacts<'_>) -> Vec<String> {
    const ALL: [fn(&HintFacts<'_>) -> Option<String>; 10] = [
        out_of_memory,
        stopped,
        killed,
        shared_memory,
        disk,
        gpu_memory,
        nccl,
        missing_module,
        not_executable,
        crashed,
    ];
    ALL.iter().filter_map(|hint| hint(facts)).take(MAX_HINTS).collect()
}

const LESS_MEMORY: &str = "use a smaller batch, fewer data-loading workers, or an instance with more memory";

/// The cgroup counted a kill, a data loader's worker was killed, or the program itself was refused memory.
fn out_of_memory(facts: &HintFacts<'_>) -> Option<String> {
    let Some(memory) = facts.evidence.memory else {
        if facts.mentions(&WORKER_KILLED) {
            return Some(format!("a data loader's worker was killed, likely for want of memory: {LESS_MEMORY}"));
        }
        return facts.claims(&NO_MEMORY).then(|| format!("no memory was left in the container: {LESS_MEMORY}"));
    };
    let whose = if memory.whole_machine { "the machine's" } else { "the container's" };
    let figures = match (memory.peak_bytes, memory.limit_bytes) {
        (Some(peak), Some(limit)) => format!(": peak {} of {whose} {}", Bytes(peak), Bytes(limit)),
        (None, Some(limit)) => format!(" within {whose} {}", Bytes(limit)),
        (Some(peak), None) => format!(": peak {}", Bytes(peak)),
        (None, None) => String::new(),
    };
    Some(format!("out of memory{figures}; {LESS_MEMORY}"))
}

/// footplate passed on a stop signal.
fn stopped(facts: &HintFacts<'_>) -> Option<String> {
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

/// A SIGKILL that neither the cgroup nor a stop explains.
fn killed(facts: &HintFacts<'_>) -> Option<String> {
    let known = facts.evidence.memory.is_some() || facts.evidence.stopped.is_some();
    let child = facts.claimed.contains("killed by SIGKILL");
    (!known && (facts.signal == Some(nix::libc::SIGKILL) || child))
        .then(|| format!("likely out of memory, though the container's cgroup does not prove it; {LESS_MEMORY}"))
}

/// A bus error, or an error about shared memory.
fn shared_memory(facts: &HintFacts<'_>) -> Option<String> {
    let bus = facts.signal == Some(nix::libc::SIGBUS);
    let full = facts.evidence.full.iter().find(|full| full.path.as_os_str() == SHARED_MEMORY);
    let loaders = facts.mentions(&SHARED);
    let ran_out = full.is_some() && facts.mentions(&NO_SPACE);
    if !bus && !loaders && !ran_out {
        return None;
    }
    let state = match full {
        Some(full) => full.to_string(),
        None if loaders => format!("{SHARED_MEMORY} is too small or was full"),
        None => format!("a bus error mostly means that {SHARED_MEMORY} was full"),
    };
    Some(format!("{state}; give the container more (docker run --shm-size) or set the data loader's num_workers to 0"))
}

/// A full disk.
fn disk(facts: &HintFacts<'_>) -> Option<String> {
    let full: Vec<String> = facts
        .evidence
        .full
        .iter()
        .filter(|full| full.path.as_os_str() != SHARED_MEMORY)
        .map(|f| f.to_string())
        .collect();
    match (full.is_empty(), facts.mentions(&NO_SPACE)) {
        (false, _) => Some(format!("{}; write less, or give the job a larger volume", full.join(", "))),
        (true, true) if !facts.mentions(&SHARED) && facts.evidence.full.is_empty() => {
            Some("a file system was full, though none is now; write less, or give the job a larger volume".to_owned())
        }
        _ => None,
    }
}

/// A GPU whose memory is full.
fn gpu_memory(facts: &HintFacts<'_>) -> Option<String> {
    facts.claims(&GPU_MEMORY).then(|| {
        "the GPU's memory is full; use a smaller batch, gradient checkpointing or mixed precision, or a larger GPU"
            .to_owned()
    })
}

/// A collective operation that failed.
fn nccl(facts: &HintFacts<'_>) -> Option<String> {
    nccl::hint(&facts.claimed, facts.stderr)
}

/// A Python module that is not installed.
fn missing_module(facts: &HintFacts<'_>) -> Option<String> {
    // Modules that are installed under another name than they are imported under.
    const INSTALLED_AS: [(&str, &str); 5] = [
        ("cv2", "opencv-python-headless"),
        ("PIL", "Pillow"),
        ("sklearn", "scikit-learn"),
        ("skimage", "scikit-image"),
        ("yaml", "PyYAML"),
    ];
    let found = NO_MODULE.captures(&facts.claimed)?;
    let module = found.get(1).or(found.get(2))?.as_str();
    let top = module.split('.').next()?;
    let package = INSTALLED_AS.iter().find(|(name, _)| *name == top).map_or(top, |(_, package)| package);
    Some(format!("add {package} to requirements.txt beside the script, or, if it is your own module, put it there too"))
}

/// A program that the shell or the kernel could not start.
fn not_executable(facts: &HintFacts<'_>) -> Option<String> {
    if facts.claims(&LINE_ENDS) {
        return Some("the script has Windows line ends; convert it with dos2unix or sed -i 's/\\r$//'".to_owned());
    }
    if facts.claims(&ARCHITECTURE) {
        return Some("the program was built for another kind of CPU; build the image for this one".to_owned());
    }
    if facts.claims(&INTERPRETER) {
        let text =
            "the program that its first line (#!) names is not in the image, or the line ends in a Windows line end";
        return Some(text.to_owned());
    }
    if facts.code == exit_code::NOT_EXECUTABLE {
        return Some("it was found but may not be run: chmod +x it, or run it by its interpreter".to_owned());
    }
    (facts.code == exit_code::NOT_FOUND)
        .then(|| "a program was not found: install it in the image, or correct its name or PATH".to_owned())
}

/// A crash of native code.
fn crashed(facts: &HintFacts<'_>) -> Option<String> {
    if facts.signal == Some(nix::libc::SIGILL) || facts.claims(&ILLEGAL) {
        let text =
            "a package was built for a newer CPU than this one; install a build for it, or take another instance type";
        return Some(text.to_owned());
    }
    let blind = !FATAL.is_match(&facts.tail) && PYTHON.is_match(&facts.evidence.command);
    (facts.signal == Some(nix::libc::SIGSEGV) && blind)
        .then(|| "native code crashed; set PYTHONFAULTHANDLER=1 to see in which line of Python".to_owned())
}
