//! Exceptions that only contain words of a library or program. They get none of its hints.

use super::{assert_hints, assert_no_hint, of, raising};
use crate::event::Ending;

#[test]
fn an_exception_that_only_contains_the_words_of_a_service_has_no_hint() {
    assert_no_hint(&[
        "RuntimeError: Rate exceeded for sensor 3",
        "RuntimeError: Token has expired and refresh failed for player 3",
        "RuntimeError: the label is wrong; expecting 'cat'",
        "RuntimeError: Region is missing in row 3",
        "RuntimeError: the word NoSuchKey stands in row 3",
        "RuntimeError: there is no such host in the plan",
        "RuntimeError: No matching distribution found for the residuals",
        "RuntimeError: there is no package called 'gift' in the warehouse",
        "RuntimeError: cannot load such file -- rows.csv",
        "RuntimeError: you may need to install the pump (see module) first",
        "KeyError: \"Cannot find module 'left'\"",
        "RuntimeError: no rows match ^Mean",
        "RuntimeError: disk quota exceeded for user kim",
        "RuntimeError: misaligned address of customer 3",
        "RuntimeError: invalid device ordinal in the plan",
        "RuntimeError: No module named 'left' in the warehouse",
        "RuntimeError: row 3 (shm) is bad",
        "RuntimeError: postal code -11 is unknown",
        "RuntimeError: pump 3 is a gated repository of water",
    ]);
    assert_hints(&[
        (
            "botocore.exceptions.ClientError: An error occurred (ThrottlingException) when calling the ListTags operation: Rate exceeded",
            "AWS throttles",
        ),
        (
            "botocore.errorfactory.NoSuchKey: An error occurred (NoSuchKey) when calling the GetObject operation",
            "S3 object",
        ),
        ("RuntimeError: CUDA error: misaligned address", "CUDA_LAUNCH_BLOCKING=1"),
        ("RuntimeError: CUDA error: invalid device ordinal", "LOCAL_RANK"),
        ("RuntimeError: the fit exited with code -11", "SIGSEGV"),
        ("RuntimeError: dial tcp: lookup store.example on 10.0.0.2:53: no such host", "could not be resolved"),
    ]);
}

#[test]
fn a_column_of_a_table_is_not_a_variable_of_a_launcher() {
    let frames = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in <module>\n    main()\n  File \"/usr/lib/python3/dist-packages/pandas/core/frame.py\", line 4090, in __getitem__\n    x\n";
    assert_eq!(of(Ending::Exited(1), &format!("{frames}KeyError: 'RANK'\n")), [""; 0]);
}

#[test]
fn shared_memory_in_the_log_is_not_the_reason_of_every_exception() {
    let log = "allocate shared memory for 3 tables\n";
    assert_eq!(of(Ending::Exited(1), &(log.to_owned() + &raising("RuntimeError: no rows"))), [""; 0]);
}

#[test]
fn a_build_in_the_log_is_not_the_reason_of_every_missing_module() {
    let hints = of(
        Ending::Exited(1),
        &("Failed to build the index, going on\n".to_owned()
            + &raising("ModuleNotFoundError: No module named 'einops'")),
    );
    assert!(hints[0].starts_with("add einops to requirements.txt"), "{hints:#?}");
}

#[test]
fn an_exception_with_the_exit_code_of_timeout_is_not_a_timeout() {
    assert_eq!(of(Ending::Exited(124), &raising("ValueError: no rows")), [""; 0]);
    assert!(of(Ending::Exited(124), "epoch 3\n")[0].contains("timeout(1)"));
}

#[test]
fn workers_that_are_gone_are_named() {
    let loader = "/usr/lib/python3/dist-packages/torch";
    for error in [
        "ConnectionResetError: [Errno 104] Connection reset by peer",
        "FileNotFoundError: [Errno 2] No such file or directory",
    ] {
        let text = format!(
            "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in <module>\n    x\n  File \"{loader}/utils/data/dataloader.py\", line 1243, in _try_get_data\n    x\n  File \"{loader}/multiprocessing/reductions.py\", line 541, in rebuild_storage_fd\n    x\n{error}\n"
        );
        assert!(
            of(Ending::Exited(1), &text)[0].contains("a data loader's worker ended before its batch was read"),
            "{error}"
        );
        assert_no_hint(&[error]);
    }
    assert_hints(&[(
        "distributed.scheduler.KilledWorker: Attempted to run task 'load-3' on 4 different workers, but all those workers died while running it. The last worker was tcp://10.0.0.3:41001.",
        "each worker of Dask that ran this task ended",
    )]);
}
