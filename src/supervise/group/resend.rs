//! Repeating a stop signal that a process has lost between fork(2) and execve(2).
//!
//! Until a forked process executes its program, it has the handlers of its parent. A signal that arrives in this time
//! runs such a handler, or only makes a note that the new program does not have. The program then runs on as if it had
//! never got the signal, and a shell waits for it before it runs its trap.

use std::collections::BTreeMap;
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::super::timing::{EXEC_TIME, SURVEY_INTERVAL};
use super::branches::{Place, ProcessId, ProgramImage, Reaction, SurveyedProcess};
use super::stopping::SignalOrder;
use super::{Action, Group, Purpose};

/// The forked processes that got a stop signal while they still ran the program of their parents.
#[derive(Debug)]
pub(super) struct SignalledForks {
    signal: Signal,
    images: BTreeMap<ProcessId, ProgramImage>,
    next_check_at: Instant,
}

impl Group {
    /// Returns the action that repeats the signal for the forked processes that have executed a program since they got
    /// it, and whose program neither handles nor ignores it.
    pub(super) fn repeat_for_forks(&mut self, seen: &[SurveyedProcess]) -> Option<Action> {
        let forks = self.signalled_forks.as_mut()?;
        let mut lost = Vec::new();
        let still_forks = |process: &ProcessId, image: &mut ProgramImage| {
            let Some(found) = seen.iter().find(|found| found.id == *process) else { return false };
            let has_executed = found.image != Some(*image);
            if has_executed && found.reaction == Reaction::Ends {
                lost.push(*process);
            }
            !has_executed
        };
        forks.images.retain(still_forks);
        let signal = forks.signal;
        if forks.images.is_empty() {
            self.signalled_forks = None;
        }
        let is_any_lost = !lost.is_empty() && self.phase.gives_grace();
        is_any_lost.then_some(Action::SignalEach { signal, to: lost, purpose: Purpose::Again })
    }

    /// Remembers the forked processes among those that these actions signal.
    pub(super) fn note_forks(&mut self, actions: &[Action], seen: &[SurveyedProcess], now: Instant) {
        let images: BTreeMap<Pid, ProgramImage> =
            seen.iter().filter_map(|process| Some((process.id.pid, process.image?))).collect();
        let image_of_fork = |process: &SurveyedProcess| {
            let is_candidate = process.place == Place::Script && process.reaction == Reaction::Handles;
            process.image.filter(|image| is_candidate && images.get(&process.parent) == Some(image))
        };
        for action in actions {
            let (signal, to) = match action {
                Action::Signal { signal, .. } => (*signal, None),
                Action::SignalEach { signal, to, .. } => (*signal, Some(to)),
                _ => continue,
            };
            let forks = seen.iter().filter(|process| to.is_none_or(|to| to.contains(&process.id)));
            let found: BTreeMap<ProcessId, ProgramImage> =
                forks.filter_map(|process| Some((process.id, image_of_fork(process)?))).collect();
            if !found.is_empty() {
                let next_check_at = now + EXEC_TIME;
                let none = SignalledForks { signal, images: BTreeMap::new(), next_check_at };
                let forks = self.signalled_forks.get_or_insert(none);
                forks.images.extend(found);
                forks.next_check_at = next_check_at;
            }
        }
    }

    /// Returns the time of the next survey for forked processes. While a stop has an order, its own surveys show them.
    pub(super) fn next_check_of_forks(&self) -> Option<Instant> {
        let forks = self.signalled_forks.as_ref()?;
        (self.order == SignalOrder::AtOnce && self.phase.gives_grace()).then_some(forks.next_check_at)
    }

    /// Requests a survey for forked processes, if one is due.
    pub(super) fn check_forks_if_due(&mut self, now: Instant) -> Option<Action> {
        self.next_check_of_forks().filter(|due| *due <= now)?;
        let forks = self.signalled_forks.as_mut()?;
        forks.next_check_at = now + SURVEY_INTERVAL;
        Some(Action::Survey(forks.signal))
    }
}
