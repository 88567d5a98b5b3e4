//! Running programs, one after the other, under all that signals and orphans can do.

use std::io;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::signals::Caught;
use super::task::{SpawnError, Started, Task};
use super::{Ending, tree};
use crate::kernel::{self, Inherited, Waited};
use crate::logs::{Finished, Relay, StreamId};

/// How long a process that was killed may take to end. One that hangs in a driver can take for ever.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// How long the reader of standard output may take nothing before what is left is given up.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// The same once it was given up.
const LAST_PATIENCE: Duration = Duration::from_millis(500);

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
    /// Whether it was told to stop.
    pub stop: Option<Stop>,
    /// How long it ran.
    pub duration: Duration,
}

/// A stop signal came while no program was running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted(pub Signal);

/// Runs programs. There can be one in a process.
#[derive(Debug)]
pub struct Supervisor {
    inherited: Inherited,
    relay: Relay,
    signals: Caught,
    sender: UnboundedSender<Finished>,
    streams: UnboundedReceiver<Finished>,
    /// Programs run so far.
    started: usize,
    /// Whether the reader of the output was found to take nothing any more.
    gave_up: bool,
}

impl Supervisor {
    /// Begins to catch signals and to adopt orphans; to be called in the runtime.
    ///
    /// # Errors
    /// The kernel refuses handlers or a thread.
    pub fn new(relay: Relay) -> io::Result<Supervisor> {
        let inherited = Inherited::of_this_process();
        let signals = Caught::begin()?;
        let (sender, streams) = unbounded_channel();
        // As PID 1 it gets all orphans without it.
        if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
            tracing::debug!("cannot become a subreaper: {error}");
        }
        Ok(Supervisor { inherited, relay, signals, sender, streams, started: 0, gave_up: false })
    }

    /// Does some work of footplate's own on a thread, unless a stop signal comes meanwhile: then the work is abandoned.
    ///
    /// # Errors
    /// The stop signal.
    pub async fn interruptible<T, F>(&mut self, work: F) -> Result<T, Interrupted>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (sender, mut result) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            // Nobody waits any more if it was interrupted.
            let _ = sender.send(work());
        });
        loop {
            tokio::select! {
                biased;
                value = &mut result => match value {
                    Ok(value) => return Ok(value),
                    // The work panicked; the panic hook ends the process.
                    Err(_) => std::future::pending::<()>().await,
                },
                signal = self.signals.next() => {
                    if let Some(signal) = stop_signal(signal) {
                        return Err(Interrupted(signal));
                    }
                }
            }
        }
    }

    /// Whether a stop signal has come while no program was running.
    ///
    /// # Errors
    /// The stop signal.
    pub fn check(&mut self) -> Result<(), Interrupted> {
        while let Some(signal) = self.signals.try_next() {
            if let Some(signal) = stop_signal(signal) {
                return Err(Interrupted(signal));
            }
        }
        Ok(())
    }

    /// Runs a program to its end, and to the end of all that it leaves behind.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn run(&mut self, task: &Task, timing: Timing) -> Result<Report, SpawnError> {
        self.relay.begin().map_err(|error| task.not_started(error))?;
        let Started { pid, stdout, stderr } = task.start(&self.inherited)?;
        self.signals.add_real_time();
        let process = self.started;
        self.started += 1;
        for (source, is_stderr) in [(stdout, false), (stderr, true)] {
            let sender = self.sender.clone();
            self.relay.add(StreamId { process, is_stderr }, source, task.style.clone(), move |finished| {
                // The receiver lives as long as the supervisor.
                let _ = sender.send(finished);
            });
        }
        let mut run = Run {
            pid,
            process,
            timing,
            relay: &self.relay,
            begun: Instant::now(),
            ending: None,
            records: [None, None],
            phase: Phase::Running,
            gave_up: false,
        };
        while !run.is_over() {
            let deadline = run.deadline();
            tokio::select! {
                // Time first: processes that are made and end without pause give events without end.
                biased;
                () = sleep_until(deadline) => run.overdue(),
                signal = self.signals.next() => run.signal(signal),
                Some(finished) = self.streams.recv() => {
                    if finished.id.process == process {
                        run.records[usize::from(finished.id.is_stderr)] = Some(finished.record);
                    }
                }
            }
            run.reap();
        }
        self.gave_up = run.gave_up;
        Ok(run.report())
    }

    /// Ends with everything written that somebody takes; gives whether that was everything.
    pub fn finish(self) -> bool {
        self.relay.finish(if self.gave_up { LAST_PATIENCE } else { FLUSH_PATIENCE })
    }
}

fn stop_signal(number: i32) -> Option<Signal> {
    match number {
        libc::SIGTERM => Some(Signal::SIGTERM),
        libc::SIGINT => Some(Signal::SIGINT),
        _ => None,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Where a program is between its start and the end of the last process that it left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It runs.
    Running,
    /// It has ended: what it left behind may run on until then.
    Draining(Instant),
    /// What it left behind got SIGTERM, and may run on until then.
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

struct Run<'a> {
    pid: Pid,
    process: usize,
    timing: Timing,
    relay: &'a Relay,
    begun: Instant,
    ending: Option<(Ending, Duration)>,
    records: [Option<Vec<u8>>; 2],
    phase: Phase,
    gave_up: bool,
}

impl Run<'_> {
    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running | Phase::Over(_) => None,
            Phase::Draining(deadline)
            | Phase::Ending(deadline)
            | Phase::Stopping(_, deadline)
            | Phase::Killed(_, deadline)
            | Phase::Flushing(_, deadline, _) => Some(deadline),
        }
    }

    fn stop(&self) -> Option<Stop> {
        match self.phase {
            Phase::Running | Phase::Draining(_) | Phase::Ending(_) => None,
            Phase::Stopping(stop, _) => Some(stop),
            Phase::Killed(stop, _) | Phase::Flushing(stop, ..) | Phase::Over(stop) => stop,
        }
    }

    /// The program's process group, as long as its number cannot have become another's: while the program itself, or a
    /// child of ours in it, was not reaped.
    fn group(&self) -> Option<Pid> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        (self.ending.is_none() || waitid(Id::PGid(self.pid), flags).is_ok()).then_some(self.pid)
    }

    fn signal(&mut self, number: i32) {
        match number {
            // `reap` follows every event.
            libc::SIGCHLD => {}
            libc::SIGTERM | libc::SIGINT => {
                let signal = if number == libc::SIGINT { Signal::SIGINT } else { Signal::SIGTERM };
                match self.phase {
                    Phase::Running | Phase::Draining(_) | Phase::Ending(_) => {
                        let reached = tree::signal_all(signal, self.group());
                        let grace = self.timing.grace_period;
                        tracing::info!(
                            "{signal}: passed on to {reached} processes, which have {} s",
                            grace.as_secs_f64()
                        );
                        self.phase = Phase::Stopping(Stop { signal, killed: None }, Instant::now() + grace);
                    }
                    Phase::Stopping(stop, _) => {
                        tracing::warn!("{signal} is the second stop signal: killing what still runs");
                        self.kill(Some((stop, Killed::SecondSignal)));
                    }
                    Phase::Killed(..) | Phase::Flushing(..) | Phase::Over(_) => {}
                }
            }
            other if self.ending.is_none() => kernel::send_signal(self.pid, other),
            _ => {}
        }
    }

    /// What is due when the present phase has lasted long enough.
    fn overdue(&mut self) {
        match self.phase {
            Phase::Running | Phase::Over(_) => {}
            Phase::Draining(_) => match tree::signal_all(Signal::SIGTERM, self.group()) {
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
        let any = tree::signal_all(Signal::SIGKILL, self.group()) > 0;
        let stop = stop.map(|(stop, reason)| Stop { killed: any.then_some(reason), ..stop });
        self.phase = Phase::Killed(stop, Instant::now() + KILL_PATIENCE);
    }

    /// Ends the streams, which others may still hold open, after what can be read of them.
    fn flush(&mut self, stop: Option<Stop>) {
        for is_stderr in [false, true] {
            self.relay.close(StreamId { process: self.process, is_stderr });
        }
        self.phase = Phase::Flushing(stop, Instant::now() + FLUSH_PATIENCE, self.relay.written());
    }

    /// Collects whatever has ended, and moves on if the program was among it, or if nothing is left.
    fn reap(&mut self) {
        let any_left = loop {
            match kernel::wait_any() {
                Waited::Exited(pid, code) if pid == self.pid => self.ended(Ending::Exited(code)),
                Waited::Signaled(pid, signal) if pid == self.pid => self.ended(Ending::Signaled(signal)),
                Waited::Exited(..) | Waited::Signaled(..) => {}
                Waited::NoneEnded => break true,
                Waited::NoneLeft => break false,
            }
        };
        if self.ending.is_none() || self.is_over() {
            return;
        }
        if any_left {
            match self.phase {
                Phase::Running => self.phase = Phase::Draining(Instant::now() + self.timing.drain_time),
                // One that was made while the others were killed.
                Phase::Killed(..) => drop(tree::signal_all(Signal::SIGKILL, self.group())),
                _ => {}
            }
        } else if self.records.iter().all(Option::is_some) {
            self.phase = Phase::Over(self.stop());
        } else {
            match self.phase {
                Phase::Running => self.phase = Phase::Draining(Instant::now() + self.timing.drain_time),
                // Nobody is left who could use the time.
                Phase::Stopping(..) | Phase::Ending(_) | Phase::Killed(..) => self.flush(self.stop()),
                Phase::Draining(_) | Phase::Flushing(..) | Phase::Over(_) => {}
            }
        }
    }

    fn ended(&mut self, ending: Ending) {
        self.ending = Some((ending, self.begun.elapsed()));
    }

    fn report(self) -> Report {
        let stop = self.stop();
        // Only what could not even be killed has no ending.
        let (ending, duration) = self.ending.unwrap_or((Ending::Signaled(libc::SIGKILL), self.begun.elapsed()));
        let [stdout, stderr] = self.records.map(Option::unwrap_or_default);
        Report { ending, stdout, stderr, stop, duration }
    }
}
