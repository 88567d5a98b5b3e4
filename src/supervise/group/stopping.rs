//! Stopping: which processes get the signal, in which order, and when their time is over.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::super::signals::stop_signal;
use super::super::timing::{READER_PATIENCE, SURVEY_INTERVAL};
use super::super::{PeerStop, Stop};
use super::branches::{self, Place, ProcessId, StopWaves, SurveyedProcess};
use super::member::Life;
use super::{Action, EndReason, Group, GroupMember, News, Phase, Purpose, Target};
use crate::event::KillReason;

/// The number of surveys that may still add new processes to a stop, while the first ones are signalled.
const MAX_SURVEYS: u8 = 3;

/// The order in which a stop signal is sent to the processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum SignalOrder {
    /// There is no stop, or all processes get the signal at once.
    #[default]
    AtOnce,
    /// The order depends on the processes that handle the signal. A survey for them was requested.
    Surveying(SignalRequest),
    /// The processes that handle the signal have got it, and the others wait until they end.
    HandlersFirst(StagedStop),
    /// The processes that handle the signal have ended. A survey for the others was requested.
    OthersNext(StagedStop),
    /// All processes have got the signal except those that read the others' output. For example, tee needs a moment
    /// for the rest in its pipe.
    ReadersLast(StagedStop),
}

/// A signal that processes are to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignalRequest {
    signal: Signal,
    purpose: Purpose,
    /// The launchers and services that do not get the signal.
    excluded: Vec<usize>,
}

/// The progress of a stop in which some processes get the signal before others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StagedStop {
    request: SignalRequest,
    includes_launchers: bool,
    /// The processes that the stop is for.
    targets: BTreeSet<ProcessId>,
    signalled: BTreeSet<ProcessId>,
    awaited: BTreeSet<ProcessId>,
    /// The number of surveys left that may add new processes to the stop.
    surveys_left: u8,
    next_survey_at: Instant,
}

impl StagedStop {
    fn new(request: SignalRequest, includes_launchers: bool, now: Instant) -> StagedStop {
        StagedStop {
            request,
            includes_launchers,
            targets: BTreeSet::new(),
            signalled: BTreeSet::new(),
            awaited: BTreeSet::new(),
            surveys_left: MAX_SURVEYS,
            next_survey_at: now + SURVEY_INTERVAL,
        }
    }

    /// Takes the result of a survey, and returns the processes to signal now.
    fn take(&mut self, waves: &StopWaves, seen: &[SurveyedProcess]) -> Vec<ProcessId> {
        let is_first = self.targets.is_empty();
        let before = self.targets.len();
        if self.surveys_left > 0 {
            self.targets.extend(waves.first.iter().chain(&waves.following));
        }
        if is_first {
            self.targets.extend(&waves.below);
        }
        // New processes were made by processes that were about to get the signal. Later ones were started in order to
        // save.
        self.surveys_left = if self.targets.len() > before { self.surveys_left.saturating_sub(1) } else { 0 };
        let is_due = |process: &&ProcessId| self.targets.contains(process) && !self.signalled.contains(process);
        let due: Vec<ProcessId> = waves.first.iter().filter(is_due).copied().collect();
        self.signalled.extend(&due);
        self.awaited.extend(due.iter().filter(|process| waves.awaited.contains(process)));
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
            Phase::Stopping { why: EndReason::Signal(stop), .. }
            | Phase::Closing { why: Some(EndReason::Signal(stop)), .. } => {
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
                    // The processes have already got a signal. The platform stops all hosts at about the same time,
                    // so another host's stop can arrive first. A second signal could end a script that is saving.
                    Phase::Stopping { .. } => {
                        let why = EndReason::Signal(stop);
                        self.phase = Phase::Stopping { why, until: now + self.timing.grace_period };
                        self.watch_launchers(why, now);
                        let grace = self.timing.grace_period.as_secs_f64();
                        let log = format!(
                            "{signal}: the processes were signalled to end before, and have {grace} s from now"
                        );
                        actions.push(Action::Log(tracing::Level::INFO, log));
                    }
                    // The ranks have ended, and the services are already ending.
                    Phase::Closing { order, until, .. } => {
                        self.phase = Phase::Closing { why: Some(EndReason::Signal(stop)), order, until };
                    }
                    _ => actions.extend(self.stop_members(EndReason::Signal(stop), signal, Purpose::Stop(signal), now)),
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
        self.stop_members(EndReason::Peers(stop), Signal::SIGTERM, Purpose::Peers, now)
    }

    /// Sends a signal that ends ranks, and gives them the grace period.
    ///
    /// Launchers are excluded if the stop is orderly and meant for their ranks, or if the end of each rank is known.
    /// Services are always excluded, because they end after the ranks.
    pub(super) fn stop_members(
        &mut self,
        why: EndReason,
        signal: Signal,
        purpose: Purpose,
        now: Instant,
    ) -> Vec<Action> {
        let excludes_launchers = why.is_orderly() || self.has_keepers;
        let excluded = self.positions(|member| {
            member.has_begun() && (member.service().is_some() || excludes_launchers && member.is_launcher())
        });
        self.phase = Phase::Stopping { why, until: now + self.grace(why) };
        self.watch_launchers(why, now);
        self.order = SignalOrder::Surveying(SignalRequest { signal, purpose, excluded });
        vec![Action::Survey(signal)]
    }

    /// Returns the time that processes have to end after a signal.
    fn grace(&self, why: EndReason) -> Duration {
        let is_gone = |member: &GroupMember| matches!(member.life, Life::Ended(end) if !end.followed);
        if why.is_orderly() {
            self.timing.grace_period
        } else if self.members.iter().any(|member| member.service().is_some() && is_gone(member)) {
            self.timing.unserved_grace
        } else {
            self.timing.failure_grace
        }
    }

    /// Handles the result of a survey that the present order of signals has requested.
    pub(super) fn surveyed(&mut self, seen: Option<Vec<SurveyedProcess>>, now: Instant) -> Vec<Action> {
        let order = std::mem::take(&mut self.order);
        let Some(seen) = seen else {
            return if let SignalOrder::Surveying(request) = order { vec![at_once(request)] } else { Vec::new() };
        };
        let mut actions: Vec<Action> = self.repeat_for_forks(&seen).into_iter().collect();
        let in_order = self.next_in_order(order, &seen, now);
        self.note_forks(&in_order, &seen, now);
        actions.extend(in_order);
        actions
    }

    /// Continues an order of signals with the result of a survey.
    fn next_in_order(&mut self, order: SignalOrder, seen: &[SurveyedProcess], now: Instant) -> Vec<Action> {
        match order {
            SignalOrder::AtOnce => Vec::new(),
            SignalOrder::Surveying(request) => {
                let includes_launchers = !request.excluded.iter().any(|at| self.members[*at].is_launcher());
                let waves = branches::split(seen, &self.mains(), includes_launchers);
                if waves.awaited.is_empty() {
                    return vec![at_once(request)];
                }
                self.signal_targets(StagedStop::new(request, includes_launchers, now), seen, now)
            }
            SignalOrder::HandlersFirst(stop) => self.signal_targets(stop, seen, now),
            SignalOrder::OthersNext(stop) => self.signal_others(stop, seen, now),
            SignalOrder::ReadersLast(stop) => {
                let left = branches::followers(seen, &stop.targets, &stop.signalled, stop.includes_launchers);
                follow(stop.request.signal, &left)
            }
        }
    }

    /// Signals main processes and the processes that handle the signal, if a survey shows any that have not got it
    /// yet.
    fn signal_targets(&mut self, mut stop: StagedStop, seen: &[SurveyedProcess], now: Instant) -> Vec<Action> {
        let purpose = if stop.targets.is_empty() { stop.request.purpose } else { Purpose::Again };
        let signal = stop.request.signal;
        let due = stop.take(&branches::split(seen, &self.mains(), stop.includes_launchers), seen);
        if stop.awaited.is_empty() {
            return self.signal_others(stop, seen, now);
        }
        let is_stopped = |process: &&SurveyedProcess| process.is_stopped && process.place == Place::Script;
        let stopped: Vec<ProcessId> = seen.iter().filter(is_stopped).map(|process| process.id).collect();
        let awaited = due.iter().filter(|process| stop.awaited.contains(process)).copied().collect();
        let mut actions = Vec::new();
        if !due.is_empty() {
            actions.extend([Action::SignalEach { signal, to: due, purpose }, Action::Await(awaited)]);
        }
        if stop.surveys_left > 0 {
            actions.push(Action::Survey(signal));
        }
        if !stopped.is_empty() {
            actions.push(Action::Continue(stopped));
        }
        stop.next_survey_at = now + SURVEY_INTERVAL;
        self.order = SignalOrder::HandlersFirst(stop);
        actions
    }

    /// Signals the processes that waited for those which handle the signal. Processes that read a pipe follow a
    /// little later.
    fn signal_others(&mut self, mut stop: StagedStop, seen: &[SurveyedProcess], now: Instant) -> Vec<Action> {
        let left = branches::followers(seen, &stop.targets, &stop.signalled, stop.includes_launchers);
        let (readers, others): (Vec<SurveyedProcess>, Vec<SurveyedProcess>) =
            left.into_iter().partition(|process| process.reads_pipe);
        let signal = stop.request.signal;
        if !readers.is_empty() {
            stop.signalled.extend(others.iter().map(|process| process.id));
            stop.next_survey_at = now + READER_PATIENCE;
            self.order = SignalOrder::ReadersLast(stop);
        }
        follow(signal, &others)
    }

    /// Returns the progress of a stop in which some processes get the signal before others, during their grace
    /// period.
    fn staged_stop(&mut self) -> Option<&mut StagedStop> {
        match &mut self.order {
            SignalOrder::HandlersFirst(stop) | SignalOrder::ReadersLast(stop) if self.phase.gives_grace() => Some(stop),
            _ => None,
        }
    }

    /// Records the end of a process that others wait for.
    pub(super) fn process_ended(&mut self, process: ProcessId) -> Vec<Action> {
        let SignalOrder::HandlersFirst(stop) = &mut self.order else { return Vec::new() };
        stop.awaited.remove(&process);
        if !stop.awaited.is_empty() || !self.phase.gives_grace() {
            return Vec::new();
        }
        let signal = stop.request.signal;
        self.order = SignalOrder::OthersNext(stop.clone());
        vec![Action::Survey(signal)]
    }

    /// Returns the time of the next survey for processes that have begun to handle the signal.
    pub(super) fn next_survey(&self) -> Option<Instant> {
        match &self.order {
            SignalOrder::HandlersFirst(stop) | SignalOrder::ReadersLast(stop) if self.phase.gives_grace() => {
                Some(stop.next_survey_at)
            }
            _ => self.next_check_of_forks(),
        }
    }

    /// Requests a survey of all processes, if one is due.
    pub(super) fn survey_if_due(&mut self, now: Instant) -> Option<Action> {
        if let Some(survey) = self.check_forks_if_due(now) {
            return Some(survey);
        }
        let stop = self.staged_stop().filter(|stop| stop.next_survey_at <= now)?;
        stop.next_survey_at = now + SURVEY_INTERVAL;
        Some(Action::Survey(stop.request.signal))
    }

    /// Signals a rank that a keeper has started after the others were told to end.
    pub(super) fn signal_late_rank(&self, pid: Pid) -> Option<Action> {
        let Phase::Stopping { why, .. } = self.phase else { return None };
        let signal = if let EndReason::Signal(stop) = why { stop.signal } else { Signal::SIGTERM };
        Some(Action::Forward { number: signal as i32, to: vec![pid] })
    }

    /// Returns the main processes that run.
    fn mains(&self) -> Vec<Pid> {
        let is_main = |member: &&GroupMember| !member.is_launcher() && member.service().is_none();
        self.members.iter().filter(is_main).filter_map(GroupMember::pid).collect()
    }

    /// Describes the processes that get the signal later, for a log line about those that got it.
    fn later(&self) -> String {
        match &self.order {
            SignalOrder::HandlersFirst(stop) if stop.targets.len() > stop.signalled.len() => {
                let count = stop.targets.len() - stop.signalled.len();
                format!("; {count} more {} when these have ended", if count == 1 { "follows" } else { "follow" })
            }
            _ => String::new(),
        }
    }

    /// Sends a signal again, this time to launchers too, because they have started no rank that could have got it.
    pub(super) fn signal_everything(&self, purpose: Purpose) -> Vec<Action> {
        let signal = if let Purpose::Stop(signal) = purpose { signal } else { Signal::SIGTERM };
        vec![Action::Signal { signal, to: Target::Everything, purpose }]
    }

    /// Handles the report of how many processes a signal has reached.
    pub(super) fn signalled(&mut self, purpose: Purpose, reached: usize, now: Instant) -> Vec<Action> {
        let grace = match self.phase {
            Phase::Stopping { why, .. } => self.grace(why).as_secs_f64(),
            _ => self.timing.grace_period.as_secs_f64(),
        };
        let log = match purpose {
            Purpose::Stop(signal) => {
                format!("{signal}: passed on to {} (grace period {grace} s){}", count(reached, "process"), self.later())
            }
            Purpose::Failure if reached == 0 => return Vec::new(),
            Purpose::Failure => {
                format!("a process failed: SIGTERM to {}{}", count(reached, "other process"), self.later())
            }
            Purpose::Peers => {
                format!("SIGTERM to {} (grace period {grace} s){}", count(reached, "process"), self.later())
            }
            Purpose::Follow(_) if reached == 0 => return Vec::new(),
            Purpose::Follow(signal) => {
                let others = count(reached, "other process");
                format!("the processes that handle {signal} have ended: {signal} to {others}")
            }
            Purpose::Close => format!("the script has ended: SIGTERM to {}", count(reached, "service")),
            Purpose::Leftovers if reached > 0 => {
                format!("SIGTERM to {} that the script left behind", count(reached, "process"))
            }
            // If short-lived processes follow each other without pause, a survey may find only those that have just
            // ended.
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

/// Returns a number of things in words: `1 process`, `2 processes`, `2 services`.
fn count(number: usize, name: &str) -> String {
    let end = match (number, name.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{number} {name}{end}")
}

/// Returns the action that signals all processes at once.
fn at_once(request: SignalRequest) -> Action {
    let SignalRequest { signal, purpose, excluded } = request;
    let to = if excluded.is_empty() { Target::Everything } else { Target::AllBut(excluded) };
    Action::Signal { signal, to, purpose }
}

/// Returns the actions that signal the processes which waited for others.
fn follow(signal: Signal, processes: &[SurveyedProcess]) -> Vec<Action> {
    let to: Vec<ProcessId> = processes.iter().map(|process| process.id).collect();
    if to.is_empty() { Vec::new() } else { vec![Action::SignalEach { signal, to, purpose: Purpose::Follow(signal) }] }
}
