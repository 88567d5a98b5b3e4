//! A descriptor for signals that an asynchronous runtime can wait for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::io::unix::AsyncFd;

/// A descriptor that receives the signals of a set, if these signals are blocked. It is never given away.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Returns the number of the next signal, without waiting. Signals that this process caused itself are left out:
    /// when it writes to a pipe without a reader, the kernel sends SIGPIPE in its name.
    pub fn next(&self) -> Option<i32> {
        loop {
            let signal = self.0.read_signal().ok().flatten()?;
            if signal.ssi_pid != std::process::id() {
                return i32::try_from(signal.ssi_signo).ok();
            }
        }
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Creates a descriptor for these signals. It must be called within a Tokio runtime with I/O enabled.
///
/// # Errors
/// The kernel refuses a descriptor.
pub fn signals(set: &SigSet) -> io::Result<AsyncFd<Signals>> {
    let signals = Signals(SignalFd::with_flags(set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?);
    // SAFETY: the descriptor is owned, stays open for as long as its owner lives, and is never given away.
    unsafe { AsyncFd::register(signals) }.map_err(Into::into)
}
