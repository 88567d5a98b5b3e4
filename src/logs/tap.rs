//! A tap beside the relay: subscribers get whole lines with their process, stream and time.
//!
//! The relay copies what it has passed on into a queue of bounded size and goes on. A thread of the tap splits it into lines and
//! hands them to the subscribers. A subscriber that falls behind never delays the relay: if the queue is full, lines are
//! dropped, counted, and reported to the subscribers and in the log.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::stream::StreamId;
use super::style::Tags;
use super::tags::TagReader;
use crate::event::{Moment, Process, Stream};
use crate::system::kernel;

/// The maximum size of the lines that wait for the subscribers, in bytes.
const QUEUE_SIZE: usize = 1 << 20;

/// The size of the waiting lines above which the subscribers receive them at once, in bytes.
const BATCH_SIZE: usize = QUEUE_SIZE / 16;

/// The time for which fewer lines wait for more, because waking the thread costs as much as searching 20 KiB.
const BATCH_TIME: Duration = Duration::from_millis(5);

/// The maximum length of a line, in bytes. The rest of a longer line is handed over as a line of its own.
const MAX_LINE: usize = 64 << 10;

/// Lines that a process wrote.
#[derive(Clone, Copy, Debug)]
pub struct TappedLines<'a> {
    /// The process: a rank, a launcher, a service or a tool.
    pub process: &'a Process,
    /// The prefix that footplate writes before each of the lines. Empty if there is none.
    pub prefix: &'a str,
    /// The stream.
    pub stream: Stream,
    /// The time at which the relay passed the lines on.
    pub at: Moment,
    /// The bytes as the process wrote them, with the ends of lines. Only the last line of a stream may lack its end,
    /// and a line that is too long is handed over in parts.
    pub text: &'a [u8],
}

/// A receiver of lines.
pub trait LineSubscriber: Send {
    /// Takes whole lines.
    fn lines(&mut self, lines: &TappedLines<'_>);

    /// Takes the number of lines that were dropped before the next ones, because the subscribers had fallen behind.
    fn dropped(&mut self, lines: u64);

    /// Does work that can be put off until no lines wait.
    fn idle(&mut self) {}

    /// Ends the subscriber. No lines follow.
    fn end(&mut self) {}
}

/// The writer of a stream.
#[derive(Debug, Default)]
pub(super) struct StreamWriter {
    pub(super) process: Process,
    /// The prefix of its lines.
    pub(super) prefix: String,
    /// The tags that tell the lines of several ranks apart.
    pub(super) tags: Option<Tags>,
}

/// The relay's end of a tap. The tap ends when its last clone is dropped.
#[derive(Clone, Debug)]
pub struct Tap {
    queue: Arc<TapQueue>,
    /// Ends the thread when the last clone is dropped.
    _open: Arc<Open>,
}

#[derive(Debug)]
struct Open(Arc<TapQueue>);

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.0.state).is_closed = true;
        self.0.changed.notify_all();
    }
}

#[derive(Debug, Default)]
struct TapQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    pieces: VecDeque<Piece>,
    /// The size of the waiting bytes.
    size: usize,
    /// The number of lines dropped since the last queued piece.
    dropped: u64,
    /// True if the tap accepts nothing more.
    is_closed: bool,
    /// True if the thread has ended.
    has_ended: bool,
    /// Dropped when the thread ends.
    waiting: Option<oneshot::Sender<()>>,
}

/// Bytes that a process wrote.
#[derive(Debug)]
struct Piece {
    id: StreamId,
    writer: Arc<StreamWriter>,
    at: Instant,
    bytes: Vec<u8>,
    /// The number of lines dropped before this piece.
    dropped: u64,
    /// True if the stream has ended with this piece.
    is_last: bool,
}

impl Tap {
    /// Starts the thread that hands lines to the subscribers. `subscribers` makes them on that thread.
    pub fn start(subscribers: impl FnOnce() -> Vec<Box<dyn LineSubscriber>> + Send + 'static) -> io::Result<Tap> {
        let queue = Arc::new(TapQueue::default());
        let open = Arc::new(Open(Arc::clone(&queue)));
        let served = Arc::clone(&queue);
        kernel::spawn_thread("tap", None, move || serve(&served, subscribers()))?;
        Ok(Tap { queue, _open: open })
    }

    /// Lets the subscribers receive all lines so far, and ends them. Later lines are not handed over. The returned
    /// receiver completes when they have ended.
    pub fn finish(&self) -> oneshot::Receiver<()> {
        let (sender, ended) = oneshot::channel();
        let mut state = lock(&self.queue.state);
        state.is_closed = true;
        if !state.has_ended {
            state.waiting = Some(sender);
        }
        self.queue.changed.notify_all();
        ended
    }

    /// Queues bytes of a stream, or drops and counts the lines if the subscribers have fallen behind. Never waits for
    /// a subscriber.
    pub(super) fn pass(&self, id: StreamId, writer: &Arc<StreamWriter>, bytes: &[u8], is_last: bool) {
        let mut state = lock(&self.queue.state);
        if state.is_closed {
            return;
        }
        if state.size + bytes.len() > QUEUE_SIZE {
            state.dropped += memchr::memchr_iter(b'\n', bytes).count() as u64;
            if !is_last {
                return;
            }
        }
        let was_empty = state.pieces.is_empty();
        let bytes = if state.size + bytes.len() > QUEUE_SIZE { Vec::new() } else { bytes.to_vec() };
        state.size += bytes.len();
        let dropped = std::mem::take(&mut state.dropped);
        state.pieces.push_back(Piece { id, writer: Arc::clone(writer), at: Instant::now(), bytes, dropped, is_last });
        let is_due = was_empty || state.size >= BATCH_SIZE;
        drop(state);
        if is_due {
            self.queue.changed.notify_all();
        }
    }
}

/// Hands lines to the subscribers until the tap is closed and empty.
fn serve(queue: &TapQueue, mut subscribers: Vec<Box<dyn LineSubscriber>>) {
    let mut readers: BTreeMap<(usize, usize, bool), LineReader> = BTreeMap::new();
    let mut all_dropped = 0;
    while let Some(piece) = next(queue, &mut subscribers) {
        let Piece { id, writer, at, bytes, dropped, is_last } = piece;
        if dropped > 0 {
            all_dropped += dropped;
            // The dropped lines may have contained the beginning of the next line.
            readers.clear();
            subscribers.iter_mut().for_each(|subscriber| subscriber.dropped(dropped));
        }
        let stream = if id.is_stderr { Stream::Stderr } else { Stream::Stdout };
        let at = Moment::of(at);
        let mut hand_over = |process: &Process, prefix: &str, text: &[u8]| {
            let lines = TappedLines { process, prefix, stream, at, text };
            subscribers.iter_mut().for_each(|subscriber| subscriber.lines(&lines));
        };
        let key = (id.process, id.part, id.is_stderr);
        let reader = readers.entry(key).or_insert_with(|| LineReader::new(writer.tags.as_ref()));
        reader.read(&bytes, is_last, |rank, text| match (rank, &writer.tags) {
            (Some(rank), Some(tags)) => {
                hand_over(&Process::Rank(rank), &String::from_utf8_lossy(&tags.prefix(rank)), text);
            }
            _ => hand_over(&writer.process, &writer.prefix, text),
        });
        if is_last {
            readers.remove(&key);
        }
    }
    if all_dropped > 0 {
        tracing::warn!(
            "{all_dropped} lines of the script were passed on without being looked at: there were too many at once"
        );
    }
    subscribers.iter_mut().for_each(|subscriber| subscriber.end());
    let mut state = lock(&queue.state);
    (state.has_ended, state.waiting) = (true, None);
}

/// Splits the bytes of a stream into lines, and keeps its unfinished lines.
enum LineReader {
    /// The stream of one process, with its unfinished line.
    OfOne(Vec<u8>),
    /// The stream of several ranks, whose lines are tagged. The unfinished lines are those of each rank, and that of the process
    /// of the stream itself.
    Tagged { reader: TagReader, unfinished: BTreeMap<Option<usize>, Vec<u8>> },
}

impl LineReader {
    fn new(tags: Option<&Tags>) -> LineReader {
        match tags {
            Some(tags) => LineReader::Tagged { reader: TagReader::new(tags), unfinished: BTreeMap::new() },
            None => LineReader::OfOne(Vec::new()),
        }
    }

    /// Calls `hand_over` with the lines that the input completes, and with the rank in their tags. They include unfinished lines if
    /// the input is the last.
    fn read(&mut self, input: &[u8], is_last: bool, mut hand_over: impl FnMut(Option<usize>, &[u8])) {
        let (reader, unfinished) = match self {
            LineReader::OfOne(unfinished) => {
                return read_untagged(unfinished, input, is_last, |text| hand_over(None, text));
            }
            LineReader::Tagged { reader, unfinished } => (reader, unfinished),
        };
        let mut take = |rank: Option<usize>, piece: &[u8]| {
            let line = unfinished.entry(rank).or_default();
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") || line.len() >= MAX_LINE {
                hand_over(rank, line);
                line.clear();
            }
        };
        reader.read(input, &mut take);
        if is_last {
            reader.flush(&mut take);
            let rests = std::mem::take(unfinished).into_iter().filter(|(_, line)| !line.is_empty());
            rests.for_each(|(rank, line)| hand_over(rank, &line));
        }
    }
}

/// Calls `hand_over` with the lines that the input completes. Whole lines of the input are not copied.
fn read_untagged(unfinished: &mut Vec<u8>, input: &[u8], is_last: bool, mut hand_over: impl FnMut(&[u8])) {
    let whole = memchr::memrchr(b'\n', input).map_or(0, |end| end + 1);
    let (lines, rest) = input.split_at(whole);
    if unfinished.is_empty() {
        if !lines.is_empty() {
            hand_over(lines);
        }
    } else if !lines.is_empty() {
        let mut begun = std::mem::take(unfinished);
        begun.extend_from_slice(lines);
        hand_over(&begun);
    }
    unfinished.extend_from_slice(rest);
    if !unfinished.is_empty() && (is_last || unfinished.len() >= MAX_LINE) {
        hand_over(unfinished);
        unfinished.clear();
    }
}

/// Waits for the next piece. Before it waits, it lets the subscribers do work that they have put off. `None` if the
/// tap is closed and empty.
fn next(queue: &TapQueue, subscribers: &mut [Box<dyn LineSubscriber>]) -> Option<Piece> {
    let mut state = lock(&queue.state);
    if state.pieces.is_empty() {
        drop(state);
        subscribers.iter_mut().for_each(|subscriber| subscriber.idle());
        state = lock(&queue.state);
        let is_empty = |state: &mut QueueState| state.pieces.is_empty() && !state.is_closed;
        state = queue.changed.wait_while(state, is_empty).unwrap_or_else(PoisonError::into_inner);
        let is_small = |state: &mut QueueState| state.size < BATCH_SIZE && !state.is_closed;
        let waited = queue.changed.wait_timeout_while(state, BATCH_TIME, is_small);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    let piece = state.pieces.pop_front()?;
    state.size -= piece.bytes.len();
    Some(piece)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::{LineSubscriber, MAX_LINE, QUEUE_SIZE, StreamWriter, Tags, Tap, TappedLines};
    use crate::event::Process;
    use crate::logs::StreamId;

    /// A subscriber that reports what it receives, and waits before its first line until it is allowed to go on.
    struct Slow {
        gate: Option<mpsc::Receiver<()>>,
        told: mpsc::Sender<String>,
    }

    impl LineSubscriber for Slow {
        fn lines(&mut self, lines: &TappedLines<'_>) {
            if let Some(gate) = self.gate.take() {
                gate.recv().expect("opened");
            }
            for line in lines.text.split_inclusive(|byte| *byte == b'\n') {
                let text = String::from_utf8_lossy(&line[..line.len().min(20)]);
                self.told
                    .send(format!("{} {:?} {}", lines.process, lines.stream, text.trim_end_matches('\n')))
                    .expect("taken");
            }
        }

        fn dropped(&mut self, lines: u64) {
            self.told.send(format!("dropped {lines}")).expect("taken");
        }
    }

    fn id(part: usize) -> StreamId {
        StreamId { process: 0, part, is_stderr: part == 1, attempt: 0 }
    }

    fn next(told: &mpsc::Receiver<String>) -> String {
        told.recv_timeout(Duration::from_secs(60)).expect("a line")
    }

    #[test]
    fn lines_arrive_whole_with_their_process_and_stream() {
        let (told, lines) = mpsc::channel();
        let tap = Tap::start(|| vec![Box::new(Slow { gate: None, told })]).expect("started");
        let writer = |rank| Arc::new(StreamWriter { process: Process::Rank(rank), ..StreamWriter::default() });
        let (zero, one) = (writer(0), writer(1));
        tap.pass(id(0), &zero, b"a\nhalf", false);
        tap.pass(id(1), &one, b"other\n", false);
        tap.pass(id(0), &zero, b" and half\n", false);
        tap.pass(id(1), &one, b"no end", true);
        tap.pass(id(0), &zero, &vec![b'x'; MAX_LINE + 3], true);
        drop(tap);
        let expected = [
            "rank 0 Stdout a",
            "rank 1 Stderr other",
            "rank 0 Stdout half and half",
            "rank 1 Stderr no end",
            "rank 0 Stdout xxxxxxxxxxxxxxxxxxxx",
        ];
        for line in expected {
            assert_eq!(next(&lines), line);
        }
        assert!(lines.recv_timeout(Duration::from_secs(60)).is_err(), "the tap has ended");
    }

    #[test]
    fn lines_of_a_stream_with_tags_are_those_of_its_ranks() {
        let (told, lines) = mpsc::channel();
        let tap = Tap::start(|| vec![Box::new(Slow { gate: None, told })]).expect("started");
        let tags = Tags { prefixes: vec![b"[algo-1:0] ".to_vec()].into(), has_blank: false };
        let process = Process::Launcher("mpirun".into());
        let mpirun = Arc::new(StreamWriter { process, tags: Some(tags), ..StreamWriter::default() });
        tap.pass(id(0), &mpirun, b"its own\n[1,0]<stdout>:loss: [1,1]<stdout>:f1\n[1,0]<std", false);
        tap.pass(id(0), &mpirun, b"out>:0.5\n[1,1]<stdout>:no end[1", true);
        drop(tap);
        for line in ["mpirun Stdout its own", "rank 1 Stdout f1", "rank 0 Stdout loss: 0.5", "rank 1 Stdout no end[1"] {
            assert_eq!(next(&lines), line);
        }
        assert!(lines.recv_timeout(Duration::from_secs(60)).is_err(), "the tap has ended");
    }

    #[test]
    fn a_subscriber_that_falls_behind_loses_lines_that_are_counted() {
        let (open, gate) = mpsc::channel();
        let (told, lines) = mpsc::channel();
        let tap = Tap::start(|| vec![Box::new(Slow { gate: Some(gate), told })]).expect("started");
        let rank = Arc::new(StreamWriter { process: Process::Rank(0), ..StreamWriter::default() });
        tap.pass(id(0), &rank, b"first\n", false);
        // Fills the queue while the subscriber waits. None of this blocks.
        for _ in 0..40 {
            tap.pass(id(0), &rank, &[b'\n'; QUEUE_SIZE / 16], false);
        }
        open.send(()).expect("waits");
        assert_eq!(next(&lines), "rank 0 Stdout first");
        let mut seen = 0;
        while seen < QUEUE_SIZE / 16 * 15 {
            assert_eq!(next(&lines), "rank 0 Stdout ");
            seen += 1;
        }
        // Dropped lines are reported before the next line.
        tap.pass(id(0), &rank, b"last\n", false);
        drop(tap);
        let mut dropped = 0;
        while let Ok(line) = lines.recv_timeout(Duration::from_secs(60)) {
            if let Some(count) = line.strip_prefix("dropped ") {
                dropped += count.parse::<usize>().expect("a number");
            } else if line == "rank 0 Stdout " {
                seen += 1;
            }
        }
        assert_eq!(dropped + seen, 40 * QUEUE_SIZE / 16);
    }
}
