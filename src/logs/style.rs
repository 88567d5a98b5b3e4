//! Changes to lines: a prefix, and progress bars that become lines.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{MAX_HELD, PARTIAL_LINE_DELAY, SHARED_PARTIAL_LINE_DELAY};

/// The changes that are made to the lines of a stream.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// The prefix of every line. Empty if there is a single rank.
    pub prefix: Vec<u8>,
    /// The interval at which a line that is redrawn with `\r` is passed on. With `None`, every state is passed on as
    /// it comes.
    pub progress_interval: Option<Duration>,
    /// True if other processes write lines to the same place. A line that stays unfinished for too long is then
    /// completed with a line end.
    pub is_shared: bool,
    /// The tags that tell the lines of several ranks in the stream apart. `None` if a single rank writes to the
    /// stream.
    pub tags: Option<Tags>,
    /// A function that changes each whole line before any other change.
    pub rewrite: Option<Rewrite>,
}

/// The tags of a stream's pieces: `[1,3]<stdout>:` before each (Open MPI 4; Open MPI 5 adds a blank). mpirun passes
/// on whatever it has read, so a tag can appear in the middle of another rank's line.
#[derive(Clone, Debug)]
pub struct Tags {
    /// The prefix of each rank's lines. A rank without a prefix is identified by its number.
    pub prefixes: Arc<[Vec<u8>]>,
    /// True if a blank follows each tag.
    pub has_blank: bool,
}

/// A function that maps a line, without its end, to the line that replaces it. `None` drops the line. It is called on
/// the relay's thread and must not wait.
#[derive(Clone)]
pub struct Rewrite(Arc<RewriteLine>);

type RewriteLine = dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync;

impl Rewrite {
    /// Makes a rewrite from a function.
    pub fn new(rewrite: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static) -> Rewrite {
        Rewrite(Arc::new(rewrite))
    }
}

impl fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rewrite")
    }
}

impl Style {
    /// Returns the time for which a line without an end is held back.
    pub(super) fn partial_line_delay(&self) -> Duration {
        if self.is_shared || self.tags.is_some() { SHARED_PARTIAL_LINE_DELAY } else { PARTIAL_LINE_DELAY }
    }

    /// Returns true if bytes are passed on unchanged.
    pub fn is_plain(&self) -> bool {
        let has_style = self.progress_interval.is_some() || self.rewrite.is_some() || self.tags.is_some();
        self.prefix.is_empty() && !self.is_shared && !has_style
    }
}

/// The state that turns the bytes of one writer into lines in a style.
#[derive(Debug)]
pub(super) struct Styler {
    style: Style,
    /// True if the beginning of the present line was already written.
    in_line: bool,
    /// True if the present line was redrawn with `\r`, which makes it a progress bar.
    is_bar: bool,
    /// The last state of a progress bar that was held back.
    held: Vec<u8>,
    /// True if the held state is complete, so that the next byte begins another one.
    is_complete: bool,
    /// The time at which a state of a progress bar was last passed on.
    shown: Option<Instant>,
    /// The beginning of a line that is waiting to be rewritten.
    begun: Vec<u8>,
}

impl Styler {
    pub(super) fn new(style: Style) -> Styler {
        Styler {
            style,
            in_line: false,
            is_bar: false,
            held: Vec::new(),
            is_complete: false,
            shown: None,
            begun: Vec::new(),
        }
    }

    /// Appends the lines of `input`, with their changes, to `output`. The last line may be unfinished.
    pub(super) fn style(&mut self, input: &[u8], now: Instant, output: &mut Vec<u8>) {
        let Some(rewrite) = self.style.rewrite.clone() else { return self.styled(input, now, output) };
        let mut rewritten = Vec::new();
        for line in lines(input) {
            self.begun.extend_from_slice(line);
            if line.ends_with(b"\n") || self.begun.len() > MAX_HELD {
                self.rewrite(&rewrite, &mut rewritten);
            }
        }
        self.styled(&rewritten, now, output);
    }

    /// Adds the replacement of the collected line.
    fn rewrite(&mut self, rewrite: &Rewrite, rewritten: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.begun);
        if let Some(line) = (rewrite.0)(line.strip_suffix(b"\n").unwrap_or(&line)) {
            rewritten.extend(line);
            rewritten.push(b'\n');
        }
    }

    fn styled(&mut self, input: &[u8], now: Instant, output: &mut Vec<u8>) {
        for line in lines(input) {
            match self.style.progress_interval {
                Some(interval) => self.progress_line(line, interval, now, output),
                None => self.line(line, output),
            }
        }
        if self.style.is_shared && self.in_line {
            output.push(b'\n');
            self.in_line = false;
        }
    }

    /// Adds the bytes that are still held back when the stream has ended.
    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        if let (Some(rewrite), false) = (self.style.rewrite.clone(), self.begun.is_empty()) {
            let mut rewritten = Vec::new();
            self.rewrite(&rewrite, &mut rewritten);
            self.styled(&rewritten, Instant::now(), output);
        }
        if !self.held.is_empty() {
            self.emit(output);
            output.push(b'\n');
        }
    }

    fn line(&mut self, line: &[u8], output: &mut Vec<u8>) {
        if !self.in_line {
            output.extend_from_slice(&self.style.prefix);
        }
        output.extend_from_slice(line);
        self.in_line = !line.ends_with(b"\n");
    }

    /// Adds a line whose progress bar states are separated by `\r`. Only one state per interval, and the last state,
    /// are written. A line that is not a progress bar is added unchanged.
    fn progress_line(&mut self, line: &[u8], interval: Duration, now: Instant, output: &mut Vec<u8>) {
        let (line, ended) = match line.strip_suffix(b"\n") {
            Some(line) => (line.strip_suffix(b"\r").unwrap_or(line), true),
            None => (line, false),
        };
        for (index, state) in line.split(|byte| *byte == b'\r').enumerate() {
            if index > 0 {
                self.complete_state(interval, now, output);
            }
            if self.in_line {
                output.extend_from_slice(state);
            } else if !state.is_empty() {
                if std::mem::take(&mut self.is_complete) {
                    self.held.clear();
                }
                self.held.extend_from_slice(state);
            }
            if self.held.len() > MAX_HELD {
                self.emit(output);
            }
        }
        match ended {
            true => self.end_line(output),
            false if !self.is_bar && !self.held.is_empty() => self.emit(output),
            false => {}
        }
    }

    /// Handles a `\r`.
    fn complete_state(&mut self, interval: Duration, now: Instant, output: &mut Vec<u8>) {
        self.is_bar = true;
        let due = self.shown.is_none_or(|shown| now.saturating_duration_since(shown) >= interval);
        if self.in_line {
            self.in_line = false;
            output.push(b'\n');
        } else if due && !self.held.is_empty() {
            self.shown = Some(now);
            self.emit(output);
            self.in_line = false;
            output.push(b'\n');
        }
        self.is_complete = true;
    }

    fn end_line(&mut self, output: &mut Vec<u8>) {
        // The last state may have been written already.
        if !self.in_line && (!self.held.is_empty() || !self.is_bar) {
            self.emit(output);
        }
        if self.in_line {
            output.push(b'\n');
        }
        (self.in_line, self.is_bar, self.is_complete) = (false, false, false);
    }

    /// Begins a line with the held bytes.
    fn emit(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.style.prefix);
        output.append(&mut self.held);
        self.in_line = true;
    }
}

/// Returns the lines in some bytes, each with its end. The last line may be unfinished.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    let ends = memchr::memchr_iter(b'\n', bytes).map(|end| end + 1);
    let rest = (!bytes.is_empty() && !bytes.ends_with(b"\n")).then_some(bytes.len());
    ends.chain(rest).map(move |end| &bytes[std::mem::replace(&mut from, end)..end])
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Rewrite, Style, Styler};

    /// Returns what is written at once.
    impl Styler {
        fn styled_at(&mut self, input: &[u8], now: Instant) -> Vec<u8> {
            let mut output = Vec::new();
            self.style(input, now, &mut output);
            output
        }

        fn finished(&mut self) -> Vec<u8> {
            let mut output = Vec::new();
            self.finish(&mut output);
            output
        }
    }

    #[test]
    fn lines_are_rewritten_whole_or_left_out() {
        let rewrite = Rewrite::new(|line| (line != b"no").then(|| [b"<", line, b">"].concat()));
        let mut styler = Styler::new(Style { prefix: b"> ".to_vec(), rewrite: Some(rewrite), ..Style::default() });
        let now = Instant::now();
        let output =
            [styler.styled_at(b"a\nno\nhal", now), styler.styled_at(b"f\nend", now), styler.finished()].concat();
        assert_eq!(String::from_utf8_lossy(&output), "> <a>\n> <half>\n> <end>\n");
    }

    #[test]
    fn a_line_that_stays_without_an_end_is_ended_where_others_write_too() {
        let style = Style { prefix: b"[algo-1:0] ".to_vec(), is_shared: true, ..Style::default() };
        let mut styler = Styler::new(style);
        let now = Instant::now();
        let output = [styler.styled_at(b"half", now), styler.styled_at(b" line\n", now), styler.finished()].concat();
        assert_eq!(output, b"[algo-1:0] half\n[algo-1:0]  line\n");
    }

    #[test]
    fn every_line_gets_its_prefix_once() {
        let mut styler = Styler::new(Style { prefix: b"[algo-1:10] ".to_vec(), ..Style::default() });
        let now = Instant::now();
        let output =
            [styler.styled_at(b"a\n\nhalf", now), styler.styled_at(b" line\nb\n", now), styler.finished()].concat();
        let expected = b"[algo-1:10] a\n[algo-1:10] \n[algo-1:10] half line\n[algo-1:10] b\n";
        assert_eq!(output, expected);
    }

    #[test]
    fn a_progress_bar_becomes_a_line_in_each_interval() {
        let interval = Duration::from_secs(5);
        let mut styler = Styler::new(Style { progress_interval: Some(interval), ..Style::default() });
        let start = Instant::now();
        let mut output = Vec::new();
        for percent in 0..=100 {
            let now = start + Duration::from_millis(100 * percent);
            output.extend(styler.styled_at(format!("\r{percent}%").as_bytes(), now));
        }
        output.extend(styler.styled_at(b"\ndone\r\n", start + interval * 3));
        output.extend(styler.styled_at(b"in ", start + interval * 3));
        output.extend(styler.styled_at(b"parts\n", start + interval * 3));
        output.extend(styler.styled_at(b"\rnew 1%\rnew 2%", start + interval * 3));
        output.extend(styler.finished());
        assert_eq!(String::from_utf8(output).expect("text"), "0%\n50%\n100%\ndone\nin parts\nnew 1%\nnew 2%\n");
    }

    #[test]
    fn what_is_no_progress_bar_is_not_held_back() {
        let mut styler = Styler::new(Style {
            prefix: b"> ".to_vec(),
            progress_interval: Some(Duration::from_secs(5)),
            ..Style::default()
        });
        let now = Instant::now();
        let mut styled = |input: &[u8]| String::from_utf8(styler.styled_at(input, now)).expect("text");
        assert_eq!(styled(b"Continue? "), "> Continue? ");
        assert_eq!(styled(b"yes\n\n"), "yes\n> \n");
        assert_eq!(styled(b"working"), "> working");
        assert_eq!(styled(b"\r1%\r2%"), "\n> 1%\n", "it was one after all");
        assert_eq!(styled(b"\r3%\r"), "");
        assert_eq!(styled(b"\n"), "> 3%\n", "a line that ends as on Windows");
        assert_eq!(styled(b"a\r"), "");
        let later = now + Duration::from_secs(9);
        assert_eq!(styler.styled_at(b"b\r", later), b"> b\n");
        assert_eq!(styler.styled_at(b"\n", later), b"", "its last state is out already");
        let long = styler.styled_at(&[b"\r", &[b'x'; 100_000][..]].concat(), later);
        assert_eq!(long.len(), 100_002, "memory is bounded");
        assert_eq!(styler.styled_at(b"yz\n", later), b"yz\n");
        assert_eq!(styler.finished(), b"");
    }
}
