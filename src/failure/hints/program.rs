//! Hints about programs that could not be started, that crashed, or that ran out of time.

use std::sync::LazyLock;

use regex::Regex;

use super::HintFacts;
use crate::event::Ending;
use crate::failure::pattern::pattern;
use crate::job::exit_code;

/// The exit code of timeout(1) after its time limit (GNU coreutils and BusyBox).
const TIMED_OUT: i32 = 124;

/// The exit code of a child process that a signal killed: `exited with -11`, `exitcode: -6`, `return code = -7`.
static NEGATIVE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:exit(?:ed|s|[ _]?code)?|return(?:ed|[ _]?code)?|code|status|died|rc)(?: with)?(?: (?:exit )?(?:code|status))?[ =:(]*-(\d{1,2})\b",
    )
});

/// A call in the module `subprocess` that captures the command's standard error.
static CAPTURED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\bcapture_output\s*=\s*True\b|\bstderr\s*=\s*(?:subprocess\.)?PIPE\b|\bcheck_output\(.*\bstderr\s*=\s*(?:subprocess\.)?STDOUT\b",
    )
});

/// A call in the module `subprocess` that discards the command's standard error.
static DISCARDED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bstderr\s*=\s*(?:subprocess\.)?DEVNULL\b"));

static PYTHON: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[/ ])python[\d.]*(?: |$)|\.py\b"));

/// Returns the hint for a program that the shell or the kernel could not start.
pub(super) fn not_executable(facts: &HintFacts<'_>) -> Option<String> {
    if facts.claims(&["^M:", "\\r'", "\\r’", "$'\\r'"]).is_some() && facts.code != 0 && facts.exception().is_none() {
        return Some("the script has Windows line ends; convert it with dos2unix or sed -i 's/\\r$//'".to_owned());
    }
    let architecture =
        ["xec format error", "wrong ELF class", "cannot execute binary file", "cannot execute: exec format"];
    if facts.claims(&architecture).is_some() {
        return Some("the program was built for another kind of CPU; build the image for this one".to_owned());
    }
    if is_driver_missing(facts) {
        return Some(
            "nvidia-smi belongs to the NVIDIA driver, which this container does not have; use an instance type with GPUs (ml.g5, ml.p4d, …; \
             NVIDIA_DRIVER_CAPABILITIES with utility), or do without it on a CPU"
                .to_owned(),
        );
    }
    let interpreter = [
        "cannot execute: required file not found",
        "bad interpreter",
        "o such file or directory: /usr/bin/env",
        "o such file or directory: '/usr/bin/env",
    ];
    if facts.claims(&interpreter).is_some() {
        let text =
            "the program that its first line (#!) names is not in the image, or the line ends in a Windows line end";
        return Some(text.to_owned());
    }
    if facts.code == exit_code::NOT_EXECUTABLE && facts.claims(&["ermission denied"]).is_some() {
        return Some("it was found but may not be run: chmod +x it, or run it by its interpreter".to_owned());
    }
    let is_library = facts.claims(&["while loading shared libraries", "cannot open shared object file"]).is_some();
    let missing = ["ommand not found", ": not found", "o such file or directory"];
    if facts.code == exit_code::NOT_FOUND
        && !is_library
        && facts.claims(&missing).is_some()
        && facts.exception().is_none()
    {
        return Some("a program was not found: install it in the image, or correct its name or PATH".to_owned());
    }
    // A program that Python could not start.
    let program = facts.between("FileNotFoundError: [Errno 2] No such file or directory: '", "'")?;
    let is_name = !program.contains(['/', '.']);
    let is_started = facts.mentions(&["in _execute_child", "in _posix_spawn"]).is_some();
    (is_name && is_started).then(|| {
        format!("the program {program} was not found: install it in the image (apt-get, or a package of requirements.txt), or correct PATH")
    })
}

/// Returns true if the NVIDIA driver's program was not found.
fn is_driver_missing(facts: &HintFacts<'_>) -> bool {
    let wordings = [
        "o such file or directory: 'nvidia-smi'",
        "o such file or directory: '*/nvidia-smi'",
        "nvidia-smi: command not found",
        "nvidia-smi: not found",
        "nvidia-smi: No such file or directory",
        "exec: \"nvidia-smi\": executable file not found",
        "spawn nvidia-smi ENOENT",
    ];
    facts.claims(&wordings).is_some()
}

/// Returns the hint for a crash of native code.
pub(super) fn crashed(facts: &HintFacts<'_>) -> Option<String> {
    // A runtime that found an error also ends with such an instruction.
    let is_trap = facts.mentions(&["Fatal error: "]).is_some();
    if facts.was_killed_by(nix::libc::SIGILL) && !is_trap || facts.claims(&["llegal instruction"]).is_some() {
        let text =
            "a package was built for a newer CPU than this one; install a build for it, or take another instance type";
        return Some(text.to_owned());
    }
    let is_blind = facts.logged("Fatal Python error: ").is_none() && PYTHON.is_match(&facts.evidence.command);
    let is_own = facts.was_killed_by(nix::libc::SIGSEGV);
    let is_child = facts.claims(&["died with <Signals.SIGSEGV", "terminated with signal SIGSEGV"]).is_some();
    if (is_own && is_blind) || is_child {
        return Some("native code crashed; set PYTHONFAULTHANDLER=1 to see in which line of Python".to_owned());
    }
    // Python reports the signal that killed a child process as a negative exit code.
    let concerns_process =
        ["xit", "eturn", "rocess", "ommand", "orker", "hild", "ank", "job", "died", "fail", "script"]
            .iter()
            .any(|word| facts.claimed().contains(word));
    let found = NEGATIVE.captures(facts.claimed()).filter(|_| concerns_process)?;
    let number = found[1].parse().ok()?;
    let signal = Ending::Signaled(number);
    [4, 6, 7, 8, 11].contains(&number).then(|| {
        format!(
            "-{number} means that the child process was {signal}: native code crashed in it; set PYTHONFAULTHANDLER=1 to see in which line \
             of Python"
        )
    })
}

/// Returns the hint for a failed command whose errors the script kept out of the log.
pub(super) fn unlogged(facts: &HintFacts<'_>) -> Option<String> {
    facts.claims(&["CalledProcessError: Command * returned non-zero exit status "])?;
    // If the command's own error is known, that is the headline.
    facts.exception().filter(|name| *name == "CalledProcessError")?;
    let is_called_with = |pattern: &Regex| facts.stderr.lines.iter().any(|line| pattern.is_match(&line.text));
    if is_called_with(&CAPTURED) {
        let text = "the script captured the output of this command, so its error is not in the log; print the exception's stderr and \
                    stdout, or do not capture them";
        return Some(text.to_owned());
    }
    is_called_with(&DISCARDED).then(|| {
        "the script discarded the errors of this command; run it without stderr=DEVNULL to have them in the log"
            .to_owned()
    })
}

/// Returns the hint for a program that timeout(1) stopped.
pub(super) fn timed_out(facts: &HintFacts<'_>) -> Option<String> {
    if facts.mentions(&["timeout: sending signal"]).is_some() {
        let text = "timeout(1) ended a program after its time limit; raise the limit, or find what hangs";
        return Some(text.to_owned());
    }
    // xargs uses this exit code for a program that ended with 255.
    let is_of_xargs = facts.mentions(&["xargs: *exited with status 255"]).is_some();
    (facts.code == TIMED_OUT && !is_of_xargs && facts.exception().is_none()).then(|| {
        "exit code 124 is that of timeout(1) after its time limit; if the script runs a program under timeout, raise the limit, or find what \
         hangs"
            .to_owned()
    })
}
