//! Catching signals.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;

use nix::libc;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use tokio::io::Interest;

/// Signals that are not caught: two cannot be, and the rest mean that footplate itself is at fault.
const NOT_CAUGHT: [i32; 9] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// Every signal that can be caught, as it comes in.
#[derive(Debug)]
pub(super) struct Caught {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    /// Tells when the delivery has something, on a descriptor of its own.
    ready: tokio::net::UnixStream,
    queue: VecDeque<i32>,
}

impl Caught {
    /// Begins to catch; to be called in the runtime.
    ///
    /// # Errors
    /// A handler cannot be installed.
    pub(super) fn begin() -> io::Result<Caught> {
        let standard = 1..=31;
        let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
        let caught: Vec<i32> = standard.chain(real_time).filter(|signal| !NOT_CAUGHT.contains(signal)).collect();
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        let ready = tokio::net::UnixStream::from_std(read.try_clone()?)?;
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly::default(), caught)?;
        Ok(Caught { delivery, ready, queue: VecDeque::new() })
    }

    /// The next signal that came, without waiting.
    pub(super) fn try_next(&mut self) -> Option<i32> {
        if self.queue.is_empty() {
            self.queue.extend(self.delivery.pending());
        }
        self.queue.pop_front()
    }

    /// The next signal. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> i32 {
        loop {
            if let Some(signal) = self.try_next() {
                return signal;
            }
            if self.ready.readable().await.is_err() {
                // The runtime is ending.
                std::future::pending::<()>().await;
            }
            // The delivery reads it; here it is only said to be read, before the next look, so that a signal that comes in
            // between is seen.
            let _ = self.ready.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
    }
}
