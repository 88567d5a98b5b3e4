//! Output that is not an error: progress bars, rules, warnings, log records, and the frame of a launcher's report.

use std::sync::LazyLock;

use super::words::has_words_of_error;
use crate::failure::pattern::pattern;
use regex::Regex;

/// Progress bars of tqdm, pip, rich, Keras, apt.
static PROGRESS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\d+%\||\d(?:\.\d+)?\s?(?:it|s|B|kB|MB|GB|samples|examples)/s\b|\ds/(?:it|step)\b|━━|\d+/\d+ \[[=>.]+\]|^\s*\d{1,3}%\s*$",
    )
});

/// Warnings of Python's warnings module, `file.py:3: UserWarning: …`, and the source line below them.
static WARNING: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\S.*:\d+: \w*Warning: |^\w*Warning: |^\s*warnings?\.warn\(|^\s+(?:self\.)?_?warn\("));

/// The level of a log record in the position where loggers write it: among the first fields of a line, with a separator
/// on both sides.
static LEVEL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"^(?:.{0,80}?[\s\[(|:,"-])?(?P<level>DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL|EXCEPTION)(?:[\s\]):|,"-]|$)|"#,
        r"^.{0,80}?(?:\[|\blevel=)(?P<lower>debug|info|notice|warning|warn|error|critical|fatal|exception|panic)\s*(?:\]|\s|$)|",
        r"^\S*\d\d?:\d\d\S* (?P<short>DBG|INF|WRN|ERR|FTL|PNC) ",
    ))
});

/// The first letter and the date of a log record. Google's logging library, which torch and TensorFlow use, and
/// Tornado's, which Jupyter and Optuna use, write this form: `E0314 12:00:00.000000 …`,
/// `2024-03-14 12:00:00.000000: E …`, `[E 2024-03-14 12:00:00,000 …`.
static GLOG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\[?(?P<letter>[DIWEFC])(?:\d{3,4}|\d{8}| \d{6}| \d{4}-\d\d-\d\d) \d\d:\d\d:\d\d|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+:? (?P<late>[IWEF]) ",
    )
});

/// A date and time, or a time, at the start of a line.
static DATED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^\W?(?:\d{4}[-/](?:\d\d|[A-Z][a-z]{2})[-/]\d\d[ T]\d\d?:\d\d(?::\d\d)?(?:[.,]\d+)?|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|",
        r"\d\d/\d\d(?:/\d{2,4})? \d\d:\d\d:\d\d(?:[.,]\d+)?|\d\d:\d\d:\d\d(?:[.,]\d+)?)(?:Z|[+-]\d\d:?\d\d)?\b",
    ))
});

/// Advice and remarks that programs print below an error and that do not state it.
static ADVICE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^Set the environment variable HYDRA_FULL_ERROR|^Error executing job with overrides: |^Set TORCHDYNAMO_VERBOSE|^You can suppress this exception|",
        r"^Try '.*' for (?:help|more)|^For more (?:information|details|help)|^(?:Use|Run|See|Refer|Check out) \W?(?:--|`|'|https?://|with )|",
        r"^note: (?:run with|Some details are omitted|This (?:error|is an issue))|^hint: See above|^\(Use `node|^Node\.js v\d|^Bun v\d|",
        r"^Execution halted|^Calls: |^Pass --helpshort|^curl failed to verify|^establish a secure connection to it|^how to fix it, please|^More details here: |^Please make sure you have the correct|^and the repository exists|^Backtrace omitted|^Run with RUST_BACKTRACE|^BUILD FAILED in |^\d+ actionable tasks?:|",
        r"^> (?:Run with|Get more help|Task :\S+ FAILED$)|^\* Try:$|^FAILURE: Build failed with an exception|^npm (?:ERR!|error) +(?:in workspace|at location)|",
        r"^\[ERROR\] (?:\[Help \d+\] |-> \[Help|To see the full stack|Re-run Maven|For more information|After correcting)|^\[ERROR\]$|",
        r"^\S+:\d+(?::\d+)?: (?:note|remark): |^\S+:(?:\d+:\d+:)? +required (?:from|by)|^In file included from |^\s+from \S+:\d+[,:]|",
        r"^\s*\d+ +0x[0-9a-f]{6,} |^PC: @ |^\[\S+:\d+\] (?:\*\*\* End of error|\[ ?\d+\] )|^GPU core dump failed|^-- Configuring incomplete|^Crash dump (?:is being|was) written|^[Ss]tack backtrace:$|",
        r"^\s+at /?\S+:\d+(?::\d+)?$|^\s+thrown in \S+ on line \d+$|^\s+\d+: \S.*::|^\s*\d+: _?(?:main|start|rust_begin_unwind|__libc_start_main\S*)$|",
        r"is not going to be frozen|^help: |^In addition: Warning|Unable to register cu\w+ factory|",
        r"^\s*\d* \| |^\d+ (?:failed|passed|errors?)\b.* in [\d.]+s|^FAILED \(|^Ran \d+ tests? in|^exit status \d+$|",
        r"^\s+(?:code|errno|syscall|path|requireStack|generatedMessage): |^\s*\d+: 0x[0-9a-f]+ |^\s+@ +(?:0x[0-9a-f]+|\(nil\))|^\*\*\* Check failure|",
        r#"^\s+\S+\(.*\) called at \S+ line \d+|(?:ExecuteUserScript|InstallRequirements|InstallModule)Error:?$|^ExitCode \d+$|^ErrorMessage ""$|^Command "[^"]*"$|"#,
        r"sagemaker-training-toolkit (?:ERROR|INFO) +(?:Encountered|Reporting|Invoking|Waiting|Done|Command)|",
        r"^\[notice\]|^huggingface/tokenizers: |^To disable this warning|^\s+- (?:Avoid using `tokenizers|Explicitly set the env)|^Std(?:out|err): already printed$|^Command: ['`]|",
        r"^npm (?:notice|(?:ERR!|error) A complete log)|^Debug (?:log|info)|^A complete log of this run|^Press any key|",
        r"^BEGIN failed--compilation aborted|^==\d+==(?:ABORTING| )|^==\d+==$|^=========(?: |$)|^make(?:\[\d+\])?: (?:Entering|Leaving) directory|^Script (?:started|done)\b|^SUMMARY: \w+Sanitizer|^Please (?:report|file|include (?:a|all|any|the|this|your))\b|",
        r"^Sentry is attempting to send|^  [A-Z][a-z][\w .'-]+: {2,}(?:[0-9a-f]{2} ?)+$|^\[(?:New LWP \d+|Inferior \d+ \(|Thread debugging using )|^Using host libthread_db|^0x[0-9a-f]+ in \S+ \(.*\) from |^Error Message Summary:$|^Waiting up to \d+ seconds$|^Press Ctrl-|^Pass --help|^\s+available (?:values|commands|groups|indices): |",
        r"^\s*[~^]+ <--- HERE$|^npm (?:ERR!|error) +(?:To see a list of scripts|npm run)\b|",
        r"^\S+ \S+ INFO (?:exited|gave up|spawned|success|stopped|reaped): \S+ |",
        r"^[\d.]+user [\d.]+system |^\d+inputs\+\d+outputs |^(?:real|user|sys)\s+(?:\d+m)?[\d.]+s?$|^info Visit https://yarnpkg|",
        r"^\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\]$|^Complete log: |^sudo: If sudo is running in a container|",
        r"^Error termination\. Backtrace:$|^#\d+ +0x[0-9a-f]+ |^error: called from$|",
        r"^For detailed information|^FAILED \S+::|^ERROR \S+\.py(?:::\S+)?(?: - [A-Z]\w+: .*)?$|^For simplicity, JAX has removed|^The above error|^If you believe this is|^Stack trace:|^\s*\[bt\] ",
    ))
});

/// Lines of such a form that are not an error unless they state one: a title, advice, a state.
static UNLESS_STATED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^=+ .* =+$|^!+ .* !+$|^Shutting down"));

/// A title, or a rate, that states an error: `=== FATAL: no rows ===`, `error: only 3 it/s`.
static STATED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\W*(?i:fatal error|fatal|error|critical)(?:\[\w+\])?: *\w"));

/// Lines of launchers about processes that failed, without the reason.
static LAUNCHER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"torch/distributed/(?:elastic|run|launcher)|torch\.distributed\.(?:elastic|run)\b|local_rank: \d+ \(pid: |",
        r"^Setting OMP_NUM_THREADS|^\s*<NO_OTHER_FAILURES>|^(?:Failures|Root Cause \(first observed failure\)):|",
        r"^\s*\[\d+\]:$|^\s+(?:time|host|rank|exitcode|error_file|traceback) *: |^\S+ FAILED$|",
        r"^Primary job  ?terminated normally|^a non-zero exit code\. Per user-direction|^(?:mpirun|prterun) detected that|",
        r"^the job to be terminated\. The first|^\s*Process name: \[|^\s*Exit code: +\d+$|",
        r"^(?:mpirun|prterun) (?:noticed that|has exited due to) process rank|^\S*\s?signal \d+ \([A-Z][^)]*\)\.$|",
        r#"^"abort"\. This may have caused|^terminated by signals sent by (?:mpirun|prterun)|"#,
        r"^MPI_ABORT was invoked on rank|^with errorcode \d+\.$|",
        r"^NOTE: invoking MPI_ABORT|^You may or may not see output|^exactly when Open MPI kills them|",
        r"^srun: (?:error: \S+: tasks? |Terminating|Job step aborted)|^Process \d+ exit with status code|^Terminating remaining workers|",
        r"^=   (?:BAD TERMINATION OF|PID \d|CLEANING UP REMAINING|YOU CAN IGNORE THE)|^Please see the FAQ page|",
        r"^This typically refers to a problem with your application|\[launch\.py:\d+:|exits with return code|Sending process \d+ closing signal",
    ))
});

/// The line above and below each message of Open MPI.
const MPI_RULE: &str = "--------------------------------------------------------------------------";

/// Lines of services about themselves, stack frames of C++, Java and the interpreter, and exceptions that the
/// interpreter ignored.
static SERVICE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:wandb|neptune|comet_ml|mlflow|COMET \w+):(?: |$)|^\W{0,4}View (?:run|experiment|project|sweep)\b.* at:? |^frame #\d+: |^Exception ignored |^\s+at \S+ ?\(.*\)(?: \{)?$|",
        r"^Unclosed c(?:lient session|onnect(?:ion|or))$|^(?:client_session|connect(?:ions?|or)|task|future): [<\[]|^Task was destroyed but|^Generating '\S+\.qdstrm'|^(?:Task|Future) exception was never|",
        r#"^Fatal Python error: |^Python runtime state: |^  <no Python frame>$|^\w.*\(most recent call first\):$|^Extension modules: |^\s+File ".*", line \d+"#,
    ))
});

/// The severity of a log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordLevel {
    /// Debug, info, notice or warning.
    Harmless,
    /// Error or above.
    Error,
}

/// Returns the level of a log record. `None` if the line is not a log record.
pub(super) fn level(line: &str) -> Option<RecordLevel> {
    // Most lines are no records, and a search for the parts of a match costs more than a search for a match.
    let first = line.bytes().next()?;
    let may_be_glog = first.is_ascii_digit() || b"[DIWEFC".contains(&first);
    if may_be_glog && let Some(found) = GLOG.captures(line) {
        let letter = found.name("letter").or(found.name("late")).map_or("", |letter| letter.as_str());
        return Some(if matches!(letter, "D" | "I" | "W") { RecordLevel::Harmless } else { RecordLevel::Error });
    }
    if !LEVEL.is_match(line) {
        return None;
    }
    let found = LEVEL.captures(line)?;
    let word = found.name("level").or(found.name("lower")).or(found.name("short"))?;
    let level = word.as_str();
    if word.start() > 0
        && matches!(level, "DEBUG" | "INFO" | "NOTICE" | "WARNING" | "WARN")
        && is_sentence(&line[..word.start()])
    {
        return None;
    }
    Some(match level.to_uppercase().as_str() {
        "ERROR" | "CRITICAL" | "FATAL" | "EXCEPTION" | "PANIC" | "ERR" | "FTL" | "PNC" => RecordLevel::Error,
        _ => RecordLevel::Harmless,
    })
}

/// Returns true if the text before a word that looks like a level is the beginning of a sentence, as in `Error: INFO is
/// missing`. Before a level, a logger writes only a date and names.
fn is_sentence(before: &str) -> bool {
    static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            r"^\W*(?i:fatal error|error|fatal|failed|failure|cannot|could|can't|unable|invalid|missing|unknown|unsupported|unexpected|bad|no)\b|",
            r"\b[A-Z]\w*(?:Error|Exception): |(?:^|\s)(?:the|an?|of|to|is|are|be|must|not|no|for|with|has|have|and|or|expected|got|missing) +\W?$|",
            r"(?:^|\s)[a-z]+ [a-z]+ [a-z]+ +\W?$|\b(?:the|must|cannot|has no|is not|one of|instead of)\b",
        ))
    });
    SENTENCE.is_match(before)
}

/// Returns true for a log record that reports no error: a record of level debug, info or warning.
pub fn is_harmless_record(line: &str) -> bool {
    level(line) == Some(RecordLevel::Harmless)
}

/// Returns true for a line in which a program states that it cannot continue: `FATAL: …`, or a record of level
/// critical.
pub(super) fn is_fatal(line: &str) -> bool {
    static FATAL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^(?:.{0,80}?[\s\[(|:,-])?(?:FATAL|CRITICAL|PANIC)(?:[\s\]):|,-]|$)|^(?:[Ff]atal|panic)(?: error)?: ")
    });
    FATAL.is_match(line)
}

/// Returns the message of a log record that begins with a date or a time, without the date, the time, the level and the
/// logger. Returns other lines unchanged.
pub(super) fn message(line: &str) -> &str {
    /// The fields between the level and the message: a thread, a logger, a place.
    static FIELDS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^(?:\[[^\]]*\] ?)?(?:[A-Za-z_<$/][\w.:<>$/-]*(?:\(\))?(?: - |: |\] )| - )?(?:- )?|^\S*\] ")
    });
    let glog = GLOG.find(line).and_then(|found| Some(found.end() + line[found.end()..].find("] ")? + 2));
    let levelled = || {
        let found = LEVEL.captures(line)?;
        Some(found.name("level").or(found.name("lower")).or(found.name("short"))?.end())
    };
    let dated = || {
        let date = DATED.find(line)?;
        let level = levelled().filter(|level| *level > date.end());
        // Go's logger writes no fields: `2024/03/14 12:00:00 load: no such file`.
        Some((level.unwrap_or(date.end()), level.is_some() || !date.as_str().contains('/')))
    };
    let Some((end, has_fields)) = glog.map(|end| (end, false)).or_else(dated) else { return line };
    let rest = line[end..].trim_start_matches([' ', '\t', ']', ')', ':', '|', ',', '-']);
    // wget prints a status: `2026-11-28 10:00:01 ERROR 404: Not Found.`
    let is_status = rest.split_once(':').is_some_and(|(code, _)| code.len() == 3 && code.parse::<u16>().is_ok());
    if let Some(at) = line[..end].rfind("ERROR").filter(|_| is_status) {
        return line[at..].trim();
    }
    let fields = FIELDS.find(rest).filter(|found| has_fields && !names_subject(found.as_str()));
    let fields = fields.map_or(0, |found| found.end());
    let text = rest[fields..].trim();
    if text.is_empty() { line } else { text }
}

/// Returns true if the words that look like the fields of a record belong to its message: they name a file, an exception
/// or another subject of the error. If in doubt, they do.
fn names_subject(fields: &str) -> bool {
    /// The place of a call, or the name of a logger: a module of Python, or a class of Java.
    static LOGGER: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:[\w./-]+\.(?:py|go|java|scala|cc|cpp):\d+|__\w+__|[a-z_]+|(?:[a-z_]\w*\.){2,}\w+|\w+(?:::?\w+)+|\w+(?:\.\w+)+:\w+)$",
        )
    });
    static EXCEPTION: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:Error|Exception|Warning|Exit|Interrupt)$"));
    let fields = fields.trim_end();
    if fields.starts_with("[Errno ") || fields.starts_with("[WinError ") {
        return true;
    }
    let word = fields.rsplit_once("] ").map_or(fields, |(_, word)| word);
    match (word.strip_suffix(':'), word.strip_suffix(" -")) {
        (Some(word), _) => !LOGGER.is_match(word) || EXCEPTION.is_match(word),
        (None, Some(word)) => !LOGGER.is_match(word) && (word.contains('/') || EXCEPTION.is_match(word)),
        (None, None) => false,
    }
}

/// Returns true if a line contains no information about a failure, whatever words it contains.
pub(super) fn is_noise(line: &str) -> bool {
    !line.contains(char::is_alphanumeric)
        || is_progress(line) && (is_bar(line) || !STATED.is_match(line))
        || has_form_of_other(line) && !states_beside_form(line)
        || WARNING.is_match(line)
        || SERVICE.is_match(line)
        || ADVICE.is_match(line)
        || is_launchers(line)
}

/// Returns true for a title, advice or a state.
fn has_form_of_other(line: &str) -> bool {
    line.ends_with(" --help") || line.starts_with(['=', '!', 'S']) && UNLESS_STATED.is_match(line)
}

/// Returns true if a title, advice or a state also states an error.
fn states_beside_form(line: &str) -> bool {
    STATED.is_match(line) || !line.starts_with(['=', '!']) && has_words_of_error(line)
}

/// Returns true for a line with a rate or a progress bar.
fn is_progress(line: &str) -> bool {
    PROGRESS.is_match(line)
}

/// Returns true for a progress bar.
pub(super) fn is_bar(line: &str) -> bool {
    line.contains("%|") || line.contains("━━") || line.contains("[=") || line.contains("[>")
}

/// Returns true for a line with a rate, or one that a service wrote about itself. Only if there is no other line can it
/// be the error.
pub(super) fn is_rate_or_of_service(line: &str) -> bool {
    static OF_SERVICE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:wandb|neptune|comet_ml|mlflow|COMET \w+): |^\s*\d* \| "));
    is_progress(line) && !is_bar(line) || OF_SERVICE.is_match(line)
}

/// The minimum number of lines with which a program reports its progress.
pub(super) const STEPS: usize = 5;

/// Returns true for a line that reports the progress of a training.
pub(super) fn is_step(line: &str) -> bool {
    static STEP: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?i)\b(?:epoch|steps?|iter|iterations?|batch|loss|lr|it/s)\b"));
    STEP.is_match(line)
}

/// Returns true for an error that scripts ignore when they look at the machine, the source folder or the terminal, or
/// clean up. The program goes on after it.
pub(super) fn is_ignored_by_most(line: &str) -> bool {
    static IGNORED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            r"^fatal: not a git repository|\b(?:nvidia-smi|rocm-smi|neuron-ls|hostname|lspci|lsb_release|ifconfig|ip|clear|git): (?:command )?not found$|",
            r"^(?:mesg|stty|tput|reset): |^perl: warning: |^rm: cannot remove |^mkdir: cannot create directory .*: File exists$|^(?:pkill|kill|killall|fuser): |",
            r"failed call to cuInit|^Could not find (?:cuda drivers|TensorRT)|^Failed to detect the name of this notebook|",
            r"^ERROR: ld\.so: object .*: ignored\.$|^ERROR: pip's dependency resolver does not currently|^\S+ \S+ requires \S+.*, but you have |\boptional (?:module|package|dependency)\b",
        ))
    });
    IGNORED.is_match(line)
}

/// Returns true if a line is part of a launcher's report about processes that failed.
pub(super) fn is_launchers(line: &str) -> bool {
    LAUNCHER.is_match(line) && !line.contains("No module named ")
}

/// Returns true if a line clearly begins new output, which ends a message of several lines.
pub(super) fn is_new_output(line: &str) -> bool {
    line == MPI_RULE
        || DATED.is_match(line)
        || GLOG.is_match(line)
        || PROGRESS.is_match(line)
        || WARNING.is_match(line)
        || SERVICE.is_match(line)
        || LEVEL.captures(line).is_some_and(|found| found.name("level").is_some_and(|level| level.start() <= 1))
}

/// Returns `line` without a progress bar that precedes the line's text because the bar did not end its own line. Other
/// lines keep their indentation.
pub(super) fn without_progress(line: &str) -> &str {
    static BAR: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^.{0,200}?\d+%\|[^|]{0,200}\| *[^\[\]]{0,60}\[[^\]]{0,80}\]"));
    if !line.contains("%|") {
        return line;
    }
    BAR.find(line).map_or(line, |bar| &line[bar.end()..])
}

#[cfg(test)]
mod tests {
    use super::{RecordLevel, is_new_output, is_noise, level, message, without_progress};

    #[test]
    fn progress_bars_rules_warnings_and_launchers_are_noise() {
        for line in [
            "",
            "======",
            "|####    |",
            " 45%|████▌     | 45/100 [00:01<00:01, 43.10it/s]",
            "Epoch 1:  45%|████▌     | 45/100 [00:01<00:01, 1.10s/it, loss=0.3]",
            "   ━━━━━━━━━━ 1.2/3.4 MB 5.6 MB/s eta 0:00:01",
            "120/938 [==>...........................] - ETA: 2s",
            "/opt/ml/code/train.py:3: UserWarning: an error may follow",
            "  warnings.warn(\"an error may follow\")",
            "E0314 12:00:00.000000 71 torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: 1)",
            "  error_file: <N/A>",
            "Primary job  terminated normally, but 1 process returned",
            "a non-zero exit code. Per user-direction, the job has been aborted.",
            "the job to be terminated. The first process to do so was:",
            "prterun has exited due to process rank 3 with PID 29 on node algo-2 calling",
            "\"abort\". This may have caused other processes in the application to be",
            "terminated by signals sent by prterun (as reported here).",
            "signal 9 (Killed).",
            "wandb: ERROR could not sync",
            "Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.",
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
            "Node.js v20.20.2",
            "Execution halted",
            "  Right alloca redzone:    cb",
        ] {
            assert!(is_noise(line), "{line}");
        }
        for line in ["bad data", "ls: cannot access 'x'", "loss is 5% too high", "ValueError: 3 items/sec"] {
            assert!(!is_noise(line), "{line}");
        }
    }

    #[test]
    fn a_log_record_has_a_level_and_other_lines_have_none() {
        for (line, expected) in [
            ("INFO:root:done", Some(RecordLevel::Harmless)),
            ("2024-03-14 12:00:00,123 - train - WARNING - slow", Some(RecordLevel::Harmless)),
            ("[2024-03-14 12:00:00] [ERROR] bad", Some(RecordLevel::Error)),
            ("CRITICAL bad", Some(RecordLevel::Error)),
            ("E0314 12:00:00.000000 71 file.cc:3] bad", Some(RecordLevel::Error)),
            ("[W527 04:11:09.270 ProcessGroupNCCL.cpp:1496] Warning: x", Some(RecordLevel::Harmless)),
            ("2024-07-30 10:00:00.1 E external/xla/cuda_dnn.cc:407] bad", Some(RecordLevel::Error)),
            ("2026-11-28 05:54:47 [error    ] fit failed   lr=3", Some(RecordLevel::Error)),
            ("time=x level=info msg=failed", Some(RecordLevel::Harmless)),
            ("3:04PM ERR no data", Some(RecordLevel::Error)),
            ("[I 2026-03-04 05:06:07,008 fit] failed trials: 0", Some(RecordLevel::Harmless)),
            ("[E 260304 05:06:07 app:71] no data", Some(RecordLevel::Error)),
            ("[E] no data", None),
            ("please set INFORMATION", None),
            ("ERRORS were found", None),
            ("bad", None),
        ] {
            assert_eq!(level(line), expected, "{line}");
        }
    }

    #[test]
    fn a_new_record_is_distinguished_from_the_next_line_of_a_message() {
        for line in ["2024-03-14 12:00:00 x", "[2024-03-14T12:00:00] x", "ERROR:root:x", "[INFO] x", "wandb: x"] {
            assert!(is_new_output(line), "{line}");
        }
        for line in ["CUDA kernel errors might be reported later", "  Field required", "got ERROR: x", "size 3"] {
            assert!(!is_new_output(line), "{line}");
        }
    }

    #[test]
    fn a_progress_bar_before_a_message_is_removed() {
        assert_eq!(without_progress(" 50%|##   | 5/10 [00:01<00:01, 4it/s]bad data"), "bad data");
        assert_eq!(without_progress("bad data"), "bad data");
    }

    #[test]
    fn the_fields_before_the_message_of_a_dated_record_are_removed() {
        for line in [
            "2024-03-14 12:00:00,123 - train - ERROR - no data in x: 3",
            "2026-01-02 03:04:05,106 ERROR [main] com.acme.Train - no data in x: 3",
            "[2026-11-28 05:54:47,725][train][CRITICAL] - no data in x: 3",
            "2026-11-28 05:54:47.229 | ERROR    | __main__:<module>:8 - no data in x: 3",
            "2024/01/01 12:00:00 no data in x: 3",
            "F0314 12:00:00.000000 71 file.cc:3] no data in x: 3",
            "2024-01-01T00:00:00Z [error    ] no data in x: 3",
            "[E 2026-03-04 05:06:07,008 fit] no data in x: 3",
        ] {
            assert_eq!(message(line), "no data in x: 3", "{line}");
        }
        for line in ["no data in x: 3", "ERROR:root:no data", "2024-03-14 12:00:00"] {
            assert_eq!(message(line), line);
        }
    }
}
