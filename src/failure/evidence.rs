//! What was seen of a failure: plain data, gathered by others, judged by [`cause`](super::cause()).

use std::path::Path;

use crate::event::Ending;

use super::{ErrorFile, FullDisk, OutOfMemory};

/// What was seen of one process that failed.
#[derive(Clone, Debug)]
pub struct Evidence<'e> {
    /// How it ended.
    pub ending: Ending,
    /// The last that it wrote to stderr, as it wrote it: any bytes, perhaps beginning mid-line. Of more than 256 KiB
    /// the last 256 KiB are read.
    pub stderr: &'e [u8],
    /// The same of stdout.
    pub stdout: &'e [u8],
    /// The folder of the user's code: paths in it are shown relative to it.
    pub code_dir: &'e Path,
    /// The command as it may be shown, secrets already taken out.
    pub command: String,
    /// The host it ran on; given only if the job has several.
    pub host: Option<String>,
    /// Its rank; given only if the job has several.
    pub rank: Option<usize>,
    /// How many other ranks of its host failed after it.
    pub followers: usize,
    /// Set if footplate itself passed a stop signal on before it ended.
    pub stopped: Option<Stop>,
    /// Set if the kernel killed a process of the container for want of memory while it ran.
    pub memory: Option<OutOfMemory>,
    /// The file systems that were full when it had ended.
    pub full: Vec<FullDisk>,
    /// What it left in the error file of torch elastic (`TORCHELASTIC_ERROR_FILE`), if it had one.
    pub error_file: Option<ErrorFile>,
}

impl<'e> Evidence<'e> {
    /// The evidence that every process leaves; the rest is to be filled in where it was seen.
    pub fn new(
        ending: Ending,
        stderr: &'e [u8],
        stdout: &'e [u8],
        code_dir: &'e Path,
        command: String,
    ) -> Evidence<'e> {
        Evidence {
            ending,
            stderr,
            stdout,
            code_dir,
            command,
            host: None,
            rank: None,
            followers: 0,
            stopped: None,
            memory: None,
            full: Vec::new(),
            error_file: None,
        }
    }
}

/// A stop that footplate passed on to the processes of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The signal's name, such as `SIGTERM`.
    pub signal: String,
    /// The grace period, in seconds.
    pub grace_seconds: u64,
    /// Whether the process still ran after the grace period and was killed for that.
    pub killed_after_grace: bool,
}
