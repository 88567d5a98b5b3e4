//! The prefix that says which rank wrote a line.

use std::fmt;

/// A rank and its host, as written before each of the rank's lines in a log: `[algo-1:3] `.
///
/// The display form is that prefix, with the blank at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankLabel {
    /// The name of the host.
    pub host: String,
    /// The rank, counted from 0 among all ranks of the job.
    pub rank: usize,
}

impl RankLabel {
    /// Returns the label of a rank.
    pub fn new(host: impl Into<String>, rank: usize) -> RankLabel {
        RankLabel { host: host.into(), rank }
    }

    /// Returns the bytes that the rank's lines begin with.
    pub fn prefix(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// Reads the label at the start of a line; returns it with the length of its prefix, in bytes. Returns `None` if
    /// the line does not begin with a label.
    ///
    /// Other programs also write prefixes of this form, such as `[train.py:7] `, so a caller must compare the host
    /// with those of the job. The blank at the end may be missing if the line ends there.
    pub fn parse(line: &[u8]) -> Option<(RankLabel, usize)> {
        let inner = line.strip_prefix(b"[")?;
        let inner = &inner[..inner.iter().position(|byte| *byte == b']')?];
        let colon = inner.iter().rposition(|byte| *byte == b':')?;
        let (host, digits) = (&inner[..colon], &inner[colon + 1..]);
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let is_host = host.first().is_some_and(u8::is_ascii_alphanumeric) && host.iter().all(is_name);
        // Open MPI writes a process number in that place, padded with zeros: `[algo-1:00071] `.
        let is_padded = digits.len() > 1 && digits[0] == b'0';
        if !is_host || is_padded || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let rank = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let length = inner.len() + 2;
        let blank = match line.get(length) {
            None | Some(b'\n' | b'\r') => 0,
            Some(b' ') => 1,
            Some(_) => return None,
        };
        Some((RankLabel::new(String::from_utf8_lossy(host), rank), length + blank))
    }
}

impl fmt::Display for RankLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:{}] ", self.host, self.rank)
    }
}

#[cfg(test)]
mod tests {
    use super::RankLabel;

    #[test]
    fn a_label_is_read_as_it_is_written() {
        for (host, rank) in [("algo-1", 0), ("algo-12-x7k2p", 127), ("trainer_0.example", 3), ("10.0.0.3", usize::MAX)]
        {
            let label = RankLabel::new(host, rank);
            let line = [label.prefix(), b"  indented [algo-2:1] text".to_vec()].concat();
            let (read, length) = RankLabel::parse(&line).expect("a label");
            assert_eq!((&read, &line[length..]), (&label, &b"  indented [algo-2:1] text"[..]));
        }
    }

    #[test]
    fn an_empty_line_of_a_rank_may_lack_the_blank() {
        for (line, length) in [("[algo-1:3]", 10), ("[algo-1:3]\n", 10), ("[algo-1:3] \n", 11)] {
            assert_eq!(RankLabel::parse(line.as_bytes()), Some((RankLabel::new("algo-1", 3), length)), "{line:?}");
        }
    }

    #[test]
    fn other_brackets_are_no_label() {
        for line in [
            "",
            "[",
            "[]",
            "[:] x",
            "[algo-1] x",
            "[algo-1:] x",
            "[:3] x",
            "[algo-1:3]x",
            "[algo-1:3",
            "[algo 1:3] x",
            "[-a:3] x",
            "[é:3] x",
            "[algo-1:+3] x",
            "[algo-1:99999999999999999999] x",
            "[[algo-1:3] x",
            " [algo-1:3] x",
            "[00:01<00:03] x",
            "[12:00:07] x",
        ] {
            assert_eq!(RankLabel::parse(line.as_bytes()), None, "{line:?}");
        }
    }
}
