//! The terminal that footplate was started on, if there is one.

use std::fs::File;

use nix::libc;
use nix::sys::signal::{SigSet, Signal, killpg, raise};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getppid, getsid, tcgetpgrp, tcsetpgrp};

use super::group::LendingResult;

/// The terminal while it is lent. It is taken back when this value is dropped.
#[derive(Debug)]
pub(super) struct LentTerminal {
    terminal: File,
    /// The process group that had the terminal before.
    home: Pid,
    /// The process group that has the terminal now.
    group: Pid,
}

/// The process that can continue a suspended footplate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resumer {
    /// A shell with job control, whose foreground job footplate is.
    Shell,
    /// The footplate of a job on this machine (`footplate local`).
    Footplate,
    /// No process, although footplate is the foreground job of a terminal, as in `docker run --tty`.
    Nobody,
    /// An unknown process, because footplate is not in the foreground of a terminal.
    Unknown,
}

/// Opens the terminal of this session.
fn open() -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).write(true).custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC).open("/dev/tty").ok()
}

/// Returns true if the parent is a footplate too.
fn is_below_footplate() -> bool {
    let program = |pid: &str| std::fs::read_link(format!("/proc/{pid}/exe"));
    match (program(&getppid().to_string()), program("self")) {
        (Ok(parent), Ok(own)) => parent == own,
        _ => false,
    }
}

/// Returns the group of footplate's job if the job has the terminal.
fn foreground_of(terminal: &File) -> Option<Pid> {
    let foreground = tcgetpgrp(terminal).ok()?;
    let is_ours = foreground == getpgrp() || getpgid(Some(getppid())) == Ok(foreground) && is_below_footplate();
    is_ours.then_some(foreground)
}

/// Lends the terminal to the group of a stopped process, and lets the group continue.
pub(super) fn lend(pid: Pid) -> (LendingResult, Option<LentTerminal>) {
    let Some(terminal) = open() else { return (LendingResult::Missing, None) };
    let (Some(home), Ok(group)) = (foreground_of(&terminal), getpgid(Some(pid))) else {
        return (LendingResult::Elsewhere, None);
    };
    if !give(&terminal, group) {
        return (LendingResult::Elsewhere, None);
    }
    // The group may have ended meanwhile.
    let _ = killpg(group, Signal::SIGCONT);
    (LendingResult::LentTerminal, Some(LentTerminal { terminal, home, group }))
}

impl Drop for LentTerminal {
    fn drop(&mut self) {
        // A shell that has become the foreground job meanwhile keeps the terminal.
        if tcgetpgrp(&self.terminal).is_ok_and(|group| group == self.group) {
            give(&self.terminal, self.home);
        }
    }
}

/// Makes a group the foreground job of the terminal, and returns true if that worked.
fn give(terminal: &File, group: Pid) -> bool {
    // Because this process is in the background, the kernel would stop it with SIGTTOU.
    let blocked = SigSet::from(Signal::SIGTTOU);
    let before = SigSet::thread_get_mask();
    let _ = blocked.thread_block();
    let is_given = tcsetpgrp(terminal, group).is_ok();
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    is_given
}

/// Returns the process that can continue footplate after it was suspended.
pub(super) fn resumer() -> Resumer {
    let Some(terminal) = open() else { return Resumer::Unknown };
    if is_below_footplate() {
        return Resumer::Footplate;
    }
    if foreground_of(&terminal).is_none() {
        return Resumer::Unknown;
    }
    let has_shell = getsid(None) != Ok(getpid()) && getsid(Some(getppid())) == getsid(None);
    if has_shell { Resumer::Shell } else { Resumer::Nobody }
}

/// Stops this process until the shell continues it.
pub(super) fn stop_itself() {
    // The signal cannot be refused.
    let _ = raise(Signal::SIGSTOP);
}
