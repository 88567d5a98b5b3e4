//! Threads that handle no signals.

use std::io;
use std::thread::{Builder, JoinHandle};

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

/// Starts a thread with every signal blocked, because signals are handled on the main thread. `stack_size` is in
/// bytes.
///
/// # Errors
/// The kernel refuses to start a thread.
pub fn spawn_thread<T: Send + 'static>(
    name: &str,
    stack_size: Option<usize>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let mut builder = Builder::new().name(name.to_owned());
    if let Some(size) = stack_size {
        builder = builder.stack_size(size);
    }
    // A new thread inherits the signal mask of the thread that starts it.
    let mut mask = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))?;
    let spawned = builder.spawn(work);
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
    spawned
}
