//! Recorded errors in the forms of many programs. Each must be reported with its headline, its place and its details.

use super::recorded;
use crate::event::Ending;

/// Asserts that the failure text of a program with exit code 1 consists of these lines, the exit code and the command.
#[track_caller]
pub(super) fn told(stderr: &str, lines: &[&str]) {
    told_with(1, stderr, lines);
}

#[track_caller]
pub(super) fn told_with(code: i32, stderr: &str, lines: &[&str]) {
    let (hints, lines): (Vec<&str>, Vec<&str>) = lines.iter().partition(|line| line.starts_with("hint: "));
    let exit_code = format!("exit code {code}");
    let ends = [exit_code.as_str()].into_iter().chain(hints).chain(["command: python3 train.py"]);
    let expected = lines.into_iter().chain(ends).collect::<Vec<_>>().join("\n");
    assert_eq!(recorded(Ending::Exited(code), stderr), expected);
}

#[test]
fn a_traceback_in_richs_box_has_its_place_and_its_chain() {
    let boxed = "\
╭───────────── Traceback (most recent call last) ──────────────╮
│ /opt/ml/code/train.py:12 in <module>                         │
│                                                              │
│    9                                                         │
│ ❱ 12 main()                                                  │
│                                                              │
│ /opt/ml/code/a_rather_long_folder/with_a_long_name/data.py:7 │
│ in rows                                                      │
│                                                              │
│ ❱ 7 │   raise KeyError(name)                                 │
│ ╭─ locals ─╮                                                 │
│ │ name = 3 │                                                 │
│ ╰──────────╯                                                 │
╰──────────────────────────────────────────────────────────────╯
KeyError: 'label'

The above exception was the direct cause of the following exception:

╭───────────── Traceback (most recent call last) ──────────────╮
│ /opt/ml/code/train.py:10 in main                             │
│                                                              │
│ ❱ 10 │   raise RuntimeError(text) from error                 │
╰──────────────────────────────────────────────────────────────╯
RuntimeError: the table of the evaluation has no column for the
label
";
    let expected = [
        "RuntimeError: the table of the evaluation has no column for the label",
        "at train.py:10 in main",
        "caused by: KeyError: 'label' (at a_rather_long_folder/with_a_long_name/data.py:7 in rows)",
    ];
    told(boxed, &expected);
    let ascii = boxed.replace(['╭', '╮', '╰', '╯'], "+").replace('─', "-").replace('│', "|").replace('❱', ">");
    told(&ascii, &expected);
    let inner = boxed.split("\n\nThe above").next().unwrap();
    told(inner, &["KeyError: 'label'", "at a_rather_long_folder/with_a_long_name/data.py:7 in rows"]);
}

#[test]
fn a_box_with_the_title_error_is_told_by_the_words_in_it() {
    let boxed = "Usage: train.py [OPTIONS]\nTry 'train.py --help' for help.\n╭─ Error ──────────────╮\n│ Invalid value for    │\n│ '--rate': x is not a │\n│ number.              │\n╰──────────────────────╯\n";
    told_with(2, boxed, &["Error: Invalid value for '--rate': x is not a number."]);
    // Other boxes are ordinary output.
    let other = "╭─ Settings ─╮\n│ rate = 3   │\n╰────────────╯\n";
    told(&format!("{other}no data\n"), &["no data"]);
}

#[test]
fn the_box_of_a_launcher_does_not_hide_the_scripts_own_error() {
    told(
        "Traceback (most recent call last):\n  File \"/opt/ml/code/tune.py\", line 8, in fit\n    rows[0]\nIndexError: no rows\n╭──── Traceback (most recent call last) ────╮\n│ /opt/conda/bin/accelerate:8 in <module>   │\n╰───────────────────────────────────────────╯\nCalledProcessError: Command '['/opt/conda/bin/python', 'tune.py']' returned non-zero exit status 1.\n",
        &["IndexError: no rows", "at tune.py:8 in fit"],
    );
}

#[test]
fn a_traceback_of_ipython_or_of_a_notebook_has_its_place() {
    let cell = "\
---------------------------------------------------------------------------
ZeroDivisionError                         Traceback (most recent call last)
Cell In[7], line 3
      1 total = 3
----> 3 mean(total, 0)

File /opt/ml/code/stats.py:11, in mean(total, count)
     10 def mean(total, count):
---> 11     return total / count

ZeroDivisionError: division by zero
";
    told(cell, &["ZeroDivisionError: division by zero", "at stats.py:11 in mean"]);
    let wrapped = format!(
        "Traceback (most recent call last):\n  File \"/opt/conda/bin/papermill\", line 8, in <module>\n    sys.exit(papermill())\npapermill.exceptions.PapermillExecutionError: \n{0}\nException encountered at \"In [7]\":\n{1}",
        "-".repeat(75),
        cell.replace("File /opt/ml/code/stats.py:11, in mean(total, count)\n     10 def mean(total, count):\n---> 11     return total / count\n\n", ""),
    );
    told(
        &wrapped,
        &[
            "ZeroDivisionError: division by zero",
            "at Cell In[7]:3",
            "passed on as: papermill.exceptions.PapermillExecutionError",
        ],
    );
    let old = "KeyError                                  Traceback (most recent call last)\n<ipython-input-2-0a1b> in <module>\n----> 1 table['x']\n\n/usr/lib/python3.7/site-packages/pandas/core/frame.py in __getitem__(self, key)\n-> 3024             indexer = self.columns.get_loc(key)\n\nKeyError: 'x'\n";
    told(old, &["KeyError: 'x'", "at <ipython-input-2-0a1b>:1"]);
}

#[test]
fn a_traceback_within_a_json_record_is_read() {
    let traceback = r#"Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 6, in fit\n    row[\"y\"]\nKeyError: 'y'"#;
    for record in [
        format!(r#"{{"event": "fit failed", "level": "error", "exception": "{traceback}"}}"#),
        format!(r#"{{"levelname": "ERROR", "message": "fit failed", "exc_info": "{traceback}"}}"#),
        format!(r#"{{"severity": "CRITICAL", "message": "fit failed\n{traceback}"}}"#),
        format!(r#"{{"log": {{"level": "error"}}, "message": "fit failed", "error": {{"stack_trace": "{traceback}"}}}}"#),
        r#"{"level": "error", "event": "x", "exception": [{"exc_type": "KeyError", "exc_value": "'y'", "frames": [{"filename": "/opt/ml/code/train.py", "lineno": 6, "name": "fit"}]}]}"#.to_owned(),
        format!("stderr of the worker: b\"{traceback}\""),
    ] {
        told(&format!("{record}\n"), &["KeyError: 'y'", "at train.py:6 in fit"]);
    }
}

#[test]
fn a_record_for_machines_is_shown_by_its_message() {
    for record in [
        r#"{"level": "fatal", "msg": "no index in /data", "ts": 1.5}"#,
        r#"{"time": "2024-01-01", "level": 60, "msg": "no index in /data"}"#,
        r#"{"severity": "ERROR", "message": "no index in /data"}"#,
        r#"time="2024-01-01T00:00:00Z" level=fatal msg="no index in /data""#,
    ] {
        let done = r#"{"level": "info", "msg": "errors: 0"}"#;
        told(
            &format!("{record}\n{done}\n"),
            &["ERROR no index in /data"].map(
                |line| {
                    if record.contains("fatal") { "FATAL no index in /data" } else { line }
                },
            ),
        );
    }
}

#[test]
fn errors_of_node_have_a_place() {
    told(
        "/opt/ml/code/fit.js:5\n    throw new TypeError('bad row');\n    ^\n\nTypeError: bad row\n    at load (/opt/ml/code/fit.js:5:11)\n    at Object.<anonymous> (/opt/ml/code/fit.js:9:1)\n    at Module._compile (node:internal/modules/cjs/loader:1554:14)\n\nNode.js v20.1.0\n",
        &["TypeError: bad row", "at fit.js:5 in load"],
    );
    told(
        "node:internal/modules/cjs/loader:1148\n  throw err;\n  ^\n\nError: Cannot find module 'tensors'\nRequire stack:\n- /opt/ml/code/fit.js\n    at Module._resolveFilename (node:internal/modules/cjs/loader:1145:15)\n    at Object.<anonymous> (/opt/ml/code/fit.js:2:12) {\n  code: 'MODULE_NOT_FOUND',\n  requireStack: [ '/opt/ml/code/fit.js' ]\n}\n\nNode.js v20.1.0\n",
        &[
            "Error: Cannot find module 'tensors'",
            "at fit.js:2",
            "Require stack: - /opt/ml/code/fit.js",
            "hint: the Node package tensors is not installed; add it to package.json and run npm install (npm ci) when the image is built",
        ],
    );
    told(
        "Error: no model\n    at async file:///opt/ml/code/fit.mjs:3:9 {\n  [cause]: RangeError: 7 layers\n      at build (file:///opt/ml/code/net.mjs:4:5)\n}\n",
        &["Error: no model", "at fit.mjs:3", "caused by: RangeError: 7 layers (at net.mjs:4 in build)"],
    );
    told(
        "/opt/ml/code/fit.js:3\nlet x = ;\n        ^\n\nSyntaxError: Unexpected token ';'\n    at wrapSafe (node:internal/modules/cjs/loader:1469:18)\n",
        &["SyntaxError: Unexpected token ';'", "at fit.js:3"],
    );
}

#[test]
fn errors_of_java_have_a_place_and_their_causes() {
    told(
        "Exception in thread \"main\" java.lang.IllegalStateException: cannot train\n\tat com.acme.Train.run(Train.java:31)\n\tat com.acme.Train.main(Train.java:12)\nCaused by: java.io.FileNotFoundException: /data/x (No such file or directory)\n\tat java.base/java.io.FileInputStream.open0(Native Method)\n\tat com.acme.Train.read(Train.java:40)\n\t... 1 more\n",
        &[
            "java.lang.IllegalStateException: cannot train",
            "at Train.java:31 in com.acme.Train.run",
            "caused by: java.io.FileNotFoundException: /data/x (No such file or directory) (at Train.java:40 in com.acme.Train.read)",
        ],
    );
    told(
        "2026-01-02 03:04:05,106 ERROR [main] com.acme.Train - stopped\njava.lang.ArithmeticException: / by zero\n\tat com.acme.Train.run(Train.java:7)\n",
        &["java.lang.ArithmeticException: / by zero", "at Train.java:7 in com.acme.Train.run"],
    );
    told(
        "Unhandled exception. System.InvalidOperationException: no rows\n   at Acme.Train.Run(Int32 n) in /opt/ml/code/Train.cs:line 9\n   at Acme.Train.Main() in /opt/ml/code/Train.cs:line 3\n",
        &["System.InvalidOperationException: no rows", "at Train.cs:9 in Acme.Train.Run"],
    );
}

#[test]
fn a_panic_of_go_has_a_place() {
    told_with(
        2,
        "panic: runtime error: index out of range [5] with length 3 [recovered]\n\npanic: again\n\ngoroutine 1 [running]:\npanic({0x1, 0x2})\n\t/usr/local/go/src/runtime/panic.go:884 +0x213\nmain.load(...)\n\t/opt/ml/code/main.go:8\nmain.main()\n\t/opt/ml/code/main.go:12 +0x1d\nexit status 2\n",
        &["panic: runtime error: index out of range [5] with length 3", "at main.go:8 in main.load", "panic: again"],
    );
    told_with(
        2,
        "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/opt/ml/code/main.go:5 +0x2d\n",
        &["fatal error: all goroutines are asleep - deadlock!", "at main.go:5 in main.main"],
    );
}

#[test]
fn errors_of_julia_r_perl_lua_and_ruby_are_told_whole() {
    told(
        "ERROR: LoadError: DimensionMismatch: A has 3 columns\nStacktrace:\n [1] error(s::String)\n   @ Base ./error.jl:35\n [2] solve(a::Matrix{Float64})\n   @ Main /opt/ml/code/solve.jl:6\n [3] top-level scope\n   @ /opt/ml/code/fit.jl:2\nin expression starting at /opt/ml/code/fit.jl:2\n",
        &["DimensionMismatch: A has 3 columns", "at solve.jl:6 in solve"],
    );
    told(
        "Loading required package: stats\nError in glm.fit(x = numeric(0), y = y) : \n  object 'fit' not found\nCalls: glm -> glm.fit\nIn addition: Warning message:\nfitted probabilities\nExecution halted\n",
        &["Error in glm.fit(x = numeric(0), y = y) : object 'fit' not found"],
    );
    told_with(
        2,
        "Can't locate Tensor/Fast.pm in @INC (you may need to install the Tensor::Fast module) at fit.pl line 3.\nBEGIN failed--compilation aborted at fit.pl line 3.\n",
        &[
            "Can't locate Tensor/Fast.pm in @INC (you may need to install the Tensor::Fast module) at fit.pl line 3.",
            "at fit.pl:3",
            "hint: the Perl module Tensor::Fast is not in the image; install it there (cpan Tensor::Fast, or the distribution's package)",
        ],
    );
    told(
        "lua: fit.lua:3: attempt to index a nil value (local 'x')\nstack traceback:\n\t[C]: in ?\n\tfit.lua:9: in main chunk\n",
        &["attempt to index a nil value (local 'x')", "at fit.lua:3"],
    );
    told(
        "fit.rb:3:in `load': no rows (ArgumentError)\n\tfrom fit.rb:7:in `<main>'\n",
        &["ArgumentError: no rows", "at fit.rb:3 in load"],
    );
}

#[test]
fn help_below_a_rule_in_a_box_is_no_part_of_the_error() {
    told_with(
        2,
        "╭─ Value error ──────────────────────────╮\n│ Error parsing --rate: could not convert │\n│ string to float: 'x'                    │\n│ ─────────────────────────────────────── │\n│ Argument helptext:                      │\n│     --rate FLOAT (required)             │\n╰─────────────────────────────────────────╯\n",
        &["Value error: Error parsing --rate: could not convert string to float: 'x'"],
    );
}

#[test]
fn reports_of_sanitizers_have_a_place() {
    told(
        "=================================================================\n==71==ERROR: AddressSanitizer: heap-use-after-free on address 0x6020 at pc 0x4011 bp 0x7ffe sp 0x7ffd\nREAD of size 4 at 0x6020 thread T0\n    #0 0x4011b6 in sum(int*) /opt/ml/code/sum.cpp:5:12\n    #1 0x4012 in main /opt/ml/code/main.cpp:9\n    #2 0x7f in __libc_start_main ../csu/libc-start.c:308\n\nSUMMARY: AddressSanitizer: heap-use-after-free /opt/ml/code/sum.cpp:5:12 in sum(int*)\n==71==ABORTING\n",
        &["AddressSanitizer: heap-use-after-free on address 0x6020", "at sum.cpp:5 in sum"],
    );
    told(
        "sum.cpp:4:9: runtime error: signed integer overflow: 2147483647 + 1 cannot be represented in type 'int'\n",
        &["runtime error: signed integer overflow: 2147483647 + 1 cannot be represented in type 'int'", "at sum.cpp:4"],
    );
}

#[test]
fn an_error_that_a_rust_program_returned_has_its_causes() {
    told(
        "Error: cannot train\n\nCaused by:\n    0: cannot read the index of shards\n    1: No such file or directory (os error 2)\n",
        &[
            "Error: cannot train",
            "caused by: cannot read the index of shards",
            "caused by: No such file or directory (os error 2)",
        ],
    );
}

#[test]
fn a_failed_test_is_told_by_its_error_and_its_place() {
    told(
        "    def test_mean():\n>       assert mean([]) == 0\nE       ZeroDivisionError: division by zero\n\ntest_stats.py:9: ZeroDivisionError\n=========== short test summary info ===========\nFAILED test_stats.py::test_mean - ZeroDivisionError: division by zero\n======= 1 failed in 0.02s =======\n",
        &["ZeroDivisionError: division by zero", "at test_stats.py:9"],
    );
}

#[test]
fn the_report_of_sagemaker_training_is_told_by_the_scripts_error_in_it() {
    told(
        "2024-01-01 00:00:00,000 sagemaker-training-toolkit ERROR    ExecuteUserScriptError:\nExitCode 1\nErrorMessage \"raise ValueError('bad rate')\n ValueError: bad rate\n\"\nCommand \"/opt/conda/bin/python3.10 train.py --rate 3\"\n",
        &["ValueError: bad rate"],
    );
    // This report contains a failure text of footplate, which begins with the headline.
    told(
        "Traceback (most recent call last):\n  File \"/usr/lib/fw.py\", line 3, in main\n    raise error\nsagemaker_training.errors.ExecuteUserScriptError: ExecuteUserScriptError:\nExitCode 7\nErrorMessage \"exit code 7, with no error printed\ncommand: /usr/bin/python3 train.py\"\nCommand \"/usr/bin/python3 train.py\"\n",
        &[
            "exit code 7, with no error printed",
            "at /usr/lib/fw.py:3 in main",
            "passed on as: sagemaker_training.errors.ExecuteUserScriptError: ExecuteUserScriptError: ExitCode 7",
        ],
    );
    // This report is about an installation that a framework requested.
    told(
        "Traceback (most recent call last):\n  File \"/usr/lib/fw.py\", line 3, in main\n    raise error\nsagemaker_training.errors.InstallRequirementsError: InstallRequirementsError:\nExitCode 1\nErrorMessage \"ERROR: Could not find a version that satisfies the requirement fix (from versions: none)\nERROR: No matching distribution found for fix\n\"\nCommand \"/usr/bin/python3 -m pip install -r requirements.txt\"\n",
        &[
            "ERROR: Could not find a version that satisfies the requirement fix (from versions: none)",
            "at /usr/lib/fw.py:3 in main",
            "passed on as: sagemaker_training.errors.InstallRequirementsError: InstallRequirementsError: ExitCode 1",
            "last line: ERROR: No matching distribution found for fix",
            "hint: no index has that package or version; check the spelling and version in the requirements, the Python version, and the index (--index-url, --extra-index-url, --find-links)",
        ],
    );
}

#[test]
fn a_traceback_of_richs_logger_is_read_within_its_columns() {
    told(
        "[11/28/26 07:21:19] INFO     up                                       train.py:5\n                    ERROR    fit failed                               train.py:9\n                             ╭─ Traceback (most recent call last) ──╮\n                             │ /opt/ml/code/train.py:7  │\n                             │ in rows                              │\n                             ╰──────────────────────────────────────╯\n                             KeyError: 'y'\n",
        &["KeyError: 'y'", "at train.py:7 in rows"],
    );
    told(
        "[11/28/26 07:21:20] ERROR    no vocabulary in                         train.py:5\n                             /opt/data, please give\n                             one\n                    INFO     bye                                      train.py:6\n",
        &["no vocabulary in /opt/data, please give one", "at train.py:5"],
    );
}

#[test]
fn messages_with_empty_lines_are_told_by_their_substance() {
    let of = |message: &str| {
        format!(
            "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in f\n    x\n{message}\n"
        )
    };
    told(
        &of(
            "tensorflow.errors.InvalidArgumentError: Graph execution error:\n\nDetected at node 'dense/MatMul' defined at (most recent call last):\n    File \"/opt/ml/code/train.py\", line 3, in f\n      x\nNode: 'dense/MatMul'\nshapes [3,4] and [5,6] do not fit\n2024-01-01 00:00:00.000000: W tensorflow/x.cc:1] bye",
        ),
        &[
            "tensorflow.errors.InvalidArgumentError: Graph execution error: shapes [3,4] and [5,6] do not fit",
            "at train.py:3 in f",
        ],
    );
    told(
        &of(
            "ValueError: Exception encountered when calling Net.call().\n\nlayer \"dense\" expects 4 columns, got 3\n\nArguments received by Net.call():\n  • inputs=x",
        ),
        &[
            "ValueError: Exception encountered when calling Net.call(). layer \"dense\" expects 4 columns, got 3",
            "at train.py:3 in f",
            "Arguments received by Net.call(): • inputs=x",
        ],
    );
    told(
        &of(
            "torch._dynamo.exc.Unsupported: Call to a builtin\n  Explanation: no.\n\nfrom user code:\n   File \"/opt/ml/code/net.py\", line 8, in forward\n    print(x)\n\nSet TORCHDYNAMO_VERBOSE=1 for the internal stack trace",
        ),
        &["torch._dynamo.exc.Unsupported: Call to a builtin Explanation: no.", "at net.py:8 in forward"],
    );
    told(
        &of(
            "ImportError: \n\nIMPORTANT: PLEASE READ THIS FOR ADVICE ON HOW TO SOLVE THIS ISSUE!\n\nImporting the numpy C-extensions failed.\n\nOriginal error was: libopenblas.so.0: cannot open shared object file",
        ),
        &[
            "ImportError: IMPORTANT: PLEASE READ THIS FOR ADVICE ON HOW TO SOLVE THIS ISSUE! Original error was: libopenblas.so.0: cannot open shared object file",
            "at train.py:3 in f",
            "hint: the library libopenblas.so.0 is not in the image or not on the loader's path; install it in the image (apt-get install libopenblas0)",
        ],
    );
    told(
        &of(
            "ValueError: in user code:\n\n    File \"/opt/ml/code/augment.py\", line 8, in crop  *\n        raise ValueError(name)\n\n    ValueError: the image has no box",
        ),
        &["ValueError: in user code: ValueError: the image has no box", "at augment.py:8 in crop"],
    );
    told(
        &of(
            "LookupError: \n**************************************************\n  Resource 'stopwords' not found.\n  Please use the NLTK Downloader to obtain the resource:\n\n  >>> import nltk\n**************************************************\n",
        ),
        &[
            "LookupError: Resource 'stopwords' not found. Please use the NLTK Downloader to obtain the resource: >>> import nltk",
            "at train.py:3 in f",
            "hint: NLTK's data is not in the image; run nltk.download when the image is built, or bring the data as a channel and set NLTK_DATA",
        ],
    );
    // Output after an empty line is not part of a message.
    told(
        &of("KeyError: 'x'\n\nthe bar is closed"),
        &["KeyError: 'x'", "at train.py:3 in f", "last line: the bar is closed"],
    );
}

#[test]
fn what_follows_a_message_is_not_in_the_headline() {
    let of = |after: &str| {
        format!(
            "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in f\n    x\nValueError: no rows\n{after}\n"
        )
    };
    let expected = ["ValueError: no rows", "at train.py:3 in f"];
    for after in [
        "------------------------------",
        "make: *** [Makefile:2: train] Error 1",
        "[rank3]:[W527 04:11:09.270 ProcessGroupNCCL.cpp:1496] Warning: destroy_process_group() was not called",
        "huggingface/tokenizers: The current process just got forked",
        "Stack trace:\n  [bt] (0) /lib/libx.so(+0x11031e) [0x7fd73611031e]",
        "--------------------\nFor simplicity, JAX has removed its internal frames.",
    ] {
        let text = recorded(Ending::Exited(1), &of(after));
        assert_eq!(text.lines().take(2).collect::<Vec<_>>(), expected, "{after}");
        assert!(!text.contains("[bt]") && !text.contains("simplicity"), "{text}");
    }
    let steps: String = (0..12).map(|step| format!("closing writer {step}\n")).collect();
    let text = recorded(Ending::Exited(1), &of(&steps));
    assert!(text.starts_with("ValueError: no rows\nat train.py:3 in f\nlast line: closing writer 11"), "{text}");
}

#[test]
fn notes_of_libraries_and_tools_at_the_end_are_no_part_of_a_message() {
    let raised = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in load\n    x\nValueError: no rows\n";
    for notes in [
        "Unclosed client session\nclient_session: <aiohttp.client.ClientSession object at 0x7f1>\n",
        "Unclosed connector\nconnections: ['deque([(<aiohttp.client_proto.ResponseHandler object at 0x7f1>, 3.2)])']\nconnector: <aiohttp.connector.TCPConnector object at 0x7f1>\n",
        "Task was destroyed but it is pending!\ntask: <Task pending name='Task-2' coro=<pump() running at x.py:3>>\n",
        "Generating '/tmp/nsys-report-7.qdstrm'\n",
        "/usr/lib/python3/site-packages/coverage/control.py:888: CoverageWarning: No data was collected.\n  self._warn(\"No data was collected.\")\n",
    ] {
        told(&format!("{raised}{notes}"), &["ValueError: no rows", "at train.py:4 in load"]);
    }
}

#[test]
fn exceptions_that_a_message_quotes_belong_to_the_exception() {
    let quoted = |message: &str| {
        format!(
            "{}\n2 fits failed with the following error:\nTraceback (most recent call last):\n  File \"/usr/lib/python3/dist-packages/sklearn/base.py\", line 9, in check\n    x\nValueError: {message}\n\n",
            "-".repeat(80)
        )
    };
    let raised = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in search\n    x\nValueError: \nAll the 4 fits failed.\nIt is very likely that your model is misconfigured.\n\nBelow are more details about the failures:\n";
    told(
        &format!("{raised}{}{}", quoted("C must be positive, got -1"), quoted("C must be positive, got -2")),
        &[
            "ValueError: C must be positive, got -1",
            "at train.py:4 in search",
            "passed on as: ValueError: All the 4 fits failed.",
        ],
    );
}

#[test]
fn the_source_that_torchscript_prints_has_the_place() {
    told(
        "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 2, in <module>\n    @torch.jit.script\n\
         RuntimeError: \n'Tensor (inferred)' object has no attribute or method 'rows'.:\n  File \"/opt/ml/code/net.py\", line 7\n\
         def f(x):\n    return x.rows(3)\n           ~~~~~~ <--- HERE\n",
        &["RuntimeError: 'Tensor (inferred)' object has no attribute or method 'rows'.:", "at net.py:7"],
    );
}
