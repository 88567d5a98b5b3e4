//! The thread that reads the processes' pipes and writes to standard output and error.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::oneshot;

use super::destination::Destinations;
use super::pulse::Pulses;
use super::source::{Closing, OnStreamNews, Source};
use super::stream::{Relayed, StreamId, StreamNews};
use super::tally::Tally;
use super::tap::Tap;
use crate::system::kernel;

/// The size of the thread's stack, in bytes.
const STACK_SIZE: usize = 256 << 10;

/// The interval at which [`Relay::finish_within`] checks if the thread has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// A request to the thread.
enum Command {
    Add(Box<Relayed>, OnStreamNews),
    Tap(Tap),
    Message(Vec<u8>),
    Draw(Vec<u8>, Sender<()>),
    ReadAhead(StreamId),
    Close(StreamId),
    Finish,
}

/// A handle of the relay. No call waits for a reader of standard output or error.
#[derive(Clone, Debug)]
pub struct Relay {
    state: Arc<Mutex<State>>,
    tally: Arc<Tally>,
    pulses: Pulses,
}

#[derive(Debug)]
enum State {
    Running { commands: Sender<Command>, wake: Arc<EventFd>, ended: oneshot::Receiver<()> },
    Ended,
}

impl Relay {
    /// Starts a relay to this process's standard output and error.
    ///
    /// # Errors
    /// No descriptors are left, or the thread cannot be started.
    pub fn start() -> io::Result<Relay> {
        Relay::writing_to([io::stdout().as_fd().try_clone_to_owned()?, io::stderr().as_fd().try_clone_to_owned()?])
    }

    fn writing_to(streams: [OwnedFd; 2]) -> io::Result<Relay> {
        let tally = Arc::new(Tally::default());
        let pulses = Pulses::default();
        let state = start(streams, Arc::clone(&tally), pulses.clone())?;
        Ok(Relay { state: Arc::new(Mutex::new(state)), tally, pulses })
    }

    /// Reads a stream to its end. `tell` is called on the relay's thread and must not block.
    pub fn add(&self, stream: Relayed, tell: impl FnMut(StreamNews) + Send + 'static) {
        self.lock().send(Command::Add(Box::new(stream), Box::new(tell)));
    }

    /// Copies all further lines of processes into a tap.
    pub fn tap(&self, tap: Tap) {
        self.lock().send(Command::Tap(tap));
    }

    /// Writes one of footplate's own messages, which consists of whole lines, to standard error. If the reader takes
    /// nothing and many messages are waiting already, the message is dropped and counted.
    pub fn message(&self, message: Vec<u8>) {
        if self.tally.admit(message.len()) {
            self.lock().send(Command::Message(message));
        }
    }

    /// Writes control sequences for the terminal to standard output, between two pieces of output. The returned channel is closed
    /// once everything is written.
    pub fn draw(&self, sequences: Vec<u8>) -> Receiver<()> {
        let (drawn, receiver) = mpsc::channel();
        if !sequences.is_empty() {
            self.lock().send(Command::Draw(sequences, drawn));
        }
        receiver
    }

    /// Lets the relay read what waits in a stream even if no reader takes it, because the process that wrote it has
    /// ended and its last words are evidence.
    pub fn read_ahead(&self, id: StreamId) {
        self.lock().send(Command::ReadAhead(id));
    }

    /// Ends a stream after reading what is available at once, even if other processes still hold its writing end.
    pub fn close(&self, id: StreamId) {
        self.lock().send(Command::Close(id));
    }

    /// Returns the times at which processes last wrote something.
    pub fn pulses(&self) -> Pulses {
        self.pulses.clone()
    }

    /// Returns the number of bytes that were written so far.
    pub fn written(&self) -> u64 {
        self.tally.written.load(Ordering::Relaxed)
    }

    /// Ends the thread as soon as everything is written, and then closes the returned channel.
    pub fn finish(&self) -> oneshot::Receiver<()> {
        let state = std::mem::replace(&mut *self.lock(), State::Ended);
        state.send(Command::Finish);
        match state {
            State::Running { ended, .. } => ended,
            // The sender is dropped: nothing is left to wait for.
            State::Ended => oneshot::channel().1,
        }
    }

    /// Ends the thread as soon as everything is written, and waits for that. Stops waiting when the readers have
    /// taken nothing for `patience`.
    pub fn finish_within(&self, patience: Duration) {
        let mut ended = self.finish();
        let (mut written, mut until) = (self.written(), Instant::now() + patience);
        while ended.try_recv() == Err(oneshot::error::TryRecvError::Empty) && Instant::now() < until {
            std::thread::sleep(LOOK_INTERVAL);
            if self.written() != written {
                (written, until) = (self.written(), Instant::now() + patience);
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
fn start(streams: [OwnedFd; 2], tally: Arc<Tally>, pulses: Pulses) -> io::Result<State> {
    let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
    let (commands, receiver) = mpsc::channel();
    let (end, ended) = oneshot::channel();
    let mut thread = Thread {
        receiver,
        wake: Arc::clone(&wake),
        tally,
        pulses,
        destinations: Destinations::new(streams),
        sources: Vec::new(),
        styled: Vec::new(),
        messages: 0,
        drawn: Vec::new(),
        finishing: false,
        taps: Vec::new(),
    };
    // No signal is handled on this thread. A SIGPIPE from a write to a closed pipe, or a SIGXFSZ from a write beyond
    // the limit of a file's size, stays with this thread. So any such signal that reaches a handler was sent by
    // another process.
    kernel::spawn_thread("relay", Some(STACK_SIZE), move || {
        thread.run();
        // The receiver may be gone if nobody waits.
        let _ = end.send(());
    })?;
    Ok(State::Running { commands, wake, ended })
}

struct Thread {
    receiver: Receiver<Command>,
    wake: Arc<EventFd>,
    tally: Arc<Tally>,
    pulses: Pulses,
    destinations: Destinations,
    sources: Vec<Source>,
    /// A buffer for the bytes to write next, which is reused.
    styled: Vec<u8>,
    /// The size of the messages that are still to be written, in bytes.
    messages: usize,
    /// The channels to close once everything is written.
    drawn: Vec<Sender<()>>,
    finishing: bool,
    taps: Vec<Tap>,
}

impl Thread {
    fn run(&mut self) {
        loop {
            self.obey();
            let progressed = self.destinations.push(&self.tally) | self.read_ready();
            self.flush_partial_lines();
            self.report_last_words();
            self.dismiss_messages();
            if self.destinations.is_empty(false) {
                self.drawn.clear();
            }
            if progressed {
                continue;
            }
            if self.finishing && self.sources.is_empty() && self.destinations.are_empty() {
                return;
            }
            self.wait();
        }
    }

    fn obey(&mut self) {
        while let Ok(command) = self.receiver.try_recv() {
            match command {
                Command::Add(stream, tell) => {
                    let pulse = self.pulses.add(&stream.writer);
                    self.sources.push(Source::new(*stream, tell, pulse));
                }
                Command::Tap(tap) => self.taps.push(tap),
                Command::Message(message) => {
                    self.messages += message.len();
                    self.destinations.of(true).put(&message, &self.tally);
                }
                Command::Draw(sequences, drawn) => {
                    self.destinations.of(false).put(&sequences, &self.tally);
                    self.drawn.push(drawn);
                }
                Command::ReadAhead(id) => self.of(id).for_each(Source::read_ahead),
                Command::Close(id) => self.of(id).for_each(Source::close),
                Command::Finish => {
                    self.finishing = true;
                    self.sources.iter_mut().for_each(Source::close);
                }
            }
        }
    }

    fn of(&mut self, id: StreamId) -> impl Iterator<Item = &mut Source> {
        self.sources.iter_mut().filter(move |source| source.id == id)
    }

    /// Removes written messages from the count of waiting ones.
    fn dismiss_messages(&mut self) {
        if self.messages == 0 || !self.destinations.is_empty(true) {
            return;
        }
        let left_out = self.tally.dismiss(std::mem::take(&mut self.messages));
        if left_out > 0 {
            tracing::warn!("{left_out} messages of footplate were left out here: the log was not read in time");
        }
    }

    /// Reads once from each ready stream whose reader keeps up or whose process has ended. Returns true if any of
    /// them had data.
    fn read_ready(&mut self) -> bool {
        let mut progressed = false;
        let mut index = 0;
        while index < self.sources.len() {
            let may_read = may_read(&self.sources[index], &self.destinations);
            let source = &mut self.sources[index];
            let mut ended = false;
            if source.ready && may_read {
                match nix::unistd::read(&source.fd, source.tape.room()) {
                    Ok(0) => ended = true,
                    Ok(length) => {
                        source.tape.advance(length);
                        ended = source.note(length);
                        self.pass_on(index, false);
                        progressed = true;
                    }
                    Err(Errno::EAGAIN) => (source.ready, ended) = (false, source.closing == Closing::WhenEmpty),
                    Err(Errno::EINTR) => progressed = true,
                    Err(_) => ended = true,
                }
            }
            if ended { self.end(index) } else { index += 1 }
        }
        progressed
    }

    /// Writes the whole lines that wait, or everything that waits if `all` is true.
    fn pass_on(&mut self, index: usize, all: bool) {
        let source = &mut self.sources[index];
        let destination = self.destinations.of(source.id.is_stderr);
        let was_whole = destination.error().is_none();
        let bytes = if all { source.tape.waiting() } else { source.tape.lines() };
        let length = bytes.len();
        if source.styler.is_plain() {
            destination.put(bytes, &self.tally)
        } else {
            self.styled.clear();
            source.styler.style(bytes, Instant::now(), &mut self.styled);
            if all && source.styler.holds_lines() {
                source.styler.flush(Instant::now(), &mut self.styled);
            }
            destination.put(&self.styled, &self.tally);
        }
        source.inspect(length);
        for tap in &self.taps {
            tap.pass(source.id, &source.writer, &source.tape.waiting()[..length], false);
        }
        source.tape.take(length);
        source.partial_due = if source.tape.waiting().is_empty() && !source.styler.holds_lines() {
            None
        } else {
            source.partial_due.or_else(|| Some(Instant::now() + source.styler.partial_line_delay()))
        };
        if let (true, Some(error)) = (was_whole, destination.error()) {
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

    /// Reports the streams that end in a traceback, if their processes have written nothing to any stream since.
    fn report_last_words(&mut self) {
        if self.sources.iter().all(|source| source.last_words.is_none()) {
            return;
        }
        let now = Instant::now();
        for index in 0..self.sources.len() {
            let is_due = self.sources[index].last_words.and_then(|words| words.due()).is_some_and(|due| due <= now);
            if !is_due {
                continue;
            }
            let id = self.sources[index].id;
            let is_other = |source: &Source| StreamId { is_stderr: id.is_stderr, ..source.id } == id && source.id != id;
            let others = self.sources.iter().filter(|source| is_other(source));
            let elsewhere = others.filter_map(|source| source.last_output).max();
            let source = &mut self.sources[index];
            let Some(words) = &mut source.last_words else { continue };
            if let Some(at) = elsewhere {
                words.wrote_elsewhere(at);
            }
            if let Some(silence) = words.report(now) {
                (source.tell)(StreamNews::LastWords { id, silence });
            }
        }
    }

    fn end(&mut self, index: usize) {
        self.pass_on(index, true);
        let mut source = self.sources.remove(index);
        self.styled.clear();
        source.styler.finish(&mut self.styled);
        self.destinations.of(source.id.is_stderr).put(&self.styled, &self.tally);
        for tap in &self.taps {
            tap.pass(source.id, &source.writer, &[], true);
        }
        source.end();
    }

    /// Waits until a stream can be read, waiting bytes can be written, a command comes, or an unfinished line is due.
    fn wait(&mut self) {
        let words = self.sources.iter().filter_map(|source| source.last_words?.due());
        let due = self.sources.iter().filter_map(|source| source.partial_due).chain(words).min();
        let timeout = match due.map(|due| due.saturating_duration_since(Instant::now())) {
            None => PollTimeout::NONE,
            // Rounded up to milliseconds, or the loop would spin.
            Some(left) => PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::NONE),
        };
        let read: Vec<usize> =
            (0..self.sources.len()).filter(|at| may_read(&self.sources[*at], &self.destinations)).collect();
        let to_read = std::iter::once(self.wake.as_fd()).chain(read.iter().map(|at| self.sources[*at].fd.as_fd()));
        let to_write = self.destinations.blocked().map(|fd| PollFd::new(fd, PollFlags::POLLOUT));
        let mut polled: Vec<PollFd<'_>> =
            to_read.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).chain(to_write).collect();
        if poll(&mut polled, timeout).is_err() {
            return;
        }
        let ready: Vec<bool> = polled.iter().map(|polled| polled.any().unwrap_or(true)).collect();
        if ready[0] {
            let _ = self.wake.read();
        }
        for (at, ready) in read.into_iter().zip(&ready[1..]) {
            self.sources[at].ready = *ready;
        }
    }
}

/// Returns true if a stream may be read: either its reader has taken everything so far, or its process has ended and
/// the rest is evidence.
fn may_read(source: &Source, destinations: &Destinations) -> bool {
    source.ahead.is_some_and(|left| left > 0) || destinations.is_empty(source.id.is_stderr)
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use std::thread::sleep;
    use std::time::Duration;

    use super::{Relay, Relayed, StreamId, StreamNews};
    use crate::event::Process;
    use crate::logs::Style;

    fn null() -> OwnedFd {
        OpenOptions::new().write(true).open("/dev/null").expect("opened").into()
    }

    fn pipe() -> (File, OwnedFd) {
        let (read, write) = nix::unistd::pipe().expect("a pipe");
        (read.into(), write)
    }

    #[test]
    fn a_reader_that_takes_a_little_now_and_then_gets_everything() {
        const SIZE: usize = 300_000;
        let (pipe_reader, pipe_writer) = pipe();
        // A socket cannot be opened a second time, so this covers the other way to write.
        let (socket_reader, socket_writer) = UnixStream::pair().expect("a socket");
        let readers: [(Box<dyn Read + Send>, OwnedFd); 2] =
            [(Box::new(pipe_reader), pipe_writer), (Box::new(socket_reader), socket_writer.into())];
        for (mut reader, writer) in readers {
            let relay = Relay::writing_to([null(), writer]).expect("started");
            relay.message(vec![b'x'; SIZE / 2]);
            let (source, mut script) = pipe();
            let id = StreamId { process: 0, part: 0, is_stderr: true, attempt: 0 };
            let (sender, ended) = mpsc::channel();
            let tell = move |news| {
                if let StreamNews::Ended { record, .. } = news {
                    sender.send(record).expect("sent");
                }
            };
            let stream = Relayed {
                id,
                writer: Process::default(),
                source: source.into(),
                style: Style::default(),
                awaited: None,
                reports_last_words: false,
            };
            relay.add(stream, tell);
            nix::fcntl::fcntl(&script, nix::fcntl::FcntlArg::F_SETPIPE_SZ(1 << 20)).expect("a larger pipe");
            File::from(script.try_clone().expect("cloned")).write_all(&vec![b'y'; SIZE / 2]).expect("written");
            // The last words are read although nobody has taken anything yet.
            relay.read_ahead(id);
            script = null();
            let record = ended.recv_timeout(Duration::from_secs(30)).expect("it was read");
            assert!(record == vec![b'y'; SIZE / 2], "{} bytes", record.len());
            drop(script);
            let taking = std::thread::spawn(move || {
                let (mut taken, mut buffer) = (Vec::new(), [0; 2500]);
                while let Ok(length @ 1..) = reader.read(&mut buffer) {
                    taken.extend_from_slice(&buffer[..length]);
                    sleep(Duration::from_millis(10));
                }
                taken
            });
            // This is much less than the time that the whole output takes.
            relay.finish_within(Duration::from_millis(400));
            let taken = taking.join().expect("read");
            assert!(taken == [vec![b'x'; SIZE / 2], vec![b'y'; SIZE / 2]].concat(), "{} bytes", taken.len());
        }
    }

    #[test]
    fn messages_that_nobody_reads_take_a_bounded_amount_of_memory() {
        let (mut reader, writer) = pipe();
        let relay = Relay::writing_to([null(), writer]).expect("started");
        for _ in 0..10_000 {
            relay.message(vec![b'm'; 1000]);
        }
        let taking = std::thread::spawn(move || {
            let mut taken = Vec::new();
            reader.read_to_end(&mut taken).expect("read");
            taken
        });
        relay.finish_within(Duration::from_secs(30));
        let taken = taking.join().expect("read").len();
        assert!((200_000..2_000_000).contains(&taken), "{taken}");
    }

    #[test]
    fn a_stream_that_somebody_writes_to_without_end_is_closed_all_the_same() {
        let relay = Relay::writing_to([null(), null()]).expect("started");
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
        relay
            .add(Relayed { id, writer, source: endless.into(), style, awaited: None, reports_last_words: false }, tell);
        relay.close(id);
        assert_eq!(ended.recv_timeout(Duration::from_secs(30)), Ok(id));
        assert!(relay.finish().blocking_recv().is_ok());
    }
}
