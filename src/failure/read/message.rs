//! The message of a Python exception: its lines, and its end.
//!
//! Python prints a message unchanged, with all its lines, including empty ones, and does not mark its end. A line is
//! part of the message unless it shows that something else begins: another traceback, a log record, a progress bar, a
//! rule, another program. An empty line ends the message unless the text before it or after it shows that the message
//! continues.

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use crate::failure::noise;
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;
use crate::failure::wrapper;

/// The maximum number of lines without indentation in a paragraph of a message. Further lines are other output.
const MAX_LOOSE_LINES: usize = 10;

/// The value of [`MAX_LOOSE_LINES`] for a message that announces more text.
const MAX_TIED_LINES: usize = 40;

/// The maximum number of lines of a message that are kept.
const MAX_LINES: usize = 200;

/// The message of an exception.
#[derive(Debug, Default)]
pub(super) struct MessageText {
    /// The lines of the message, without empty ones.
    pub(super) text: String,
    /// The calls of the user's code that the message contains, the outermost first. `torch.compile` writes them there.
    pub(super) frames: Vec<Frame>,
}

static FRAME: LazyLock<Regex> = LazyLock::new(|| pattern(r#"^\s*File "(.*)", line (\d+)(?:, in (.*))?$"#));
static CHILD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Process (\S+):$"));

/// Lines that begin something else.
static OTHER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^Exception in thread |^Exception ignored |^During handling of the above|^The above exception was|",
        r#"^Error in |^Fatal Python error|^terminate called|^[Uu]sage: |^"""|^Traceback \(most recent|"#,
        // Errors of a shell, of make, and of programs that report about themselves.
        r"^[^\s:]+: (?:line )?\d+: |^g?make(?:\[\d+\])?: |^ninja: |^(?:mpirun|srun|slurmstepd|torchrun|docker|huggingface/tokenizers): ?|",
        // Rules, including those with a title, and boxes.
        r"^[-=_*~#─━═]{5,}|^[╭╰│┌└┏┗+][─━╌-]|",
        // Stack traces of C++.
        r"^Stack trace:|^\s*\[bt\] |^C\+\+ CapturedTraceback|^Exception raised from |^\s*frame #\d+: |",
        r"^For simplicity, JAX has removed|^The stack trace below excludes JAX|^Set (?:the environment variable|TORCHDYNAMO_VERBOSE|JAX_TRACEBACK)|",
        r"^node:[\w/]+:\d+$|^> Task :\S+ |^\[(?:rank|default)\d+\]|^\([\w. ]+ pid=\d+(?:, ip=[\w.:]+)?\) |^\[\d+,\d+\]<std|^\++ (?:\w+=|set [+-]|exit\b|echo )|^Sentry is attempting to send |",
        // Snakemake prints a date before each report.
        r"^\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\]$",
    ))
});

/// Stack traces of Java within a message (pyspark), which are of little use there.
static JAVA_FRAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s+at [\w.$<>/@ -]+\(.*\)$|^\s+\.\.\. \d+ more$"));

/// The node of TensorFlow's graph that failed. The rest of the message names the node in other words.
static NODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s+\[\[(?:\{\{node .*\}\}|[\w./]+)\]\]"));

/// The beginning of the line that gRPC adds to an error of another task of TensorFlow. The name of the task follows.
pub(in crate::failure) const REMOTE_ERROR: &str = "Additional GRPC error information from remote target ";

/// Lines that gRPC adds to an error of another task of TensorFlow. They repeat the error.
static REPEATED: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r#"^(?:{REMOTE_ERROR}/|:(?:UNKNOWN:Error received from peer|\{{"created":"))"#)));

/// The first lines of paragraphs that continue a message after an empty line.
static CONTINUES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:Detected at node|Node: |Call arguments received|Arguments received|from user code:|Original stack trace|",
        r"Original error was|Explanation|Hint: |Failed validating|On instance|Cannot access gated|Access to model|",
        r"Repository Not Found|Entry Not Found|Revision Not Found|Please (?:make sure|either)|If you are trying|",
        r"During: |File .*, line \d+:$|The original error|Caused by|Reason: |Error message: |This happened while|",
        r"-- Process \d+ terminated|Below are more details|Did not show all|Resolved plan until failure|JVM stacktrace|== SQL ==)",
    ))
});

/// First lines without information about the error, which is in the rest of the message.
static EMPTY_TALK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^Graph execution error:?$|^Exception encountered when calling |^An error occurred while (?:generating|calling|executing)|",
        r"\(Request ID: |^Failed in \w+ mode pipeline|^in user code:$|^IMPORTANT: PLEASE READ|^Error in call to target|",
        r"^Error\(s\) in loading|^\d+ validation errors? for |^backend='\w+' raised:$|^Failed to import |^Unable to load|",
        r"^Weights only load failed|^Error building extension '[^']+':$|^Caught \w+ in |^Encountered (?:an )?(?:error|exception)|^(?:Failed|Error)\.?$",
    ))
});

/// Other lines of such a message that contain no information either.
static NO_SUBSTANCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:Detected at node|Node: |\d+ root error|IMPORTANT: PLEASE|Importing the numpy|was unable to|This error can|",
        r"We have compiled|https?://|Please |Arguments received|Call arguments|During: |for many reasons|your installation|",
        r"\(\d+\)\s*$|the following reasons|\[\[|The error occurred while)",
    ))
});

/// The beginnings of lines that repeat the error that such a message is about.
const ORIGINAL: [&str; 2] = ["Original error was", "WeightsUnpickler error: "];

/// A line with the error of a compiler: `main.cpp:2:45: error: …`, `nvcc fatal   : …`.
pub(in crate::failure) const COMPILER_ERROR: &str =
    r"^(?P<text>[^\s:()]+(?::\d+(?::\d+)?|\(\d+\)): (?:fatal )?error: .*|nvcc (?:fatal|error) .*)";

static COMPILER: LazyLock<Regex> = LazyLock::new(|| pattern(COMPILER_ERROR));

/// Returns true if a line begins something that is not part of an exception's message.
pub(super) fn ends(line: &str) -> bool {
    line.contains("Traceback (most recent call last)")
        || OTHER.is_match(line)
        || CHILD.is_match(line)
        || FRAME.is_match(line)
        || noise::is_new_output(line)
        || wrapper::is_report(line)
        || wrapper::is_report_of_recipe(line)
}

/// Reads the message that begins with `first`, from lines that have a margin. `within` removes the margin from a line,
/// and returns `None` if the line does not have it.
pub(super) fn read<'l>(
    cursor: &mut Cursor<'l>,
    first: &str,
    within: impl Fn(&'l str) -> Option<&'l str>,
) -> MessageText {
    let first = first.trim();
    if cursor.is_ignored {
        return MessageText { text: first.to_owned(), frames: Vec::new() };
    }
    let mut lines: Vec<&str> = Vec::new();
    let mut frames = Vec::new();
    let mut goes_on = EMPTY_TALK.is_match(first);
    let line_at = |at: usize| cursor.lines.get(at).copied().and_then(&within);
    let mut at = cursor.at;
    // NLTK prints its message between two rules.
    if first.is_empty() && line_at(at).is_some_and(is_rule_of_stars) {
        at += 1;
    }
    let mut last = first;
    loop {
        let empty = (at..cursor.lines.len()).take_while(|&at| line_at(at) == Some("")).count();
        let Some(next) = line_at(at + empty) else { break };
        if empty > 0 {
            let said_more = last.is_empty() || last.ends_with(':') || CONTINUES.is_match(next);
            goes_on |= said_more && !last.is_empty();
            if !said_more && !goes_on && !next.starts_with([' ', '\t']) {
                break;
            }
        }
        let begin = at + empty;
        let (end, announces) = paragraph(begin, &line_at, last);
        let own: Vec<&str> = (begin..end).filter_map(line_at).collect();
        let is_tied = goes_on || last.is_empty() || CONTINUES.is_match(next);
        let loose = own.iter().filter(|line| !line.starts_with([' ', '\t'])).count();
        let most = if is_tied { MAX_TIED_LINES } else { MAX_LOOSE_LINES };
        let kept = if loose > most { tied(last, &own) } else { own.len() };
        let says = |line: &&&str| {
            !JAVA_FRAME.is_match(line) && !NODE.is_match(line) && !line.contains("For further information visit")
        };
        lines.extend(own[..kept].iter().filter(says));
        last = lines.last().copied().unwrap_or(first);
        goes_on |= first.is_empty() && lines.first().is_some_and(|line| EMPTY_TALK.is_match(line));
        at = if kept > 0 { begin + kept } else { at };
        if kept < own.len() || (end == begin && !announces) {
            break;
        }
        if announces {
            at = frames_at(at, &line_at, announces_own_calls(last).then_some(&mut frames));
            goes_on = true;
            // The announcement has been handled.
            last = "calls";
        } else if line_at(end).is_some_and(|line| !line.is_empty()) {
            break;
        }
    }
    if let Some((frame, end)) = compiled_source(at, &line_at) {
        frames.push(frame);
        at = end;
    }
    let is_repeated = |line: &&str| REPEATED.is_match(line) || NODE.is_match(line);
    let repeated: Vec<&str> = (at..cursor.lines.len()).map_while(&line_at).take_while(is_repeated).collect();
    cursor.at = at + repeated.len();
    lines.extend(repeated.iter().filter(|line| REPEATED.is_match(line)));
    let all = [first].into_iter().chain(lines).filter(|line| !matches!(*line, "" | "from user code:"));
    MessageText { text: all.take(MAX_LINES).collect::<Vec<_>>().join("\n"), frames }
}

/// Reads the source text below a message of TorchScript's compiler, which marks the error in it. Returns the place of the
/// source text, and the index of the line after it.
fn compiled_source<'l>(at: usize, line_at: &impl Fn(usize) -> Option<&'l str>) -> Option<(Frame, usize)> {
    const MAX_SOURCE_LINES: usize = 20;
    let call = FRAME.captures(line_at(at)?).filter(|call| call.get(3).is_none())?;
    let marked =
        (at..at + MAX_SOURCE_LINES).find(|&at| line_at(at).is_some_and(|line| line.ends_with("~ <--- HERE")))?;
    Some((Frame::new(&call[1], call[2].parse().unwrap_or(0), None), marked + 1))
}

fn is_rule_of_stars(line: &str) -> bool {
    line.len() >= 5 && line.bytes().all(|byte| byte == b'*')
}

/// Returns true if a line of a message announces calls of the user's code, as torch.compile and TensorFlow's AutoGraph
/// write them.
fn announces_own_calls(line: &str) -> bool {
    line.ends_with("from user code:")
        || line == "in user code:"
        || line.starts_with("Detected at node ") && line.ends_with("defined at (most recent call last):")
}

/// Returns the end of the paragraph of a message that begins at a line, and true if the paragraph announces calls,
/// which follow it.
fn paragraph<'l>(begin: usize, line_at: &impl Fn(usize) -> Option<&'l str>, before: &'l str) -> (usize, bool) {
    let mut at = begin;
    let mut last = before;
    let mut loose = 0;
    loop {
        if announces_own_calls(last) || last.ends_with("(most recent call last):") {
            return (at, line_at(at).is_some_and(|line| line.is_empty() || FRAME.is_match(line)));
        }
        match line_at(at) {
            Some(line) if !line.is_empty() && (JAVA_FRAME.is_match(line) || !ends(line)) => {
                loose += usize::from(!line.starts_with([' ', '\t']));
                last = line;
            }
            _ => return (at, false),
        }
        at += 1;
        if loose > MAX_TIED_LINES {
            return (at, false);
        }
    }
}

/// Returns the number of lines at the beginning of `lines` that certainly continue a message.
fn tied(before: &str, lines: &[&str]) -> usize {
    let previous = [before].into_iter().chain(lines.iter().copied());
    previous.zip(lines).take_while(|(previous, line)| joins(previous, line)).count()
}

/// Reads the calls at a line of a message, each with its source lines, and adds them to `frames`. Returns the index of
/// the line after them.
fn frames_at<'l>(from: usize, line_at: &impl Fn(usize) -> Option<&'l str>, frames: Option<&mut Vec<Frame>>) -> usize {
    let mut found = Vec::new();
    let mut at = from;
    let mut end = from;
    let mut in_frame = false;
    while let Some(line) = line_at(at) {
        if let Some(call) = FRAME.captures(line) {
            // AutoGraph marks the calls that it converted with a star.
            let function = call.get(3).map(|name| name.as_str().trim_end_matches(['*', ' ']).to_owned());
            found.push(Frame::new(&call[1], call[2].parse().unwrap_or(0), function));
            in_frame = true;
        } else if !(line.is_empty() || in_frame && line.starts_with([' ', '\t'])) {
            break;
        }
        at += 1;
        if !line.is_empty() {
            end = at;
        } else {
            in_frame = false;
        }
    }
    if let Some(frames) = frames {
        frames.extend(found);
    }
    end
}

/// Returns true if a line of a message certainly continues the line before it.
fn joins(before: &str, line: &str) -> bool {
    let before = before.trim_end();
    // Ray describes an actor in lines such as `\tactor_id: 26112883`.
    let is_property =
        line.starts_with('\t') && line.trim_start().split_once(": ").is_some_and(|(name, _)| !name.contains(' '));
    line.starts_with([' ', '\t', ':', ')', ']', '}']) && !is_property
        || before.ends_with([':', ',', '(', '[', '{', '=', '\\'])
        || (before.contains('(') && before.matches('(').count() > before.matches(')').count() && !before.ends_with('.'))
}

/// Returns true if a message contains no information about the error.
pub(super) fn is_uninformative(message: &str) -> bool {
    message.is_empty() || !message.contains('\n') && EMPTY_TALK.is_match(message)
}

/// Divides a message into the lines for a headline and the rest.
///
/// The headline consists of the first line, which is the most informative, and the lines that certainly continue it. If
/// the first line contains no information, the first line that does is added.
pub(super) fn divide(message: &str) -> (String, String) {
    const LONG: usize = 400;
    let lines: Vec<&str> = message.lines().take_while(|line| !REPEATED.is_match(line)).collect();
    let Some((&first, others)) = lines.split_first() else { return Default::default() };
    // The first step of a build is on the line that names its target.
    let step = first.find("': [1/").filter(|_| first.starts_with("Error building extension '"));
    let first = step.map_or(first, |at| &first[..at + 2]);
    // The library Datasets prints the reason last.
    let reason = others.last().filter(|line| first == "Couldn't cast" && line.starts_with("because "));
    if let Some(reason) = reason {
        return (format!("{first} {reason}"), others[..others.len() - 1].join("\n"));
    }
    let mut head = vec![first.trim()];
    let mut length = first.len();
    let mut rest = others;
    let mut before = first;
    if EMPTY_TALK.is_match(first) {
        let is_original = |line: &&str| ORIGINAL.iter().any(|start| line.trim_start().starts_with(start));
        let original =
            others.iter().position(is_original).or_else(|| others.iter().position(|line| COMPILER.is_match(line)));
        let substance = |line: &&str| !NO_SUBSTANCE.is_match(line.trim());
        if let Some(at) = original.or_else(|| others.iter().position(substance)) {
            before = others[at];
            let line = before.trim();
            head.push(line.strip_prefix("(0) ").unwrap_or(line).trim());
            length += line.len();
            // The lines before it contain no information.
            rest = &others[at + 1..];
        }
    }
    while let Some((&line, after)) = rest.split_first() {
        if length > LONG || !joins(before, line) || COMPILER.is_match(before) {
            break;
        }
        head.push(line.trim());
        length += line.len();
        before = line;
        rest = after;
    }
    (head.join("\n"), rest.join("\n"))
}
