//! The evidence of a failure: plain data that other components collect, and that [`cause`](super::cause()) judges.

use std::path::Path;

use crate::event::Ending;
use crate::logs::RankLabel;
use crate::redact::Redactor;

use super::disk::FullDisk;
use super::dynamic::ScriptText;
use super::launcher::ErrorFile;
use super::memory::OutOfMemory;

/// The evidence of one process that failed.
#[derive(Clone, Debug)]
pub struct Evidence<'e> {
    /// The ending of the process.
    pub ending: Ending,
    /// The last bytes that the process wrote to stderr. They may be any bytes, and may begin within a line. At most the
    /// last 1 MiB is read.
    pub stderr: &'e [u8],
    /// The last bytes that the process wrote to stdout, with the properties of [`Evidence::stderr`].
    pub stdout: &'e [u8],
    /// The output of ranks that the process started and that have separate streams.
    pub ranks: Vec<RankEvidence<'e>>,
    /// The folder of the user's code. Paths in it are shown relative to it.
    pub code_dir: &'e Path,
    /// The command as it may be shown, without secrets.
    pub command: String,
    /// The names of the job's hosts. A prefix `[host:rank] ` is read as a [`RankLabel`] only if it contains one of
    /// these names.
    pub hosts: &'e [String],
    /// The host on which the process ran; `None` if the job has only one.
    pub host: Option<String>,
    /// The rank of the process; `None` if the job has only one, or if the process is a launcher.
    pub rank: Option<usize>,
    /// True if the process was told to end before it ended, because another rank or host had failed.
    pub told_to_end: bool,
    /// The stop signal that footplate passed on before the process ended, if there was one.
    pub stopped: Option<StopEvidence>,
    /// The kill of a process of the container for lack of memory while this process ran, if there was one.
    pub memory: Option<OutOfMemory>,
    /// The file systems that were full after the process had ended.
    pub full: Vec<FullDisk>,
    /// The content of the process's error file (torch elastic, `TORCHELASTIC_ERROR_FILE`), if the process wrote one.
    pub error_file: Option<ErrorFile>,
    /// The Python script that the process ran, if its output has frames of functions that lost the name of their file.
    pub script: Option<ScriptText>,
    /// The facts about the job and its container that hints use.
    pub job: JobEvidence,
    /// The secrets of the job, which are removed from a long line before it is shortened.
    pub redactor: Redactor,
}

/// Facts about the job and its container that hints use. Unknown facts are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobEvidence {
    /// The names of the job's channels.
    pub channels: Vec<String>,
    /// The folder that contains the channels' folders, such as `/opt/ml/input/data`.
    pub inputs: Option<String>,
    /// The names of the hyperparameters that the script receives as arguments.
    pub hyperparameters: Vec<String>,
    /// The user id under which the process ran.
    pub user: Option<u32>,
    /// True if the container's cgroup counts kills for lack of memory. If it counted none, lack of memory was not the
    /// reason.
    pub kills_are_counted: bool,
}

/// The output of one rank of a launcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankEvidence<'e> {
    /// The rank and its host.
    pub label: RankLabel,
    /// The last bytes that the rank wrote to stdout.
    pub stdout: &'e [u8],
    /// The last bytes that the rank wrote to stderr.
    pub stderr: &'e [u8],
}

impl<'e> Evidence<'e> {
    /// Returns evidence with the facts that are known for every process. The caller sets the other fields if they are
    /// known.
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
            ranks: Vec::new(),
            code_dir,
            command,
            hosts: &[],
            host: None,
            rank: None,
            told_to_end: false,
            stopped: None,
            memory: None,
            full: Vec::new(),
            error_file: None,
            script: None,
            job: JobEvidence::default(),
            redactor: Redactor::default(),
        }
    }
}

/// A stop that footplate passed on to the processes of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopEvidence {
    /// The signal's name, such as `SIGTERM`.
    pub signal: String,
    /// The grace period, in seconds.
    pub grace_seconds: u64,
    /// True if the process was killed because it still ran after the grace period.
    pub killed_after_grace: bool,
}
