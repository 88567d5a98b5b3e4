//! What programs write that is no error: progress bars, rules, warnings, log records, the frame of a launcher's report.

use std::sync::LazyLock;

use regex::Regex;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

/// Progress bars of tqdm, pip, rich, Keras, apt.
static PROGRESS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\d+%\||\d(?:\.\d+)?\s?(?:it|s|B|kB|MB|GB|samples|examples)/s\b|\ds/(?:it|step)\b|━━|\d+/\d+ \[[=>.]+\]|^\s*\d{1,3}%\s*$",
    )
});

/// `file.py:3: UserWarning: …` of Python's warnings module, and the source line below it.
static WARNING: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\S.*:\d+: \w*Warning: |^\w*Warning: |^\s*warnings?\.warn\(|^\s+warn\("));

/// The level of a log record, where loggers put it: among the first fields of a line, set off from them.
static LEVEL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:.{0,80}?[\s\[(|:,-])?(?P<level>DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL|EXCEPTION)(?:[\s\]):|,-]|$)",
    )
});

/// The first letter and date of Google's logging library: `E0314 12:00:00.000000 …`, as torch and TensorFlow write it.
static GLOG: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\[?(?P<letter>[IWEF])\d{4} \d\d:\d\d:\d\d"));

/// A date and time in front.
static DATED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\W?\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d"));

/// Lines of launchers about processes that failed: they say that, not why.
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
        r"\[launch\.py:\d+:|exits with return code|Sending process \d+ closing signal",
    ))
});

/// What Open MPI frames its messages with.
const MPI_RULE: &str = "--------------------------------------------------------------------------";

/// Lines of services about themselves, stack frames of C++, Java and the interpreter, and what it says it ignored.
static SERVICE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:wandb|neptune|comet_ml|mlflow|COMET \w+): |^frame #\d+: |^Exception ignored |^\s+at \S+ ?\(.*\)$|",
        r#"^Fatal Python error: |^\w.*\(most recent call first\):$|^Extension modules: |^\s+File ".*", line \d+"#,
    ))
});

/// How grave the writer of a log record found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Debug, info, notice, warning.
    Harmless,
    /// Error and above.
    Error,
}

/// The level of a log record; none if the line is not one.
pub(super) fn level(line: &str) -> Option<Level> {
    if let Some(found) = GLOG.captures(line) {
        return Some(if matches!(&found["letter"], "I" | "W") { Level::Harmless } else { Level::Error });
    }
    let found = LEVEL.captures(line)?;
    Some(match &found["level"] {
        "ERROR" | "CRITICAL" | "FATAL" | "EXCEPTION" => Level::Error,
        _ => Level::Harmless,
    })
}

/// Whether a line says nothing about a failure, whatever words it holds.
pub(super) fn is_noise(line: &str) -> bool {
    !line.contains(char::is_alphanumeric)
        || PROGRESS.is_match(line)
        || WARNING.is_match(line)
        || SERVICE.is_match(line)
        || is_launchers(line)
}

/// Whether a line is part of what a launcher says of processes that failed.
pub(super) fn is_launchers(line: &str) -> bool {
    LAUNCHER.is_match(line)
}

/// Whether a line is clearly a new piece of output, and so ends a message of several lines.
pub(super) fn is_new_output(line: &str) -> bool {
    line == MPI_RULE
        || DATED.is_match(line)
        || GLOG.is_match(line)
        || PROGRESS.is_match(line)
        || WARNING.is_match(line)
        || SERVICE.is_match(line)
        || LEVEL.captures(line).is_some_and(|found| found.name("level").is_some_and(|level| level.start() <= 1))
}

/// `line` without a progress bar in front, which had not ended its line. The indentation of other lines stays.
pub(super) fn without_progress(line: &str) -> &str {
    static BAR: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^.{0,200}?\d+%\|[^|]{0,200}\| *[^\[\]]{0,60}\[[^\]]{0,80}\]"));
    BAR.find(line).map_or(line, |bar| &line[bar.end()..])
}

#[cfg(test)]
mod tests {
    use super::{Level, is_new_output, is_noise, level, without_progress};

    #[test]
    fn progress_rules_warnings_and_launchers_are_noise() {
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
        ] {
            assert!(is_noise(line), "{line}");
        }
        for line in ["bad data", "ls: cannot access 'x'", "loss is 5% too high", "ValueError: 3 items/sec"] {
            assert!(!is_noise(line), "{line}");
        }
    }

    #[test]
    fn log_records_have_a_level() {
        for (line, expected) in [
            ("INFO:root:done", Some(Level::Harmless)),
            ("2024-03-14 12:00:00,123 - train - WARNING - slow", Some(Level::Harmless)),
            ("[2024-03-14 12:00:00] [ERROR] bad", Some(Level::Error)),
            ("CRITICAL bad", Some(Level::Error)),
            ("E0314 12:00:00.000000 71 file.cc:3] bad", Some(Level::Error)),
            ("please set INFORMATION", None),
            ("ERRORS were found", None),
            ("bad", None),
        ] {
            assert_eq!(level(line), expected, "{line}");
        }
    }

    #[test]
    fn a_new_record_is_told_from_a_messages_next_line() {
        for line in ["2024-03-14 12:00:00 x", "[2024-03-14T12:00:00] x", "ERROR:root:x", "[INFO] x", "wandb: x"] {
            assert!(is_new_output(line), "{line}");
        }
        for line in ["CUDA kernel errors might be reported later", "  Field required", "got ERROR: x", "size 3"] {
            assert!(!is_new_output(line), "{line}");
        }
    }

    #[test]
    fn a_bar_in_front_of_a_message_goes() {
        assert_eq!(without_progress(" 50%|##   | 5/10 [00:01<00:01, 4it/s]bad data"), "bad data");
        assert_eq!(without_progress("bad data"), "bad data");
    }
}
