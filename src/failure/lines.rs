//! From the bytes that processes wrote to clean lines: no colours, no carriage returns, no prefixes of ranks.
//!
//! Lines of several ranks may be mixed in one text. A rank's prefix is taken off, and the line is counted to that
//! rank's [`Stream`], so that a traceback can be read from one stream even where other ranks wrote in between.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

/// How much of a text is read, from its end, in bytes.
const READ_BYTES: usize = crate::supervise::RECORD_SIZE;

/// More streams than this are not told apart: no job has as many ranks in one text.
const MOST_STREAMS: usize = 2048;

/// The first line of every traceback.
pub(super) const TRACEBACK: &str = "Traceback (most recent call last):";

/// What a process wrote, line by line.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) lines: Vec<Line>,
    /// Who wrote: the first stream is that of the lines without a prefix.
    pub(super) streams: Vec<Stream>,
    /// The lines of each stream, by index.
    of_stream: Vec<Vec<usize>>,
}

/// A line without colours, prefix and trailing white space.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    /// Index in [`Log::streams`].
    pub(super) stream: usize,
}

/// One of those whose lines are mixed in a text, by its prefix.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    pub(super) host: Option<String>,
    pub(super) rank: Option<usize>,
    pub(super) local_rank: Option<usize>,
}

/// Terminal escapes: CSI (colours, cursor), OSC (titles, links), and the two-character ones.
static ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\x1b(?:\[[\x20-\x3f]*[@-~]?|\][^\x07\x1b]*(?:\x07|\x1b\\)|[^\[\]\x1b])?").expect("a valid pattern")
});

/// `[rank0]: ` of torch's exception hook, `[default0]:` of torchrun --tee, `[1,0]<stderr>:` of Open MPI, and our own
/// `[algo-1:3] `.
///
/// The space after the prefix goes only where its writer always puts one; otherwise it is the line's own indentation.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?:\[rank(?P<rank>\d+)\]: ?|\[default(?P<local>\d+)\]:|\[\d+,(?P<mpi>\d+)\]<std(?:err|out|diag)>:",
        r"|\[(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*):(?P<ours>\d+)\](?: |$))",
    ))
    .expect("a valid pattern")
});

/// A host as the platform and its local mode name them.
static HOST: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^algo-\d+(?:-[a-z0-9]+)?$").expect("a valid pattern"));

impl Log {
    /// The lines of `bytes`, or of the end of them. `host` is the name of the host they come from, if it is known: it
    /// may stand in our own prefix.
    pub(super) fn read(bytes: &[u8], host: Option<&str>) -> Log {
        let bytes = &bytes[bytes.len().saturating_sub(READ_BYTES)..];
        let text = String::from_utf8_lossy(bytes);
        let mut log = Log { lines: Vec::new(), streams: vec![Stream::default()], of_stream: Vec::new() };
        let mut known = HashMap::new();
        for line in text.split('\n') {
            // A terminal would show only what follows the last carriage return, but an error message may stand
            // before it: every part is a line.
            let mut parts = line.split('\r').filter(|part| !part.trim().is_empty()).peekable();
            if parts.peek().is_none() {
                log.lines.push(Line { text: String::new(), stream: 0 });
            }
            for part in parts {
                log.push(&plain(part), host, &mut known);
            }
        }
        log.of_stream = vec![Vec::new(); log.streams.len()];
        for (at, line) in log.lines.iter().enumerate() {
            log.of_stream[line.stream].push(at);
        }
        log
    }

    /// The indices of the lines of one stream, from a line on.
    pub(super) fn of_stream(&self, stream: usize, from: usize) -> &[usize] {
        let lines = &self.of_stream[stream];
        &lines[lines.partition_point(|&at| at < from)..]
    }

    /// The text of a line.
    pub(super) fn text(&self, index: usize) -> &str {
        &self.lines[index].text
    }

    fn push(&mut self, line: &str, host: Option<&str>, known: &mut HashMap<String, usize>) {
        let mut stream = Stream::default();
        let mut text = line;
        // At most one prefix of each kind: torchrun's and, inside it, torch's own.
        for _ in 0..3 {
            let Some(found) = PREFIX.captures(text) else { break };
            let part = |name| found.name(name).map(|part| part.as_str());
            let number = |name| part(name).and_then(|digits| digits.parse::<usize>().ok());
            if let Some(name) = part("host") {
                if host != Some(name) && !HOST.is_match(name) {
                    break;
                }
                stream.host = Some(name.to_owned());
            }
            stream.rank = number("rank").or(number("mpi")).or(number("ours")).or(stream.rank);
            stream.local_rank = number("local").or(stream.local_rank);
            text = &text[found[0].len()..];
        }
        let stream = self.stream(stream, known);
        // A progress bar or a logger may stand before the first line of a traceback.
        if let Some(at) = text.find(TRACEBACK)
            && at > 0
            && !known_before_traceback(&text[..at])
        {
            self.lines.push(Line { text: text[..at].trim_end().to_owned(), stream });
            text = &text[at..];
        }
        self.lines.push(Line { text: text.trim_end().to_owned(), stream });
    }

    fn stream(&mut self, stream: Stream, known: &mut HashMap<String, usize>) -> usize {
        if stream.host.is_none() && stream.rank.is_none() && stream.local_rank.is_none() {
            return 0;
        }
        // torch's own prefix names the rank within what torchrun prefixes with the local rank: one stream.
        let key = match (stream.local_rank, stream.rank) {
            (Some(local), _) => format!("{:?} local {local}", stream.host),
            (None, rank) => format!("{:?} {rank:?}", stream.host),
        };
        if known.len() == MOST_STREAMS && !known.contains_key(&key) {
            return 0;
        }
        let index = *known.entry(key).or_insert_with(|| {
            self.streams.push(stream.clone());
            self.streams.len() - 1
        });
        if self.streams[index].rank.is_none() {
            self.streams[index].rank = stream.rank;
        }
        index
    }
}

/// What may stand before `Traceback …` as a part of the format itself: indentation, the margin of an exception group,
/// `Original ` of torch's data loader, `traceback : ` of torchrun's report.
fn known_before_traceback(before: &str) -> bool {
    let margin = before.trim_end_matches("Original ").trim_end_matches("Exception Group ");
    let margin = margin.trim_end_matches("traceback : ");
    margin.chars().all(|c| matches!(c, ' ' | '\t' | '|' | '+'))
}

/// `line` without terminal escapes and other control characters.
fn plain(line: &str) -> Cow<'_, str> {
    if !line.contains(|c: char| c.is_control() && c != '\t') {
        return Cow::Borrowed(line);
    }
    let mut line = ESCAPE.replace_all(line, "").into_owned();
    line.retain(|c| c == '\t' || !c.is_control());
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::{Log, READ_BYTES};

    fn read(text: &str) -> Vec<(String, usize)> {
        Log::read(text.as_bytes(), None).lines.into_iter().map(|line| (line.text, line.stream)).collect()
    }

    fn texts(text: &str) -> Vec<String> {
        read(text).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn colours_links_and_control_characters_go() {
        assert_eq!(texts("\x1b[1;31mValueError\x1b[0m: \x1b[35mbad\x1b[0m"), ["ValueError: bad"]);
        assert_eq!(texts("a\x1b]8;;http://x\x1b\\b\x1b]8;;\x07c\x1b(Bd\x08\x00\t|\x1b"), ["abcBd\t|"]);
        assert_eq!(texts("open \x1b]8;;never closed"), ["open ]8;;never closed"]);
    }

    #[test]
    fn carriage_returns_end_lines_and_windows_line_ends_are_one() {
        assert_eq!(texts("10%\r20%\rbad\r\n\r\nend"), ["10%", "20%", "bad", "", "end"]);
    }

    #[test]
    fn prefixes_of_ranks_are_taken_off_and_remembered() {
        let log = Log::read(
            b"[rank12]:   File\n[rank12]:\n[1,3]<stderr>:  x\n[default1]:[rank5]: y\n[algo-2:7] z\n[train.py:7] w",
            None,
        );
        let lines: Vec<_> = log.lines.iter().map(|line| (line.text.as_str(), line.stream)).collect();
        assert_eq!(lines, [("  File", 1), ("", 1), ("  x", 2), ("y", 3), ("z", 4), ("[train.py:7] w", 0)]);
        let ranks: Vec<_> = log.streams.iter().map(|stream| (stream.rank, stream.local_rank)).collect();
        assert_eq!(ranks, [(None, None), (Some(12), None), (Some(3), None), (Some(5), Some(1)), (Some(7), None)]);
        assert_eq!(log.streams[4].host.as_deref(), Some("algo-2"));
    }

    #[test]
    fn our_own_prefix_is_known_by_the_hosts_name() {
        let text = "[trainer-0:1] x";
        assert_eq!(Log::read(text.as_bytes(), None).lines[0].text, text);
        assert_eq!(Log::read(text.as_bytes(), Some("trainer-0")).lines[0].text, "x");
    }

    #[test]
    fn a_traceback_begins_its_own_line() {
        let header = "Traceback (most recent call last):";
        assert_eq!(texts(&format!(" 50%|##   | 5/10 [00:01<00:01, 4it/s]{header}"))[1], header);
        assert_eq!(texts(&format!("  + Exception Group {header}")).len(), 1);
        assert_eq!(texts(&format!("  traceback : {header}")).len(), 1);
        assert_eq!(texts(&format!("    | {header}")).len(), 1);
        assert_eq!(texts(&format!("Original {header}")).len(), 1);
    }

    #[test]
    fn of_a_long_text_the_end_is_read() {
        let text = "x".repeat(2 * READ_BYTES) + "\nend";
        let lines = texts(&text);
        assert_eq!((lines.len(), lines[0].len(), lines[1].as_str()), (2, READ_BYTES - 4, "end"));
    }
}
