//! Tracebacks whose lines all have a prefix of another program.

use super::forms::{told, told_with};
use super::{evidence, text};
use crate::event::Ending;
use crate::failure::cause;

/// Returns a traceback with `prefix` before each line. Its last line is `error`.
fn prefixed(prefix: &str, error: &str) -> String {
    let lines = [
        "Traceback (most recent call last):",
        "  File \"/opt/ml/code/train.py\", line 7, in <module>",
        "    fit()",
        error,
    ];
    lines.map(|line| format!("{prefix}{line}\n")).concat()
}

#[test]
fn a_prefix_before_each_line_of_a_traceback_is_removed() {
    for prefix in [
        "trainer-1  | ",
        "worker-0: ",
        "(RolloutWorker pid=71, ip=10.0.0.3) ",
        "Nov 28 10:00:00 ",
        "2026-11-28T10:00:00.123456Z ",
        "[2026-11-28 10:00:00,123] {runner.py:93} ",
        "10:00:00 web.1  | ",
        "\x1b[36m(RolloutWorker pid=71)\x1b[0m ",
    ] {
        told(&prefixed(prefix, "KeyError: 'depth'"), &["KeyError: 'depth'", "at train.py:7"]);
    }
}

#[test]
fn a_prefix_before_each_line_of_an_exception_of_java_is_removed() {
    for prefix in ["[error] ", "worker-0: ", "trainer-1  | "] {
        let lines = [
            "Exception in thread \"main\" java.lang.RuntimeException: no rows",
            "\tat Fit$.load(Fit.scala:4)",
            "\tat Fit.main(Fit.scala)",
        ];
        let stderr = lines.map(|line| format!("{prefix}{line}\n")).concat();
        told(&stderr, &["java.lang.RuntimeException: no rows", "at Fit.scala:4 in Fit$.load"]);
    }
}

#[test]
fn a_traceback_that_is_logged_line_by_line_counts_if_nothing_else_failed() {
    let logged = prefixed("ERROR 11-28 10:00:00 [core.py:70] ", "ValueError: the cache has 0 blocks");
    let engine = format!(
        "INFO 11-28 09:59:59 [core.py:12] starting\nERROR 11-28 10:00:00 [core.py:69] the engine failed\n{logged}"
    );
    told(&engine, &["ValueError: the cache has 0 blocks", "at train.py:7"]);
    // The driver reports that the cause is above.
    let driver = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 20, in <module>\n    engine()\nRuntimeError: the engine did not start. See the root cause above.\n";
    told(
        &format!("{engine}{driver}"),
        &[
            "ValueError: the cache has 0 blocks",
            "at train.py:7",
            "passed on as: RuntimeError: the engine did not start. See the root cause above. (at train.py:20)",
        ],
    );
    // The exception was caught, and another error ended the program.
    let other = driver.replace("the engine did not start. See the root cause above.", "no rows");
    told(&format!("{engine}{other}"), &["RuntimeError: no rows", "at train.py:20"]);
}

#[test]
fn the_ranks_of_labelled_lines_are_told_apart() {
    let told_of = |stderr: &str| text(&cause(&evidence(Ending::Exited(1), stderr)));
    // The output of `srun --label`, with torch's own prefix inside its prefix.
    let [ours, others] = [
        ("12: [rank12]: ", "ValueError: 3 rows, 4 labels"),
        (" 9: [rank9]: ", "ConnectionResetError: [Errno 104] Connection reset by peer"),
    ]
    .map(|(prefix, error)| prefixed(prefix, error));
    let mixed: String = others.lines().zip(ours.lines()).map(|(other, own)| format!("{other}\n{own}\n")).collect();
    let failed = told_of(&format!(
        "{mixed}srun: error: node-7: task 12: Exited with exit code 1\nsrun: Terminating StepId=71.0\n"
    ));
    assert_eq!(failed, "ValueError: 3 rows, 4 labels\nat train.py:7\nrank 12, exit code 1\ncommand: python3 train.py");
    for (prefix, rank) in [("[1,mpirank:2,algo-1]<stderr>:", 2), ("[6]<stderr>:", 6), ("[1,5]<stderr>:", 5)] {
        let failed = told_of(&prefixed(prefix, "IndexError: 3 classes"));
        let expected =
            format!("IndexError: 3 classes\nat train.py:7\nrank {rank}, exit code 1\ncommand: python3 train.py");
        assert_eq!(failed, expected);
    }
}

#[test]
fn a_prefixed_traceback_counts_only_if_the_program_did_not_go_on() {
    let retried = prefixed("2026-11-28 10:00:00,123 WARNING retry: ", "TimeoutError: mirror a");
    let failed = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 20, in <module>\n    check()\nValueError: checksum differs\n";
    told(&format!("{retried}read from mirror b\n{failed}"), &["ValueError: checksum differs", "at train.py:20"]);
    let sample = prefixed("sample> ", "KeyError: 'depth'");
    let steps: String = (0..40).map(|step| format!("step {step} loss 0.3\n")).collect();
    told_with(
        4,
        &format!("{sample}{steps}FATAL: the bucket is not writable\n"),
        &["FATAL: the bucket is not writable"],
    );
}

#[test]
fn a_text_before_a_traceback_is_no_prefix_of_the_other_lines() {
    let glued = format!("10%|#  | 1/10 [00:01<00:09]{}", prefixed("", "KeyError: 'depth'"));
    told(&glued, &["KeyError: 'depth'", "at train.py:7"]);
    let named = format!("worker: {}worker: KeyError: quoted\n", prefixed("", "KeyError: 'depth'"));
    assert!(text(&cause(&evidence(Ending::Exited(1), &named))).starts_with("KeyError: 'depth'\nat train.py:7\n"));
}
