//! Python's tracebacks.
//!
//! The formats are those of the `traceback` module of CPython 3.8 to 3.14, those in which torch and multiprocessing
//! include one process's traceback in another's, and that of torchrun's report. A traceback has a margin: the text
//! before its first line (nothing, indentation, or the `  | ` of an exception group). Its body is indented by two more
//! characters.

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::message::{self, MessageText};
use super::traceback::{Fatal, Link, Raised};
use crate::failure::lines::Log;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;
use crate::failure::record::TRACEBACK;

static FRAME: LazyLock<Regex> = LazyLock::new(|| pattern(r#"^\s*(?:> )?File "(.*)", line (\d+)(?:, in (.*))?$"#));
/// A call in the plain tracebacks of IPython: `  File /opt/ml/code/train.py:7 in top`.
static PLAIN_FRAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^  File ([^\s\x22].*?):(\d+)(?: in (.*))?$"));
static FATAL_FRAME: LazyLock<Regex> = LazyLock::new(|| pattern(r#"^\s+File "(.*)", line (\d+) in (.*)$"#));

static TIMEOUT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Timeout \(\d+:\d\d:\d\d(?:\.\d+)?\)!$"));

/// The line that names an exception: `Type`, `Type: message`, `package.module.Type: message`, `RayTaskError(ValueError): message`.
static RAISED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^([\p{L}_][\p{L}\p{N}_]*(?:\.(?:[\p{L}_][\p{L}\p{N}_]*|<locals>))*(?:\([\w.]+\))?)(?::(?:\s(.*))?)?$")
});

/// Names that certainly belong to exceptions, for a text in which no header announced a traceback.
static CERTAIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?:Error|Exception|Interrupt|Exit|Warning|Failure|Timeout|Group|StopIteration)(?:\([\w.]+\))?$")
});

/// The rules of an exception group: `+-+---------------- 1 ----------------` and the closing one.
static GROUP_RULE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*\+(?:-\+)?-{3,}(?: (?:\d+|\.\.\.) -+)?$"));
static GROUP_LINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s+[|+]"));

/// The maximum number of lines of other processes, without a prefix, that may occur within a traceback.
const FOREIGN_LINES: usize = 3;

/// Returns the last report of a fatal error of the interpreter.
pub(in crate::failure) fn fatal(log: &Log) -> Option<Fatal> {
    fatal_before(log, log.lines.len()).map(|(_, fatal)| fatal)
}

/// Returns the last report of a fatal error before the line `end`, with the index of the line after the report.
pub(in crate::failure) fn fatal_before(log: &Log, end: usize) -> Option<(usize, Fatal)> {
    const FATAL: &str = "Fatal Python error: ";
    let (first, error) =
        log.lines[..end].iter().enumerate().rev().find_map(|(at, line)| Some((at, line.text.strip_prefix(FATAL)?)))?;
    let writer = log.lines[first].writer;
    let mut rest = log.lines[first + 1..].iter().filter(|line| line.writer == writer).map(|line| line.text.as_str());
    let current = rest.by_ref().any(|line| line.starts_with("Current thread ") && line.ends_with("first):"));
    let mut frames = Vec::new();
    while let Some(found) = rest.next().filter(|_| current).and_then(|line| FATAL_FRAME.captures(line)) {
        frames.push(frame(&found));
    }
    frames.reverse();
    Some((first + 1, Fatal { error: format!("{FATAL}{error}"), frames }))
}

/// Returns the report of `faulthandler.dump_traceback_later` with which a log ends. It contains the calls of the last
/// thread in the report, which is the main thread.
pub(in crate::failure) fn timed_out(log: &Log) -> Option<Fatal> {
    let is_thread = |text: &str| text.contains("hread 0x") && text.ends_with("(most recent call first):");
    let mut lines = log.lines.iter().map(|line| line.text.as_str()).rev().skip_while(|line| line.is_empty()).peekable();
    let mut frames: Vec<Frame> = Vec::new();
    while let Some(found) = lines.peek().and_then(|line| FATAL_FRAME.captures(line)) {
        frames.push(frame(&found));
        lines.next();
    }
    if frames.is_empty() || !is_thread(lines.next()?) {
        return None;
    }
    let is_of_report = |line: &&str| line.is_empty() || is_thread(line) || FATAL_FRAME.is_match(line);
    let error = lines.find(|line| !is_of_report(line)).filter(|line| TIMEOUT.is_match(line))?;
    Some(Fatal { error: error.to_owned(), frames })
}

fn frame(found: &regex::Captures<'_>) -> Frame {
    let function = found.get(3).map(|name| name.as_str().to_owned());
    Frame::new(&found[1], found[2].parse().unwrap_or(0), function)
}

/// Returns the margin of the traceback that `line` begins. `None` if the line does not begin a traceback.
fn header(line: &str) -> Option<String> {
    let before = line.strip_suffix(TRACEBACK)?;
    let indent: String = before.chars().take_while(|c| c.is_whitespace()).collect();
    match &before[indent.len()..] {
        "" | "Original " | "traceback : " => Some(indent),
        "+ Exception Group " => Some(indent + "| "),
        margin if margin.trim_end() == "|" => Some(indent + "| "),
        _ => None,
    }
}

/// Returns `line` without the margin. `None` if the line does not have that margin. An empty line has every margin.
fn within<'l>(line: &'l str, margin: &str) -> Option<&'l str> {
    if line.trim_start().is_empty() || line == margin.trim_end() {
        return Some("");
    }
    line.strip_prefix(margin)
}

/// Returns true if a traceback may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.ends_with(TRACEBACK) || line.trim_start().trim_start_matches("> ").starts_with("File \"")
}

/// Reads the chain of exceptions that begins at the cursor. Returns `None` if there is none. The cursor has then been
/// moved past the lines that had to be read to find that out.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let mut chain = vec![exception(cursor, Header::Expected)?];
    while let Some((link, header)) = link(cursor, chain.last()?) {
        // If the next exception was cut off, the exceptions before it are still complete.
        let Some(next) = exception(cursor, header) else { break };
        chain.push(Raised { link: Some(link), ..next });
    }
    Some(chain)
}

/// Reads the line that names an exception, and the exception's message. They end a traceback of any form. All lines
/// have a margin.
pub(super) fn named(cursor: &mut Cursor<'_>, margin: &str) -> Option<Raised> {
    let found = RAISED.captures(within(cursor.line()?, margin)?)?;
    cursor.at += 1;
    let first = found.get(2).map_or("", |text| text.as_str());
    let message = message_of(cursor, &found[1], first, margin);
    Some(Raised { name: found[1].to_owned(), message: message.text, frames: message.frames, ..Raised::default() })
}

/// Reads the rest of the message of the exception `name`. The message of a KeyError is the `repr` of a key, so that a
/// message that is a whole one has one line.
fn message_of(cursor: &mut Cursor<'_>, name: &str, first: &str, margin: &str) -> MessageText {
    let is_quoted =
        ['\'', '"'].iter().any(|&quote| first.len() > 1 && first.starts_with(quote) && first.ends_with(quote));
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    if name == "KeyError" && (is_quoted || is_number) {
        return MessageText { text: first.to_owned(), frames: Vec::new() };
    }
    message::read(cursor, first, |line| within(line, margin))
}

/// Returns true if a line certainly names an exception.
pub(super) fn is_named(line: &str) -> bool {
    RAISED.captures(line).is_some_and(|found| CERTAIN.is_match(&found[1]))
}

/// Returns the relation to the previous exception that a line between two exceptions states.
pub(super) fn linking(line: &str) -> Option<Link> {
    match line {
        "During handling of the above exception, another exception occurred:" => Some(Link::Context),
        "The above exception was the direct cause of the following exception:" => Some(Link::Cause),
        _ => None,
    }
}

/// The line that begins the traceback of an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// A header is required.
    Expected,
    /// There is no header, because the previous exception announced calls.
    Missing,
}

/// Moves to the next exception of the chain and returns its relation to `last`. Returns `None` if no exception follows.
fn link(cursor: &mut Cursor<'_>, last: &Raised) -> Option<(Link, Header)> {
    if last.is_of_remote_task() && FRAME.is_match(cursor.line()?) {
        return Some((Link::Within, Header::Missing));
    }
    let mut at = cursor.at;
    let mut link = None;
    while let Some(line) = cursor.lines.get(at) {
        let words = line.trim_start_matches([' ', '|']);
        match words {
            "" | "\"\"\"" => {}
            _ if linking(words).is_some() => link = linking(words),
            _ if header(line).is_some() => {
                let passes_on = words.starts_with("Original ") || last.passes_on().is_some() || is_of_graph(last);
                cursor.at = if link.is_some() || passes_on { at } else { cursor.at };
                return link.or(passes_on.then_some(Link::Within)).map(|link| (link, Header::Expected));
            }
            _ => return None,
        }
        at += 1;
    }
    None
}

/// Returns true if the message of an exception ends with the exception of a Python function in a graph of TensorFlow.
/// The traceback of that exception follows.
fn is_of_graph(raised: &Raised) -> bool {
    raised.message.starts_with("Graph execution error:") && raised.message.lines().last().is_some_and(is_named)
}

/// Reads one exception with its frames, message and members.
fn exception(cursor: &mut Cursor<'_>, expected: Header) -> Option<Raised> {
    let line = cursor.line()?;
    let (margin, announced) = match header(line) {
        Some(margin) => {
            cursor.at += 1;
            (margin, true)
        }
        // A syntax error has no header, and the header of a long traceback may have been cut off.
        None if FRAME.is_match(line) => {
            let indent = line.len() - line.trim_start().len();
            (line[..indent].strip_suffix("  ").unwrap_or_default().to_owned(), expected == Header::Missing)
        }
        None => return None,
    };
    let from = cursor.at;
    let mut frames = frames(cursor, &margin);
    let source = source(&cursor.lines[from..cursor.at], &margin);
    let found = RAISED.captures(within(cursor.line()?, &margin)?)?;
    if !announced && !CERTAIN.is_match(&found[1]) {
        return None;
    }
    cursor.at += 1;
    let first = found.get(2).map_or("", |text| text.as_str());
    let message = message_of(cursor, &found[1], first, &margin);
    frames.extend(message.frames);
    let members = if margin.ends_with("| ") { members(cursor) } else { Vec::new() };
    Some(Raised { name: found[1].to_owned(), message: message.text, frames, source, members, link: None })
}

/// Returns the source line below the last call of a traceback. It is empty if there is none.
fn source(lines: &[&str], margin: &str) -> String {
    let bodies: Vec<&str> = lines.iter().filter_map(|line| within(line, margin)).collect();
    let call = bodies.iter().rposition(|body| FRAME.is_match(body));
    call.and_then(|at| bodies.get(at + 1)).map(|line| line.trim().to_owned()).unwrap_or_default()
}

/// Reads the indented lines of a traceback, up to the line that names the exception.
fn frames(cursor: &mut Cursor<'_>, margin: &str) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut foreign = 0;
    let mut blank = false;
    while let Some(line) = cursor.line() {
        match within(line, margin) {
            Some("") if !blank => blank = true,
            // Loguru marks the call that caught the exception with `>`.
            Some(body) if body.starts_with(['\t']) || body.starts_with("  ") || body.starts_with("> File ") => {
                blank = false;
                frames.extend(FRAME.captures(body).or_else(|| PLAIN_FRAME.captures(body)).map(|found| frame(&found)));
            }
            Some(body) if !body.is_empty() && RAISED.is_match(body) => break,
            _ if header(line).is_some() || foreign == FOREIGN_LINES || blank => break,
            _ => foreign += 1,
        }
        cursor.at += 1;
    }
    frames
}

/// Reads the exceptions in a group and in its inner groups, each with its frames.
fn members(cursor: &mut Cursor<'_>) -> Vec<Raised> {
    let mut members: Vec<Raised> = Vec::new();
    let mut frames = Vec::new();
    let mut begins = false;
    while let Some(line) = cursor.line().filter(|line| GROUP_LINE.is_match(line)) {
        let body = line.trim_start().trim_start_matches('|');
        let body = body.strip_prefix(' ').unwrap_or(body);
        if GROUP_RULE.is_match(line) || header(line).is_some() {
            frames.clear();
            begins = true;
        } else if let Some(found) = FRAME.captures(body) {
            frames.push(frame(&found));
        } else if body.starts_with("During handling of") || body.starts_with("The above exception was") {
            // Only the last exception of a member's own chain counts.
            members.pop();
            begins = false;
        } else if begins && let Some(found) = RAISED.captures(body) {
            let message = found.get(2).map_or("", |text| text.as_str()).to_owned();
            let frames = std::mem::take(&mut frames);
            members.push(Raised { name: found[1].to_owned(), message, frames, ..Raised::default() });
            begins = false;
        } else if !begins
            && !body.is_empty()
            && let Some(member) = members.last_mut()
        {
            member.message.push('\n');
            member.message.push_str(body);
        }
        cursor.at += 1;
    }
    // The line of a group is only a title. The group's exceptions are below it.
    members.retain(|member| !member.message.contains(" sub-exception"));
    members
}
