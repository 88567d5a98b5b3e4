//! The terminal, and processes that a signal has stopped.
//!
//! Each program is in a process group of its own, in the background of the terminal. The kernel stops it when it
//! reads from the terminal or changes the terminal's settings, for example to ask for a password. Then footplate
//! lends the terminal to the program's group for a moment. A read that has begun continues after the terminal is
//! taken back. From then on, Ctrl-C and Ctrl-Z reach footplate again, which passes them on.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use nix::libc;
use nix::unistd::Pid;

use super::super::timing::{LENDING_TIME, TERMINAL_INTERVAL};
use super::{Action, Frozen, Group, GroupMember, LendingResult};

/// The state of the terminal, and the processes that are stopped.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    /// The process whose group has the terminal, and the time at which it is taken back.
    lent: Option<(Pid, Instant)>,
    /// The stopped processes that wait for the terminal.
    waiting: VecDeque<Pid>,
    /// The time of the next attempt to lend the terminal to the waiting processes.
    next_attempt: Option<Instant>,
    /// The processes that were reported as stopped.
    reported: BTreeSet<Pid>,
    /// True while everything is suspended because the footplate above this one has requested it.
    is_suspended: bool,
}

impl Group {
    /// Handles a child that a signal has stopped.
    pub(super) fn child_stopped(&mut self, pid: Pid, signal: i32) -> Vec<Action> {
        if self.frozen == Frozen::Yes {
            return Vec::new();
        }
        match signal {
            libc::SIGTTIN | libc::SIGTTOU => match self.terminal.lent {
                Some((holder, _)) if holder != pid => {
                    self.terminal.waiting.push_back(pid);
                    Vec::new()
                }
                _ => vec![Action::Lend(pid)],
            },
            libc::SIGTSTP if self.terminal.lent.is_some_and(|(holder, _)| holder == pid) => {
                self.terminal.lent = None;
                vec![Action::TakeBack, self.suspend()]
            }
            _ => self.report_stopped(pid, signal),
        }
    }

    /// Handles the result of an attempt to lend the terminal to the group of a process.
    pub(super) fn lending(&mut self, pid: Pid, result: LendingResult, now: Instant) -> Vec<Action> {
        match result {
            LendingResult::LentTerminal => {
                self.terminal.lent = Some((pid, now + LENDING_TIME));
                Vec::new()
            }
            LendingResult::Elsewhere => {
                self.terminal.waiting.push_back(pid);
                self.terminal.next_attempt = Some(now + TERMINAL_INTERVAL);
                self.report_stopped(pid, libc::SIGTTIN)
            }
            LendingResult::Missing => self.report_stopped(pid, libc::SIGTTIN),
        }
    }

    /// Returns the time at which the terminal next needs attention.
    pub(super) fn terminal_is_due(&self) -> Option<Instant> {
        let back = self.terminal.lent.map(|(_, until)| until);
        back.or(self.terminal.next_attempt.filter(|_| !self.terminal.waiting.is_empty()))
    }

    /// Takes the terminal back, or lends it to the next process that waits for it, if that is due.
    pub(super) fn update_terminal(&mut self, now: Instant) -> Option<Vec<Action>> {
        self.terminal_is_due().filter(|due| *due <= now)?;
        let mut actions = Vec::new();
        if self.terminal.lent.take().is_some() {
            actions.push(Action::TakeBack);
        }
        actions.extend(self.terminal.waiting.pop_front().map(Action::Lend));
        Some(actions)
    }

    /// Reports a stopped process, once.
    fn report_stopped(&mut self, pid: Pid, signal: i32) -> Vec<Action> {
        let is_new = self.terminal.reported.insert(pid);
        if is_new { vec![Action::ReportStopped { pid, signal }] } else { Vec::new() }
    }

    /// Suspends everything on SIGTSTP, if some process can continue it.
    pub(super) fn suspend(&self) -> Action {
        Action::Suspend { to: self.own().filter_map(GroupMember::pid).collect(), frozen: self.frozen_launchers() }
    }

    /// Records that everything is suspended until SIGCONT comes.
    pub(super) fn suspended(&mut self) -> Vec<Action> {
        self.terminal.is_suspended = true;
        Vec::new()
    }

    /// Lets everything continue, if it is suspended.
    pub(super) fn resume(&mut self) -> Option<Action> {
        let was_suspended = std::mem::take(&mut self.terminal.is_suspended);
        was_suspended.then(|| Action::Resume(self.frozen_launchers()))
    }

    /// Returns the launchers that were stopped for good.
    fn frozen_launchers(&self) -> Vec<usize> {
        if self.frozen == Frozen::Yes { self.positions(GroupMember::is_launcher) } else { Vec::new() }
    }
}
