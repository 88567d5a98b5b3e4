//! Tracebacks of packages that replace Python's exception hook: `stackprinter` and `pretty_errors`.
//!
//! ```text
//! File "/opt/ml/code/train.py", line 5, in pad
//!     4    def pad(rows, n):
//! --> 5        return rows[n]
//!     ..................................................
//!      n = 3
//!     ..................................................
//!
//! IndexError: list index out of range
//! ```
//!
//! ```text
//! -------------------------------------------------------
//! train.py 5 pad
//! return rows[n]
//!
//! IndexError:
//! list index out of range
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::python;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// A call of `stackprinter`, which prints it without indentation.
static CALL: LazyLock<Regex> = LazyLock::new(|| pattern(r#"^File "(.*)", line (\d+)(?:, in (.*))?$"#));

/// The rule around the variables of a call.
const DOTS: &str = "    ..........";

/// The line of `pretty_errors` that names an exception. The message is below it.
static NAME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^((?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning)):$"));

/// The maximum number of lines of a traceback.
const MAX_LINES: usize = 400;

/// Returns true if a traceback may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("File \"") || is_rule(line)
}

/// Returns true if a line is the rule above a traceback of `pretty_errors`.
fn is_rule(line: &str) -> bool {
    let first = line.chars().next().filter(|c| !c.is_alphanumeric() && !c.is_whitespace());
    line.len() >= 20 && first.is_some_and(|first| line.chars().all(|c| c == first))
}

/// Reads the exception of the traceback that begins at the cursor.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let raised = if is_rule(cursor.line()?) { pretty(cursor) } else { printed(cursor) };
    raised.map(|raised| vec![raised])
}

/// Reads a traceback of `stackprinter`.
fn printed(cursor: &mut Cursor<'_>) -> Option<Raised> {
    let has_variables = cursor.find(MAX_LINES, |line| line.starts_with(DOTS) || line.starts_with("--> "))?;
    let name = cursor.find(MAX_LINES, python::is_named).filter(|name| *name > has_variables)?;
    let lines = &cursor.lines[cursor.at..name];
    // Each line of a traceback is a call or is indented.
    let is_of_traceback = |line: &&str| {
        line.is_empty() || line.starts_with([' ', '\t']) || line.starts_with("--> ") || CALL.is_match(line)
    };
    if !lines.iter().all(is_of_traceback) {
        return None;
    }
    let calls = lines.iter().filter_map(|line| CALL.captures(line));
    let frames = calls.map(|found| {
        let function = found.get(3).map(|name| name.as_str().to_owned());
        Frame::new(&found[1], found[2].parse().unwrap_or(0), function)
    });
    let frames = frames.collect();
    cursor.at = name;
    let raised = python::named(cursor, "")?;
    Some(Raised { frames, ..raised })
}

/// Reads a traceback of `pretty_errors`.
fn pretty(cursor: &mut Cursor<'_>) -> Option<Raised> {
    call(cursor.lines.get(cursor.at + 1)?)?;
    let name = cursor.find(MAX_LINES, |line| NAME.is_match(line))?;
    let frames = cursor.lines[cursor.at + 1..name].iter().filter_map(|line| call(line)).collect();
    let message = cursor.lines[name + 1..].iter().take_while(|line| !line.is_empty() && !is_rule(line));
    let message: Vec<&str> = message.take(MAX_LINES).copied().collect();
    cursor.at = name + 1 + message.len();
    let name = NAME.captures(cursor.lines[name])?[1].to_owned();
    Some(Raised { name, message: message.join("\n"), frames, ..Raised::default() })
}

/// Returns the call in a line of three words: a file, a line number, and a function. The words can be configured to be
/// in any order.
fn call(line: &str) -> Option<Frame> {
    let words: Vec<&str> = line.split(' ').collect();
    let path = words.iter().find(|word| word.ends_with(".py"))?;
    let number = words.iter().find_map(|word| word.parse().ok())?;
    let is_function = |word: &&&str| {
        word.starts_with('<') || word.chars().all(|c| c.is_alphanumeric() || c == '_') && word.parse::<u64>().is_err()
    };
    let function = words.iter().find(is_function).filter(|_| words.len() == 3)?;
    Some(Frame::new(path, number, Some((*function).to_owned())))
}
