//! Recorded errors in the forms of hooks, loggers, test runners and libraries, including errors with missing parts.

use super::forms::{told, told_with};
use super::{evidence, recorded, text};
use crate::event::Ending;
use crate::failure::{Evidence, cause};

#[test]
fn the_tracebacks_of_other_exception_hooks_have_a_place() {
    let variables = "    ..................................................\n     rows = [[1], None]\n    ..................................................\n\n";
    let stackprinter = format!(
        "File \"/opt/ml/code/train.py\", line 9, in <module>\n    8    rows = [[1], None]\n--> 9    pad(rows)\n{variables}\
         File \"/opt/ml/code/train.py\", line 5, in pad\n    4    def pad(rows):\n--> 5        return len(rows[1])\n{variables}\
         TypeError: object of type 'NoneType' has no len()\n"
    );
    told(&stackprinter, &["TypeError: object of type 'NoneType' has no len()", "at train.py:5 in pad"]);
    let rule = "-".repeat(60);
    let pretty =
        format!("\n{rule}\ntrain.py 6 <module>\nload(\"b\")\n\ntrain.py 5 load\nreturn table[name]\n\nKeyError:\nb\n");
    told(&pretty, &["KeyError: b", "at train.py:5 in load"]);
    let other_order = format!(
        "{}\n6 <module> /opt/ml/code/train.py\n\n5 load /opt/ml/code/train.py\n\nValueError:\ntwo\nlines\n",
        "*".repeat(60)
    );
    told(&other_order, &["ValueError: two", "at train.py:5 in load", "lines"]);
    let plain = "Traceback (most recent call last):\n  File /opt/ml/code/train.py:8\n    top(5)\n  File /opt/ml/code/train.py:7 in top\n    \
         return xs[k]\nIndexError: list index out of range\n";
    told(plain, &["IndexError: list index out of range", "at train.py:7 in top"]);
    // A rule and a table are ordinary output.
    told(&format!("{rule}\nmetrics.py 5 rows\n{rule}\nno data\n"), &["no data"]);
}

#[test]
fn an_assertion_without_a_message_is_told_by_its_source() {
    let raised = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 5, in check\n    \
         assert len(a) == len(b)\n           ^^^^^^^^^^^^^^^^\nAssertionError";
    told(&format!("{raised}\n"), &["AssertionError: assert len(a) == len(b)", "at train.py:5 in check"]);
    told(&format!("{raised}: 3 rows\n"), &["AssertionError: 3 rows", "at train.py:5 in check"]);
    let other = raised.replace("assert len(a) == len(b)", "compare(a, b)").replace("AssertionError", "RuntimeError");
    told(&format!("{other}\n"), &["RuntimeError", "at train.py:5 in check"]);
}

#[test]
fn the_end_of_a_generator_has_its_place() {
    told(
        "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 5, in batches\n    yield next(rows)\nStopIteration\n\n\
         The above exception was the direct cause of the following exception:\n\n\
         Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 7, in <module>\n    for batch in batches():\n\
         RuntimeError: generator raised StopIteration\n",
        &["RuntimeError: generator raised StopIteration", "at train.py:5 in batches", "caused by: StopIteration"],
    );
}

#[test]
fn an_exception_after_which_the_program_says_to_go_on_is_survived() {
    let raised = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in get\n    read(i)\nConnectionError: reset by peer\n";
    for record in [
        "ERROR:root:attempt 1 failed, trying again",
        "2026-01-02 03:04:05 ERROR shard 3 is broken; skipping it",
        "ERROR download failed, will retry in 3 s",
    ] {
        let stderr = format!("{record}\n{raised}loss is not finite\n");
        told_with(3, &stderr, &["loss is not finite"]);
        // Nothing else reports an error.
        told_with(3, &format!("{record}\n{raised}"), &["ConnectionError: reset by peer", "at train.py:4 in get"]);
    }
    for record in ["ERROR:root:attempt 3 failed, giving up", "ERROR:root:no retries are left: training ends"] {
        let stderr = format!("{record}\n{raised}");
        told_with(3, &stderr, &["ConnectionError: reset by peer", "at train.py:4 in get"]);
    }
}

#[test]
fn an_exception_that_was_logged_long_before_the_end_is_the_last_resort() {
    let logged = "ERROR:root:run failed\nTraceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in fit\n    \
         raise ValueError(name)\nValueError: fold 2 is empty\n";
    let after = |line: &str, count| (0..count).map(|at| format!("INFO:root:{line} {at}\n")).collect::<String>();
    let closing = format!("{logged}{}", after("closing writer", 40));
    told(&closing, &["ValueError: fold 2 is empty", "at train.py:4 in fit"]);
    // The program continued after the exception.
    let steps = format!("{logged}{}", after("step", 40));
    let silent = text(&cause(&evidence(Ending::Exited(1), &steps)));
    assert!(silent.starts_with("exit code 1, with no error printed\nlast line: INFO:root:step 39\n"), "{silent}");
    let other = format!("{closing}the disk has 3 rows\n");
    told(&other, &["the disk has 3 rows"]);
}

#[test]
fn a_traceback_in_the_output_yields_to_another_error_at_the_end() {
    let quoted = "Traceback (most recent call last):\n  File \"answer.py\", line 3, in <module>\nZeroDivisionError: division by zero\n";
    let steps = (0..15).map(|at| format!("sample {at}\n")).collect::<String>();
    let of = |stdout: &str, stderr: &str| {
        let evidence = Evidence { stdout: stdout.as_bytes(), ..evidence(Ending::Exited(2), stderr) };
        text(&cause(&evidence)).lines().next().map(str::to_owned).unwrap_or_default()
    };
    let stderr = "fatal: reward is below -1000, policy collapsed\n";
    assert_eq!(of(&format!("{quoted}{steps}"), stderr), stderr.trim_end());
    // The script printed its own exception and ended.
    assert_eq!(of(quoted, stderr), "ZeroDivisionError: division by zero");
    assert_eq!(of(&format!("{quoted}{steps}"), "Training failed!\n"), "ZeroDivisionError: division by zero");
}

#[test]
fn a_record_has_the_place_that_its_logger_put_before_the_message() {
    told("E1128 23:02:51.492946 140220 train.py:5] no rows in the table\n", &["no rows in the table", "at train.py:5"]);
    told(
        "2026-01-02 03:04:05,106 ERROR [fit/data.py:12] no rows in the table\n",
        &["no rows in the table", "at fit/data.py:12"],
    );
    told("2026-01-02 03:04:05,106 ERROR cannot run fit.py:12 again\n", &["cannot run fit.py:12 again"]);
    told("2026-01-02 03:04:05,106 ERROR ops.cc:12] no rows in the table\n", &["no rows in the table"]);
    told("F0501 10:00:01.000000       1 fit.go:40] no rows in the table\n", &["no rows in the table", "at fit.go:40"]);
    // Go's logger writes no fields.
    told("2024/03/14 12:00:00 load: open x.csv: no such file\n", &["load: open x.csv: no such file"]);
}

#[test]
fn records_of_elastic_and_eliot_are_read() {
    told(
        "{\"@timestamp\":\"2026-01-02\",\"log.level\":\"error\",\"message\":\"fit failed\",\"error\":{\"message\":\"'target'\",\"stack_trace\":\
         \"  File \\\"/opt/ml/code/train.py\\\", line 6, in <module>\\n    fit()\\n  File \\\"/opt/ml/code/train.py\\\", line 5, in fit\\n    row[name]\\n\",\
         \"type\":\"KeyError\"}}\n",
        &["KeyError: 'target'", "at train.py:5 in fit"],
    );
    told(
        "{\"exception\":\"builtins.ValueError\",\"reason\":\"bucket 3 is empty\",\"action_status\":\"failed\",\"action_type\":\"fit\"}\n",
        &["ERROR bucket 3 is empty: builtins.ValueError"],
    );
    let succeeded =
        "{\"action_status\":\"succeeded\",\"action_type\":\"fit\",\"reason\":\"all failed rows were read\"}\n";
    let silent = text(&cause(&evidence(Ending::Exited(1), succeeded)));
    assert!(silent.starts_with("exit code 1, with no error printed\n"), "{silent}");
}

#[test]
fn the_prefix_of_a_containers_log_is_removed() {
    let lines = [
        "Traceback (most recent call last):",
        "  File \"/opt/ml/code/fit.py\", line 3, in f",
        "    g()",
        "ValueError: bad",
    ];
    let log = lines.map(|line| format!("2026-05-06T10:10:10.123456789Z stderr F {line}\n")).concat();
    told(&log, &["ValueError: bad", "at fit.py:3 in f"]);
    told(&log.replace("Z stderr", "Z fit-0 stderr"), &["ValueError: bad", "at fit.py:3 in f"]);
}

#[test]
fn a_module_that_pytest_cannot_import_is_told_with_its_place() {
    let stdout = "____ ERROR collecting test_data.py ____\nImportError while importing test module '/opt/ml/code/test_data.py'.\nTraceback:\n\
         /usr/lib/python3.11/importlib/__init__.py:126: in import_module\n    return _bootstrap._gcd_import(name)\n\
         test_data.py:1: in <module>\n    import acme_rows\nE   ModuleNotFoundError: No module named 'acme_rows'\n\
         ==== short test summary info ====\nERROR test_data.py\n!!!!! Interrupted: 1 error during collection !!!!!\n==== 1 error in 0.55s ====\n";
    let evidence = Evidence { stdout: stdout.as_bytes(), ..evidence(Ending::Exited(2), "") };
    let told = text(&cause(&evidence));
    assert!(
        told.starts_with("ModuleNotFoundError: No module named 'acme_rows'\nat test_data.py:1\nexit code 2\n"),
        "{told}"
    );
}

#[test]
fn a_task_whose_exception_nobody_retrieved_is_told_by_it() {
    told(
        "Task exception was never retrieved\nfuture: <Task finished coro=<fetch() done> exception=OSError('bad')>\n\
         Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in fetch\n    raise OSError(name)\nOSError: bad\n",
        &["OSError: bad", "at train.py:4 in fetch"],
    );
}

#[test]
fn the_substance_of_a_long_message_is_on_the_first_line() {
    let raised = |message: &str| {
        format!(
            "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in load\n    read()\n{message}\n"
        )
    };
    let first = |message: &str| {
        let told = text(&cause(&evidence(Ending::Exited(1), &raised(message))));
        told.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        first(
            "RuntimeError: Error building extension 'ops': [1/2] c++ -O3 -c main.cpp -o main.o\nFAILED: main.o\nmain.cpp:2:45: error: no rows\n  2 | f(x);\n    | ^"
        ),
        "RuntimeError: Error building extension 'ops': main.cpp:2:45: error: no rows"
    );
    assert_eq!(
        first(
            "datasets.table.CastError: Couldn't cast\na: int64\nto\n{'b': Value('string')}\nbecause column names don't match"
        ),
        "datasets.table.CastError: Couldn't cast because column names don't match"
    );
    let weights = first(
        "_pickle.UnpicklingError: Weights only load failed. This file can still be loaded.\n\t(1) Re-running is possible.\n\
         \tWeightsUnpickler error: Unsupported global: GLOBAL net.Config was not allowed",
    );
    assert!(
        weights.ends_with("WeightsUnpickler error: Unsupported global: GLOBAL net.Config was not allowed"),
        "{weights}"
    );
}

#[test]
fn an_error_in_another_task_of_tensorflow_is_told_once_with_its_task() {
    let call = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 22, in <module>\n    coordinator.schedule(step).fetch()\n";
    let defined = |node: &str| {
        format!(
            "Detected at node {node} defined at (most recent call last):\n  File \"/opt/ml/code/train.py\", line 21, in step\n\n  \
             File \"/opt/ml/code/net.py\", line 5, in invert\n\n"
        )
    };
    // Each target repeats the message that it received.
    let repeated = |target: &str, said: &str| {
        format!(
            "Additional GRPC error information from remote target /job:{target} while calling /tensorflow.eager.EagerService/Enqueue:\n\
             :UNKNOWN:Error received from peer  {{grpc_message:\"{said}\\n\\t [[{{{{node Inverse}}}}]]\", grpc_status:3}}"
        )
    };
    let node = defined("Inverse");
    let of_worker = repeated("worker/replica:0/task:1", " Input is singular.");
    told(
        &format!(
            "{call}errors_impl.InvalidArgumentError: Graph execution error:\n\n{node}{node}Input is singular.\n\t [[{{{{node Inverse}}}}]]\n\
             {of_worker} [Op:__inference_step_12]\n"
        ),
        &[
            "errors_impl.InvalidArgumentError: Graph execution error: Input is singular.",
            "at net.py:5 in invert (TensorFlow task /job:worker/replica:0/task:1)",
        ],
    );
    // The closed connection is not an error that was raised in the task.
    told(
        &format!(
            "{call}errors_impl.UnavailableError: Graph execution error:\n\n{node}Socket closed\n{of_worker} [Op:__inference_step_12]\n"
        ),
        &["errors_impl.UnavailableError: Graph execution error: Socket closed", "at net.py:5 in invert"],
    );
    // A Python function of a graph runs in the task that defined it.
    let node = defined("EagerPyFunc");
    let of_chief = repeated("chief/replica:0/task:0", "ValueError: row 17");
    told(
        &format!(
            "{call}errors_impl.InvalidArgumentError: Graph execution error:\n\n{node}ValueError: row 17\nTraceback (most recent call last):\n\n  \
             File \"/usr/lib/python3/dist-packages/tensorflow/python/ops/script_ops.py\", line 152, in _call\n    ret = self._func(*args)\n          \
             ^^^^^^^^^^^^^^^^^\n\n  File \"/tmp/__autograph_generated_file7f.py\", line 38, in f\n    raise ag__.converted_call(ag__.ld(ValueError), \
             ('row 17',), None, fscope_1)\n\nValueError: row 17\n\n\n\t [[{{{{node EagerPyFunc}}}}]]\n{of_chief}\n\t [[EagerPyFunc/_7]]\n{of_worker} \
             [Op:__inference_step_10]\n"
        ),
        &[
            "ValueError: row 17",
            "at net.py:5 in invert (TensorFlow task /job:chief/replica:0/task:0)",
            "passed on as: errors_impl.InvalidArgumentError: Graph execution error: ValueError: row 17",
        ],
    );
}

#[test]
fn the_place_of_a_failed_node_of_a_graph_is_in_its_message() {
    told(
        "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 9, in <module>\n    step(x)\n\
         errors_impl.InvalidArgumentError: Graph execution error:\n\nDetected at node Check defined at (most recent call last):\n  \
         File \"/opt/ml/code/train.py\", line 9, in <module>\n\n  File \"/opt/ml/code/net.py\", line 5, in step\n\nloss : Tensor had Inf values\n\t \
         [[{{node Check}}]] [Op:__inference_step_8]\n",
        &[
            "errors_impl.InvalidArgumentError: Graph execution error: loss : Tensor had Inf values",
            "at net.py:5 in step",
        ],
    );
}

#[test]
fn what_a_library_logged_about_the_error_is_shown() {
    told(
        "[ WARN:0@0.1] global loadsave.cpp:275 findDecoder imread_('/data/1.png'): can't open/read file: check file path/integrity\n\
         Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 5, in size\n    image.shape\n\
         AttributeError: 'NoneType' object has no attribute 'shape'\n",
        &[
            "AttributeError: 'NoneType' object has no attribute 'shape'",
            "at train.py:5 in size",
            "logged: imread_('/data/1.png'): can't open/read file: check file path/integrity",
        ],
    );
}

#[test]
fn a_box_of_required_options_is_told_by_its_words() {
    let boxed = "╭─ Required options ──────╮\n│ Missing from train.py:  │\n│     --data STR          │\n│ ─────────────────────── │\n│ For full helptext, run: │\n╰─────────────────────────╯\n";
    told_with(2, boxed, &["Required options: Missing from train.py: --data STR"]);
}

#[test]
fn an_exception_that_a_handler_logged_as_a_warning_is_survived() {
    let caught = "2026-01-02 03:04:05.106 | WARNING  | __main__:<module>:7 - no metadata\nTraceback (most recent call last):\n\n> File \"/opt/ml/code/train.py\", \
         line 6, in <module>\n    probe()\n\nConnectionError: no answer\n";
    told(&format!("{caught}\nbatch size 7 does not divide\n"), &["batch size 7 does not divide"]);
    let logged = "WARNING:root:no metadata\nTraceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in main\n    probe()\nConnectionError: no answer\n";
    let then = "ERROR:root:fit failed\nTraceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 9, in main\n    fit()\nValueError: no rows\n";
    told(&format!("{logged}{then}"), &["ValueError: no rows", "at train.py:9 in main"]);
    // A record may precede an uncaught exception.
    for first in [
        "File \"/opt/ml/code/train.py\", line 2, in <module>",
        "File \"<frozen runpy>\", line 198, in _run_module_as_main",
    ] {
        let uncaught = format!(
            "WARNING:root:no metadata\nTraceback (most recent call last):\n  {first}\n    main()\n  File \"/opt/ml/code/train.py\", line 3, in main\n    \
             probe()\nConnectionError: no answer\n"
        );
        told(&format!("{uncaught}bye\n{then}"), &["ConnectionError: no answer", "at train.py:3 in main", "bye"]);
    }
}

#[test]
fn a_traceback_with_a_prefix_on_each_line_is_read() {
    let lines = [
        "Traceback (most recent call last):",
        "  File \"/opt/ml/code/fit.py\", line 3, in f",
        "    g()",
        "ValueError: bad",
    ];
    let with = |before: &dyn Fn(usize) -> String| {
        lines.iter().enumerate().map(|(at, line)| before(at) + line + "\n").collect::<String>()
    };
    told(
        &with(&|at| format!("2026-01-02 03:04:05,{:03} | ERROR | ", 98 + at)),
        &["ValueError: bad", "at fit.py:3 in f"],
    );
    told(&with(&|_| "[trainer] ".to_owned()), &["ValueError: bad", "at fit.py:3 in f"]);
    told(&with(&|_| "(fit pid=71, ip=10.0.0.4) ".to_owned()), &["ValueError: bad", "at fit.py:3 in f"]);
    let whole = lines.join("\n");
    told(&format!(" 45%|##   | 45/100 [00:01<00:01, 40.0it/s]{whole}\n"), &["ValueError: bad", "at fit.py:3 in f"]);
}

#[test]
fn the_last_words_in_a_box_are_told_whole() {
    let boxed = "╭─ Training stopped ─────────╮\n│ The image size 224 does not │\n│ match the checkpoint's 256   │\n╰────────────────────────────╯\n";
    told(boxed, &["Training stopped: The image size 224 does not match the checkpoint's 256"]);
    let untitled = boxed.replace(" Training stopped ", "──────────────────");
    told(&untitled, &["The image size 224 does not match the checkpoint's 256"]);
}

#[test]
fn records_with_lists_of_lines_and_with_pairs_in_quotes_are_read() {
    told(
        "{\"log\":{\"level\":\"ERROR\",\"msg\":\"unhandled\"},\"exception\":{\"message\":\"bad\",\"trace\":[\"Traceback (most recent call last):\",\
         \"  File \\\"/opt/ml/code/train.py\\\", line 3, in f\",\"    g()\",\"ValueError: bad\"]}}\n",
        &["ValueError: bad", "at train.py:3 in f"],
    );
    told("level='error' event='the dataset is empty' split='train'\n", &["ERROR the dataset is empty"]);
    told("have=1 event=\"gpu count differs\" level=critical\n", &["CRITICAL gpu count differs"]);
}

#[test]
fn a_number_after_a_word_of_error_is_a_figure_only_if_it_counts_nothing() {
    let first = |stdout: &str| {
        let evidence = Evidence { stdout: stdout.as_bytes(), ..evidence(Ending::Exited(1), "") };
        text(&cause(&evidence)).lines().next().map(str::to_owned).unwrap_or_default()
    };
    for told in [
        "Training aborted: 0 rows match the filter",
        "failed: 3 shards are empty",
        "server said error 404",
        "found no required column",
    ] {
        assert_eq!(first(&format!("{told}\nsee filter.yaml\n")), told);
    }
    for figure in [
        "step 3 error: 0.31 rate: 0.1",
        "error=0.31",
        "failed: 0, read: 7",
        "{'errors': 0}",
        "rows: 7 | missing: 0 | kept: 7",
        "epoch 2: train error 0.27, test error 0.28",
        "31 checks passed, 0 failed",
    ] {
        assert_eq!(first(&format!("{figure}\n")), "exit code 1, with no error printed", "{figure}");
    }
    assert_eq!(first("no errors in 31 files\n"), "exit code 1; last words of its output: no errors in 31 files");
}

#[test]
fn a_record_that_is_a_json_object_over_several_lines_is_read_as_one_line() {
    let first = |stderr: &str| recorded(Ending::Exited(1), stderr).lines().next().unwrap_or_default().to_owned();
    let record =
        "{\n  \"level\": \"error\",\n  \"ts\": 3,\n  \"message\": \"no rows\",\n  \"fields\": [\n    1\n  ]\n}\n";
    assert_eq!(first(record), "ERROR no rows");
    let later = record.replace("error", "info").replace("no rows", "bye");
    assert_eq!(first(&format!("fit\n{record}{later}")), "ERROR no rows");
    // The lines after the error are data, or an object without its end.
    assert_eq!(first("Error: bad shape\n{\n  \"rows\": 3\n}\n"), "Error: bad shape");
    assert_eq!(first("Error: no rows\n{\n  \"level\": \"info\"\n"), "Error: no rows");
}

#[test]
fn a_line_that_only_sums_up_is_not_shown_as_the_last_one() {
    for (error, sum) in [
        ("ValueError: no rows", "make: *** [Makefile:2: fit] Error 1"),
        ("Error: the folder runs/7 exists", "Aborted!"),
        ("Error: no config", "\nStack backtrace:\n   0: fit::main"),
        ("ValueError: no rows", "pdsh@algo-1: algo-2: ssh exited with exit code 1"),
        ("ValueError: no rows", "slurmstepd: error: *** STEP 8.0 ON algo-1 CANCELLED AT 2024-05-02T10:11:12 ***"),
        ("ValueError: no rows", "=   PID 41 RUNNING AT algo-1\n=   YOU CAN IGNORE THE BELOW CLEANUP MESSAGES"),
    ] {
        let text = recorded(Ending::Exited(1), &format!("{error}\n{sum}\n"));
        assert_eq!(text, format!("{error}\nexit code 1\ncommand: python3 train.py"));
    }
    // The summary counts if there is no other line or if it is more informative.
    let first = |stderr: &str| recorded(Ending::Exited(2), stderr).lines().next().unwrap_or_default().to_owned();
    assert_eq!(
        first("make: *** No rule to make target 'fit'.  Stop.\n"),
        "make: *** No rule to make target 'fit'. Stop."
    );
    let limit = "slurmstepd: error: *** JOB 8 ON algo-1 CANCELLED AT 2024-05-02T10:11:12 DUE TO TIME LIMIT ***\n";
    assert_eq!(first(&format!("epoch 3\n{limit}")), limit.trim_end());
}

#[test]
fn the_item_of_a_list_that_states_the_error_is_the_headline() {
    let first = |stderr: &str| recorded(Ending::Exited(1), stderr).lines().next().unwrap_or_default().to_owned();
    assert_eq!(first("Fit failed:\n  stage: warmup\n  error: beam width 0\n"), "error: beam width 0");
    assert_eq!(
        first("Check failed:\n  error: lr must be positive\n  error: no rows\n"),
        "Check failed: error: lr must be positive"
    );
    assert_eq!(first("Check failed:\n  - lr is 0\n  - no rows\n"), "Check failed: - lr is 0");
}

#[test]
fn the_summary_of_a_program_that_ran_others_does_not_hide_their_exception() {
    let raised = "Traceback (most recent call last):\n  File \"/opt/ml/code/flow.py\", line 4, in run\n    x\nValueError: no rows\n";
    for (record, summary) in [
        (
            "[2026-05-01 10:00:00 +0000] [9] [ERROR] Exception in worker process",
            "[2026-05-01 10:00:00 +0000] [7] [ERROR] Shutting down: Master\n[2026-05-01 10:00:00 +0000] [7] [ERROR] Reason: Worker failed to boot.",
        ),
        (
            "ERROR: [pid 71] Worker Worker(salt=1, workers=1) failed    Fit()",
            "===== Luigi Execution Summary =====\n\n* 1 failed:\n    - 1 Fit()\n\nThis progress looks :( because there were failed tasks",
        ),
    ] {
        told_with(3, &format!("{record}\n{raised}{summary}\n"), &["ValueError: no rows", "at flow.py:4 in run"]);
    }
    told(
        "ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.\n\
         \nThe conflict is caused by:\n    The user requested a==1\n    b 2 depends on a==2\n\n\
         ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/en/latest/topics/dependency-resolution\n",
        &[
            "ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.",
            "logged: b 2 depends on a==2",
            "hint: these requirements exclude each other; loosen or remove one of the version pins in the requirements, or choose versions that agree",
        ],
    );
}

#[test]
fn a_demand_is_no_error_if_other_last_words_follow() {
    let first = |stderr: &str| recorded(Ending::Exited(1), stderr).lines().next().unwrap_or_default().to_owned();
    for demand in
        ["columns required: age, label", "seed must be set", "note: rows must be sorted", "a label is required"]
    {
        assert_eq!(
            first(&format!("{demand}\nthe table has only the column age\n")),
            "the table has only the column age"
        );
        assert_eq!(first(&format!("{demand}\n")), demand);
        assert_eq!(first(&format!("{demand}\nexiting\n")), demand);
        assert_eq!(first(&format!("{demand}\nsee the README of the project\n")), demand);
    }
    assert_eq!(first("error: seed must be set\nthe run is over and the table is empty\n"), "error: seed must be set");
}

#[test]
fn the_reason_of_a_solver_and_of_a_filter_of_git_is_the_headline() {
    told(
        "Solving environment: ...working... failed\n\nLibMambaUnsatisfiableError: Encountered problems while solving:\n  - nothing provides libfit 9.9 needed by rows-1.0\n\nCould not solve for environment specs\nThe following packages are incompatible\n└─ rows 1.0  is not installable because it requires\n   └─ libfit 9.9 , which does not exist (perhaps a missing channel).\n",
        &[
            "LibMambaUnsatisfiableError: Encountered problems while solving: - nothing provides libfit 9.9 needed by rows-1.0",
            "last line: └─ libfit 9.9 , which does not exist (perhaps a missing channel).",
            "hint: these requirements exclude each other; loosen or remove one of the version pins in the requirements, or choose versions that agree",
        ],
    );
    told_with(
        128,
        "Error downloading object: rows.bin (3f2a9c8): Smudge error: Error downloading rows.bin: batch response: This repository is over its data quota.\n\nErrors logged to '/opt/x/.git/lfs/logs/2.log'.\nUse `git lfs logs last` to view the log.\nerror: external filter 'git-lfs filter-process' failed\nfatal: rows.bin: smudge filter lfs failed\n",
        &[
            "Error downloading object: rows.bin (3f2a9c8): Smudge error: Error downloading rows.bin: batch response: This repository is over its data quota.",
        ],
    );
}

#[test]
fn records_that_only_say_goodbye_do_not_hide_the_last_words() {
    let first = |stderr: &str| recorded(Ending::Exited(1), stderr).lines().next().unwrap_or_default().to_owned();
    let words = "labels and rows differ in length";
    for end in ["INFO:root:closing", "2026-05-01 10:00:00,000 - fit - INFO - shutting down", "[INFO] exiting."] {
        assert_eq!(first(&format!("{words}\n{end}\n")), words, "{end}");
    }
    let goes_on = format!("{words}\nINFO:root:rows were padded to the longest label\n");
    assert_eq!(first(&goes_on), "exit code 1, with no error printed");
}

#[test]
fn a_title_of_an_error_is_followed_by_the_headline() {
    let first = |stderr: &str| recorded(Ending::Exited(1), stderr).lines().next().unwrap_or_default().to_owned();
    let rule = "=".repeat(20);
    assert_eq!(
        first(&format!("{rule}\nFATAL\n{rule}\nThe beam is 0 wide.\nPlease see the docs.\n")),
        "The beam is 0 wide."
    );
    assert_eq!(first("*** ERROR ***\nThe beam is 0 wide.\n"), "The beam is 0 wide.");
    assert_eq!(first("The beam is 0 wide.\nFATAL\n"), "The beam is 0 wide.");
    assert_eq!(first("FATAL\n"), "FATAL");
    let preload =
        "ERROR: ld.so: object '/x.so' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored.";
    assert_eq!(first(&format!("{preload}\nThe beam is 0 wide.\n")), "The beam is 0 wide.");
}

#[test]
fn an_exception_that_a_function_caught_is_not_that_of_a_later_exit() {
    let raised = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in load\n    import fused\nModuleNotFoundError: No module named 'fused'\n";
    let steps = "the slow kernel is used\nepoch 1 loss 0.5\nepoch 2 loss 0.4\n";
    let text = recorded(Ending::Exited(7), &format!("{raised}{steps}"));
    assert!(text.starts_with("exit code 7, with no error printed\n"), "{text}");
    // Without progress, the exception is the best evidence.
    told_with(
        7,
        raised,
        &[
            "ModuleNotFoundError: No module named 'fused'",
            "at train.py:4 in load",
            "hint: add fused to requirements.txt beside the script, or, if it is your own module, put it there too",
        ],
    );
}
