//! The run record: one JSON file for each host, which says what ran, when, and how it ended.
//!
//! `output/data/footplate/<host>/run.json` has the schema `footplate.run/1`; `docs/reference.md` lists its keys. The file is
//! replaced in one step, every few seconds while the job runs and once more at its end, also if the disk is full by then:
//! the space for the last version is reserved at the start. All of it is written by a thread of its own, because the folder
//! may be on a slow file system. The thread starts with the first process of the script, so that the record costs the start
//! nothing.
//!
//! Every text goes through the redactor. The record never holds a secret.

mod document;
mod file;
mod state;

pub use document::{JobFacts, PlannedProcess};

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::event::{Event, Events, Kind, Subscriber};
use crate::kernel;

use file::RecordFile;
use state::State;

/// The interval at which the file is replaced while the job runs.
const INTERVAL: Duration = Duration::from_secs(5);

/// The time that the last version may take to be written before the job ends without it.
const LAST_TIME: Duration = Duration::from_secs(2);

/// The size of the thread's stack, in bytes.
const STACK_SIZE: usize = 256 << 10;

/// The run record of this host.
#[derive(Clone, Debug)]
pub struct RunRecord {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    state: Mutex<State>,
    writer: Mutex<Writer>,
    /// Notified when the last version was written.
    done: Condvar,
}

/// The state of the thread that writes.
#[derive(Debug)]
enum Writer {
    /// It was not started yet.
    Idle,
    /// It runs, and writes the last version when this is dropped.
    Running(mpsc::Sender<()>),
    /// It was told to write the last version.
    Ending,
    /// It has ended, or could not be started.
    Ended,
}

impl RunRecord {
    /// Begins a record in a folder, which is made when the record is first written.
    pub fn subscribe(events: &Events, folder: PathBuf, job: JobFacts) -> RunRecord {
        let state = State::new(job);
        let record = RunRecord {
            shared: Arc::new(Shared {
                folder,
                state: Mutex::new(state),
                writer: Mutex::new(Writer::Idle),
                done: Condvar::new(),
            }),
        };
        events.subscribe(Receiver(record.clone()));
        record
    }

    /// Notes the processes that are planned on this host, with the name of the launcher.
    pub fn plan(&self, launcher: &str, processes: Vec<PlannedProcess>) {
        lock(&self.shared.state).plan(launcher, processes);
    }

    /// Starts the thread that writes, unless it runs.
    fn start(&self) {
        let mut writer = lock(&self.shared.writer);
        if !matches!(*writer, Writer::Idle) {
            return;
        }
        let (sender, ticks) = mpsc::channel();
        let shared = Arc::clone(&self.shared);
        let spawned = kernel::spawn_thread("record", Some(STACK_SIZE), move || {
            write_until_end(&shared, &ticks);
            *lock(&shared.writer) = Writer::Ended;
            shared.done.notify_all();
        });
        *writer = match spawned {
            Ok(_) => Writer::Running(sender),
            Err(error) => {
                tracing::debug!("the run record is not written: {error}");
                Writer::Ended
            }
        };
    }

    /// Writes the last version, and waits for it for a short time.
    pub fn finish(self) {
        self.start();
        let deadline = Instant::now() + LAST_TIME;
        let mut writer = lock(&self.shared.writer);
        if let Writer::Running(sender) = std::mem::replace(&mut *writer, Writer::Ending) {
            // The thread notices, and writes the last version.
            drop(sender);
        } else {
            *writer = Writer::Ended;
        }
        while matches!(*writer, Writer::Ending) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!("the run record in {} cannot be finished in time", self.shared.folder.display());
                return;
            }
            let (next, _) = self.shared.done.wait_timeout(writer, left).unwrap_or_else(PoisonError::into_inner);
            writer = next;
        }
    }
}

/// Writes a version at each interval, and the last one when the sender is gone.
fn write_until_end(shared: &Shared, ticks: &mpsc::Receiver<()>) {
    let mut file = match RecordFile::create(&shared.folder) {
        Ok(file) => file,
        Err(error) => {
            tracing::warn!("the run record cannot be written: {error}");
            return;
        }
    };
    let mut written = 0;
    loop {
        let is_last = matches!(ticks.recv_timeout(INTERVAL), Err(RecvTimeoutError::Disconnected));
        let state = lock(&shared.state);
        if is_last {
            let text = state.text();
            drop(state);
            if let Err(error) = file.finish(&text) {
                tracing::warn!("the run record is not complete: {error}");
            }
            return;
        }
        if state.version() != written {
            written = state.version();
            let text = state.text();
            drop(state);
            if let Err(error) = file.replace(&text) {
                // The last version has space of its own.
                tracing::debug!("the run record is not replaced: {error}");
            }
        }
    }
}

/// Takes the events for a record.
struct Receiver(RunRecord);

impl Subscriber for Receiver {
    fn receive(&mut self, event: &Event) {
        lock(&self.0.shared.state).receive(event);
        if matches!(event.kind, Kind::ProcessStarted { .. }) {
            self.0.start();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
