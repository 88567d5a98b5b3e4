//! Catching signals.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
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

/// For how long the signals of a parent's death are one. The kernel sends it for each thread of the parent that ends after the
/// one before it has (prctl(2) on PR_SET_PDEATHSIG), and a second stop signal would end the grace of the first.
const DEATH_TIME: Duration = Duration::from_millis(500);

/// Every signal that can be caught, as it comes in.
#[derive(Debug)]
pub(super) struct Caught {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    /// Tells when the delivery has something, on a descriptor of its own.
    ready: tokio::net::UnixStream,
    queue: VecDeque<i32>,
    /// When the first stop signal came.
    pub(super) stopped_at: Option<Instant>,
    with_real_time: bool,
    /// The signal that tells that the parent has died, if one was asked for (PR_SET_PDEATHSIG).
    of_death: Option<Signal>,
}

/// A signal that tells a job to stop.
pub(super) fn stop_signal(number: i32) -> Option<Signal> {
    match number {
        libc::SIGTERM => Some(Signal::SIGTERM),
        libc::SIGINT => Some(Signal::SIGINT),
        _ => None,
    }
}

impl Caught {
    /// Begins to catch all but the real-time signals; to be called in the runtime. Those that footplate was started with
    /// blocked are unblocked in this thread: one that nobody receives, SIGCHLD above all, would be waited for without end.
    ///
    /// # Errors
    /// A handler cannot be installed.
    pub(super) fn begin() -> io::Result<Caught> {
        let standard: Vec<i32> = (1..=31).filter(|signal| !NOT_CAUGHT.contains(signal)).collect();
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        let ready = tokio::net::UnixStream::from_std(read.try_clone()?)?;
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, standard)?;
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        let of_death = nix::sys::prctl::get_pdeathsig().unwrap_or_default();
        Ok(Caught { delivery, ready, queue: VecDeque::new(), stopped_at: None, with_real_time: false, of_death })
    }

    /// Catches the real-time signals too. Only programs that want them are sent any, and catching each signal takes the
    /// longer the more are caught, so this is done beside the program's start and not before it.
    pub(super) fn add_real_time(&mut self) {
        if std::mem::replace(&mut self.with_real_time, true) {
            return;
        }
        let handle = self.delivery.handle();
        for signal in libc::SIGRTMIN()..=libc::SIGRTMAX() {
            if let Err(error) = handle.add_signal(signal) {
                tracing::debug!("cannot catch signal {signal}: {error}");
            }
        }
    }

    /// The next signal that came, without waiting.
    pub(super) fn try_next(&mut self) -> Option<i32> {
        if self.queue.is_empty() {
            self.queue.extend(self.delivery.pending());
        }
        let signal = self.queue.pop_front()?;
        if let Some(stop) = stop_signal(signal) {
            let is_told = self.stopped_at.is_some_and(|at| at.elapsed() < DEATH_TIME);
            if is_told && self.of_death == Some(stop) {
                return self.try_next();
            }
            self.stopped_at.get_or_insert_with(Instant::now);
        }
        Some(signal)
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
