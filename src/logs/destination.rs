//! Standard output and error, written to without ever waiting for their readers.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, fstat};

use super::tally::Tally;

/// The number of bytes that a pipe takes without blocking once poll(2) has reported it as writable (`PIPE_BUF`,
/// pipe(7)).
const PIECE: usize = 4096;

/// The way in which footplate writes without waiting for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteMode {
    /// A pipe or a terminal that footplate has opened a second time, so that no other process shares the flag
    /// `O_NONBLOCK`.
    NonBlocking,
    /// A socket, or a pipe that cannot be opened a second time. footplate writes one small piece each time poll(2)
    /// reports it as writable.
    Pieces,
    /// A file or a device, which has no reader to wait for.
    Whole,
}

/// A file, pipe or terminal to write to, and the bytes that its reader has not taken yet.
#[derive(Debug)]
pub(super) struct Destination {
    fd: OwnedFd,
    way: WriteMode,
    waiting: VecDeque<u8>,
    /// The first error of a write.
    error: Option<Errno>,
    /// True if nothing will ever be written to it again.
    is_gone: bool,
}

/// Standard output and error.
#[derive(Debug)]
pub(super) struct Destinations {
    /// A single one if both streams lead to the same pipe, socket or terminal, because the rest of a line must be
    /// written before the next line of the other stream.
    all: Vec<Destination>,
}

impl Destinations {
    pub(super) fn new(streams: [OwnedFd; 2]) -> Destinations {
        let identity = |fd: &OwnedFd| fstat(fd).ok().map(|found| (found.st_dev, found.st_ino, found.st_rdev));
        let identities = [identity(&streams[0]), identity(&streams[1])];
        let mut all: Vec<Destination> = streams.map(Destination::new).into();
        let is_one = identities[0].is_some() && identities[0] == identities[1];
        if is_one && all.iter().all(|destination| destination.way != WriteMode::Whole) {
            all.truncate(1);
        }
        Destinations { all }
    }

    /// Returns the destination of standard error or of standard output.
    pub(super) fn of(&mut self, is_stderr: bool) -> &mut Destination {
        let at = usize::from(is_stderr).min(self.all.len() - 1);
        &mut self.all[at]
    }

    /// Returns true if a stream's reader has taken everything that was written so far.
    pub(super) fn is_empty(&self, is_stderr: bool) -> bool {
        self.all[usize::from(is_stderr).min(self.all.len() - 1)].waiting.is_empty()
    }

    /// Returns true if no destination has bytes waiting.
    pub(super) fn are_empty(&self) -> bool {
        self.all.iter().all(|destination| destination.waiting.is_empty())
    }

    /// Writes the waiting bytes as far as the readers take them. Returns true if a reader took some.
    pub(super) fn push(&mut self, tally: &Tally) -> bool {
        self.all.iter_mut().filter_map(|destination| destination.push(tally).then_some(())).count() > 0
    }

    /// Returns the descriptors of destinations whose readers take nothing at present.
    pub(super) fn blocked(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.all.iter().filter(|destination| !destination.waiting.is_empty()).map(|destination| destination.fd.as_fd())
    }
}

impl Destination {
    fn new(fd: OwnedFd) -> Destination {
        let kind = fstat(&fd).map_or(0, |found| found.st_mode & libc::S_IFMT);
        let (fd, way) = match kind {
            libc::S_IFSOCK => (fd, WriteMode::Pieces),
            _ if kind == libc::S_IFIFO || fd.is_terminal() => match opened_again(&fd) {
                Ok(own) => (own, WriteMode::NonBlocking),
                // There is no /proc, or the pipe belongs to another user.
                Err(_) => (fd, WriteMode::Pieces),
            },
            _ => (fd, WriteMode::Whole),
        };
        Destination { fd, way, waiting: VecDeque::new(), error: None, is_gone: false }
    }

    /// Returns the first error of a write.
    pub(super) fn error(&self) -> Option<Errno> {
        self.error
    }

    /// Writes bytes, and keeps those that the reader does not take at once. Bytes that cannot be written are dropped.
    pub(super) fn put(&mut self, bytes: &[u8], tally: &Tally) {
        let taken = if self.waiting.is_empty() { self.write(bytes, tally) } else { 0 };
        if !self.is_gone {
            self.waiting.extend(&bytes[taken..]);
        }
    }

    fn push(&mut self, tally: &Tally) -> bool {
        let before = self.waiting.len();
        while !self.waiting.is_empty() {
            let mut waiting = std::mem::take(&mut self.waiting);
            let (first, _) = waiting.as_slices();
            let (length, taken) = (first.len(), self.write(first, tally));
            waiting.drain(..taken);
            self.waiting = if self.is_gone { VecDeque::new() } else { waiting };
            if taken < length {
                break;
            }
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to(PIECE);
        }
        self.waiting.len() < before
    }

    /// Writes as much as is taken at once, and returns how much that was. Bytes that cannot be written count as taken.
    fn write(&mut self, bytes: &[u8], tally: &Tally) -> usize {
        let mut done = 0;
        while done < bytes.len() && !self.is_gone {
            if self.way == WriteMode::Pieces && !self.is_writable() {
                return done;
            }
            let end = if self.way == WriteMode::Pieces { bytes.len().min(done + PIECE) } else { bytes.len() };
            match nix::unistd::write(&self.fd, &bytes[done..end]) {
                Ok(length) => {
                    tally.written.fetch_add(length as u64, Ordering::Relaxed);
                    done += length;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return done,
                Err(error) => {
                    self.error = self.error.or(Some(error));
                    // A full disk may have free space again later.
                    self.is_gone = !matches!(error, Errno::ENOSPC | Errno::EDQUOT);
                    return bytes.len();
                }
            }
        }
        bytes.len()
    }

    fn is_writable(&self) -> bool {
        let mut polled = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).is_ok_and(|count| count > 0)
    }
}

/// Opens a pipe or a terminal a second time, for writing without blocking. A pipe in packet mode stays in it.
fn opened_again(fd: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL)?) & OFlag::O_DIRECT;
    let flags = flags | OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(open(format!("/proc/self/fd/{}", fd.as_raw_fd()).as_str(), flags, Mode::empty())?)
}
