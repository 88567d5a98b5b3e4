//! The most telling line of programs that are not Python, and of Python's errors without a traceback.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::event::SourcePlace;

use super::lines::Log;
use super::noise::{self, RecordLevel};
use super::read;
use super::runtime::{self, TellingLine, place_of};
use crate::failure::pattern::pattern;

/// The number of meaningful lines before the end that are searched for an error. The program survived errors before those.
const SEARCHED_LINES: usize = 12;

/// Words by which a line tells of an error.
static ERROR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i:\b(?:errors?|fatal|exceptions?|cannot|can't|could not|couldn't|unable to|not found|no such|denied|killed|",
        r"panic|panicked|failed|failure|abort|aborted|aborting|invalid|unrecognized|unknown option|segmentation fault|",
        r"bus error|illegal instruction|core dumped|undefined symbol|no module named|no space left|out of memory|refused|",
        r"required|missing|halted|not executable|bad interpreter|exceeds|must be|no route to host|timed out|",
        r"undefined reference|undeclared|unbound variable|syntax error|multiple definition)\b)|",
        r"\b[A-Z]\w*(?:Error|Exception)\b|what\(\):",
    ))
});

/// Lines that state an error: `error: …`, `ValueError: …`, `cp: cannot stat …`, `train.sh: line 2: …`.
static STATEMENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:\S+:? )?(?i:fatal error|fatal|error|critical|panic|uncaught exception)(?:\[\w+\])?: |^\[?(?:ERROR|FATAL|CRITICAL)\b|^(?:E|ERR!|!) |",
        r"^Error(?: |:)|\b[A-Z]\w*(?:Error|Exception): |^g?make(?:\[\d+\])?: \*\*\* |^\S+: (?:line )?\d+: (?i:syntax error)|",
        r"^\S+: line \d+:\s+\d+ (?:Killed|Segmentation fault|Aborted|Bus error|Illegal instruction|Floating point exception)\b|",
        r"^[\w./+-]+(?:\[\d+\])?: (?:line \d+: |.*: )?(?i:cannot|can't|could not|no such|permission denied|.*(?:not found|no such file))",
    ))
});

/// Lines that state an error in another language than English: `错误: …`, `Fehler: …`.
static TRANSLATED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?:^|\s|\[)(?:错误|錯誤|エラー|오류|[Ff]ehler|FEHLER|[Ee]rreur|ERREUR|[Оо]шибка|ОШИБКА)\]?\s?[:：]")
});

/// Lines that only summarize the lines before them.
static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)^g?make(?:\[\d+\])?: \*\*\* (?:\[|waiting)|exit(?:ed|ing)? (?:with )?(?:status|code|with)|non-zero|^execution halted|^ninja: |",
        r"^usage:|^error executing job|: error is not recoverable|command failed with|^begin failed|",
        r"\b\d+ (?:failed|errors?|warnings?)\b.* (?:in|generated|emitted)\b|^error: (?:aborting|could not compile|compilation failed|linker command)|",
        r"exiting with failure|^ExitCode \d+|",
        r"^compilation terminated|^abort(?:ed|ing)[.!]*$|previous errors?\b|^fatal: could not read from remote repository|^traceback |see (?:above|the log)|",
        r"^(?:error|failed): line \d+|^(?:an )?(?:error|failed|failure)(?:(?:[ ,:]| in| on| at| near)+ \S+)?[ ,:]+(?:(?:in|on|at|near) )?line:? \d+[^:]{0,40}$|^(?:job|task|step|script|command|training|process)\b.{0,40} (?:failed|aborted)[.!]?$|",
        r"^\S+: child returned status|^execution of \S+ aborted due to|^error: (?:could not create the java|a fatal exception has occurred)|",
        r"^in \S+ line \d+, exit \d+$|^\s*\d+ failed tests?$|^npm (?:err!|error) (?:code|errno|syscall|path|command)\b|^(?:error|failed|failure|fatal)[.!]*$|executeuserscripterror|",
        r"^pdsh@\S+: \S+: ssh exited with|^slurmstepd: error: \*\*\* \S+ \S+ on \S+ cancelled at \S+ \*\*\*$",
    ))
});

/// `train.py: error: unrecognized arguments: --foo`, as argparse ends a program with exit code 2.
static ARGUMENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[^\s:]+(?: [^\s:]+)*: error: "));

/// The beginnings of words by which programs say no more than that they end, and the words around them.
const OF_ENDS: [&str; 76] = [
    "abort",
    "above",
    "after",
    "again",
    "all",
    "and",
    "are",
    "because",
    "been",
    "bye",
    "cannot",
    "caught",
    "check",
    "clean",
    "clos",
    "code",
    "continu",
    "could",
    "crash",
    "critical",
    "detail",
    "did",
    "done",
    "down",
    "due",
    "during",
    "encounter",
    "end",
    "epoch",
    "error",
    "exception",
    "exit",
    "fail",
    "fatal",
    "finish",
    "for",
    "from",
    "giv",
    "happen",
    "has",
    "have",
    "job",
    "kill",
    "leav",
    "log",
    "main",
    "not",
    "now",
    "occur",
    "out",
    "panic",
    "please",
    "process",
    "program",
    "quit",
    "rank",
    "raise",
    "reason",
    "run",
    "script",
    "see",
    "shut",
    "skip",
    "status",
    "step",
    "stop",
    "task",
    "terminat",
    "the",
    "this",
    "trac",
    "train",
    "unable",
    "unexpected",
    "unhandled",
    "was",
];

/// A record of Rich's logger.
static COLUMNS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?P<before>(?:\[[^\]]*\])?\s+(?:ERROR|CRITICAL|FATAL|EXCEPTION)\s+)(?P<message>\S.*?)\s{2,}(?P<path>\S+\.py):(?P<line>\d+)$",
    )
});

/// The place of an error that a compiler found, before its message: `fit.c:4:11: error: `, `fit.cu(9): error: `. Rust names
/// the place below.
static COMPILER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^[^\s:()]+(?::\d+(?::\d+)?|\(\d+(?:,\d+)?\)): (?:fatal )?error(?: [A-Z]+\d+)?: |^error\[E\d+\]: ")
});

/// Lines that only introduce the error in the next line.
static INTRODUCTION: LazyLock<Regex> = LazyLock::new(|| pattern(r":$|^Error merging override "));

/// The place at the end of a message of Perl, PHP or Fortran.
static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?P<before>.*?),? (?:at|in|of file) (?P<path>[^\s()]+\.(?:pl|pm|t|PL|php|f90|f))(?: (?:on )?line |:)(?P<line>\d+)(?:, <\S+> (?:line|chunk) \d+)?\.?$",
    )
});

/// The place above a message of Fortran: `At line 12 of file fit.f90 (unit = 10, file = 'in.dat')`.
static ABOVE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^At line (?P<line>\d+) of file (?P<path>\S+)"));

/// Returns the last message of argparse from the line `from` on, if its usage stands there too.
pub(super) fn argument_error(log: &Log, from: usize) -> Option<TellingLine> {
    let used = log.lines[from.min(log.lines.len())..].iter().any(|line| line.text.starts_with("usage: "));
    let line = (from..log.lines.len()).rev().find(|&at| used && ARGUMENT.is_match(log.text(at)))?;
    Some(TellingLine { headline: log.text(line).to_owned(), place: None, line })
}

/// The weight of a line that tells of an error, the heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Telling {
    /// It states an error, or is a log record of an error.
    Statement,
    /// It has words of an error.
    Words,
    /// It sums up other lines.
    Summary,
}

/// Returns the weight of a line; `None` if it tells of no error.
fn weight(line: &str) -> Option<Telling> {
    let level = noise::level(line);
    if level == Some(RecordLevel::Harmless) {
        return None;
    }
    let message = noise::message(line);
    let states = level == Some(RecordLevel::Error) || STATEMENT.is_match(message) || TRANSLATED.is_match(line);
    match (states, has_words_of_error(message)) {
        (false, false) => None,
        // It explains the line before it.
        _ if message.starts_with("Caused by: ") => Some(Telling::Words),
        _ if SUMMARY.is_match(message) => Some(Telling::Summary),
        (true, _) => Some(Telling::Statement),
        (false, true) => Some(Telling::Words),
    }
}

/// Returns true if a line has words by which it tells of an error, and not only a figure of that name: `error=0.3`.
fn has_words_of_error(message: &str) -> bool {
    // Words after the number tell what it counts: `aborted: 0 rows are left`.
    static FIGURE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"^["']? ?[=:] ?-?\d[\d.e+-]*%?(?:$|[,;|)\]}"'/]|\s+(?:[,;|(\[]|[\w./-]+ ?[=:]|\d|$))"#)
    });
    let is_figure = |rest: &str| FIGURE.is_match(rest);
    ERROR.find_iter(message).any(|found| !is_figure(&message[found.end()..]))
}

/// Returns the line that led to the one before `end`, if that only sums up: it says that the program gave up, or that another
/// program failed.
pub(super) fn before_summary<'l>(log: &'l Log, end: usize, skipped: &[bool]) -> Option<&'l str> {
    static GIVES_UP: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:after|in) \d+ (?:failed )?(?:attempts?|retries|tries)\b|\bgiv(?:ing|en) up\b|\bgave up\b|retries (?:are |were )?exhausted|\b(?:too many|max(?:imum)?(?: number of)?) (?:retries|attempts|failures)\b",
        )
    });
    let line = end.checked_sub(1)?;
    let text = log.text(line);
    if !GIVES_UP.is_match(text) && !SUMMARY.is_match(noise::message(text)) {
        return None;
    }
    let earlier = (0..line).rev().find(|&at| is_meaningful(log, at, skipped))?;
    let is_of_writer = log.lines[earlier].writer == log.lines[line].writer;
    (is_of_writer && noise::level(log.text(earlier)) != Some(RecordLevel::Harmless)).then(|| log.text(earlier))
}

/// Returns the most telling line about an error among the last lines from `from` on. `skipped` is true for each line that
/// belongs to something else, such as a traceback.
///
/// The last statement of an error counts, unless lines with words of an error follow it from afar: the program survived it.
pub(super) fn telling(log: &Log, from: usize, skipped: &[bool]) -> Option<TellingLine> {
    const NEAR: usize = 4;
    if let Some(found) = runtime::panic(log, from).or_else(|| runtime::exception(log, from)) {
        return Some(found);
    }
    let lines = meaningful(log, from, skipped).take(SEARCHED_LINES).enumerate();
    let weighed: Vec<(usize, usize, Telling)> = lines
        .filter_map(|(distance, at)| Some((distance, at, weight(noise::without_progress(log.text(at)))?)))
        .collect();
    let last = |wanted: Telling| weighed.iter().find(|(_, _, weight)| *weight == wanted);
    let found = match (last(Telling::Statement), last(Telling::Words)) {
        (Some(statement), Some(words)) if statement.0 > words.0 + NEAR => Some(words),
        (Some(statement), _) => Some(statement),
        (None, words) => words.or_else(|| last(Telling::Summary)),
    };
    let &(_, line, weight) = found?;
    if COMPILER.is_match(log.text(line)) {
        return Some(said(log, first_of_compiler(log, from, skipped, line)));
    }
    // A program may report an error without a word of error before it sums up: `tar: This does not look like a tar archive`.
    let program = |at: usize| log.text(at).split_once(": ").map(|(name, _)| name).filter(|name| !name.contains(' '));
    let is_summary = |at: usize| SUMMARY.is_match(log.text(at));
    let earlier = || meaningful(log, from, skipped).find(|&at| at < line && !is_summary(at));
    // The error of another program names that and its subject: `gzip: stdin: not in gzip format`.
    let is_complaint = |at: usize| program(at).is_some() && log.text(at).matches(": ").count() > 1;
    let belongs = |&at: &usize| {
        program(at).is_some() && program(at) == program(line) || is_complaint(at) || PLACE.is_match(log.text(at))
    };
    let before = earlier().filter(|at| weight == Telling::Summary && belongs(at));
    Some(introduced(log, before.unwrap_or(line), skipped))
}

/// Returns a line as it is shown. If it belongs to a list, it is the first item, with the line that introduces the list.
fn introduced(log: &Log, line: usize, skipped: &[bool]) -> TellingLine {
    const MAX_ITEMS: usize = 10;
    let is_item = |at: &usize| log.text(*at).starts_with([' ', '\t']) && !skipped.get(*at).copied().unwrap_or(false);
    let first = (0..=line).rev().take(MAX_ITEMS).take_while(is_item).last();
    let introduction = first.and_then(|at| at.checked_sub(1)).filter(|&at| {
        let text = log.text(at);
        text.ends_with(':') && is_meaningful(log, at, skipped) && noise::level(text) != Some(RecordLevel::Harmless)
    });
    // The first item may only tell where, and a later one what: `stage: fit`, `error: no rows`.
    let states = |at: usize| weight(log.text(at).trim_start()) == Some(Telling::Statement);
    let stated = first.and_then(|first| (first..=line).find(|&at| states(at))).filter(|at| Some(*at) != first);
    if let (Some(_), Some(at)) = (introduction, stated) {
        let text = noise::message(log.text(at).trim()).to_owned();
        return TellingLine { headline: text, place: None, line };
    }
    joined(log, said(log, introduction.unwrap_or(line)), skipped)
}

/// Returns the first error that a compiler found, of those that end with the error in `line`. The others may follow from it.
fn first_of_compiler(log: &Log, from: usize, skipped: &[bool], line: usize) -> usize {
    const MAX_LINES: usize = 100;
    let earlier = meaningful(log, from, skipped).skip_while(|&at| at > line).take(MAX_LINES);
    earlier.filter(|&at| COMPILER.is_match(log.text(at))).last().unwrap_or(line)
}

/// Returns a line joined with the next one, if it only introduces the error in that.
fn joined(log: &Log, found: TellingLine, skipped: &[bool]) -> TellingLine {
    // An empty line may stand before a list.
    let is_list = |at: usize| log.lines.get(at).is_some_and(|line| line.text.starts_with([' ', '\t']));
    let next = found.line + 1;
    let is_apart = log.lines.get(next).is_some_and(|line| line.text.is_empty()) && is_list(next + 1);
    let next = next + usize::from(is_apart);
    let is_more = |text: &str| !text.is_empty() && !noise::is_new_output(text) && noise::level(text).is_none();
    let follows = log.lines.get(next).is_some_and(|line| is_more(&line.text))
        && log.lines[next].writer == log.lines[found.line].writer
        && !skipped.get(next).copied().unwrap_or(false);
    if !follows || !INTRODUCTION.is_match(&found.headline) {
        return found;
    }
    TellingLine { headline: format!("{} {}", found.headline, log.text(next).trim()), line: next, ..found }
}

/// Returns a line as it is shown: without a progress bar, the fields of a record, and the place at its end.
fn said(log: &Log, line: usize) -> TellingLine {
    if let Some(found) = in_columns(log, line).or_else(|| in_box(log, line)) {
        return found;
    }
    let text = noise::message(noise::without_progress(log.text(line)).trim());
    // Fortran names the place in the line above.
    let above = || log.lines.get(line.checked_sub(1)?).filter(|_| text.starts_with("Fortran runtime error: "));
    let named = PLACE.captures(text).or_else(|| ABOVE.captures(&above()?.text)).or_else(|| of_compiler(log, line));
    let place = named.map(|found| place_of(&found)).or_else(|| logged_at(log.text(line), text));
    TellingLine { headline: text.to_owned(), place, line }
}

/// Returns the place of an error that a compiler of Rust names below it, or one of Fortran above it.
fn of_compiler(log: &Log, line: usize) -> Option<regex::Captures<'_>> {
    static BELOW: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*--> (?P<path>\S+?):(?P<line>\d+):\d+$"));
    static FORTRAN: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?P<path>\S+\.(?i:f|for|f\d\d)):(?P<line>\d+):\d+:$"));
    const NEAR: usize = 6;
    let text = log.text(line);
    if text.starts_with("error") {
        return log.lines[line + 1..].iter().take(2).find_map(|below| BELOW.captures(&below.text));
    }
    let above = || log.lines[line.saturating_sub(NEAR)..line].iter().rev();
    text.starts_with("Error: ").then(above)?.find_map(|above| FORTRAN.captures(&above.text))
}

/// Returns the place that a logger put among the fields before a record's message: `F0314 12:00:00.000000 71 fit.py:9] …`.
fn logged_at(record: &str, message: &str) -> Option<SourcePlace> {
    static FIELD: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?:^|[\s\[(|{])(?P<path>[\w./-]*\w\.py):(?P<line>\d+)(?:[\s\])|:}]|$)"));
    let fields = record.strip_suffix(message)?;
    FIELD.captures(fields).map(|found| place_of(&found))
}

/// Returns the title and the words of the box in which a line stands.
fn in_box(log: &Log, line: usize) -> Option<TellingLine> {
    const MAX_LINES: usize = 40;
    if !log.text(line).trim_start().starts_with(['│', '┃']) {
        return None;
    }
    let edge = (line.saturating_sub(MAX_LINES)..line).rev().find(|&at| read::title(log.text(at)).is_some())?;
    let lines: Vec<&str> = log.lines[edge..].iter().take(2 * MAX_LINES).map(|line| line.text.as_str()).collect();
    let (words, count) = read::content(&lines)?;
    let title = read::title(lines[0]).filter(|title| !title.is_empty()).map(|title| format!("{title}: "));
    // The line may stand below a box.
    (edge + count > line).then(|| TellingLine {
        headline: title.unwrap_or_default() + &words,
        place: None,
        line: edge + count - 1,
    })
}

/// Returns the message of a record that Rich prints in columns: time, level, message over several lines, and place.
fn in_columns(log: &Log, line: usize) -> Option<TellingLine> {
    const MAX_LINES: usize = 10;
    let found = COLUMNS.captures(log.text(line))?;
    let column = found["before"].len();
    let mut words = vec![found["message"].trim().to_owned()];
    let mut last = line;
    for (at, next) in log.lines.iter().enumerate().skip(line + 1).take(MAX_LINES) {
        let Some((before, text)) = next.text.split_at_checked(column) else { break };
        if !before.trim().is_empty() || !text.starts_with(|c: char| c.is_alphanumeric() || c.is_ascii_punctuation()) {
            break;
        }
        words.push(text.trim().to_owned());
        last = at;
    }
    Some(TellingLine { headline: words.join(" "), place: Some(place_of(&found)), line: last })
}

/// Returns true if a line only sums up the lines before it: `make: *** [Makefile:3: fit] Error 1`. One that tells the line of a
/// script says more.
pub(super) fn is_summary(line: &str) -> bool {
    SUMMARY.is_match(noise::message(noise::without_progress(line))) && !line.contains(" line ")
}

/// Returns the last meaningful line, unless it is a log record below error or only a summary.
pub(super) fn last_words(log: &Log, from: usize, skipped: &[bool]) -> Option<TellingLine> {
    let line = meaningful(log, from, skipped).next()?;
    let is_told = noise::level(log.text(line)) != Some(RecordLevel::Harmless) && !SUMMARY.is_match(log.text(line));
    is_told.then(|| introduced(log, line, skipped))
}

/// Returns true if the last meaningful line of a writer, from `from` on, states an error of its own: it says more than that the
/// program ends, and shares no word with `known`, the text of an error before it.
pub(super) fn ends_with_another_error(log: &Log, from: usize, skipped: &[bool], writer: usize, known: &str) -> bool {
    /// The least number of words by which a line says something of its own.
    const WORDS: usize = 2;
    let last = log.lines_of(writer, from).iter().rev().find(|&&at| is_meaningful(log, at, skipped));
    let Some(line) = last.map(|&at| noise::without_progress(log.text(at))) else { return false };
    if !matches!(weight(line), Some(Telling::Statement | Telling::Words)) {
        return false;
    }
    let (message, known) = (noise::message(line).to_lowercase(), known.to_lowercase());
    let words = message.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 2);
    let own: Vec<&str> = words.filter(|word| !OF_ENDS.iter().any(|stem| word.starts_with(stem))).collect();
    own.len() >= WORDS && !own.iter().any(|word| known.contains(word))
}

/// Returns the index of the last line, from `from` on, that is neither noise nor skipped.
pub(super) fn last_line(log: &Log, from: usize, skipped: &[bool]) -> Option<usize> {
    meaningful(log, from, skipped).next()
}

/// Returns the number of one writer's lines in a range that are neither noise nor skipped.
pub(super) fn count_between(log: &Log, range: Range<usize>, skipped: &[bool], writer: usize) -> usize {
    let lines = log.lines_of(writer, range.start).iter().take_while(|&&at| at < range.end);
    lines.filter(|&&at| is_meaningful(log, at, skipped)).count()
}

/// Returns the number of one writer's lines, from `from` on, that are neither noise nor skipped.
pub(super) fn count(log: &Log, from: usize, skipped: &[bool], writer: usize) -> usize {
    log.lines_of(writer, from).iter().filter(|&&at| is_meaningful(log, at, skipped)).count()
}

/// Returns the indices of the lines from `from` on that are neither noise nor skipped, the last one first.
fn meaningful<'l>(log: &'l Log, from: usize, skipped: &'l [bool]) -> impl Iterator<Item = usize> + 'l {
    (from..log.lines.len()).rev().filter(move |&at| is_meaningful(log, at, skipped))
}

fn is_meaningful(log: &Log, at: usize, skipped: &[bool]) -> bool {
    let text = log.text(at);
    let skipped = text.is_empty() || skipped.get(at).copied().unwrap_or(false);
    !skipped && !noise::is_noise(noise::without_progress(text))
}
