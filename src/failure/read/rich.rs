//! Tracebacks in a box that Rich draws, also for Typer and structlog:
//!
//! ```text
//! ╭──────── Traceback (most recent call last) ────────╮
//! │ /opt/ml/code/train.py:5 in fit                    │
//! │                                                   │
//! │ ❱ 5 │   raise ValueError("lr 3 diverges")         │
//! ╰───────────────────────────────────────────────────╯
//! ValueError: lr 3 diverges
//! ```
//!
//! Without UTF-8, the box consists of `+`, `-` and `|`.

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::python;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// A call: `/opt/ml/code/train.py:5 in fit`, or `in fit:5` if the file does not exist. Rich may break long ones at any
/// position.
static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:(?P<path>\S.*?):(?P<line>\d+)(?:\s*in (?P<function>.+))?|in (?P<name>.+):(?P<at>\d+))$")
});

/// The title in the upper edge of the box.
const TITLE: &str = "Traceback (most recent call last)";

/// Returns true if a line is the upper edge of the box.
pub(super) fn begins(line: &str) -> bool {
    is_edge(line) && line.contains(TITLE)
}

fn is_edge(line: &str) -> bool {
    line.trim_start().starts_with(['╭', '┌', '+', '╰', '└'])
}

/// Reads the chain of exceptions that begins at the cursor.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let mut chain: Vec<Raised> = Vec::new();
    loop {
        let mut link = None;
        let from = cursor.at;
        if !chain.is_empty() {
            cursor.skip_empty();
            link = cursor.line().and_then(python::linking);
            cursor.at += usize::from(link.is_some());
            cursor.skip_empty();
        }
        if (chain.is_empty() || link.is_some() && cursor.line().is_some_and(begins))
            && let Some(raised) = exception(cursor)
        {
            chain.push(Raised { link, ..raised });
            continue;
        }
        cursor.at = if chain.is_empty() { cursor.at } else { from };
        return (!chain.is_empty()).then_some(chain);
    }
}

/// Reads a box and the exception below it.
fn exception(cursor: &mut Cursor<'_>) -> Option<Raised> {
    let edge = cursor.take()?;
    let (margin, edge) = edge.split_at(edge.len() - edge.trim_start().len());
    let width = edge.chars().count();
    let mut calls: Vec<String> = Vec::new();
    let mut was_call = false;
    while let Some(line) = cursor.line() {
        let Some(body) = content(line) else { break };
        cursor.at += 1;
        let broken = was_call && calls.last().is_some_and(|call| !is_whole(call));
        was_call = match body.chars().next() {
            Some(c) if !c.is_whitespace() && !matches!(c, '❱' | '│' | '|' | '╭' | '╰' | '.') => {
                match calls.last_mut().filter(|_| broken) {
                    Some(call) => call.push_str(body.trim_end()),
                    None => calls.push(body.trim_end().to_owned()),
                }
                true
            }
            _ => false,
        };
    }
    // These lines are the lower edge of the box, and the box of a syntax error.
    while cursor.line().is_some_and(|line| is_edge(line) || content(line).is_some()) {
        let body = cursor.take().and_then(content).unwrap_or_default();
        calls.extend(Some(body.trim()).filter(|body| body.starts_with('/') && FRAME.is_match(body)).map(str::to_owned));
    }
    let frames = calls.iter().filter_map(|call| frame(call)).collect();
    let raised = wrapped(cursor, margin, width)?;
    Some(Raised { frames, ..raised })
}

/// Returns the content of a line of the box, without its sides. `None` if the line is not in the box.
fn content(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let side = line.chars().next().filter(|c| matches!(c, '│' | '|'))?;
    let inner = line[side.len_utf8()..].trim_end_matches(side);
    Some(inner.strip_prefix(' ').unwrap_or(inner))
}

fn is_whole(call: &str) -> bool {
    FRAME.captures(call).is_some_and(|found| found.name("function").is_some() || found.name("name").is_some())
}

fn frame(call: &str) -> Option<Frame> {
    let found = FRAME.captures(call)?;
    let number = |name| found.name(name).and_then(|digits| digits.as_str().parse().ok()).unwrap_or(0);
    Some(match found.name("path") {
        Some(path) => {
            let function = found.name("function").map(|name| name.as_str().trim().to_owned());
            Frame::new(path.as_str(), number("line"), function)
        }
        None => Frame::new("<unknown>", number("at"), Some(found["name"].to_owned())),
    })
}

/// Reads the exception below a box. Rich wraps the exception's lines at the width of the box.
fn wrapped(cursor: &mut Cursor<'_>, margin: &str, width: usize) -> Option<Raised> {
    let from = cursor.at;
    let raised = python::named(cursor, margin)?;
    let lines = &cursor.lines[from..cursor.at];
    let mut message: Vec<String> = raised.message.lines().take(1).map(str::to_owned).collect();
    let mut others = raised.message.lines().skip(1);
    for pair in lines.windows(2).filter(|pair| !pair[1].is_empty()) {
        let Some(next) = others.next() else { break };
        let word = pair[1].split_whitespace().next().unwrap_or_default();
        let is_broken = pair[0].chars().count() + 1 - margin.len().min(pair[0].len()) + word.chars().count() > width;
        match message.last_mut().filter(|_| is_broken) {
            Some(line) => {
                line.push(' ');
                line.push_str(next.trim());
            }
            None => message.push(next.to_owned()),
        }
    }
    Some(Raised { message: message.join("\n"), ..raised })
}
