//! The failure of a child process or thread behind an exception that only reports it, and explanatory lines outside a
//! traceback.

use super::{evidence, forms, script, text};
use crate::event::Ending;
use crate::failure::memory::OutOfMemory;
use crate::failure::{Evidence, Weight, cause, judge};

const EXIT_1: Ending = Ending::Exited(1);
const ABORT: Ending = Ending::Signaled(6);

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// Returns the failure text of a recorded stderr, without the command.
fn told(ending: Ending, stderr: &str) -> Vec<String> {
    let text = text(&cause(&evidence(ending, stderr)));
    text.lines().filter(|line| !line.starts_with("command: ")).map(str::to_owned).collect()
}

#[test]
fn the_error_of_a_spawned_child_comes_before_a_bare_eof_error() {
    let text = script("import multiprocessing\nshared = multiprocessing.get_context('spawn').Manager().dict()\n");
    let found = lines(&text);
    assert!(found[0].starts_with("RuntimeError: An attempt has been made to start a new process"), "{text}");
    assert!(found.contains(&"passed on as: EOFError (at train.py:2)"), "{text}");
}

#[test]
fn the_error_of_a_child_process_comes_before_a_broken_pool() {
    let text = script(
        "import os, sys\nfrom concurrent.futures import ProcessPoolExecutor\n\
         def load():\n    raise OSError('no shard 3')\n\
         def work():\n    import traceback\n    try:\n        load()\n    except OSError:\n        traceback.print_exc()\n        os._exit(1)\n\
         if __name__ == '__main__':\n    with ProcessPoolExecutor(1) as pool:\n        pool.submit(work).result()\n",
    );
    let found = lines(&text);
    assert_eq!(found[..2], ["OSError: no shard 3", "at train.py:4 in load"], "{text}");
    assert!(found[2].starts_with("passed on as: concurrent.futures.process.BrokenProcessPool: "), "{text}");
}

#[test]
fn a_thread_that_ended_comes_before_the_main_threads_empty_queue() {
    let text = script(
        "import queue, threading\nq = queue.Queue()\n\
         def load():\n    raise OSError('no shard 3')\n\
         threading.Thread(target=load, name='loader', daemon=True).start()\nq.get(timeout=0.3)\n",
    );
    let expected =
        ["OSError: no shard 3", "at train.py:4 in load (thread loader)", "passed on as: _queue.Empty (at train.py:6)"];
    assert_eq!(lines(&text)[..3], expected);
    let text = script(
        "import _thread, queue\nq = queue.Queue()\n\
         def load():\n    raise OSError('no shard 3')\n\
         _thread.start_new_thread(load, ())\nq.get(timeout=0.3)\n",
    );
    assert_eq!(lines(&text)[..2], ["OSError: no shard 3", "at train.py:4 in load (thread load)"]);
}

#[test]
fn an_error_that_a_wrapper_caught_long_before_is_not_that_of_its_command() {
    let handled = "Traceback (most recent call last):\n  File \"train.py\", line 1, in a\n    x\nKeyError: 'old'\n";
    let steps: String = (0..30).map(|n| format!("INFO:root:copied file {n}\n")).collect();
    let last = "Traceback (most recent call last):\n  File \"train.py\", line 9, in b\n    y\n\
                subprocess.CalledProcessError: Command 'x' returned non-zero exit status 3.\n";
    let found = told(EXIT_1, &format!("{handled}{steps}{last}"));
    assert_eq!(found[0], "subprocess.CalledProcessError: Command 'x' returned non-zero exit status 3.");
}

#[test]
fn lines_of_kernels_drivers_and_libraries_explain_their_errors() {
    let raised = |error: &str| {
        format!("Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in f\n    x\n{error}\n")
    };
    for (ending, before, error, logged) in [
        (
            ABORT,
            "../aten/src/ATen/native/cuda/Loss.cu:250: nll_loss: block: [0,0,0], thread: [3,0,0] Assertion `t >= 0` failed.",
            "terminate called after throwing an instance of 'c10::Error'\n  what():  CUDA error: device-side assert triggered",
            "../aten/src/ATen/native/cuda/Loss.cu:250: nll_loss: block: [0,0,0], thread: [3,0,0] Assertion `t >= 0` failed.",
        ),
        (
            EXIT_1,
            "[ 99.1] NVRM: Xid (PCI:0000:10:1c): 79, pid=71, GPU has fallen off the bus.",
            &raised("RuntimeError: CUDA error: unspecified launch failure"),
            "NVRM: Xid (PCI:0000:10:1c): 79, pid=71, GPU has fallen off the bus.",
        ),
        (
            EXIT_1,
            "algo-1:9:9 [0] NCCL INFO a\nalgo-1:9:9 [0] misc/socket.cc:484 NCCL WARN socketStartConnect: Connect to x failed",
            &raised("torch.distributed.DistBackendError: NCCL error in: a.cpp:1, unhandled system error"),
            "NCCL WARN socketStartConnect: Connect to x failed",
        ),
        (
            EXIT_1,
            "2024-May-21 16:08:34.1 58:58 ERROR   TDRV:exec   Execution timeout on Neuron Device 0",
            &raised("RuntimeError: Bad StatusOr access: INTERNAL: nrt_execute status=5"),
            "TDRV:exec Execution timeout on Neuron Device 0",
        ),
        (
            EXIT_1,
            "ERROR ||NEURON_CC_WRAPPER||: Failed compilation: [TEN404] Internal tensorizer error: too many instructions",
            &raised("RuntimeError: Bad StatusOr access: INTERNAL: RunNeuronCCImpl: error condition error != 0"),
            "[TEN404] Internal tensorizer error: too many instructions",
        ),
        (
            EXIT_1,
            "2024-07-30 10:00:00.1 E external/xla/cuda/cuda_dnn.cc:407] Could not create cudnn handle: 4",
            &raised("jaxlib.xla_extension.XlaRuntimeError: FAILED_PRECONDITION: DNN library initialization failed."),
            "cuda_dnn.cc:407] Could not create cudnn handle: 4",
        ),
    ] {
        let found = told(ending, &format!("{before}\n{error}\n"));
        assert!(found.contains(&format!("logged: {logged}")), "{logged}: {found:#?}");
        // These lines occur in other logs too, and do not explain an error of the script.
        let other = told(EXIT_1, &format!("{before}\n{}", raised("ValueError: bad")));
        assert!(!other.iter().any(|line| line.starts_with("logged: ")), "{other:#?}");
    }
}

#[test]
fn out_of_memory_comes_first_if_only_a_child_was_killed() {
    let memory = Some(OutOfMemory { peak_bytes: None, limit_bytes: Some(1 << 30), whole_machine: false });
    let first = |ending, stderr: &str| {
        let text = text(&cause(&Evidence { memory, ..evidence(ending, stderr) }));
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        first(EXIT_1, ""),
        "out of memory: the kernel killed a process of the container; then exit code 1, with no error printed"
    );
    let pool = "Traceback (most recent call last):\n  File \"train.py\", line 4, in f\n    x\n\
                concurrent.futures.process.BrokenProcessPool: A process in the process pool was terminated abruptly\n";
    assert_eq!(
        first(EXIT_1, pool),
        "out of memory: the kernel killed a process of the container; then concurrent.futures.process.BrokenProcessPool: A \
         process in the process pool was terminated abruptly"
    );
    assert_eq!(first(Ending::Signaled(9), ""), "killed by SIGKILL (signal 9): out of memory");
}

#[test]
fn a_process_that_was_told_to_end_counts_only_if_it_was_failing() {
    let weight = |ending, stderr: &str| judge(&Evidence { told_to_end: true, ..evidence(ending, stderr) }).weight;
    let bad = "Traceback (most recent call last):\n  File \"train.py\", line 4, in f\n    x\nValueError: bad\n";
    let term = Ending::Signaled(15);
    let failing = judge(&Evidence { told_to_end: true, ..evidence(term, bad) });
    assert_eq!((failing.weight, failing.cause.headline.as_str()), (Weight::Own, "ValueError: bad"));
    assert_eq!(weight(term, "step 1\n"), Weight::Told);
    // The process continued after the exception.
    let steps: String = (0..30).map(|n| format!("INFO:root:step {n}\n")).collect();
    assert_eq!(weight(term, &format!("{bad}{steps}")), Weight::Told);
    assert_eq!(weight(EXIT_1, "saving\n"), Weight::Told);
    let stop = bad.replace("ValueError: bad", "RuntimeError: got SIGTERM");
    assert_eq!(weight(EXIT_1, &stop), Weight::Told);
    let lost = bad.replace("ValueError: bad", "ConnectionResetError: [Errno 104] Connection reset by peer");
    assert_eq!(weight(EXIT_1, &lost), Weight::Consequence);
}

#[test]
fn an_uncaught_exception_counts_whatever_exit_handlers_write_after_it() {
    let bad = "Traceback (most recent call last):\n  File \"train.py\", line 4, in f\n    x\nValueError: bad\n";
    let many = |word: &str| (0..500).map(|n| format!("INFO:root:{word} {n}\n")).collect::<String>();
    assert_eq!(told(EXIT_1, &format!("{bad}{}", many("closing writer")))[0], "ValueError: bad");
    // The program continued, or reported another error.
    for after in [many("epoch"), format!("{}no such checkpoint\n", many("copied"))] {
        assert_ne!(told(EXIT_1, &format!("{bad}{after}"))[0], "ValueError: bad");
    }
}

#[test]
fn a_caught_error_gives_way_to_the_one_that_ends_the_program() {
    const CAUGHT: &str = "Traceback (most recent call last):\n  File \"train.py\", line 3, in <module>\n    load()\n\
                          ValueError: the cache has no entry\n";
    let logged = format!("ERROR:root:could not read it\n{CAUGHT}");
    let headline =
        |code: i32, before: &str, after: &str| told(Ending::Exited(code), &format!("{before}{after}\n")).remove(0);
    for (code, before, after, expected) in [
        (
            3,
            CAUGHT,
            "ERROR:root:validation accuracy 0.2 is below the limit",
            "ERROR:root:validation accuracy 0.2 is below the limit",
        ),
        (2, CAUGHT, "Using the slow path\nERROR: dataset is empty", "ERROR: dataset is empty"),
        (
            1,
            &logged,
            "WARNING:root:going on without it\nfatal: no data in channel train",
            "fatal: no data in channel train",
        ),
    ] {
        assert_eq!(headline(code, before, after), expected);
    }
    for (code, before, after) in [
        // The program only states that it ends, or states the same error in its own words.
        (3, CAUGHT, "ERROR: Training failed, cleaning up"),
        (3, CAUGHT, "ERROR:root:shutting down because of an unexpected error"),
        (1, &logged, "error: no entry for this batch"),
        (1, &logged, "CRITICAL:root:Job aborted, see the log above"),
        // The exception was not caught, and an exit handler wrote the line.
        (1, CAUGHT, "ERROR: upload of run files did not complete"),
    ] {
        assert_eq!(headline(code, before, after), "ValueError: the cache has no entry", "{after}");
    }
}

#[test]
fn a_childs_exception_is_behind_the_error_that_nothing_came() {
    let child = "Process tokenizer-0:\nTraceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in work\n    row['tokens']\nKeyError: 'tokens'\n";
    let parent = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 8, in <module>\n    q.get(timeout=2)\n_queue.Empty\n\n\
         The above exception was the direct cause of the following exception:\n\n\
         Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 9, in <module>\n    raise\nRuntimeError: no tokens arrived\n";
    super::forms::told(
        &format!("{child}{parent}"),
        &[
            "KeyError: 'tokens'",
            "at train.py:3 in work (process tokenizer-0)",
            "passed on as: RuntimeError: no tokens arrived (at train.py:9)",
        ],
    );
    super::forms::told(
        parent,
        &["RuntimeError: no tokens arrived", "at train.py:9", "caused by: _queue.Empty (at train.py:8)"],
    );
}

#[test]
fn the_error_of_a_worker_comes_before_an_assertion_about_several_workers() {
    let child = "Process Process-2:\nTraceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in load\n    x\nValueError: no rows in part 4\n";
    for message in ["2 workers failed", "some of the processes exited", "both children died"] {
        let own = format!(
            "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 9, in <module>\n    x\nAssertionError: {message}\n"
        );
        let found = told(EXIT_1, &format!("{child}{own}"));
        let passed_on = format!("passed on as: AssertionError: {message} (at train.py:9)");
        assert_eq!(
            found[..3],
            ["ValueError: no rows in part 4", "at train.py:3 in load (process Process-2)", &passed_on]
        );
    }
}

#[test]
fn a_failed_wait_is_explained_by_the_end_of_a_task_or_sender() {
    let raised = |path: &str, function: &str, error: &str| {
        format!("Traceback (most recent call last):\n  File \"{path}\", line 7, in {function}\n    x\n{error}\n")
    };
    let waited = |error: &str| raised("/opt/ml/code/train.py", "main", error);
    let task = "Task exception was never retrieved\nfuture: <Task finished name='Task-2' coro=<read() done> exception=OSError('no part 4')>\n";
    let task = task.to_owned() + &raised("/opt/ml/code/parts.py", "read", "OSError: no part 4");
    let found = told(EXIT_1, &(task + &waited("TimeoutError")));
    assert_eq!(found[..2], ["OSError: no part 4", "at parts.py:7 in read"]);
    let sender =
        raised("/usr/lib/python3.11/multiprocessing/queues.py", "_feed", "TypeError: cannot pickle 'generator' object");
    let found = told(EXIT_1, &(sender + &waited("_queue.Empty")));
    assert_eq!(found[..2], ["TypeError: cannot pickle 'generator' object", "at train.py:7 in main"]);
    // The script printed an exception that it had handled.
    let handled = raised("/opt/ml/code/parts.py", "read", "OSError: no part 4");
    assert_eq!(told(EXIT_1, &(handled + &waited("TimeoutError")))[0], "TimeoutError");
}

#[test]
fn the_first_of_several_threads_that_ended_together_is_the_cause() {
    let ended = |name: &str, error: &str| {
        format!(
            "Exception in thread {name}:\nTraceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in {name}\n    x\n{error}\n"
        )
    };
    let (reader, writer) = (ended("reader", "OSError: no part 4"), ended("writer", "RuntimeError: nothing to write"));
    assert_eq!(told(EXIT_1, &format!("{reader}{writer}"))[0], "OSError: no part 4");
    // The program worked on after the first thread had ended.
    let files: String = (0..30).map(|n| format!("wrote file {n}\n")).collect();
    assert_eq!(told(EXIT_1, &format!("{reader}{files}{writer}"))[0], "RuntimeError: nothing to write");
    let lost = ended("sender", "ConnectionResetError: [Errno 104] Connection reset by peer");
    assert_eq!(told(EXIT_1, &format!("{lost}{writer}"))[0], "RuntimeError: nothing to write");
}

#[test]
fn the_exception_of_a_child_process_is_told_beside_one_of_the_script() {
    let child = "Process Process-3:\nTraceback (most recent call last):\n  File \"/opt/ml/code/work.py\", line 9, in serve\n    x\nKeyError: 'port'\n";
    let own = |words: &str| {
        format!(
            "{child}Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 30, in <module>\n    check()\n{words}\n"
        )
    };
    forms::told(
        &own("ValueError: the queue is stale"),
        &[
            "ValueError: the queue is stale",
            "at train.py:30",
            "before it: KeyError: 'port' (at work.py:9 in serve in process Process-3)",
        ],
    );
    forms::told(
        &own("RuntimeError: worker ended with 1"),
        &[
            "KeyError: 'port'",
            "at work.py:9 in serve (process Process-3)",
            "passed on as: RuntimeError: worker ended with 1 (at train.py:30)",
        ],
    );
}

#[test]
fn the_exception_of_a_trial_counts_before_the_tuners_report() {
    let raised = |file: &str, error: &str| {
        format!(
            "Traceback (most recent call last):\n  File \"/opt/ml/code/{file}.py\", line 3, in fit\n    x\n{error}\n"
        )
    };
    let of_trial = raised("fit", "KeyError: 'label'");
    let of_tuner = raised("tune", "ray.tune.error.TuneError: ('Trials did not complete', [fit_3])");
    forms::told(
        &format!(
            "2026-05-01 10:00:00,000\tERROR tune_controller.py:1331 -- Trial task failed for trial fit_3\n{of_trial}{of_tuner}"
        ),
        &[
            "KeyError: 'label'",
            "at fit.py:3 in fit",
            "passed on as: ray.tune.error.TuneError: ('Trials did not complete', [fit_3]) (at tune.py:3 in fit)",
        ],
    );
}

#[test]
fn a_childs_words_above_the_report_of_its_exit_are_the_cause() {
    let report = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in <module>\n    subprocess.run(command, check=True)\n\
                  subprocess.CalledProcessError: Command 'convert' returned non-zero exit status 1.\n";
    let found = told(EXIT_1, &format!("step 3\nconvert: the image has four channels\n{report}"));
    assert_eq!(found[..2], ["convert: the image has four channels", "at train.py:4"], "{found:#?}");
    for other in ["loss: one more step", "converting: all the images...", "INFO:fit: all images converted"] {
        let found = told(EXIT_1, &format!("{other}\n{report}"));
        assert!(found[0].starts_with("subprocess.CalledProcessError: "), "{found:#?}");
    }
}

#[test]
fn the_error_in_an_exception_of_invoke_is_the_cause() {
    let raised = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in <module>\n    run(command)\n\
                  invoke.exceptions.UnexpectedExit: Encountered a bad command exit code!\n\nCommand: './fit'\n\nExit code: 4\n\n";
    let captured = told(EXIT_1, &format!("{raised}Stdout:\n\nreading\n\nStderr:\n\nfit: shard 3 is broken\n\n"));
    assert_eq!(captured[..2], ["fit: shard 3 is broken", "at train.py:3"], "{captured:#?}");
    let shown = format!("fit: shard 3 is broken\n{raised}Stdout: already printed\n\nStderr: already printed\n\n");
    let shown = told(EXIT_1, &shown);
    assert_eq!(shown[..2], ["fit: shard 3 is broken", "at train.py:3"], "{shown:#?}");
}

#[test]
fn the_crash_of_a_child_is_the_cause_of_the_report_below_it() {
    let dump = "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f (most recent call first):\n  File \"/opt/ml/code/train.py\", line 4 in load\n  File \"/opt/ml/code/train.py\", line 9 in <module>\n";
    let raised = |error: &str| {
        format!(
            "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 9, in <module>\n    wait()\n{error}\n"
        )
    };
    for error in [
        "concurrent.futures.process.BrokenProcessPool: A process in the process pool was terminated abruptly.",
        "RuntimeError: worker exited with code -11",
    ] {
        let found = told(EXIT_1, &format!("{dump}{}", raised(error)));
        assert_eq!(found[..2], ["Fatal Python error: Segmentation fault", "at train.py:4 in load"], "{found:#?}");
        assert_eq!(found[2], format!("passed on as: {error} (at train.py:9)"));
    }
    let found = told(EXIT_1, &format!("{dump}a new worker was started\n{}", raised("ValueError: no rows")));
    assert_eq!(found[0], "ValueError: no rows");
}

#[test]
fn the_message_of_an_exit_is_the_cause_if_a_thread_raised_afterwards() {
    let raised = "Exception in thread Thread-1 (beat):\nTraceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in beat\n    send()\nConnectionError: the server is gone\n";
    let found = told(EXIT_1, &format!("fold 2 has 0 rows\n{raised}"));
    assert_eq!(found[0], "fold 2 has 0 rows");
    assert!(found[1].starts_with("then: ConnectionError: the server is gone (at train.py:4 in beat"), "{found:#?}");
    for other in ["waiting for the threads", "INFO:root:fold 2", "epoch 3"] {
        let found = told(EXIT_1, &format!("{other}\n{raised}"));
        assert_eq!(found[0], "ConnectionError: the server is gone", "{found:#?}");
    }
}
