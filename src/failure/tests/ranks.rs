//! Failures of launchers whose ranks have separate streams.

use super::{evidence, text};
use crate::event::Ending;
use crate::failure::{Evidence, RankEvidence, cause};
use crate::logs::RankLabel;

const EXIT_1: Ending = Ending::Exited(1);

const TRACEBACK: &str = "Traceback (most recent call last):\n  File \"train.py\", line 3, in f\n    x\n";

/// Returns evidence of a launcher with this stderr, and with ranks that wrote to stdout and stderr.
fn launched<'e>(stderr: &'e str, ranks: &[(&str, usize, &'e str, &'e str)]) -> Evidence<'e> {
    let output = |(host, rank, stdout, stderr): &(&str, usize, &'e str, &'e str)| RankEvidence {
        label: RankLabel::new(*host, *rank),
        stdout: stdout.as_bytes(),
        stderr: stderr.as_bytes(),
    };
    Evidence { ranks: ranks.iter().map(output).collect(), ..evidence(EXIT_1, stderr) }
}

#[test]
fn a_traceback_is_attributed_to_the_rank_on_whose_stream_it_is() {
    let raised = |message: &str| format!("{TRACEBACK}{message}\n");
    let (lost, bad) = (raised("ConnectionResetError: Connection reset by peer"), raised("ValueError: bad"));
    let evidence = launched("", &[("algo-1", 0, "", &lost), ("algo-2", 5, "", &bad)]);
    assert_eq!(
        text(&cause(&evidence)),
        "ValueError: bad\nat train.py:3 in f\nhost algo-2, rank 5, exit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn the_prefix_of_torchs_exception_hook_is_removed_from_a_ranks_stream() {
    let stderr: String =
        format!("{TRACEBACK}ValueError: bad").lines().map(|line| format!("[rank5]: {line}\n")).collect();
    let evidence = launched("", &[("algo-2", 5, "", &stderr)]);
    assert_eq!(
        text(&cause(&evidence)),
        "ValueError: bad\nat train.py:3 in f\nhost algo-2, rank 5, exit code 1\ncommand: python3 train.py"
    );
}

#[test]
fn an_error_on_stdout_is_attributed_to_the_rank_that_wrote_it() {
    let evidence = launched("", &[("algo-1", 0, "step 1\nstep 2\n", ""), ("algo-2", 7, "Error: bad data\n", "")]);
    assert_eq!(text(&cause(&evidence)), "Error: bad data\nhost algo-2, rank 7, exit code 1\ncommand: python3 train.py");
}

#[test]
fn the_report_of_the_launcher_chooses_among_its_ranks() {
    let (zero, one) = (format!("{TRACEBACK}KeyError: 'zero'\n"), format!("{TRACEBACK}KeyError: 'one'\n"));
    let report =
        "Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : 1 (pid: 124)\n";
    let ranks = [("algo-1", 0, "", zero.as_str()), ("algo-1", 1, "", one.as_str())];
    assert_eq!(text(&cause(&launched("", &ranks))).lines().next(), Some("KeyError: 'zero'"));
    assert_eq!(text(&cause(&launched(report, &ranks))).lines().next(), Some("KeyError: 'one'"));
}

/// Restarts have a budget of their own for ranks that were killed from outside, also if torchrun then exits with 1.
#[test]
fn the_end_of_the_rank_is_kept_beside_that_of_its_launcher() {
    let report =
        "Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : -9 (pid: 124)\n";
    let killed = cause(&launched(report, &[]));
    assert_eq!((killed.rank_ending, killed.exit_code()), (Some(Ending::Signaled(9)), 1));
    assert_eq!(cause(&launched("", &[])).rank_ending, None);
}

/// mpirun names a host by the address that it was given. A rank's own stream is labelled with the host's name.
#[test]
fn a_rank_that_wrote_the_error_names_its_host_better_than_the_launcher() {
    let bad = format!("{TRACEBACK}ValueError: bad\n");
    let notice =
        "mpirun noticed that process rank 3 with PID 7 on node 10.0.0.3 exited on signal 11 (Segmentation fault).\n";
    let launched = Evidence { host: Some("algo-1".into()), ..launched(notice, &[("algo-2", 3, "", &bad)]) };
    let status = |evidence: &Evidence<'_>| {
        text(&cause(evidence)).lines().find(|line| line.starts_with("host")).map(str::to_owned)
    };
    assert_eq!(status(&launched).as_deref(), Some("host 10.0.0.3, rank 3, exit code 1 of mpirun"));
    let exited = Evidence { stderr: b"", ..launched };
    assert_eq!(status(&exited).as_deref(), Some("host algo-2, rank 3, exit code 1"));
}

/// The launcher's report names the rank that failed first, which wrote an error but no traceback.
#[test]
fn the_rank_that_the_launcher_names_counts_before_a_lost_connection() {
    let lost = format!("{TRACEBACK}RuntimeError: Connection closed by peer [127.0.0.1]:2276\n");
    let report =
        "Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : 3 (pid: 124)\n";
    let first = |words: &str| {
        let evidence = launched(report, &[("algo-1", 0, "", lost.as_str()), ("algo-1", 1, "", words)]);
        text(&cause(&evidence)).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let found = first("FATAL: no data on rank 1\n");
    assert_eq!(found[0], "FATAL: no data on rank 1");
    assert!(found.iter().any(|line| line.contains("rank 1, ")), "{found:?}");
    assert_eq!(found[1], "then: RuntimeError: Connection closed by peer [127.0.0.1]:2276");
    assert!(!found.iter().any(|line| line.starts_with("hint")), "the rank has said why: {found:?}");
    assert_eq!(first("step 1\n")[0], "step 1");
    assert_eq!(first("")[0], "exit code 3, with no error printed");
    let printed = |words: &str| {
        let ranks = [("algo-1", 0, "Error: rank 1 is lost\n", lost.as_str()), ("algo-1", 1, words, "")];
        text(&cause(&launched(report, &ranks))).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let found = printed("step 1\n[rank 1] no rows are left, aborting\n");
    assert_eq!(found[0], "[rank 1] no rows are left, aborting");
    assert!(found.iter().any(|line| line.contains("rank 1, ")), "{found:?}");
    assert_eq!(printed("step 1\n")[0], "exit code 3, with no error printed");
}
