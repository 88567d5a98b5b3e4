//! Failures of programs that are not Python: real shells, and recorded output of others.

use super::{Code, evidence, recorded, text};
use crate::event::Ending;
use crate::failure::cause;

/// Returns the failure text of a shell script, `train.sh`, that the real bash runs.
fn shell(source: &str) -> String {
    let code = Code::new(&[("train.sh", source)]);
    code.text(&code.run("bash", &["train.sh"]))
}

#[test]
fn the_last_telling_line_of_a_shell_script_is_the_headline() {
    assert_eq!(
        shell("echo starting >&2\nset -e\ncp /does/not/exist .\n"),
        "cp: cannot stat '/does/not/exist': No such file or directory\nexit code 1\ncommand: python3 train.py"
    );
    assert_eq!(
        shell("cat /does/not/exist\nfoo-is-not-here --x\n"),
        "train.sh: line 2: foo-is-not-here: command not found\nexit code 127\nhint: a program was not found: install it in the image, or correct its name or PATH\ncommand: python3 train.py"
    );
    assert_eq!(
        shell("echo 'config is wrong' >&2\nexit 3\n"),
        "config is wrong\nexit code 3\ncommand: python3 train.py"
    );
    assert_eq!(shell("echo 'Error: bad' \nexit 3\n"), "Error: bad\nexit code 3\ncommand: python3 train.py");
    assert_eq!(shell("exit 5\n"), "exit code 5, with no error printed\ncommand: python3 train.py");
}

#[test]
fn an_error_that_the_script_survived_long_before_is_not_the_headline() {
    let script = "echo 'error: no cache' >&2\nfor n in $(seq 20); do echo \"step $n\" >&2; done\necho 'please set DATA' >&2\nexit 1\n";
    assert_eq!(shell(script), "please set DATA\nexit code 1\ncommand: python3 train.py");
}

#[test]
fn the_shells_own_error_after_a_childs_traceback_is_the_headline() {
    let script = "python3 -c 'raise ValueError(3)'\nfoo-is-not-here\n";
    assert_eq!(shell(script).lines().next(), Some("train.sh: line 2: foo-is-not-here: command not found"));
    assert_eq!(shell("set -e\npython3 -c 'raise ValueError(3)'\n").lines().next(), Some("ValueError: 3"));
}

#[test]
fn death_by_a_signal_is_recognized_through_a_shell() {
    let text = shell("bash -c 'kill -SEGV $$'\nexit $?\n");
    let (before, after) = text.split_once("line 1: ").unwrap();
    let text = format!("{before}line 1: PID{}", after.trim_start_matches(|c: char| c.is_ascii_digit()));
    assert_eq!(
        text,
        "killed by SIGSEGV (signal 11)\nlast line: train.sh: line 1: PID Segmentation fault bash -c 'kill -SEGV $$'\nexit code 139\nhint: native code crashed; set PYTHONFAULTHANDLER=1 to see in which line of Python\ncommand: python3 train.py"
    );
}

#[test]
fn files_that_cannot_be_run_are_explained() {
    let code = Code::new(&[("run.sh", "#!/bin/sh\necho hi\n")]);
    assert_eq!(
        code.text(&code.run("bash", &["-c", "./run.sh"])),
        "bash: line 1: ./run.sh: Permission denied\nexit code 126\nhint: it was found but may not be run: chmod +x it, or run it by its interpreter\ncommand: python3 train.py"
    );
    let code = Code::new(&[("run.sh", "#!/bin/sh\r\necho hi\r\n")]);
    let text = code.text(&code.run("bash", &["-c", "chmod +x run.sh; ./run.sh"]));
    assert_eq!(
        text,
        "bash: line 1: ./run.sh: cannot execute: required file not found\nexit code 127\nhint: the program that its first line (#!) names is not in the image, or the line ends in a Windows line end\ncommand: python3 train.py"
    );
    assert_eq!(
        recorded(Ending::Exited(127), "/usr/bin/env: 'python3\\r': No such file or directory\n"),
        "/usr/bin/env: 'python3\\r': No such file or directory\nexit code 127\nhint: the script has Windows line ends; convert it with dos2unix or sed -i 's/\\r$//'\ncommand: python3 train.py"
    );
    assert_eq!(
        recorded(Ending::Exited(126), "bash: ./prog: cannot execute binary file: Exec format error\n"),
        "bash: ./prog: cannot execute binary file: Exec format error\nexit code 126\nhint: the program was built for another kind of CPU; build the image for this one\ncommand: python3 train.py"
    );
}

#[test]
fn a_panic_of_rust_is_shown_with_message_and_place() {
    let expected = |code: &str| {
        format!(
            "thread 'main' panicked: index out of bounds: the len is 3\nat src/main.rs:3\n{code}\ncommand: python3 train.py"
        )
    };
    let new = "\nthread 'main' (71) panicked at src/main.rs:3:5:\nindex out of bounds: the len is 3\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
    assert_eq!(recorded(Ending::Exited(101), new), expected("exit code 101"));
    let old = "thread 'main' panicked at 'index out of bounds: the len is 3', src/main.rs:3:5\n";
    assert_eq!(recorded(Ending::Signaled(6), old), expected("killed by SIGABRT (signal 6), exit code 134"));
}

#[test]
fn the_message_before_an_abort_of_cpp_or_c_is_the_headline() {
    let headline = |stderr: &str| recorded(Ending::Signaled(6), stderr).lines().next().unwrap().to_owned();
    assert_eq!(
        headline("terminate called after throwing an instance of 'std::runtime_error'\n  what():  bad data\n"),
        "std::runtime_error: bad data"
    );
    assert_eq!(
        headline("terminate called after throwing an instance of 'int'\n"),
        "terminate called after throwing an instance of 'int'"
    );
    assert_eq!(headline("double free or corruption (out)\n"), "double free or corruption (out)");
    assert_eq!(headline("a: a.c:3: main: Assertion `0' failed.\nAborted\n"), "a: a.c:3: main: Assertion `0' failed.");
    assert_eq!(headline("bye\n"), "killed by SIGABRT (signal 6)");
}

#[test]
fn a_line_that_only_summarizes_is_not_the_headline() {
    let headline = |code, stderr: &str| recorded(Ending::Exited(code), stderr).lines().next().unwrap().to_owned();
    assert_eq!(
        headline(2, "a.c:3:1: error: unknown type name 'x'\nmake: *** [Makefile:2: a.o] Error 1\n"),
        "a.c:3:1: error: unknown type name 'x'"
    );
    assert_eq!(headline(1, "Error in f() : bad data\nCalls: f\nExecution halted\n"), "Error in f() : bad data");
    assert_eq!(
        headline(2, "Usage: train.py [OPTIONS]\n\nError: No such option: --foo\n"),
        "Error: No such option: --foo"
    );
    assert_eq!(
        headline(
            1,
            "/code/x.js:1\nthrow new Error(\"bad\")\n^\n\nError: bad\n    at Object.<anonymous> (/code/x.js:1:7)\n    at node:internal/main:1:1\n\nNode.js v18\n"
        ),
        "Error: bad"
    );
}

#[test]
fn the_output_of_a_process_that_exited_with_0_is_not_searched_for_errors() {
    let stderr = "Traceback (most recent call last):\n  File \"train.py\", line 3, in f\n    x\nKeyError: 'x'\n";
    assert_eq!(recorded(Ending::Exited(0), stderr), "exit code 0\ncommand: python3 train.py");
}

#[test]
fn host_and_rank_are_shown_if_the_job_has_several() {
    let mut evidence = evidence(Ending::Exited(2), "bad\n");
    evidence.host = Some("algo-2".into());
    evidence.rank = Some(11);
    assert_eq!(text(&cause(&evidence)), "bad\nhost algo-2, rank 11, exit code 2\ncommand: python3 train.py");
}
