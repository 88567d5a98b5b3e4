//! Tracebacks of IPython and of notebooks (papermill, nbconvert):
//!
//! ```text
//! KeyError                                  Traceback (most recent call last)
//! Cell In[3], line 2
//!       1 df = load(path)
//! ----> 2 y = df['label']
//!
//! KeyError: 'label'
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::python;
use super::traceback::Raised;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

static HEADER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?P<name>[\w.]+)\s+Traceback \(most recent call last\):?$"));

/// A call of IPython 8 and later: `Cell In[3], line 2`, `File /code/nb.py:2, in load(path)`.
static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:(?P<cell>(?:Cell |Input )?In ?\[\d+\])(?:, (?:line (?P<at>\d+)|in .*))?|File (?P<path>\S.*?):(?P<line>\d+))(?:, in (?P<function>[^(]+).*)?$",
    )
});

/// A call of IPython before 8: `<ipython-input-3-0a1b> in load(path)`, `/code/nb.py in load(path)`.
static OLD_FRAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?P<path>[<~/]\S*) in (?P<function>[^(]+).*$"));

/// The source line that a call had reached: `----> 2 y = df['label']`.
static ARROW: LazyLock<Regex> = LazyLock::new(|| pattern(r"^-+> (\d+)(?: |$)"));

/// The maximum number of lines of one exception.
const MAX_LINES: usize = 2000;

/// Returns true if a traceback may begin at this line.
pub(super) fn begins(line: &str) -> bool {
    line.contains("Traceback (most recent call last)") && line.starts_with(|c: char| c.is_alphabetic())
}

/// Reads the chain of exceptions that begins at the cursor.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Raised>> {
    let mut chain = vec![exception(cursor)?];
    loop {
        let from = cursor.at;
        cursor.skip_empty();
        let link = cursor.line().and_then(python::linking);
        cursor.at += usize::from(link.is_some());
        while cursor.take_if(|line| line.trim_matches('-').is_empty()).is_some() {}
        match exception(cursor).filter(|_| link.is_some()) {
            Some(raised) => chain.push(Raised { link, ..raised }),
            None => {
                cursor.at = from;
                return Some(chain);
            }
        }
    }
}

/// Reads one exception with its calls.
fn exception(cursor: &mut Cursor<'_>) -> Option<Raised> {
    let header = HEADER.captures(cursor.line()?)?;
    let name = header.name("name")?.as_str();
    // The exception is named again below its calls, possibly with its module.
    let named = |line: &str| {
        let (head, _) = line.split_once(':').unwrap_or((line, ""));
        head == name || head.ends_with(&format!(".{name}"))
    };
    let end = cursor.lines.len().min(cursor.at + MAX_LINES);
    let at = (cursor.at + 1..end)
        .take_while(|&at| !cursor.lines[at].contains("Traceback (most recent call last)"))
        .find(|&at| named(cursor.lines[at]))?;
    let mut frames: Vec<Frame> = Vec::new();
    for line in &cursor.lines[cursor.at + 1..at] {
        let arrow = ARROW.captures(line).and_then(|found| found[1].parse().ok());
        if let Some(frame) = frame(line) {
            frames.push(frame);
        } else if let (Some(number), Some(frame)) = (arrow, frames.last_mut().filter(|frame| frame.line == 0)) {
            frame.line = number;
        }
    }
    cursor.at = at;
    let raised = python::named(cursor, "")?;
    Some(Raised { frames, ..raised })
}

fn frame(line: &str) -> Option<Frame> {
    let found = FRAME.captures(line).or_else(|| OLD_FRAME.captures(line))?;
    let named = |name| found.name(name).map(|text| text.as_str());
    let path = named("cell").or(named("path"))?;
    let line = named("line").or(named("at")).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let function = named("function").filter(|name| *name != "<cell line").map(|name| name.trim().to_owned());
    Some(Frame::new(path, line, function))
}
