//! The forms of tracebacks, and the search for them in a log.

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Link, Origin, Raised, Reading, Traceback, Turn};
use super::{
    build, elixir, go, haskell, hooks, ipython, java, javascript, julia, lua, matlab, message, mpi, nim, ocaml, panel,
    prolog, pytest, python, r, racket, rich, ruby, runner, rust, sanitizer, spring, stacked, swift, tcl, toolkit,
    uncaught, zig,
};
use crate::failure::lines::Log;
use crate::failure::noise::{self, RecordLevel};
use crate::failure::pattern::pattern;

/// The form in which a program prints an exception.
struct Form {
    /// Returns true if an exception of this form may be read at a line. It must be cheap, because it is called for
    /// every line.
    begins: fn(&str) -> bool,
    /// Reads the exceptions at the cursor, and moves the cursor past them. Returns `None` if there are none.
    read: fn(&mut Cursor<'_>) -> Option<Reading>,
}

/// All forms. The first form that can be read at a line is used.
const FORMS: [Form; 32] = [
    Form { begins: hooks::begins, read: |cursor| hooks::read(cursor).map(Reading::here) },
    Form { begins: runner::begins, read: runner::read },
    Form {
        begins: python::begins,
        read: |cursor| {
            let turn = runner::turn(cursor);
            let (is_of_series, turn) = (turn.is_some(), turn.unwrap_or_default());
            python::read(cursor).map(|chain| Reading { is_of_series, turn, ..Reading::here(chain) })
        },
    },
    Form { begins: rich::begins, read: |cursor| rich::read(cursor).map(Reading::here) },
    Form { begins: ipython::begins, read: |cursor| ipython::read(cursor).map(Reading::here) },
    Form { begins: panel::begins, read: |cursor| panel::read(cursor).map(Reading::here) },
    Form { begins: pytest::begins, read: |cursor| pytest::read(cursor).map(Reading::of_series) },
    Form { begins: toolkit::begins, read: |cursor| toolkit::read(cursor).map(Reading::here) },
    Form { begins: java::begins, read: java::read },
    Form { begins: javascript::begins, read: javascript::read },
    Form { begins: uncaught::begins, read: uncaught::read },
    Form { begins: mpi::begins, read: |cursor| mpi::read(cursor).map(Reading::here) },
    Form { begins: go::begins, read: |cursor| go::read(cursor).map(Reading::here) },
    Form { begins: julia::begins, read: |cursor| julia::read(cursor).map(Reading::here) },
    Form { begins: r::begins, read: |cursor| r::read(cursor).map(Reading::here) },
    Form { begins: rust::begins, read: |cursor| rust::read(cursor).map(Reading::here) },
    Form { begins: sanitizer::begins, read: sanitizer::read },
    Form { begins: lua::begins, read: lua::read },
    Form { begins: ruby::begins, read: |cursor| ruby::read(cursor).map(Reading::here) },
    Form { begins: build::begins, read: build::read },
    Form { begins: tcl::begins, read: tcl::read },
    Form { begins: elixir::begins, read: |cursor| elixir::read(cursor).map(Reading::here) },
    Form { begins: haskell::begins, read: haskell::read },
    Form { begins: ocaml::begins, read: |cursor| ocaml::read(cursor).map(Reading::here) },
    Form { begins: swift::begins, read: |cursor| swift::read(cursor).map(Reading::here) },
    Form { begins: zig::begins, read: |cursor| zig::read(cursor).map(Reading::here) },
    Form { begins: nim::begins, read: |cursor| nim::read(cursor).map(Reading::here) },
    Form { begins: spring::begins, read: |cursor| spring::read(cursor).map(Reading::here) },
    Form { begins: stacked::begins, read: stacked::read },
    Form { begins: racket::begins, read: racket::read },
    Form { begins: matlab::begins, read: matlab::read },
    Form { begins: prolog::begins, read: |cursor| prolog::read(cursor).map(Reading::here) },
];

static THREAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Exception in thread ([^()]*?)\s*(?:\(.*\))?:$"));
static CHILD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Process (\S+):$"));

/// Words of a record with which a program states that it continues after the exception below.
static SURVIVED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:[,;:.(-]|\band) *(?:will (?:re-?try|try again)|re-?trying|trying again|skipping|falling back|ignoring|continuing|going on)\b",
    )
});

/// The maximum number of lines between two exceptions that the message of another one quotes. Scikit-learn prints an
/// empty line, a rule and `2 fits failed with the following error:`.
const QUOTED: usize = 4;

/// Returns all complete tracebacks of a log. They are ordered by writer, and within a writer by line.
pub(in crate::failure) fn tracebacks(log: &Log) -> Vec<Traceback> {
    let mut found: Vec<Traceback> = Vec::new();
    for writer in 0..log.writers.len() {
        let indices = log.lines_of(writer, 0);
        let lines: Vec<&str> = indices.iter().map(|&index| log.text(index)).collect();
        // The end of the lines in which an exception must begin if the previous exception passes it on.
        let mut passing: Option<usize> = None;
        // The end of the lines in which another exception begins that the message of the same exception quotes.
        let mut quoting = 0;
        // The first report of a series.
        let mut series: Option<usize> = None;
        let mut turn_of_first = Turn::AsPrinted;
        let mut cursor = Cursor { lines: &lines, at: 0, floor: 0, is_ignored: false };
        while let Some(line) = cursor.line() {
            let start = cursor.at;
            if line.is_empty() {
                cursor.at += 1;
                continue;
            }
            let mut read = None;
            for form in FORMS.iter().filter(|form| (form.begins)(line)) {
                cursor.is_ignored = start > 0 && is_survived(cursor.lines[start - 1]);
                read = (form.read)(&mut cursor);
                if read.is_some() || cursor.at > start {
                    break;
                }
            }
            let Some(Reading { mut chain, first, origin, is_of_series, turn }) = read else {
                cursor.at = cursor.at.max(start + 1);
                continue;
            };
            let first = first.unwrap_or(start);
            let lines = indices[first]..=indices[cursor.at - 1];
            cursor.floor = cursor.at;
            // All reports of a series belong to the first one.
            if let Some(first) = series.filter(|_| is_of_series) {
                found.truncate(first + 1);
                found[first].lines = *found[first].lines.start()..=*lines.end();
                if (turn_of_first, turn) == (Turn::AfterFailure, Turn::Failure) {
                    (found[first].chain, turn_of_first) = (informative_last(chain), turn);
                }
                continue;
            }
            // A report without a place only summarizes the reports before it, and the end of a series all of them.
            let is_place_known = chain.iter().any(|raised| !raised.frames.is_empty());
            let is_summary = !is_place_known && found.last().is_some_and(|before| before.writer == writer);
            if chain.is_empty() || is_of_series && is_summary {
                continue;
            }
            let passed_on = passing.is_some_and(|end| first < end);
            chain.extend(chain.last().and_then(toolkit::inner));
            let before = first.checked_sub(1).map_or("", |at| cursor.lines[at]);
            let is_quoted = first < quoting && before.ends_with(':') && origin_after(before) == Origin::Main;
            quoting = if passed_on || is_quoted { cursor.at + QUOTED } else { 0 };
            if let Some(quoter) = found.last_mut().filter(|_| is_quoted) {
                quoter.lines = *quoter.lines.start()..=*lines.end();
                continue;
            }
            passing = chain.last().and_then(Raised::passes_on).map(|most| cursor.at + most);
            match found.last_mut().filter(|_| passed_on) {
                Some(before) => {
                    chain[0].link = Some(Link::Within);
                    before.chain.append(&mut informative_last(chain));
                    before.lines = *before.lines.start()..=*lines.end();
                }
                None => {
                    series = is_of_series.then_some(found.len());
                    turn_of_first = turn;
                    let was_caught =
                        noise::is_harmless_record(before) && is_of_handler(before, &cursor.lines[first..cursor.at]);
                    let origin = if was_caught { Some(Origin::Ignored) } else { origin };
                    let origin = origin.unwrap_or_else(|| origin_after(before));
                    found.push(Traceback { origin, chain: informative_last(chain), lines, writer });
                }
            }
        }
    }
    found
}

/// Returns the chain in an order in which the last exception states what went wrong. That exception is the only one in
/// a group, the one after which the last attempt was given up, or the cause of an exception that has no useful message
/// or only reports that a run failed.
fn informative_last(mut chain: Vec<Raised>) -> Vec<Raised> {
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
        && (is_retry
            || last.message.is_empty() && last.is_wrapper_of_java()
            || last.is_report_of_run()
            || !last.message.is_empty() && message::is_uninformative(&last.message))
    {
        let end = chain.len() - 1;
        chain.swap(end - 1, end);
        chain[end - 1].link = chain[end].link;
        chain[end].link = Some(Link::Within);
    }
    chain
}

/// Returns the origin of a traceback, which is derived from the line before it.
fn origin_after(before: &str) -> Origin {
    if let Some(found) = THREAD.captures(before) {
        Origin::Thread(found[1].to_owned())
    } else if let Some(found) = CHILD.captures(before) {
        Origin::Child(found[1].to_owned())
    } else if let Some(function) = before.strip_prefix("Exception ignored in thread started by") {
        // The `_thread` module prints `Exception ignored in thread started by: <function load at 0x7f…>`.
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

/// Returns true if a traceback below a record is that of an exception that was caught. Such a traceback has Loguru's
/// mark at the call that caught the exception, or it is below a warning and begins with that call. The traceback of an
/// uncaught exception begins with the script's own lines.
fn is_of_handler(record: &str, traceback: &[&str]) -> bool {
    let begins_within = |line: &&&str| {
        line.starts_with("  File \"") && line.contains(", in ") && !line.contains(", in <") && !line.contains("runpy")
    };
    traceback.iter().any(|line| line.starts_with("> File \""))
        || record.contains("WARN") && traceback.get(1).filter(begins_within).is_some()
}

/// Returns true if a line announces an exception that the interpreter ignores, or one after which the program states
/// that it continues.
fn is_survived(line: &str) -> bool {
    const IGNORED: [&str; 5] =
        ["Exception ignored", "Error in atexit", "Error in sys.excepthook", "--- Logging error", "future: <"];
    IGNORED.iter().any(|start| line.starts_with(start))
        || noise::level(line) == Some(RecordLevel::Error) && SURVIVED.is_match(line)
}
