//! Hints about files, limits, and programs of other languages.

use super::{assert_hints, assert_no_hint, evidence, hints, of, raised, raising};
use crate::event::Ending;

#[test]
fn a_file_that_may_not_be_used_is_named_with_the_user() {
    let denied = raising("PermissionError: [Errno 13] Permission denied: '/opt/app/cache'");
    let mut evidence = evidence(Ending::Exited(1), &denied);
    evidence.job.user = Some(1000);
    assert!(hints(&evidence)[0].starts_with(
        "user 1000, as which this process runs, may not use /opt/app/cache; give it to that user in the image (chown)"
    ));
    evidence.job.user = Some(0);
    assert!(hints(&evidence)[0].starts_with(
        "root, as which this job runs, may not use /opt/app/cache: a mount or the platform forbids it, or the script gave up root"
    ));
    let input = raising("PermissionError: [Errno 13] Permission denied: '/opt/ml/input/data/train/x.csv'");
    assert!(of(Ending::Exited(1), &input)[0].starts_with("the input /opt/ml/input/data/train/x.csv may only be read"));
    assert!(of(Ending::Exited(1), "mkdir: cannot create directory ‘/opt/x’: Permission denied\n")[0].contains("chown"));
    let node = "Error: EACCES: permission denied, open '/etc/x'\n";
    assert!(of(Ending::Exited(1), node)[0].contains("/etc/x"));
    assert_no_hint(&["PermissionError: the license forbids 3 seats", "ValueError: permission denied is no label"]);
    // A socket has no path.
    assert_no_hint(&[
        "PermissionError: [Errno 13] Permission denied",
        "Error: listen EACCES: permission denied 0.0.0.0:80",
    ]);
    assert_eq!(of(Ending::Exited(1), "Error: bind: Permission denied (os error 13)\n"), [""; 0]);
    assert_eq!(of(Ending::Exited(1), "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)\n"), [""; 0]);
}

#[test]
fn a_server_that_refuses_a_user_is_no_file() {
    assert_no_hint(&[
        "mlflow.exceptions.RestException: PERMISSION_DENIED: Permission denied. Request ID: 9",
        "acme.ApiError: rpc error: code = 7: Permission denied",
    ]);
    assert!(raised("OSError: could not open /data/x.h5: Permission denied")[0].contains("may not use"));
}

#[test]
fn limits_of_the_system_are_named() {
    assert_hints(&[
        ("OSError: [Errno 24] Too many open files: '/proc/self/status'", "the limit of open files"),
        ("RuntimeError: received 0 items of ancdata", "the limit of open files"),
        ("OSError: [Errno 23] Too many open files in system: '/opt/x'", "which ulimit -n does not raise"),
        ("RuntimeError: can't start new thread", "the limit of threads or processes"),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", "the limit of threads or processes"),
        ("OSError: [Errno 27] File too large", "a limit on the size of files"),
        ("OSError: [Errno 30] Read-only file system: '/opt/ml/input/data/train/x'", "read-only"),
        ("OSError: [Errno 5] Input/output error: '/opt/ml/input/data/train/x'", "the storage itself failed"),
        ("OSError: [Errno 122] Disk quota exceeded: '/fsx/x'", "a quota of the file system"),
        ("OSError: [Errno 28] inotify watch limit reached", "not the disk's"),
        (
            "UnicodeEncodeError: 'ascii' codec can't encode character '\\xe9' in position 0: ordinal not in range(128)",
            "LANG=C.UTF-8",
        ),
        ("_pickle.UnpicklingError: invalid load key, 'v'.", "incomplete or of another format"),
        (
            "safetensors._safetensors_rust.SafetensorError: Error while deserializing header: header too large",
            "incomplete or of another format",
        ),
    ]);
    assert_eq!(
        of(Ending::Signaled(25), ""),
        ["a limit on the size of files was reached (ulimit -f); raise it, or write several files"]
    );
    assert_no_hint(&[
        "ValueError: too many open positions",
        "OSError: file 3 is too large for the batch",
        "RuntimeError: thread 3 did not start",
        "ValueError: 28 is no space",
    ]);
}

#[test]
fn the_end_of_timeout_is_named() {
    assert!(of(Ending::Exited(124), "")[0].starts_with("exit code 124 is that of timeout(1)"));
    assert_eq!(of(Ending::Exited(125), ""), [""; 0]);
}

#[test]
fn a_program_that_python_could_not_start_is_named() {
    let frame = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in <module>\n    run(['ffmpeg'])\n  File \"/usr/lib/python3.11/subprocess.py\", line 1950, in _execute_child\n    raise child_exception_type(errno_num, err_msg, err_filename)\nFileNotFoundError: [Errno 2] No such file or directory: 'ffmpeg'\n";
    assert!(of(Ending::Exited(1), frame)[0].starts_with("the program ffmpeg was not found"));
    assert_no_hint(&["FileNotFoundError: [Errno 2] No such file or directory: 'ffmpeg'"]);
    let driver = of(Ending::Exited(1), &frame.replace("ffmpeg", "nvidia-smi"));
    assert!(driver.len() == 1 && driver[0].starts_with("nvidia-smi belongs to the NVIDIA driver"), "{driver:#?}");
    let shell = of(Ending::Exited(127), "run.sh: line 3: nvidia-smi: command not found\n");
    assert!(shell.len() == 1 && shell[0].starts_with("nvidia-smi belongs to the NVIDIA driver"), "{shell:#?}");
    assert_eq!(of(Ending::Exited(127), "the vocabulary was built\n"), [""; 0]);
    assert_eq!(of(Ending::Exited(126), "./data: Is a directory\n"), [""; 0]);
}

#[test]
fn programs_of_other_languages_have_a_remedy() {
    let exits = |text: &str| of(Ending::Exited(1), text);
    for (text, words) in [
        ("Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space\n\tat H.main(H.java:1)\n", "-Xmx"),
        (
            "Exception in thread \"main\" java.lang.UnsupportedClassVersionError: App has been compiled by a more recent version of the Java Runtime (class file version 65.0)\n",
            "a newer Java",
        ),
        ("Error: Unable to access jarfile app.jar\n", "Java did not find the class or jar"),
        (
            "Error: Could not find or load main class App\nCaused by: java.lang.ClassNotFoundException: App\n",
            "Java did not find the class or jar",
        ),
        (
            "Error in library(xgboost) : there is no package called ‘xgboost’\nExecution halted\n",
            "the R package xgboost is not in the image",
        ),
        (
            "ERROR: LoadError: ArgumentError: Package CSV not found in current path.\n- Run `import Pkg; Pkg.add(\"CSV\")` to install the CSV package.\n",
            "the Julia package CSV",
        ),
        (
            "Can't locate JSON/XS.pm in @INC (you may need to install the JSON::XS module) (@INC contains: /etc/perl) at x.pl line 1.\n",
            "the Perl module JSON::XS",
        ),
        (
            "node:internal/modules/cjs/loader:1148\n  throw err;\n  ^\n\nError: Cannot find module 'lodash'\nRequire stack:\n- /opt/ml/code/x.js\n",
            "the Node package lodash",
        ),
        ("Error: Cannot find module './conf.js'\n", "the file ./conf.js is not in the image"),
        ("x.rb:1:in `require': cannot load such file -- json5 (LoadError)\n", "the Ruby library json5"),
    ] {
        let hints = exits(text);
        assert!(hints.first().is_some_and(|hint| hint.contains(words)), "{text}: {hints:#?}");
    }
    for (error, words) in [
        (
            "unable to create native thread: possibly out of memory or process/resource limits reached",
            "the limit of threads",
        ),
        ("unable to create new native thread", "the limit of threads"),
        ("Requested array size exceeds VM limit", "longer than Java allows"),
        ("Compressed class space", "CompressedClassSpaceSize"),
        ("Map failed", "vm.max_map_count"),
    ] {
        let hints = exits(&format!(
            "Exception in thread \"main\" java.lang.OutOfMemoryError: {error}\n\tat H.main(H.java:1)\n"
        ));
        assert!(hints.len() == 1 && hints[0].contains(words) && !hints[0].contains("-Xmx"), "{error}: {hints:#?}");
    }
    let heap = "\n<--- Last few GCs --->\n\nFATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n\n 1: 0xb8d0a3 node::OOMErrorHandler [node]\n10: 0x195e476 [node]\n";
    assert!(of(Ending::Signaled(6), heap)[0].contains("--max-old-space-size"));
    for text in [
        "Error: the heap of the queue is empty\n",
        "Error: module 7 cannot be found\n",
        "Error in lm.fit(x, y) : 0 (non-NA) cases\n",
    ] {
        assert_eq!(exits(text), [""; 0], "{text}");
    }
}

#[test]
fn what_ended_a_program_is_claimed_only_as_far_as_it_is_known() {
    // xargs uses the exit code of timeout(1).
    assert_eq!(of(Ending::Exited(124), "xargs: sh: exited with status 255; aborting\n"), [""; 0]);
    // timeout(1) sent the signal.
    let sent =
        of(Ending::Exited(137), "timeout: sending signal KILL to command ‘python3’\nrun.sh: line 2: 71 Killed\n");
    assert_eq!(sent, ["timeout(1) ended a program after its time limit; raise the limit, or find what hangs"]);
    // Ray lists possible causes.
    let guessed = "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.\nThere are some potential root causes. (1) The process is killed by SIGKILL by OOM killer due to high memory usage.";
    let hints = raised(guessed);
    assert!(
        hints.iter().any(|hint| hint.starts_with("the worker ended without an exception, and Ray does not know why; ")),
        "{hints:?}"
    );
    assert!(!hints.iter().any(|hint| hint.starts_with("killed by SIGKILL")), "{hints:?}");
}

#[test]
fn a_compiler_that_is_older_than_the_gpu_is_named() {
    assert_hints(&[
        (
            "RuntimeError: Error building extension 'rows': nvcc fatal   : Unsupported gpu architecture 'compute_120'",
            "is older than this GPU's architecture",
        ),
        (
            "RuntimeError: Error building extension 'rows': nvcc fatal   : Unsupported gpu architecture 'compute_37'",
            "no longer knows an architecture this old",
        ),
        (
            "RuntimeError: NRT:nrt_allocate_neuron_cores NeuronCore(s) not available - Requested:nc1-nc1 Available:0",
            "more Neuron cores were asked for",
        ),
        (
            "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Error loading program 'jit_fit': Attempting to reserve 12.52G at the bottom of memory.",
            "XLA found no memory on its device",
        ),
    ]);
    assert_no_hint(&["ValueError: Unsupported architecture 'compute_120'"]);
}

#[test]
fn the_log_of_neuron_tells_that_no_core_is_free() {
    let error =
        raising("RuntimeError: The PyTorch Neuron Runtime could not be initialized. Neuron Driver issues are logged");
    let logged = "2026-Nov-28 10:00:00.1 71:99 ERROR  NRT:nrt_allocate_neuron_cores   NeuronCore(s) not available - Requested:nc1-nc1 Available:0\n";
    assert!(of(Ending::Exited(1), &format!("{logged}{error}"))[0].starts_with("more Neuron cores were asked for"));
    assert_eq!(of(Ending::Exited(1), &error), [""; 0]);
}

#[test]
fn files_and_users_that_programs_call_otherwise_are_named() {
    assert_hints(&[
        (
            "java.io.FileNotFoundException: /opt/rows/out.csv (Permission denied)",
            "the user of this process may not use /opt/rows/out.csv",
        ),
        (
            "PermissionError: [Errno 13] Unable to synchronously create file (unable to open file: name = '/opt/rows/a.h5', errno = 13, error message = 'Permission denied', flags = 13, o_flags = 242)",
            "the user of this process may not use /opt/rows/a.h5",
        ),
        ("sqlite3.OperationalError: attempt to write a readonly database", "SQLite may not write to this database"),
        ("KeyError: 'getpwuid(): uid not found: 2001'", "user 2001, as which this process runs, has no name"),
        ("OSError: Cannot find empty port in range: 7860-7861. You can specify a different port", "GRADIO_SERVER_PORT"),
    ]);
    assert_no_hint(&[
        "java.io.FileNotFoundException: /opt/rows/out.csv (Is a directory)",
        "KeyError: 'uid not found: 2001'",
        "RuntimeError: the base is a readonly database",
        "RuntimeError: Cannot find an empty port for ship 3",
    ]);
}

#[test]
fn packages_and_heaps_of_other_languages_are_named() {
    let exits = |text: &str| of(Ending::Exited(1), text);
    for (text, words) in [
        ("E: Unable to locate package libacme-dev\n", "run apt-get update"),
        (
            "Because rows depends on acme (^9.0) which doesn't match any versions, version solving failed.\n",
            "the registry has no such package",
        ),
        ("error Couldn't find package \"acme-x\" on the \"npm\" registry.\n", "the registry has no such package"),
        ("ERROR:  Could not find a valid gem 'acme' (>= 0) in any repository\n", "the registry has no such package"),
        (
            "Error: package ‘acme’ is not available for this version of R\nExecution halted\n",
            "no such package for the image's R",
        ),
        (
            "Error occurred during initialization of VM\nCould not reserve enough space for 4194304KB object heap\n",
            "was refused the memory of its heap",
        ),
    ] {
        let hints = exits(text);
        assert!(hints.first().is_some_and(|hint| hint.contains(words)), "{text}: {hints:#?}");
    }
    assert_no_hint(&[
        "RuntimeError: Unable to locate package 7 of the delivery",
        "RuntimeError: the row doesn't match any versions",
        "RuntimeError: Could not reserve enough space for 3 rows",
    ]);
}

#[test]
fn a_commands_error_that_the_script_captured_is_said_to_be_missing_from_the_log() {
    let run = |call: &str, exit: &str| {
        let stderr = format!(
            "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in <module>\n    {call}\n  File \
             \"/usr/lib/python3.11/subprocess.py\", line 571, in run\n    raise CalledProcessError(retcode, process.args,\n\
             subprocess.CalledProcessError: Command '['tokenize', '--fast']' {exit}\n"
        );
        of(Ending::Exited(1), &stderr)
    };
    let exit = "returned non-zero exit status 1.";
    for call in [
        "subprocess.run(['tokenize', '--fast'], check=True, capture_output=True)",
        "subprocess.run(cmd, capture_output = True, check=True)",
        "out = subprocess.check_output(cmd, stderr=subprocess.STDOUT)",
        "run(cmd, stdout=PIPE, stderr=PIPE, check=True)",
    ] {
        let found = run(call, exit);
        assert!(
            found.len() == 1 && found[0].starts_with("the script captured the output of this command"),
            "{found:?}"
        );
    }
    for call in ["subprocess.run(cmd, stderr=subprocess.DEVNULL, check=True)", "check_call(cmd, stderr=DEVNULL)"] {
        let found = run(call, exit);
        assert!(
            found.len() == 1 && found[0].starts_with("the script discarded the errors of this command"),
            "{found:?}"
        );
    }
    // The command's own errors are in the log.
    assert_eq!(run("subprocess.run(cmd, check=True)", exit), [""; 0]);
    assert_eq!(run("subprocess.check_output(cmd)", exit), [""; 0]);
    assert_eq!(run("subprocess.run(cmd, check=True, stderr=subprocess.STDOUT)", exit), [""; 0]);
    assert_eq!(run("subprocess.run(cmd, check=True, stdout=subprocess.PIPE)", exit), [""; 0]);
    // The signal says more.
    let crashed = run("subprocess.run(cmd, check=True, capture_output=True)", "died with <Signals.SIGSEGV: 11>.");
    assert_eq!(crashed, ["native code crashed; set PYTHONFAULTHANDLER=1 to see in which line of Python"]);
}
