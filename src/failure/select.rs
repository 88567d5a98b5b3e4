//! The choice of the traceback that ended the process.

use crate::event;
use std::path::Path;

use super::figures;
use super::launcher::RankReport;
use super::lines::Log;
use super::noise;
use super::other;
use super::place::{self, Frame};
use super::read::{Origin, Traceback};
use super::signal::is_about_a_stop;
use super::text::one_line;

/// The maximum number of meaningful lines after a traceback that ended a process. After an uncaught exception, only
/// exit handlers and other threads may still write. After an exception that was survived, the rest of the run writes.
const LINES_AFTER: usize = 100;

/// The value of [`LINES_AFTER`] for an exception that may have been caught, because it was logged or the exit code is
/// not Python's 1.
const LINES_AFTER_UNCERTAIN: usize = 20;

/// Returns, for each line of a log, true if it belongs to a traceback, or if it is the line before a traceback that
/// names its thread, process or logger.
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

/// Returns the traceback that ended a process with this exit code, if there is one. For each writer, it is the last one
/// of the main thread, else the last logged one. If there are several writers, the rank that failed first counts.
pub(super) fn best<'t>(
    log: &Log,
    tracebacks: &'t [Traceback],
    covered: &[bool],
    report: Option<&RankReport>,
    code: i32,
    code_dir: &Path,
) -> Option<&'t Traceback> {
    // The program that puts a prefix before the lines may write its own lines without one.
    let prefix = |found: &Traceback| {
        let writer = &log.writers[found.writer];
        writer.prefix.as_deref().filter(|_| writer.rank.is_none())
    };
    let ended = |found: &&Traceback| {
        let is_record = prefix(found).is_some_and(|prefix| noise::level(prefix).is_some());
        let certain = found.origin == Origin::Main && code == 1 && !is_record;
        if code != 1 && found.origin == Origin::Main && has_continued(log, found, covered) {
            return false;
        }
        let known = found.last().headline();
        let from = found.lines.end() + 1;
        let mut writers = [found.writer].into_iter().chain(prefix(found).map(|_| 0));
        let mut after = writers.clone();
        if !certain && after.any(|writer| other::ends_with_another_error(log, from, covered, writer, &known)) {
            return false;
        }
        match writers.by_ref().map(|writer| other::count(log, from, covered, writer)).sum() {
            0..=LINES_AFTER_UNCERTAIN => true,
            after if certain && after <= LINES_AFTER => {
                report.is_some() || log.writers.len() > 1 || !has_ended_otherwise(log, found, covered)
            }
            _ => certain && !has_gone_on(log, found, covered),
        }
    };
    let mut of_writers: Vec<&Traceback> = Vec::new();
    for writer in 0..log.writers.len() {
        let of_writer = || tracebacks.iter().filter(move |found| found.writer == writer).rev();
        let main = || of_writer().filter(|found| found.origin == Origin::Main && !is_plain_exit(found));
        // An exception that a launcher raised about a rank counts only if there is no other.
        let own = main().find(|found| !is_launchers(found, code_dir));
        let logged = || of_writer().find(|found| found.origin == Origin::Logged && !is_elastic(found));
        // If the exit code is not Python's 1, all exceptions were caught, and the last one was decisive. The same is true
        // if the script's top level raised or logged another one afterwards: an uncaught exception ends the top level.
        let decides = |later: &Traceback| code != 1 || begins_at_top_level(later);
        let own = match (own, logged()) {
            (Some(own), Some(later)) if later.lines.end() > own.lines.end() && decides(later) => Some(later),
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

/// Returns true if the outermost call of a traceback is in the top level of a Python file. Exit handlers and threads run
/// after the top level, and are called by the interpreter.
fn begins_at_top_level(found: &Traceback) -> bool {
    found.last().frames.first().and_then(|frame| frame.function.as_deref()) == Some("<module>")
}

/// Returns true if a traceback begins in the top level of the program, so that nothing has caught its exception. The
/// modules that start a script or a module may be before it.
pub(super) fn is_uncaught(found: &Traceback) -> bool {
    let starts = |frame: &&Frame| {
        !(frame.path.starts_with("<frozen ") || frame.path.ends_with("/runpy.py") || frame.path.ends_with("/runpy.pyc"))
    };
    let first = found.last().frames.iter().find(starts);
    first.is_some_and(|frame| frame.function.as_deref() == Some("<module>"))
        && !is_plain_exit(found)
        && !is_elastic(found)
}

/// Returns true if the program wrote much after a traceback and the traceback did not end it: it made progress, or
/// reported another error at its end. Exit handlers may write much too.
fn has_gone_on(log: &Log, found: &Traceback, covered: &[bool]) -> bool {
    let from = found.lines.end() + 1;
    let lines = log.lines_of(found.writer, from);
    if lines.iter().filter(|&&at| noise::is_step(log.text(at))).count() >= noise::STEPS {
        return true;
    }
    let skipped: Vec<bool> =
        (0..log.lines.len()).map(|at| covered[at] || log.lines[at].writer != found.writer).collect();
    other::last_error(log, from, &skipped).is_some()
}

/// Returns true if a traceback does not begin in the top level, so that its exception was caught, and the program then
/// reported its progress. The first lines of that report may read like lines of the message.
fn has_continued(log: &Log, found: &Traceback, covered: &[bool]) -> bool {
    const STEPS: usize = 2;
    let is_python = found.last().frames.first().is_some_and(|frame| frame.path.ends_with(".py"));
    if !is_python || is_uncaught(found) || found.chain.len() > 1 {
        return false;
    }
    let within = found.last().message.lines().skip(1).filter(|line| figures::is_figures(line)).count();
    let after = log.lines_of(found.writer, found.lines.end() + 1).iter();
    let after = after.filter(|&&at| !covered[at] && figures::is_figures(log.text(at))).count();
    within + after >= STEPS
}

/// Returns true if the program made progress after a traceback, and then ended with words of its own.
fn has_ended_otherwise(log: &Log, found: &Traceback, covered: &[bool]) -> bool {
    let from = found.lines.end() + 1;
    let steps = log.lines_of(found.writer, from).iter().filter(|&&at| figures::is_figures(log.text(at))).count();
    steps >= noise::STEPS && other::ends_with_own_words(log, from, covered)
}

/// Returns the last traceback of another thread or of a child process. It is the best evidence if the main thread left
/// none. If others precede it closely, the first of them is returned, because the later ones may follow from it.
pub(super) fn of_other_thread<'t>(log: &Log, tracebacks: &'t [Traceback], covered: &[bool]) -> Option<&'t Traceback> {
    /// The maximum number of meaningful lines between two tracebacks that belong together.
    const NEAR: usize = 5;
    let mut of_others =
        tracebacks.iter().rev().filter(|found| matches!(found.origin, Origin::Thread(_) | Origin::Child(_)));
    let mut first = of_others.next()?;
    let mut from = *first.lines.start();
    for other in of_others {
        if other::count_between(log, other.lines.end() + 1..from, covered, other.writer) > NEAR {
            break;
        }
        from = *other.lines.start();
        first = if event::reads_like_consequence(&one_line(&other.last().headline())) { first } else { other };
    }
    Some(first)
}

/// Returns the last exception that ended a rank, a thread or a child process before the job was stopped. Exceptions
/// about a stop or about a lost process do not count. A script that printed an exception and then made progress has
/// caught it.
pub(super) fn before_stop<'t>(
    log: &Log,
    tracebacks: &'t [Traceback],
    covered: &[bool],
    stdout: &Log,
) -> Option<&'t Traceback> {
    let steps = |log: &Log| log.lines.iter().filter(|line| noise::is_step(&line.text)).count();
    let has_gone_on = steps(log) + steps(stdout) >= noise::STEPS;
    tracebacks.iter().rev().find(|found| {
        let headline = one_line(&found.last().headline());
        let has_ended = matches!(found.origin, Origin::Thread(_) | Origin::Child(_))
            || !has_gone_on && is_at_the_end(log, found, covered);
        has_ended && !is_plain_exit(found) && !is_about_a_stop(&headline) && !event::reads_like_consequence(&headline)
    })
}

/// Returns a traceback that is better than nothing. It is the last one that was logged, unless the program then
/// reported progress or an error. Otherwise it is the last one of an exception that was ignored.
pub(super) fn last_resort<'t>(log: &Log, tracebacks: &'t [Traceback], covered: &[bool]) -> Option<&'t Traceback> {
    let last = |origin| tracebacks.iter().rev().find(|found| found.origin == origin);
    last(Origin::Logged).filter(|found| !has_gone_on(log, found, covered)).or_else(|| last(Origin::Ignored))
}

/// Returns true if a script continued after a traceback that it printed to stdout, and reported another error on
/// stderr.
pub(super) fn is_followed_by_another(
    stdout: &Log,
    found: &Traceback,
    covered: &[bool],
    (stderr, of_stderr): (&Log, &[bool]),
) -> bool {
    /// The maximum number of lines that a script writes while it ends.
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

/// Returns true if the process wrote little after a traceback, so that it may have been ending.
pub(super) fn is_at_the_end(log: &Log, found: &Traceback, covered: &[bool]) -> bool {
    found.origin == Origin::Main
        && other::count(log, found.lines.end() + 1, covered, found.writer) <= LINES_AFTER_UNCERTAIN
}

/// Returns true if the exception is only that of `sys.exit(3)`, which a script printed. The words before it are more
/// informative.
fn is_plain_exit(found: &Traceback) -> bool {
    let last = found.last();
    last.name == "SystemExit" && found.chain.len() == 1 && last.message.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns true if a launcher raised the exception because a rank failed.
fn is_launchers(found: &Traceback, code_dir: &Path) -> bool {
    let last = found.last();
    is_elastic(found) || (last.name.ends_with("CalledProcessError") && !place::any_own(&last.frames, code_dir))
}

/// Returns true if torchrun raised the exception. It names the rank that failed, and torchrun's report describes the
/// failure.
fn is_elastic(found: &Traceback) -> bool {
    found.last().name.ends_with("ChildFailedError")
}
