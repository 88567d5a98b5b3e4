//! The forms of tracebacks, and the search for them in a log.

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Link, Origin, Raised, Reading, Traceback};
use super::{
    build, elixir, go, haskell, hooks, ipython, java, javascript, julia, lua, message, mpi, ocaml, panel, pytest,
    python, r, rich, ruby, rust, sanitizer, tcl, toolkit, uncaught,
};
use crate::failure::lines::Log;
use crate::failure::noise::{self, RecordLevel};
use crate::failure::pattern::pattern;

/// The form in which a program prints an exception.
struct Form {
    /// Returns true if an exception of this form may be read at a line. Cheap, because it is asked about every line.
    begins: fn(&str) -> bool,
    /// Reads the exceptions at the cursor, which passes them. Returns `None` if there are none.
    read: fn(&mut Cursor<'_>) -> Option<Reading>,
}

/// All forms. The first one that can be read at a line counts.
const FORMS: [Form; 23] = [
    Form { begins: hooks::begins, read: |cursor| hooks::read(cursor).map(Reading::here) },
    Form { begins: python::begins, read: |cursor| python::read(cursor).map(Reading::here) },
    Form { begins: rich::begins, read: |cursor| rich::read(cursor).map(Reading::here) },
    Form { begins: ipython::begins, read: |cursor| ipython::read(cursor).map(Reading::here) },
    Form { begins: panel::begins, read: |cursor| panel::read(cursor).map(Reading::here) },
    Form { begins: pytest::begins, read: |cursor| pytest::read(cursor).map(Reading::here) },
    Form { begins: toolkit::begins, read: |cursor| toolkit::read(cursor).map(Reading::here) },
    Form { begins: java::begins, read: java::read },
    Form { begins: javascript::begins, read: javascript::read },
    Form { begins: uncaught::begins, read: uncaught::read },
    Form { begins: mpi::begins, read: |cursor| mpi::read(cursor).map(Reading::here) },
    Form { begins: go::begins, read: |cursor| go::read(cursor).map(Reading::here) },
    Form { begins: julia::begins, read: |cursor| julia::read(cursor).map(Reading::here) },
    Form { begins: r::begins, read: |cursor| r::read(cursor).map(Reading::here) },
    Form { begins: rust::begins, read: |cursor| rust::read(cursor).map(Reading::here) },
    Form { begins: sanitizer::begins, read: |cursor| sanitizer::read(cursor).map(Reading::here) },
    Form { begins: lua::begins, read: lua::read },
    Form { begins: ruby::begins, read: |cursor| ruby::read(cursor).map(Reading::here) },
    Form { begins: build::begins, read: |cursor| build::read(cursor).map(Reading::here) },
    Form { begins: tcl::begins, read: tcl::read },
    Form { begins: elixir::begins, read: |cursor| elixir::read(cursor).map(Reading::here) },
    Form { begins: haskell::begins, read: haskell::read },
    Form { begins: ocaml::begins, read: |cursor| ocaml::read(cursor).map(Reading::here) },
];

static THREAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Exception in thread ([^()]*?)\s*(?:\(.*\))?:$"));
static CHILD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Process (\S+):$"));

/// Words of a record by which a program tells that it goes on after the exception below.
static SURVIVED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:[,;:.(-]|\band) *(?:will (?:re-?try|try again)|re-?trying|trying again|skipping|falling back|ignoring|continuing|going on)\b",
    )
});

/// Returns all complete tracebacks of a log: writer by writer, and each writer's in the order of their lines.
pub(in crate::failure) fn tracebacks(log: &Log) -> Vec<Traceback> {
    let mut found: Vec<Traceback> = Vec::new();
    for writer in 0..log.writers.len() {
        let indices = log.lines_of(writer, 0);
        let lines: Vec<&str> = indices.iter().map(|&index| log.text(index)).collect();
        // The line before which an exception must follow that the last one passes on.
        let mut passing: Option<usize> = None;
        let mut cursor = Cursor { lines: &lines, at: 0, floor: 0, is_ignored: false };
        while let Some(line) = cursor.line() {
            let start = cursor.at;
            let mut read = None;
            for form in FORMS.iter().filter(|form| (form.begins)(line)) {
                cursor.is_ignored = start > 0 && is_survived(cursor.lines[start - 1]);
                read = (form.read)(&mut cursor);
                if read.is_some() || cursor.at > start {
                    break;
                }
            }
            let Some(Reading { mut chain, first, origin }) = read else {
                cursor.at = cursor.at.max(start + 1);
                continue;
            };
            let first = first.unwrap_or(start);
            let lines = indices[first]..=indices[cursor.at - 1];
            cursor.floor = cursor.at;
            let passed_on = passing.is_some_and(|end| first < end);
            chain.extend(chain.last().and_then(toolkit::inner));
            passing = chain.last().and_then(Raised::passes_on).map(|most| cursor.at + most);
            match found.last_mut().filter(|_| passed_on) {
                Some(before) => {
                    chain[0].link = Some(Link::Within);
                    before.chain.append(&mut speaking(chain));
                    before.lines = *before.lines.start()..=*lines.end();
                }
                None => {
                    let before = first.checked_sub(1).map_or("", |at| cursor.lines[at]);
                    let was_caught =
                        noise::is_harmless_record(before) && is_of_handler(before, &cursor.lines[first..cursor.at]);
                    let origin = if was_caught { Some(Origin::Ignored) } else { origin };
                    let origin = origin.unwrap_or_else(|| origin_after(before));
                    found.push(Traceback { origin, chain: speaking(chain), lines, writer });
                }
            }
        }
    }
    found
}

/// Returns a chain that ends with an exception that says what went wrong: the only one in a group, the one after which the
/// last attempt was given up, or the cause of one that says nothing or only reports that a run failed.
fn speaking(mut chain: Vec<Raised>) -> Vec<Raised> {
    let Some(last) = chain.last() else { return chain };
    if let [member] = last.members.as_slice()
        && last.message.ends_with("(1 sub-exception)")
    {
        let member = Raised { link: Some(Link::Within), ..member.clone() };
        chain.push(member);
        return chain;
    }
    let is_retry = last.name.ends_with("RetryError") && last.message.contains("<Future at ");
    let is_caused = last.link == Some(Link::Cause) && chain.len() > 1;
    if is_caused
        && (is_retry || last.is_report_of_run() || !last.message.is_empty() && message::says_nothing(&last.message))
    {
        let end = chain.len() - 1;
        chain.swap(end - 1, end);
        chain[end - 1].link = chain[end].link;
        chain[end].link = Some(Link::Within);
    }
    chain
}

/// Returns the origin of a traceback, by the line before it.
fn origin_after(before: &str) -> Origin {
    if let Some(found) = THREAD.captures(before) {
        Origin::Thread(found[1].to_owned())
    } else if let Some(found) = CHILD.captures(before) {
        Origin::Child(found[1].to_owned())
    } else if let Some(function) = before.strip_prefix("Exception ignored in thread started by") {
        // `Exception ignored in thread started by: <function load at 0x7f…>`, of the `_thread` module.
        let name = function.trim_start_matches([':', ' ', '<']).trim_start_matches("function ");
        Origin::Thread(name.split([' ', '>']).next().unwrap_or_default().to_owned())
    } else if is_survived(before) {
        Origin::Ignored
    } else if !noise::is_launchers(before) && noise::level(before) == Some(RecordLevel::Error) {
        Origin::Logged
    } else {
        Origin::Main
    }
}

/// Returns true if a traceback below a record is that of an exception that was caught: it has Loguru's mark of the call that
/// caught it, or it begins there, below a warning. An exception that nothing caught begins at the script's own lines.
fn is_of_handler(record: &str, traceback: &[&str]) -> bool {
    let begins_within = |line: &&&str| {
        line.starts_with("  File \"") && line.contains(", in ") && !line.contains(", in <") && !line.contains("runpy")
    };
    traceback.iter().any(|line| line.starts_with("> File \""))
        || record.contains("WARN") && traceback.get(1).filter(begins_within).is_some()
}

/// Returns true if a line announces an exception that the interpreter ignores, or one after which the program says to go on.
fn is_survived(line: &str) -> bool {
    const IGNORED: [&str; 5] =
        ["Exception ignored", "Error in atexit", "Error in sys.excepthook", "--- Logging error", "future: <"];
    IGNORED.iter().any(|start| line.starts_with(start))
        || noise::level(line) == Some(RecordLevel::Error) && SURVIVED.is_match(line)
}
