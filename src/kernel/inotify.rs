//! inotify in a runtime.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::inotify::{InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

/// A queue of inotify's, which owns its descriptor and keeps it.
#[derive(Debug)]
pub struct Queue(Inotify);

impl Queue {
    /// inotify itself.
    pub fn inotify(&self) -> &Inotify {
        &self.0
    }
}

impl AsRawFd for Queue {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Makes a queue that can be waited for; to be called in a runtime with I/O.
///
/// # Errors
/// The kernel refuses it.
pub fn inotify() -> io::Result<AsyncFd<Queue>> {
    let queue = Queue(Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?);
    // SAFETY: the descriptor is open and the queue's own, and stays so for as long as the queue is, which gives it to nobody.
    unsafe { AsyncFd::register(queue) }.map_err(Into::into)
}
