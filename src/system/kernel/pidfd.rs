//! Process descriptors. A signal sent through one never reaches another process that has since got the number.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::io::unix::AsyncFd;

/// A process descriptor. It owns the underlying descriptor and never gives it away.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl PidFd {
    /// Opens the descriptor of a process that has not been reaped. It is closed when a program is executed.
    ///
    /// # Errors
    /// There is no such process, the kernel is older than Linux 5.3, a filter of system calls refuses the call, or there are
    /// too many descriptors.
    pub fn open(pid: Pid) -> io::Result<PidFd> {
        // SAFETY: the call takes numbers and returns a new descriptor, which nothing else owns.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
        let fd = RawFd::try_from(fd).map_err(|_| io::Error::from(Errno::EBADF))?;
        // SAFETY: as above.
        Ok(PidFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// The process has ended, or may not be signalled.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open, and a null pointer means the same signal information as with kill(2).
        let sent =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.as_raw_fd(), signal as libc::c_int, no_info, 0) };
        Errno::result(sent).map(drop).map_err(Into::into)
    }

    /// Waits until the process has ended. It must be called within a Tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// The kernel refuses to watch another descriptor.
    pub async fn ended(self) -> io::Result<()> {
        // SAFETY: the descriptor is owned, stays open for as long as the wait lasts, and is never given away.
        let watched = unsafe { AsyncFd::register(self) }?;
        watched.readable().await.map(drop)
    }
}
