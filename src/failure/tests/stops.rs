//! Jobs that were stopped, and ranks that were told to end, after an error had occurred.

use super::{evidence, text};
use crate::event::Ending;
use crate::failure::{Evidence, StopEvidence, Weight, cause, judge};

const TERMINATED: Ending = Ending::Signaled(15);

/// Returns the lines of the failure text of a stopped job.
fn stopped(stderr: &str, stdout: &str) -> Vec<String> {
    let stop = StopEvidence { signal: "SIGTERM".to_owned(), grace_seconds: 110, killed_after_grace: false };
    let evidence = Evidence { stopped: Some(stop), stdout: stdout.as_bytes(), ..evidence(TERMINATED, stderr) };
    text(&cause(&evidence)).lines().map(str::to_owned).collect()
}

fn traceback(error: &str) -> String {
    format!("Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 7, in load\n    x\n{error}\n")
}

#[test]
fn a_stopped_job_tells_what_had_failed_before_the_stop() {
    let failed = traceback("ValueError: shard 7 has no rows");
    for (stderr, expected) in [
        (failed.clone(), "before it: ValueError: shard 7 has no rows (at train.py:7 in load)"),
        (
            format!("Process Reader-2:\n{failed}"),
            "before it: ValueError: shard 7 has no rows (at train.py:7 in load in process Reader-2)",
        ),
        (
            format!("Exception in thread feed:\n{failed}waiting\n"),
            "before it: ValueError: shard 7 has no rows (at train.py:7 in load in thread feed)",
        ),
        (
            failed.lines().map(|line| format!("[rank3]: {line}\n")).collect(),
            "before it: ValueError: shard 7 has no rows (at train.py:7 in load)",
        ),
    ] {
        let found = stopped(&stderr, "");
        assert_eq!(found[0], "killed by SIGTERM (signal 15)", "{found:#?}");
        assert!(found.contains(&expected.to_owned()), "{found:#?}");
    }
}

#[test]
fn what_was_caught_or_came_from_the_stop_did_not_fail_before_it() {
    let steps: String = (0..9).map(|step| format!("step {step} loss 0.1\n")).collect();
    let caught = traceback("KeyError: 'old'");
    for (stderr, stdout) in [
        (format!("{caught}{steps}"), ""),
        (caught, steps.as_str()),
        (traceback("KeyboardInterrupt"), ""),
        (traceback("SystemExit: 3"), ""),
        (traceback("RuntimeError: DataLoader worker (pid 71) is killed by signal: Terminated."), ""),
        (traceback("ConnectionResetError: [Errno 104] Connection reset by peer"), ""),
        ("step 1\n".to_owned(), "step 2\n"),
    ] {
        let found = stopped(&stderr, stdout);
        assert!(!found.iter().any(|line| line.starts_with("before it: ")), "{found:#?}");
    }
}

#[test]
fn a_rank_with_a_fatal_error_before_the_stop_failed_by_itself() {
    let judged = |stderr: &str, stdout: &str| {
        judge(&Evidence { told_to_end: true, stdout: stdout.as_bytes(), ..evidence(TERMINATED, stderr) })
    };
    for (stderr, stdout, expected) in [
        ("", "step 7\nFATAL: 1001 labels for 1000 classes\n", "FATAL: 1001 labels for 1000 classes"),
        ("2026-01-02 03:04:05,6 CRITICAL fit: no rows in shard 7\n", "step 7\n", "no rows in shard 7"),
        ("fatal: no rows in shard 7\n", "", "fatal: no rows in shard 7"),
    ] {
        let judgement = judged(stderr, stdout);
        assert_eq!(
            (judgement.cause.headline.as_str(), judgement.weight),
            (expected, Weight::Own),
            "{stderr:?} {stdout:?}"
        );
    }
    for (stderr, stdout) in [
        ("", "step 7\n"),
        ("", "FATAL: old news\nstep 7\n"),
        ("ERROR: no metric was sent, trying again\n", ""),
        ("the fatal day\n", ""),
    ] {
        assert_eq!(judged(stderr, stdout).weight, Weight::Told, "{stderr:?} {stdout:?}");
    }
    assert_eq!(judged("", "FATAL: connection reset by peer\n").weight, Weight::Consequence);
}
