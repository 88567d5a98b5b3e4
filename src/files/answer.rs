//! Work that may never return, such as a question to a network file system, on threads that are abandoned if it does not.

use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::kernel;

/// The size of the threads' stacks, in bytes.
const STACK_SIZE: usize = 256 << 10;

type Work = Box<dyn FnOnce() + Send>;

/// The threads that wait for work. A new one would take longer to start than most work takes.
static IDLE: Mutex<Vec<Sender<Work>>> = Mutex::new(Vec::new());

/// Does some work on another thread and returns its result, or `None` if it takes longer than `patience`. Then the thread is
/// abandoned, and ends after the work.
pub fn within<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let Some(thread) = idle.or_else(started) else {
        // The kernel refuses threads: better to wait than to fail.
        return Some(work());
    };
    let (sender, result) = mpsc::channel();
    let work: Work = Box::new(move || {
        // Nobody waits any more if it took too long.
        let _ = sender.send(work());
    });
    // The thread lives as long as its sender.
    let _ = thread.send(work);
    let result = result.recv_timeout(patience).ok()?;
    IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    Some(result)
}

fn started() -> Option<Sender<Work>> {
    let (sender, receiver) = mpsc::channel::<Work>();
    let spawned = kernel::spawn_thread("files", Some(STACK_SIZE), move || receiver.into_iter().for_each(|work| work()));
    spawned.ok().map(|_| sender)
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::within;

    #[test]
    fn work_that_does_not_return_is_abandoned_and_a_thread_is_used_again() {
        let first = within(Duration::from_secs(30), || thread::current().id()).expect("done");
        assert_eq!(within(Duration::from_secs(30), || thread::current().id()), Some(first));
        assert_eq!(within(Duration::from_millis(10), thread::park), None);
        assert_ne!(within(Duration::from_secs(30), || thread::current().id()).expect("done"), first);
    }
}
