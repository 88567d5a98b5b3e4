//! Hints about names of other versions, crashed child processes, and files and headers with the wrong content.

use super::{assert_hints, assert_no_hint, hints, of, raised, raising};
use crate::event::Ending;
use crate::failure::Evidence;

#[test]
fn a_name_of_another_version_is_explained() {
    assert_hints(&[
        ("AttributeError: 'DataFrame' object has no attribute 'append'", "pd.concat"),
        ("AttributeError: 'Series' object has no attribute 'iteritems'", "iteritems is items"),
        (
            "ImportError: cannot import name 'Mapping' from 'collections' (/usr/lib/python3.11/collections/__init__.py)",
            "collections.abc",
        ),
        ("SyntaxError: f-string: unmatched '['", "before Python 3.12"),
        ("TypeError: SFTConfig.__init__() got an unexpected keyword argument 'max_seq_length'", "(trl==…)"),
        (
            "TypeError: TrainingArguments.__init__() got an unexpected keyword argument 'evaluation_strategy'",
            "(transformers==…)",
        ),
    ]);
    assert_no_hint(&[
        "AttributeError: 'Table' object has no attribute 'append'",
        "AttributeError: 'DataFrame' object has no attribute 'labels'",
        "ImportError: cannot import name 'Rows' from 'collections_of_mine' (unknown location)",
        "SyntaxError: f-string: unmatched ')'",
        "TypeError: Net.__init__() got an unexpected keyword argument 'width'",
        "TypeError: fit() got an unexpected keyword argument 'width'",
    ]);
}

#[test]
fn a_file_that_hides_a_module_of_python_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("json.py"), "").unwrap();
    std::fs::write(folder.path().join("rows.py"), "").unwrap();
    let told = |message: &str| {
        let stderr = raising(message);
        let evidence = super::evidence(Ending::Exited(1), &stderr);
        hints(&Evidence { code_dir: folder.path(), ..evidence })
    };
    assert!(
        told("AttributeError: module 'json' has no attribute 'dumps'")[0]
            .starts_with("json.py in the source folder hides")
    );
    assert_eq!(told("AttributeError: module 'csv' has no attribute 'rows'"), [""; 0]);
    assert_eq!(told("AttributeError: module 'rows' has no attribute 'load'"), [""; 0]);
}

#[test]
fn the_package_that_a_failed_import_tells_to_install_is_named() {
    assert_hints(&[
        (
            "ModuleNotFoundError: PyTorch isn't installed. To install PyTorch, run 'pip install torch'",
            "add torch to requirements.txt",
        ),
        (
            "ImportError: fit needs a backend: please run `pip install -U \"rows[fast]>=2.1\"`.",
            "add rows[fast]>=2.1 to requirements.txt",
        ),
    ]);
    assert_no_hint(&["RuntimeError: the step `pip install rows` took too long", "ImportError: pip install failed"]);
}

#[test]
fn a_negative_exit_code_of_a_child_is_explained_by_its_signal() {
    for message in [
        "RuntimeError: data worker exited with -11",
        "RuntimeError: fit.py ended: exit code -11",
        "RuntimeError: decoder failed (exitcode=-11)",
    ] {
        assert!(
            raised(message)[0].starts_with("-11 means that the child process was killed by SIGSEGV (signal 11)"),
            "{message}"
        );
    }
    assert!(
        of(Ending::Exited(1), "Trainer process returned -6\n")[0]
            .starts_with("-6 means that the child process was killed by SIGABRT")
    );
    assert_no_hint(&[
        "RuntimeError: data worker exited with 11",
        "RuntimeError: fit.py ended: exit code -1",
        "RuntimeError: status is -110",
        "RuntimeError: the shift of step-11 is too large",
    ]);
}

#[test]
fn a_file_that_is_no_library_is_not_said_to_be_for_another_cpu() {
    let hint =
        "the file is not a library of Linux: it is incomplete, a Git LFS pointer, or was built on another system";
    assert_hints(&[
        ("OSError: ./ops.so: invalid ELF header", hint),
        ("ImportError: /opt/ml/code/ops.so: file too short", hint),
        ("OSError: [Errno 8] Exec format error: './tool'", "another kind of CPU"),
    ]);
    assert_no_hint(&["ValueError: rows.csv: file too short", "ValueError: the ELF header of row 7 is invalid"]);
}

#[test]
fn a_pool_whose_worker_raised_an_exception_has_no_hint_about_its_end() {
    let of_worker = "Exception in initializer:\nTraceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in init\n    read()\nRuntimeError: index is empty\n";
    let of_pool = raising(
        "concurrent.futures.process.BrokenProcessPool: A process in the process pool was terminated abruptly while the future was running or pending.",
    );
    assert_eq!(of(Ending::Exited(1), &format!("{of_worker}{of_pool}")), [""; 0]);
    assert!(of(Ending::Exited(1), &of_pool)[0].contains("a worker of the pool ended without an exception"));
}

#[test]
fn a_header_that_a_compiler_did_not_find_is_named() {
    let of_compiler = |text: &str| {
        of(
            Ending::Exited(1),
            &format!("fit.c:1:10: fatal error: {text}: No such file or directory\ncompilation terminated.\n"),
        )
    };
    assert!(of_compiler("lmdb.h")[0].starts_with("the compiler did not find lmdb.h;"));
    assert!(of_compiler("Python.h")[0].contains("python3-dev"));
    assert_eq!(of_compiler("fit.c"), [""; 0]);
}

#[test]
fn a_script_that_asks_for_input_is_told_that_a_job_has_no_terminal() {
    assert_hints(&[
        ("EOFError: EOF when reading a line", "a job has no terminal"),
        ("bdb.BdbQuit", "a breakpoint() is left in the code"),
    ]);
    assert_no_hint(&["EOFError", "EOFError: the file ended early"]);
}
