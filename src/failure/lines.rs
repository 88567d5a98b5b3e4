//! Clean lines from the bytes that processes wrote: no colours, no carriage returns, no prefixes of ranks.
//!
//! The lines of several ranks may be mixed in one text. Each line is attributed to its [`Writer`] and loses its prefix, so
//! that a traceback can be read even if other ranks wrote between its lines.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::logs::RankLabel;
use crate::redact::Redactor;

use super::noise;
use super::prefix::Prefixes;
use super::quoted;
use super::record::{self, TRACEBACK};
use crate::failure::pattern::pattern;

/// The maximum number of bytes that are read from one standard stream of all processes together.
const READ_BYTES: usize = 1 << 20;

/// The minimum number of bytes that are read from a launcher's own stream, however many ranks share [`READ_BYTES`] with
/// it.
const OWN_BYTES: usize = READ_BYTES / 4;

/// The maximum number of writers that are distinguished. No job has that many ranks in one text.
const MAX_WRITERS: usize = 2048;

/// The number of bytes that are kept at each end of a long line. It is longer than any text that is shown.
const END_OF_LINE: usize = 16 << 10;

/// The number of bytes at each end of a long line that are searched for secrets before the line is shortened. No variable
/// is longer than 128 KiB, so a secret that begins or ends in the part that is kept is recognized as a whole.
const SEARCHED_END: usize = END_OF_LINE + (144 << 10);

/// The maximum number of empty lines in succession that are kept.
const MAX_EMPTY: usize = 8;

/// The lines that processes wrote to one standard stream.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) lines: Vec<Line>,
    /// The writers of the lines. The first one represents the lines without a prefix.
    pub(super) writers: Vec<Writer>,
    /// The indices of each writer's lines, by the writer's index.
    by_writer: Vec<Vec<usize>>,
}

/// A line without colours, prefix and trailing white space.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    /// The index of its writer in [`Log::writers`].
    pub(super) writer: usize,
}

/// The process that wrote a line, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    pub(super) host: Option<String>,
    pub(super) rank: Option<usize>,
    pub(super) local_rank: Option<usize>,
    /// The prefix of the writer's lines, if another program put it before them.
    pub(super) prefix: Option<String>,
}

/// Terminal escapes: CSI (colours, cursor), OSC (titles, links), and those of two characters.
static ESCAPE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\x1b(?:\[[\x20-\x3f]*[@-~]?|\][^\x07\x1b]*(?:\x07|\x1b\\)|[^\[\]\x1b])?"));

/// The prefixes of launchers: `[rank0]: ` of torch's exception hook, `[default0]:` of `torchrun --tee`, and
/// `[1,0]<stderr>:` of Open MPI, `[1,mpirank:0,algo-1]<stderr>:` of SageMaker's toolkit, and `[0]<stderr>:` of horovodrun.
///
/// The blank after a prefix is part of the prefix only if the program that adds the prefix always writes one. Otherwise
/// it is the line's indentation.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:\[rank(?P<rank>\d+)\]: ?|\[default(?P<local>\d+)\]:|\[\d+,(?:mpirank:)?(?P<mpi>\d+)(?:,[\w.-]+)?\]<std(?:err|out|diag)>:|\[(?P<gloo>\d+)\]<std(?:err|out)>:)",
    )
});

/// The text of a standard stream, before it is split into lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogText<'t> {
    /// The bytes of the process that footplate started: a launcher or the script itself. They may contain lines of
    /// ranks.
    pub(super) own: &'t [u8],
    /// The bytes of ranks that have separate streams.
    pub(super) ranks: &'t [(&'t RankLabel, &'t [u8])],
    /// The hosts of the job. A prefix with another host was not written by footplate.
    pub(super) hosts: &'t [&'t str],
    /// The secrets that are removed from a line before it is shortened.
    pub(super) redactor: &'t Redactor,
}

/// The lines that have been read, and the index of each writer by its key.
struct Builder<'h> {
    lines: Vec<Line>,
    writers: Vec<Writer>,
    known: HashMap<String, usize>,
    hosts: &'h [&'h str],
    redactor: &'h Redactor,
}

impl Log {
    /// Reads a text that contains no separate streams of ranks and no prefixes of footplate.
    pub(super) fn read(bytes: &[u8]) -> Log {
        Log::from_text(LogText { own: bytes, ranks: &[], hosts: &[], redactor: &Redactor::default() })
    }

    /// Reads the ends of a stream's texts. The lines of ranks are placed first, because a launcher reports about the
    /// ranks at its end.
    pub(super) fn from_text(text: LogText<'_>) -> Log {
        let LogText { hosts, redactor, .. } = text;
        let writers = vec![Writer::default()];
        let mut builder = Builder { lines: Vec::new(), writers, known: HashMap::new(), hosts, redactor };
        let share = READ_BYTES / (text.ranks.len() + 1);
        for (label, bytes) in text.ranks.iter().filter(|(_, bytes)| !bytes.is_empty()) {
            let writer = Writer { host: Some(label.host.clone()), rank: Some(label.rank), ..Writer::default() };
            builder.add(end(bytes, share), &writer);
        }
        builder.add(end(text.own, share.max(OWN_BYTES)), &Writer::default());
        let Builder { lines, writers, .. } = builder;
        let mut by_writer = vec![Vec::new(); writers.len()];
        for (at, line) in lines.iter().enumerate() {
            by_writer[line.writer].push(at);
        }
        Log { lines, writers, by_writer }
    }

    /// Returns the indices of one writer's lines, beginning with the line `from`.
    pub(super) fn lines_of(&self, writer: usize, from: usize) -> &[usize] {
        let lines = &self.by_writer[writer];
        &lines[lines.partition_point(|&at| at < from)..]
    }

    /// Returns true if several ranks wrote the lines.
    pub(super) fn has_several_ranks(&self) -> bool {
        self.writers.iter().filter(|writer| writer.rank.is_some()).nth(1).is_some()
    }

    /// Returns the text of a line.
    pub(super) fn text(&self, index: usize) -> &str {
        &self.lines[index].text
    }

    /// Returns the writer of a line.
    pub(super) fn writer(&self, index: usize) -> &Writer {
        &self.writers[self.lines[index].writer]
    }
}

impl Builder<'_> {
    /// Adds the lines of a text. All lines without a prefix are attributed to `writer`.
    fn add(&mut self, bytes: &[u8], writer: &Writer) {
        let text = String::from_utf8_lossy(bytes);
        // If the text of another writer follows, the end of the last line must not add an empty line.
        let text = if writer.rank.is_some() { text.strip_suffix('\n').unwrap_or(&text) } else { &text };
        let text = &*quoted::without_reports(text);
        let text = &*record::on_one_line(text);
        // The prefixes of launchers and of footplate are known, so they are not searched for.
        let is_known = |before: &str| PREFIX.is_match(before) || RankLabel::parse(before.as_bytes()).is_some();
        let prefixes = Prefixes::find(text, plain, |before| belongs_to_traceback(before) || is_known(before));
        for line in text.split('\n') {
            // A terminal would show only the part after the last carriage return, but the part before it may be an
            // error message. Every part therefore becomes a line.
            let mut parts = line.split('\r').filter(|part| !part.trim().is_empty()).peekable();
            if parts.peek().is_none() && !self.ends_with_empty_lines() {
                let writer = self.index(writer);
                self.lines.push(Line { text: String::new(), writer });
            }
            for part in parts {
                let line = plain(part);
                let Some(stripped) = prefixes.strip(&line) else {
                    self.add_line(&line, writer);
                    continue;
                };
                let prefix = Some(stripped.writer).filter(|prefix| !prefix.is_empty());
                let writer = Writer { rank: stripped.rank.or(writer.rank), prefix, ..writer.clone() };
                // The level of the record shows if the exception was caught.
                if stripped.text.trim_end() == TRACEBACK && noise::level(stripped.prefix).is_some() {
                    let writer = self.index(&writer);
                    self.lines.push(Line { text: stripped.prefix.trim_end().to_owned(), writer });
                }
                self.add_line(stripped.text, &writer);
            }
        }
    }

    fn add_line(&mut self, line: &str, writer: &Writer) {
        let mut writer = writer.clone();
        let mut text = line;
        // There is at most one prefix of each kind: footplate's, inside it torchrun's, and inside that torch's.
        for _ in 0..3 {
            if let Some((label, length)) = RankLabel::parse(text.as_bytes())
                && self.hosts.contains(&label.host.as_str())
                // A message of Open MPI itself has the number of a process in this place:
                // `[algo-1:47110] *** An error occurred in MPI_Recv`.
                && !text[length..].starts_with("***")
            {
                (writer.host, writer.rank) = (Some(label.host), Some(label.rank));
                text = &text[length..];
                continue;
            }
            let Some(found) = PREFIX.captures(text) else { break };
            let number = |name| found.name(name).and_then(|digits| digits.as_str().parse::<usize>().ok());
            writer.rank = number("rank").or(number("mpi")).or(number("gloo")).or(writer.rank);
            writer.local_rank = number("local").or(writer.local_rank);
            text = &text[found[0].len()..];
        }
        let writer = self.index(&writer);
        if let Some(lines) = record::readable(text) {
            let redactor = self.redactor;
            self.lines.extend(lines.iter().map(|text| Line { text: clipped(text, redactor), writer }));
            return;
        }
        // A progress bar or the fields of a logger may precede the first line of a traceback.
        if let Some(at) = record::header_at(text)
            && at > 0
            && !belongs_to_traceback(&text[..at])
        {
            self.lines.push(Line { text: clipped(text[..at].trim_end(), self.redactor), writer });
            text = &text[at..];
        }
        self.lines.push(Line { text: clipped(text.trim_end(), self.redactor), writer });
    }

    /// Returns true if so many empty lines have been read that one more adds no information.
    fn ends_with_empty_lines(&self) -> bool {
        let last = &self.lines[self.lines.len().saturating_sub(MAX_EMPTY)..];
        last.len() == MAX_EMPTY && last.iter().all(|line| line.text.is_empty())
    }

    /// Returns the index of a writer. A new writer is added.
    fn index(&mut self, writer: &Writer) -> usize {
        // torch's prefix names the rank, inside torchrun's prefix, which names the local rank. Both belong to one
        // writer.
        let key = match (writer.local_rank, writer.rank) {
            (None, None) => match &writer.prefix {
                Some(prefix) => format!("prefix {prefix}"),
                None => return 0,
            },
            (Some(local), _) => format!("{:?} local {local}", writer.host),
            (None, Some(rank)) => format!("{:?} {rank}", writer.host),
        };
        if self.known.len() == MAX_WRITERS && !self.known.contains_key(&key) {
            return 0;
        }
        let index = *self.known.entry(key).or_insert_with(|| {
            self.writers.push(writer.clone());
            self.writers.len() - 1
        });
        if self.writers[index].rank.is_none() {
            self.writers[index].rank = writer.rank;
        }
        index
    }
}

/// Returns a line, or both ends of a line that is longer than any text that is shown. Every pattern is searched for in every
/// line. The secrets are removed first, because a part of a secret could not be recognized.
fn clipped(line: &str, redactor: &Redactor) -> String {
    if line.len() <= 2 * END_OF_LINE {
        return line.to_owned();
    }
    let cleaned = redactor.clean(&ends(line, SEARCHED_END)).into_owned();
    ends(&cleaned, END_OF_LINE).into_owned()
}

/// Returns both ends of a line that has more than `length` bytes at each end, with `…` between them.
fn ends(line: &str, length: usize) -> Cow<'_, str> {
    if line.len() <= 2 * length {
        return Cow::Borrowed(line);
    }
    let (head, tail) = (line.floor_char_boundary(length), line.ceil_char_boundary(line.len() - length));
    Cow::Owned(format!("{}…{}", &line[..head], &line[tail..]))
}

/// Returns the last bytes, at most `most`.
fn end(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(most)..]
}

/// Returns true if the text before `Traceback …` is part of the format: indentation, the margin of an exception group,
/// `Original ` in reports of torch's data loader, or `traceback : ` in torchrun's report.
fn belongs_to_traceback(before: &str) -> bool {
    let margin = before.trim_end_matches("Original ").trim_end_matches("Exception Group ");
    let margin = margin.trim_end_matches("traceback : ");
    margin.chars().all(|c| matches!(c, ' ' | '\t' | '|' | '+'))
}

/// Returns the line without terminal escapes and other control characters, except tabs.
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
    use super::{END_OF_LINE, Log, LogText, MAX_EMPTY, OWN_BYTES, READ_BYTES};
    use crate::logs::RankLabel;
    use crate::redact::Redactor;

    fn texts(text: &str) -> Vec<String> {
        Log::read(text.as_bytes()).lines.into_iter().map(|line| line.text).collect()
    }

    fn of_hosts<'t>(own: &'t str, hosts: &'t [&'t str]) -> Log {
        Log::from_text(LogText { own: own.as_bytes(), ranks: &[], hosts, redactor: &Redactor::default() })
    }

    /// The lines of a log, each with the index of its writer.
    fn lines(log: &Log) -> Vec<(&str, usize)> {
        log.lines.iter().map(|line| (line.text.as_str(), line.writer)).collect()
    }

    #[test]
    fn colours_links_and_control_characters_are_removed() {
        assert_eq!(texts("\x1b[1;31mValueError\x1b[0m: \x1b[35mbad\x1b[0m"), ["ValueError: bad"]);
        assert_eq!(texts("a\x1b]8;;http://x\x1b\\b\x1b]8;;\x07c\x1b(Bd\x08\x00\t|\x1b"), ["abcBd\t|"]);
        assert_eq!(texts("open \x1b]8;;never closed"), ["open ]8;;never closed"]);
    }

    #[test]
    fn a_carriage_return_ends_a_line_and_a_windows_line_end_is_one() {
        assert_eq!(texts("10%\r20%\rbad\r\n\r\nend"), ["10%", "20%", "bad", "", "end"]);
    }

    #[test]
    fn prefixes_of_ranks_are_removed_and_remembered() {
        let log = of_hosts(
            "[rank12]:   File\n[rank12]:\n[1,3]<stderr>:  x\n[default1]:[rank5]: y\n[algo-2:7] z\n[train.py:7] w",
            &["algo-1", "algo-2"],
        );
        assert_eq!(lines(&log), [("  File", 1), ("", 1), ("  x", 2), ("y", 3), ("z", 4), ("[train.py:7] w", 0)]);
        let ranks: Vec<_> = log.writers.iter().map(|writer| (writer.rank, writer.local_rank)).collect();
        assert_eq!(ranks, [(None, None), (Some(12), None), (Some(3), None), (Some(5), Some(1)), (Some(7), None)]);
        assert_eq!(log.writers[4].host.as_deref(), Some("algo-2"));
    }

    #[test]
    fn a_prefix_counts_only_with_a_host_of_the_job() {
        let of_mpi = "[algo-1:47110] *** Process received signal ***";
        assert_eq!(of_hosts(of_mpi, &["algo-1"]).lines[0].text, of_mpi);
        let text = "[trainer-0:1] x";
        assert_eq!(of_hosts(text, &["algo-1", "trainer-1"]).lines[0].text, text);
        assert_eq!(of_hosts(text, &["algo-1", "trainer-0"]).lines[0].text, "x");
    }

    #[test]
    fn ranks_with_streams_of_their_own_come_before_the_launcher() {
        let (zero, one) = (RankLabel::new("algo-1", 0), RankLabel::new("algo-1", 1));
        let ranks = [(&zero, &b"a\n\nb"[..]), (&RankLabel::new("algo-1", 2), b""), (&one, b"[rank1]: c\n[rank7]: d\n")];
        let own = b"own\n[algo-1:0] e";
        let log = Log::from_text(LogText { own, ranks: &ranks, hosts: &["algo-1"], redactor: &Redactor::default() });
        assert_eq!(lines(&log), [("a", 1), ("", 1), ("b", 1), ("c", 2), ("d", 3), ("own", 0), ("e", 1)]);
        let ranks: Vec<_> = log.writers.iter().map(|writer| (writer.host.as_deref(), writer.rank)).collect();
        let host = Some("algo-1");
        assert_eq!(ranks, [(None, None), (host, Some(0)), (host, Some(1)), (host, Some(7))]);
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
    fn the_end_of_a_long_text_is_read() {
        let text = "x".repeat(2 * READ_BYTES) + "\nend";
        let lines = texts(&text);
        assert_eq!((lines.len(), lines[0].chars().count(), lines[1].as_str()), (2, 2 * END_OF_LINE + 1, "end"));
    }

    #[test]
    fn a_secret_in_a_long_line_is_removed_before_the_line_is_shortened() {
        let long: String = (0..1700).map(|part| format!("k{part}-")).collect();
        let redactor = Redactor::new([("API_KEY", long.as_str()), ("HF_TOKEN", "hf_0123456789abcdef")]);
        let fill = "step 7, ".repeat(8 << 10);
        for secret in [long.as_str(), "hf_0123456789abcdef", "password=Hk29sKlq81-x"] {
            for cut in [1, secret.len() / 2, secret.len() - 1] {
                let (head, tail) = (&fill[..END_OF_LINE - cut], &fill[..END_OF_LINE - cut]);
                let text = format!("{head} {secret} {fill} {secret} {tail}");
                let log = LogText { own: text.as_bytes(), ranks: &[], hosts: &[], redactor: &redactor };
                let line = &Log::from_text(log).lines[0].text;
                assert!(line.starts_with("step 7, ") && line.len() <= 2 * END_OF_LINE + "…".len(), "{}", line.len());
                for part in ["k0-k1-k2", "k1697-k1698", "hf_0", "cdef", "Hk29", "q81-x"] {
                    assert!(!line.contains(part), "{part} of {secret:.20} at {cut}");
                }
            }
        }
    }

    #[test]
    fn of_many_empty_lines_a_few_are_kept() {
        let lines = texts(&format!("a{}b", "\n".repeat(1000)));
        assert_eq!((lines.len(), lines[0].as_str(), lines[MAX_EMPTY + 1].as_str()), (MAX_EMPTY + 2, "a", "b"));
    }

    #[test]
    fn ranks_share_the_bytes_that_are_read_and_the_launcher_keeps_its_part() {
        let label = RankLabel::new("algo-1", 0);
        const LINE: &str = "a line\n\n";
        let text = LINE.repeat(2 * READ_BYTES / LINE.len()).into_bytes();
        let ranks = vec![(&label, &text[..]); 15];
        let log = Log::from_text(LogText { own: &text, ranks: &ranks, hosts: &[], redactor: &Redactor::default() });
        let bytes =
            |writer| log.lines_of(writer, 0).iter().filter(|&&at| log.text(at) == "a line").count() * LINE.len();
        assert_eq!([bytes(1), bytes(0)], [15 * READ_BYTES / 16, OWN_BYTES]);
    }
}
