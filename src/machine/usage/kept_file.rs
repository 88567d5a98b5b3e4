//! A small file of the kernel that is read repeatedly.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The maximum size that is read of a file, in bytes.
const MAX_SIZE: usize = 64 << 10;

/// A file that stays open. Each read starts at its beginning.
#[derive(Debug)]
pub(super) struct KeptFile {
    file: File,
    buffer: Vec<u8>,
}

impl KeptFile {
    /// Opens a file. Returns `None` if it does not exist or cannot be read.
    pub(super) fn open(path: &Path) -> Option<KeptFile> {
        let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))?;
        let mut kept = KeptFile { file, buffer: vec![0; 1 << 10] };
        kept.read()?;
        Some(kept)
    }

    /// Reads the file.
    pub(super) fn read(&mut self) -> Option<&str> {
        loop {
            let mut length = 0;
            while length < self.buffer.len() {
                match self.file.read_at(&mut self.buffer[length..], length as u64).ok()? {
                    0 => break,
                    read => length += read,
                }
            }
            if length < self.buffer.len() || length >= MAX_SIZE {
                return std::str::from_utf8(&self.buffer[..length]).ok();
            }
            self.buffer.resize(2 * length, 0);
        }
    }

    /// Reads a file that contains a single number.
    pub(super) fn number(&mut self) -> Option<u64> {
        self.read()?.trim().parse().ok()
    }

    /// Reads lines such as `nr_periods 12`, and returns the number after each of these names.
    pub(super) fn numbers<const N: usize>(&mut self, names: [&str; N]) -> Option<[Option<u64>; N]> {
        let text = self.read()?;
        Some(names.map(|name| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
            value.trim().parse().ok()
        }))
    }
}
