//! The life of programs that run side by side: a machine of [`Phase`]s, driven by signals, time and the ends of children.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::mpsc::UnboundedSender;

use super::record::Record;
use super::signals::stop_signal;
use super::supervisor::FLUSH_PATIENCE;
use super::task::{Started, Task};
use super::{Ending, tree};
use crate::kernel::{self, Waited};
use crate::logs::{Finished, Relay, StreamId, Style};

/// How long a process that was killed may take to end. One that hangs in a driver can take for ever.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// How long launchers may go on when none of the processes that they started here is left, once another host has failed:
/// mpirun can wait for ever for the daemon of a host that is cut off.
const LAUNCHER_PATIENCE: Duration = Duration::from_secs(3);

/// How often it is looked whether only launchers are left.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How much time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the signal that stops to the kill.
    pub grace_period: Duration,
    /// For what a program leaves behind.
    pub drain_time: Duration,
}

/// That the job was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// By SIGTERM or SIGINT.
    pub signal: Signal,
    /// Why something had to be killed, if anything had.
    pub killed: Option<Killed>,
}

/// Why what still ran was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// The grace period was over.
    GraceOver,
    /// A second stop signal came.
    SecondSignal,
}

/// How a program ran.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub ending: Ending,
    /// The last bytes of its standard output.
    pub stdout: Vec<u8>,
    /// The last bytes of its standard error.
    pub stderr: Vec<u8>,
    /// How long it ran.
    pub duration: Duration,
    /// Whether it was told to end because another had failed before.
    pub followed: bool,
}

/// A program that failed while others may still run.
#[derive(Clone, Copy, Debug)]
pub struct Failing<'a> {
    /// Its place among the tasks.
    pub index: usize,
    /// How it ended.
    pub ending: Ending,
    /// How long it ran.
    pub duration: Duration,
    /// The last bytes of its standard output and its standard error, once both have ended.
    pub streams: Option<[&'a [u8]; 2]>,
}

/// What is told while programs run.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// One has failed.
    Failing(Failing<'a>),
    /// A stop signal came.
    Stopping(Signal),
}

/// Why programs are stopped because of other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// The job has failed there.
    Failed,
    /// It was told to stop there.
    Stopped,
}

/// How programs that ran side by side ended.
#[derive(Debug)]
pub struct Reports {
    /// Each, in the order of the tasks.
    pub reports: Vec<Report>,
    /// Whether they were told to stop.
    pub stop: Option<Stop>,
}

/// Where programs are between their start and the end of the last process that they left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// They run.
    Running,
    /// One has failed: the others have until then.
    Failing(Instant),
    /// All have ended: what they left behind may run on until then.
    Draining(Instant),
    /// What they left behind got SIGTERM, and may run on until then.
    Ending(Instant),
    /// A stop signal came: all have until then.
    Stopping(Stop, Instant),
    /// Everything was killed, and must end until then.
    Killed(Option<Stop>, Instant),
    /// No process is left that is waited for, only what they wrote: the relay is looked at again then, when it had written
    /// so much before.
    Flushing(Option<Stop>, Instant, u64),
    /// Nothing is left to be waited for.
    Over(Option<Stop>),
}

/// A program that was started.
struct Program {
    pid: Pid,
    is_launcher: bool,
    /// Which of all programs of the relay it is.
    process: usize,
    ending: Option<ProgramEnd>,
    /// Its standard output and its standard error.
    records: [Record; 2],
    /// What keeps the streams of its ranks from ending before it.
    held: Vec<[File; 2]>,
    /// How much of its failure was told: that it failed, and with what it wrote.
    told: [bool; 2],
}

/// How and when a program ended.
#[derive(Clone, Copy)]
struct ProgramEnd {
    ending: Ending,
    duration: Duration,
    followed: bool,
}

impl Program {
    fn has_failed(&self) -> bool {
        self.ending.is_some_and(|end| !end.ending.is_success())
    }
}

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
    /// While launchers end because of another host: when it is looked again what is left, and since when only they are.
    next_look: Option<(Instant, Option<Instant>)>,
}

impl<'a> Run<'a> {
    /// None yet; `first` is how many programs there were before.
    pub(super) fn new(first: usize, relay: &'a Relay, timing: Timing) -> Run<'a> {
        Run {
            programs: Vec::new(),
            first,
            timing,
            relay,
            begun: Instant::now(),
            phase: Phase::Running,
            gave_up: false,
            next_look: None,
        }
    }

    /// Adds one that was started, and has what it writes relayed; `ends` is told when a stream of it has ended.
    pub(super) fn add(&mut self, started: Started, task: &Task, ends: &UnboundedSender<Finished>) {
        let process = self.first + self.programs.len();
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
        let mut held = Vec::new();
        for (part, (rank, (readers, writers))) in (1..).zip(task.ranks.iter().zip(started.ranks)) {
            add(part, readers, &rank.style);
            held.push(writers);
        }
        let names: Vec<Vec<u8>> = task.ranks.iter().map(|rank| rank.name.clone()).collect();
        self.programs.push(Program {
            pid: started.pid,
            is_launcher: task.is_launcher,
            process,
            ending: None,
            records: [Record::new(names.clone()), Record::new(names)],
            held,
            told: [false; 2],
        });
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

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running | Phase::Over(_) => None,
            Phase::Failing(deadline) => Some(self.next_look.map_or(deadline, |(look, _)| look.min(deadline))),
            Phase::Draining(deadline)
            | Phase::Ending(deadline)
            | Phase::Stopping(_, deadline)
            | Phase::Killed(_, deadline)
            | Phase::Flushing(_, deadline, _) => Some(deadline),
        }
    }

    pub(super) fn stop(&self) -> Option<Stop> {
        match self.phase {
            Phase::Running | Phase::Failing(_) | Phase::Draining(_) | Phase::Ending(_) => None,
            Phase::Stopping(stop, _) => Some(stop),
            Phase::Killed(stop, _) | Phase::Flushing(stop, ..) | Phase::Over(stop) => stop,
        }
    }

    /// The programs' process groups, as long as their numbers cannot have become others': while a program itself, or a
    /// child of ours in its group, was not reaped.
    fn groups(&self) -> Vec<Pid> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let is_ours = |program: &&Program| program.ending.is_none() || waitid(Id::PGid(program.pid), flags).is_ok();
        self.programs.iter().filter(is_ours).map(|program| program.pid).collect()
    }

    /// Passes a stop signal on, so that everybody has the grace period: launchers only where they have started nothing.
    fn stop_orderly(&self, signal: Signal) -> usize {
        let launchers = self.launchers();
        match tree::signal_all_but(&launchers, signal, &self.groups()) {
            0 if !launchers.is_empty() => tree::signal_all(signal, &self.groups()),
            reached => reached,
        }
    }

    fn launchers(&self) -> Vec<Pid> {
        self.programs.iter().filter(|program| program.is_launcher).map(|program| program.pid).collect()
    }

    fn all_ended(&self) -> bool {
        self.programs.iter().all(|program| program.ending.is_some())
    }

    pub(super) fn signal(&mut self, number: i32) {
        match stop_signal(number) {
            Some(signal) => match self.phase {
                Phase::Running | Phase::Failing(_) | Phase::Draining(_) | Phase::Ending(_) => {
                    let reached = self.stop_orderly(signal);
                    let grace = self.timing.grace_period;
                    tracing::info!("{signal}: passed on to {reached} processes, which have {} s", grace.as_secs_f64());
                    self.phase = Phase::Stopping(Stop { signal, killed: None }, Instant::now() + grace);
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
                for program in self.programs.iter().filter(|program| program.ending.is_none()) {
                    kernel::send_signal(program.pid, number);
                }
            }
        }
    }

    /// Another host says that the job has failed: the programs end, with their grace, unless they were told already.
    pub(super) fn stop_for_others(&mut self, elsewhere: Elsewhere) {
        if matches!(self.phase, Phase::Running) {
            let reached = match elsewhere {
                Elsewhere::Failed => tree::signal_all(Signal::SIGTERM, &self.groups()),
                Elsewhere::Stopped => self.stop_orderly(Signal::SIGTERM),
            };
            let grace = self.timing.grace_period;
            tracing::info!("SIGTERM to {reached} processes, which have {} s", grace.as_secs_f64());
            self.phase = Phase::Failing(Instant::now() + grace);
            let is_due = elsewhere == Elsewhere::Failed && !self.launchers().is_empty();
            self.next_look = is_due.then(|| (Instant::now() + LOOK_INTERVAL, None));
        }
    }

    /// Looks whether only launchers are left; gives whether they have been for long enough.
    fn launchers_linger(&mut self, alone_since: Option<Instant>) -> bool {
        let now = Instant::now();
        let alone_since = tree::only_launchers(&self.launchers()).then(|| alone_since.unwrap_or(now));
        self.next_look = Some((now + LOOK_INTERVAL, alone_since));
        alone_since.is_some_and(|since| now - since >= LAUNCHER_PATIENCE)
    }

    /// Tells of each program that failed by itself, once as it has ended and once as its streams have. One that was told to
    /// end and exits with a failure may have been failing before.
    pub(super) fn tell_failures(&mut self, tell: &mut dyn FnMut(Told<'_>)) {
        for (index, program) in self.programs.iter_mut().enumerate() {
            let was_ended = |end: &ProgramEnd| end.followed && matches!(end.ending, Ending::Signaled(_));
            let Some(end) = program.ending.filter(|end| !end.ending.is_success() && !was_ended(end)) else { continue };
            let [stdout, stderr] = &program.records;
            let streams = stdout.whole().zip(stderr.whole()).map(|(stdout, stderr)| [stdout, stderr]);
            let told = &mut program.told[usize::from(streams.is_some())];
            if !std::mem::replace(told, true) {
                tell(Told::Failing(Failing { index, ending: end.ending, duration: end.duration, streams }));
            }
        }
    }

    /// What is due when the present phase has lasted long enough.
    pub(super) fn overdue(&mut self) {
        match self.phase {
            Phase::Running | Phase::Over(_) => {}
            Phase::Failing(deadline) => match self.next_look {
                Some((_, alone_since)) if Instant::now() < deadline => {
                    if self.launchers_linger(alone_since) {
                        tracing::info!("killing the launcher, which has nothing left to wait for");
                        self.kill(None);
                    }
                }
                _ => {
                    tracing::warn!("the grace period is over: killing the processes that still run");
                    self.kill(None);
                }
            },
            Phase::Draining(_) => match tree::signal_all(Signal::SIGTERM, &self.groups()) {
                0 => self.flush(None),
                reached => {
                    tracing::info!("SIGTERM to {reached} processes that the script left behind");
                    self.phase = Phase::Ending(Instant::now() + self.timing.drain_time);
                }
            },
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
                for part in 0..record.parts() {
                    self.relay.close(StreamId { process: program.process, part, is_stderr });
                }
            }
        }
        self.phase = Phase::Flushing(stop, Instant::now() + FLUSH_PATIENCE, self.relay.written());
    }

    /// Collects whatever has ended, and moves on if a program was among it, or if nothing is left.
    pub(super) fn reap(&mut self) {
        let any_left = loop {
            match kernel::wait_any() {
                Waited::Exited(pid, code) => self.ended(pid, Ending::Exited(code)),
                Waited::Signaled(pid, signal) => self.ended(pid, Ending::Signaled(signal)),
                Waited::NoneEnded => break true,
                Waited::NoneLeft => break false,
            }
        };
        if self.is_over() {
            return;
        }
        if !self.all_ended() {
            if self.phase == Phase::Running && self.programs.iter().any(Program::has_failed) {
                let reached = tree::signal_all(Signal::SIGTERM, &self.groups());
                tracing::info!("a process failed: SIGTERM to the {reached} others");
                self.phase = Phase::Failing(Instant::now() + self.timing.grace_period);
            }
            return;
        }
        let streams_ended =
            self.programs.iter().all(|program| program.records.iter().all(|record| record.whole().is_some()));
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

    /// Notes that a child has ended, if it is one of the programs.
    fn ended(&mut self, pid: Pid, ending: Ending) {
        let followed = !matches!(self.phase, Phase::Running | Phase::Draining(_));
        let duration = self.begun.elapsed();
        if let Some(program) = self.programs.iter_mut().find(|program| program.pid == pid && program.ending.is_none()) {
            program.ending = Some(ProgramEnd { ending, duration, followed });
            program.held.clear();
        }
    }

    /// Notes that a stream has ended, if it is one of the programs'.
    pub(super) fn stream_ended(&mut self, finished: Finished) {
        if let Some(program) = self.programs.iter_mut().find(|program| program.process == finished.id.process) {
            program.records[usize::from(finished.id.is_stderr)].end(finished.id.part, finished.record);
        }
    }

    /// Whether the reader of the output was found to take nothing any more.
    pub(super) fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// How they ended.
    pub(super) fn reports(self) -> Reports {
        let stop = self.stop();
        // Only what could not even be killed has no ending.
        let unknown =
            ProgramEnd { ending: Ending::Signaled(libc::SIGKILL), duration: self.begun.elapsed(), followed: true };
        let report = |program: Program| {
            let ProgramEnd { ending, duration, followed } = program.ending.unwrap_or(unknown);
            let [stdout, stderr] = program.records.map(Record::take);
            Report { ending, stdout, stderr, duration, followed }
        };
        Reports { reports: self.programs.into_iter().map(report).collect(), stop }
    }
}
