//! The last resort for a stop. The thread that handles signals can hang in the kernel, for example in a call to a
//! file system that does not answer. Another thread notices that a stop signal was not handled, and ends the job
//! itself.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use signal_hook::{flag, low_level};

use crate::system::kernel;

/// The size of the thread's stack, in bytes.
const STACK_SIZE: usize = 256 << 10;

/// The number of checks before a stop signal counts as not handled. Checks are counted instead of time, because a
/// suspended machine does not miss any.
const CHECKS: u32 = 100;

/// The facts that the signal handlers leave for the watching thread.
#[derive(Debug)]
pub(super) struct StopReceipt {
    /// True while a stop signal waits to be handled.
    waits: Arc<AtomicBool>,
    /// The number of the last stop signal.
    last: Arc<AtomicUsize>,
    /// Receives a byte for each stop signal, until the thread takes it over.
    bell: Option<UnixStream>,
}

impl StopReceipt {
    /// Begins to catch stop signals. It must be called before any other handler is installed: handlers run in the
    /// order of their installation, and this one must run before the signal is handled.
    pub(super) fn begin() -> io::Result<StopReceipt> {
        let (waits, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (bell, rope) = UnixStream::pair()?;
        for signal in [libc::SIGTERM, libc::SIGINT] {
            flag::register(signal, Arc::clone(&waits))?;
            flag::register_usize(signal, Arc::clone(&last), signal.unsigned_abs() as usize)?;
            low_level::pipe::register(signal, rope.try_clone()?)?;
        }
        Ok(StopReceipt { waits, last, bell: Some(bell) })
    }

    /// Records that a stop signal was handled.
    pub(super) fn mark_handled(&self) {
        self.waits.store(false, Ordering::SeqCst);
    }

    /// Starts the thread, which calls `end` if a stop signal stays unhandled for `patience`.
    ///
    /// From then on, stop signals interrupt that thread and not this one. The kernel prefers to deliver signals to
    /// the main thread, and a signal waits for ever while that thread hangs in the kernel.
    ///
    /// # Errors
    /// The kernel refuses a thread.
    pub(super) fn watch(&mut self, patience: Duration, end: impl FnOnce(Signal) + Send + 'static) -> io::Result<()> {
        let Some(mut bell) = self.bell.take() else { return Ok(()) };
        let (waits, last) = (Arc::clone(&self.waits), Arc::clone(&self.last));
        let stops: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
        kernel::spawn_thread("receipt", Some(STACK_SIZE), move || {
            let _ = stops.thread_unblock();
            while bell.read_exact(&mut [0]).is_ok() {
                let is_unhandled = (0..CHECKS).all(|_| {
                    sleep(patience / CHECKS);
                    waits.load(Ordering::SeqCst)
                });
                let number = i32::try_from(last.load(Ordering::SeqCst)).unwrap_or_default();
                if let (true, Ok(signal)) = (is_unhandled, Signal::try_from(number)) {
                    return end(signal);
                }
            }
        })?;
        stops.thread_block()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::time::Duration;

    use nix::sys::signal::{SigSet, Signal, kill};
    use nix::unistd::Pid;

    use super::StopReceipt;

    #[test]
    fn a_stop_signal_that_is_not_taken_ends_the_job_and_one_that_is_does_not() {
        let (patience, (sender, ended)) = (Duration::from_millis(300), mpsc::channel());
        let mut receipt = StopReceipt::begin().expect("begun");
        receipt.watch(patience, move |signal| sender.send(signal).expect("sent")).expect("started");
        // The signal interrupts the other thread.
        assert!(SigSet::thread_get_mask().expect("known").contains(Signal::SIGTERM));
        kill(Pid::this(), Signal::SIGINT).expect("sent");
        while !receipt.waits.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        receipt.mark_handled();
        assert_eq!(ended.recv_timeout(patience * 3), Err(RecvTimeoutError::Timeout));
        kill(Pid::this(), Signal::SIGTERM).expect("sent");
        assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Ok(Signal::SIGTERM));
    }
}
