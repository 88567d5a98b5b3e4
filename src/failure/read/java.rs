//! Exceptions of the Java virtual machine (Java, Kotlin, Scala) and of .NET:
//!
//! ```text
//! Exception in thread "main" java.lang.RuntimeException: cannot train
//!     at com.acme.Train.main(Train.java:5)
//! Caused by: java.io.IOException: disk
//!     at com.acme.Disk.read(Disk.java:31)
//!     ... 1 more
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Link, Origin, Raised, Reading};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// `at com.acme.Train.main(Train.java:5)`, with the loader and the module before the class.
static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s+at (?:[\w.@-]*/)*(?P<function>[\w.$<>]+)\((?:(?P<file>[\w$-]+\.\w+)(?::(?P<line>\d+))?|[\w ]+)\)(?: ~?\[.*\])?$",
    )
});

/// `at Train.Main(String[] args) in /code/Train.cs:line 5` of .NET.
static NET_FRAME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s+at (?P<function>[\w.<>`$]+)\(.*\)(?: in (?P<file>.*):line (?P<line>\d+))?$"));

/// The line that names an exception, possibly after the fields of a log record.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"^(?P<before>.*?)(?:Exception in thread "(?P<thread>[^"]*)" |Caused by: |Unhandled exception\. |\s---> |Suppressed: )?"#,
        r"\b(?P<name>(?:[a-z_]\w*\.)+[\w$]*[A-Z]\w*|(?:[A-Z]\w+\.)*(?:[A-Z]\w*)?(?:Error|Exception|Throwable))(?:: (?P<message>.*))?$",
    ))
});

/// The maximum number of lines of a message.
const MAX_MESSAGE: usize = 12;

/// The maximum length of a line that names an exception, in bytes.
const MAX_LENGTH: usize = 4096;

/// Packages of libraries.
static LIBRARY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:java|javax|jdk|sun|com\.sun|kotlin|kotlinx|scala|groovy|org\.(?:apache|springframework|slf4j|junit|gradle|tensorflow|pytorch|nd4j|deeplearning4j)|com\.(?:google|amazonaws|fasterxml|typesafe)|io\.netty|software\.amazon|ai\.djl|py4j|System|Microsoft)\.",
    )
});

/// Returns true if a line may be the first call of an exception.
pub(super) fn begins(line: &str) -> bool {
    line.trim_start().starts_with("at ") && line.ends_with([')', ']', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
}

/// Reads the exception whose first call is at the cursor, and its causes.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    frame(cursor.line()?)?;
    // The search above the first call of the same stack has found no headline.
    if cursor.above().is_some_and(|line| frame(line).is_some()) {
        return None;
    }
    let floor = cursor.floor.max(cursor.at.saturating_sub(MAX_MESSAGE));
    let first = (floor..cursor.at).rev().find(|&at| is_headline(cursor.lines[at]))?;
    let found = NAMED.captures(cursor.lines[first])?;
    let thread = found.name("thread").map(|name| name.as_str().to_owned());
    let is_alone = found["before"].trim().is_empty();
    let mut chain = vec![exception(cursor, first)?];
    // Java prints the exception that ended the thread first, and the first cause last.
    let is_cause = |line: &&str| line.starts_with("Caused by: ") || line.starts_with(" ---> ");
    while cursor.line().filter(is_cause).is_some() {
        let at = cursor.at;
        let Some(calls) = cursor.find(MAX_MESSAGE, |line| frame(line).is_some() || is_rest(line)) else { break };
        cursor.at = calls;
        let Some(cause) = exception(cursor, at) else { break };
        chain.push(cause);
    }
    chain.reverse();
    for raised in &mut chain[1..] {
        raised.link = Some(Link::Cause);
    }
    let origin = match thread {
        Some(name) if name != "main" => Some(Origin::Thread(name)),
        Some(_) => Some(Origin::Main),
        None if !is_alone => Some(Origin::Logged),
        None => None,
    };
    Some(Reading { first: Some(first), origin, ..Reading::here(chain) })
}

/// Returns true if a line names an exception whose calls follow.
fn is_headline(line: &str) -> bool {
    line.len() < MAX_LENGTH && !line.starts_with([' ', '\t']) && NAMED.is_match(line)
}

/// Returns true if a line stands for the calls that a cause shares with its exception: `... 3 more`.
fn is_rest(line: &str) -> bool {
    line.trim_start().starts_with("... ") && line.ends_with(" more")
}

/// Reads the exception that line `first` names. The cursor is at the exception's first call, and is moved past all
/// calls.
fn exception(cursor: &mut Cursor<'_>, first: usize) -> Option<Raised> {
    let found = NAMED.captures(cursor.lines[first])?;
    let mut message = found.name("message").map_or(String::new(), |text| text.as_str().to_owned());
    for line in &cursor.lines[first + 1..cursor.at] {
        message.push('\n');
        message.push_str(line);
    }
    let mut frames = Vec::new();
    while let Some(line) = cursor.line() {
        match frame(line) {
            Some(call) => frames.extend(call),
            None if is_rest(line) => {}
            None if line.trim_start().starts_with("--- End of") => {}
            // Java prints an error that occurred while a resource was closed in this form.
            None if line.starts_with([' ', '\t']) && line.trim_start().starts_with("Suppressed: ") => {
                let at = cursor.at;
                cursor.at += 1;
                while cursor.take_if(|line| frame(line).is_some()).is_some() {}
                if cursor.at > at + 1 {
                    continue;
                }
            }
            None => break,
        }
        cursor.at += 1;
    }
    frames.reverse();
    Some(Raised { name: found["name"].to_owned(), message: message.trim().to_owned(), frames, ..Raised::default() })
}

/// Reads a call. Returns `None` if the line is not a call, and `Some(None)` if the call has no place.
fn frame(line: &str) -> Option<Option<Frame>> {
    let found = FRAME.captures(line).or_else(|| NET_FRAME.captures(line))?;
    let function = &found["function"];
    let file = found.name("file").map(|file| file.as_str());
    let number = found.name("line").and_then(|digits| digits.as_str().parse().ok());
    let (Some(file), Some(number)) = (file, number) else { return Some(None) };
    Some(Some(Frame { is_library: LIBRARY.is_match(function), ..Frame::new(file, number, Some(function.to_owned())) }))
}
