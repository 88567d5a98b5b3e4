//! Errors of runtimes that print a head, a message in or below the head, and calls, each on one line: Crystal, Dart,
//! Erlang, Clojure, SBCL, PowerShell, Kotlin/Native, D and Ada. Valgrind, compute-sanitizer and Go's race detector print
//! their reports in the same way, and the program goes on after them.
//!
//! ```text
//! Unhandled exception:
//! Exception: no rows in the table
//! #0      load (file:///opt/ml/code/fit.dart:3:3)
//! ```
//!
//! ```text
//! ** exception error: no match of right hand side value 3
//!      in function  fit:load/1 (fit.erl, line 7)
//! ```

use std::sync::LazyLock;

use regex::Regex;

use super::cursor::Cursor;
use super::traceback::{Raised, Reading};
use crate::failure::pattern::pattern;
use crate::failure::place::Frame;

/// The form of a runtime's errors.
struct Runtime {
    /// The pattern of the head. It may have the groups `name`, `message`, `path` and `line`.
    head: LazyLock<Regex>,
    /// The pattern of a line below the head. It has the group `message`, or the groups `path`, `line` and `function` of
    /// a call.
    below: LazyLock<Regex>,
}

macro_rules! runtime {
    ($head:expr, $below:expr $(,)?) => {
        Runtime { head: LazyLock::new(|| pattern($head)), below: LazyLock::new(|| pattern($below)) }
    };
}

static RUNTIMES: [Runtime; 9] = [
    // Crystal
    runtime!(
        r"^Unhandled exception(?: in spawn(?:\(.*\))?)?: (?P<message>.*?)(?: \((?P<name>[A-Z][\w:]*)\))?$",
        r"^  from (?P<path>\S+?):(?P<line>\d+):\d+ in '(?P<function>.*)'$",
    ),
    // Dart
    runtime!(
        r"^Unhandled exception:$",
        r"^#\d+ +(?P<function>.*?) \((?:file://)?(?P<path>\S+\.dart):(?P<line>\d+)(?::\d+)?\)$",
    ),
    // Erlang
    runtime!(
        r"^(?:\*\*|escript:) exception (?:error|exit|throw): (?P<message>.*)$",
        r"^ +in (?:function|call from) +(?P<function>\S+)(?: \((?:\./)?(?P<path>[^\s/]\S*\.(?:erl|escript)), line (?P<line>\d+)\))?$",
    ),
    // Clojure
    runtime!(
        r"^(?:Execution|Syntax) error (?:\((?P<name>\S+)\) )?.*\((?P<path>[^\s()]+\.cljc?):(?P<line>\d+)(?::\d+)?\)\.$",
        r"^$|^Full report at:$|^/\S+\.edn$",
    ),
    // SBCL
    runtime!(
        r"^Unhandled (?P<name>[\w:-]+) in thread .*:$",
        r"^$|^Backtrace for: |^\d+: |^unhandled condition in --disable-debugger mode",
    ),
    // PowerShell
    runtime!(
        r"^(?P<name>\w+): (?P<path>\S+\.ps1):(?P<line>\d+)$",
        r"^Line \|$|^ *\d+ \| |^ +\| +~+$|^ +\| +(?P<message>[^\s~].*)$",
    ),
    // Kotlin/Native
    runtime!(
        r"^Uncaught Kotlin exception: (?P<name>[\w.]+)(?:: (?P<message>.*))?$",
        r"^    at \d+ .*kfun:(?P<function>\S+?)(?:\{\})? \+ \d+ \((?P<path>[^\s:()]+):(?P<line>\d+):\d+\)$|^    at \d+ ",
    ),
    // D
    runtime!(
        r"^(?P<name>[\w.]+)@(?P<path>[^\s()]+\.d)\((?P<line>\d+)\): (?P<message>.*)$",
        r"^-+$|^\?\?:\? |^\S+:\d+ .*\[0x[0-9a-f]+\]$",
    ),
    // Ada
    runtime!(
        r"^raised (?P<name>[A-Z_.]+) : (?P<path>[^\s:]+):(?P<line>\d+) (?P<message>.*)$",
        r"^Load address: |^Call stack traceback|^0x[0-9a-f]+"
    ),
];

/// The forms of reports after which the program goes on.
static CHECKERS: [Runtime; 3] = [
    // Valgrind
    runtime!(
        concat!(
            r"^==\d+== (?P<message>(?:Invalid|Conditional jump|Use of uninit|Mismatched free|Source and destination overlap|Syscall param|",
            r"Argument |Jump to the invalid|Possible data race|Stack overflow|Process terminating with|[\d,]+ (?:\(.*\) )?bytes in [\d,]+ blocks are definitely lost).*)$",
        ),
        r"^==\d+==    (?:at|by) 0x[0-9A-F]+: (?P<function>.+?) \((?P<path>[^\s:()]+):(?P<line>\d+)\)$|^==\d+==    (?:at|by) |^==\d+==  (?:Access|Bad|General|Illegal|Integer|Non)[ -]",
    ),
    // compute-sanitizer
    runtime!(
        r"^========= (?P<message>(?:Invalid|Misaligned|Uninitialized|Potential|Race reported|Barrier error|Program hit|Leaked) .*)$",
        r"^=========     at (?P<function>.+?)(?:\+0x[0-9a-f]+)? in (?P<path>[^\s:]+):(?P<line>\d+)(?::\S*)?$|^=========     \S",
    ),
    // Go's race detector
    runtime!(
        r"^WARNING: (?P<message>DATA RACE)$",
        r"^      (?P<path>/\S+\.go):(?P<line>\d+) \+0x[0-9a-f]+$|^(?:Write|Read|Previous \w+) at |^  \S",
    ),
];

/// The functions of the C library with which a program ends itself.
const ENDS: [&str; 5] = ["abort", "raise", "gsignal", "__pthread_kill", "__assert_fail"];

/// The maximum number of lines of an error.
const MAX_LINES: usize = 400;

/// Returns true if a line may be the head of an error.
pub(super) fn begins(line: &str) -> bool {
    const STARTS: [&str; 9] = [
        "Unhandled ",
        "** exception ",
        "escript: exception ",
        "Execution error ",
        "Syntax error ",
        "Uncaught Kotlin ",
        "raised ",
        "==",
        "WARNING: DATA RACE",
    ];
    STARTS.iter().any(|start| line.starts_with(start)) || line.contains(".ps1:") || line.contains(".d(")
}

/// Reads the error at the cursor, and moves the cursor past its calls.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Reading> {
    let line = cursor.line()?;
    let all = || RUNTIMES.iter().map(|runtime| (runtime, false)).chain(CHECKERS.iter().map(|checker| (checker, true)));
    let (runtime, is_of_series, head) =
        all().find_map(|(runtime, is_of_series)| Some((runtime, is_of_series, runtime.head.captures(line)?)))?;
    let group = |found: &regex::Captures<'_>, name: &str| found.name(name).map(|text| text.as_str().to_owned());
    let frame = |found: &regex::Captures<'_>| {
        let (path, line) = (group(found, "path")?, group(found, "line")?);
        // The names of Dart's own libraries and of packages begin with other schemes. Valgrind replaces functions of the
        // C library by its own.
        let is_library = ["dart:", "package:", "vg_replace_"].iter().any(|start| path.starts_with(start))
            || group(found, "function").is_some_and(|name| ENDS.iter().any(|end| name.starts_with(end)));
        Some(Frame { is_library, ..Frame::new(&path, line.parse().unwrap_or(0), group(found, "function")) })
    };
    cursor.at += 1;
    let mut frames: Vec<Frame> = frame(&head).into_iter().collect();
    let mut message: Vec<String> = group(&head, "message").into_iter().collect();
    if message.is_empty() {
        let is_said = |line: &str| !line.is_empty() && !runtime.below.is_match(line);
        message.extend(cursor.take_if(is_said).map(|line| line.trim().to_owned()));
    }
    for _ in 0..MAX_LINES {
        let Some(found) = cursor.line().and_then(|line| runtime.below.captures(line)) else { break };
        frames.extend(frame(&found));
        message.extend(group(&found, "message"));
        cursor.at += 1;
    }
    frames.reverse();
    let name = group(&head, "name").unwrap_or_default();
    let says = !message.is_empty() || !name.is_empty();
    let raised = || Raised { name, message: message.join("\n"), frames, ..Raised::default() };
    says.then(|| Reading { is_of_series, ..Reading::here(vec![raised()]) })
}
