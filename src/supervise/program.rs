//! What runs: a program that footplate started, or a rank that one of them did, and what is known of it.

use std::fs::File;
use std::time::{Duration, Instant};

use nix::libc;
use nix::unistd::Pid;

use super::record::Record;
use super::{Failing, Report};
use crate::event::Ending;
use crate::logs::StreamId;

/// A program that was started, or a rank that one of them started, under a keeper.
#[derive(Debug)]
pub(super) struct Program {
    /// Its place among the tasks.
    pub(super) task: usize,
    /// Which rank it is, if it has a keeper.
    pub(super) rank: Option<usize>,
    /// None for a rank that has not begun.
    pub(super) pid: Option<Pid>,
    pub(super) is_launcher: bool,
    /// Whether it was killed because it had nothing to wait for any more.
    pub(super) is_dismissed: bool,
    /// Since when it is a rank that was seen without its keeper.
    pub(super) orphan_since: Option<Instant>,
    /// Which of all programs of the relay it is, and which of its streams are the first.
    pub(super) process: usize,
    pub(super) part: usize,
    /// What its lines begin with where they are evidence beside those of others.
    pub(super) name: Vec<u8>,
    pub(super) ending: Option<ProgramEnd>,
    /// Its standard output and its standard error.
    pub(super) records: [Record; 2],
    /// What keeps the streams of ranks from ending before them.
    pub(super) held: Vec<[File; 2]>,
    /// How much of its failure was told: that it failed, and with what it wrote.
    pub(super) told: [bool; 2],
}

/// How and when a program ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProgramEnd {
    pub(super) ending: Ending,
    pub(super) duration: Duration,
    /// Whether it was told to end because another had failed before.
    pub(super) followed: bool,
}

impl Program {
    /// One whose process is not known yet. `names` are those of ranks that share its records.
    pub(super) fn new(task: usize, process: usize, part: usize, names: Vec<Vec<u8>>) -> Program {
        Program {
            task,
            rank: None,
            pid: None,
            is_launcher: false,
            is_dismissed: false,
            orphan_since: None,
            process,
            part,
            name: Vec::new(),
            ending: None,
            records: [Record::new(names.clone()), Record::new(names)],
            held: Vec::new(),
            told: [false; 2],
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.ending.is_some_and(|end| !end.ending.is_success())
    }

    /// The same, and not because of another one.
    pub(super) fn has_failed_itself(&self) -> bool {
        self.ending.is_some_and(|end| !end.ending.is_success() && !end.followed)
    }

    /// Whether it is a rank that runs.
    pub(super) fn is_kept(&self) -> bool {
        self.rank.is_some() && self.pid.is_some() && self.ending.is_none()
    }

    /// Whether it is a rank that a signal has ended.
    pub(super) fn was_killed(&self) -> bool {
        self.rank.is_some() && self.ending.is_some_and(|end| matches!(end.ending, Ending::Signaled(_)))
    }

    /// Whether all that it wrote was read.
    pub(super) fn is_whole(&self) -> bool {
        self.records.iter().all(|record| record.whole().is_some())
    }

    /// Whether a stream is one of its own; gives which.
    pub(super) fn part_of(&self, id: StreamId) -> Option<usize> {
        let part = id.part.checked_sub(self.part).filter(|part| *part < self.records[0].parts())?;
        (id.process == self.process).then_some(part)
    }

    /// What is not told yet of its failure: that it failed, and then with what it wrote. One that was told to end and exits
    /// with a failure may have been failing before. `index` is its place among all that run.
    pub(super) fn news(&mut self, index: usize) -> Option<Failing<'_>> {
        let was_ended = |end: &ProgramEnd| end.followed && matches!(end.ending, Ending::Signaled(_));
        let ProgramEnd { ending, duration, .. } =
            self.ending.filter(|end| !end.ending.is_success() && !was_ended(end))?;
        let [stdout, stderr] = &self.records;
        let streams = stdout.whole().zip(stderr.whole()).map(|(stdout, stderr)| [stdout, stderr]);
        let was_told = std::mem::replace(&mut self.told[usize::from(streams.is_some())], true);
        let Program { task, rank, .. } = *self;
        (!was_told).then_some(Failing { index, task, rank, ending, duration, streams })
    }

    fn report(self, end: ProgramEnd) -> Report {
        let Program { task, rank, records, .. } = self;
        let ProgramEnd { ending, duration, followed } = end;
        let [stdout, stderr] = records.map(Record::take);
        Report { task, rank, ending, stdout, stderr, duration, followed }
    }
}

/// How they ended. `lasted` is how long those ran that could not even be killed.
pub(super) fn reports(programs: Vec<Program>, lasted: Duration) -> Vec<Report> {
    let unknown = ProgramEnd { ending: Ending::Signaled(libc::SIGKILL), duration: lasted, followed: true };
    let (kept, own): (Vec<Program>, Vec<Program>) = programs.into_iter().partition(|program| program.rank.is_some());
    // A launcher of which a rank has failed says nothing new; else what the ranks wrote may tell why it failed.
    let caused = kept.iter().any(Program::has_failed_itself);
    let mut reports = Vec::new();
    for mut program in own {
        let end = program.ending.unwrap_or(unknown);
        if program.is_launcher && !kept.is_empty() && (caused || program.is_dismissed) {
            continue;
        }
        if !kept.is_empty() && !end.ending.is_success() {
            for (stream, record) in program.records.iter_mut().enumerate() {
                record.add_ranks(kept.iter().map(|rank| (&rank.name[..], &rank.records[stream])));
            }
        }
        reports.push(program.report(end));
    }
    // Of one that has no ending nothing is known.
    reports.extend(kept.into_iter().filter_map(|rank| rank.ending.map(|end| rank.report(end))));
    reports
}
