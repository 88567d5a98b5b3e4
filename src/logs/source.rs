//! A stream that the relay's thread reads.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::last_words::TracebackProgress;
use super::pulse::Pulse;
use super::stream::{AwaitedText, Relayed, StreamId, StreamNews};
use super::styled::StyledStream;
use super::tap::StreamWriter;
use super::tape::Tape;
use crate::event::Moment;

/// The size of the pipes between a process and footplate, in bytes. A larger pipe needs fewer turns for a fast writer.
/// This is the maximum that Linux allows without privileges.
const PIPE_SIZE: i32 = 1 << 20;

/// A function that receives the facts about a stream, on the relay's thread.
pub(super) type OnStreamNews = Box<dyn FnMut(StreamNews) + Send>;

/// The condition that ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// The stream ends when all its writers have closed it.
    ByWriters,
    /// The stream ends when no more bytes are available at once.
    WhenEmpty,
}

/// A stream with its buffer.
pub(super) struct Source {
    pub(super) id: StreamId,
    pub(super) writer: Arc<StreamWriter>,
    pub(super) fd: OwnedFd,
    pub(super) tape: Tape,
    pub(super) styler: StyledStream,
    pub(super) tell: OnStreamNews,
    /// The text whose appearance is to be reported, and how often it must still appear.
    awaited: Option<(memchr::memmem::Finder<'static>, usize)>,
    /// The progress of the search for a traceback at the end of the stream, if a traceback is to be reported.
    pub(super) last_words: Option<TracebackProgress>,
    /// The number of line ends, and of bytes, read so far.
    lines: u64,
    bytes: u64,
    /// The time of the last bytes.
    pub(super) last_output: Option<Instant>,
    /// The time of the last bytes, shared with `Pulses`.
    pulse: Arc<Pulse>,
    /// True if there may be something to read.
    pub(super) ready: bool,
    pub(super) closing: Closing,
    /// The number of bytes that may still be read even if no reader takes them. Set once the process has ended. It
    /// never exceeds the capacity of the pipe, because another process may write without end.
    pub(super) ahead: Option<usize>,
    /// The time at which the unfinished line is passed on.
    pub(super) partial_due: Option<Instant>,
}

impl Source {
    pub(super) fn new(stream: Relayed, tell: OnStreamNews, pulse: Arc<Pulse>) -> Source {
        let Relayed { id, writer, source: fd, style, awaited, reports_last_words } = stream;
        // Without it, reading would block the other streams. Pipes always accept it.
        let _ = fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        // The kernel refuses this if the user already has many pipes. Reading is slower then.
        let _ = fcntl(&fd, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
        Source {
            id,
            writer: Arc::new(StreamWriter {
                process: writer,
                prefix: String::from_utf8_lossy(&style.prefix).into_owned(),
                tags: style.tags.clone(),
            }),
            fd,
            tape: Tape::new(),
            styler: StyledStream::new(style),
            tell,
            awaited: awaited
                .map(|AwaitedText { text, times }| (memchr::memmem::Finder::new(&text).into_owned(), times)),
            last_words: reports_last_words.then(TracebackProgress::default),
            lines: 0,
            bytes: 0,
            last_output: None,
            pulse,
            ready: true,
            closing: Closing::ByWriters,
            ahead: None,
            partial_due: None,
        }
    }

    /// Counts bytes that were read. Returns true if the stream must end now and no more of it may be read.
    pub(super) fn note(&mut self, length: usize) -> bool {
        if self.last_output.is_none() {
            (self.tell)(StreamNews::Began { id: self.id, at: Moment::now() });
        }
        let now = Instant::now();
        self.last_output = Some(now);
        self.pulse.beat(now);
        self.bytes += length as u64;
        self.ahead = self.ahead.map(|left| left.saturating_sub(length));
        self.closing == Closing::WhenEmpty && self.ahead == Some(0)
    }

    /// Inspects bytes before they are passed on: whole lines, or a line that is passed on unfinished.
    pub(super) fn inspect(&mut self, length: usize) {
        let passed = &self.tape.waiting()[..length];
        self.lines += memchr::memchr_iter(b'\n', passed).count() as u64;
        if let Some(words) = &mut self.last_words {
            words.take(passed, Instant::now());
        }
        let Some((text, left)) = &mut self.awaited else { return };
        *left = left.saturating_sub(text.find_iter(passed).count());
        if *left == 0 {
            self.awaited = None;
            (self.tell)(StreamNews::Matched { id: self.id });
        }
    }

    /// Allows the rest in the pipe to be read even if no reader takes it.
    pub(super) fn read_ahead(&mut self) {
        let size = fcntl(&self.fd, FcntlArg::F_GETPIPE_SZ).ok().and_then(|size| usize::try_from(size).ok());
        self.ahead = size.or(Some(PIPE_SIZE as usize));
        self.ready = true;
    }

    /// Ends the stream when no more bytes are available at once.
    pub(super) fn close(&mut self) {
        if self.closing == Closing::ByWriters {
            self.read_ahead();
            self.closing = Closing::WhenEmpty;
        }
    }

    /// Reports that the stream has ended.
    pub(super) fn end(mut self) {
        let record = self.styler.readable(self.tape.record());
        let Source { id, lines, bytes, last_output, .. } = self;
        let last_output = last_output.map(Moment::of);
        (self.tell)(StreamNews::Ended { id, record, lines, bytes, last_output });
    }
}
