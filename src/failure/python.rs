//! Reading Python's tracebacks.
//!
//! The formats are those of the `traceback` module of CPython 3.8 to 3.14, of torch's and multiprocessing's way to
//! carry one process's traceback in another's, and of torchrun's report. A traceback has a margin: what stands in front
//! of its first line (nothing, indentation, or the `  | ` of an exception group). Its body is indented by two more.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use regex::Regex;

use super::lines::{Log, TRACEBACK};
use super::noise::{self, Level};
use super::place::Frame;

/// How an exception came to be raised after the one before it in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// `raise … from`: the one before is its cause.
    Cause,
    /// It was raised while the one before was being handled.
    Context,
    /// It stands within the message of the one before, which only passes it on from another process.
    Within,
}

/// An exception of a traceback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Raised {
    /// Its type, qualified as it was printed.
    pub(super) name: String,
    /// Its message, of one line or several.
    pub(super) message: String,
    /// The calls, the outermost first.
    pub(super) frames: Vec<Frame>,
    /// If it is a group: the exceptions in it and in its inner groups.
    pub(super) members: Vec<Raised>,
    /// How it follows the one before it in its chain.
    pub(super) link: Option<Link>,
}

impl Raised {
    /// `Type: message`, as Python prints it.
    pub(super) fn headline(&self) -> String {
        match self.message.is_empty() {
            true => self.name.clone(),
            false => format!("{}: {}", self.name, self.message),
        }
    }
}

/// Who printed a traceback, and so what it means for the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The interpreter, about an exception that nothing caught; or the script, in the same form.
    Main,
    /// A logger, after a record of level error: it was caught.
    Logged,
    /// The threading module: the named thread ended, the process went on.
    Thread(String),
    /// The multiprocessing module: the named child process ended.
    Child(String),
    /// The interpreter, about an exception it ignored.
    Ignored,
}

/// A complete traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Traceback {
    pub(super) origin: Origin,
    /// The chain of exceptions, in the order they are printed: the last one is the one that ended it. Never empty.
    pub(super) chain: Vec<Raised>,
    /// Its first and last line in the log.
    pub(super) lines: RangeInclusive<usize>,
    /// Whose it is, in [`Log::streams`].
    pub(super) stream: usize,
}

impl Traceback {
    /// The last exception of the chain.
    pub(super) fn last(&self) -> &Raised {
        self.chain.last().expect("a chain has an exception")
    }
}

/// What the interpreter printed on a fatal error or a deadly signal (the faulthandler module).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fatal {
    /// Such as `Segmentation fault`.
    pub(super) error: String,
    /// The calls of the thread it happened in, the outermost first.
    pub(super) frames: Vec<Frame>,
}

static FRAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^\s*File "(.*)", line (\d+)(?:, in (.*))?$"#).expect("a valid pattern"));
static FATAL_FRAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^\s+File "(.*)", line (\d+) in (.*)$"#).expect("a valid pattern"));

/// `Type`, `Type: message`, `package.module.Type: message`, `RayTaskError(ValueError): message`.
static RAISED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^([\p{L}_][\p{L}\p{N}_]*(?:\.(?:[\p{L}_][\p{L}\p{N}_]*|<locals>))*(?:\([\w.]+\))?)(?::(?:\s(.*))?)?$")
        .expect("a valid pattern")
});

/// Names that are certainly exceptions, needed where no header says that a traceback is being read.
static CERTAIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:Error|Exception|Interrupt|Exit|Warning|Failure|Timeout|Group|StopIteration)(?:\([\w.]+\))?$")
        .expect("a valid pattern")
});

/// `+-+---------------- 1 ----------------` and the closing rule of an exception group.
static GROUP_RULE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*\+(?:-\+)?-{3,}(?: (?:\d+|\.\.\.) -+)?$").expect("a valid pattern"));
static GROUP_LINE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\s+[|+]").expect("a valid pattern"));
static THREAD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^Exception in thread ([^()]*?)\s*(?:\(.*\))?:$").expect("a valid pattern"));
/// `train.sh: line 2: foo: command not found` of bash, `train.sh: 2: foo: not found` of dash.
static SHELL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[^\s:]+: (?:line )?\d+: ").expect("a valid pattern"));
static CHILD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^Process (\S+):$").expect("a valid pattern"));

/// How many foreign lines, of other processes without a prefix, a traceback may hold.
const FOREIGN_LINES: usize = 3;

/// All complete tracebacks of a log, in the order in which they end within their streams.
pub(super) fn tracebacks(log: &Log) -> Vec<Traceback> {
    let mut found = Vec::new();
    for stream in 0..log.streams.len() {
        let indices = log.of_stream(stream, 0);
        let lines: Vec<&str> = indices.iter().map(|&index| log.text(index)).collect();
        let mut at = 0;
        while at < lines.len() {
            let mut reader = Reader { lines: &lines, at };
            if let Some(chain) = reader.chain() {
                let last = reader.at - 1;
                let origin = origin(lines[..at].last().copied().unwrap_or_default());
                found.push(Traceback { origin, chain, lines: indices[at]..=indices[last], stream });
            }
            at = reader.at.max(at + 1);
        }
    }
    found
}

/// The last report of a fatal error of the interpreter.
pub(super) fn fatal(log: &Log) -> Option<Fatal> {
    const FATAL: &str = "Fatal Python error: ";
    let (first, error) =
        log.lines.iter().enumerate().rev().find_map(|(at, line)| Some((at, line.text.strip_prefix(FATAL)?)))?;
    let stream = log.lines[first].stream;
    let mut rest = log.lines[first + 1..].iter().filter(|line| line.stream == stream).map(|line| line.text.as_str());
    let current = rest.by_ref().any(|line| line.starts_with("Current thread ") && line.ends_with("first):"));
    let mut frames = Vec::new();
    while let Some(found) = rest.next().filter(|_| current).and_then(|line| FATAL_FRAME.captures(line)) {
        frames.push(frame(&found));
    }
    frames.reverse();
    Some(Fatal { error: error.to_owned(), frames })
}

/// What the line before a traceback says of it.
fn origin(before: &str) -> Origin {
    const IGNORED: [&str; 5] =
        ["Exception ignored", "Error in atexit", "Error in sys.excepthook", "--- Logging error", "future: <"];
    if let Some(found) = THREAD.captures(before) {
        Origin::Thread(found[1].to_owned())
    } else if let Some(found) = CHILD.captures(before) {
        Origin::Child(found[1].to_owned())
    } else if IGNORED.iter().any(|start| before.starts_with(start)) {
        Origin::Ignored
    } else if !noise::is_launchers(before) && noise::level(before) == Some(Level::Error) {
        Origin::Logged
    } else {
        Origin::Main
    }
}

fn frame(found: &regex::Captures<'_>) -> Frame {
    let function = found.get(3).map(|name| name.as_str().to_owned());
    Frame { path: found[1].to_owned(), line: found[2].parse().unwrap_or(0), function }
}

/// The margin of the traceback that `line` begins; none if it begins none.
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

/// `line` without the margin; none if it does not have it. An empty line has every margin.
fn within<'l>(line: &'l str, margin: &str) -> Option<&'l str> {
    if line.trim_start().is_empty() || line == margin.trim_end() {
        return Some("");
    }
    line.strip_prefix(margin)
}

/// Whether a line begins something that is no part of an exception's message.
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

/// A reader over the lines of one stream. Whatever it does not understand it leaves behind: every line is read once.
struct Reader<'l> {
    lines: &'l [&'l str],
    at: usize,
}

impl<'l> Reader<'l> {
    fn line(&self) -> Option<&'l str> {
        self.lines.get(self.at).copied()
    }

    /// A chain of exceptions that begins at this line. If there is none, the reader has moved past what it had to read
    /// to see that.
    fn chain(&mut self) -> Option<Vec<Raised>> {
        let mut chain = vec![self.exception()?];
        while let Some(link) = self.link(chain.last()?) {
            // If the next one was cut off, what stands before it is still whole.
            let Some(next) = self.exception() else { break };
            chain.push(Raised { link: Some(link), ..next });
        }
        Some(chain)
    }

    /// Moves on to the next exception of the chain, if one follows `last`, and says how they are linked.
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

    /// One exception with its frames, message and members.
    fn exception(&mut self) -> Option<Raised> {
        let line = self.line()?;
        let (margin, announced) = match header(line) {
            Some(margin) => {
                self.at += 1;
                (margin, true)
            }
            // Syntax errors have no first line, and that of a long traceback may have been cut off.
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

    /// The indented lines of a traceback, up to the line that names the exception.
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

    /// The message that begins with `first`: the lines after it too, until one is empty or clearly begins something
    /// else.
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

    /// The exceptions in a group, and in the groups in it, each with its frames.
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
                // Only the last of a member's own chain counts.
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
        // A group's line is its title; the exceptions in it stand below.
        members.retain(|member| !member.message.contains(" sub-exception"));
        members
    }
}
