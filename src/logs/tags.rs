//! The lines of mpirun's ranks, which share its streams. The tags that `--tag-output` puts before each piece tell the
//! ranks apart.

use std::collections::BTreeMap;
use std::time::Instant;

use super::MAX_HELD;
use super::style::{Style, Styler, Tags, lines};

/// The state that separates a stream into the bytes of its ranks.
#[derive(Debug)]
pub(super) struct TagReader {
    has_blank: bool,
    /// The rank that writes the present bytes. `None` for mpirun itself.
    writer: Option<usize>,
    /// Bytes at the end of the input that may be the beginning of a tag.
    carry: Vec<u8>,
}

/// The state that turns a stream into the styled lines of its ranks.
#[derive(Debug)]
pub(super) struct Untagger {
    style: Style,
    tags: Tags,
    reader: TagReader,
    ranks: TaggedRanks,
}

/// The unfinished line of each rank, and the changes to its lines.
type TaggedRanks = BTreeMap<Option<usize>, (Vec<u8>, Styler)>;

/// The meaning of the first bytes of an input.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    /// The tag of a rank, with its length in bytes.
    Tag(usize, usize),
    /// The bytes may become a tag when more bytes follow. They are shorter than the longest tag, in which each number
    /// has ten digits at most.
    Cut,
    Other,
}

/// Checks for `[JOB,RANK]<STREAM>:` at the start of the bytes.
fn start(bytes: &[u8]) -> Start {
    let Some(mut rest) = bytes.strip_prefix(b"[") else { return Start::Other };
    let mut rank = 0usize;
    for closing in [b',', b']'] {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match rest.get(digits) {
            None if digits <= 10 => return Start::Cut,
            Some(byte) if *byte == closing && (1..=10).contains(&digits) => {}
            _ => return Start::Other,
        }
        rank = rest[..digits].iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
        rest = &rest[digits + 1..];
    }
    for name in [&b"<stdout>:"[..], b"<stderr>:", b"<stddiag>:"] {
        if rest.starts_with(name) {
            return Start::Tag(rank, bytes.len() - rest.len() + name.len());
        }
        if name.starts_with(rest) {
            return Start::Cut;
        }
    }
    Start::Other
}

impl Tags {
    /// Returns the prefix of a rank's lines.
    pub(super) fn prefix(&self, rank: usize) -> Vec<u8> {
        self.prefixes.get(rank).cloned().unwrap_or_else(|| format!("[rank{rank}]: ").into_bytes())
    }
}

impl TagReader {
    /// Makes the state for a stream with these tags.
    pub(super) fn new(tags: &Tags) -> TagReader {
        TagReader { has_blank: tags.has_blank, writer: None, carry: Vec::new() }
    }

    /// Calls `take` with the pieces of the input, none of which is longer than a line, and the rank that wrote each.
    pub(super) fn read(&mut self, input: &[u8], mut take: impl FnMut(Option<usize>, &[u8])) {
        let joined =
            if self.carry.is_empty() { None } else { Some([&std::mem::take(&mut self.carry)[..], input].concat()) };
        let mut rest = joined.as_deref().unwrap_or(input);
        loop {
            // Bytes before the next tag belong to the present writer.
            let mut from = 0;
            let (end, next) = loop {
                let Some(at) = memchr::memchr(b'[', &rest[from..]).map(|at| at + from) else {
                    break (rest.len(), None);
                };
                match start(&rest[at..]) {
                    Start::Tag(rank, length) => {
                        // The blank after a tag may still be missing if mpirun pauses within a line.
                        let blank = usize::from(self.has_blank && rest.get(at + length) == Some(&b' '));
                        break (at, Some((rank, at + length + blank)));
                    }
                    Start::Cut => {
                        self.carry = rest[at..].to_vec();
                        break (at, None);
                    }
                    Start::Other => from = at + 1,
                }
            };
            self.take_lines(&rest[..end], &mut take);
            let Some((rank, length)) = next else { return };
            self.writer = Some(rank);
            rest = &rest[length..];
        }
    }

    /// Calls `take` with bytes that were held back as the beginning of a tag.
    pub(super) fn flush(&mut self, mut take: impl FnMut(Option<usize>, &[u8])) {
        let carry = std::mem::take(&mut self.carry);
        self.take_lines(&carry, &mut take);
    }

    fn take_lines(&mut self, bytes: &[u8], take: &mut impl FnMut(Option<usize>, &[u8])) {
        for piece in lines(bytes) {
            take(self.writer, piece);
            // Every line of a rank has a tag, so a line without a tag is mpirun's.
            if piece.ends_with(b"\n") {
                self.writer = None;
            }
        }
    }
}

impl Untagger {
    /// Makes the state. `style` applies to every rank's lines, except for the prefix.
    pub(super) fn new(style: Style, tags: Tags) -> Untagger {
        Untagger { reader: TagReader::new(&tags), style, tags, ranks: BTreeMap::new() }
    }

    /// Adds the lines of ranks that `input` completes.
    pub(super) fn style(&mut self, input: &[u8], now: Instant, output: &mut Vec<u8>) {
        let Untagger { style, tags, reader, ranks } = self;
        reader.read(input, |writer, piece| add(ranks, (style, tags), writer, piece, now, output));
    }

    /// Adds the lines that were held back for too long.
    pub(super) fn flush(&mut self, now: Instant, output: &mut Vec<u8>) {
        let Untagger { style, tags, reader, ranks } = self;
        reader.flush(|writer, piece| add(ranks, (style, tags), writer, piece, now, output));
        for (line, styler) in self.ranks.values_mut() {
            styler.style(&std::mem::take(line), now, output);
        }
    }

    /// Adds the bytes that are still held back when the stream has ended.
    pub(super) fn finish(&mut self, now: Instant, output: &mut Vec<u8>) {
        self.flush(now, output);
        for (_, styler) in self.ranks.values_mut() {
            styler.finish(output);
        }
    }

    /// Returns true if something is held back.
    pub(super) fn holds(&self) -> bool {
        !self.reader.carry.is_empty() || self.ranks.values().any(|(line, _)| !line.is_empty())
    }
}

/// Adds a piece of a rank's line, and the whole line to the output once it has ended.
fn add(
    ranks: &mut TaggedRanks,
    (style, tags): (&Style, &Tags),
    writer: Option<usize>,
    piece: &[u8],
    now: Instant,
    output: &mut Vec<u8>,
) {
    let new = || (Vec::new(), Styler::new(of_rank(style, tags, writer)));
    let (line, styler) = ranks.entry(writer).or_insert_with(new);
    if line.is_empty() && piece.ends_with(b"\n") {
        styler.style(piece, now, output);
    } else {
        line.extend_from_slice(piece);
        if piece.ends_with(b"\n") || line.len() > MAX_HELD {
            styler.style(line, now, output);
            line.clear();
        }
    }
}

/// Returns the style of one rank's lines.
fn of_rank(style: &Style, tags: &Tags, writer: Option<usize>) -> Style {
    Style {
        prefix: writer.map_or_else(Vec::new, |rank| tags.prefix(rank)),
        tags: None,
        is_shared: true,
        ..style.clone()
    }
}

/// Returns bytes that contain tags as lines with prefixes.
pub(super) fn untagged(bytes: &[u8], tags: &Tags) -> Vec<u8> {
    let mut untagger = Untagger::new(Style::default(), tags.clone());
    let now = Instant::now();
    let mut output = Vec::new();
    untagger.style(bytes, now, &mut output);
    untagger.finish(now, &mut output);
    output
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::{RankLabel, Style, Tags};
    use super::{Start, Untagger, start};

    fn tags(has_blank: bool) -> Tags {
        Tags { prefixes: (0..12).map(|rank| RankLabel::new("algo-1", rank).prefix()).collect(), has_blank }
    }

    /// Returns the output for an input that arrives in pieces of this size.
    fn taken_apart(input: &str, size: usize, has_blank: bool) -> String {
        let mut untagger = Untagger::new(Style::default(), tags(has_blank));
        let mut output = Vec::new();
        for piece in input.as_bytes().chunks(size) {
            untagger.style(piece, Instant::now(), &mut output);
        }
        untagger.finish(Instant::now(), &mut output);
        String::from_utf8(output).expect("text")
    }

    #[test]
    fn tags_are_known_and_what_only_looks_like_one_is_not() {
        assert_eq!(start(b"[1,0]<stdout>:x"), Start::Tag(0, 14));
        assert_eq!(start(b"[12345,127]<stderr>: x"), Start::Tag(127, 20));
        for cut in ["[", "[1", "[1,", "[1,2", "[1,2]", "[1,2]<", "[1,2]<std", "[1,2]<stderr>"] {
            assert_eq!(start(cut.as_bytes()), Start::Cut, "{cut}");
        }
        for other in
            ["", "x", "[]", "[,1]", "[1,]<stdout>:", "[1, 2]", "[1,2]<stdin>:", "[12345678901,", "[1,2] <stdout>:"]
        {
            assert!(matches!(start(other.as_bytes()), Start::Other), "{other}");
        }
    }

    #[test]
    fn lines_that_ranks_wrote_in_parts_come_whole() {
        let input =
            "[1,0]<stdout>:one [1,11]<stdout>:two\n[1,0]<stdout>:and [a,b] [1,2]\n--- mpirun says\n[1,0]<stdout>:last";
        let expected = "[algo-1:11] two\n[algo-1:0] one and [a,b] [1,2]\n--- mpirun says\n[algo-1:0] last\n";
        for size in [1, 2, 7, 16, 1000] {
            assert_eq!(taken_apart(input, size, false), expected, "{size}");
        }
    }

    #[test]
    fn the_blank_of_open_mpi_5_goes_and_indentation_stays() {
        assert_eq!(taken_apart("[1,0]<stderr>:   File x\n", 1000, true), "[algo-1:0]   File x\n");
        assert_eq!(taken_apart("[1,0]<stderr>:  File x\n", 1000, false), "[algo-1:0]   File x\n");
        assert_eq!(taken_apart("[1,200]<stdout>: x\n", 1000, true), "[rank200]: x\n");
    }

    #[test]
    fn what_a_rank_leaves_unfinished_is_shown_after_a_while() {
        let mut untagger = Untagger::new(Style::default(), tags(false));
        let mut output = Vec::new();
        untagger.style(b"[1,0]<stdout>:50 %[1,1]<stdout>:x\n", Instant::now(), &mut output);
        assert_eq!(output, b"[algo-1:1] x\n");
        assert!(untagger.holds());
        untagger.flush(Instant::now(), &mut output);
        assert_eq!(output, b"[algo-1:1] x\n[algo-1:0] 50 %\n");
        assert!(!untagger.holds());
    }

    #[test]
    fn memory_is_bounded_whatever_a_line_is_long() {
        let mut untagger = Untagger::new(Style::default(), tags(false));
        let mut output = Vec::new();
        untagger.style(b"[1,0]<stdout>:", Instant::now(), &mut output);
        (0..100).for_each(|_| untagger.style(&[b'x'; 10_000], Instant::now(), &mut output));
        assert!(output.len() > 900_000, "{}", output.len());
    }
}
