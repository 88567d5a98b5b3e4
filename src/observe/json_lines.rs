//! A file of JSON lines that is thinned when it has become large.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use serde::Serialize;

use crate::system::files::create_own as create;

/// The limits of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The maximum number of lines.
    pub(super) lines: u64,
    /// The maximum size, in bytes.
    pub(super) size: u64,
}

/// A file of JSON lines. It is created with the first line.
#[derive(Debug)]
pub(super) struct JsonLines {
    folder: PathBuf,
    name: &'static str,
    limits: Limits,
    state: FileState,
    lines: u64,
    size: u64,
}

#[derive(Debug)]
enum FileState {
    /// Nothing was written yet.
    Absent,
    Open(BufWriter<File>),
    /// The file cannot be written any more.
    Failed,
}

impl JsonLines {
    /// Describes a file in a folder. Nothing is written.
    pub(super) fn new(folder: &Path, name: &'static str, limits: Limits) -> JsonLines {
        JsonLines { folder: folder.to_owned(), name, limits, state: FileState::Absent, lines: 0, size: 0 }
    }

    /// Adds a line. Returns false if the file cannot be written, which is logged once.
    pub(super) fn add(&mut self, line: &impl Serialize) -> bool {
        let added = self.append(line);
        self.note(added)
    }

    /// Returns true if the file has grown beyond its limits.
    pub(super) fn is_large(&self) -> bool {
        self.lines > self.limits.lines || self.size > self.limits.size
    }

    /// Returns true if the file is small enough after it was thinned.
    pub(super) fn is_thin(&self) -> bool {
        self.lines <= self.limits.lines / 2 && self.size <= self.limits.size / 2
    }

    /// Keeps only the lines for which `is_kept` returns true. Returns false if the file cannot be written.
    pub(super) fn keep(&mut self, is_kept: impl FnMut(&[u8]) -> bool) -> bool {
        let kept = self.rewrite(is_kept);
        self.note(kept)
    }

    /// Writes the lines that are still in memory.
    pub(super) fn flush(&mut self) {
        let flushed = if let FileState::Open(file) = &mut self.state { file.flush() } else { Ok(()) };
        self.note(flushed);
    }

    fn note(&mut self, result: io::Result<()>) -> bool {
        if let Err(error) = &result {
            tracing::warn!("{} is not complete: {error}", self.folder.join(self.name).display());
            self.state = FileState::Failed;
        }
        !matches!(self.state, FileState::Failed)
    }

    fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        if matches!(self.state, FileState::Absent) {
            fs::create_dir_all(&self.folder)?;
            self.state = FileState::Open(BufWriter::new(create(&self.folder.join(self.name))?));
        }
        let FileState::Open(file) = &mut self.state else { return Ok(()) };
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        file.write_all(&line)?;
        self.lines += 1;
        self.size += line.len() as u64;
        Ok(())
    }

    fn rewrite(&mut self, mut is_kept: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        let FileState::Open(file) = std::mem::replace(&mut self.state, FileState::Failed) else { return Ok(()) };
        file.into_inner().map_err(|error| error.into_error())?;
        let path = self.folder.join(self.name);
        let next = self.folder.join(format!(".{}.next", self.name));
        let mut write = || {
            let mut file = BufWriter::new(create(&next)?);
            let mut old = BufReader::new(OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&path)?);
            let (mut lines, mut size) = (0, 0);
            let mut line = Vec::new();
            while old.read_until(b'\n', &mut line)? > 0 {
                if is_kept(&line) {
                    file.write_all(&line)?;
                    lines += 1;
                    size += line.len() as u64;
                }
                line.clear();
            }
            file.flush()?;
            fs::rename(&next, &path)?;
            Ok((file, lines, size))
        };
        let written: io::Result<_> = write();
        if written.is_err() {
            // An incomplete version of the file is useless.
            let _ = fs::remove_file(&next);
        }
        let (file, lines, size) = written?;
        (self.state, self.lines, self.size) = (FileState::Open(file), lines, size);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonLines, Limits};

    #[test]
    fn lines_are_kept_by_choice_and_more_can_follow() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = JsonLines::new(folder.path(), "x.jsonl", Limits { lines: 3, size: 1000 });
        assert!((0..4).all(|number| file.add(&number)) && file.is_large());
        assert!(file.keep(|line| line != b"1\n" && line != b"3\n") && file.add(&7));
        file.flush();
        assert_eq!(std::fs::read_to_string(folder.path().join("x.jsonl")).expect("read"), "0\n2\n7\n");
        assert!(!file.is_large() && !file.is_thin());
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("target");
        std::fs::write(&target, "mine").expect("written");
        std::os::unix::fs::symlink(&target, folder.path().join("x.jsonl")).expect("linked");
        let mut file = JsonLines::new(folder.path(), "x.jsonl", Limits { lines: 3, size: 1000 });
        assert!(file.add(&1));
        file.flush();
        assert_eq!(std::fs::read_to_string(&target).expect("read"), "mine");
    }

    #[test]
    fn a_folder_that_cannot_be_made_costs_only_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("file"), "").expect("written");
        let mut file = JsonLines::new(&folder.path().join("file/in"), "x.jsonl", Limits { lines: 3, size: 1000 });
        assert!(!file.add(&1) && !file.add(&2) && !file.keep(|_| true));
        file.flush();
    }
}
