//! Log records that are written for machines: JSON objects and `key=value` pairs. They are converted to the lines that
//! a logger would have written for people, so that no other code needs to handle them.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::failure::pattern::pattern;
use memchr::memmem::Finder;
use regex::Regex;
use serde_json::{Map, Value};

/// The first line of every traceback.
pub(super) const TRACEBACK: &str = "Traceback (most recent call last):";

/// The keys of a record's level in loggers of Python, Go, Node and Java.
const LEVELS: [&str; 7] = ["level", "levelname", "severity", "lvl", "log.level", "log_level", "logLevel"];
/// The keys of a record's message.
const MESSAGES: [&str; 8] = ["message", "msg", "event", "text", "@message", "short_message", "log", "reason"];
/// The keys of an error that a record is about.
const ERRORS: [&str; 11] = [
    "exc_info",
    "exception",
    "error",
    "err",
    "stack_trace",
    "stacktrace",
    "stack",
    "traceback",
    "exc_text",
    "exc",
    "error.stack_trace",
];

/// The maximum number of lines of a record.
const MAX_LINES: usize = 2000;

/// The relevant pairs of `key=value` records (logrus, zap, slog).
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:^|\s)(level|msg|message|event|error|err|exception)=(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+))"#,
    )
});

static HEADER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(TRACEBACK));

/// Returns the position of the first line of a traceback in a line.
pub(super) fn header_at(line: &str) -> Option<usize> {
    // Most lines are shorter.
    if line.len() < TRACEBACK.len() { None } else { HEADER.find(line.as_bytes()) }
}

/// Returns a text in which each record that is a JSON object over several lines is on one line.
pub(super) fn on_one_line(text: &str) -> Cow<'_, str> {
    /// The maximum number of lines of an object.
    const MOST: usize = 200;
    if !text.starts_with("{\n") && !text.contains("\n{\n") && !text.contains(" {\n") {
        return Cow::Borrowed(text);
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let mut found: Vec<Cow<'_, str>> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let inside = || lines[at + 1..].iter().take(MOST).take_while(|line| line.starts_with([' ', '\t'])).count();
        // The fields of a logger may precede the object.
        let before = lines[at].strip_suffix('{').filter(|before| before.is_empty() || before.ends_with(' '));
        let end = before.map(|_| at + 1 + inside()).filter(|&end| lines.get(end).is_some_and(|end| *end == "}"));
        let record = end.and_then(|end| serde_json::from_str(&format!("{{{}", lines[at + 1..=end].join("\n"))).ok());
        match (end, record) {
            (Some(end), Some(Value::Object(record))) if object(&record).is_some() => {
                found.push(format!("{}{}", before.unwrap_or_default(), Value::Object(record)).into());
                at = end + 1;
            }
            _ => {
                found.push(lines[at].into());
                at += 1;
            }
        }
    }
    Cow::Owned(found.join("\n"))
}

/// Returns the lines of a record for people: its level with its message, and the traceback that it contains. Returns
/// `None` if the line is not a record for machines.
pub(super) fn readable(line: &str) -> Option<Vec<String>> {
    let line = line.trim_end();
    if line.ends_with('}')
        && let Some(start) = line.find('{')
    {
        // A prefix of a container's log or of a logger may precede the object.
        let is_record = start == 0 || line[start..].contains("\"level") || line.contains(TRACEBACK);
        if is_record
            && start < 200
            && line[start..].contains("\":")
            && let Ok(Value::Object(record)) = serde_json::from_str(&line[start..])
        {
            return object(&record);
        }
    }
    if let Some(at) = escaped_traceback(line) {
        return Some(unescaped(line, at));
    }
    // Harmless `key=value` records need no conversion, because their level can be read as it is.
    let is_error = line.contains("level=")
        && ["level=e", "level=f", "level=c", "level=p", "level='e", "level='c"]
            .iter()
            .any(|level| line.contains(level));
    if is_error { pairs(line) } else { None }
}

fn object(record: &Map<String, Value>) -> Option<Vec<String>> {
    // Loguru nests the record, and Elastic's schema nests the level and the error.
    if let Some(Value::Object(inner)) = record.get("record")
        && let Some(text) = record.get("text").and_then(Value::as_str)
        && inner.contains_key("level")
    {
        return Some(text.trim_end().lines().take(MAX_LINES).map(str::to_owned).collect());
    }
    let nested = record.get("log").and_then(|log| log.get("level"));
    let level =
        LEVELS.iter().find_map(|key| level(record.get(*key)?)).or_else(|| level(nested?)).or_else(|| status(record));
    let mut tracebacks = Vec::new();
    for value in record.values() {
        collect(value, &mut tracebacks, 0);
    }
    let message = MESSAGES.iter().find_map(|key| record.get(*key)?.as_str()).unwrap_or_default();
    if tracebacks.is_empty() && (level.is_none() || message.is_empty()) {
        return None;
    }
    let error =
        ERRORS.iter().find_map(|key| error(record.get(*key)?)).filter(|error| !message.contains(error.as_str()));
    let message = match (message.split_once(TRACEBACK), tracebacks.is_empty(), error) {
        (Some((before, _)), false, _) => before.trim_end().to_owned(),
        (_, true, Some(error)) if message.is_empty() => error,
        (_, true, Some(error)) => format!("{message}: {error}"),
        _ => message.to_owned(),
    };
    let level = level.unwrap_or_else(|| "ERROR".to_owned());
    let first = format!("{level} {message}");
    let lines = [first].into_iter().chain(tracebacks.iter().flat_map(|text| text.lines().map(str::to_owned)));
    let lines = lines.map(|line| line.trim_end().to_owned());
    Some(message_lines(lines).take(MAX_LINES).collect())
}

/// Splits lines that contain line ends.
fn message_lines(lines: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    lines.flat_map(|line| line.lines().map(str::to_owned).collect::<Vec<_>>())
}

/// Returns the name of a level, in capitals. Bunyan and pino use numbers: 50 is an error, 60 is fatal.
fn level(value: &Value) -> Option<String> {
    const KNOWN: [&str; 16] = [
        "TRACE",
        "DEBUG",
        "INFO",
        "NOTICE",
        "WARN",
        "WARNING",
        "ERROR",
        "ERR",
        "CRITICAL",
        "CRIT",
        "FATAL",
        "EXCEPTION",
        "PANIC",
        "DPANIC",
        "ALERT",
        "EMERGENCY",
    ];
    if let Some(number) = value.as_u64() {
        return Some(if number >= 50 { "ERROR" } else { "INFO" }.to_owned());
    }
    let name = value.as_str().or_else(|| value.get("name")?.as_str())?.to_uppercase();
    let name = KNOWN.iter().find(|known| **known == name)?;
    Some(match *name {
        "TRACE" => "DEBUG".to_owned(),
        "ERR" | "CRIT" | "PANIC" | "DPANIC" | "ALERT" | "EMERGENCY" => "CRITICAL".to_owned(),
        name => name.to_owned(),
    })
}

/// Returns the level of a record of Eliot, which is derived from the way in which an action ended.
fn status(record: &Map<String, Value>) -> Option<String> {
    let status = record.get("action_status")?.as_str()?;
    Some(if status == "failed" { "ERROR" } else { "INFO" }.to_owned())
}

/// Returns the text of an error's value, if it is short. The value is a text, or an object with a type and a message.
fn error(value: &Value) -> Option<String> {
    const LONG: usize = 1000;
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let found = match value {
        Value::String(text) => text.clone(),
        Value::Object(_) => match (text("type").or(text("name")), text("message").or(text("msg"))) {
            (Some(name), Some(message)) => format!("{name}: {message}"),
            (None, Some(message)) => message.to_owned(),
            _ => return None,
        },
        _ => return None,
    };
    Some(found).filter(|text| !text.is_empty() && text.len() < LONG)
}

/// Collects the tracebacks in a value: texts, and structlog's lists of frames.
fn collect(value: &Value, found: &mut Vec<String>, depth: usize) {
    const DEEP: usize = 6;
    match value {
        Value::String(text) if text.contains("Traceback (most recent call last)") => {
            found.push(text[text.find(TRACEBACK).unwrap_or(0)..].to_owned());
        }
        Value::String(text) if text.contains("\n\tat ") || text.contains("\n    at ") => found.push(text.clone()),
        Value::Array(values) if depth < DEEP => {
            // A traceback can be a list of its lines.
            let lines: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            if lines.len() > 1 && lines.len() == values.len() && lines[0] == TRACEBACK {
                found.push(lines.join("\n"));
                return;
            }
            let structured: Vec<String> = values.iter().rev().filter_map(structured).collect();
            if structured.is_empty() {
                values.iter().for_each(|value| collect(value, found, depth + 1));
            } else {
                let between = "\n\nThe above exception was the direct cause of the following exception:\n\n";
                found.push(structured.join(between));
            }
        }
        // Elastic's schema has separate fields for the calls, the type and the message.
        Value::Object(values) if calls(values).is_some() => found.extend(calls(values)),
        Value::Object(values) if depth < DEEP => values.values().for_each(|value| collect(value, found, depth + 1)),
        _ => {}
    }
}

/// Returns the traceback of Elastic's field `error`, whose calls have no header and no exception below them.
fn calls(error: &Map<String, Value>) -> Option<String> {
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    let (name, calls) = (text("type")?, text("stack_trace").filter(|calls| calls.starts_with("  File \""))?);
    let message = text("message").map(|message| format!(": {message}")).unwrap_or_default();
    Some(format!("{TRACEBACK}\n{}\n{name}{message}", calls.trim_end()))
}

/// Returns the traceback that structlog's `dict_tracebacks` describes.
fn structured(exception: &Value) -> Option<String> {
    let name = exception.get("exc_type")?.as_str()?;
    let message = exception.get("exc_value").and_then(Value::as_str).unwrap_or_default();
    let frames = exception.get("frames")?.as_array()?.iter().filter_map(|frame| {
        let (path, function) = (frame.get("filename")?.as_str()?, frame.get("name")?.as_str()?);
        Some(format!("  File \"{path}\", line {}, in {function}\n", frame.get("lineno")?.as_u64()?))
    });
    Some(format!("{TRACEBACK}\n{}{name}: {message}", frames.collect::<String>()))
}

/// Returns the position of a traceback that is written as a string literal, with `\n` for each line end.
fn escaped_traceback(line: &str) -> Option<usize> {
    let at = header_at(line)?;
    line[at + TRACEBACK.len()..].starts_with("\\n").then_some(at)
}

/// Returns the text before a string literal, and the lines of the literal.
fn unescaped(line: &str, at: usize) -> Vec<String> {
    let quote = line[..at].chars().last().filter(|c| matches!(c, '"' | '\''));
    let mut text = String::new();
    let mut rest = line[at..].chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') | None => {}
                Some(other) => text.push(other),
            },
            c if Some(c) == quote => break,
            c => text.push(c),
        }
    }
    let before = line[..at].trim_end_matches(['"', '\'', ' ']);
    let before = before.strip_suffix('b').filter(|rest| rest.ends_with([' ', '=', ':', '('])).unwrap_or(before);
    let first = Some(before.trim_end().to_owned()).filter(|text| !text.is_empty());
    first.into_iter().chain(text.lines().take(MAX_LINES).map(|line| line.trim_end().to_owned())).collect()
}

/// Reads a record of `key=value` pairs.
fn pairs(line: &str) -> Option<Vec<String>> {
    let mut found: Vec<(String, String)> = Vec::new();
    for pair in PAIR.captures_iter(line) {
        let quoted = pair.get(2).or(pair.get(3));
        let value = quoted.map_or_else(|| pair[4].to_owned(), |quoted| quoted.as_str().replace("\\\"", "\""));
        found.push((pair[1].to_owned(), value));
    }
    let value =
        |keys: &[&str]| found.iter().find(|(key, _)| keys.contains(&key.as_str())).map(|(_, value)| value.as_str());
    let level = level(&Value::String(value(&["level"])?.to_owned()))?;
    let message = value(&["msg", "message", "event"])?;
    let error = value(&["error", "err", "exception"]).filter(|error| !message.contains(error));
    Some(vec![error.map_or_else(|| format!("{level} {message}"), |error| format!("{level} {message}: {error}"))])
}
