//! From what was seen of a process that failed to its cause.

use std::path::{Path, PathBuf};

use super::Prepared;
use super::bring::display;
use super::script::RankTask;
use crate::event::{Cause, Ending};
use crate::failure::{self, Evidence, OutOfMemory};
use crate::job::Variables;
use crate::redact::Redactor;
use crate::supervise::{Killed, Stop};

/// What is the same for all processes of a run.
pub(super) struct Judge<'a> {
    pub(super) variables: &'a Variables,
    pub(super) redactor: &'a Redactor,
    pub(super) prepared: &'a Prepared,
    pub(super) code_dir: &'a Path,
}

/// What was seen of a process.
pub(super) struct Seen<'a> {
    pub(super) ending: Ending,
    pub(super) task: &'a RankTask,
    /// Which rank it is, where there are several.
    pub(super) rank: Option<usize>,
    pub(super) stdout: &'a [u8],
    pub(super) stderr: &'a [u8],
    pub(super) stop: Option<Stop>,
    pub(super) memory: Option<OutOfMemory>,
    pub(super) followers: usize,
}

impl<'a> Seen<'a> {
    /// That it has ended; `rank` is that of one which a launcher started.
    pub(super) fn new(ending: Ending, task: &'a RankTask, rank: Option<usize>) -> Seen<'a> {
        Seen {
            ending,
            task,
            rank: rank.or(task.rank),
            stdout: &[],
            stderr: &[],
            stop: None,
            memory: None,
            followers: 0,
        }
    }
}

impl Judge<'_> {
    /// Why it failed.
    pub(super) fn cause(&self, seen: &Seen<'_>) -> Cause {
        let job = &self.prepared.job;
        let command = display(self.redactor, &seen.task.task.arguments);
        let mut evidence = Evidence::new(seen.ending, seen.stderr, seen.stdout, self.code_dir, command);
        evidence.hosts = &job.cluster.hosts;
        evidence.host = (job.cluster.hosts.len() > 1).then(|| job.cluster.current_host.clone());
        evidence.rank = seen.rank;
        evidence.followers = seen.followers;
        evidence.stopped = seen.stop.map(|stop| failure::StopEvidence {
            signal: stop.signal.to_string(),
            grace_seconds: self.prepared.settings.grace_period.as_secs(),
            killed_after_grace: stop.killed == Some(Killed::GraceOver),
        });
        evidence.memory = seen.memory;
        let temporary = std::env::temp_dir();
        evidence.full =
            failure::full_disks(&[job.paths.base().to_owned(), job.paths.output(), job.paths.model(), temporary]);
        let given = self.variables.get_os("TORCHELASTIC_ERROR_FILE").map(PathBuf::from);
        let error_file = seen.task.error_file.clone().or(given).and_then(|path| std::fs::read(path).ok());
        evidence.error_file = error_file.and_then(|bytes| failure::error_file(&bytes));
        let mut cause = failure::cause(&evidence);
        // mpirun was given the addresses of hosts whose names need not resolve.
        for (name, address) in &self.prepared.settings.host_addresses {
            cause.call_host(&address.to_string(), name);
        }
        cause
    }
}
