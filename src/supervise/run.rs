//! The life of programs that run side by side: a machine of [`Phase`]s, driven by signals, time and the ends of children.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::mpsc::UnboundedSender;

use super::keeper::Keepers;
use super::phase::Phase;
use super::program::{self, Program, ProgramEnd};
use super::signals::stop_signal;
use super::supervisor::FLUSH_PATIENCE;
use super::task::{Started, Task};
use super::{Elsewhere, Killed, Reports, Stop, Timing, Told, tree};
use crate::event::Ending;
use crate::kernel::{self, Waited};
use crate::logs::{Finished, Relay, StreamId, Style};

mod launchers;

use launchers::{Drained, KEEPER_LOOK_INTERVAL, LOOK_INTERVAL};

/// How long a process that was killed may take to end. One that hangs in a driver can take for ever.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Programs that run side by side.
pub(super) struct Run<'a> {
    programs: Vec<Program>,
    /// The number of the first of them.
    first: usize,
    timing: Timing,
    relay: &'a Relay,
    begun: Instant,
    phase: Phase,
    gave_up: bool,
    /// Whether there were children when they were last looked for, ended or not.
    has_children: bool,
    /// While ranks are to end: when it is looked again what is left, and since when only launchers are.
    next_look: Option<(Instant, Option<Instant>)>,
    /// Where the ends of ranks are heard of that have keepers.
    keepers: Option<Arc<Keepers>>,
    /// Whether the ranks of other hosts need the launchers of this one until it is said that they have ended.
    awaits_release: bool,
    /// Whether ranks are to end because somebody said so, and not because of a failure.
    is_orderly: bool,
    /// Whether launchers were stopped for good, and whether it was told why.
    is_frozen: bool,
    told_frozen: bool,
    drained: Drained,
}

impl<'a> Run<'a> {
    /// None yet; `first` is how many programs there were before, `awaits_release` whether other hosts need its launchers.
    pub(super) fn new(first: usize, relay: &'a Relay, timing: Timing, awaits_release: bool) -> Run<'a> {
        Run {
            programs: Vec::new(),
            first,
            timing,
            relay,
            begun: Instant::now(),
            phase: Phase::Running,
            gave_up: false,
            has_children: false,
            next_look: None,
            keepers: None,
            awaits_release,
            is_orderly: false,
            is_frozen: false,
            told_frozen: false,
            drained: Drained::Not,
        }
    }

    /// Adds what was started for the next task, and has what it writes relayed; `ends` is told when a stream of it has ended.
    pub(super) fn add(&mut self, started: Started, task: &Task, ends: &UnboundedSender<Finished>) {
        let place = self.programs.iter().filter(|program| program.rank.is_none()).count();
        let process = self.first + place;
        let add = |part, [stdout, stderr]: [OwnedFd; 2], style: &Style| {
            for (source, is_stderr) in [(stdout, false), (stderr, true)] {
                let ends = ends.clone();
                self.relay.add(StreamId { process, part, is_stderr }, source, style.clone(), move |finished| {
                    // The receiver lives as long as the supervisor.
                    let _ = ends.send(finished);
                });
            }
        };
        add(0, [started.stdout, started.stderr], &task.style);
        let has_keepers = task.keepers.is_some();
        let names = task.ranks.iter().filter(|_| !has_keepers).map(|rank| rank.name.clone()).collect();
        let mut own = Program::new(place, process, 0, names);
        (own.pid, own.is_launcher) = (Some(started.pid), task.is_launcher);
        let mut kept = Vec::new();
        for (part, (rank, (readers, writers))) in (1..).zip(task.ranks.iter().zip(started.ranks)) {
            add(part, readers, &rank.style);
            match has_keepers {
                false => own.held.push(writers),
                true => {
                    let program = Program::new(place, process, part, Vec::new());
                    let (rank, name) = (Some(rank.rank), rank.name.clone());
                    kept.push(Program { rank, name, held: vec![writers], ..program });
                }
            }
        }
        self.programs.push(own);
        self.programs.extend(kept);
        if let Some(keepers) = &task.keepers {
            self.keepers = Some(Arc::clone(keepers));
            self.next_look = Some((Instant::now() + KEEPER_LOOK_INTERVAL, None));
        }
    }

    /// Kills those that were started, because not all could be.
    pub(super) fn abandon(self) {
        // Looking at all processes of the machine takes a millisecond, in which a shell could have begun with the script.
        if !self.programs.is_empty() {
            tree::signal_all(Signal::SIGKILL, &self.groups());
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let look = self.next_look.map(|(look, _)| look).filter(|_| self.phase.has_ranks());
        look.into_iter().chain(self.phase.deadline()).min()
    }

    pub(super) fn stop(&self) -> Option<Stop> {
        self.phase.stop()
    }

    /// What footplate itself started.
    fn own(&self) -> impl Iterator<Item = (&Program, Pid)> {
        self.programs
            .iter()
            .filter(|program| program.rank.is_none())
            .filter_map(|program| Some((program, program.pid?)))
    }

    /// The programs' process groups, as long as their numbers cannot have become others': while a program itself, or a
    /// child of ours in its group, was not reaped.
    fn groups(&self) -> Vec<Pid> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let is_ours = |program: &Program, pid| program.ending.is_none() || waitid(Id::PGid(pid), flags).is_ok();
        self.own().filter(|(program, pid)| is_ours(program, *pid)).map(|(_, pid)| pid).collect()
    }

    fn all_ended(&self) -> bool {
        self.own().all(|(program, _)| program.ending.is_some())
    }

    pub(super) fn signal(&mut self, number: i32) {
        match stop_signal(number) {
            Some(signal) => match self.phase {
                Phase::Running | Phase::Failing(_) | Phase::Draining(_) | Phase::Ending(_) => {
                    let reached = self.stop_ranks(signal);
                    let grace = self.timing.grace_period;
                    tracing::info!("{signal}: passed on to {reached} processes, which have {} s", grace.as_secs_f64());
                    self.phase = Phase::Stopping(Stop { signal, killed: None }, Instant::now() + grace);
                    self.next_look = None;
                    if self.keepers.is_some() {
                        self.look_from_now(true);
                    }
                }
                Phase::Stopping(stop, _) => {
                    tracing::warn!("{signal} is the second stop signal: killing what still runs");
                    self.kill(Some((stop, Killed::SecondSignal)));
                }
                Phase::Killed(..) | Phase::Flushing(..) | Phase::Over(_) => {}
            },
            // `reap` follows every event.
            None if number == libc::SIGCHLD => {}
            None => {
                for (_, pid) in self.own().filter(|(program, _)| program.ending.is_none()) {
                    kernel::send_signal(pid, number);
                }
            }
        }
    }

    /// Another host says that the job has failed: the programs end, with their grace, unless they were told already.
    pub(super) fn stop_for_others(&mut self, elsewhere: Elsewhere) {
        if matches!(self.phase, Phase::Running) {
            let is_orderly = elsewhere == Elsewhere::Stopped;
            let reached = match is_orderly || self.keepers.is_some() {
                true => self.stop_ranks(Signal::SIGTERM),
                false => tree::signal_all(Signal::SIGTERM, &self.groups()),
            };
            let grace = self.timing.grace_period;
            tracing::info!("SIGTERM to {reached} processes, which have {} s", grace.as_secs_f64());
            self.phase = Phase::Failing(Instant::now() + grace);
            if self.keepers.is_some() {
                self.look_from_now(is_orderly);
            } else if !is_orderly && !self.launchers().is_empty() {
                self.next_look = Some((Instant::now() + LOOK_INTERVAL, None));
            }
        }
    }

    /// Tells of each program that failed by itself, once as it has ended and once as its streams have; and when nothing is
    /// left here that is to end. One that was told to end and exits with a failure may have been failing before.
    pub(super) fn tell_failures(&mut self, tell: &mut dyn FnMut(Told<'_>)) {
        let kept_failed = self.kept_failed();
        for (index, program) in self.programs.iter_mut().enumerate() {
            // It only follows its rank.
            if !(program.is_launcher && kept_failed)
                && let Some(failing) = program.news(index)
            {
                tell(Told::Failing(failing));
            }
        }
        if self.is_frozen && !std::mem::replace(&mut self.told_frozen, true) {
            tell(Told::RankKilled);
        }
        let mut kept = self.programs.iter().filter(|program| program.rank.is_some() && program.pid.is_some());
        if self.drained == Drained::Here && kept.all(Program::is_whole) {
            self.drained = Drained::Told;
            let has_failed = |program: &&Program| program.rank.is_some() && program.has_failed();
            tell(Told::Drained(self.programs.iter().filter(has_failed).count()));
        }
    }

    /// What is due when the present phase has lasted long enough.
    pub(super) fn overdue(&mut self) {
        match self.phase {
            Phase::Running => self.look_for_keepers(),
            Phase::Over(_) => {}
            Phase::Failing(deadline) | Phase::Stopping(_, deadline)
                if self.next_look.is_some() && Instant::now() < deadline =>
            {
                self.look(self.next_look.and_then(|(_, alone_since)| alone_since));
            }
            Phase::Failing(_) => {
                tracing::warn!("the grace period is over: killing the processes that still run");
                self.kill(None);
            }
            Phase::Draining(_) => {
                let reached = tree::signal_all(Signal::SIGTERM, &self.groups());
                if reached > 0 {
                    tracing::info!("SIGTERM to {reached} processes that the script left behind");
                }
                // Of processes that follow each other without pause a look can find none but those that have just ended.
                match reached > 0 || self.has_children {
                    true => self.phase = Phase::Ending(Instant::now() + self.timing.drain_time),
                    false => self.flush(None),
                }
            }
            Phase::Ending(_) => self.kill(None),
            Phase::Stopping(stop, _) => {
                tracing::warn!("the grace period is over: killing what still runs");
                self.kill(Some((stop, Killed::GraceOver)));
            }
            Phase::Killed(stop, _) => {
                tracing::warn!("some processes cannot even be killed, and are left behind");
                self.flush(stop);
            }
            Phase::Flushing(stop, _, before) => match self.relay.written() == before {
                true => (self.phase, self.gave_up) = (Phase::Over(stop), true),
                false => self.flush(stop),
            },
        }
    }

    fn kill(&mut self, stop: Option<(Stop, Killed)>) {
        let any = tree::signal_all(Signal::SIGKILL, &self.groups()) > 0;
        let stop = stop.map(|(stop, reason)| Stop { killed: any.then_some(reason), ..stop });
        self.phase = Phase::Killed(stop, Instant::now() + KILL_PATIENCE);
    }

    /// Ends the streams, which others may still hold open, after what can be read of them.
    fn flush(&mut self, stop: Option<Stop>) {
        for program in &self.programs {
            for (is_stderr, record) in [false, true].into_iter().zip(&program.records) {
                for part in program.part..program.part + record.parts() {
                    self.relay.close(StreamId { process: program.process, part, is_stderr });
                }
            }
        }
        self.phase = Phase::Flushing(stop, Instant::now() + FLUSH_PATIENCE, self.relay.written());
    }

    /// Collects whatever has ended, and moves on if a program was among it, or if nothing is left.
    pub(super) fn reap(&mut self) {
        self.hear();
        let any_left = loop {
            match kernel::wait_any() {
                Waited::Exited(pid, code) => self.ended(pid, Ending::Exited(code)),
                Waited::Signaled(pid, signal) => self.ended(pid, Ending::Signaled(signal)),
                Waited::NoneEnded => break true,
                Waited::NoneLeft => break false,
            }
        };
        self.has_children = any_left;
        if self.is_over() {
            return;
        }
        let all_ended = self.all_ended();
        let any_runs = !all_ended || self.programs.iter().any(Program::is_kept);
        if any_runs && self.phase == Phase::Running && self.programs.iter().any(Program::has_failed_itself) {
            let reached = match &self.keepers {
                Some(_) => self.stop_ranks(Signal::SIGTERM),
                None => tree::signal_all(Signal::SIGTERM, &self.groups()),
            };
            tracing::info!("a process failed: SIGTERM to the {reached} others");
            self.phase = Phase::Failing(Instant::now() + self.timing.grace_period);
            if self.keepers.is_some() {
                self.look_from_now(false);
            }
        }
        if self.programs.iter().any(Program::was_killed) {
            self.freeze();
        }
        if !all_ended {
            return;
        }
        let streams_ended = self.programs.iter().all(Program::is_whole);
        match (any_left, self.phase) {
            (false, _) if streams_ended => self.phase = Phase::Over(self.stop()),
            (_, Phase::Running) => self.phase = Phase::Draining(Instant::now() + self.timing.drain_time),
            // What the ranks left behind, such as a child that saves, got its SIGTERM with them, and has the same grace.
            (true, Phase::Killed(..)) => drop(tree::signal_all(Signal::SIGKILL, &self.groups())),
            (true, _) => {}
            // Nobody is left who could use the time.
            (false, Phase::Failing(_) | Phase::Stopping(..) | Phase::Ending(_) | Phase::Killed(..)) => {
                self.flush(self.stop())
            }
            (false, Phase::Draining(_) | Phase::Flushing(..) | Phase::Over(_)) => {}
        }
    }

    /// Notes that a child has ended, if it is one of the programs, or a rank that has lost its keeper.
    fn ended(&mut self, pid: Pid, ending: Ending) {
        // Its keeper may have ended before it was heard.
        self.hear();
        let found = self.programs.iter().position(|program| program.pid == Some(pid) && program.ending.is_none());
        let Some(at) = found else { return };
        match self.programs[at].rank.is_some() && ending == launchers::LOST_DAEMON {
            true => self.end_followed(at, launchers::BY_DAEMON, true),
            false => self.end(at, ending),
        }
    }

    fn end(&mut self, at: usize, ending: Ending) {
        self.end_followed(at, ending, !matches!(self.phase, Phase::Running | Phase::Draining(_)));
    }

    fn end_followed(&mut self, at: usize, ending: Ending, followed: bool) {
        let duration = self.begun.elapsed();
        let ending = if self.programs[at].is_dismissed { Ending::Exited(0) } else { ending };
        let Program { task, rank, .. } = self.programs[at];
        self.programs[at].ending = Some(ProgramEnd { ending, duration, followed });
        // With a launcher, nobody writes any more whose keeper was never heard.
        let is_gone = |program: &Program| program.task == task && rank.is_none() && !program.is_kept();
        for (place, program) in self.programs.iter_mut().enumerate() {
            if place == at || is_gone(program) {
                program.held.clear();
            }
        }
    }

    /// Notes that a stream has ended, if it is one of the programs'.
    pub(super) fn stream_ended(&mut self, finished: Finished) {
        let found = self.programs.iter_mut().find_map(|program| Some((program.part_of(finished.id)?, program)));
        if let Some((part, program)) = found {
            program.records[usize::from(finished.id.is_stderr)].end(part, finished.record);
        }
    }

    /// Whether the reader of the output was found to take nothing any more.
    pub(super) fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// How they ended.
    pub(super) fn reports(self) -> Reports {
        let stop = self.stop();
        Reports { reports: program::reports(self.programs, self.begun.elapsed()), stop }
    }
}
