//! Limits, orders and preferences of the judgement, each at the point where the result changes.

use super::{evidence, recorded, text};
use crate::event::Ending;
use crate::failure::{Full, FullDisk, OutOfMemory, StopEvidence, cause};

const EXIT_1: Ending = Ending::Exited(1);

fn traceback(message: &str) -> String {
    format!("Traceback (most recent call last):\n  File \"train.py\", line 3, in f\n    x\n{message}\n")
}

/// Returns a traceback whose lines all have the prefix of torch's exception hook.
fn of_rank(rank: usize, message: &str) -> String {
    traceback(message).lines().map(|line| format!("[rank{rank}]: {line}\n")).collect()
}

fn headline(ending: Ending, stderr: &str) -> String {
    recorded(ending, stderr).lines().next().unwrap_or_default().to_owned()
}

fn steps(count: usize) -> String {
    (1..=count).map(|n| format!("step {n}\n")).collect()
}

#[test]
fn an_uncaught_exception_is_the_cause_if_at_most_100_lines_follow() {
    let after = |count| headline(EXIT_1, &(traceback("KeyError: 'x'") + "\n" + &steps(count)));
    assert_eq!(after(100), "KeyError: 'x'");
    assert_eq!(after(101), "step 101");
}

#[test]
fn a_caught_exception_is_the_cause_if_at_most_20_lines_follow() {
    let after = |ending, before: &str, count| {
        headline(ending, &(before.to_owned() + &traceback("KeyError: 'x'") + "\n" + &steps(count)))
    };
    for (ending, before) in [(Ending::Exited(3), ""), (EXIT_1, "ERROR:root:failed to read\n")] {
        assert_eq!(after(ending, before, 20), "KeyError: 'x'", "{ending} {before}");
        assert_eq!(after(ending, before, 21), "step 21", "{ending} {before}");
    }
}

#[test]
fn an_error_is_looked_for_in_the_last_12_lines() {
    let after = |count| headline(EXIT_1, &("error: no disk\n".to_owned() + &steps(count)));
    assert_eq!(after(11), "error: no disk");
    assert_eq!(after(12), "step 12");
}

#[test]
fn at_most_three_lines_of_other_processes_may_interrupt_a_traceback() {
    let interrupted = |count| {
        // The name alone does not show with certainty that this is an exception.
        let whole = traceback("Trouble: x");
        let (first, rest) = whole.split_at(whole.find("  File").unwrap());
        recorded(EXIT_1, &format!("{first}{}{rest}", steps(count)))
    };
    assert!(interrupted(3).starts_with("Trouble: x\nat train.py:3 in f\n"), "{}", interrupted(3));
    assert!(!interrupted(4).contains("\nat "), "{}", interrupted(4));
}

#[test]
fn at_most_two_hints_are_given() {
    let mut evidence = evidence(Ending::Signaled(9), "");
    evidence.memory = Some(OutOfMemory { peak_bytes: None, limit_bytes: None, whole_machine: false });
    evidence.stopped = Some(StopEvidence { signal: "SIGTERM".into(), grace_seconds: 110, killed_after_grace: false });
    evidence.full = vec![FullDisk { path: "/opt/ml/model".into(), what: Full::Inodes }];
    let text = text(&cause(&evidence));
    let hints: Vec<&str> = text.lines().filter(|line| line.starts_with("hint: ")).collect();
    assert_eq!(hints.len(), 2, "{text}");
    assert!(hints[0].contains("out of memory") && hints[1].contains("the job was stopped"), "{text}");
}

#[test]
fn only_a_process_that_the_kernel_killed_has_itself_run_out_of_memory() {
    let headline = |ending| {
        let mut evidence = evidence(ending, "");
        evidence.memory = Some(OutOfMemory { peak_bytes: None, limit_bytes: None, whole_machine: false });
        cause(&evidence).headline
    };
    assert_eq!(headline(Ending::Signaled(9)), "killed by SIGKILL (signal 9): out of memory");
    let another = "out of memory: the kernel killed a process of the container; then killed by SIGBUS (signal 7)";
    assert_eq!(headline(Ending::Signaled(7)), another);
}

#[test]
fn mpiruns_report_counts_after_a_signal_only_if_it_names_that_signal() {
    let notice =
        "mpirun noticed that process rank 3 with PID 77 on node algo-2 exited on signal 11 (Segmentation fault).\n";
    let status = |ending| recorded(ending, notice).lines().nth(1).unwrap_or_default().to_owned();
    assert_eq!(status(Ending::Exited(139)), "host algo-2, rank 3, exit code 139 of mpirun");
    assert_eq!(status(Ending::Signaled(11)), "host algo-2, rank 3, exit code 139");
    for other in [Ending::Signaled(9), Ending::Exited(137)] {
        assert!(!recorded(other, notice).contains("rank 3, exit code"), "{}", recorded(other, notice));
    }
}

#[test]
fn the_known_rank_counts_before_that_of_a_line_and_that_before_the_report() {
    let report =
        "Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : 1 (pid: 124)\n";
    let stderr = of_rank(3, "KeyError: 'x'") + report;
    let mut evidence = evidence(EXIT_1, &stderr);
    assert!(text(&cause(&evidence)).contains("\nrank 3, exit code 1\n"), "{}", text(&cause(&evidence)));
    evidence.rank = Some(12);
    assert!(text(&cause(&evidence)).contains("\nrank 12, exit code 1\n"), "{}", text(&cause(&evidence)));
}

#[test]
fn an_error_of_its_own_counts_before_the_reported_consequence() {
    let report =
        "Root Cause (first observed failure):\n[0]:\n  rank      : 0 (local_rank: 0)\n  exitcode  : 1 (pid: 124)\n";
    let stderr = of_rank(0, "RuntimeError: Connection closed by peer") + &of_rank(1, "ValueError: bad") + report;
    assert_eq!(headline(EXIT_1, &stderr), "ValueError: bad");
}

#[test]
fn a_program_that_a_shell_may_not_start_counts_before_an_exception() {
    for (code, line) in
        [(126, "train.sh: line 2: ./run.sh: Permission denied"), (127, "train.sh: line 2: foo: command not found")]
    {
        let stderr = traceback("KeyError: 'x'") + line + "\n";
        assert_eq!(headline(Ending::Exited(code), &stderr), line);
        assert_eq!(headline(EXIT_1, &stderr), "KeyError: 'x'");
    }
}

#[test]
fn a_harmless_record_is_shown_only_after_a_silent_exit() {
    let record = "INFO:root:bye\n";
    assert_eq!(
        recorded(Ending::Exited(3), record),
        "exit code 3, with no error printed\nlast line: INFO:root:bye\ncommand: python3 train.py"
    );
    let after = recorded(EXIT_1, &(traceback("KeyError: 'x'") + record));
    assert!(!after.contains("last line"), "{after}");
}

#[test]
fn an_uncaught_exception_counts_before_a_logged_one() {
    let stderr = traceback("KeyError: 'main'") + "ERROR:root:at exit\n" + &traceback("KeyError: 'logged'");
    assert_eq!(headline(EXIT_1, &stderr), "KeyError: 'main'");
    assert_eq!(headline(Ending::Exited(3), &stderr), "KeyError: 'logged'");
}

#[test]
fn the_exception_of_a_thread_counts_before_a_line_about_an_error() {
    let stderr =
        "Exception in thread loader:\n".to_owned() + &traceback("ValueError: in thread") + "\nerror: no data\n";
    assert_eq!(headline(Ending::Exited(4), &stderr), "ValueError: in thread");
}

#[test]
fn no_rank_is_suspected_of_a_timeout_if_all_are_equally_far() {
    let line = |rank: usize| {
        format!(
            "[Rank {rank}] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran for 600004 milliseconds before timing out.\n"
        )
    };
    let text = recorded(Ending::Signaled(6), &(line(0) + &line(2)));
    assert!(text.contains("on ranks 0, 2; suspects: ranks that say no such thing; "), "{text}");
}
