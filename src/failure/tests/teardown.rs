//! An exception before the crash of the process that was ending because of it.

use super::{recorded, script};
use crate::event::Ending;

const ABORT: Ending = Ending::Signaled(6);
const SEGV: Ending = Ending::Signaled(11);

const RAISED: &str = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 9, in <module>\n    fit()\n  File \"/opt/ml/code/train.py\", line 5, in fit\n    raise ValueError(name)\nValueError: fold 2 is empty\n";

#[track_caller]
fn begins(ending: Ending, stderr: &str, lines: &[&str]) {
    let text = recorded(ending, stderr);
    assert!(text.starts_with(&(lines.join("\n") + "\n")), "{text}");
}

#[test]
fn the_exception_before_a_crash_at_the_end_is_a_detail() {
    let before = "before it: ValueError: fold 2 is empty (at train.py:5 in fit)";
    begins(SEGV, RAISED, &["killed by SIGSEGV (signal 11)", before]);
    begins(
        Ending::Exited(139),
        &format!("{RAISED}Segmentation fault (core dumped)\n"),
        &["killed by SIGSEGV (signal 11)", before],
    );
    for crash in ["free(): invalid size", "double free or corruption (out)"] {
        begins(ABORT, &format!("{RAISED}{crash}\n"), &[crash, before]);
    }
    begins(
        ABORT,
        &format!(
            "{RAISED}INFO:root:closing the writer\nterminate called after throwing an instance of 'std::logic_error'\n  what():  a lock is held\n"
        ),
        &["std::logic_error: a lock is held", before],
    );
    let of_module = RAISED.replace(
        "  File \"/opt/ml/code/train.py\", line 9",
        "  File \"<frozen runpy>\", line 88, in _run_code\n  File \"/opt/ml/code/train.py\", line 9",
    );
    begins(SEGV, &of_module, &["killed by SIGSEGV (signal 11)", before]);
}

#[test]
fn the_exception_is_the_headline_if_the_interpreter_was_ending() {
    let error = "Fatal Python error: PyInterpreterState_Get: no thread state";
    begins(
        ABORT,
        &format!("{RAISED}{error}\nPython runtime state: finalizing (tstate=0x0000000000a7d0a8)\n"),
        &[
            "ValueError: fold 2 is empty",
            "at train.py:5 in fit",
            &format!("then: {error}"),
            "killed by SIGABRT (signal 6), exit code 134",
        ],
    );
}

#[test]
fn an_exception_that_was_caught_or_long_ago_is_no_part_of_a_crash() {
    let caught = RAISED.replace("in <module>", "in main");
    let steps = format!("{RAISED}resuming without the fold\nstep 1 loss 0.3\nstep 2 loss 0.2\n");
    for stderr in [&caught, &steps] {
        begins(SEGV, stderr, &["killed by SIGSEGV (signal 11)"]);
        assert!(!recorded(SEGV, stderr).contains("fold 2 is empty"), "{stderr}");
    }
    // These signals are sent by others.
    for number in [9, 15] {
        assert!(!recorded(Ending::Signaled(number), RAISED).contains("fold 2"), "{number}");
    }
}

#[test]
fn an_error_that_the_crash_repeats_gives_it_the_place() {
    let raised = RAISED.replace("ValueError: fold 2 is empty", "RuntimeError: CUDA error: misaligned address\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.");
    let crash =
        "terminate called after throwing an instance of 'c10::Error'\n  what():  CUDA error: misaligned address\n";
    begins(
        ABORT,
        &format!("{raised}\n{crash}"),
        &["c10::Error: CUDA error: misaligned address", "at train.py:5 in fit"],
    );
    let other = "terminate called after throwing an instance of 'c10::Error'\n  what():  CUDA error: out of memory\n";
    begins(
        ABORT,
        &format!("{raised}\n{other}"),
        &[
            "c10::Error: CUDA error: out of memory",
            "before it: RuntimeError: CUDA error: misaligned address (at train.py:5 in fit)",
        ],
    );
}

#[test]
fn an_exit_handler_that_crashes_does_not_hide_the_exception() {
    let text = script("import atexit, os\natexit.register(os.abort)\n\ndef load():\n    return {}['rows']\n\nload()\n");
    assert!(
        text.starts_with("killed by SIGABRT (signal 6)\nbefore it: KeyError: 'rows' (at train.py:5 in load)\n"),
        "{text}"
    );
}
