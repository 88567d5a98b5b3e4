//! The file of all values, `metrics.jsonl`: one JSON object for each value, thinned so that it stays small.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use serde::Serialize;

/// The name of the file.
const NAME: &str = "metrics.jsonl";

/// The name of a thinned version on its way.
const NEXT: &str = ".metrics.jsonl.next";

/// The maximum number of values in the file.
const MAX_LINES: u64 = 100_000;

/// The maximum size of the file, in bytes.
const MAX_SIZE: u64 = 20_000_000;

/// A value of a metric.
#[derive(Clone, Debug, Serialize)]
pub(super) struct MetricValue<'a> {
    pub(super) name: &'a str,
    /// `None` for NaN and infinities, which JSON does not have.
    pub(super) value: Option<f64>,
    /// The text of a value that is not finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    /// The time in Unix seconds.
    pub(super) time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<u64>,
    /// The number of the value among those of its metric and rank, from 0.
    pub(super) index: u64,
    pub(super) host: &'a str,
    /// The rank. `None` if a launcher of the image writes for several ranks.
    pub(super) rank: Option<usize>,
    /// `stdout` or `stderr`.
    pub(super) stream: &'static str,
}

/// The file, which exists from the first value on.
#[derive(Debug)]
pub(super) struct ValuesFile {
    folder: PathBuf,
    state: FileState,
    /// Each value whose index is a multiple of it is kept.
    stride: u64,
    lines: u64,
    size: u64,
    limits: (u64, u64),
}

#[derive(Debug)]
enum FileState {
    /// There was no value yet.
    Absent,
    Open(BufWriter<File>),
    /// It cannot be written any more.
    Failed,
}

impl ValuesFile {
    /// Describes the file in a folder. Nothing is written.
    pub(super) fn new(folder: &Path) -> ValuesFile {
        let limits = (MAX_LINES, MAX_SIZE);
        ValuesFile { folder: folder.to_owned(), state: FileState::Absent, stride: 1, lines: 0, size: 0, limits }
    }

    /// Writes a value. Returns false if the value is left out, because there are many or the file cannot be written.
    pub(super) fn write(&mut self, value: &MetricValue<'_>) -> bool {
        if !value.index.is_multiple_of(self.stride) || matches!(self.state, FileState::Failed) {
            return false;
        }
        let written = self
            .append(value)
            .and_then(|()| if self.lines > self.limits.0 || self.size > self.limits.1 { self.thin() } else { Ok(()) });
        self.note(written)
    }

    /// Writes what is still in memory.
    pub(super) fn flush(&mut self) {
        let flushed = if let FileState::Open(file) = &mut self.state { file.flush() } else { Ok(()) };
        self.note(flushed);
    }

    fn note(&mut self, result: io::Result<()>) -> bool {
        if let Err(error) = &result {
            tracing::warn!(
                "{} is not complete: {error}; the run record still counts every value",
                self.folder.join(NAME).display()
            );
            self.state = FileState::Failed;
        }
        result.is_ok()
    }

    fn append(&mut self, value: &MetricValue<'_>) -> io::Result<()> {
        if matches!(self.state, FileState::Absent) {
            fs::create_dir_all(&self.folder)?;
            self.state = FileState::Open(BufWriter::new(create(&self.folder.join(NAME))?));
        }
        let FileState::Open(file) = &mut self.state else { return Ok(()) };
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        file.write_all(&line)?;
        self.lines += 1;
        self.size += line.len() as u64;
        Ok(())
    }

    /// Doubles the stride until the file is at most half as large as it may be.
    fn thin(&mut self) -> io::Result<()> {
        while self.lines > self.limits.0 / 2 || self.size > self.limits.1 / 2 {
            if self.stride > 1 << 40 {
                return Err(io::Error::other("there are too many metrics and ranks"));
            }
            self.stride *= 2;
            let (path, next) = (self.folder.join(NAME), self.folder.join(NEXT));
            self.state = match std::mem::replace(&mut self.state, FileState::Failed) {
                FileState::Open(file) => {
                    file.into_inner().map_err(|error| error.into_error())?;
                    let kept = self.keep(&path, &next);
                    if kept.is_err() {
                        // An incomplete version is of no use.
                        let _ = fs::remove_file(&next);
                    }
                    FileState::Open(kept?)
                }
                other => other,
            };
        }
        Ok(())
    }

    /// Replaces the file with one that holds only the values of the present stride.
    fn keep(&mut self, path: &Path, next: &Path) -> io::Result<BufWriter<File>> {
        let mut file = BufWriter::new(create(next)?);
        (self.lines, self.size) = (0, 0);
        let mut old = BufReader::new(OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?);
        let mut line = Vec::new();
        while old.read_until(b'\n', &mut line)? > 0 {
            if index_of(&line).is_some_and(|index| index.is_multiple_of(self.stride)) {
                file.write_all(&line)?;
                self.lines += 1;
                self.size += line.len() as u64;
            }
            line.clear();
        }
        file.flush()?;
        fs::rename(next, path)?;
        Ok(file)
    }
}

/// Returns the index of a line of the file. No text in a line can look like the key, because its quotes would be escaped.
fn index_of(line: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"index\":";
    let digits = &line[memchr::memmem::find(line, KEY)? + KEY.len()..];
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&digits[..length]).ok()?.parse().ok()
}

/// Makes a new file. Does not follow a link that the script may have put there.
fn create(path: &Path) -> io::Result<File> {
    // Whatever has the name is not ours to write into.
    let _ = fs::remove_file(path);
    OpenOptions::new().write(true).create_new(true).custom_flags(libc::O_NOFOLLOW).mode(0o644).open(path)
}

#[cfg(test)]
mod tests {
    use super::{MetricValue, ValuesFile, index_of};

    fn value(name: &str, index: u64) -> MetricValue<'_> {
        MetricValue {
            name,
            value: Some(0.5),
            text: None,
            time: 1.0,
            step: None,
            index,
            host: "algo-1",
            rank: Some(0),
            stream: "stdout",
        }
    }

    #[test]
    fn many_values_are_thinned_evenly() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = ValuesFile::new(folder.path());
        file.limits = (100, 20_000);
        let mut written = 0;
        for index in 0..10_000 {
            written += usize::from(file.write(&value("loss", index)));
        }
        file.flush();
        let text = std::fs::read_to_string(folder.path().join("metrics.jsonl")).expect("read");
        let indexes: Vec<u64> = text.lines().map(|line| index_of(line.as_bytes()).expect("an index")).collect();
        assert!((25..=100).contains(&indexes.len()), "{}", indexes.len());
        assert!(indexes.iter().zip(0..).all(|(index, at)| *index == at * file.stride), "{indexes:?}");
        assert!(written >= indexes.len());
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_name_that_looks_like_a_key_does_not_mislead() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = ValuesFile::new(folder.path());
        assert!(file.write(&value(r#"a","index":7,"b"#, 3)));
        file.flush();
        let text = std::fs::read(folder.path().join("metrics.jsonl")).expect("read");
        assert_eq!(index_of(&text), Some(3));
    }

    #[test]
    fn a_folder_that_cannot_be_made_costs_only_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("file"), "").expect("written");
        let mut file = ValuesFile::new(&folder.path().join("file/in"));
        assert!(!file.write(&value("loss", 0)));
        assert!(!file.write(&value("loss", 1)));
    }
}
