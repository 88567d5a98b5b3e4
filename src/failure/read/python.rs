//! Python's tracebacks.
//!
//! The formats are those of the `traceback` module of CPython 3.8 to 3.14, those in which torch and multiprocessing carry one
//! process's traceback within another's, and that of torchrun's report. A traceback has a margin: the text before its first
//! line (nothing, indentation, or the `  | ` of an exception group). Its body is indented by two more characters.

use std::sync::LazyLock;

use regex::Regex;

use super::traceback::{Fatal, Link, Origin, Raised, Traceback};
use crate::failure::lines::{Log, TRACEBACK};
use crate::failure::noise::{self, RecordLevel};
use crate::failure::place::Frame;

static FRAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^\s*File "(.*)", line (\d+)(?:, in (.*))?$"#).expect("a valid pattern"));
static FATAL_FRAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^\s+File "(.*)", line (\d+) in (.*)$"#).expect("a valid pattern"));

/// The line that names an exception: `Type`, `Type: message`, `package.module.Type: message`, `RayTaskError(ValueError): message`.
static RAISED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^([\p{L}_][\p{L}\p{N}_]*(?:\.(?:[\p{L}_][\p{L}\p{N}_]*|<locals>))*(?:\([\w.]+\))?)(?::(?:\s(.*))?)?$")
        .expect("a valid pattern")
});

/// Names that are certainly those of exceptions, for a text in which no header announced a traceback.
static CERTAIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:Error|Exception|Interrupt|Exit|Warning|Failure|Timeout|Group|StopIteration)(?:\([\w.]+\))?$")
        .expect("a valid pattern")
});

/// The rules of an exception group: `+-+---------------- 1 ----------------` and the closing one.
static GROUP_RULE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*\+(?:-\+)?-{3,}(?: (?:\d+|\.\.\.) -+)?$").expect("a valid pattern"));
static GROUP_LINE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\s+[|+]").expect("a valid pattern"));
static THREAD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^Exception in thread ([^()]*?)\s*(?:\(.*\))?:$").expect("a valid pattern"));
/// An error of a shell: `train.sh: line 2: foo: command not found` of bash, `train.sh: 2: foo: not found` of dash.
static SHELL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[^\s:]+: (?:line )?\d+: ").expect("a valid pattern"));
static CHILD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^Process (\S+):$").expect("a valid pattern"));

/// The maximum number of lines of other processes, without a prefix, within a traceback.
const FOREIGN_LINES: usize = 3;

/// Returns all complete tracebacks of a log: writer by writer, and each writer's in the order of their lines.
pub(in crate::failure) fn tracebacks(log: &Log) -> Vec<Traceback> {
    let mut found = Vec::new();
    for writer in 0..log.writers.len() {
        let indices = log.lines_of(writer, 0);
        let lines: Vec<&str> = indices.iter().map(|&index| log.text(index)).collect();
        let mut at = 0;
        while at < lines.len() {
            let mut reader = TracebackReader { lines: &lines, at };
            if let Some(chain) = reader.chain() {
                let last = reader.at - 1;
                let origin = origin(lines[..at].last().copied().unwrap_or_default());
                found.push(Traceback { origin, chain, lines: indices[at]..=indices[last], writer });
            }
            at = reader.at.max(at + 1);
        }
    }
    found
}

/// Returns the last report of a fatal error of the interpreter.
pub(in crate::failure) fn fatal(log: &Log) -> Option<Fatal> {
    const FATAL: &str = "Fatal Python error: ";
    let (first, error) =
        log.lines.iter().enumerate().rev().find_map(|(at, line)| Some((at, line.text.strip_prefix(FATAL)?)))?;
    let writer = log.lines[first].writer;
    let mut rest = log.lines[first + 1..].iter().filter(|line| line.writer == writer).map(|line| line.text.as_str());
    let current = rest.by_ref().any(|line| line.starts_with("Current thread ") && line.ends_with("first):"));
    let mut frames = Vec::new();
    while let Some(found) = rest.next().filter(|_| current).and_then(|line| FATAL_FRAME.captures(line)) {
        frames.push(frame(&found));
    }
    frames.reverse();
    Some(Fatal { error: error.to_owned(), frames })
}

/// Returns the origin of a traceback, by the line before it.
fn origin(before: &str) -> Origin {
    const IGNORED: [&str; 5] =
        ["Exception ignored", "Error in atexit", "Error in sys.excepthook", "--- Logging error", "future: <"];
    if let Some(found) = THREAD.captures(before) {
        Origin::Thread(found[1].to_owned())
    } else if let Some(found) = CHILD.captures(before) {
        Origin::Child(found[1].to_owned())
    } else if IGNORED.iter().any(|start| before.starts_with(start)) {
        Origin::Ignored
    } else if !noise::is_launchers(before) && noise::level(before) == Some(RecordLevel::Error) {
        Origin::Logged
    } else {
        Origin::Main
    }
}

fn frame(found: &regex::Captures<'_>) -> Frame {
    let function = found.get(3).map(|name| name.as_str().to_owned());
    Frame { path: found[1].to_owned(), line: found[2].parse().unwrap_or(0), function }
}

/// Returns the margin of the traceback that `line` begins; `None` if it does not begin one.
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

/// Returns `line` without the margin; `None` if it does not have that margin. An empty line has every margin.
fn within<'l>(line: &'l str, margin: &str) -> Option<&'l str> {
    if line.trim_start().is_empty() || line == margin.trim_end() {
        return Some("");
    }
    line.strip_prefix(margin)
}

/// Returns true if a line begins something that is not part of an exception's message.
fn ends_message(line: &str) -> bool {
    const STARTS: [&str; 10] = [
        "Exception in thread ",
        "Exception ignored ",
        "During handling of the above",
        "The above exception was",
        "Error in ",
        "Fatal Python error",
        "terminate called",
        "usage: ",
        "Usage: ",
        "\"\"\"",
    ];
    header(line).is_some()
        || STARTS.iter().any(|start| line.starts_with(start))
        || CHILD.is_match(line)
        || SHELL.is_match(line)
        || FRAME.is_match(line)
        || GROUP_RULE.is_match(line)
        || noise::is_new_output(line)
}

/// A reader of the lines of one writer. It passes over what it does not understand, so that it reads every line once.
struct TracebackReader<'l> {
    lines: &'l [&'l str],
    at: usize,
}

impl<'l> TracebackReader<'l> {
    fn line(&self) -> Option<&'l str> {
        self.lines.get(self.at).copied()
    }

    /// Reads the chain of exceptions that begins at this line. Returns `None` if there is none; the reader has then passed the
    /// lines that it had to read to find that out.
    fn chain(&mut self) -> Option<Vec<Raised>> {
        let mut chain = vec![self.exception()?];
        while let Some(link) = self.link(chain.last()?) {
            // If the next exception was cut off, those before it are still whole.
            let Some(next) = self.exception() else { break };
            chain.push(Raised { link: Some(link), ..next });
        }
        Some(chain)
    }

    /// Moves on to the next exception of the chain and returns its relation to `last`; returns `None` if none follows.
    fn link(&mut self, last: &Raised) -> Option<Link> {
        let mut at = self.at;
        let mut link = None;
        while let Some(line) = self.lines.get(at) {
            let words = line.trim_start_matches([' ', '|']);
            match words {
                "" | "\"\"\"" => {}
                "During handling of the above exception, another exception occurred:" => link = Some(Link::Context),
                "The above exception was the direct cause of the following exception:" => link = Some(Link::Cause),
                _ if header(line).is_some() => {
                    let passes_on = words.starts_with("Original ")
                        || last.name.ends_with("RemoteTraceback")
                        || last.name.ends_with("ProcessRaisedException")
                        || last.message.ends_with("the following error:");
                    self.at = if link.is_some() || passes_on { at } else { self.at };
                    return link.or(passes_on.then_some(Link::Within));
                }
                _ => return None,
            }
            at += 1;
        }
        None
    }

    /// Reads one exception with its frames, message and members.
    fn exception(&mut self) -> Option<Raised> {
        let line = self.line()?;
        let (margin, announced) = match header(line) {
            Some(margin) => {
                self.at += 1;
                (margin, true)
            }
            // A syntax error has no header, and the header of a long traceback may have been cut off.
            None if FRAME.is_match(line) => {
                let indent = line.len() - line.trim_start().len();
                (line[..indent].strip_suffix("  ").unwrap_or_default().to_owned(), false)
            }
            None => return None,
        };
        let frames = self.frames(&margin);
        let found = RAISED.captures(within(self.line()?, &margin)?)?;
        if !announced && !CERTAIN.is_match(&found[1]) {
            return None;
        }
        self.at += 1;
        let message = self.message(found.get(2).map_or("", |text| text.as_str()), &margin);
        let members = if margin.ends_with("| ") { self.members() } else { Vec::new() };
        Some(Raised { name: found[1].to_owned(), message, frames, members, link: None })
    }

    /// Reads the indented lines of a traceback, up to the line that names the exception.
    fn frames(&mut self, margin: &str) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut foreign = 0;
        let mut blank = false;
        while let Some(line) = self.line() {
            match within(line, margin) {
                Some("") if !blank => blank = true,
                Some(body) if body.starts_with("  ") || body.starts_with('\t') => {
                    blank = false;
                    frames.extend(FRAME.captures(body).map(|found| frame(&found)));
                }
                Some(body) if !body.is_empty() && RAISED.is_match(body) => break,
                _ if header(line).is_some() || foreign == FOREIGN_LINES || blank => break,
                _ => foreign += 1,
            }
            self.at += 1;
        }
        frames
    }

    /// Reads the message that begins with `first`, and the lines after it until one is empty or clearly begins something else.
    fn message(&mut self, first: &str, margin: &str) -> String {
        let mut message = first.trim().to_owned();
        while let Some(line) = self.line() {
            let Some(line) = within(line, margin) else { break };
            if ends_message(line) || (line.is_empty() && !message.is_empty()) {
                break;
            }
            // Python prints `Type: ` and an end of line only if the message begins with one.
            if line.is_empty() && self.lines.get(self.at + 1).is_none_or(|next| !next.starts_with("-- Process ")) {
                break;
            }
            if !line.is_empty() {
                message.push('\n');
                message.push_str(line);
            }
            self.at += 1;
        }
        message.trim_start().to_owned()
    }

    /// Reads the exceptions in a group and in its inner groups, each with its frames.
    fn members(&mut self) -> Vec<Raised> {
        let mut members: Vec<Raised> = Vec::new();
        let mut frames = Vec::new();
        let mut begins = false;
        while let Some(line) = self.line().filter(|line| GROUP_LINE.is_match(line)) {
            let body = line.trim_start().trim_start_matches('|');
            let body = body.strip_prefix(' ').unwrap_or(body);
            if GROUP_RULE.is_match(line) || header(line).is_some() {
                frames.clear();
                begins = true;
            } else if let Some(found) = FRAME.captures(body) {
                frames.push(frame(&found));
            } else if body.starts_with("During handling of") || body.starts_with("The above exception was") {
                // Of a member's own chain only the last exception counts.
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
            self.at += 1;
        }
        // A group's own line is only its title; its exceptions stand below.
        members.retain(|member| !member.message.contains(" sub-exception"));
        members
    }
}
