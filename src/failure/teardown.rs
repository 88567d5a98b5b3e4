//! An uncaught exception before the crash of the process that was ending because of it.
//!
//! After an uncaught exception, Python runs exit handlers and destructors. If one of them crashes, the ending of the
//! process is a signal, but the exception is the reason for the end.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::chain;
use super::figures;
use super::launcher::RankReport;
use super::lines::Log;
use super::noise::{self, RecordLevel};
use super::other;
use super::read::{Origin, Traceback};
use super::runtime::ErrorLine;
use super::select;
use crate::event::SourcePlace;
use crate::failure::pattern::pattern;

/// Signals of a crash. The other ones are sent to a process that does not crash.
const CRASHES: [i32; 7] = [
    nix::libc::SIGABRT,
    nix::libc::SIGSEGV,
    nix::libc::SIGBUS,
    nix::libc::SIGFPE,
    nix::libc::SIGILL,
    nix::libc::SIGTRAP,
    nix::libc::SIGSYS,
];

/// The maximum number of lines that exit handlers write before the crash.
const MAX_LINES: usize = 20;

/// Lines that a crash leaves.
static CRASH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?:^|: |\s)(?:segmentation fault|aborted|bus error|illegal instruction|floating point exception|trace/breakpoint trap)\b|^terminate called |^\s*what\(\): |",
        r"^Exception raised from |^(?:malloc|free|realloc|munmap_chunk|malloc_consolidate|unaligned)\w*\(\): |double free or corruption|^\*\*\* |stack smashing|",
        r"^corrupted |^Current thread |^Thread 0x|^Fatal Python error|^Error in |^Exception ignored|pure virtual method|[Aa]ssertion .*failed|Check failed: |",
        r"^  File .* in |ProcessGroup\w+\.cpp|^libc\+\+abi: |^0x[0-9a-f]+ in |^\[\w+:\d+\] |^\[Inferior |^\[New LWP |^CUDA (?:kernel )?error",
    ))
});

/// Lines with which the interpreter states that it was ending.
static ENDING: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^Python runtime state: finalizing|^Fatal Python error: .* at interpreter shutdown"));

/// The exception that ended a program before the crash.
#[derive(Debug)]
pub(super) struct BeforeCrash<'t> {
    pub(super) found: &'t Traceback,
    /// True if the interpreter stated that it was ending when it crashed.
    pub(super) is_certain: bool,
}

/// Returns the uncaught exception because of which a process was ending when this signal killed it, if there is one.
pub(super) fn before_crash<'t>(
    log: &Log,
    tracebacks: &'t [Traceback],
    covered: &[bool],
    report: Option<&RankReport>,
    number: i32,
) -> Option<BeforeCrash<'t>> {
    let is_of_rank = |found: &Traceback| match report {
        Some(report) => report.names(&log.writers[found.writer]) != Some(false),
        None => !log.has_several_ranks(),
    };
    let found =
        tracebacks.iter().filter(|found| found.origin == Origin::Main).max_by_key(|found| *found.lines.end())?;
    let ends_program = CRASHES.contains(&number)
        && is_of_rank(found)
        && select::is_uncaught(found)
        && only_crashes(log, covered, found);
    let is_certain = || {
        log.lines[found.lines.end() + 1..].iter().any(|line| line.text.contains("ython") && ENDING.is_match(&line.text))
    };
    ends_program.then(|| BeforeCrash { found, is_certain: is_certain() })
}

/// Returns true if the lines after a traceback are those of a crash, or only state that the program ends.
fn only_crashes(log: &Log, covered: &[bool], found: &Traceback) -> bool {
    // The first lines of the rest of the run may read like lines of the message.
    if found.last().message.lines().skip(1).any(figures::is_figures) {
        return false;
    }
    let from = found.lines.end() + 1;
    let mut others = 0;
    for at in other::meaningful(log, from, covered) {
        let text = log.text(at);
        if CRASH.is_match(text) {
            continue;
        }
        others += 1;
        let is_of_end = noise::level(text) == Some(RecordLevel::Harmless) || other::is_farewell(text);
        if others > MAX_LINES || noise::is_step(text) || !is_of_end {
            return false;
        }
    }
    true
}

/// Returns the place of the last exception, if the crash was reported with the same message: torch repeats an error of
/// CUDA while it ends.
pub(super) fn place_of_same_error(
    crash: &ErrorLine,
    log: &Log,
    tracebacks: &[Traceback],
    code_dir: &Path,
) -> Option<SourcePlace> {
    let (_, message) = crash.headline.split_once(": ")?;
    let message = message.lines().next()?.trim();
    let before =
        tracebacks.iter().rev().find(|found| found.origin == Origin::Main && *found.lines.end() < crash.line)?;
    let raised = before.last().message.lines().next()?;
    let is_same =
        message.len() > SHORT && (raised.contains(message) || message.contains(raised) && raised.len() > SHORT);
    (is_same && !log.has_several_ranks()).then(|| chain::place(&before.chain, code_dir))?
}

/// The length of a message that two errors may share by chance.
const SHORT: usize = 12;
