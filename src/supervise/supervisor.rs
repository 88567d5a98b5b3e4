//! Running programs, one after the other, under all that signals and orphans can do.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::keeper::{Listener, Note};
use super::run::Run;
use super::signals::{Caught, stop_signal};
use super::task::{SpawnError, Task};
use super::{AllRanks, Elsewhere, Reports, Timing, Told};
use crate::kernel::Inherited;
use crate::logs::{Finished, Relay};

/// How long the reader of standard output may take nothing before what is left is given up.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// The same once it was given up.
const LAST_PATIENCE: Duration = Duration::from_millis(500);

/// What came while no program was running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// A stop signal.
    Signal(Signal),
    /// The job has failed on another host.
    Elsewhere,
}

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
    /// Says when the job has failed on another host, or was stopped there.
    elsewhere: Option<watch::Receiver<Option<Elsewhere>>>,
    /// Says how far the ranks of all hosts are.
    all_ranks: Option<watch::Receiver<AllRanks>>,
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
        Ok(Supervisor {
            inherited,
            relay,
            signals,
            sender,
            streams,
            started: 0,
            gave_up: false,
            elsewhere: None,
            all_ranks: None,
        })
    }

    /// From now on what runs is stopped, with its grace, when this says so: the job has failed on another host, or was
    /// stopped there.
    pub fn heed(&mut self, elsewhere: watch::Receiver<Option<Elsewhere>>) {
        self.elsewhere = Some(elsewhere);
    }

    /// From now on launchers are kept for the ranks of other hosts until this says that those have ended.
    pub fn heed_ranks(&mut self, all_ranks: watch::Receiver<AllRanks>) {
        self.all_ranks = Some(all_ranks);
    }

    /// Nothing is stopped any more because of other hosts.
    pub fn heed_nothing(&mut self) {
        self.elsewhere = None;
    }

    /// When the first stop signal came.
    pub fn stopped_at(&self) -> Option<Instant> {
        self.signals.stopped_at
    }

    /// Waits for something that another thread does, unless a stop signal comes meanwhile, or the job fails elsewhere.
    ///
    /// # Errors
    /// What came.
    pub async fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                value = &mut work => return Ok(value),
                signal = self.signals.next() => {
                    if let Some(signal) = stop_signal(signal) {
                        return Err(Interrupted::Signal(signal));
                    }
                }
                _ = ended_elsewhere(&mut self.elsewhere) => return Err(Interrupted::Elsewhere),
            }
        }
    }

    /// Does some work of footplate's own on a thread, unless a stop signal comes meanwhile, or the job fails elsewhere:
    /// then the work is abandoned.
    ///
    /// # Errors
    /// What came.
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
        match self.wait_for(&mut result).await? {
            Ok(value) => Ok(value),
            // The work panicked; the panic hook ends the process.
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether something has come while no program was running.
    ///
    /// # Errors
    /// What came.
    pub fn check(&mut self) -> Result<(), Interrupted> {
        while let Some(signal) = self.signals.try_next() {
            if let Some(signal) = stop_signal(signal) {
                return Err(Interrupted::Signal(signal));
            }
        }
        match self.elsewhere.as_ref().is_some_and(|elsewhere| elsewhere.borrow().is_some()) {
            true => Err(Interrupted::Elsewhere),
            false => Ok(()),
        }
    }

    /// Runs programs side by side to their ends, and to the end of all that they leave behind. When one of them fails, the
    /// others are stopped; the reports are in the order of the tasks. `tell` hears of failures and stop signals as they happen.
    ///
    /// # Errors
    /// One could not be started; those that were are killed.
    pub async fn run(
        &mut self,
        tasks: &[Task],
        timing: Timing,
        tell: &mut dyn FnMut(Told<'_>),
    ) -> Result<Reports, SpawnError> {
        if let Some(first) = tasks.first() {
            self.relay.begin().map_err(|error| first.not_started(error))?;
        }
        let mut known = AllRanks::Run;
        let awaits_release = self.all_ranks.as_ref().is_some_and(|ranks| *ranks.borrow() != AllRanks::Ended);
        let mut run = Run::new(self.started, &self.relay, timing, awaits_release);
        for task in tasks {
            match task.start(&self.inherited) {
                Ok(started) => run.add(started, task, &self.sender),
                Err(error) => {
                    run.abandon();
                    return Err(error);
                }
            }
        }
        self.started += tasks.len();
        let keepers = tasks.iter().find_map(|task| task.keepers.as_ref()?.listener().ok());
        let heeds_ranks = awaits_release && keepers.is_some();
        self.signals.add_real_time();
        let mut has_stopped = false;
        while !run.is_over() {
            let deadline = run.deadline();
            tokio::select! {
                // Time first: processes that are made and end without pause give events without end.
                biased;
                () = sleep_until(deadline) => run.overdue(),
                signal = self.signals.next() => {
                    let had_stop = run.stop().is_some();
                    run.signal(signal);
                    if let Some(stop) = run.stop().filter(|_| !had_stop) {
                        tell(Told::Stopping(stop.signal));
                    }
                }
                Some(finished) = self.streams.recv() => run.stream_ended(finished),
                elsewhere = ended_elsewhere(&mut self.elsewhere), if !has_stopped => {
                    has_stopped = true;
                    run.stop_for_others(elsewhere);
                }
                ranks = more_of(&mut self.all_ranks, known), if heeds_ranks && known != AllRanks::Ended => {
                    known = ranks;
                    run.heed(ranks);
                }
                note = said(keepers.as_ref()) => run.said(note),
            }
            run.reap();
            run.tell_failures(tell);
        }
        self.gave_up = run.gave_up();
        Ok(run.reports())
    }

    /// Ends with everything written that somebody takes; gives whether that was everything.
    pub fn finish(self) -> bool {
        self.relay.finish(if self.gave_up { LAST_PATIENCE } else { FLUSH_PATIENCE })
    }
}

/// Ends when the job has failed on another host, or was stopped there.
async fn ended_elsewhere(elsewhere: &mut Option<watch::Receiver<Option<Elsewhere>>>) -> Elsewhere {
    if let Some(receiver) = elsewhere
        && let Ok(found) = receiver.wait_for(Option::is_some).await
        && let Some(found) = *found
    {
        return found;
    }
    std::future::pending().await
}

/// Ends when more than this is known of the ranks of all hosts.
async fn more_of(all_ranks: &mut Option<watch::Receiver<AllRanks>>, known: AllRanks) -> AllRanks {
    match all_ranks {
        // Where nobody is left to say it, nobody needs the launchers.
        Some(ranks) => ranks.wait_for(|ranks| *ranks != known).await.map_or(AllRanks::Ended, |ranks| *ranks),
        None => std::future::pending().await,
    }
}

/// Ends when a keeper has said something.
async fn said(keepers: Option<&Listener>) -> Note {
    match keepers {
        Some(keepers) => keepers.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
