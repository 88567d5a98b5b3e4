//! The thin shell around a [`Group`]. It starts members, sends signals, reaps, reads /proc, and reports the results
//! to the group.

mod endings;
mod stops;
mod targets;

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::sync::mpsc::UnboundedSender;

use super::companion;
use super::group::{Action, Group, GroupMember, Input, News, OutputFate, Part, ProcessId, Release, Target};
use super::guard::Guard;
use super::keeper::{Keepers, Note};
use super::main_code::MainCodeProbe;
use super::outputs::Streams;
use super::survey;
use super::task::{Readiness, Role, SpawnError, Started, Task};
use super::terminal::{self, LentTerminal};
use super::timing::Timing;
use super::tree;
use crate::event::{CommonStep, Ending, EventKind, Events, Moment, Process, StopReason, Stream};
use crate::logs::{AwaitedText, Relay, Relayed, StreamId, StreamNews, Style};
use crate::system::kernel::{self, InheritedSignals, ParentBond, WaitResult};

/// The parts of the supervisor that a group needs.
pub(super) struct Surroundings<'a> {
    pub(super) inherited: &'a InheritedSignals,
    pub(super) relay: &'a Relay,
    pub(super) events: &'a Events,
    /// Receives the relay's news about streams.
    pub(super) streams: &'a UnboundedSender<StreamNews>,
    /// Receives the ends of watched processes.
    pub(super) ends: &'a UnboundedSender<ProcessId>,
    /// The guard, which ends the programs if footplate is killed.
    pub(super) guard: Option<&'a Guard>,
    /// The bond that ties the programs' lives to footplate's.
    pub(super) bond: ParentBond,
    /// The means to see if the program of a process still runs.
    pub(super) main_code: &'a MainCodeProbe,
}

/// The processes of a group.
pub(super) struct Shell<'a> {
    tasks: &'a [Task],
    around: Surroundings<'a>,
    group: Group,
    /// The processes, one for each member.
    processes: Vec<Child>,
    keepers: Option<Arc<Keepers>>,
    /// The terminal, while a group of the job has it.
    lent: Option<LentTerminal>,
}

/// The shell's side of a member.
struct Child {
    identity: Process,
    /// The process that footplate started.
    pid: Option<Pid>,
    streams: Streams,
    /// The writing ends that keep the streams of ranks open until the ranks have ended.
    held: Vec<[File; 2]>,
}

impl<'a> Shell<'a> {
    /// Makes the group of these tasks. `first` is the number under which the relay knows the first of them.
    pub(super) fn new(
        tasks: &'a [Task],
        first: usize,
        timing: Timing,
        (release, allowed): (Release, CommonStep),
        around: Surroundings<'a>,
    ) -> Shell<'a> {
        let (mut parts, mut processes) = (Vec::new(), Vec::new());
        for (spec, task) in tasks.iter().enumerate() {
            let part = match &task.role {
                Role::Process => Part::Process,
                Role::Launcher(_) => Part::Launcher,
                Role::Service { rules, .. } => Part::Service(*rules),
            };
            let has_keepers = task.keepers.is_some();
            let shared = task.ranks.iter().filter(|_| !has_keepers).map(|rank| rank.rank).collect();
            parts.push((spec, part));
            let streams = Streams::new(first + spec, 0, task.attempt, shared);
            processes.push(Child { identity: task.process.clone(), pid: None, streams, held: Vec::new() });
            for (at, rank) in (1..).zip(task.ranks.iter().filter(|_| has_keepers)) {
                parts.push((spec, Part::KeptRank(rank.rank)));
                let streams = Streams::new(first + spec, at, task.attempt, Vec::new());
                let identity = Process::Rank(rank.rank);
                processes.push(Child { identity, pid: None, streams, held: Vec::new() });
            }
        }
        let group = Group::new(&parts, timing, release, allowed, Instant::now());
        let keepers = tasks.iter().find_map(|task| task.keepers.clone());
        Shell { tasks, around, group, processes, keepers, lent: None }
    }

    /// Starts the members of the first stage.
    ///
    /// # Errors
    /// A member could not be started. Those that were started are killed.
    pub(super) fn begin(&mut self) -> Result<(), SpawnError> {
        let actions = self.group.begin(Instant::now());
        self.act(actions)
    }

    /// Returns true once nothing is left to wait for.
    pub(super) fn is_over(&self) -> bool {
        self.group.phase().is_over()
    }

    /// Returns true if the reader of the output has stopped taking bytes.
    pub(super) fn gave_up(&self) -> bool {
        matches!(self.group.phase(), super::group::Phase::Over { output: OutputFate::GivenUp, .. })
    }

    /// Returns the time at which [`Input::Deadline`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.group.deadline()
    }

    /// Hands a fact to the group and performs the actions that follow.
    ///
    /// # Errors
    /// A member could not be started. The others are killed.
    pub(super) fn feed(&mut self, input: Input) -> Result<(), SpawnError> {
        let actions = self.group.step(input, Instant::now());
        self.act(actions)
    }

    /// Handles a caught signal. Keepers' notes are read first, because ranks that have begun must get the signal too.
    pub(super) fn feed_signal(&mut self, number: i32) -> Result<(), SpawnError> {
        self.read_keepers()?;
        self.feed(Input::Caught(number))
    }

    /// Handles a keeper's note about its rank.
    pub(super) fn feed_note(&mut self, note: Note) -> Result<(), SpawnError> {
        self.feed(match note {
            Note::Began(rank, pid) => Input::RankBegan { rank, pid },
            Note::Ended(rank, ending) => Input::RankEnded { rank, ending },
        })
    }

    /// Handles the relay's news about a stream.
    pub(super) fn feed_stream(&mut self, news: StreamNews) -> Result<(), SpawnError> {
        let id = news.id();
        let known = self.processes.iter().enumerate().find_map(|(at, child)| {
            let writer = child.streams.writer(id, &child.identity)?;
            Some((at, writer))
        });
        let Some((at, process)) = known else { return Ok(()) };
        let stream = if id.is_stderr { Stream::Stderr } else { Stream::Stdout };
        match news {
            StreamNews::Began { at: moment, .. } => {
                self.around.events.emit_at(moment, EventKind::FirstOutput { process, stream });
                Ok(())
            }
            StreamNews::Matched { .. } => self.feed(Input::Ready { member: at }),
            StreamNews::LastWords { silence, .. } => {
                let pid = self.processes[at].pid;
                let is_stuck =
                    pid.is_none_or(|pid| !survey::is_busy(pid) && self.around.main_code.is_stuck(pid, silence));
                if is_stuck { self.feed(Input::Outlived { member: at }) } else { Ok(()) }
            }
            StreamNews::Ended { record, lines, bytes, last_output, .. } => {
                self.around.events.emit(EventKind::StreamClosed { process, stream, lines, bytes, last_output });
                let is_read = self.processes[at].streams.end(id, record);
                if is_read { self.feed(Input::OutputRead { member: at }) } else { Ok(()) }
            }
        }
    }

    /// Reaps the children that have ended, and lets the group move on.
    ///
    /// # Errors
    /// A member could not be started. The others are killed.
    pub(super) fn sweep(&mut self) -> Result<(), SpawnError> {
        self.read_keepers()?;
        let has_children = loop {
            let (pid, ending) = match companion::wait_any() {
                WaitResult::Exited(pid, code) => (pid, Ending::Exited(code)),
                WaitResult::Signaled(pid, signal) => (pid, Ending::Signaled(signal)),
                WaitResult::Stopped(pid, signal) => {
                    self.feed(Input::ChildStopped { pid, signal })?;
                    continue;
                }
                WaitResult::NoneEnded => break self.has_others(),
                WaitResult::NoneLeft => break false,
            };
            // The keeper of a reaped rank may have ended before its note was read.
            self.read_keepers()?;
            let input = match self.followed_its_daemon(pid, ending) {
                Some(member) => Input::EndedByLauncher { member },
                None => Input::Reaped { pid, ending },
            };
            self.feed(input)?;
        };
        self.feed(Input::Swept { has_children })
    }

    /// Returns true if there are children other than companions. While a member runs, nothing depends on the answer.
    fn has_others(&self) -> bool {
        let any_runs = self.group.members().iter().any(GroupMember::is_running);
        any_runs || companion::all().is_empty() || tree::descendants().is_none_or(|found| !found.is_empty())
    }

    /// Reads the notes of keepers.
    fn read_keepers(&mut self) -> Result<(), SpawnError> {
        let Some(keepers) = self.keepers.clone() else { return Ok(()) };
        while let Some(note) = keepers.next() {
            self.feed_note(note)?;
        }
        Ok(())
    }

    /// Returns the kept rank that this child is, if the child ended only because its launcher's daemon ended.
    fn followed_its_daemon(&self, pid: Pid, ending: Ending) -> Option<usize> {
        let members = self.group.members();
        let member = members.iter().position(|member| !member.is_own() && member.pid() == Some(pid))?;
        match &self.tasks[members[member].spec].role {
            Role::Launcher(launching) if launching.lost_daemon == Some(ending) => Some(member),
            _ => None,
        }
    }

    fn act(&mut self, actions: Vec<Action>) -> Result<(), SpawnError> {
        let mut waiting = VecDeque::from(actions);
        while let Some(action) = waiting.pop_front() {
            for input in self.perform(action)? {
                waiting.extend(self.group.step(input, Instant::now()));
            }
        }
        Ok(())
    }

    /// Performs an action, and returns the resulting inputs.
    fn perform(&mut self, action: Action) -> Result<Vec<Input>, SpawnError> {
        match action {
            Action::Start(member) => return self.start(member),
            Action::Signal { signal, to, purpose } => {
                let reached = self.signal(signal, &to);
                return Ok(vec![Input::Signalled { purpose, is_limited: to != Target::Everything, reached }]);
            }
            Action::Survey(signal) => return Ok(vec![Input::Surveyed(survey::survey(signal, &self.parts(signal)))]),
            Action::SignalEach { signal, to, purpose } => {
                let reached = to.into_iter().filter(|process| survey::send(*process, signal)).count();
                return Ok(vec![Input::Signalled { purpose, is_limited: false, reached }]);
            }
            Action::Continue(processes) => processes.into_iter().for_each(survey::wake),
            Action::Await(processes) => {
                processes.into_iter().for_each(|process| survey::watch(process, self.around.ends));
            }
            Action::Lend(pid) => {
                self.lent = None;
                let (result, lent) = terminal::lend(pid);
                self.lent = lent;
                return Ok(vec![Input::LendingResult { pid, result }]);
            }
            Action::TakeBack => self.lent = None,
            Action::ReportStopped { pid, signal } => self.report_stopped(pid, signal),
            Action::Suspend { to, frozen } => return Ok(self.suspend(&to, &frozen)),
            Action::Resume(frozen) => tree::resume(&self.spared(&frozen)),
            Action::Forward { number, to } => to.into_iter().for_each(|pid| kernel::send_signal(pid, number)),
            Action::Freeze(launchers) => tree::freeze(&self.spared(&launchers)),
            Action::LookForOthers(launchers) => {
                return Ok(vec![Input::OnlyLaunchersLeft(tree::only_left(&self.spared(&launchers)))]);
            }
            Action::LookForKeepers(ranks) => {
                let look = |(member, pid)| Input::KeeperSeen { member, is_gone: tree::is_child(pid) };
                return Ok(ranks.into_iter().map(look).collect());
            }
            Action::Release(member) => {
                self.processes[member].held.clear();
                self.processes[member].streams.ids().for_each(|id| self.around.relay.read_ahead(id));
            }
            Action::CloseStreams => {
                for id in self.processes.iter().flat_map(|child| child.streams.ids()) {
                    self.around.relay.close(id);
                }
                return Ok(vec![Input::Written(self.around.relay.written())]);
            }
            Action::AskWritten => return Ok(vec![Input::Written(self.around.relay.written())]),
            Action::Tell(news) => self.emit(news),
            Action::Log(level, text) => match level {
                tracing::Level::WARN => tracing::warn!("{text}"),
                tracing::Level::DEBUG => tracing::debug!("{text}"),
                _ => tracing::info!("{text}"),
            },
        }
        Ok(Vec::new())
    }

    /// Starts a member and has its output relayed.
    fn start(&mut self, member: usize) -> Result<Vec<Input>, SpawnError> {
        let task = &self.tasks[self.group.members()[member].spec];
        let Started { pid, stdout, stderr, ranks } = match task.start(self.around.inherited, self.around.bond) {
            Ok(started) => started,
            Err(error) => {
                self.abandon();
                return Err(error);
            }
        };
        self.processes[member].pid = Some(pid);
        if let Some(guard) = self.around.guard {
            guard.note(pid);
        }
        let ids: Vec<StreamId> = self.processes[member].streams.ids().collect();
        self.relay(&ids[..2], [stdout, stderr], &task.style, task);
        for (at, (rank, (readers, writers))) in task.ranks.iter().zip(ranks).enumerate() {
            // The streams of kept ranks belong to the members that follow.
            let (owner, ids) = match task.keepers {
                Some(_) => (member + 1 + at, self.processes[member + 1 + at].streams.ids().collect()),
                None => (member, ids[2 + 2 * at..4 + 2 * at].to_vec()),
            };
            self.relay(&ids, readers, &rank.style, task);
            self.processes[owner].held.push(writers);
        }
        let mut inputs = vec![Input::Started { member, pid }];
        if matches!(task.role, Role::Service { readiness: Readiness::Started, .. }) {
            inputs.push(Input::Ready { member });
        }
        Ok(inputs)
    }

    fn relay(&self, ids: &[StreamId], sources: [OwnedFd; 2], style: &Style, task: &Task) {
        let awaited = match &task.role {
            Role::Service { readiness: Readiness::Line { text, times }, .. } => {
                Some(AwaitedText { text: text.as_bytes().to_vec(), times: *times })
            }
            _ => None,
        };
        for (id, source) in ids.iter().zip(sources) {
            let streams = self.around.streams.clone();
            let known = self.processes.iter().find_map(|child| child.streams.writer(*id, &child.identity));
            let (id, style, awaited) = (*id, style.clone(), awaited.clone());
            let reports_last_words = id.is_stderr && task.may_outlive_traceback;
            let writer = known.unwrap_or_default();
            let stream = Relayed { id, writer, source, style, awaited, reports_last_words };
            self.around.relay.add(stream, move |news| {
                // The receiver lives as long as the supervisor.
                let _ = streams.send(news);
            });
        }
    }

    /// Kills the members that were started, because others could not be.
    fn abandon(&self) {
        // Listing all processes of the machine takes a millisecond, in which a shell could have begun to run the
        // script.
        if self.processes.iter().any(|child| child.pid.is_some()) {
            tree::signal_all(Signal::SIGKILL, &self.groups());
        }
    }

    /// Emits an event for the group's news.
    fn emit(&self, news: News) {
        let process = |member: usize| self.processes[member].identity.clone();
        let end = |member: usize| self.group.members()[member].end();
        let kind = match news {
            News::Began(member) => {
                let Some(pid) = self.group.members()[member].pid() else { return };
                EventKind::ProcessStarted { process: process(member), pid: pid.as_raw() }
            }
            News::Ready(member) => EventKind::ProcessReady(process(member)),
            News::Late(member) => EventKind::ProcessLate(process(member)),
            News::Completed(step) => EventKind::StepCompleted(step),
            News::Ended(member) => {
                let Some(end) = end(member) else { return };
                let (ending, duration, followed) = (end.ending, end.duration, end.followed);
                EventKind::ProcessEnded { process: process(member), ending, duration, followed }
            }
            News::Failed(member) => {
                let Some(end) = end(member) else { return };
                let is_read = self.group.members()[member].is_read;
                let output = is_read.then(|| Arc::new(self.processes[member].streams.output()));
                EventKind::ProcessFailed {
                    process: process(member),
                    ending: end.ending,
                    duration: end.duration,
                    output,
                }
            }
            News::Stopping(signal) => EventKind::Stopping(StopReason::Signal(signal)),
            News::Killed(reason) => EventKind::Killed(reason),
            News::RankKilled => EventKind::RankKilled,
            News::Drained(tally) => EventKind::RanksEnded { tally, ended: self.ended_ranks() },
        };
        self.around.events.emit_at(Moment::now(), kind);
    }
}
