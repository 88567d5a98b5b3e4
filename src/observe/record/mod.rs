//! The run record: one JSON file for each host, which states what ran, when, and how it ended.
//!
//! `output/data/footplate/<host>/run.json` has the schema `footplate.run/1`; `docs/reference.md` lists its keys. The
//! file is replaced in one step, every few seconds while the job runs and once more at its end. Even a full disk does
//! not prevent the last version, because its space is reserved at the start. A separate thread writes the record, in
//! parallel with the preparation of the job, because the folder may be on a slow file system.
//!
//! Every text goes through the redactor. The record never holds a secret.

mod document;
mod early_end;
mod file;
mod state;

pub use document::{JobFacts, PlannedProcess};
pub use early_end::EarlyEnd;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::{Event, Events, Moment};
use crate::observe::metrics::Metrics;
use crate::observe::resources::Resources;
use crate::system::kernel;

use file::RecordFile;
use state::State;

/// The interval at which the file is replaced while the job runs.
const INTERVAL: Duration = Duration::from_secs(5);

/// The time for which the start of the script waits for the reservation. On a file system that hangs, the record may
/// be incomplete.
const RESERVE_TIME: Duration = Duration::from_millis(100);

/// The time limit for the last version, after which the job ends without it.
const LAST_TIME: Duration = Duration::from_secs(2);

/// The run record of this host.
#[derive(Debug)]
pub struct RunRecord {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    /// The facts that the thread has not processed yet. `None` once the thread has ended. Only the thread turns facts
    /// into texts, because removing secrets takes time.
    inbox: Mutex<Option<Vec<News>>>,
    writer: Mutex<Writer>,
    /// Notified when the state of the writer changes.
    changed: Condvar,
}

/// A fact for the record.
#[derive(Debug)]
enum News {
    Event(Event),
    Plan(String, Vec<PlannedProcess>),
    Metrics(Metrics),
    Resources(Resources),
    /// The job ends on this host before its last phase.
    Over(Moment, i32, String),
}

/// The state of the thread that writes.
#[derive(Debug)]
enum Writer {
    /// The thread reserves the space for the last version.
    Reserving,
    /// The thread writes versions while the job runs.
    Writing,
    /// The thread was told to write the last version.
    Ending,
    /// The thread has ended, or could not be started.
    Ended,
}

impl RunRecord {
    /// Begins a record in a folder. `started` is the time at which footplate began. `facts` is called on the record's thread.
    pub fn subscribe(
        events: &Events,
        folder: PathBuf,
        started: Moment,
        facts: impl FnOnce() -> JobFacts + Send + 'static,
    ) -> RunRecord {
        let record = RunRecord {
            shared: Arc::new(Shared {
                folder,
                inbox: Mutex::new(Some(Vec::new())),
                writer: Mutex::new(Writer::Reserving),
                changed: Condvar::new(),
            }),
        };
        let seen = Arc::clone(&record.shared);
        events.subscribe(move |event: &Event| seen.post(News::Event(event.clone())));
        let shared = Arc::clone(&record.shared);
        let work = move || write_until_end(&shared, State::new(started), facts);
        if let Err((error, _)) = kernel::on_worker(work, |()| ()) {
            tracing::debug!("the run record is not written: {error}");
            record.shared.set(Writer::Ended);
        }
        record
    }

    /// Records the processes that are planned on this host, and the name of the launcher.
    pub fn plan(&self, launcher: &str, processes: Vec<PlannedProcess>) {
        self.shared.post(News::Plan(launcher.to_owned(), processes));
    }

    /// Adds the metrics of the job to the record.
    pub fn watch(&self, metrics: Metrics) {
        self.shared.post(News::Metrics(metrics));
    }

    /// Adds the resources of this host to the record, and the advice that follows from them.
    pub fn sample(&self, resources: Resources) {
        self.shared.post(News::Resources(resources));
    }

    /// Waits for a short time until the space for the last version is reserved. A script may fill the disk.
    pub fn wait_until_reserved(&self) {
        self.shared.wait_while(RESERVE_TIME, |writer| matches!(writer, Writer::Reserving));
    }

    /// Returns a handle that can finish the record from any thread, for a job that ends before its last phase.
    pub fn early_end(&self) -> EarlyEnd {
        let shared = Arc::clone(&self.shared);
        let write = move |at, exit_code, text| {
            shared.post(News::Over(at, exit_code, text));
            shared.finish()
        };
        EarlyEnd::new(self.shared.folder.clone(), write)
    }

    /// Writes the last version, and waits for a short time until it is written.
    pub fn finish(self) {
        if !self.shared.finish() {
            tracing::warn!("the run record in {} cannot be finished in time", self.shared.folder.display());
        }
    }
}

impl Shared {
    fn post(&self, news: News) {
        if let Some(inbox) = &mut *lock(&self.inbox) {
            inbox.push(news);
        }
    }

    /// Adds the facts since the last call to the state.
    fn note_news(&self, state: &mut State) {
        let inbox = lock(&self.inbox).as_mut().map(std::mem::take);
        for news in inbox.into_iter().flatten() {
            match news {
                News::Event(event) => state.receive(&event),
                News::Plan(launcher, processes) => state.plan(&launcher, processes),
                News::Metrics(metrics) => state.watch(metrics),
                News::Resources(resources) => state.sample(resources),
                News::Over(at, exit_code, text) => state.end_with(at, exit_code, text),
            }
        }
    }

    /// Has the last version written. Returns false if that takes longer than [`LAST_TIME`].
    fn finish(&self) -> bool {
        let mut writer = lock(&self.writer);
        if matches!(*writer, Writer::Ended) {
            return true;
        }
        *writer = Writer::Ending;
        drop(writer);
        self.changed.notify_all();
        self.wait_while(LAST_TIME, |writer| !matches!(writer, Writer::Ended))
    }

    fn set(&self, writer: Writer) {
        if matches!(writer, Writer::Ended) {
            *lock(&self.inbox) = None;
        }
        *lock(&self.writer) = writer;
        self.changed.notify_all();
    }

    /// Waits while the writer is in a state for which `is_so` returns true. Returns false if that takes longer than
    /// `patience`.
    fn wait_while(&self, patience: Duration, is_so: impl Fn(&Writer) -> bool) -> bool {
        let writer = lock(&self.writer);
        let waited = self.changed.wait_timeout_while(writer, patience, |writer| is_so(writer));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Reserves the space, writes a version at each interval, and the last one when the writer is told to end.
fn write_until_end(shared: &Shared, mut state: State, facts: impl FnOnce() -> JobFacts) {
    let mut file = match RecordFile::create(&shared.folder) {
        Ok(file) => file,
        Err(error) => {
            tracing::warn!("the run record cannot be written: {error}");
            shared.set(Writer::Ended);
            return;
        }
    };
    let mut writer = lock(&shared.writer);
    if matches!(*writer, Writer::Reserving) {
        *writer = Writer::Writing;
    }
    drop(writer);
    shared.changed.notify_all();
    state.describe(facts());
    let mut written = 0;
    while !shared.wait_while(INTERVAL, |writer| matches!(writer, Writer::Writing)) {
        shared.note_news(&mut state);
        if state.version() == written {
            continue;
        }
        written = state.version();
        if let Err(error) = file.replace(&state.text()) {
            // The last version has its own space.
            tracing::debug!("the run record is not replaced: {error}");
        }
    }
    shared.note_news(&mut state);
    if let Err(error) = file.finish(&state.text()) {
        tracing::warn!("the run record is not complete: {error}");
    }
    shared.set(Writer::Ended);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
