//! The last resort of a stop. The thread that hears signals can hang in the kernel, for example while it looks at a file
//! system that does not answer. Another thread notices that a stop signal is not taken, and ends the job without it.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use signal_hook::{flag, low_level};

use crate::kernel;

/// The size of the thread's stack, in bytes.
const STACK_SIZE: usize = 256 << 10;

/// The number of looks before a stop signal counts as not heard. Looks, not time: a machine that was suspended has missed none.
const LOOKS: u32 = 100;

/// The facts that the signal handlers leave for the thread that watches.
#[derive(Debug)]
pub(super) struct Hearing {
    /// True while a stop signal waits to be taken.
    waits: Arc<AtomicBool>,
    /// The number of the last stop signal.
    last: Arc<AtomicUsize>,
    /// Has a byte for each stop signal, until the thread has it.
    bell: Option<UnixStream>,
}

impl Hearing {
    /// Begins to catch stop signals. It must be called before any other handler is installed: handlers run in the order of
    /// their installation, and this one must not come after the signal was taken.
    pub(super) fn begin() -> io::Result<Hearing> {
        let (waits, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (bell, rope) = UnixStream::pair()?;
        for signal in [libc::SIGTERM, libc::SIGINT] {
            flag::register(signal, Arc::clone(&waits))?;
            flag::register_usize(signal, Arc::clone(&last), signal.unsigned_abs() as usize)?;
            low_level::pipe::register(signal, rope.try_clone()?)?;
        }
        Ok(Hearing { waits, last, bell: Some(bell) })
    }

    /// Notes that a stop signal was taken.
    pub(super) fn hear(&self) {
        self.waits.store(false, Ordering::SeqCst);
    }

    /// Starts the thread, which calls `end` if a stop signal is not taken for as long as `patience`.
    ///
    /// From then on, stop signals interrupt that thread and not this one. The kernel prefers the main thread, and a signal waits for
    /// it without end while it hangs in the kernel.
    ///
    /// # Errors
    /// The kernel refuses a thread.
    pub(super) fn watch(&mut self, patience: Duration, end: impl FnOnce(Signal) + Send + 'static) -> io::Result<()> {
        let Some(mut bell) = self.bell.take() else { return Ok(()) };
        let (waits, last) = (Arc::clone(&self.waits), Arc::clone(&self.last));
        let stops: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
        kernel::spawn_thread("hearing", Some(STACK_SIZE), move || {
            let _ = stops.thread_unblock();
            while bell.read_exact(&mut [0]).is_ok() {
                let is_unheard = (0..LOOKS).all(|_| {
                    sleep(patience / LOOKS);
                    waits.load(Ordering::SeqCst)
                });
                let number = i32::try_from(last.load(Ordering::SeqCst)).unwrap_or_default();
                if let (true, Ok(signal)) = (is_unheard, Signal::try_from(number)) {
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

    use super::Hearing;

    #[test]
    fn a_stop_signal_that_is_not_taken_ends_the_job_and_one_that_is_does_not() {
        let (patience, (sender, ended)) = (Duration::from_millis(300), mpsc::channel());
        let mut hearing = Hearing::begin().expect("begun");
        hearing.watch(patience, move |signal| sender.send(signal).expect("sent")).expect("started");
        // It interrupts the other thread.
        assert!(SigSet::thread_get_mask().expect("known").contains(Signal::SIGTERM));
        kill(Pid::this(), Signal::SIGINT).expect("sent");
        while !hearing.waits.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        hearing.hear();
        assert_eq!(ended.recv_timeout(patience * 3), Err(RecvTimeoutError::Timeout));
        kill(Pid::this(), Signal::SIGTERM).expect("sent");
        assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Ok(Signal::SIGTERM));
    }
}
