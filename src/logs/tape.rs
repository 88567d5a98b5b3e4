//! The buffer that a stream is read into, which also keeps the stream's last bytes.

use super::TAPE_SIZE;
use super::raised::LastException;

/// The minimum free space for a read, in bytes.
const MIN_READ: usize = 64 << 10;

/// A ring buffer. Bytes are read in at its head and taken out again, and stay as the record until they are
/// overwritten. Only an unfinished line is copied, once each time the buffer wraps around.
#[derive(Debug)]
pub(super) struct Tape {
    data: Box<[u8]>,
    /// The start of the bytes that were not taken out yet.
    taken: usize,
    /// The position up to which there is no line end.
    searched: usize,
    /// The position of the next byte.
    head: usize,
    /// The end of the record from before the last wrap-around.
    last_turn: usize,
    /// The last exception, which is kept in case much output follows it.
    exception: LastException,
}

impl Tape {
    pub(super) fn new() -> Tape {
        let data = vec![0; TAPE_SIZE].into_boxed_slice();
        Tape { data, taken: 0, searched: 0, head: 0, last_turn: 0, exception: LastException::new() }
    }

    /// Returns room for a read. It has at least [`MIN_READ`] bytes unless more than half of the buffer waits to be
    /// taken out.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.data.len() - self.head < MIN_READ && self.head - self.taken <= self.data.len() / 2 {
            self.last_turn = self.taken;
            self.data.copy_within(self.taken..self.head, 0);
            self.head -= self.taken;
            self.searched -= self.taken;
            self.taken = 0;
        }
        &mut self.data[self.head..]
    }

    /// Records that `length` bytes were read into the room.
    pub(super) fn advance(&mut self, length: usize) {
        self.head += length;
    }

    /// Returns the bytes that were not taken out yet.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.data[self.taken..self.head]
    }

    /// Returns the whole lines that wait. Returns everything that waits if it has become too long to be held back.
    pub(super) fn lines(&mut self) -> &[u8] {
        let line_end = memchr::memrchr(b'\n', &self.data[self.searched..self.head]);
        let end = line_end.map_or(self.taken, |end| self.searched + end + 1);
        // Otherwise there would be no room to read into, and a read of zero bytes looks like the end of the stream.
        let end = if self.head - end >= self.data.len() / 2 { self.head } else { end };
        self.searched = self.head;
        &self.data[self.taken..end]
    }

    /// Takes `length` bytes out.
    pub(super) fn take(&mut self, length: usize) {
        self.exception.search(&self.data[self.taken..self.taken + length]);
        self.taken += length;
    }

    /// Returns the record: the last bytes that came in, oldest first. If the last exception is older than them, it
    /// comes first.
    pub(super) fn record(&self) -> Vec<u8> {
        let older = self.data.get(self.head..self.last_turn).unwrap_or_default();
        let of_this_turn = &self.data[..self.head];
        let recorded = older.len() + self.taken;
        [self.exception.before(recorded), older, of_this_turn].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::Tape;

    /// Reads bytes in pieces of `size`, takes out lines, and returns the bytes that were taken out.
    fn run(tape: &mut Tape, input: &[u8], size: usize) -> Vec<u8> {
        let mut output = Vec::new();
        for piece in input.chunks(size) {
            let mut piece = piece;
            while !piece.is_empty() {
                let room = tape.room();
                assert!(!room.is_empty());
                let length = piece.len().min(room.len());
                room[..length].copy_from_slice(&piece[..length]);
                tape.advance(length);
                piece = &piece[length..];
                let lines = tape.lines().to_vec();
                output.extend_from_slice(&lines);
                tape.take(lines.len());
            }
        }
        output.extend_from_slice(tape.waiting());
        output
    }

    #[test]
    fn everything_comes_out_in_order_and_the_end_is_kept() {
        let numbered: Vec<u8> = (0..200_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let one_line = vec![b'x'; 3 << 20];
        let mut mixed = one_line.clone();
        for at in [10, 300_000, 300_001, 500_000, 1_000_000, 2_500_000] {
            mixed[at] = b'\n';
        }
        for input in [&numbered, &one_line, &mixed] {
            for size in [7, 4096, 65_536, 1 << 20] {
                let mut tape = Tape::new();
                assert!(run(&mut tape, input, size) == *input, "{size}");
                let record = tape.record();
                assert!(record.len() >= 128 << 10, "{size}: {}", record.len());
                assert!(input.ends_with(&record), "{size}");
            }
        }
    }

    #[test]
    fn the_last_exception_stays_in_the_record_whatever_follows() {
        let error = "Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: bad\n";
        let lines = |word: &str| (0..100_000).map(|n| format!("{word} {n}\n")).collect::<String>();
        let input = [lines("step"), "KeyError\n".to_owned(), error.to_owned(), lines("closing")].concat().into_bytes();
        for size in [7, 4096, 65_536, 1 << 20] {
            let mut tape = Tape::new();
            assert!(run(&mut tape, &input, size) == input, "{size}");
            let record = tape.record();
            let text = String::from_utf8_lossy(&record);
            assert!(text.starts_with(&format!("KeyError\n{error}closing 0\n")), "{size}: {text:.100}");
            assert!(text.ends_with("closing 99999\n"), "{size}");
            assert_eq!(text.matches(error).count(), 1);
        }
        // It is in the record already.
        let mut tape = Tape::new();
        run(&mut tape, error.as_bytes(), 7);
        assert_eq!(tape.record(), error.as_bytes());
    }
}
