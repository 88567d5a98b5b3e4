//! Reports of Valgrind and Julia about the signal that ended a program:
//!
//! ```text
//! ==71== Process terminating with default action of signal 11 (SIGSEGV)
//! ==71==    at 0x109163: load_rows (rows.c:8)
//! ```
//!
//! ```text
//! [71] signal 11 (1): Segmentation fault
//! in expression starting at /opt/ml/code/train.jl:14
//! main at /opt/ml/code/train.jl:9
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::stacked;
use super::traceback::Fatal;
use crate::failure::lines::Log;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// The maximum number of lines of a report.
const MAX_LINES: usize = 400;

/// The head of a report of Valgrind, after the number of the process.
const VALGRIND: &str = "== Process terminating with default action of signal ";

/// The head of a report of Julia.
static JULIA: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:\[\d+\] )?signal (?:\d+ )?\(\d+(?:\.\d+)?\): \w"));

/// A call in a report of Julia, or the expression of the script in which the signal occurred.
static CALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:in expression starting|(?P<function>.+?)) at (?P<path>[^\s:]+):(?P<line>\d+)(?: \[inlined\])?$")
});

/// Returns the last report about a signal.
pub(in crate::failure) fn crash(log: &Log) -> Option<Fatal> {
    let is_head = |line: &str| {
        line.starts_with("==") && line.contains(VALGRIND) || line.contains("signal ") && JULIA.is_match(line)
    };
    let first = log.lines.iter().rposition(|line| is_head(&line.text))?;
    let lines: Vec<&str> = log.lines[first..].iter().take(MAX_LINES).map(|line| line.text.as_str()).collect();
    if lines[0].starts_with("==") {
        let reading = stacked::read(&mut Cursor { lines: &lines, at: 0, floor: 0, is_ignored: false })?;
        let raised = reading.chain.into_iter().next()?;
        return Some(Fatal { error: raised.message, frames: raised.frames });
    }
    let calls = lines[1..].iter().filter_map(|line| CALL.captures(line));
    let mut frames: Vec<Frame> = calls.map(|found| frame(&found)).collect();
    // The expression of the script precedes the calls, which begin with the innermost one.
    let starts = frames.iter().take_while(|frame| frame.function.is_none()).count();
    frames[starts..].reverse();
    Some(Fatal { error: lines[0].to_owned(), frames })
}

/// Returns a call of a report of Julia. The paths of Julia's own modules begin with `./`.
fn frame(found: &regex::Captures<'_>) -> Frame {
    let function = found.name("function").map(|name| name.as_str().to_owned());
    let frame = Frame::new(&found["path"], found["line"].parse().unwrap_or(0), function);
    Frame { is_library: found["path"].starts_with("./") || !found["path"].ends_with(".jl"), ..frame }
}
