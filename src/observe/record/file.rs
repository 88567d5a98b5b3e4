//! The file of a run record: replaced in one step, with the space for its last version reserved.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc;

use crate::system::files::create_own as create;

/// The name of the record.
const NAME: &str = "run.json";

/// The name of the next version while it is being written.
const NEXT: &str = ".run.json.next";

/// The name of the file that reserves space for the last version.
const RESERVE: &str = ".run.json.last";

/// The size of the reserve, in bytes. A record of 128 ranks takes about 40 kB.
const RESERVED: usize = 96 << 10;

/// An error of a file operation, with the path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {error}")]
pub(super) struct RecordError {
    action: &'static str,
    path: PathBuf,
    error: io::Error,
}

/// The record in its folder.
#[derive(Debug)]
pub(super) struct RecordFile {
    folder: PathBuf,
    /// The file that holds the space for the last version. `None` if the file system cannot reserve space.
    reserve: Option<File>,
}

impl RecordFile {
    /// Makes the folder, and reserves the space for the last version. A record of an earlier run stays until it is replaced.
    pub(super) fn create(folder: &Path) -> Result<RecordFile, RecordError> {
        let failed = |action, path: &Path, error| RecordError { action, path: path.to_owned(), error };
        fs::create_dir_all(folder).map_err(|error| failed("make", folder, error))?;
        let reserve = create(&folder.join(RESERVE)).and_then(|file| {
            // If a file system cannot reserve space, as with some network ones, the record does without.
            fallocate(file.as_fd(), FallocateFlags::empty(), 0, RESERVED as i64)?;
            Ok(file)
        });
        if let Err(error) = &reserve {
            tracing::debug!("no space is reserved for the run record: {error}");
        }
        Ok(RecordFile { folder: folder.to_owned(), reserve: reserve.ok() })
    }

    /// Opens the record of a job that is ending, with its reserve if there is one.
    pub(super) fn open(folder: &Path) -> RecordFile {
        let reserve = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(folder.join(RESERVE));
        RecordFile { folder: folder.to_owned(), reserve: reserve.ok() }
    }

    /// Returns the path of the record.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// Replaces the record.
    pub(super) fn replace(&mut self, text: &str) -> Result<(), RecordError> {
        let path = self.folder.join(NEXT);
        let written = create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        self.put(written, &path)
    }

    /// Replaces the record for the last time, in the reserved space.
    pub(super) fn finish(mut self, text: &str) -> Result<(), RecordError> {
        let Some(mut file) = self.reserve.take() else { return self.replace(text) };
        let path = self.folder.join(RESERVE);
        let written = file.write_all(text.as_bytes()).and_then(|()| file.set_len(text.len() as u64));
        if written.is_err() && text.len() > RESERVED {
            // The text may fit into the space outside the reserve.
            drop(file);
            return self.replace(text);
        }
        self.put(written, &path)
    }

    /// Puts a written file in place of the record.
    fn put(&self, written: io::Result<()>, path: &Path) -> Result<(), RecordError> {
        let record = self.path();
        let put = written.and_then(|()| fs::rename(path, &record));
        put.map_err(|error| {
            // An incomplete version is useless.
            let _ = fs::remove_file(path);
            RecordError { action: "write", path: record, error }
        })
    }
}
