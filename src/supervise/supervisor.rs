//! Running programs, one group after the other, in spite of anything that signals and orphans can do.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::Reports;
use super::group::{Input, ProcessId, Release};
use super::guard::Protection;
use super::keeper::{Listener, Note};
use super::main_code::MainCodeProbe;
use super::peers::{Attention, Peers};
use super::shell::{Shell, Surroundings};
use super::signals::{Caught, stop_signal};
use super::task::{SpawnError, Task};
use super::timing::{FLUSH_PATIENCE, HANDLING_TIME, HURRY_TIME, LAST_PATIENCE, Timing, WRITE_TIME};
use crate::event::{CommonStep, EventKind, Events, StopReason};
use crate::logs::{Pulses, Relay, StreamNews, Tap};
use crate::system::kernel::{self, InheritedSignals};

/// The interval of attempts to reach a service at its port.
const PORT_INTERVAL: Duration = Duration::from_millis(50);

/// An event that ends a wait while no program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// A stop signal came.
    Signal(Signal),
    /// The job has failed or was told to stop on another host.
    Peers,
    /// The work did not begin, because the kernel refused to start a thread for it.
    NoThread(Errno),
}

/// Runs programs. A process can have only one supervisor.
#[derive(Debug)]
pub struct Supervisor {
    inherited: InheritedSignals,
    relay: Relay,
    events: Events,
    signals: Caught,
    sender: UnboundedSender<StreamNews>,
    streams: UnboundedReceiver<StreamNews>,
    /// The sender and the receiver for the ends of watched processes.
    ends: (UnboundedSender<ProcessId>, UnboundedReceiver<ProcessId>),
    peers: Peers,
    protection: Protection,
    /// The number of programs that were started so far.
    started: usize,
    /// True if the reader of the output has stopped taking bytes.
    gave_up: bool,
    /// True if SIGQUIT requests the stacks of the ranks and is not passed on.
    answers_quit: bool,
    /// True if the script has begun, to which SIGHUP and SIGQUIT are passed on.
    has_script: bool,
    /// The means to see if the program of a process still runs.
    main_code: MainCodeProbe,
}

impl Supervisor {
    /// Begins to catch signals and to adopt orphans, and subscribes to news from other hosts. Must be called in the
    /// runtime.
    ///
    /// # Errors
    /// The kernel refuses handlers or a thread.
    pub fn new(relay: Relay, events: Events) -> io::Result<Supervisor> {
        let inherited = InheritedSignals::of_this_process();
        let signals = Caught::begin()?;
        let (sender, streams) = unbounded_channel();
        let protection = Protection::begin(&inherited);
        let peers = Peers::subscribe(&events);
        let ends = unbounded_channel();
        Ok(Supervisor {
            inherited,
            relay,
            events,
            signals,
            sender,
            streams,
            ends,
            peers,
            protection,
            started: 0,
            gave_up: false,
            main_code: MainCodeProbe::default(),
            answers_quit: false,
            has_script: false,
        })
    }

    /// Calls `end` on a separate thread if a stop signal is not handled because this thread hangs.
    ///
    /// # Errors
    /// The kernel refuses a thread.
    pub fn on_unhandled_stop(&mut self, end: impl FnOnce(Signal) + Send + 'static) -> io::Result<()> {
        self.signals.receipt.watch(HANDLING_TIME, end)
    }

    /// Keeps the launchers of this host until the ranks of all hosts have ended, because those ranks need them.
    pub fn await_peers(&mut self) {
        self.peers.release = Release::Awaited;
    }

    /// Begins another attempt at running the ranks. The events of the supervisor belong to it from now on.
    pub fn begin_attempt(&mut self, events: &Events) {
        self.events = events.clone();
    }

    /// Starts and ends the services of this host in step with those of the other hosts.
    pub fn keep_step(&mut self) {
        self.peers.allowed = CommonStep::start(0);
    }

    /// Ignores other hosts from now on, so that they stop nothing.
    pub fn ignore_peers(&mut self) {
        self.peers.attention = Attention::Withdrawn;
    }

    /// Returns the time of the first stop signal.
    pub fn stopped_at(&self) -> Option<Instant> {
        self.signals.stopped_at
    }

    /// Waits for some work until a stop signal comes or another host ends the job.
    ///
    /// # Errors
    /// The wait was interrupted.
    pub async fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                value = &mut work => return Ok(value),
                signal = self.signals.next() => self.interrupted_by(signal)?,
                () = self.peers.stopped() => return Err(Interrupted::Peers),
            }
        }
    }

    /// Runs some of footplate's own work on a thread until a stop signal comes or another host ends the job. Then the
    /// work is abandoned.
    ///
    /// # Errors
    /// The work was interrupted.
    pub async fn interruptible<T, F>(&mut self, work: F) -> Result<T, Interrupted>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        // The work may start programs.
        self.protection.ready().await;
        let mut result = on_a_thread(work).map_err(|(error, _)| Interrupted::NoThread(error))?;
        match self.wait_for(&mut result).await? {
            Ok(value) => Ok(value),
            // The work panicked; the panic hook ends the process.
            Err(_) => std::future::pending().await,
        }
    }

    /// Runs some work at the end of the job on a thread, and waits for it. The wait lasts for at most `patience`, and
    /// after a stop signal for at most [`HURRY_TIME`]. Work that takes longer is abandoned, and `None` is returned.
    pub async fn run_at_end<T, F>(&mut self, patience: Duration, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let mut until = Instant::now() + patience;
        let mut result = match on_a_thread(work) {
            Ok(result) => result,
            // The end of the job must be written even if no thread can be started.
            Err((_, work)) => return Some(work()),
        };
        loop {
            tokio::select! {
                biased;
                value = &mut result => match value {
                    Ok(value) => return Some(value),
                    // The work panicked; the panic hook ends the process.
                    Err(_) => std::future::pending().await,
                },
                signal = self.signals.next() => {
                    if stop_signal(signal).is_some() {
                        until = until.min(Instant::now() + HURRY_TIME);
                    }
                }
                () = sleep_until(Some(until)) => return None,
            }
        }
    }

    /// Checks if a stop arrived while no program was running.
    ///
    /// # Errors
    /// A stop signal came, or another host ends the job.
    pub fn check(&mut self) -> Result<(), Interrupted> {
        while let Some(signal) = self.signals.try_next() {
            self.interrupted_by(signal)?;
        }
        self.peers.receive_pending();
        if self.peers.is_stopped() { Err(Interrupted::Peers) } else { Ok(()) }
    }

    fn interrupted_by(&self, number: i32) -> Result<(), Interrupted> {
        let Some(signal) = stop_signal(number).or_else(|| self.early_end(number)) else { return Ok(()) };
        self.events.emit(EventKind::Stopping(StopReason::Signal(signal)));
        Err(Interrupted::Signal(signal))
    }

    /// Returns the signal if it ends a job whose script has not begun: SIGHUP and SIGQUIT, which end most programs. A
    /// program that was started to ignore one, as by `nohup`, ignores it.
    fn early_end(&self, number: i32) -> Option<Signal> {
        let signal = [Signal::SIGHUP, Signal::SIGQUIT].into_iter().find(|signal| *signal as i32 == number)?;
        (!self.has_script && !self.inherited.ignores(signal)).then_some(signal)
    }

    /// Passes SIGHUP and SIGQUIT on to the script from now on.
    pub fn begin_script(&mut self) {
        self.has_script = true;
    }

    /// Runs programs side by side to their ends, and to the end of everything that they leave behind. If one fails,
    /// the others are stopped. The reports are in the order of the tasks.
    ///
    /// # Errors
    /// A program could not be started. Those that were started are killed.
    pub async fn run(&mut self, tasks: &[Task], timing: Timing) -> Result<Reports, SpawnError> {
        self.peers.receive_pending();
        let bond = self.protection.ready().await;
        let has_services = tasks.iter().any(|task| matches!(task.role, super::Role::Service { .. }));
        let around = Surroundings {
            inherited: &self.inherited,
            relay: &self.relay,
            events: &self.events,
            streams: &self.sender,
            ends: &self.ends.0,
            guard: self.protection.guard(),
            bond,
            main_code: &self.main_code,
        };
        let mut shell = Shell::new(tasks, self.started, timing, (self.peers.release, self.peers.allowed), around);
        self.started += tasks.len();
        shell.begin()?;
        let keepers = tasks.iter().find_map(|task| task.keepers.as_ref()?.listener().ok());
        let heeds_ranks = keepers.is_some();
        let mut told = self.peers.received();
        while !shell.is_over() {
            let ports = if has_services { shell.awaited_ports() } else { Vec::new() };
            tokio::select! {
                // Timers come first, because processes that start and end without pause produce an endless stream of
                // events.
                biased;
                () = sleep_until(shell.deadline()) => shell.feed(Input::Deadline)?,
                signal = self.signals.next() => {
                    if self.answers_quit && signal == libc::SIGQUIT {
                        self.events.emit(EventKind::StacksAsked);
                    } else {
                        shell.feed_signal(signal)?;
                    }
                }
                Some(process) = self.ends.1.recv() => shell.feed(Input::Gone(process))?,
                Some(news) = self.streams.recv() => shell.feed_stream(news)?,
                input = self.peers.next(&mut told, heeds_ranks) => shell.feed(input)?,
                note = said(keepers.as_ref()) => shell.feed_note(note)?,
                member = first_open(&ports) => shell.feed(Input::Ready { member })?,
            }
            shell.sweep()?;
        }
        self.gave_up = shell.gave_up();
        Ok(shell.reports())
    }

    /// Treats SIGQUIT as a request for the stacks of the ranks from now on, as the JVM does.
    pub fn answer_quit(&mut self) {
        self.answers_quit = true;
    }

    /// Sets the means to see if the program of a process that is silent after a traceback still runs.
    pub fn see_main_code(&mut self, probe: MainCodeProbe) {
        self.main_code = probe;
    }

    /// Returns the times at which programs last wrote something.
    pub fn pulses(&self) -> Pulses {
        self.relay.pulses()
    }

    /// Copies the lines of all further programs into a tap.
    pub fn tap(&self, tap: Tap) {
        self.relay.tap(tap);
    }

    /// Ends when everything is written, or when the readers of standard output and error have taken nothing for some time.
    /// After a stop signal it ends before the platform kills the container, and after a second one at once.
    pub async fn finish(mut self) {
        let patience = if self.gave_up { LAST_PATIENCE } else { FLUSH_PATIENCE };
        let mut ended = self.relay.finish();
        let (mut written, mut look) = (self.relay.written(), Instant::now() + patience);
        loop {
            let limit = self.signals.stopped_at.map(|at| at + WRITE_TIME);
            tokio::select! {
                biased;
                _ = &mut ended => return,
                signal = self.signals.next() => {
                    if stop_signal(signal).is_some() && limit.is_some() {
                        return;
                    }
                }
                () = sleep_until(Some(limit.map_or(look, |limit| look.min(limit)))) => {
                    let now = self.relay.written();
                    if now == written || limit.is_some_and(|limit| Instant::now() >= limit) {
                        return;
                    }
                    (written, look) = (now, Instant::now() + patience);
                }
            }
        }
    }
}

/// Starts some work on another thread. If no thread can be started, returns the work with the error.
fn on_a_thread<T, F>(work: F) -> Result<oneshot::Receiver<T>, (Errno, F)>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (sender, result) = oneshot::channel();
    let deliver = move |value| {
        // The receiver is gone if the work was abandoned.
        let _ = sender.send(value);
    };
    match kernel::on_worker(work, deliver) {
        Ok(()) => Ok(result),
        Err((error, work)) => Err((Errno::from_raw(error.raw_os_error().unwrap_or_default()), work)),
    }
}

/// Waits for the next note of a keeper.
async fn said(keepers: Option<&Listener>) -> Note {
    match keepers {
        Some(keepers) => keepers.next().await,
        None => std::future::pending().await,
    }
}

/// Waits until something listens at one of these addresses, and returns the member that the address belongs to.
async fn first_open(ports: &[(usize, SocketAddr)]) -> usize {
    if ports.is_empty() {
        return std::future::pending().await;
    }
    loop {
        for (member, address) in ports {
            if TcpStream::connect(address).await.is_ok() {
                return *member;
            }
        }
        tokio::time::sleep(PORT_INTERVAL).await;
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::sys::signal::{Signal, raise};

    use super::Supervisor;
    use crate::event::Events;
    use crate::logs::Relay;

    #[test]
    fn work_at_the_end_of_a_job_does_not_keep_a_stop_from_being_heard() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let mut supervisor = Supervisor::new(Relay::start().expect("started"), Events::default()).expect("begun");
            let patience = Duration::from_secs(3600);
            assert_eq!(supervisor.run_at_end(patience, || 5).await, Some(5));
            assert_eq!(supervisor.run_at_end(Duration::from_millis(10), std::thread::park).await, None);
            raise(Signal::SIGTERM).expect("raised");
            assert_eq!(supervisor.run_at_end(patience, std::thread::park).await, None);
            assert!(supervisor.stopped_at().is_some());
        });
    }
}
