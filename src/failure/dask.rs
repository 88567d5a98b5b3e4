//! Failed tasks in the log of a Dask worker (distributed 2026.8).
//!
//! The worker sends the exception of a task to the script, which raises it. Only the worker's log shows on which host
//! the task ran.

use std::collections::VecDeque;
use std::str::Chars;

/// The end of the first line of a record.
const HEADER: &str = "Compute Failed";

/// The beginnings of the lines with the exception and with the calls that led to it.
const EXCEPTION: &str = "Exception: ";
const TRACEBACK: &str = "Traceback: ";

/// Exceptions about errors of the operating system, which have a number, a message and mostly the name of a file. Their
/// `repr` lacks the name.
const SYSTEM_ERRORS: [&str; 12] = [
    "OSError",
    "FileNotFoundError",
    "PermissionError",
    "FileExistsError",
    "IsADirectoryError",
    "NotADirectoryError",
    "BrokenPipeError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "BlockingIOError",
    "ProcessLookupError",
    "TimeoutError",
];

/// The maximum number of lines of a record. The task itself may be shown in several lines.
const MAX_LINES: usize = 200;

/// The maximum length of the exception or of the calls in a record, in bytes. Dask shortens messages to 10,000.
const MAX_PART: usize = 16 << 10;

/// The maximum number of different records that are kept.
const MAX_RECORDS: usize = 32;

/// The last failed tasks of a worker.
#[derive(Debug, Default)]
pub struct FailedTasks {
    /// Tracebacks in the form in which Python prints them, the latest last.
    tracebacks: VecDeque<String>,
    record: Option<OpenRecord>,
}

/// A record whose end has not been read yet.
#[derive(Debug, Default)]
struct OpenRecord {
    lines: usize,
    /// The last line of the traceback.
    exception: Option<String>,
}

impl FailedTasks {
    /// Takes the next line of the worker's log.
    pub fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if line.ends_with(HEADER) {
            self.record = Some(OpenRecord::default());
            return;
        }
        let Some(record) = &mut self.record else { return };
        record.lines += 1;
        let part = |text: &str| (text.len() <= MAX_PART).then(|| unquoted(text)).flatten();
        if let Some(text) = line.strip_prefix(EXCEPTION) {
            record.exception = part(text).and_then(|repr| printed(&repr));
        } else if let Some(text) = line.strip_prefix(TRACEBACK) {
            let exception = self.record.take().and_then(|record| record.exception);
            if let (Some(exception), Some(calls)) = (exception, part(text)) {
                self.keep(format!("Traceback (most recent call last):\n{calls}{exception}\n"));
            }
        } else if record.lines > MAX_LINES {
            self.record = None;
        }
    }

    /// Returns the tracebacks of the last failed tasks, each in the form in which Python prints it. Equal ones are
    /// returned once.
    pub fn tracebacks(&self) -> impl Iterator<Item = &str> {
        self.tracebacks.iter().map(String::as_str)
    }

    fn keep(&mut self, traceback: String) {
        self.tracebacks.retain(|known| *known != traceback);
        if self.tracebacks.len() == MAX_RECORDS {
            self.tracebacks.pop_front();
        }
        self.tracebacks.push_back(traceback);
    }
}

/// Returns the text in which Python prints an exception, from its `repr`. `None` if the text is not certain.
fn printed(repr: &str) -> Option<String> {
    let (name, rest) = repr.split_once('(')?;
    let arguments = rest.strip_suffix(')')?;
    let parts = split(arguments)?;
    let message = match parts[..] {
        [] => String::new(),
        // The message of a `KeyError` is the `repr` of the key.
        [one] if name != "KeyError" && one.starts_with(['\'', '"']) => unquoted(one)?,
        [one] => one.to_owned(),
        [number, words] if SYSTEM_ERRORS.contains(&name) => format!("[Errno {number}] {}", unquoted(words)?),
        [..] => repr[name.len()..].to_owned(),
    };
    Some(if message.is_empty() { name.to_owned() } else { format!("{name}: {message}") })
}

/// Returns the arguments between the commas of a call. `None` if they do not end.
fn split(arguments: &str) -> Option<Vec<&str>> {
    let (mut parts, mut begin, mut depth, mut quote, mut is_escaped) = (Vec::new(), 0, 0_usize, None, false);
    for (at, char) in arguments.char_indices() {
        match (quote, char) {
            _ if is_escaped => is_escaped = false,
            (Some(_), '\\') => is_escaped = true,
            (Some(open), _) => quote = (open != char).then_some(open),
            (None, '\'' | '"') => quote = Some(char),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.checked_sub(1)?,
            (None, ',') if depth == 0 => {
                parts.push(arguments[begin..at].trim());
                begin = at + 1;
            }
            (None, _) => {}
        }
    }
    let last = arguments[begin..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    (quote.is_none() && depth == 0).then_some(parts)
}

/// Returns the text of a literal that Python's `repr` has written. `None` if it is none.
fn unquoted(literal: &str) -> Option<String> {
    let quote = literal.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let inner = literal.strip_prefix(quote)?.strip_suffix(quote)?;
    let (mut text, mut chars) = (String::with_capacity(inner.len()), inner.chars());
    while let Some(char) = chars.next() {
        if char == quote {
            return None;
        }
        let written = match char {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'x' => character(&mut chars, 2)?,
                'u' => character(&mut chars, 4)?,
                'U' => character(&mut chars, 8)?,
                other => other,
            },
            other => other,
        };
        text.push(written);
    }
    Some(text)
}

/// Takes the digits of a hexadecimal code, and returns its character.
fn character(chars: &mut Chars<'_>, digits: usize) -> Option<char> {
    let code: String = chars.take(digits).collect();
    let code = Some(code).filter(|code| code.len() == digits)?;
    u32::from_str_radix(&code, 16).ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::{FailedTasks, MAX_LINES, MAX_RECORDS, printed};

    /// Returns the tracebacks in a log.
    fn read(log: &str) -> Vec<String> {
        let mut tasks = FailedTasks::default();
        log.lines().for_each(|line| tasks.line(line));
        tasks.tracebacks().map(str::to_owned).collect()
    }

    /// Returns a record of a worker, as it logs it.
    fn record(task: &str, exception: &str, calls: &str) -> String {
        format!(
            "2026-11-29 23:01:39,239 - distributed.worker - ERROR - Compute Failed\nKey:       bad-865f\nState:     \
             executing\nTask:  <Task 'bad-865f' {task}>\nException: {exception}\nTraceback: {calls}\n\n"
        )
    }

    const CALLS: &str = r#"'  File "<dynamic-code>", line 7, in key\n  File "<dynamic-code>", line 6, in inner\n'"#;

    #[test]
    fn a_record_of_a_worker_becomes_the_traceback_that_the_script_shows() {
        let log = record("bad()", r#""ValueError('row 17 is rotten\\nsecond line')""#, CALLS);
        let traceback = "Traceback (most recent call last):\n  File \"<dynamic-code>\", line 7, in key\n  File \
                         \"<dynamic-code>\", line 6, in inner\nValueError: row 17 is rotten\nsecond line\n";
        assert_eq!(read(&log), [traceback]);
        // The task has a table of several lines among its arguments, and another record follows a broken one.
        assert_eq!(read(&record("bad(   a\n0  1)", r#""KeyError('a')""#, CALLS)).len(), 1);
        let broken = "- Compute Failed\nKey: x\nException: \"KeyError('a\n";
        assert_eq!(read(&format!("{broken}{log}")), [traceback]);
    }

    #[test]
    fn the_messages_of_exceptions_are_those_that_python_prints() {
        for (repr, shown) in [
            ("ValueError('row 17')", Some("ValueError: row 17")),
            (r#"RuntimeError('it\'s "odd"')"#, Some("RuntimeError: it's \"odd\"")),
            (r"ValueError('\x1b \u20ac \U0001f600 \\n')", Some("ValueError: \u{1b} € 😀 \\n")),
            ("KeyError('loss')", Some("KeyError: 'loss'")),
            ("MyError('a, b', 3)", Some("MyError: ('a, b', 3)")),
            ("MyError([1, 2])", Some("MyError: [1, 2]")),
            ("MyError()", Some("MyError")),
            ("MyError(2, 'No such file')", Some("MyError: (2, 'No such file')")),
            ("SystemExit(3)", Some("SystemExit: 3")),
            ("FileNotFoundError(2, 'No such file')", Some("FileNotFoundError: [Errno 2] No such file")),
            ("<Failure of 3>", None),
            ("ValueError('row 17", None),
            ("ValueError(row 17))", None),
            (r"ValueError('\u12')", None),
        ] {
            assert_eq!(printed(repr).as_deref(), shown, "{repr}");
        }
    }

    #[test]
    fn the_latest_records_are_kept_once_each() {
        let many: String = (0..MAX_RECORDS + 2).map(|n| record("f()", &format!("'KeyError({n})'"), CALLS)).collect();
        let kept = read(&format!("{many}{}", record("f()", "'KeyError(5)'", CALLS)));
        assert_eq!(kept.len(), MAX_RECORDS);
        assert!(kept[0].contains("KeyError: 2\n"), "{}", kept[0]);
        assert!(kept[MAX_RECORDS - 1].contains("KeyError: 5\n"));
        // Lines of other output, however many, are not a record.
        let late = "x\n".repeat(MAX_LINES + 1);
        assert_eq!(read(&format!("- Compute Failed\n{late}Exception: 'KeyError(5)'\nTraceback: {CALLS}\n")), [""; 0]);
    }
}
