//! A survey of all processes that descend from footplate: which of them handle a signal, which are shells, and which
//! belong to launchers and services. This file also signals and watches single processes.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};
use tokio::sync::mpsc::UnboundedSender;

use super::group::{Place, ProcessId, ProgramImage, Reaction, SurveyedProcess};
use super::tree::{self, ExcludedProcesses, ProcessEntry};
use crate::system::files;
use crate::system::kernel::PidFd;

/// The time limit for reading the arguments of a process.
const MEMORY_TIME: Duration = Duration::from_millis(200);

/// The maximum size of a process's arguments that is read, in bytes.
const MAX_ARGUMENTS: u64 = 4 << 20;

/// The parts of a job that a survey distinguishes.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The launchers, with their daemons.
    pub(super) launchers: ExcludedProcesses,
    /// The ranks whose parents are keepers.
    pub(super) kept_ranks: Vec<Pid>,
    /// The processes of services.
    pub(super) services: Vec<Pid>,
    /// True if footplate itself was started with the signal blocked, so that every process blocks it.
    pub(super) is_blocked: bool,
}

/// Returns all processes that descend from this one and have not ended, parents before their children. `None` without /proc.
pub(super) fn survey(signal: Signal, parts: &Parts) -> Option<Vec<SurveyedProcess>> {
    let found = tree::descendants()?;
    let groups = parts.launchers.groups_among(&found);
    let is_kept = |entry: &&ProcessEntry| parts.kept_ranks.iter().any(|rank| rank.as_raw() == entry.pid);
    let keepers: BTreeSet<i32> = found.iter().filter(is_kept).map(|rank| rank.parent).collect();
    let services: BTreeSet<i32> = tree::below(&parts.services, &found).map(|entry| entry.pid).collect();
    let own_input = input(getpid().as_raw());
    let seen = found.iter().filter(|entry| entry.is_alive).map(|entry| {
        let place = if services.contains(&entry.pid) {
            Place::Service
        } else if parts.launchers.has(&groups, entry) || keepers.contains(&entry.pid) {
            Place::Launcher
        } else {
            Place::Script
        };
        SurveyedProcess {
            id: ProcessId { pid: Pid::from_raw(entry.pid), start: entry.start },
            parent: Pid::from_raw(entry.parent),
            place,
            reaction: reaction(entry.pid, signal, parts.is_blocked),
            image: entry.stack.map(ProgramImage),
            is_shell: is_shell(entry),
            is_stopped: entry.is_stopped,
            reads_pipe: input(entry.pid)
                .is_some_and(|input| input.starts_with("pipe:") && own_input.as_ref() != Some(&input)),
        }
    });
    Some(seen.collect())
}

/// Returns the name of a process's standard input, such as `pipe:[4711]`.
fn input(pid: i32) -> Option<String> {
    fs::read_link(format!("/proc/{pid}/fd/0")).ok()?.into_os_string().into_string().ok()
}

/// The kernel function in which a process waits for signals, as in `/proc/PID/wchan` (proc(5)).
const WAITS_FOR_SIGNALS: &str = "do_sigtimedwait";

/// Returns true if the main thread of a process computes, sleeps, reads or writes, and does not wait for another
/// thread. Returns false if the kernel does not report it.
pub(super) fn is_busy(pid: Pid) -> bool {
    // The line begins with the number of the system call, or with the word "running".
    let shown = files::text(Path::new(&format!("/proc/{pid}/syscall")), files::TEXT_SIZE);
    shown.is_ok_and(|text| text.split_whitespace().next() != Some(&libc::SYS_futex.to_string()))
}

/// Returns the effect of a signal on a process, according to `/proc/PID/status` (proc(5)). A process that blocks the
/// signal receives it through a descriptor or sigwait(3). While it waits in sigwait, as tini and dumb-init do, the
/// kernel shows the signal as not blocked.
fn reaction(pid: i32, signal: Signal, is_blocked: bool) -> Reaction {
    let status = fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    let has = |name: &[u8]| {
        let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
        let mask = u64::from_str_radix(std::str::from_utf8(line).ok()?.trim(), 16).ok()?;
        Some(mask & (1 << (signal as i32 - 1)) != 0)
    };
    let has = |name| has(name).unwrap_or(false);
    let waits =
        || fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|place| place.contains(WAITS_FOR_SIGNALS));
    if has(b"SigCgt:") {
        Reaction::Handles
    } else if has(b"SigIgn:") {
        Reaction::Ignores
    } else if !is_blocked && has(b"SigBlk:") || waits() {
        Reaction::Handles
    } else {
        Reaction::Ends
    }
}

/// The names of shells, without versions.
const SHELLS: [&str; 21] = [
    "sh", "bash", "rbash", "dash", "ash", "hush", "ksh", "rksh", "mksh", "lksh", "oksh", "pdksh", "loksh", "zsh",
    "rzsh", "fish", "csh", "tcsh", "yash", "posh", "bosh",
];

/// Programs that act as a shell if they are called by a shell's name.
const MULTI_CALL: [&str; 2] = ["busybox", "toybox"];

/// Returns true for a shell. The executable decides, because a process that runs a script by its path has the
/// script's name. The process name decides only if the executable cannot be read, as with processes of another user.
fn is_shell(entry: &ProcessEntry) -> bool {
    let Ok(executable) = fs::read_link(format!("/proc/{}/exe", entry.pid)) else {
        return is_shells_name(OsStr::from_bytes(&entry.name));
    };
    let name = executable.file_name().unwrap_or_default();
    if !MULTI_CALL.iter().any(|program| name.as_bytes().starts_with(program.as_bytes())) {
        return is_shells_name(name);
    }
    // The kernel reads the arguments from the memory of the process, and that can hang if the process hangs.
    let path = format!("/proc/{}/cmdline", entry.pid);
    let arguments = files::read_within(MEMORY_TIME, path.as_ref(), MAX_ARGUMENTS).unwrap_or_default();
    // `sh run.sh`, `-sh`, `/bin/sh ./run.sh`, or `busybox sh run.sh`.
    let mut names = arguments.split(|byte| *byte == 0).take(2).map(|word| {
        let word = word.strip_prefix(b"-").unwrap_or(word);
        OsStr::from_bytes(word.rsplit(|byte| *byte == b'/').next().unwrap_or(word))
    });
    let first = names.next().unwrap_or_default();
    let is_called = |name: &OsStr| MULTI_CALL.iter().any(|program| name.as_bytes().starts_with(program.as_bytes()));
    is_shells_name(if is_called(first) { names.next().unwrap_or_default() } else { first })
}

/// Returns true for the name of a shell, with or without a version: `zsh-5.9`, `ksh93`, `bash.static`.
fn is_shells_name(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    let is_versioned = |shell: &str| {
        let Some(rest) = name.strip_prefix(shell) else { return false };
        let rest = rest.strip_prefix(['-', '.', '_']).unwrap_or(rest);
        rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()) || ["static", "distrib"].contains(&rest)
    };
    SHELLS.iter().any(|shell| is_versioned(shell))
}

/// Sends a signal to a process, and wakes it if it is stopped. Returns false if the process has ended.
pub(super) fn send(process: ProcessId, signal: Signal) -> bool {
    let opened = PidFd::open(process.pid);
    if tree::read_entry(process.pid.as_raw()).is_none_or(|entry| entry.start != process.start) {
        return false;
    }
    let sent = match &opened {
        Ok(fd) => fd.signal(signal),
        Err(_) => kill(process.pid, signal).map_err(Into::into),
    };
    if sent.is_ok()
        && let Some(wake) = tree::wake(signal)
    {
        // The process may have ended because of the first signal.
        let _ = match &opened {
            Ok(fd) => fd.signal(wake),
            Err(_) => kill(process.pid, wake).map_err(Into::into),
        };
    }
    sent.is_ok()
}

/// Lets a stopped process continue.
pub(super) fn wake(process: ProcessId) {
    if tree::read_entry(process.pid.as_raw()).is_some_and(|entry| entry.start == process.start) {
        // The process may have ended meanwhile.
        let _ = kill(process.pid, Signal::SIGCONT);
    }
}

/// Reports the end of a process to `ends`. If the process cannot be watched, a later survey shows that it is gone.
pub(super) fn watch(process: ProcessId, ends: &UnboundedSender<ProcessId>) {
    let Ok(fd) = PidFd::open(process.pid) else { return };
    if tree::read_entry(process.pid.as_raw()).is_none_or(|entry| entry.start != process.start) {
        // The receiver lives as long as the supervisor.
        let _ = ends.send(process);
        return;
    }
    let ends = ends.clone();
    tokio::spawn(async move {
        if fd.ended().await.is_ok() {
            let _ = ends.send(process);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::is_shells_name;
    use std::ffi::OsStr;

    #[test]
    fn shells_are_known_by_their_names_and_versions() {
        for name in
            ["sh", "bash", "dash", "zsh", "zsh-5.9", "ksh93", "bash-static", "mksh", "bash (deleted)", "sh.distrib"]
        {
            assert!(is_shells_name(OsStr::new(name)), "{name}");
        }
        for name in ["python3.11", "sh-agent", "shuf", "bashtop", "tee", "ssh", "fishnet", "", "dash-board", "busybox"]
        {
            assert!(!is_shells_name(OsStr::new(name)), "{name}");
        }
    }
}
