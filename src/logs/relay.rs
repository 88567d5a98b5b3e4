//! The thread that reads the processes' pipes and writes to standard output and error.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::stream::{Relayed, StreamId, StreamNews};
use super::styled::StyledStream;
use super::tap::Tap;
use super::tape::Tape;
use crate::event::{Moment, Process};
use crate::kernel;

/// The size of the pipes between a process and footplate, in bytes. A larger pipe needs fewer turns for a fast writer.
/// This is the maximum that Linux allows without privileges.
const PIPE_SIZE: i32 = 1 << 20;

/// The size of the thread's stack, in bytes.
const STACK_SIZE: usize = 256 << 10;

/// A function that takes the facts about a stream, on the relay's thread.
type Tell = Box<dyn FnMut(StreamNews) + Send>;

/// A request to the thread.
enum Command {
    Add(Box<Relayed>, Tell),
    Tap(Tap),
    Message(Vec<u8>),
    Close(StreamId),
    Finish,
}

/// A handle of the relay.
///
/// The thread starts with the first program. Until then, whoever has a message writes it.
#[derive(Clone, Debug)]
pub struct Relay {
    state: Arc<Mutex<State>>,
    written: Arc<AtomicU64>,
}

#[derive(Debug)]
enum State {
    Idle(Destinations),
    Running { commands: Sender<Command>, wake: Arc<EventFd>, ended: Receiver<()> },
    Ended,
}

/// Standard output and error.
type Destinations = [Destination; 2];

impl Relay {
    /// Makes a relay to this process's standard output and error.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> io::Result<Relay> {
        Ok(Relay::writing_to([io::stdout().as_fd().try_clone_to_owned()?, io::stderr().as_fd().try_clone_to_owned()?]))
    }

    fn writing_to(streams: [OwnedFd; 2]) -> Relay {
        let state = State::Idle(streams.map(Destination::new));
        Relay { state: Arc::new(Mutex::new(state)), written: Arc::new(AtomicU64::new(0)) }
    }

    /// Starts the thread, unless it runs.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn begin(&self) -> io::Result<()> {
        let mut state = self.lock();
        *state = match std::mem::replace(&mut *state, State::Ended) {
            State::Idle(destinations) => start(destinations, Arc::clone(&self.written))?,
            other => other,
        };
        Ok(())
    }

    /// Reads a stream to its end. `tell` is called on the relay's thread, which must have been started, and must not block.
    pub fn add(&self, stream: Relayed, tell: impl FnMut(StreamNews) + Send + 'static) {
        self.lock().send(Command::Add(Box::new(stream), Box::new(tell)));
    }

    /// Copies all further lines of processes into a tap. The thread must have been started.
    pub fn tap(&self, tap: Tap) {
        self.lock().send(Command::Tap(tap));
    }

    /// Writes a message of footplate's own, one or more whole lines, to standard error.
    pub fn message(&self, message: Vec<u8>) {
        match &mut *self.lock() {
            State::Idle([_, stderr]) => stderr.write(&message, &self.written),
            state => state.send(Command::Message(message)),
        }
    }

    /// Ends a stream after what can be read of it at once, although others still hold its other end.
    pub fn close(&self, id: StreamId) {
        self.lock().send(Command::Close(id));
    }

    /// Returns the number of bytes that were written so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Ends the thread when everything is written, or when the reader has taken nothing for as long as `patience`.
    /// Returns true if everything was written.
    pub fn finish(&self, patience: Duration) -> bool {
        let state = std::mem::replace(&mut *self.lock(), State::Ended);
        state.send(Command::Finish);
        let State::Running { ended, .. } = state else { return true };
        loop {
            let before = self.written();
            match ended.recv_timeout(patience) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) if self.written() == before => return false,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    /// Once the thread has ended, nothing can be written any more.
    fn send(&self, command: Command) {
        if let State::Running { commands, wake, .. } = self
            && commands.send(command).is_ok()
        {
            let _ = wake.write(1);
        }
    }
}

/// Starts the thread.
fn start(destinations: Destinations, written: Arc<AtomicU64>) -> io::Result<State> {
    let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
    let (commands, receiver) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let mut thread = Thread {
        receiver,
        wake: Arc::clone(&wake),
        written,
        destinations,
        sources: Vec::new(),
        styled: Vec::new(),
        finishing: false,
        tap: None,
    };
    // No signal is handled there, and the SIGPIPE of a write to a closed pipe stays with the thread, so that a SIGPIPE that
    // reaches a handler was sent by somebody.
    kernel::spawn_thread("relay", Some(STACK_SIZE), move || {
        thread.run();
        // The receiver may be gone: then nobody waits.
        let _ = end.send(());
    })?;
    Ok(State::Running { commands, wake, ended })
}

struct Source {
    id: StreamId,
    writer: Arc<Process>,
    fd: OwnedFd,
    tape: Tape,
    styler: StyledStream,
    tell: Tell,
    /// The text to report a line of, until one was found.
    awaited: Option<memchr::memmem::Finder<'static>>,
    /// The number of line ends and of bytes so far.
    lines: u64,
    bytes: u64,
    /// The time of the last bytes.
    last_output: Option<Instant>,
    /// True if there may be something to read.
    ready: bool,
    /// The number of bytes that may still be read before the stream is ended. Set if it is to end when nothing more can
    /// be read at once; no more than the pipe holds, because somebody may write without end.
    closing: Option<usize>,
    /// The time at which the waiting unfinished line is passed on.
    partial_due: Option<Instant>,
}

impl Source {
    /// Counts bytes that were read.
    fn note(&mut self, length: usize) {
        if self.last_output.is_none() {
            (self.tell)(StreamNews::Began { id: self.id, at: Moment::now() });
        }
        self.last_output = Some(Instant::now());
        self.bytes += length as u64;
    }

    /// Looks at whole lines, or at what is passed on without an end of line, before it is passed on.
    fn look(&mut self, length: usize) {
        let passed = &self.tape.waiting()[..length];
        self.lines += memchr::memchr_iter(b'\n', passed).count() as u64;
        if self.awaited.as_ref().is_some_and(|awaited| awaited.find(passed).is_some()) {
            self.awaited = None;
            (self.tell)(StreamNews::Matched { id: self.id });
        }
    }

    fn close(&mut self) {
        let size = fcntl(&self.fd, FcntlArg::F_GETPIPE_SZ).ok().and_then(|size| usize::try_from(size).ok());
        self.closing = self.closing.or(size).or(Some(PIPE_SIZE as usize));
        self.ready = true;
    }
}

#[derive(Debug)]
struct Destination {
    fd: OwnedFd,
    /// The first error of a write.
    error: Option<Errno>,
    /// True if it will never be written to again.
    is_gone: bool,
}

impl Destination {
    fn new(fd: OwnedFd) -> Destination {
        Destination { fd, error: None, is_gone: false }
    }

    /// Writes everything, waiting as long as it takes. Bytes that cannot be written are dropped.
    fn write(&mut self, mut bytes: &[u8], written: &AtomicU64) {
        while !bytes.is_empty() && !self.is_gone {
            match nix::unistd::write(&self.fd, bytes) {
                Ok(length) => {
                    written.fetch_add(length as u64, Ordering::Relaxed);
                    bytes = &bytes[length..];
                }
                Err(Errno::EINTR) => {}
                // A process that shares the stream made it non-blocking.
                Err(Errno::EAGAIN) => {
                    let _ = poll(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE);
                }
                Err(error) => {
                    self.error = self.error.or(Some(error));
                    // A full disk may have room again.
                    self.is_gone = !matches!(error, Errno::ENOSPC | Errno::EDQUOT);
                    return;
                }
            }
        }
    }
}

struct Thread {
    receiver: Receiver<Command>,
    wake: Arc<EventFd>,
    written: Arc<AtomicU64>,
    destinations: Destinations,
    sources: Vec<Source>,
    /// The bytes that are about to be written. The memory is reused.
    styled: Vec<u8>,
    finishing: bool,
    tap: Option<Tap>,
}

impl Thread {
    fn run(&mut self) {
        loop {
            self.obey();
            let progressed = self.read_ready();
            self.flush_partial_lines();
            if progressed {
                continue;
            }
            if self.finishing && self.sources.is_empty() {
                return;
            }
            self.wait();
        }
    }

    fn obey(&mut self) {
        while let Ok(command) = self.receiver.try_recv() {
            match command {
                Command::Add(stream, tell) => self.add(*stream, tell),
                Command::Tap(tap) => self.tap = Some(tap),
                Command::Message(message) => self.destinations[1].write(&message, &self.written),
                Command::Close(id) => {
                    self.sources.iter_mut().filter(|source| source.id == id).for_each(Source::close);
                }
                Command::Finish => {
                    self.finishing = true;
                    self.sources.iter_mut().for_each(Source::close);
                }
            }
        }
    }

    fn add(&mut self, stream: Relayed, tell: Tell) {
        let Relayed { id, writer, source: fd, style, awaited } = stream;
        // Without it, reading would block the other streams. Pipes always accept it.
        let _ = fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        // Refused if the user has many pipes already. Then reading is slower.
        let _ = fcntl(&fd, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
        self.sources.push(Source {
            id,
            writer: Arc::new(writer),
            fd,
            tape: Tape::new(),
            styler: StyledStream::new(style),
            tell,
            awaited: awaited.map(|text| memchr::memmem::Finder::new(&text).into_owned()),
            lines: 0,
            bytes: 0,
            last_output: None,
            ready: true,
            closing: None,
            partial_due: None,
        });
    }

    /// Reads once from each stream that is ready. Returns true if any of them had something.
    fn read_ready(&mut self) -> bool {
        let mut progressed = false;
        let mut index = 0;
        while index < self.sources.len() {
            let source = &mut self.sources[index];
            let mut ended = false;
            if source.ready {
                match nix::unistd::read(&source.fd, source.tape.room()) {
                    Ok(0) => ended = true,
                    Ok(length) => {
                        source.tape.advance(length);
                        source.note(length);
                        source.closing = source.closing.map(|left| left.saturating_sub(length));
                        ended = source.closing == Some(0);
                        self.pass_on(index, false);
                        progressed = true;
                    }
                    Err(Errno::EAGAIN) => (source.ready, ended) = (false, source.closing.is_some()),
                    Err(Errno::EINTR) => progressed = true,
                    Err(_) => ended = true,
                }
            }
            if ended { self.end(index) } else { index += 1 }
        }
        progressed
    }

    /// Writes the whole lines that wait, or all that waits.
    fn pass_on(&mut self, index: usize, all: bool) {
        let source = &mut self.sources[index];
        let destination = &mut self.destinations[usize::from(source.id.is_stderr)];
        let was_whole = destination.error.is_none();
        let bytes = if all { source.tape.waiting() } else { source.tape.lines() };
        let length = bytes.len();
        if source.styler.is_plain() {
            destination.write(bytes, &self.written)
        } else {
            self.styled.clear();
            source.styler.style(bytes, Instant::now(), &mut self.styled);
            if all && source.styler.holds_lines() {
                source.styler.flush(Instant::now(), &mut self.styled);
            }
            destination.write(&self.styled, &self.written);
        }
        source.look(length);
        if let Some(tap) = &self.tap {
            tap.pass(source.id, &source.writer, &source.tape.waiting()[..length], false);
        }
        source.tape.take(length);
        source.partial_due = if source.tape.waiting().is_empty() && !source.styler.holds_lines() {
            None
        } else {
            source.partial_due.or_else(|| Some(Instant::now() + source.styler.partial_line_delay()))
        };
        if let (true, Some(error)) = (was_whole, destination.error) {
            let name = ["standard output", "standard error"][usize::from(source.id.is_stderr)];
            tracing::warn!(
                "{name} cannot be written to ({}): what the script writes there is read and dropped",
                error.desc()
            );
        }
    }

    fn flush_partial_lines(&mut self) {
        if self.sources.iter().all(|source| source.partial_due.is_none()) {
            return;
        }
        let now = Instant::now();
        for index in 0..self.sources.len() {
            if self.sources[index].partial_due.is_some_and(|due| due <= now) {
                self.sources[index].partial_due = None;
                self.pass_on(index, true);
            }
        }
    }

    fn end(&mut self, index: usize) {
        self.pass_on(index, true);
        let mut source = self.sources.remove(index);
        self.styled.clear();
        source.styler.finish(&mut self.styled);
        self.destinations[usize::from(source.id.is_stderr)].write(&self.styled, &self.written);
        if let Some(tap) = &self.tap {
            tap.pass(source.id, &source.writer, &[], true);
        }
        let record = source.styler.readable(source.tape.record());
        let Source { id, lines, bytes, last_output, .. } = source;
        let last_output = last_output.map(Moment::of);
        (source.tell)(StreamNews::Ended { id, record, lines, bytes, last_output });
    }

    /// Waits until a stream can be read, a command comes, or an unfinished line is due.
    fn wait(&mut self) {
        let due = self.sources.iter().filter_map(|source| source.partial_due).min();
        let timeout = match due.map(|due| due.saturating_duration_since(Instant::now())) {
            None => PollTimeout::NONE,
            // Rounded up to milliseconds, or the loop would spin.
            Some(left) => PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::NONE),
        };
        let sources = self.sources.iter().map(|source| source.fd.as_fd());
        let descriptors = std::iter::once(self.wake.as_fd()).chain(sources);
        let mut polled: Vec<PollFd<'_>> = descriptors.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        if poll(&mut polled, timeout).is_err() {
            return;
        }
        let ready: Vec<bool> = polled.iter().map(|polled| polled.any().unwrap_or(true)).collect();
        if ready[0] {
            let _ = self.wake.read();
        }
        for (source, ready) in self.sources.iter_mut().zip(&ready[1..]) {
            source.ready = *ready;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::os::fd::OwnedFd;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{Relay, Relayed, StreamId, StreamNews};
    use crate::event::Process;
    use crate::logs::Style;

    #[test]
    fn a_stream_that_somebody_writes_to_without_end_is_closed_all_the_same() {
        let null = || OwnedFd::from(OpenOptions::new().write(true).open("/dev/null").expect("opened"));
        let relay = Relay::writing_to([null(), null()]);
        relay.begin().expect("started");
        let id = StreamId { process: 0, part: 0, is_stderr: false, attempt: 0 };
        let (sender, ended) = mpsc::channel();
        // There is always something to read.
        let endless = File::open("/dev/zero").expect("opened");
        let tell = move |news| {
            if let StreamNews::Ended { id, .. } = news {
                sender.send(id).expect("sent");
            }
        };
        let (writer, style) = (Process::default(), Style::default());
        relay.add(Relayed { id, writer, source: endless.into(), style, awaited: None }, tell);
        relay.close(id);
        assert_eq!(ended.recv_timeout(Duration::from_secs(30)), Ok(id));
        assert!(relay.finish(Duration::from_secs(30)));
    }
}
