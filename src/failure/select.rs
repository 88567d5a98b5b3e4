//! The choice among several tracebacks: the one that ended the process.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::event;

use super::launcher::RankReport;
use super::lines::Log;
use super::noise;
use super::other;
use super::place;
use super::read::{Origin, Traceback};
use super::signal::is_about_a_stop;
use super::text::one_line;
use crate::failure::pattern::pattern;

/// The maximum number of meaningful lines after a traceback that ended a process. After an exception that nothing caught, exit
/// handlers and other threads may still write; after one that was survived, the rest of the run writes.
const LINES_AFTER: usize = 100;

/// [`LINES_AFTER`] for an exception that may have been caught: it was logged, or the exit code is not Python's 1.
const LINES_AFTER_UNCERTAIN: usize = 20;

/// The minimum number of lines by which a program tells of its progress.
const STEPS: usize = 5;

/// A line that tells of the progress of a training.
static STEP: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:epoch|steps?|iter|iterations?|batch|loss|lr|it/s)\b"));

/// Returns, for each line of a log, true if it belongs to a traceback or is the line before one that says whose it is.
pub(super) fn covered(log: &Log, tracebacks: &[Traceback]) -> Vec<bool> {
    let mut covered = vec![false; log.lines.len()];
    for found in tracebacks {
        for at in found.lines.clone().filter(|&at| log.lines[at].writer == found.writer) {
            covered[at] = true;
        }
        if found.origin != Origin::Main && *found.lines.start() > 0 {
            covered[found.lines.start() - 1] = true;
        }
    }
    covered
}

/// Returns the traceback that ended a process with this exit code, if one did. Each writer's is its last one of the main
/// thread, else its last logged one. Of several writers the rank that failed first counts.
pub(super) fn best<'t>(
    log: &Log,
    tracebacks: &'t [Traceback],
    covered: &[bool],
    report: Option<&RankReport>,
    code: i32,
    code_dir: &Path,
) -> Option<&'t Traceback> {
    // The program that put a prefix before the lines goes on without one.
    let prefix = |found: &Traceback| {
        let writer = &log.writers[found.writer];
        writer.prefix.as_deref().filter(|_| writer.rank.is_none())
    };
    let ended = |found: &&Traceback| {
        let is_record = prefix(found).is_some_and(|prefix| noise::level(prefix).is_some());
        let certain = found.origin == Origin::Main && code == 1 && !is_record;
        let known = found.last().headline();
        let from = found.lines.end() + 1;
        let mut writers = [found.writer].into_iter().chain(prefix(found).map(|_| 0));
        let mut after = writers.clone();
        if !certain && after.any(|writer| other::ends_with_another_error(log, from, covered, writer, &known)) {
            return false;
        }
        match writers.by_ref().map(|writer| other::count(log, from, covered, writer)).sum() {
            0..=LINES_AFTER_UNCERTAIN => true,
            after => certain && (after <= LINES_AFTER || !has_gone_on(log, found, covered)),
        }
    };
    let mut of_writers: Vec<&Traceback> = Vec::new();
    for writer in 0..log.writers.len() {
        let of_writer = || tracebacks.iter().filter(move |found| found.writer == writer).rev();
        let main = || of_writer().filter(|found| found.origin == Origin::Main && !is_plain_exit(found));
        // An exception that a launcher raised about a rank counts only if there is nothing else.
        let own = main().find(|found| !is_launchers(found, code_dir));
        let logged = || of_writer().find(|found| found.origin == Origin::Logged && !is_elastic(found));
        // If the exit code is not Python's 1, all exceptions were caught, and the last one decided.
        let own = match (own, logged()) {
            (Some(own), Some(logged)) if code != 1 && logged.lines.end() > own.lines.end() => Some(logged),
            _ => own,
        };
        let found = own.or_else(logged).or_else(|| main().find(|found| !is_elastic(found)));
        of_writers.extend(found.filter(ended));
    }
    let reported = |found: &Traceback| {
        let writer = &log.writers[found.writer];
        report.is_some_and(|report| {
            (report.rank.is_some() && report.rank == writer.rank)
                || (report.local_rank.is_some() && report.local_rank == writer.local_rank)
        })
    };
    let is_consequence = |found: &Traceback| event::reads_like_consequence(&one_line(&found.last().headline()));
    of_writers.into_iter().min_by_key(|found| {
        (
            found.origin != Origin::Main,
            is_launchers(found, code_dir),
            is_consequence(found),
            prefix(found).is_some(),
            !reported(found),
            *found.lines.end(),
        )
    })
}

/// Returns true if the program did not end with a traceback after which it wrote much: it made progress, or told of another
/// error at its end. Exit handlers may write much, too.
fn has_gone_on(log: &Log, found: &Traceback, covered: &[bool]) -> bool {
    let from = found.lines.end() + 1;
    let lines = log.lines_of(found.writer, from);
    if lines.iter().filter(|&&at| STEP.is_match(log.text(at))).count() >= STEPS {
        return true;
    }
    let skipped: Vec<bool> =
        (0..log.lines.len()).map(|at| covered[at] || log.lines[at].writer != found.writer).collect();
    other::telling(log, from, &skipped).is_some()
}

/// Returns the last traceback of another thread or of a child process: the best evidence if the main thread left none.
pub(super) fn of_other_thread(tracebacks: &[Traceback]) -> Option<&Traceback> {
    tracebacks.iter().rev().find(|found| matches!(found.origin, Origin::Thread(_) | Origin::Child(_)))
}

/// Returns the last exception that ended a rank, a thread or a child process before the job was stopped, and that tells
/// neither of a stop nor of a process that is gone. A script that printed one and made progress has caught it.
pub(super) fn before_stop<'t>(
    log: &Log,
    tracebacks: &'t [Traceback],
    covered: &[bool],
    stdout: &Log,
) -> Option<&'t Traceback> {
    let steps = |log: &Log| log.lines.iter().filter(|line| STEP.is_match(&line.text)).count();
    let has_gone_on = steps(log) + steps(stdout) >= STEPS;
    tracebacks.iter().rev().find(|found| {
        let headline = one_line(&found.last().headline());
        let has_ended = matches!(found.origin, Origin::Thread(_) | Origin::Child(_))
            || !has_gone_on && is_at_the_end(log, found, covered);
        has_ended && !is_plain_exit(found) && !is_about_a_stop(&headline) && !event::reads_like_consequence(&headline)
    })
}

/// Returns a traceback that is better than nothing: the last one that was logged, if the program then told neither of progress nor
/// of an error, else the last one of an exception that was ignored.
pub(super) fn last_resort<'t>(log: &Log, tracebacks: &'t [Traceback], covered: &[bool]) -> Option<&'t Traceback> {
    let last = |origin| tracebacks.iter().rev().find(|found| found.origin == origin);
    last(Origin::Logged).filter(|found| !has_gone_on(log, found, covered)).or_else(|| last(Origin::Ignored))
}

/// Returns true if a script went on after a traceback that it printed to stdout, and told of another error on stderr.
pub(super) fn is_followed_by_another(
    stdout: &Log,
    found: &Traceback,
    covered: &[bool],
    (stderr, of_stderr): (&Log, &[bool]),
) -> bool {
    /// The number of lines that a script writes on its way out.
    const FEW: usize = 5;
    let known = found.last().headline();
    other::count(stdout, found.lines.end() + 1, covered, found.writer) > FEW
        && other::ends_with_another_error(stderr, 0, of_stderr, 0, &known)
}

/// Returns the first line after the last traceback that the process survived; 0 if there is none.
pub(super) fn last_survived(tracebacks: &[Traceback]) -> usize {
    let survived = tracebacks.iter().filter(|found| matches!(found.origin, Origin::Main | Origin::Logged));
    survived
        .filter(|found| !is_elastic(found) && !is_plain_exit(found))
        .map(|found| found.lines.end() + 1)
        .max()
        .unwrap_or(0)
}

/// Returns true if the process wrote little after a traceback: it may have been ending.
pub(super) fn is_at_the_end(log: &Log, found: &Traceback, covered: &[bool]) -> bool {
    found.origin == Origin::Main
        && other::count(log, found.lines.end() + 1, covered, found.writer) <= LINES_AFTER_UNCERTAIN
}

/// Returns true if the exception is only that of `sys.exit(3)`, which a script printed: the words before it say more.
fn is_plain_exit(found: &Traceback) -> bool {
    let last = found.last();
    last.name == "SystemExit" && found.chain.len() == 1 && last.message.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns true if a launcher raised the exception about a rank that failed.
fn is_launchers(found: &Traceback, code_dir: &Path) -> bool {
    let last = found.last();
    is_elastic(found) || (last.name.ends_with("CalledProcessError") && !place::any_own(&last.frames, code_dir))
}

/// Returns true if torchrun raised the exception: it names the rank that failed, and its report says how.
fn is_elastic(found: &Traceback) -> bool {
    found.last().name.ends_with("ChildFailedError")
}
