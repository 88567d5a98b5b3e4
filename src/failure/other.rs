//! The most informative line of programs that are not Python, and of Python's errors without a traceback.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::event::SourcePlace;

use super::columns;
use super::figures;
use super::lines::Log;
use super::noise::{self, RecordLevel};
use super::runtime::{self, ErrorLine, place_of};
use super::words::{has_words_of_error, is_demand};
use super::wrapper;
use crate::failure::pattern::pattern;

/// The number of meaningful lines at the end that are searched for an error. The program survived errors before those
/// lines.
const SEARCHED_LINES: usize = 12;

/// Lines that state an error: `error: …`, `ValueError: …`, `cp: cannot stat …`, `train.sh: line 2: …`.
static STATEMENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^# There is insufficient memory for the Java |^(?:\S+:? )?(?i:fatal error|fatal|error|critical|panic|uncaught exception)(?:\[\w+\])?: |^\[?(?:ERROR|FATAL|CRITICAL)\b|^(?:E|ERR!|!) |",
        r"^Error(?: |:)|^ptxas error\s*: |\b[A-Z]\w*(?:Error|Exception): |^g?make(?:\[\d+\])?: \*\*\* |^\S+: (?:line )?\d+: (?i:syntax error)|",
        r"^\S+: line \d+:\s+\d+ (?:Killed|Segmentation fault|Aborted|Bus error|Illegal instruction|Floating point exception)\b|",
        r"^[\w./+-]+(?:\[\d+\])?: (?:line \d+: |.*: )?(?i:cannot|can't|could not|no such|permission denied|.*(?:not found|no such file))",
    ))
});

/// Lines that state an error in a language other than English: `错误: …`, `Fehler: …`.
static TRANSLATED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?:^|\s|\[)(?:错误|錯誤|エラー|오류|[Ff]ehler|FEHLER|[Ee]rreur|ERREUR|[Оо]шибка|ОШИБКА)\]?\s?[:：]")
});

/// Lines that only summarize the lines before them.
static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)^g?make(?:\[\d+\])?: \*\*\* (?:\[|waiting)|exit(?:ed|ing)? (?:with )?(?:status|code|with)|non-zero|^execution halted|^ninja: |",
        r"^usage:|: error is not recoverable|command failed with|^begin failed|",
        r"\b\d+ (?:failed|errors?|warnings?)\b.* (?:in|generated|emitted)\b|^error: (?:aborting|could not compile|compilation failed|linker command)|",
        r"exiting with failure|^ExitCode \d+|: exit \d+\.?$|\b(?:returned|returned with|failed with) (?:exit (?:code|status) |an error code )?\d+\.?$|",
        r"^error: test failed, to rerun|^error: \d+ targets? failed|^Errors while running CTest|^(?:Error: )?Tests? fail(?:ures|ed)$|",
        r"^Error compiling project|^Compilation failed$|^The build failed\.|^Build FAILED\.?$|^ERROR: Build failed\.|^Error executing process > |",
        r"^compilation terminated|^abort(?:ed|ing)[.!]*$|previous errors?\b|^fatal: could not read from remote repository|^traceback |see (?:above|the log)|",
        r"^(?:error|failed): line \d+|^(?:an )?(?:error|failed|failure)(?:(?:[ ,:]| in| on| at| near)+ \S+)?[ ,:]+(?:(?:in|on|at|near) )?line:? \d+[^:]{0,40}$|^(?:job|task|step|script|command|training|process)\b.{0,40} (?:failed|aborted)[.!]?$|",
        r"^\S+: child returned status|^execution of \S+ aborted due to|^error: execution of an external program failed|^error: (?:could not create the java|a fatal exception has occurred)|",
        r"^(?:reason: )?worker failed to boot|^(?:error|fatal): (?:see|refer to|for more) |\bthere were (?:failed|errors)|^(?:error: )?resolutionimpossible: |^in \S+ line \d+, exit \d+$|^\s*\d+ failed tests?$|^(?:error|fatal): .*\bfilter\b.* failed$|^npm (?:err!|error) (?:code|errno|syscall|path|command)\b|^(?:error|failed|failure|fatal)[.!]*$|executeuserscripterror|",
        r"^ptxas fatal\s*: ptx assembly aborted|^kaldi::kaldi\w+error$|^pdsh@\S+: \S+: ssh exited with|^slurmstepd: error: \*\*\* \S+ \S+ on \S+ cancelled at \S+ \*\*\*$",
    ))
});

/// A title that only announces an error.
static BARE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\W*(?i:error|fatal|fatal error|failed|failure)\W*$"));

/// The message `train.py: error: unrecognized arguments: --foo`, with which argparse ends a program with exit code 2.
static ARGUMENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[^\s:]+(?: [^\s:]+)*: error: "));

/// The beginnings of words with which programs state only that they end, and of the words around them.
const OF_ENDS: &str = "
    abort above after again all and are because been bye cannot caught check clean clos code continu could crash
    critical detail did done down due during encounter end epoch error exception exit fail fatal finish for from
    giv happen has have job kill leav log main not now occur out panic please process program quit rank raise
    reason run script see shut skip status step stop task terminat the this trac train unable unexpected
    unhandled was
";

/// The place of an error that a compiler found, before its message: `fit.c:4:11: error: `, `fit.cu(9): error: `. Rust
/// prints the place below the message.
static COMPILER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^[^\s:()]+(?::\d+(?::\d+)?|\(\d+(?:,\d+)?\)): (?:fatal )?error(?: [A-Z]+\d+)?: |^error\[E\d+\]: ")
});

/// Lines that only introduce the error in the next line.
static INTRODUCTION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r":$|^Error merging override |^✘ (?:[\w']+ )*[Ee]rror\b|^ERROR: THESE PACKAGES DO NOT MATCH THE HASHES")
});

/// The place at the end of a message of Perl, PHP or Fortran.
static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?P<before>.*?),? (?:at|in|of file) (?P<path>[^\s()]+\.(?:pl|pm|t|PL|php|f90|f))(?: (?:on )?line |:)(?P<line>\d+)(?:, <\S+> (?:line|chunk) \d+)?\.?$",
    )
});

/// The place above a message of Fortran: `At line 12 of file fit.f90 (unit = 10, file = 'in.dat')`.
static ABOVE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^At line (?P<line>\d+) of file (?P<path>\S+)"));

/// Returns the last message of argparse from the line `from` on, if the usage is printed too.
pub(super) fn argument_error(log: &Log, from: usize) -> Option<ErrorLine> {
    let used = log.lines[from.min(log.lines.len())..].iter().any(|line| line.text.starts_with("usage: "));
    let line = (from..log.lines.len()).rev().find(|&at| used && ARGUMENT.is_match(log.text(at)))?;
    Some(ErrorLine { headline: log.text(line).to_owned(), place: None, line })
}

/// The weight of a line that reports an error, the heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ErrorLineKind {
    /// The line states an error, or is a log record of an error.
    Statement,
    /// The line contains words of an error.
    Words,
    /// The line summarizes other lines.
    Summary,
}

/// Returns the weight of a line. `None` if it does not report an error.
fn weight(line: &str) -> Option<ErrorLineKind> {
    let level = noise::level(line);
    // A branch of a tree, such as that of a solver, belongs to the line that introduces the tree.
    let is_branch = ["├─", "└─"].iter().any(|branch| line.trim_start_matches([' ', '│']).starts_with(branch));
    let is_harmless = level == Some(RecordLevel::Harmless) || is_branch;
    if is_harmless || wrapper::is_shown_command(line) || noise::is_ignored_by_most(line) {
        return None;
    }
    let message = noise::message(line);
    let states = level == Some(RecordLevel::Error) || STATEMENT.is_match(message) || TRANSLATED.is_match(line);
    match (states, has_words_of_error(message)) {
        (false, false) if wrapper::is_report(line) => Some(ErrorLineKind::Summary),
        (false, false) => None,
        // The line explains the line before it.
        _ if message.starts_with("Caused by: ") => Some(ErrorLineKind::Words),
        _ if SUMMARY.is_match(message) || wrapper::is_report(line) => Some(ErrorLineKind::Summary),
        (true, _) => Some(ErrorLineKind::Statement),
        (false, true) => Some(ErrorLineKind::Words),
    }
}

/// Returns the line that led to the line before `end`, if that line only summarizes: it states that the program gave
/// up, or that another program failed.
pub(super) fn before_summary<'l>(log: &'l Log, end: usize, skipped: &[bool]) -> Option<&'l str> {
    static GIVES_UP: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:after|in) \d+ (?:failed )?(?:attempts?|retries|tries)\b|\bgiv(?:ing|en) up\b|\bgave up\b|retries (?:are |were )?exhausted|\b(?:too many|max(?:imum)?(?: number of)?) (?:retries|attempts|failures)\b",
        )
    });
    let line = end.checked_sub(1)?;
    let text = log.text(line);
    // A program's own words before a report become the headline.
    let gives_up = GIVES_UP.is_match(text);
    if wrapper::is_report(text) || !gives_up && !SUMMARY.is_match(noise::message(text)) {
        return None;
    }
    let is_output = |at: &usize| is_meaningful(log, *at, skipped) && !wrapper::is_shown_command(log.text(*at));
    let earlier = (0..line).rev().find(is_output)?;
    let is_of_writer = log.lines[earlier].writer == log.lines[line].writer;
    let earlier = log.text(earlier);
    // A failed attempt is often logged as a warning.
    let is_told =
        noise::level(earlier) != Some(RecordLevel::Harmless) || gives_up && has_words_of_error(noise::message(earlier));
    (is_of_writer && is_told).then_some(earlier)
}

/// Returns the most informative line about an error among the last lines from `from` on. `skipped` is true for each
/// line that belongs to something else, such as a traceback.
///
/// The last statement of an error counts. If lines with words of an error follow much later, the program survived the
/// statement, and it does not count.
pub(super) fn last_error(log: &Log, from: usize, skipped: &[bool]) -> Option<ErrorLine> {
    const NEAR: usize = 4;
    let of_runtime = || runtime::panic(log, from).or_else(|| runtime::exception(log, from));
    if let Some(found) = of_runtime().or_else(|| of_managed_python(log, from, skipped)) {
        return Some(found);
    }
    let lines = meaningful(log, from, skipped).take(SEARCHED_LINES).enumerate();
    let weighed: Vec<(usize, usize, ErrorLineKind)> = lines
        .filter_map(|(distance, at)| Some((distance, at, weight(noise::without_progress(log.text(at)))?)))
        .collect();
    let survived = end_of_survived(log, from, skipped);
    let weighed: Vec<_> = weighed.into_iter().filter(|(_, at, _)| *at >= survived).collect();
    let last = |wanted: ErrorLineKind| weighed.iter().find(|(_, _, weight)| *weight == wanted);
    let found = match (last(ErrorLineKind::Statement), last(ErrorLineKind::Words)) {
        (Some(statement), Some(words)) if statement.0 > words.0 + NEAR => Some(words),
        (Some(statement), _) => Some(statement),
        (None, words) => words.or_else(|| last(ErrorLineKind::Summary)),
    };
    let &(distance, line, weight) = found?;
    if BARE.is_match(log.text(line)) {
        let says = |at: &usize| noise::level(log.text(*at)).is_none() && !BARE.is_match(log.text(*at));
        let below = meaningful(log, from, skipped).take(distance).last().filter(says);
        if let Some(said) = below.or_else(|| meaningful(log, from, skipped).nth(distance + 1).filter(says)) {
            return Some(introduced(log, said, skipped));
        }
    }
    let is_demand = weight == ErrorLineKind::Words && is_demand(noise::message(log.text(line)));
    if is_demand && meaningful(log, from, skipped).take(distance).any(|at| states_something(log.text(at))) {
        return None;
    }
    if COMPILER.is_match(log.text(line)) {
        return Some(error_line_at(log, first_of_compiler(log, from, skipped, line)));
    }
    // Before a summary, a program may report an error that contains no word of error:
    // `tar: This does not look like a tar archive`.
    let program = |at: usize| log.text(at).split_once(": ").map(|(name, _)| name).filter(|name| !name.contains(' '));
    let is_summary = |at: usize| SUMMARY.is_match(log.text(at));
    let is_shown_command = |at: usize| wrapper::is_shown_command(log.text(at));
    let earlier = || meaningful(log, from, skipped).find(|&at| at < line && !is_summary(at) && !is_shown_command(at));
    // The error of another program contains the program's name and a subject: `gzip: stdin: not in gzip format`.
    let is_complaint = |at: usize| program(at).is_some() && log.text(at).matches(": ").count() > 1;
    let belongs = |&at: &usize| {
        program(at).is_some() && program(at) == program(line)
            || is_complaint(at)
            || PLACE.is_match(log.text(at))
            || wrapper::is_message_after_name(log.text(at))
    };
    // GNU parallel prints the command of a job below the line that reports the job.
    let is_shown = |at: usize| at > 0 && wrapper::is_report(log.text(at - 1)) && log.text(at - 1).ends_with(':');
    let is_own = |&at: &usize| {
        wrapper::may_be_own_words(log.text(at)) && !is_shown(at) && !noise::is_harmless_record(log.text(at))
    };
    let is_report = weight == ErrorLineKind::Summary && wrapper::is_report(log.text(line));
    if is_report && let Some(own) = meaningful(log, from, skipped).skip_while(|&at| at >= line).find(is_own) {
        let end = if log.text(line).ends_with(':') { line + 1 } else { line };
        let is_of_writer = log.lines.get(end).is_some_and(|last| last.writer == log.lines[own].writer);
        return Some(ErrorLine { line: if is_of_writer { end } else { own }, ..introduced(log, own, skipped) });
    }
    let before = earlier().filter(|at| weight == ErrorLineKind::Summary && !is_report && belongs(at));
    Some(introduced(log, before.unwrap_or(line), skipped))
}

/// Returns pip's error about a Python that belongs to the distribution. Paragraphs of advice follow it.
fn of_managed_python(log: &Log, from: usize, skipped: &[bool]) -> Option<ErrorLine> {
    /// The maximum number of lines of the advice.
    const ADVICE: usize = 24;
    const ERROR: &str = "error: externally-managed-environment";
    let is_end = |at: &usize| log.text(*at).starts_with("hint: See PEP 668");
    let line = meaningful(log, from, skipped).next().filter(is_end)?;
    meaningful(log, from, skipped).take(ADVICE).find(|&at| log.text(at) == ERROR)?;
    Some(ErrorLine { headline: format!("{ERROR}: pip may not install into this Python"), place: None, line })
}

/// Returns the first line after the errors that the program survived: it then reported its progress, and ended with
/// other words. Returns 0 if there are none.
fn end_of_survived(log: &Log, from: usize, skipped: &[bool]) -> usize {
    let is_step = |at: &usize| noise::is_step(log.text(*at)) && log.text(*at).contains(|c: char| c.is_ascii_digit());
    let mut lines = meaningful(log, from, skipped).take(SEARCHED_LINES).peekable();
    // Other ranks may report their progress until they are ended.
    if lines.peek().is_none_or(is_step) {
        return 0;
    }
    lines.filter(is_step).nth(noise::STEPS - 1).unwrap_or(0)
}

/// Returns a line in the form in which it is shown. If the line belongs to a list, the first item of the list is
/// returned, with the line that introduces the list.
fn introduced(log: &Log, line: usize, skipped: &[bool]) -> ErrorLine {
    const MAX_ITEMS: usize = 10;
    let is_item = |at: &usize| log.text(*at).starts_with([' ', '\t']) && !skipped.get(*at).copied().unwrap_or(false);
    let first = (0..=line).rev().take(MAX_ITEMS).take_while(is_item).last();
    let introduction = first.and_then(|at| at.checked_sub(1)).filter(|&at| {
        let text = log.text(at);
        text.ends_with(':') && is_meaningful(log, at, skipped) && noise::level(text) != Some(RecordLevel::Harmless)
    });
    // The first item may contain only the place of the error, and a later one the error: `stage: fit`,
    // `error: no rows`.
    let states = |at: usize| weight(log.text(at).trim_start()) == Some(ErrorLineKind::Statement);
    let stated = first.and_then(|first| (first..=line).find(|&at| states(at))).filter(|at| Some(*at) != first);
    if let (Some(_), Some(at)) = (introduction, stated) {
        let text = noise::message(log.text(at).trim()).to_owned();
        return ErrorLine { headline: text, place: None, line };
    }
    if introduction.is_none()
        && let Some(above) = line.checked_sub(1).filter(|_| is_item(&line)).map(|at| log.text(at))
        && is_unfinished(above)
    {
        return ErrorLine { headline: format!("{above} {}", log.text(line).trim()), place: None, line };
    }
    joined(log, error_line_at(log, introduction.unwrap_or(line)), skipped)
}

/// Returns true if a line states an error and the sentence goes on in the next line.
fn is_unfinished(line: &str) -> bool {
    let is_open = line.ends_with(|c: char| c.is_alphanumeric() || c == ',');
    is_open && wrapper::is_message_after_name(line) && has_words_of_error(line) && noise::level(line).is_none()
}

/// Returns the first of the compiler's errors that end with the error in `line`. The other errors may be its
/// consequences.
fn first_of_compiler(log: &Log, from: usize, skipped: &[bool], line: usize) -> usize {
    const MAX_LINES: usize = 100;
    let earlier = meaningful(log, from, skipped).skip_while(|&at| at > line).take(MAX_LINES);
    earlier.filter(|&at| COMPILER.is_match(log.text(at))).last().unwrap_or(line)
}

/// Returns a line. If it only introduces the error in the next line, the two are joined.
fn joined(log: &Log, found: ErrorLine, skipped: &[bool]) -> ErrorLine {
    // An empty line may precede a list.
    let is_list = |at: usize| log.lines.get(at).is_some_and(|line| line.text.starts_with([' ', '\t']));
    let next = found.line + 1;
    let is_apart = log.lines.get(next).is_some_and(|line| line.text.is_empty()) && is_list(next + 1);
    let next = next + usize::from(is_apart);
    let is_more = |text: &str| {
        text.contains(char::is_alphanumeric) && !noise::is_new_output(text) && noise::level(text).is_none()
    };
    let follows = log.lines.get(next).is_some_and(|line| is_more(&line.text))
        && log.lines[next].writer == log.lines[found.line].writer
        && !skipped.get(next).copied().unwrap_or(false);
    if !follows || !INTRODUCTION.is_match(&found.headline) {
        return found;
    }
    ErrorLine { headline: format!("{} {}", found.headline, log.text(next).trim()), line: next, ..found }
}

/// Returns a line in the form in which it is shown: without a progress bar, the fields of a record, and the place at
/// its end.
fn error_line_at(log: &Log, line: usize) -> ErrorLine {
    if let Some(found) = columns::in_columns(log, line).or_else(|| columns::in_box(log, line)) {
        return found;
    }
    let text = noise::message(noise::without_progress(log.text(line)).trim()).trim_start_matches("# ");
    // Fortran prints the place in the line above.
    let above = || log.lines.get(line.checked_sub(1)?).filter(|_| text.starts_with("Fortran runtime error: "));
    let named = PLACE.captures(text).or_else(|| ABOVE.captures(&above()?.text)).or_else(|| of_compiler(log, line));
    let place = named.map(|found| place_of(&found)).or_else(|| logged_at(log.text(line), text));
    ErrorLine { headline: text.to_owned(), place, line }
}

/// Returns the place that a Rust compiler prints below an error, or that Fortran prints above it.
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

/// Returns the place that a logger wrote among the fields before a record's message:
/// `F0314 12:00:00.000000 71 fit.py:9] …`.
fn logged_at(record: &str, message: &str) -> Option<SourcePlace> {
    static FIELD: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?:^|[\s\[(|{])(?P<path>[\w./-]*\w\.(?:py|go)):(?P<line>\d+)(?:[\s\])|:}]|$)"));
    let fields = record.strip_suffix(message)?;
    FIELD.captures(fields).map(|found| place_of(&found))
}

/// Returns true if a line only summarizes the lines before it: `make: *** [Makefile:3: fit] Error 1`. A line that names
/// the line of a script is more informative.
pub(super) fn is_summary(line: &str) -> bool {
    let text = noise::without_progress(line);
    let is_report = wrapper::is_report(text) || wrapper::is_report_of_recipe(text);
    is_report || SUMMARY.is_match(noise::message(text)) && !text.contains(" line ")
}

/// Returns the last meaningful line, unless it is a log record below level error or only a summary. Records that only
/// state that the program ends are skipped. The commands that a shell shows count only if there are no other lines.
pub(super) fn last_words(log: &Log, from: usize, skipped: &[bool]) -> Option<ErrorLine> {
    let is_farewell = |at: &usize| {
        let text = log.text(*at);
        noise::level(text) == Some(RecordLevel::Harmless) && is_farewell(text)
    };
    let farewells = meaningful(log, from, skipped).take(MAX_FAREWELLS).take_while(is_farewell).count();
    let is_housekeeping = |at: &usize| wrapper::is_housekeeping(log.text(*at));
    let tidied =
        meaningful(log, from, skipped).skip(farewells).take(MAX_HOUSEKEEPING).take_while(is_housekeeping).count();
    let is_said = meaningful(log, from, skipped).nth(farewells + tidied).is_some();
    let farewells = if is_said { farewells + tidied } else { farewells };
    let mut lines = meaningful(log, from, skipped).skip(farewells).peekable();
    let last = *lines.peek()?;
    let is_summary = |at: usize| SUMMARY.is_match(log.text(at)) || wrapper::is_report(log.text(at));
    let mut line = lines.find(|&at| !wrapper::is_shown_command(log.text(at))).unwrap_or(last);
    // A trap of the shell only states which command failed.
    if is_summary(line)
        && let Some(before) = lines.next().filter(|&at| wrapper::is_message_after_name(log.text(at)))
    {
        line = before;
    }
    let text = log.text(line);
    let is_told = noise::level(text) != Some(RecordLevel::Harmless) && !is_summary(line) && !figures::is_figures(text);
    is_told.then(|| introduced(log, line, skipped))
}

/// Returns true if the last meaningful line of a writer, from `from` on, states another error: it does not only state
/// that the program ends, and it shares no word with `known`, the text of an earlier error.
pub(super) fn ends_with_another_error(log: &Log, from: usize, skipped: &[bool], writer: usize, known: &str) -> bool {
    let last = log.lines_of(writer, from).iter().rev().find(|&&at| is_meaningful(log, at, skipped));
    let Some(line) = last.map(|&at| noise::without_progress(log.text(at))) else { return false };
    if !matches!(weight(line), Some(ErrorLineKind::Statement | ErrorLineKind::Words)) {
        return false;
    }
    let (message, known) = (noise::message(line).to_lowercase(), known.to_lowercase());
    let own = own_words(&message);
    own.len() >= WORDS && !own.iter().any(|word| known.contains(word))
}

/// Returns true if the last meaningful line, from `from` on, states something, and neither figures nor only the end.
pub(super) fn ends_with_own_words(log: &Log, from: usize, skipped: &[bool]) -> bool {
    let Some(line) = last_line(log, from, skipped).map(|at| log.text(at)) else { return false };
    let is_own = noise::level(line) != Some(RecordLevel::Harmless) && !figures::is_figures(line);
    is_own && own_words(&noise::message(line).to_lowercase()).len() >= WORDS
}

/// The maximum number of records at the end that only state that the program ends.
const MAX_FAREWELLS: usize = 20;

/// The maximum number of other lines about that.
const MAX_HOUSEKEEPING: usize = 3;

/// Returns true if a record only states that the program ends.
pub(super) fn is_farewell(record: &str) -> bool {
    own_words(&record_message(record).to_lowercase()).is_empty() || wrapper::is_housekeeping(record)
}

/// The minimum number of words with which a line states something new.
const WORDS: usize = 2;

/// Returns the words of a message in lower case with which it states more than that the program ends.
fn own_words(message: &str) -> Vec<&str> {
    let words = message.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 2);
    words.filter(|word| !OF_ENDS.split_ascii_whitespace().any(|stem| word.starts_with(stem))).collect()
}

/// Returns the message of a record, also of one that begins with its level: `INFO:fit:closing`.
fn record_message(record: &str) -> &str {
    static FIELDS: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\W{0,2}[A-Z]{4,8}\W{1,3}(?:[\w.]+: ?)?"));
    let message = noise::message(record);
    FIELDS.find(message).map_or(message, |fields| &message[fields.end()..])
}

/// Returns true if a line below a demand states something, and is neither a record, a summary nor advice.
fn states_something(line: &str) -> bool {
    static ADVISES: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\W*(?:please|see|check|use|try|run|set|read|visit|hint|note|example|e\.g\.|for (?:more|details|help)|add|pass|give)\b",
        )
    });
    let is_plain = !line.starts_with([' ', '\t']) && noise::level(line).is_none() && !is_summary(line);
    is_plain && !ADVISES.is_match(line) && own_words(&line.to_lowercase()).len() >= WORDS
}

/// Returns the index of the last line that does not only state that the program ends: `Exiting now.`
pub(super) fn last_but_farewell(log: &Log, skipped: &[bool]) -> Option<usize> {
    const MAX_WORDS: usize = 4;
    let is_farewell = |at: &usize| {
        let text = log.text(*at).to_lowercase();
        let is_end = ["exit", "abort", "stop", "quit", "terminat", "giving up"].iter().any(|stem| text.contains(stem));
        is_end && text.split_whitespace().count() <= MAX_WORDS && own_words(&text).is_empty()
    };
    let mut lines = meaningful(log, 0, skipped).peekable();
    let last = *lines.peek()?;
    Some(lines.take(MAX_FAREWELLS).find(|at| !is_farewell(at)).unwrap_or(last))
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
pub(super) fn meaningful<'l>(log: &'l Log, from: usize, skipped: &'l [bool]) -> impl Iterator<Item = usize> + 'l {
    (from..log.lines.len()).rev().filter(move |&at| is_meaningful(log, at, skipped))
}

fn is_meaningful(log: &Log, at: usize, skipped: &[bool]) -> bool {
    let text = log.text(at);
    let skipped = text.is_empty() || skipped.get(at).copied().unwrap_or(false);
    !skipped && !noise::is_noise(noise::without_progress(text))
}
