//! Recorded errors of compilers, runtimes and tools that are not Python.

use super::forms::{told, told_with};
use super::recorded;
use crate::event::Ending;

#[test]
fn the_first_error_of_a_compiler_is_the_headline() {
    told_with(
        2,
        "gcc fit.c -o fit\nfit.c: In function 'main':\nfit.c:4:11: error: 'rows' undeclared (first use in this function)\n    4 |   int x = rows;\n      |           ^~~~\nfit.c:4:11: note: each undeclared identifier is reported only once\nfit.c:5:3: error: expected ';' before 'return'\nmake: *** [Makefile:2: fit] Error 1\n",
        &["fit.c:4:11: error: 'rows' undeclared (first use in this function)"],
    );
    told(
        "error[E0425]: cannot find value `rate` in this scope\n --> src/main.rs:2:5\nerror[E0308]: mismatched types\n --> src/main.rs:9:5\nerror: aborting due to 2 previous errors\n",
        &["error[E0425]: cannot find value `rate` in this scope", "at src/main.rs:2"],
    );
    // Another program failed after the compiler.
    told(
        "conf.c:1:10: error: no such header\ntrying without it\ncp: cannot stat 'conf.h': No such file or directory\n",
        &["cp: cannot stat 'conf.h': No such file or directory"],
    );
}

#[test]
fn values_that_node_did_not_catch_have_their_text_and_place() {
    told(
        "\n/opt/ml/code/fit.js:2\n  throw 'the queue of batches is empty';\n  ^\nthe queue of batches is empty\n(Use `node --trace-uncaught ...` to show where the exception was thrown)\n\nNode.js v20.20.2\n",
        &["the queue of batches is empty", "at fit.js:2"],
    );
    told(
        "node:internal/process/promises:391\n    triggerUncaughtException(err, true /* fromPromise */);\n    ^\n\n[Error: ENOENT: no such file or directory, open '/data/rows.json'] {\n  errno: -2,\n  code: 'ENOENT',\n  syscall: 'open',\n  path: '/data/rows.json'\n}\n\nNode.js v20.20.2\n",
        &["Error: ENOENT: no such file or directory, open '/data/rows.json'"],
    );
    told(
        "node:internal/process/promises:391\n    triggerUncaughtException(err, true /* fromPromise */);\n    ^\n\n[AggregateError: All promises were rejected] {\n  [errors]: [\n    Error: store a: 404\n        at get (/opt/ml/code/fit.js:3:9)\n        at node:internal/main/run_main_module:28:49,\n    Error: store b: 500\n        at get (/opt/ml/code/fit.js:3:9)\n  ]\n}\n\nNode.js v20.20.2\n",
        &[
            "AggregateError: All promises were rejected",
            "at fit.js:3 in get",
            "caused by: Error: store a: 404",
            "caused by: Error: store b: 500",
        ],
    );
}

#[test]
fn an_error_of_perls_compiler_is_not_hidden_by_its_summary() {
    told_with(
        255,
        "Global symbol \"$rate\" requires explicit package name (did you forget to declare \"my $rate\"?) at fit.pl line 3.\nExecution of fit.pl aborted due to compilation errors.\n",
        &[
            "Global symbol \"$rate\" requires explicit package name (did you forget to declare \"my $rate\"?) at fit.pl line 3.",
            "at fit.pl:3",
        ],
    );
}

#[test]
fn what_java_could_not_start_with_is_the_headline() {
    told(
        "Invalid initial heap size: -Xms9z\nError: Could not create the Java Virtual Machine.\nError: A fatal exception has occurred. Program will exit.\n",
        &["Invalid initial heap size: -Xms9z"],
    );
}

#[test]
fn the_file_that_r_could_not_open_is_named() {
    told(
        "Error in file(con, \"r\") : cannot open the connection\nCalls: readLines -> file\nIn addition: Warning message:\nIn file(con, \"r\") :\n  cannot open file '/data/rows.txt': No such file or directory\nExecution halted\n",
        &[
            "Error in file(con, \"r\") : cannot open the connection",
            "cannot open file '/data/rows.txt': No such file or directory",
        ],
    );
    // Other warnings are not related to the error.
    told(
        "Error in scale(x) : x is empty\nIn addition: Warning message:\nNAs introduced by coercion\nExecution halted\n",
        &["Error in scale(x) : x is empty"],
    );
}

#[test]
fn an_exception_of_dotnet_has_its_place() {
    let text = recorded(
        Ending::Signaled(6),
        "Unhandled exception. System.IO.InvalidDataException: shard 3 has no header\n   at System.IO.Stream.Open(String path)\n   at Acme.Loader.Read(String path) in /opt/ml/code/Loader.cs:line 18\n   at Program.Main(String[] args) in /opt/ml/code/Program.cs:line 4\n",
    );
    assert!(
        text.starts_with(
            "System.IO.InvalidDataException: shard 3 has no header\nat Loader.cs:18 in Acme.Loader.Read\n"
        ),
        "{text}"
    );
}

#[test]
fn an_error_of_fortran_or_octave_is_not_hidden_by_its_calls() {
    told_with(
        2,
        "At line 12 of file solve.f90 (unit = 10, file = 'in.dat')\nFortran runtime error: End of file\n\nError termination. Backtrace:\n#0  0x7f0011 in ???\n#1  0x7f0012 in main\n",
        &["Fortran runtime error: End of file", "at solve.f90:12"],
    );
    told(
        "error: nonconformant arguments (op1 is 3x2, op2 is 3x1)\nerror: called from\n    fit at line 4 column 5\n",
        &["error: nonconformant arguments (op1 is 3x2, op2 is 3x1)", "at fit:4"],
    );
}

#[test]
fn an_error_of_mpi_is_told_by_its_class_or_by_what_failed() {
    told_with(
        15,
        "[ip-10-0-0-7:4711] *** An error occurred in MPI_Recv\n[ip-10-0-0-7:4711] *** reported by process [9,1]\n[ip-10-0-0-7:4711] *** on communicator MPI_COMM_WORLD\n[ip-10-0-0-7:4711] *** MPI_ERR_TRUNCATE: message truncated\n[ip-10-0-0-7:4711] *** MPI_ERRORS_ARE_FATAL (processes in this communicator will now abort,\n[ip-10-0-0-7:4711] ***    and potentially your MPI job)\n",
        &["MPI_ERR_TRUNCATE: message truncated (An error occurred in MPI_Recv)"],
    );
    told(
        "It looks like MPI_INIT failed for some reason; your parallel process is\nlikely to abort.\n\n  PML add procs failed\n  --> Returned \"Not found\" (-13) instead of \"Success\" (0)\n--------------------------------------------------------------------------\n*** An error occurred in MPI_Init_thread\n*** on a NULL communicator\n*** MPI_ERRORS_ARE_FATAL (processes in this communicator will now abort,\n***    and potentially your MPI job)\n",
        &["An error occurred in MPI_Init_thread", "logged: PML add procs failed"],
    );
}

#[test]
fn a_line_that_only_introduces_an_error_is_joined_with_the_next_one() {
    told(
        "Error merging override rate=high\nValue 'high' of type 'str' could not be converted to Float\n    full_key: rate\n    object_type=Fit\n\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n",
        &[
            "Error merging override rate=high Value 'high' of type 'str' could not be converted to Float",
            "last line: object_type=Fit",
        ],
    );
    told(
        "Error in call to target 'acme.Net':\nValueError('depth must be positive')\nfull_key: net\n",
        &["Error in call to target 'acme.Net': ValueError('depth must be positive')", "last line: full_key: net"],
    );
    told(
        "ℹ Saving to output directory: model\n\n✘ Config validation error\ntraining -> max_steps   value is not a valid integer\n\n{'seed': 0}\n",
        &["✘ Config validation error training -> max_steps value is not a valid integer", "last line: {'seed': 0}"],
    );
    // A title that says all.
    told(
        "✘ Can't find 'train' in config\nSaved the log\n",
        &["✘ Can't find 'train' in config", "last line: Saved the log"],
    );
    told(
        "ERROR: these files are missing:\n  /data/a.bin\n  /data/b.bin\n",
        &["ERROR: these files are missing: /data/a.bin", "last line: /data/b.bin"],
    );
    told(
        "PackagesNotFoundError: The following packages are not available from current channels:\n\n  - acme-tools=9\n\nCurrent channels:\n\n  - https://repo.example.com/linux-64\n",
        &[
            "PackagesNotFoundError: The following packages are not available from current channels: - acme-tools=9",
            "last line: - https://repo.example.com/linux-64",
            "hint: no index has that package or version; check the spelling and version in the requirements, the Python version, and the index (--index-url, --extra-index-url, --find-links)",
        ],
    );
    told(
        "step 3\nThe plan has mistakes:\n  rate: must be positive\n  depth: 3 is missing\n",
        &["The plan has mistakes: rate: must be positive", "last line: depth: 3 is missing"],
    );
    // The next line is a separate record.
    told(
        "ERROR: training failed, the table is:\n2026-01-02 03:04:05 INFO done\n",
        &["ERROR: training failed, the table is:"],
    );
}

#[test]
fn the_error_of_a_build_stands_beside_that_of_its_library() {
    let text = |log: &str, error: &str| {
        let stderr = format!(
            "{log}Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in f\n    x\n{error}\n"
        );
        recorded(Ending::Exited(1), &stderr)
    };
    let built = "RuntimeError: Error building extension 'fused_norm'";
    let ninja = "FAILED: norm.cuda.o\nnvcc -c norm.cu\nnvcc fatal   : Unsupported gpu architecture 'compute_100'\nninja: build stopped: subcommand failed.\n";
    assert!(text(ninja, built).starts_with(
        "RuntimeError: Error building extension 'fused_norm': nvcc fatal : Unsupported gpu architecture 'compute_100'\n"
    ));
    let header = "norm.cpp:3:10: fatal error: torch/extension.h: No such file or directory\n    3 | #include <torch/extension.h>\ncompilation terminated.\nnorm.cpp:9:1: error: expected ';'\n";
    assert!(text(header, built).starts_with("RuntimeError: Error building extension 'fused_norm': norm.cpp:3:10: fatal error: torch/extension.h: No such file"));
    assert!(
        text(header, "RuntimeError: Error building extension 'fused_norm': norm.cpp:9:1: error: expected ';'")
            .starts_with("RuntimeError: Error building extension 'fused_norm': norm.cpp:9:1: error: expected ';'\n")
    );
    assert!(!text(header, "KeyError: 'label'").contains("logged"));
    let neuron = "2023-06-15T12:11:12Z ERROR 857 [neuronx-cc]:  An Internal Compiler Error has occurred\n2023-06-15T12:11:12Z ERROR 857 [neuronx-cc]: Error message:  Walrus driver failed to complete successfully\n2023-06-15T12:11:12Z ERROR 857 [neuronx-cc]: Error class:    AssertionError\n";
    let failed = "RuntimeError: neuronx-cc failed with 1";
    assert!(text(neuron, failed).contains("\nlogged: Walrus driver failed to complete successfully\n"));
    let graph = "2024-10-07T21:55:32Z ERROR 12 [neuronx-cc]: [XTP003] Number of instructions (10046893) is over the threshold (5000000).\n";
    assert!(text(graph, failed).contains("\nlogged: [XTP003] Number of instructions (10046893) is over the threshold"));
}

#[test]
fn the_program_that_failed_first_in_a_pipe_is_the_headline() {
    told_with(
        2,
        "gzip: stdin: not in gzip format\ntar: Child returned status 1\ntar: Error is not recoverable: exiting now\n",
        &["gzip: stdin: not in gzip format"],
    );
    told(
        "npm error code E404\nnpm error 404 Not Found - GET https://registry.example.com/acme-none\nnpm error 404  acme-none@* is not in this registry.\nnpm error A complete log of this run can be found in: /root/.npm/_logs/x.log\n",
        &[
            "npm error 404 acme-none@* is not in this registry.",
            "hint: no index has that package or version; check the spelling and version in the requirements, the Python version, and the index (--index-url, --extra-index-url, --find-links)",
        ],
    );
}

#[test]
fn a_crash_of_java_is_told_from_its_report_on_stdout() {
    let report = "#\n# A fatal error has been detected by the Java Runtime Environment:\n#\n#  SIGSEGV (0xb) at pc=0x00007f, pid=7, tid=9\n#\n# Problematic frame:\n# C  [libtensor.so+0x1b2]  fit_kernel+0x12\n";
    let evidence = crate::failure::Evidence {
        stdout: report.as_bytes(),
        ..super::evidence(Ending::Signaled(6), "train.sh: line 1: 7 Aborted java Fit\n")
    };
    let text = super::text(&crate::failure::cause(&evidence));
    assert!(
        text.starts_with("SIGSEGV (0xb) at pc=0x00007f, pid=7, tid=9 in C [libtensor.so+0x1b2] fit_kernel+0x12\n"),
        "{text}"
    );
}

#[test]
fn an_exception_of_java_without_a_prefix_in_its_name_keeps_the_whole_name() {
    let text = recorded(
        Ending::Signaled(6),
        "Unhandled exception. System.Exception: shard 3 has no header\n   at Acme.Loader.Read(String path) in /opt/ml/code/Loader.fs:line 18\n",
    );
    assert!(
        text.starts_with("System.Exception: shard 3 has no header\nat Loader.fs:18 in Acme.Loader.Read\n"),
        "{text}"
    );
}

#[test]
fn an_error_of_a_compiler_of_scala_or_kotlin_or_of_dotnet_has_its_place() {
    told(
        "[error] ./Fit.scala:3:11\n[error] Not found: lode\n[error]   println(lode(3))\n[error]           ^^^^\nError compiling project (Scala 3.4.0, JVM (17))\nCompilation failed\n",
        &["Not found: lode", "at Fit.scala:3"],
    );
    told(
        "e: file:///opt/ml/code/Main.kt:5:7 Unresolved reference: lode\n",
        &["Unresolved reference: lode", "at Main.kt:5"],
    );
    told(
        "/opt/ml/code/Rows.cs(12,9): error CS0103: The name 'lode' does not exist in the current context\n\nThe build failed. Fix the build errors and run again.\n",
        &["/opt/ml/code/Rows.cs(12,9): error CS0103: The name 'lode' does not exist in the current context"],
    );
}

#[test]
fn a_cause_of_java_that_shares_all_calls_is_told() {
    told(
        "Exception in thread \"main\" com.acme.NoRows: table 3\n\tat com.acme.Fit.main(Fit.java:3)\nCaused by: java.io.IOException: the jar is cut\n\t... 1 more\n",
        &[
            "com.acme.NoRows: table 3",
            "at Fit.java:3 in com.acme.Fit.main",
            "caused by: java.io.IOException: the jar is cut",
        ],
    );
}
