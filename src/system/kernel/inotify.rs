//! An inotify queue that an asynchronous runtime can wait for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::inotify::{InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

/// An inotify queue. It owns its descriptor and never gives it away.
#[derive(Debug)]
pub struct Queue(Inotify);

impl Queue {
    /// Returns the inotify instance.
    pub fn inotify(&self) -> &Inotify {
        &self.0
    }
}

impl AsRawFd for Queue {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Creates a queue that can be awaited. It must be called within a Tokio runtime with I/O enabled.
///
/// # Errors
/// The kernel refuses another inotify instance or descriptor.
pub fn inotify() -> io::Result<AsyncFd<Queue>> {
    let queue = Queue(Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?);
    // SAFETY: the queue owns the descriptor, keeps it open for as long as it lives, and never gives it away.
    unsafe { AsyncFd::register(queue) }.map_err(Into::into)
}
