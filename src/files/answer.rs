//! Work that may never return, such as a question to a network file system, on threads that are abandoned if it does not.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::PATIENCE;
use crate::kernel;

/// The file that is being read by the work of [`together`].
type Current = Arc<Mutex<PathBuf>>;

thread_local! {
    /// The place for the name of the file that this thread reads, if it does the work of [`together`].
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// A file system that did not answer in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its file system did not answer within {} s", patience.as_secs_f64())]
pub struct Unanswered {
    /// The file that was read last.
    pub path: PathBuf,
    /// The time that it had.
    pub patience: Duration,
}

/// Does some work on another thread and returns its result, or `None` if it takes longer than `patience`. Then the thread is
/// abandoned.
///
/// Within the work of [`together`], the work is done on the same thread.
pub fn within<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if CURRENT.with_borrow(Option::is_some) {
        return Some(work());
    }
    let (sender, result) = mpsc::channel();
    let deliver = move |value| {
        // Nobody waits any more if it took too long.
        let _ = sender.send(value);
    };
    match kernel::on_worker(work, deliver) {
        Ok(()) => result.recv_timeout(patience).ok(),
        // Better to wait than to fail.
        Err((_, work)) => Some(work()),
    }
}

/// Does some work that reads files, all of them on one other thread, because handing each one over takes longer than reading
/// it.
///
/// # Errors
/// The work takes longer than [`PATIENCE`]. Then the thread is abandoned.
pub fn together<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Unanswered> {
    together_within(PATIENCE, work)
}

pub(super) fn together_within<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unanswered> {
    if CURRENT.with_borrow(Option::is_some) {
        return Ok(work());
    }
    let current = Current::default();
    let own = Arc::clone(&current);
    let done = within(patience, move || {
        CURRENT.set(Some(own));
        let value = work();
        CURRENT.set(None);
        value
    });
    let last = || current.lock().unwrap_or_else(PoisonError::into_inner).clone();
    done.ok_or_else(|| Unanswered { path: last(), patience })
}

/// Notes the file that is read next, for the error of [`together`].
pub(super) fn note(path: &Path) {
    CURRENT.with_borrow(|current| {
        if let Some(current) = current {
            path.clone_into(&mut current.lock().unwrap_or_else(PoisonError::into_inner));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::thread;
    use std::time::Duration;

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
    fn the_file_that_is_not_answered_is_named() {
        let unanswered = together_within(Duration::from_millis(500), || {
            note(Path::new("/a"));
            note(Path::new("/b"));
            thread::park();
        })
        .expect_err("parked");
        assert_eq!(unanswered.path, Path::new("/b"));
        assert_eq!(unanswered.to_string(), "its file system did not answer within 0.5 s");
    }
}
