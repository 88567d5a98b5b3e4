//! Stopping: who is told, in which order, and when the time is over.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::super::signals::stop_signal;
use super::super::timing::{READER_PATIENCE, SURVEY_INTERVAL};
use super::super::{PeerStop, Stop};
use super::branches::{self, Place, ProcessId, Seen, Split};
use super::{Action, Group, GroupMember, News, Phase, Purpose, Target, Why};
use crate::event::KillReason;

/// The number of looks for processes that were made while the first ones were told.
const FRESH_LOOKS: u8 = 3;

/// The order in which the processes of a stop are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum TellingOrder {
    /// There is no stop, or everything is told at once.
    #[default]
    AtOnce,
    /// It depends on the processes that handle the signal, which are asked for.
    Asked(Telling),
    /// The processes that handle the signal were told, and the others wait for their ends.
    HandlersFirst(Turn),
    /// They have ended. The others are asked for.
    OthersNext(Turn),
    /// All were told but those that read what the others wrote. tee needs a moment for what is left in its pipe.
    ReadersLast(Turn),
}

/// A signal that processes are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    signal: Signal,
    purpose: Purpose,
    /// The launchers and services that are left out.
    spared: Vec<usize>,
}

/// The progress of a stop in which some processes are told before others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    telling: Telling,
    tells_launchers: bool,
    /// The processes that the stop is for.
    meant: BTreeSet<ProcessId>,
    told: BTreeSet<ProcessId>,
    awaited: BTreeSet<ProcessId>,
    /// The number of looks left that count new processes in.
    fresh_looks: u8,
    next_look: Instant,
}

impl Turn {
    fn new(telling: Telling, tells_launchers: bool, now: Instant) -> Turn {
        Turn {
            telling,
            tells_launchers,
            meant: BTreeSet::new(),
            told: BTreeSet::new(),
            awaited: BTreeSet::new(),
            fresh_looks: FRESH_LOOKS,
            next_look: now + SURVEY_INTERVAL,
        }
    }

    /// Takes what a look has shown, and returns the processes to tell now.
    fn take(&mut self, split: &Split, seen: &[Seen]) -> Vec<ProcessId> {
        let is_first = self.meant.is_empty();
        let before = self.meant.len();
        if self.fresh_looks > 0 {
            self.meant.extend(split.told.iter().chain(&split.following));
        }
        if is_first {
            self.meant.extend(&split.below);
        }
        // Made by processes that were about to be told. Those that come later were started in order to save.
        self.fresh_looks = if self.meant.len() > before { self.fresh_looks.saturating_sub(1) } else { 0 };
        let is_due = |process: &&ProcessId| self.meant.contains(process) && !self.told.contains(process);
        let due: Vec<ProcessId> = split.told.iter().filter(is_due).copied().collect();
        self.told.extend(&due);
        self.awaited.extend(due.iter().filter(|process| split.awaited.contains(process)));
        let left: BTreeSet<ProcessId> = seen.iter().map(|process| process.id).collect();
        self.awaited.retain(|process| left.contains(process));
        due
    }
}

impl Group {
    /// Handles a caught signal.
    pub(super) fn caught(&mut self, number: i32, now: Instant) -> Vec<Action> {
        let Some(signal) = stop_signal(number) else {
            // A sweep follows every event.
            if number == libc::SIGCHLD {
                return Vec::new();
            }
            if number == libc::SIGTSTP {
                return vec![self.suspend()];
            }
            if let Some(resume) = (number == libc::SIGCONT).then(|| self.resume()).flatten() {
                return vec![resume];
            }
            let to = self.own().filter_map(GroupMember::pid).collect();
            return vec![Action::Forward { number, to }];
        };
        match self.phase {
            Phase::Stopping { why: Why::Signal(stop), .. } | Phase::Closing { why: Some(Why::Signal(stop)), .. } => {
                let log = format!("{signal} is the second stop signal: killing what still runs");
                let mut actions = vec![Action::Log(tracing::Level::WARN, log)];
                actions.extend(self.kill(Some(stop), Some(KillReason::SecondSignal), now));
                actions
            }
            Phase::Running
            | Phase::Stopping { .. }
            | Phase::Draining { .. }
            | Phase::Ending { .. }
            | Phase::Closing { .. } => {
                let mut actions = vec![Action::Tell(News::Stopping(signal))];
                let stop = Stop { signal, killed: None };
                match self.phase {
                    // The processes have got a signal already. The platform stops all hosts at about the same time, so that
                    // another host's stop can come first; a second signal could end a script that saves.
                    Phase::Stopping { .. } => {
                        let why = Why::Signal(stop);
                        self.phase = Phase::Stopping { why, until: now + self.timing.grace_period };
                        self.watch_launchers(why, now);
                        let grace = self.timing.grace_period.as_secs_f64();
                        let log =
                            format!("{signal}: the processes were told to end before, and have {grace} s from now");
                        actions.push(Action::Log(tracing::Level::INFO, log));
                    }
                    // The ranks have ended, and the services are ending already.
                    Phase::Closing { order, until, .. } => {
                        self.phase = Phase::Closing { why: Some(Why::Signal(stop)), order, until };
                    }
                    _ => actions.extend(self.stop_members(Why::Signal(stop), signal, Purpose::Stop(signal), now)),
                }
                actions
            }
            Phase::Killed { .. } | Phase::Flushing { .. } | Phase::Over { .. } => Vec::new(),
        }
    }

    /// Ends the members, with their grace period, because another host has failed or was told to stop.
    pub(super) fn stop_for_peers(&mut self, stop: PeerStop, now: Instant) -> Vec<Action> {
        if self.phase != Phase::Running {
            return Vec::new();
        }
        self.stop_members(Why::Peers(stop), Signal::SIGTERM, Purpose::Peers, now)
    }

    /// Sends a signal that ends ranks, and gives them the grace period.
    ///
    /// Launchers are spared if an orderly stop is for their ranks, or if the end of each rank is known. Services are always
    /// spared: they end after the ranks.
    pub(super) fn stop_members(&mut self, why: Why, signal: Signal, purpose: Purpose, now: Instant) -> Vec<Action> {
        let spares_launchers = why.is_orderly() || self.has_keepers;
        let spared = self.positions(|member| {
            member.has_begun() && (member.service().is_some() || spares_launchers && member.is_launcher())
        });
        self.phase = Phase::Stopping { why, until: now + self.grace(why) };
        self.watch_launchers(why, now);
        self.order = TellingOrder::Asked(Telling { signal, purpose, spared });
        vec![Action::Survey(signal)]
    }

    /// Returns the time that processes which are told to end have.
    fn grace(&self, why: Why) -> Duration {
        if why.is_orderly() { self.timing.grace_period } else { self.timing.failure_grace }
    }

    /// Handles a look at all processes, which the present order of telling asked for.
    pub(super) fn surveyed(&mut self, seen: Option<Vec<Seen>>, now: Instant) -> Vec<Action> {
        match (std::mem::take(&mut self.order), seen) {
            (TellingOrder::Asked(telling), None) => vec![at_once(telling)],
            (TellingOrder::AtOnce, _) | (_, None) => Vec::new(),
            (TellingOrder::Asked(telling), Some(seen)) => {
                let tells_launchers = !telling.spared.iter().any(|at| self.members[*at].is_launcher());
                let split = branches::split(&seen, &self.mains(), tells_launchers);
                if split.awaited.is_empty() {
                    return vec![at_once(telling)];
                }
                self.tell(Turn::new(telling, tells_launchers, now), &seen, now)
            }
            (TellingOrder::HandlersFirst(turn), Some(seen)) => self.tell(turn, &seen, now),
            (TellingOrder::OthersNext(turn), Some(seen)) => self.tell_others(turn, &seen, now),
            (TellingOrder::ReadersLast(turn), Some(seen)) => {
                let left = branches::followers(&seen, &turn.meant, &turn.told, turn.tells_launchers);
                follow(turn.telling.signal, &left)
            }
        }
    }

    /// Tells the processes that handle the signal, and main processes, as far as a look shows any that were not told yet.
    fn tell(&mut self, mut turn: Turn, seen: &[Seen], now: Instant) -> Vec<Action> {
        let purpose = if turn.meant.is_empty() { turn.telling.purpose } else { Purpose::Again };
        let signal = turn.telling.signal;
        let due = turn.take(&branches::split(seen, &self.mains(), turn.tells_launchers), seen);
        if turn.awaited.is_empty() {
            return self.tell_others(turn, seen, now);
        }
        let is_stopped = |process: &&Seen| process.is_stopped && process.place == Place::Script;
        let stopped: Vec<ProcessId> = seen.iter().filter(is_stopped).map(|process| process.id).collect();
        let awaited = due.iter().filter(|process| turn.awaited.contains(process)).copied().collect();
        let mut actions = Vec::new();
        if !due.is_empty() {
            actions.extend([Action::SignalEach { signal, to: due, purpose }, Action::Await(awaited)]);
        }
        if turn.fresh_looks > 0 {
            actions.push(Action::Survey(signal));
        }
        if !stopped.is_empty() {
            actions.push(Action::Continue(stopped));
        }
        turn.next_look = now + SURVEY_INTERVAL;
        self.order = TellingOrder::HandlersFirst(turn);
        actions
    }

    /// Tells the processes that have waited for those which handle the signal. Those that read a pipe follow a little later.
    fn tell_others(&mut self, mut turn: Turn, seen: &[Seen], now: Instant) -> Vec<Action> {
        let left = branches::followers(seen, &turn.meant, &turn.told, turn.tells_launchers);
        let (readers, others): (Vec<Seen>, Vec<Seen>) = left.into_iter().partition(|process| process.reads_pipe);
        let signal = turn.telling.signal;
        if !readers.is_empty() {
            turn.told.extend(others.iter().map(|process| process.id));
            turn.next_look = now + READER_PATIENCE;
            self.order = TellingOrder::ReadersLast(turn);
        }
        follow(signal, &others)
    }

    /// Returns the progress of a stop in which some processes are told before others, while they have their grace period.
    fn turn(&mut self) -> Option<&mut Turn> {
        match &mut self.order {
            TellingOrder::HandlersFirst(turn) | TellingOrder::ReadersLast(turn) if self.phase.gives_grace() => {
                Some(turn)
            }
            _ => None,
        }
    }

    /// Notes the end of a process that others wait for.
    pub(super) fn gone(&mut self, process: ProcessId) -> Vec<Action> {
        let TellingOrder::HandlersFirst(turn) = &mut self.order else { return Vec::new() };
        turn.awaited.remove(&process);
        if !turn.awaited.is_empty() || !self.phase.gives_grace() {
            return Vec::new();
        }
        let signal = turn.telling.signal;
        self.order = TellingOrder::OthersNext(turn.clone());
        vec![Action::Survey(signal)]
    }

    /// Returns the time of the next look for processes that have come to handle the signal.
    pub(super) fn next_survey(&self) -> Option<Instant> {
        match &self.order {
            TellingOrder::HandlersFirst(turn) | TellingOrder::ReadersLast(turn) if self.phase.gives_grace() => {
                Some(turn.next_look)
            }
            _ => None,
        }
    }

    /// Asks for a look at all processes, if it is due.
    pub(super) fn survey_if_due(&mut self, now: Instant) -> Option<Action> {
        let turn = self.turn().filter(|turn| turn.next_look <= now)?;
        turn.next_look = now + SURVEY_INTERVAL;
        Some(Action::Survey(turn.telling.signal))
    }

    /// Tells a rank that a keeper has started after the others were told to end.
    pub(super) fn tell_late_rank(&self, pid: Pid) -> Option<Action> {
        let Phase::Stopping { why, .. } = self.phase else { return None };
        let signal = if let Why::Signal(stop) = why { stop.signal } else { Signal::SIGTERM };
        Some(Action::Forward { number: signal as i32, to: vec![pid] })
    }

    /// Returns the main processes that run.
    fn mains(&self) -> Vec<Pid> {
        let is_main = |member: &&GroupMember| !member.is_launcher() && member.service().is_none();
        self.members.iter().filter(is_main).filter_map(GroupMember::pid).collect()
    }

    /// Describes the processes that are told later, for a message about those that were told.
    fn later(&self) -> String {
        match &self.order {
            TellingOrder::HandlersFirst(turn) if turn.meant.len() > turn.told.len() => {
                format!("; {} more follow when these have ended", turn.meant.len() - turn.told.len())
            }
            _ => String::new(),
        }
    }

    /// Sends a signal again, to launchers too: they have started no rank that it could have been for.
    pub(super) fn signal_everything(&self, purpose: Purpose) -> Vec<Action> {
        let signal = if let Purpose::Stop(signal) = purpose { signal } else { Signal::SIGTERM };
        vec![Action::Signal { signal, to: Target::Everything, purpose }]
    }

    /// Handles the number of processes that a signal has reached.
    pub(super) fn signalled(&mut self, purpose: Purpose, reached: usize, now: Instant) -> Vec<Action> {
        let grace = match self.phase {
            Phase::Stopping { why, .. } => self.grace(why).as_secs_f64(),
            _ => self.timing.grace_period.as_secs_f64(),
        };
        let log = match purpose {
            Purpose::Stop(signal) => {
                format!("{signal}: passed on to {reached} processes, which have {grace} s{}", self.later())
            }
            Purpose::Failure => format!("a process failed: SIGTERM to the {reached} others{}", self.later()),
            Purpose::Peers => format!("SIGTERM to {reached} processes, which have {grace} s{}", self.later()),
            Purpose::Follow(_) if reached == 0 => return Vec::new(),
            Purpose::Follow(signal) => {
                format!("the processes that handle {signal} have ended: {signal} to {reached} others")
            }
            Purpose::Close => format!("the script has ended: SIGTERM to {reached} services"),
            Purpose::Leftovers if reached > 0 => {
                format!("SIGTERM to {reached} processes that the script left behind")
            }
            // Of processes that follow each other without pause, a look can find none but those that have just ended.
            Purpose::Leftovers if !self.has_children => return self.flush(None, now),
            Purpose::Leftovers | Purpose::Again => return Vec::new(),
            Purpose::Kill(reason) => {
                if let Phase::Killed { stop: Some(stop), .. } = &mut self.phase {
                    stop.killed = reason.filter(|_| reached > 0);
                }
                return if reached > 0 { vec![Action::Tell(News::Killed(reason))] } else { Vec::new() };
            }
        };
        vec![Action::Log(tracing::Level::INFO, log)]
    }
}

/// Returns the action that tells everything at once.
fn at_once(telling: Telling) -> Action {
    let Telling { signal, purpose, spared } = telling;
    let to = if spared.is_empty() { Target::Everything } else { Target::AllBut(spared) };
    Action::Signal { signal, to, purpose }
}

/// Returns the action that tells processes which have waited for others.
fn follow(signal: Signal, processes: &[Seen]) -> Vec<Action> {
    let to: Vec<ProcessId> = processes.iter().map(|process| process.id).collect();
    if to.is_empty() { Vec::new() } else { vec![Action::SignalEach { signal, to, purpose: Purpose::Follow(signal) }] }
}
