//! Work that may never return, such as a request to a network file system. It runs on threads that are abandoned if
//! it does not return.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::PATIENCE;
use crate::system::kernel;

/// The time limit for the work of [`together`], as a multiple of the patience. The work also parses the files that it
/// reads.
const PATIENCES_OF_WORK: u32 = 6;

/// The file that the work of [`together`] is waiting for.
#[derive(Debug)]
struct Current {
    path: PathBuf,
    /// The time of the request. `None` if the file was read.
    since: Option<Instant>,
}

thread_local! {
    /// The file that this thread waits for, if it does the work of [`together`].
    static CURRENT: RefCell<Option<Arc<Mutex<Current>>>> = const { RefCell::new(None) };
}

/// A file system that did not answer in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its file system did not answer within {} s", patience.as_secs_f64())]
pub struct Unanswered {
    /// The file that was read last.
    pub path: PathBuf,
    /// The time limit.
    pub patience: Duration,
}

/// Does some work on another thread and returns its result, or `None` if it takes longer than `patience`. In that
/// case the thread is abandoned.
///
/// Within the work of [`together`], the work is done on the same thread.
pub fn within<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if CURRENT.with_borrow(Option::is_some) {
        return Some(work());
    }
    handed_over(work).recv_timeout(patience).ok()
}

/// Does some work on another thread, and returns the receiver of its result. If no thread can be started, does the
/// work first, because waiting is better than failing.
fn handed_over<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, result) = mpsc::channel();
    let own = sender.clone();
    let deliver = move |value| {
        // The receiver is gone if the work took too long.
        let _ = own.send(value);
    };
    if let Err((_, work)) = kernel::on_worker(work, deliver) {
        // The receiver is below.
        let _ = sender.send(work());
    }
    result
}

/// Does some work that reads files, on a single other thread, because handing over each file separately takes longer
/// than reading it.
///
/// # Errors
/// The file system does not answer within [`PATIENCE`] for a file. In that case the thread is abandoned.
pub fn together<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Unanswered> {
    together_within(PATIENCE, work)
}

/// Works like [`together`], with a different time limit per file.
pub(super) fn together_within<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unanswered> {
    if CURRENT.with_borrow(Option::is_some) {
        let value = work();
        note(None);
        return Ok(value);
    }
    let begun = Instant::now();
    let current = Arc::new(Mutex::new(Current { path: PathBuf::new(), since: Some(begun) }));
    let own = Arc::clone(&current);
    let result = handed_over(move || {
        CURRENT.set(Some(own));
        let value = work();
        CURRENT.set(None);
        value
    });
    let mut wait = patience;
    loop {
        let has_panicked = match result.recv_timeout(wait) {
            Ok(value) => return Ok(value),
            Err(error) => error == RecvTimeoutError::Disconnected,
        };
        let current = current.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = current.since.map_or(Duration::ZERO, |since| since.elapsed());
        if has_panicked || waited >= patience || begun.elapsed() >= patience * PATIENCES_OF_WORK {
            return Err(Unanswered { path: current.path.clone(), patience });
        }
        wait = patience - waited;
    }
}

/// Records the file that is requested next. `None` records that the last one was read.
pub(super) fn note(path: Option<&Path>) {
    CURRENT.with_borrow(|current| {
        let Some(current) = current else { return };
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = path {
            path.clone_into(&mut current.path);
        }
        current.since = path.map(|_| Instant::now());
    });
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{note, together, together_within, within};

    #[test]
    fn work_that_does_not_return_is_abandoned() {
        assert_eq!(within(Duration::from_secs(30), || 5), Some(5));
        assert_eq!(within(Duration::from_millis(10), thread::park), None);
        assert_eq!(within(Duration::from_secs(30), || 6), Some(6));
    }

    #[test]
    fn several_files_are_read_on_one_thread_that_is_not_this_one() {
        let here = || thread::current().id();
        let ids = together(move || {
            let inner = [together(here).ok(), together(here).ok(), within(Duration::from_secs(30), here)];
            (here(), inner)
        });
        let (outer, inner) = ids.expect("answered");
        assert_eq!(inner, [Some(outer); 3]);
        assert_ne!(outer, here());
    }

    #[test]
    fn work_with_what_was_read_has_more_time_than_a_file() {
        let patience = Duration::from_millis(100);
        let worked = together_within(patience, move || {
            note(None);
            let begun = Instant::now();
            while begun.elapsed() < patience * 2 {
                std::hint::spin_loop();
            }
        });
        assert_eq!(worked, Ok(()));
        let stuck = together_within(patience, || {
            note(None);
            thread::park();
        });
        assert!(stuck.is_err());
    }

    #[test]
    fn the_file_that_is_not_answered_is_named() {
        let unanswered = together_within(Duration::from_millis(500), || {
            note(Some(Path::new("/a")));
            note(Some(Path::new("/b")));
            thread::park();
        })
        .expect_err("parked");
        assert_eq!(unanswered.path, Path::new("/b"));
        assert_eq!(unanswered.to_string(), "its file system did not answer within 0.5 s");
    }
}
