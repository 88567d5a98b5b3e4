//! Which of several tracebacks is the one that ended the process.

use std::path::Path;

use crate::event;

use super::launcher::Report;
use super::lines::Log;
use super::other;
use super::place;
use super::python::{Origin, Traceback};
use super::text::one_line;

/// How many meaningful lines may follow a traceback that ended a process. An exception that nothing caught is followed
/// by what exit handlers and other threads write; one that was survived, by the rest of the run.
const LINES_AFTER: usize = 100;

/// The same where it is not certain that nothing caught it: it was logged, or the exit code is not Python's 1.
const LINES_AFTER_UNCERTAIN: usize = 20;

/// Which lines of a log belong to tracebacks, with the line before that says whose they are.
pub(super) fn covered(log: &Log, tracebacks: &[Traceback]) -> Vec<bool> {
    let mut covered = vec![false; log.lines.len()];
    for found in tracebacks {
        for at in found.lines.clone().filter(|&at| log.lines[at].stream == found.stream) {
            covered[at] = true;
        }
        if found.origin != Origin::Main && *found.lines.start() > 0 {
            covered[found.lines.start() - 1] = true;
        }
    }
    covered
}

/// The traceback that ended a process with this exit code, if one did: of each stream the last one of the main thread,
/// else the last logged one; of several streams that of the rank that failed first.
pub(super) fn best<'t>(
    log: &Log,
    tracebacks: &'t [Traceback],
    covered: &[bool],
    report: Option<&Report>,
    code: i32,
    code_dir: &Path,
) -> Option<&'t Traceback> {
    let ended = |found: &&Traceback| {
        let certain = found.origin == Origin::Main && code == 1;
        let most = if certain { LINES_AFTER } else { LINES_AFTER_UNCERTAIN };
        other::count(log, found.lines.end() + 1, covered, found.stream) <= most
    };
    let mut of_streams: Vec<&Traceback> = Vec::new();
    for stream in 0..log.streams.len() {
        let of_stream = || tracebacks.iter().filter(move |found| found.stream == stream).rev();
        let main = || of_stream().filter(|found| found.origin == Origin::Main);
        // What a launcher raises about a rank is not the rank's own error, unless there is nothing else.
        let own = main().find(|found| !is_launchers(found, code_dir));
        let logged = || of_stream().find(|found| found.origin == Origin::Logged && !is_elastic(found));
        // With any other exit code than Python's 1, all were caught, and the last one decided.
        let own = match (own, logged()) {
            (Some(own), Some(logged)) if code != 1 && logged.lines.end() > own.lines.end() => Some(logged),
            _ => own,
        };
        let found = own.or_else(logged).or_else(|| main().find(|found| !is_elastic(found)));
        of_streams.extend(found.filter(ended));
    }
    let reported = |found: &Traceback| {
        let stream = &log.streams[found.stream];
        report.is_some_and(|report| {
            (report.rank.is_some() && report.rank == stream.rank)
                || (report.local_rank.is_some() && report.local_rank == stream.local_rank)
        })
    };
    let caused = |found: &Traceback| event::reads_like_consequence(&one_line(&found.last().headline()));
    of_streams.into_iter().min_by_key(|found| {
        (
            found.origin != Origin::Main,
            is_launchers(found, code_dir),
            caused(found),
            !reported(found),
            *found.lines.end(),
        )
    })
}

/// A traceback of another thread or of a child process: the best evidence if the main thread left none.
pub(super) fn elsewhere(tracebacks: &[Traceback]) -> Option<&Traceback> {
    tracebacks.iter().rev().find(|found| matches!(found.origin, Origin::Thread(_) | Origin::Child(_)))
}

/// A traceback of an exception that the interpreter ignored: better than nothing.
pub(super) fn ignored(tracebacks: &[Traceback]) -> Option<&Traceback> {
    tracebacks.iter().rev().find(|found| found.origin == Origin::Ignored)
}

/// The first line after the last traceback that the process survived.
pub(super) fn last_survived(tracebacks: &[Traceback]) -> usize {
    let survived = tracebacks.iter().filter(|found| matches!(found.origin, Origin::Main | Origin::Logged));
    survived.filter(|found| !is_elastic(found)).map(|found| found.lines.end() + 1).max().unwrap_or(0)
}

/// What a child process printed right before the traceback of the parent that ran it.
pub(super) fn before(log: &Log, tracebacks: &[Traceback], found: &Traceback, covered: &[bool]) -> Option<String> {
    const NEAR: usize = 3;
    let first = *found.lines.start();
    let ended = tracebacks.iter().filter(|other| other.stream == found.stream && *other.lines.end() < first);
    if let Some(child) = ended.max_by_key(|other| *other.lines.end()).filter(|other| first - other.lines.end() <= NEAR)
    {
        return Some(child.last().headline());
    }
    let near = (first.saturating_sub(NEAR)..first).rev();
    let mut texts = near.filter(|&at| !covered[at]).map(|at| log.text(at).trim());
    texts.find(|text| !text.is_empty() && !super::noise::is_noise(text)).map(str::to_owned)
}

/// Whether a traceback is that of a launcher about a rank that failed.
fn is_launchers(found: &Traceback, code_dir: &Path) -> bool {
    let last = found.last();
    is_elastic(found) || (last.name.ends_with("CalledProcessError") && !place::any_own(&last.frames, code_dir))
}

/// torchrun's own: it says which rank failed, and its report says how.
fn is_elastic(found: &Traceback) -> bool {
    found.last().name.ends_with("ChildFailedError")
}
