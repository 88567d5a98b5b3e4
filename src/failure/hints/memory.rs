//! Hints about the container's memory: kills by the kernel, and allocations that were refused.

use super::HintFacts;
use super::facts::HintRow;
use super::wording::between;
use crate::machine::Bytes;

pub(super) const LESS_MEMORY: &str = "use a smaller batch, fewer data-loading workers, or an instance with more memory";

/// Returns the hint for a kill that the cgroup counted.
pub(super) fn counted(facts: &HintFacts<'_>) -> Option<String> {
    let memory = facts.evidence.memory?;
    let whose = if memory.whole_machine { "the machine's" } else { "the container's" };
    let figures = match (memory.peak_bytes, memory.limit_bytes) {
        (Some(peak), Some(limit)) => format!(": peak {} of {whose} {}", Bytes(peak), Bytes(limit)),
        (None, Some(limit)) => format!(" within {whose} {}", Bytes(limit)),
        (Some(peak), None) => format!(": peak {}", Bytes(peak)),
        (None, None) => String::new(),
    };
    Some(format!("out of memory{figures}; {LESS_MEMORY}"))
}

/// Returns the hint for a SIGKILL that neither the cgroup nor a stop explains.
pub(super) fn killed(facts: &HintFacts<'_>) -> Option<String> {
    let is_known = facts.evidence.memory.is_some() || facts.evidence.stopped.is_some();
    let was_killed = facts.was_killed_by(nix::libc::SIGKILL)
        || facts
            .claims(&[
                "killed by SIGKILL",
                "died with <Signals.SIGKILL",
                "exits with return code = -9",
                "exitcode: -9 ",
                "terminated with signal SIGKILL",
            ])
            .is_some();
    // timeout(1) reports this itself, and Ray only guesses:
    // `There are some potential root causes. (1) The process is killed by …`.
    if facts.claims(&["(1) The process is killed by SIGKILL"]).is_some() && !is_known {
        return Some(format!("the worker ended without an exception, and Ray does not know why; {}", unproven(facts)));
    }
    if is_known || !was_killed || facts.mentions(&["timeout: sending signal KILL"]).is_some() {
        return None;
    }
    Some(format!("killed by SIGKILL; {}", unproven(facts)))
}

/// Returns the known facts about memory after a process was killed, and the next steps to find the reason.
pub(super) fn unproven(facts: &HintFacts<'_>) -> String {
    if facts.kills_are_counted() {
        "the container's cgroup counted no kill for want of memory: look for kill() in your code or a library, a watchdog, \
         or a kill by the platform"
            .to_owned()
    } else {
        format!(
            "perhaps out of memory, which the container's cgroup cannot show: compare the job's MemoryUtilization; {LESS_MEMORY}"
        )
    }
}

/// Returns the hint for an allocation that was refused for any reason.
pub(super) fn refused(facts: &HintFacts<'_>) -> Option<String> {
    // The loader's space for thread-local data is not the container's memory.
    if facts.evidence.memory.is_some() || facts.claims(&["static TLS block", "cudaErrorMemoryAllocation"]).is_some() {
        return None;
    }
    let claimed = facts.claimed();
    if claimed.contains("MemoryError: Unable to allocate")
        && let Some(size) = between(claimed, "Unable to allocate ", " for an array")
    {
        return Some(format!(
            "one array asked for {size}, which was refused; check its shape and dtype, load the data in parts, or use an \
             instance with more memory"
        ));
    }
    // R ends the message with the size: `cannot allocate vector of size 7.5 Gb`.
    if let Some((_, rest)) = claimed.split_once("cannot allocate vector of size ") {
        let size = rest.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        return Some(format!(
            "one vector asked for {size}, which was refused; load the data in parts, drop objects that are no longer \
             needed (rm, gc), or use an instance with more memory"
        ));
    }
    let requested = between(claimed, "DefaultCPUAllocator: can't allocate memory: you tried to allocate ", " bytes")
        .or_else(|| between(claimed, "DefaultCPUAllocator: not enough memory: you tried to allocate ", " bytes"))
        .or_else(|| between(claimed, "ArrowMemoryError: malloc of size ", " failed"))
        .or_else(|| between(claimed, "ArrowMemoryError: realloc of size ", " failed"))
        .or_else(|| between(claimed, "memory allocation of ", " bytes failed"))
        .and_then(|digits| digits.parse().ok());
    if let Some(requested) = requested {
        return Some(format!(
            "one allocation asked for {}, which was refused; check the sizes, load the data in parts, or use an instance \
             with more memory",
            Bytes(requested)
        ));
    }
    if contains_cpu_tensor(facts) {
        return Some(format!(
            "a tensor did not fit into the main memory (it was on the CPU, not on a GPU); {LESS_MEMORY}"
        ));
    }
    // If the exception has a message, the script raised it itself.
    let is_bare = facts.exception() == Some("MemoryError") && !facts.claimed().starts_with("MemoryError: ");
    if is_bare {
        return Some(
            "Python was refused memory: one allocation was larger than what is left, or than a limit (ulimit -v); load the \
             data in parts, or use an instance with more memory"
                .to_owned(),
        );
    }
    let is_of_java = facts.claims(&["Error occurred during initialization of VM"]).is_some()
        && facts.logged(NO_HEAP).is_some()
        || facts.claims(&[NO_HEAP]).is_some();
    if is_of_java {
        return Some(
            "the Java virtual machine was refused the memory of its heap; lower -Xmx (Spark: spark.driver.memory and spark.executor.memory), or use \
             an instance with more memory"
                .to_owned(),
        );
    }
    facts.advice(REFUSED)
}

/// Java's line below a headline without a reason.
const NO_HEAP: &str = "Could not reserve enough space for *object heap";

/// Returns true if TensorFlow could not allocate a tensor on a CPU.
fn contains_cpu_tensor(facts: &HintFacts<'_>) -> bool {
    facts.claims(&["OOM when allocating tensor*device:CPU", "OOM when allocating tensor*on cpu"]).is_some()
}

const REFUSED: &[HintRow] = &[
    HintRow {
        wordings: &[
            "[Errno 12] Cannot allocate memory",
            "Cannot allocate memory (os error 12)",
            "fork: Cannot allocate memory",
        ],
        hint: "the kernel refused memory (ENOMEM), often to a fork of a large process; use fewer worker processes or the \
               spawn method, a smaller batch, or an instance with more memory",
    },
    HintRow {
        wordings: &["There is insufficient memory for the Java Runtime Environment to continue"],
        hint: "the Java virtual machine was refused memory that it had reserved; lower -Xmx (Spark: spark.driver.memory and \
               spark.executor.memory), start fewer of its processes, or use an instance with more memory",
    },
    HintRow {
        wordings: &["std::bad_alloc"],
        hint: "native code was refused memory (std::bad_alloc); check the sizes it was given, use a smaller batch, or an \
               instance with more memory",
    },
    HintRow {
        wordings: &[
            "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory",
            "running low on memory*ray",
        ],
        hint: "Ray killed a task because the node's memory ran low; run fewer tasks at a time (num_cpus or memory of each \
               task), or use an instance with more memory",
    },
];
