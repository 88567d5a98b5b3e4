//! The failure behind an exception that only reports it: the failure of a child process or of another thread.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::lines::Log;
use super::noise;
use super::other;
use super::place;
use super::read::{self, Origin, Raised, Traceback};
use super::runtime::{self, ErrorLine};
use super::text::one_line;
use super::wrapper;
use crate::event;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// The failure behind the exception that ended a process.
#[derive(Debug)]
pub(super) enum Behind<'t> {
    /// The exception that the other process or thread raised.
    Raised(&'t Traceback),
    /// The line in which a program reported its error.
    Printed(ErrorLine),
    /// The exception of another thread or of a child process, which may be unrelated.
    Beside(&'t Traceback),
}

/// The kinds of exceptions that report the failure of another process or thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Messenger {
    /// A command or a child process exited with a failure.
    Exit,
    /// A process of a pool, or a worker of a data loader, has died.
    Pool,
    /// The connection to a child process ended.
    Connection,
    /// A wait for another thread or process failed or timed out.
    Wait,
}

/// The maximum number of meaningful lines between the error of a child process and the exception that reports it.
const NEAR: usize = 12;

/// The maximum number of meaningful lines between the exception of another thread and one that does not report it.
const BESIDE: usize = 100;

/// Messages about a child process that failed.
static EXIT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:exit(?:ed|s)?|terminated|returned|failed|died|ended) (?:with |by |on )?(?:an? )?(?:non-?zero )?",
        r"(?:exit |return )?(?:code|status|signal)\b|non-?zero|\bexitcode\b|\brc ?= ?\d|",
        r"\b(?:root cause|errors?|logs?|tracebacks?|messages?) above\b|Horovod detected that|",
        r"\b(?:workers?|child(?:ren)?|(?:sub-?)?process(?:es)?|ranks?|commands?|scripts?|runs?)\b.*\b(?:failed|died|crashed|exited|ended with|is dead)\b",
    ))
});

/// Messages about a worker of a pool or a data loader that has died.
static POOL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)DataLoader worker .*(?:exited unexpectedly|killed by signal)|worker process managed by the executor")
});

fn messenger(raised: &Raised) -> Option<Messenger> {
    let name = raised.name.rsplit('.').next().unwrap_or_default();
    Some(match name {
        "CalledProcessError"
        | "UnexpectedExit"
        | "ProcessExitedException"
        | "ChildProcessError"
        | "TrainingFailedError" => Messenger::Exit,
        "TuneError" if raised.message.contains("did not complete") => Messenger::Exit,
        "BrokenProcessPool" | "TerminatedWorkerError" => Messenger::Pool,
        "EOFError" if raised.message.is_empty() => Messenger::Connection,
        "ConnectionResetError" | "BrokenPipeError" | "ConnectionRefusedError" | "ConnectionAbortedError" => {
            Messenger::Connection
        }
        "Empty" | "Full" | "TimeoutError" | "BrokenBarrierError" | "CancelledError" => Messenger::Wait,
        _ if POOL.is_match(&raised.message) => Messenger::Pool,
        // Exceptions of Node's child_process and of Gradle.
        "Error" if raised.message.starts_with("Command failed: ") => Messenger::Exit,
        "" if raised.message.starts_with("Execution failed for task ") && EXIT.is_match(&raised.message) => {
            Messenger::Exit
        }
        "RuntimeError" | "Exception" | "SystemError" | "OSError" | "AssertionError" | "SystemExit"
        | "ExecutionException"
            if EXIT.is_match(&raised.message) =>
        {
            Messenger::Exit
        }
        _ => return None,
    })
}

/// Returns true if an exception reports that a command or a child process exited with a failure.
pub(super) fn reports_an_exit(found: &Traceback) -> bool {
    messenger(found.last()) == Some(Messenger::Exit)
}

/// Returns the failure behind the exception that ended a process, if there is one.
pub(super) fn behind<'t>(
    log: &Log,
    tracebacks: &'t [Traceback],
    found: &Traceback,
    covered: &[bool],
    code_dir: &Path,
) -> Option<Behind<'t>> {
    let (first, last) = (*found.lines.start(), *found.lines.end());
    // The script may have raised its own exception after a wait for another thread or process failed.
    let is_wait = |raised: &&Raised| messenger(raised) == Some(Messenger::Wait);
    let before_last = found.chain.len().checked_sub(2).map(|at| &found.chain[at]);
    let messenger = messenger(found.last()).or_else(|| before_last.filter(is_wait).map(|_| Messenger::Wait));
    // Some drivers prefix the lines of their processes. Those processes belong to the driver.
    let has_rank = |writer: usize| log.writers[writer].rank.is_some();
    let is_together = |writer: usize| writer == found.writer || !has_rank(writer) && !has_rank(found.writer);
    let mut others: Vec<&Traceback> =
        tracebacks.iter().filter(|other| is_together(other.writer) && *other != found).collect();
    others.sort_unstable_by_key(|other| *other.lines.start());
    let of_writer = || others.iter().copied();
    let before = || of_writer().filter(|other| *other.lines.end() < first);
    let gap = |from: usize, until: usize| other::count_between(log, from..until, covered, found.writer);
    let is_thread = |other: &&Traceback| matches!(other.origin, Origin::Thread(_));
    let is_child = |other: &&Traceback| matches!(other.origin, Origin::Child(_));
    let Some(messenger) = messenger else {
        let beside = before().rfind(|other| is_thread(other) || is_child(other))?;
        return (gap(beside.lines.end() + 1, first) <= BESIDE).then_some(Behind::Beside(beside));
    };
    if messenger == Messenger::Wait {
        let elsewhere = of_writer().filter(|other| is_thread(other) || is_child(other) || is_of_task(log, other));
        return elsewhere.filter(is_cause).map(Behind::Raised).next();
    }
    // Errors right before the exception belong together, and the first of them is the cause.
    let mut nearest: Option<&Traceback> = None;
    let mut until = first;
    for other in before().collect::<Vec<_>>().into_iter().rev() {
        let is_of_process = matches!(other.origin, Origin::Main | Origin::Child(_) | Origin::Logged);
        if !is_of_process || gap(other.lines.end() + 1, until) > NEAR {
            break;
        }
        until = *other.lines.start();
        nearest = if is_cause(&other) { Some(other) } else { nearest };
    }
    // A child process may write its error after its parent.
    let after =
        || of_writer().filter(|other| *other.lines.start() > last).find(|other| is_child(other) && is_cause(other));
    let child = || before().find(|other| is_child(other) && is_cause(other));
    if let Some(raised) = nearest.or_else(child).or_else(after) {
        return Some(Behind::Raised(raised));
    }
    if messenger == Messenger::Connection {
        return None;
    }
    if let Some(crash) = read::fatal_before(log, first).filter(|(end, _)| gap(*end, first) == 0) {
        let (end, fatal) = crash;
        let place = place::deepest(fatal.frames.iter(), code_dir);
        return Some(Behind::Printed(ErrorLine { headline: fatal.error, place, line: end - 1 }));
    }
    let from = before().map(|other| other.lines.end() + 1).max().unwrap_or(0);
    let earlier: Vec<bool> =
        (0..log.lines.len()).map(|at| covered[at] || at >= first || log.lines[at].writer != found.writer).collect();
    let said = match messenger {
        Messenger::Exit => captured(log, found)
            .or_else(|| other::last_error(log, from, &earlier))
            .or_else(|| directly_above(log, found, covered)),
        // The worker wrote the reason why it aborted.
        Messenger::Pool if found.last().message.contains("signal: Aborted") => {
            runtime::abort(log).filter(|said| said.line < first && said.line >= from)
        }
        _ => None,
    };
    said.filter(|said| !found.last().message.contains(&said.headline)).map(Behind::Printed)
}

/// Returns the error of a program whose output the exception of the library Invoke contains.
fn captured(log: &Log, found: &Traceback) -> Option<ErrorLine> {
    const MAX_LINES: usize = 60;
    let is_of_invoke = found.last().name.ends_with("UnexpectedExit");
    let below = || log.lines_of(found.writer, *found.lines.start()).iter().copied();
    let output = is_of_invoke.then(|| below().find(|&at| log.text(at) == "Stderr:"))??;
    let end = below().filter(|&at| at > output).nth(MAX_LINES).unwrap_or(log.lines.len());
    let skipped: Vec<bool> = (0..log.lines.len()).map(|at| at >= end || log.lines[at].writer != found.writer).collect();
    let last = || other::last_words(log, output + 1, &skipped);
    other::last_error(log, output + 1, &skipped).or_else(last)
}

/// Returns the message with which a script ended before one of its threads raised an exception: nothing but that exception
/// follows it.
pub(super) fn exit_message(log: &Log, tracebacks: &[Traceback], covered: &[bool]) -> Option<ErrorLine> {
    let is_thread = |found: &Traceback| matches!(found.origin, Origin::Thread(_));
    let first = tracebacks.iter().map(|found| *found.lines.start()).min()?;
    let line = other::last_line(log, 0, covered).filter(|&at| at < first && tracebacks.iter().all(is_thread))?;
    let text = log.text(line);
    // Such a line states what the script does.
    let does = text.split_whitespace().next().is_some_and(|word| word.ends_with("ing")) || text.ends_with("...");
    if does || noise::is_step(text) || noise::level(text).is_some() || log.lines[line].writer != tracebacks[0].writer {
        return None;
    }
    let is_only = || other::meaningful(log, 0, covered).nth(1).is_none();
    let found = other::last_error(log, line, covered);
    found.or_else(|| is_only().then(|| other::last_words(log, line, covered)).flatten())
}

/// Returns the words of a program that the script printed directly above the exception that reports its exit:
/// `convert: no decode delegate for this format`.
fn directly_above(log: &Log, found: &Traceback, covered: &[bool]) -> Option<ErrorLine> {
    let at = found.lines.start().checked_sub(1)?;
    let text = log.text(at);
    let is_words = log.lines[at].writer == found.writer
        && !covered[at]
        && wrapper::is_message_after_name(text)
        && !text.ends_with("...")
        && !noise::is_noise(text)
        && !noise::is_step(text)
        && noise::level(text).is_none();
    is_words.then(|| ErrorLine { headline: text.to_owned(), place: None, line: at })
}

/// Returns true if an exception ended a task of asyncio whose result nobody read, or the thread that sends the items of
/// a queue of multiprocessing.
fn is_of_task(log: &Log, found: &Traceback) -> bool {
    let is_of_future = || found.lines.start().checked_sub(1).is_some_and(|at| log.text(at).starts_with("future: <"));
    let sends = |frame: &Frame| {
        frame.function.as_deref() == Some("_feed") && frame.path.ends_with("/multiprocessing/queues.py")
    };
    is_of_future() || found.last().frames.iter().any(sends)
}

/// Returns true if an exception states a cause itself, and does not only report the failure of another process.
fn is_cause(found: &&Traceback) -> bool {
    let raised = found.last();
    raised.name != "KeyboardInterrupt"
        && !matches!(messenger(raised), Some(Messenger::Exit | Messenger::Pool | Messenger::Connection))
        && !event::reads_like_consequence(&one_line(&raised.headline()))
}
