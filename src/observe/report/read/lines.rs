//! Files of JSON lines, read in bounded memory whatever they contain.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;
use serde_json::Value;

use super::node::Node;

/// The maximum length of a line, in bytes. Longer ones are skipped.
const LONGEST: usize = 256 << 10;

/// The maximum size that is read of a file, in bytes. footplate's own files are smaller.
const LARGEST: u64 = 64 << 20;

/// The result of reading a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ReadLines {
    /// The number of lines that are not JSON, or too long.
    pub(super) broken: u64,
    /// True if the file is larger than [`LARGEST`].
    pub(super) is_cut: bool,
}

/// Hands each line of a file to `take`. A missing file has no lines.
pub(super) fn each_line(path: &Path, mut take: impl FnMut(&Node<'_>)) -> io::Result<ReadLines> {
    // Opening a FIFO must not block.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ReadLines::default()),
        opened => opened?,
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut read = ReadLines { broken: 0, is_cut: found.len() > LARGEST };
    let mut file = BufReader::with_capacity(64 << 10, file.take(LARGEST));
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut file).take(LONGEST as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(read);
        }
        if line.last() != Some(&b'\n') && line.len() == LONGEST {
            skip_line(&mut file)?;
            read.broken += 1;
            continue;
        }
        let text = line.trim_ascii();
        match serde_json::from_slice::<Value>(text) {
            Ok(value) => take(&Node::of(&value)),
            Err(_) if text.is_empty() => {}
            Err(_) => read.broken += 1,
        }
    }
}

/// Skips the rest of a line.
fn skip_line(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = file.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = memchr::memchr(b'\n', buffer);
        let length = end.map_or(buffer.len(), |end| end + 1);
        file.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, ReadLines, each_line};

    #[test]
    fn broken_and_endless_lines_are_skipped_and_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.jsonl");
        let text = format!(
            "{{\"n\": 1}}\n\n{{\"n\": \"{}\"}}\n{}\n{{\"n\": 2}}\n\0\u{7f}\n{{\"n\": 3}}\n{{\"n\": 4",
            "x".repeat(10 << 20),
            "[".repeat(LONGEST - 2)
        );
        std::fs::write(&path, text).expect("written");
        let mut numbers = Vec::new();
        let read = each_line(&path, |line| numbers.extend(line.number("n"))).expect("read");
        assert_eq!(numbers, [1.0, 2.0, 3.0]);
        assert_eq!(read, ReadLines { broken: 4, is_cut: false });
    }

    #[test]
    fn a_missing_file_is_empty_and_a_fifo_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.jsonl");
        assert_eq!(each_line(&path, |_| panic!("no line")).expect("nothing"), ReadLines::default());
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
        each_line(&path, |_| panic!("no line")).expect_err("refused");
    }
}
