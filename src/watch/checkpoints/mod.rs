//! The folder of checkpoints: its content at the start, and the checkpoints that the script writes.
//!
//! A separate thread scans the folder at an interval, because the folder may be on a network file system that is slow
//! or does not answer. No other thread waits for this one longer than a stated time. Each scan is limited, and a slow
//! folder is scanned less often.

mod folder_scan;
mod tracker;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use super::words::RoughTime;
use crate::event::{Checkpoint, EventKind, Events};
use crate::logs;
use crate::machine::Bytes;
use crate::system::kernel;

use folder_scan::{FolderScan, scan};
use tracker::Tracker;

/// The maximum time between scans, unless the folder is slow.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// The time between scans as a multiple of the duration of a scan.
const PAUSE: u32 = 20;

/// The maximum time for which the script waits for the first scan, which should precede the script's first
/// checkpoint.
const FIRST_TIME: Duration = Duration::from_secs(1);

/// The time limit for the last scan.
const LAST_TIME: Duration = Duration::from_secs(2);

/// The size of the thread's stack, in bytes.
const STACK_SIZE: usize = 256 << 10;

/// The watch over a folder of checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    state: Mutex<State>,
    /// Notified when `course` changes.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    course: Course,
    /// The time of the last scan that found a change.
    changed_at: Option<Instant>,
}

/// The state of the watch.
#[derive(Debug)]
enum Course {
    /// The first scan has not ended.
    Beginning,
    Watching,
    /// The last scan is due. The receiver waits for it.
    Ending(oneshot::Sender<()>),
    Ended,
}

impl Checkpoints {
    /// Begins to watch a folder, which need not exist yet. Checkpoints that are found or written are emitted as
    /// events.
    ///
    /// # Errors
    /// The kernel refuses to start a thread.
    pub fn begin(folder: PathBuf, interval: Duration, events: &Events) -> io::Result<Checkpoints> {
        let state = Mutex::new(State { course: Course::Beginning, changed_at: None });
        let shared = Arc::new(Shared { folder, state, changed: Condvar::new() });
        let (watched, events) = (Arc::clone(&shared), events.clone());
        kernel::spawn_thread("checkpoints", Some(STACK_SIZE), move || watch(&watched, interval, &events))?;
        Ok(Checkpoints { shared })
    }

    /// Waits a short time for the first scan.
    pub fn wait_for_first_scan(&self) {
        let state = self.shared.lock();
        let begins = |state: &mut State| matches!(state.course, Course::Beginning);
        // A folder that does not answer in time must not hold up the script.
        let _ = self.shared.changed.wait_timeout_while(state, FIRST_TIME, begins);
    }

    /// Returns the time of the last scan that found a change in the folder.
    pub fn changed_at(&self) -> Option<Instant> {
        self.shared.lock().changed_at
    }

    /// Scans for the last time, and ends. Returns false if the folder does not answer. In that case the last
    /// checkpoints are not known.
    pub async fn finish(&self) -> bool {
        let Some(ended) = self.shared.end() else { return true };
        let is_known = tokio::time::timeout(LAST_TIME, ended).await.is_ok();
        if !is_known {
            let folder = self.shared.folder.display();
            tracing::warn!("the last checkpoints are not known: the file system of {folder} does not answer");
        }
        is_known
    }
}

impl Shared {
    /// Has the thread scan for the last time. `None` if it has done that already.
    fn end(&self) -> Option<oneshot::Receiver<()>> {
        let (sender, ended) = oneshot::channel();
        let mut state = self.lock();
        if matches!(state.course, Course::Ended | Course::Ending(_)) {
            return None;
        }
        state.course = Course::Ending(sender);
        self.changed.notify_all();
        Some(ended)
    }

    /// Waits for some time. Returns false if the watch must end.
    fn wait(&self, time: Duration) -> bool {
        let goes_on = |state: &mut State| matches!(state.course, Course::Watching);
        let waited = self.changed.wait_timeout_while(self.lock(), time, goes_on);
        waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn watch(shared: &Shared, interval: Duration, events: &Events) {
    let first = scan(&shared.folder);
    tracing::info!("checkpoints: {}", describe(&shared.folder, &first, SystemTime::now()));
    let first = first.unwrap_or_default();
    let mut tracker = Tracker::begin(&first);
    if let Some((name, stamp)) = first.newest() {
        let found = Checkpoint { name: logs::clean(name), modified: stamp.modified, size: stamp.size };
        events.emit(EventKind::CheckpointFound(Arc::new(found)));
    }
    let mut state = shared.lock();
    if matches!(state.course, Course::Beginning) {
        state.course = Course::Watching;
    }
    drop(state);
    shared.changed.notify_all();
    let mut pause = interval;
    loop {
        let is_last = !shared.wait(pause);
        let begun = Instant::now();
        let change = tracker.take(scan(&shared.folder).unwrap_or_default(), is_last);
        pause = interval.max(begun.elapsed() * PAUSE);
        if change.has_changed {
            shared.lock().changed_at = Some(Instant::now());
        }
        for checkpoint in change.written {
            let written = Checkpoint { name: logs::clean(&checkpoint.name), ..checkpoint };
            tracing::debug!("checkpoint {} is written ({})", written.name, Bytes(written.size));
            events.emit(EventKind::CheckpointWritten(Arc::new(written)));
        }
        if is_last {
            let course = std::mem::replace(&mut shared.lock().course, Course::Ended);
            if let Course::Ending(waiting) = course {
                // The receiver is gone if nothing waits any more.
                let _ = waiting.send(());
            }
            return;
        }
    }
}

/// Returns a log line about the folder at the start, which shows if a spot job resumes from a checkpoint.
fn describe(folder: &Path, found: &io::Result<FolderScan>, now: SystemTime) -> String {
    let shown = folder.display();
    let look = match found {
        Ok(look) => look,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return format!("{shown} is not there yet"),
        Err(error) => return format!("{shown} cannot be read: {error}"),
    };
    let Some((name, stamp)) = look.newest() else { return format!("{shown} is empty") };
    let count = match look.entries.len() {
        1 => "1 entry".to_owned(),
        count if look.is_cut => format!("more than {count} entries"),
        count => format!("{count} entries"),
    };
    let age = RoughTime(now.duration_since(stamp.modified).unwrap_or_default());
    let size = Bytes(stamp.size);
    format!("{shown} holds {count}; the newest, {}, has {size} and was written {age} ago", logs::clean(name))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, SystemTime};

    use super::{Checkpoints, describe, scan};
    use crate::event::{Event, EventKind, Events};

    #[test]
    fn the_newest_checkpoint_is_named_with_its_size_and_age() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(7300);
        let described = |path: &Path| describe(path, &scan(path), now);
        assert!(described(folder.path()).ends_with(" is empty"));
        assert!(described(&folder.path().join("none")).ends_with(" is not there yet"));
        for (name, seconds) in [("step-100.pt", 100), ("step-20.pt", 20)] {
            let file = File::create(folder.path().join(name)).expect("a file");
            file.set_len(2048).expect("a size");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).expect("a time");
        }
        let expected = " holds 2 entries; the newest, step-100.pt, has 2.0 KiB and was written 2 h ago";
        assert!(described(folder.path()).ends_with(expected), "{}", described(folder.path()));
    }

    #[test]
    fn what_is_found_and_what_is_written_until_the_end_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("old"), "x").expect("written");
        let (events, told) = (Events::new("algo-1"), Arc::new(Mutex::new(Vec::new())));
        let texts = Arc::clone(&told);
        events.subscribe(move |event: &Event| {
            let text = match &event.kind {
                EventKind::CheckpointFound(found) => format!("found {} {}", found.name, found.size),
                EventKind::CheckpointWritten(written) => format!("written {} {}", written.name, written.size),
                _ => return,
            };
            texts.lock().unwrap().push(text);
        });
        let watch = Checkpoints::begin(folder.path().to_owned(), Duration::from_secs(600), &events).expect("begun");
        watch.wait_for_first_scan();
        assert_eq!(*told.lock().unwrap(), ["found old 1"]);
        fs::write(folder.path().join("new"), "four").expect("written");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(watch.finish());
        assert_eq!(*told.lock().unwrap(), ["found old 1", "written new 4"]);
        assert!(watch.changed_at().is_some());
    }
}
