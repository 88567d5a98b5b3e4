//! Catching signals.

use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::receipt::StopReceipt;
use crate::system::kernel::{Signals, signals};

/// The signals that a handler receives: those that ask for the end of the job or tell of a child's, and those of job control. A
/// terminal treats a process that blocks the latter differently, and a descriptor receives only blocked signals.
const OF_HANDLER: [i32; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// The signals that are not caught: two cannot be caught, and the others mean that footplate itself has a defect.
const NOT_CAUGHT: [Signal; 9] = [
    Signal::SIGKILL,
    Signal::SIGSTOP,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGABRT,
    Signal::SIGTRAP,
    Signal::SIGSYS,
];

/// The time within which signals about the parent's death count as a single one. The kernel sends one for each thread
/// of the parent (PR_SET_PDEATHSIG, prctl(2)), and a second stop signal would cut the grace period of the first
/// short.
const DEATH_TIME: Duration = Duration::from_millis(500);

/// The caught signals, in the order in which they came.
#[derive(Debug)]
pub(super) struct Caught {
    /// Delivers the signals of [`OF_HANDLER`]. The handlers stay until the process ends, because signal-hook copies its whole
    /// table to remove one.
    delivery: ManuallyDrop<SignalDelivery<UnixStream, SignalOnly>>,
    /// Becomes readable when the delivery has a signal. It has its own descriptor.
    ready: tokio::net::UnixStream,
    /// Delivers all other signals, because installing fifty handlers takes time and few jobs get such a signal. Only a
    /// descriptor shows if SIGPIPE must be passed on, or comes from footplate's own write to a program that has ended.
    descriptor: AsyncFd<Signals>,
    queue: VecDeque<i32>,
    /// The time of the first stop signal.
    pub(super) stopped_at: Option<Instant>,
    /// The signal that the kernel sends when the parent dies, if one was requested (PR_SET_PDEATHSIG).
    of_death: Option<Signal>,
    pub(super) receipt: StopReceipt,
}

/// Returns the signal if it tells a job to stop: SIGTERM or SIGINT.
pub(super) fn stop_signal(number: i32) -> Option<Signal> {
    match number {
        libc::SIGTERM => Some(Signal::SIGTERM),
        libc::SIGINT => Some(Signal::SIGINT),
        _ => None,
    }
}

impl Caught {
    /// Begins to catch signals. Must be called in the runtime, and by the only thread that does not block all
    /// signals. Signals that footplate was started with blocked are unblocked in this thread: otherwise it would wait
    /// for SIGCHLD for ever. The signals of `descriptor` are blocked, because only blocked signals reach a
    /// descriptor.
    ///
    /// # Errors
    /// A handler cannot be installed.
    pub(super) fn begin() -> io::Result<Caught> {
        let receipt = StopReceipt::begin()?;
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        let ready = tokio::net::UnixStream::from_std(read.try_clone()?)?;
        let delivery = ManuallyDrop::new(SignalDelivery::with_pipe(read, write, SignalOnly, OF_HANDLER)?);
        let mut of_descriptor = SigSet::all();
        let has_no_descriptor = |signal: &Signal| NOT_CAUGHT.contains(signal) || OF_HANDLER.contains(&(*signal as i32));
        Signal::iterator().filter(has_no_descriptor).for_each(|signal| of_descriptor.remove(signal));
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&of_descriptor), None)?;
        let of_death = nix::sys::prctl::get_pdeathsig().unwrap_or_default();
        Ok(Caught {
            delivery,
            ready,
            descriptor: signals(&of_descriptor)?,
            queue: VecDeque::new(),
            stopped_at: None,
            of_death,
            receipt,
        })
    }

    /// Returns the next signal, without waiting.
    pub(super) fn try_next(&mut self) -> Option<i32> {
        if self.queue.is_empty() {
            self.queue.extend(self.delivery.pending());
            self.queue.extend(std::iter::from_fn(|| self.descriptor.get_ref().next()));
        }
        let signal = self.queue.pop_front()?;
        if let Some(stop) = stop_signal(signal) {
            self.receipt.mark_handled();
            let is_told = self.stopped_at.is_some_and(|at| at.elapsed() < DEATH_TIME);
            if is_told && self.of_death == Some(stop) {
                return self.try_next();
            }
            self.stopped_at.get_or_insert_with(Instant::now);
        }
        Some(signal)
    }

    /// Waits for the next signal. No signal is lost if the wait is cancelled.
    pub(super) async fn next(&mut self) -> i32 {
        loop {
            if let Some(signal) = self.try_next() {
                return signal;
            }
            // The readiness is cleared before the next check, so that a signal that arrives in between is not missed.
            let is_alive = tokio::select! {
                // Only the delivery reads the socket.
                readable = self.ready.readable() => readable.is_ok_and(|()| {
                    let _ = self.ready.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
                    true
                }),
                readable = self.descriptor.readable() => readable.is_ok_and(|mut ready| {
                    ready.clear_ready();
                    true
                }),
            };
            if !is_alive {
                // The runtime is ending.
                std::future::pending::<()>().await;
            }
        }
    }
}
