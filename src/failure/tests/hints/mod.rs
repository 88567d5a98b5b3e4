//! Hints: each hint is given if the evidence supports it, and only then.
//!
//! The texts are those of real libraries and programs, in the wordings of several releases. Each table has texts that
//! lead to a hint, and similar texts that must not lead to one.

mod cloud;
mod devices;
mod evidence;
mod hub;
mod imports;
mod libraries;
mod memory;
mod mentions;
mod models;
mod peers;
mod programs;
mod quotes;
mod start;
mod versions;
mod wordless;

use super::{evidence, text};
use crate::event::Ending;
use crate::failure::{Evidence, cause, installer_hints};

/// Returns the hints of the failure text, without their label.
fn hints(evidence: &Evidence<'_>) -> Vec<String> {
    text(&cause(evidence)).lines().filter_map(|line| line.strip_prefix("hint: ").map(str::to_owned)).collect()
}

fn of(ending: Ending, stderr: &str) -> Vec<String> {
    hints(&evidence(ending, stderr))
}

/// Returns the stderr of a script that ended with this exception.
fn raising(message: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in <module>\n    main()\n{message}\n"
    )
}

/// Returns the hints for a script that ended with this exception.
fn raised(message: &str) -> Vec<String> {
    of(Ending::Exited(1), &raising(message))
}

/// Asserts that a script that ends with one of these exceptions gets a first hint that contains the words beside the
/// exception.
fn assert_hints(table: &[(&str, &str)]) {
    for (message, words) in table {
        let hints = raised(message);
        let first = hints.first().map(String::as_str).unwrap_or_default();
        assert!(first.contains(words), "{message}\nis without: {words}\nhas: {hints:#?}");
    }
}

/// Asserts that a script that ends with one of these exceptions gets no hint.
fn assert_no_hint(messages: &[&str]) {
    for message in messages {
        assert_eq!(raised(message), [""; 0], "{message}");
    }
}

#[test]
fn no_hint_follows_from_an_error_that_was_handled() {
    for survived in [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "ModuleNotFoundError: No module named 'apex'",
        "RuntimeError: CUDA error: device-side assert triggered",
        "botocore.exceptions.NoCredentialsError: Unable to locate credentials",
        "OSError: [Errno 24] Too many open files: 'x'",
        "botocore.exceptions.ClientError: An error occurred (404) when calling the HeadObject operation: Not Found",
        "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the cached files.",
        "socket.gaierror: [Errno -2] Name or service not known",
        "RuntimeError: DataLoader worker (pid 71) is killed by signal: Killed. ",
    ] {
        let during = "\n\nDuring handling of the above exception, another exception occurred:\n\n";
        for raised in [
            "KeyError: 'label'",
            "ValueError: shard 3 of rows.parquet is empty",
            "RuntimeError: the loss is infinite in step 12",
            "Exception: fold 3 has no rows",
            "LabelError: row 7 has no label",
            "acme.errors.DataError: row 7 has no label",
            "FileNotFoundError: [Errno 2] No such file or directory: 'rows.csv'",
        ] {
            let stderr = raising(survived) + during + &raising(raised);
            assert_eq!(of(Ending::Exited(1), &stderr), [""; 0], "{survived}, then {raised}");
        }
        let warned = format!("WARNING {survived}: using another way\n{}", raising("ValueError: fold 3 is empty"));
        assert_eq!(of(Ending::Exited(1), &warned), [""; 0], "{survived}");
    }
}

#[test]
fn an_exception_that_only_quotes_an_error_has_no_hint() {
    for quoted in [
        "CUDA error: device-side assert triggered",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        "uncorrectable ECC error encountered",
        "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied",
        "Unable to locate credentials",
        "No space left on device",
        "Too many open files",
        "ncclSystemError: System call failed",
        "Name or service not known",
        "You are trying to access a gated repo.",
        "No matching distribution found for acme",
        "died with <Signals.SIGKILL: 9>",
        "No module named 'acme'",
        "libGL.so.1: cannot open shared object file",
        "version `GLIBC_2.34' not found",
        "address already in use",
        "[Errno 13] Permission denied: '/x'",
    ] {
        for name in ["ValueError", "KeyError", "AssertionError"] {
            assert_eq!(raised(&format!("{name}: row 7 of the log: {quoted}")), [""; 0], "{name}: {quoted}");
        }
    }
    // The error that led to this one counts.
    let wrapped = raising("RuntimeError: CUDA error: device-side assert triggered")
        + "\nThe above exception was the direct cause of the following exception:\n\n"
        + &raising("ValueError: evaluation failed");
    assert!(of(Ending::Exited(1), &wrapped)[0].starts_with("a kernel's assertion failed"));
}

#[test]
fn a_hint_follows_from_the_error_that_a_library_wraps() {
    let during = "\nDuring handling of the above exception, another exception occurred:\n\n";
    let inner = "botocore.errorfactory.AccessDenied: An error occurred (AccessDenied) when calling the PutObject operation: Access Denied";
    let stderr = raising(inner) + during + &raising("OSError: cannot save the checkpoint");
    assert!(of(Ending::Exited(1), &stderr)[0].starts_with("AWS refused PutObject;"));
}

#[test]
fn a_failed_installer_gets_the_hint_for_its_complaint() {
    for (complaint, words) in [
        (
            "Cannot install a and b because these package versions have conflicting dependencies: a 1 depends on c<2; b 1 depends on c>=2",
            "loosen or remove",
        ),
        (
            "Because a==1 depends on c<2 and b==1 depends on c>=2, we can conclude that a==1 and b==1 are incompatible. And because you require \
             a==1 and b==1, we can conclude that your requirements are unsatisfiable.",
            "loosen or remove",
        ),
        (
            "Because only zz-gamma<2 is available and you require zz-gamma>=2, we can conclude that your requirements are unsatisfiable.",
            "no index has that package or version",
        ),
        ("No matching distribution found for torhc==2.1 (from versions: none)", "no index has that package or version"),
        (
            "Because zz was not found in the package registry and you require zz, we can conclude that your requirements are unsatisfiable.",
            "no index has that package or version",
        ),
        (
            "Because there is no version of zz==9 and you require zz==9, we can conclude that your requirements are unsatisfiable.",
            "no index has that package or version",
        ),
        (
            "No matching distribution found for zz (from versions: none): the index could not be reached: [Errno 111] Connection refused",
            "the package index was not reached",
        ),
        ("error: command 'gcc' failed: No such file or directory (building zz==1)", "no C or C++ compiler"),
        ("fatal error: Python.h: No such file or directory (building zz==1)", "python3-dev"),
        (
            "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root. (building zz)",
            "no CUDA toolkit",
        ),
        ("ModuleNotFoundError: No module named 'torch' (building flash-attn)", "--no-build-isolation"),
        ("Cannot find command 'git' - do you have 'git' installed and in your PATH?", "git is not in the image"),
        ("Package 'zz' requires a different Python: 3.8.10 not in '>=3.9'", "not for the image's Python version"),
        ("the hash of zz==1 is not the expected one: expected sha256:00, got 11", "make the hashes anew"),
        (
            "Hashes are required in --require-hashes mode, but they are missing from some requirements: zz==1",
            "told to check hashes",
        ),
        (
            "In `--require-hashes` mode, all requirements must have a hash, but none were provided for: zz==1",
            "told to check hashes",
        ),
        (
            "401 Error, Credentials not correct for https://index.example.com/simple/zz/",
            "did not accept the credentials",
        ),
        ("[Errno 28] No space left on device", "a file system was full"),
    ] {
        let hints = installer_hints(Ending::Exited(1), complaint);
        assert!(hints.first().is_some_and(|hint| hint.contains(words)), "{complaint}: {hints:#?}");
    }
    assert_eq!(installer_hints(Ending::Exited(2), "the requirements could not be installed: exit code 2"), [""; 0]);
}
