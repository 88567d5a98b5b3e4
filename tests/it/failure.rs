//! Failure files of real scripts that fail.

use std::fs;

use super::job::{Ended, Job};

/// Returns the lines of the failure text.
fn lines(ended: &Ended) -> Vec<&str> {
    ended.failure().lines().collect()
}

#[test]
fn an_exception_is_reported_with_its_place_and_the_command() {
    let job = Job::new()
        .file("code/train.py", "import data\ndata.load('x.csv')\n")
        .file("code/data.py", "def load(path):\n    raise ValueError(f'bad data in {path} line 3')\n")
        .hyperparameters(r#"{"lr": "0.1"}"#);
    let ended = job.train().failed(1, "ValueError: bad data in x.csv line 3\nat data.py:2 in load\n");
    let lines = lines(&ended);
    assert!(lines.contains(&"exit code 1"), "{lines:#?}");
    let command = lines.iter().find_map(|line| line.strip_prefix("command: ")).expect("the command");
    assert!(command.ends_with("python3 train.py --lr 0.1"), "{command}");
    let logged = "ERROR failed with exit code 1: ValueError: bad data in x.csv line 3";
    assert!(ended.stderr.contains(logged), "{}", ended.stderr);
    // The script's own output is relayed unchanged.
    assert!(ended.stderr.contains("\nValueError: bad data in x.csv line 3\n"), "{}", ended.stderr);
}

#[test]
fn the_cause_of_an_exception_is_reported_after_it() {
    let script = "
def load():
    try:
        {}['x']
    except KeyError as error:
        raise RuntimeError('no such column') from error
load()
";
    let ended = Job::python(script).train().failed(1, "RuntimeError: no such column\nat train.py:6 in load\n");
    assert!(lines(&ended).contains(&"caused by: KeyError: 'x' (at train.py:4 in load)"), "{:#?}", ended.failure());
}

#[test]
fn a_script_that_is_not_valid_python_is_reported_with_its_line() {
    let ended = Job::python("x = 1\ndef f(:\n    pass\n").train().failed(1, "SyntaxError: ");
    assert!(ended.failure().contains("\nat train.py:2"), "{}", ended.failure());
    let ended = Job::python("import no_such_module_at_all").train();
    ended.failed(1, "ModuleNotFoundError: No module named 'no_such_module_at_all'\nat train.py:1");
}

#[test]
fn system_exit_with_a_message_is_reported_by_the_message() {
    let ended = Job::python("raise SystemExit('no data for 2024')").train();
    ended.failed(1, "no data for 2024\n");
}

#[test]
fn an_exit_code_without_any_output_is_reported_as_it_is() {
    for code in [2, 3, 255] {
        let ended = Job::python(&format!("import sys\nsys.exit({code})")).train().failed(code, "");
        assert!(ended.failure().starts_with(&format!("exit code {code}")), "{}", ended.failure());
        assert!(ended.failure().contains("command: "), "{}", ended.failure());
    }
}

#[test]
fn an_interrupt_that_the_script_raises_is_reported_with_its_place() {
    let ended = Job::python("def step():\n    raise KeyboardInterrupt\nstep()").train();
    // Python then ends itself with SIGINT, which shells report as 130.
    let ended = ended.failed(130, "KeyboardInterrupt");
    assert!(ended.failure().contains("at train.py:2 in step"), "{}", ended.failure());
    assert!(ended.failure().contains("SIGINT"), "{}", ended.failure());
}

#[test]
fn a_failure_file_that_the_script_wrote_is_kept() {
    let script = "
import os
with open(os.environ['SM_OUTPUT_FAILURE'], 'w') as f:
    f.write('my own words')
raise ValueError('lost')
";
    let job = Job::python(script);
    let ended = job.train().failed(1, "my own words");
    assert_eq!(ended.failure(), "my own words");
    assert!(ended.stderr.contains("was written by the script, and is kept"), "{}", ended.stderr);
    assert!(ended.stderr.contains("ERROR failed with exit code 1: ValueError: lost"), "{}", ended.stderr);
    // An empty file is replaced.
    let job = Job::python(&script.replace("f.write('my own words')", "pass"));
    job.train().failed(1, "ValueError: lost");
}

#[test]
fn tracebacks_of_a_successful_script_are_not_a_failure() {
    let script = "
import traceback
for n in range(3):
    try:
        raise ValueError(n)
    except ValueError:
        traceback.print_exc()
print('ERROR: CUDA out of memory')
";
    let ended = Job::python(script).train().succeeded();
    assert!(ended.stderr.contains("ValueError: 2") && ended.stderr.contains("the script succeeded"));
}

#[test]
fn a_shell_script_is_reported_by_its_last_line() {
    let script = "#!/bin/sh\nset -e\necho 'starting' >&2\necho 'data.bin: checksum mismatch' >&2\nexit 7\n";
    Job::shell(script).train().failed(7, "data.bin: checksum mismatch\n");
    let ended = Job::shell("#!/bin/sh\nset -e\ncat /no/such/file\n").train().failed(1, "cat: ");
    assert!(ended.failure().starts_with("cat: /no/such/file: No such file or directory"), "{}", ended.failure());
    let ended = Job::shell("#!/bin/sh\nno-such-command --x\n").train().failed(127, "");
    assert!(ended.failure().contains("no-such-command: not found"), "{}", ended.failure());
}

#[test]
fn a_crash_is_reported_by_its_signal() {
    let ended = Job::python("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)").train();
    let ended = ended.failed(139, "killed by SIGSEGV (signal 11)");
    assert!(ended.failure().contains("command: "), "{}", ended.failure());
    // Python's fault handler prints a stack, from which the place is read.
    let script = "import faulthandler, ctypes\nfaulthandler.enable()\ndef crash():\n    ctypes.string_at(0)\ncrash()";
    let ended = Job::python(script).train().failed(139, "");
    assert!(ended.failure().contains("SIGSEGV") && ended.failure().contains("train.py:4"), "{}", ended.failure());
    let job = Job::shell("#!/bin/sh\nkill -KILL $$\n");
    job.train().failed(137, "killed by SIGKILL (signal 9)");
}

#[test]
fn a_handled_exception_is_not_the_cause_of_a_later_crash() {
    let script = "
import os, signal, traceback
try:
    raise ValueError('handled')
except ValueError:
    traceback.print_exc()
os.kill(os.getpid(), signal.SIGKILL)
";
    Job::python(script).train().failed(137, "killed by SIGKILL (signal 9)");
}

#[test]
fn a_missing_output_folder_is_created() {
    let job = Job::python("raise ValueError('x')");
    fs::remove_dir_all(job.path("output")).expect("removed");
    job.train().failed(1, "ValueError: x\n");
    let job = Job::python("print('ran')");
    fs::remove_dir_all(job.path("output")).expect("removed");
    job.train().succeeded();
}

#[test]
fn an_unwritable_output_folder_does_not_change_the_exit_code() {
    for (script, code) in [("print('ran')", 0), ("raise ValueError('x')", 1)] {
        let job = Job::python(script);
        fs::remove_dir_all(job.path("output")).expect("removed");
        fs::write(job.path("output"), "a file in its place").expect("written");
        let ended = job.train();
        assert_eq!(ended.code(), code, "{ended:#?}");
        let folder = job.path("output").display().to_string();
        assert!(ended.stderr.contains(&format!("ERROR failed to create the folder {folder}")), "{}", ended.stderr);
    }
}

#[test]
fn a_long_message_is_cut_between_characters_and_begins_with_the_cause() {
    let script = "raise ValueError('ä' * 5000)";
    let ended = Job::python(script).train().failed(1, "ValueError: ääää");
    assert!(ended.failure().chars().count() <= 1024);
    // A long message does not displace the place.
    assert!(ended.failure().contains("at train.py:1"), "{}", ended.failure());
}

/// cloudpickle, with which Dask, Ray and joblib carry functions to their workers, leaves out the name of the file.
#[test]
fn a_function_that_was_carried_to_a_worker_is_found_in_the_script() {
    let script = "def bad(row):\n    raise ValueError(f'row {row} is rotten')\n\
                  bad.__code__ = bad.__code__.replace(co_filename='<dynamic-code>')\nbad(17)\n";
    Job::python(script).train().failed(1, "ValueError: row 17 is rotten\nat train.py:2 in bad\n");
}

#[test]
fn the_host_is_named_if_there_are_several() {
    let job = Job::python("raise ValueError('x')")
        .file("input/config/resourceconfig.json", r#"{"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]}"#);
    let ended = job.train().failed(1, "ValueError: x\n");
    assert!(ended.failure().contains("host algo-2, "), "{}", ended.failure());
}

#[test]
fn the_success_file_of_an_earlier_run_does_not_survive_a_failure() {
    let job = Job::shell("exit 3").file("output/success", "");
    let ended = job.train();
    assert_eq!(ended.code(), 3);
    assert!(!job.path("output/success").exists());
    // Neither does a failure file survive a success.
    let job = Job::shell("true").file("output/failure", "of an earlier run");
    assert_eq!(job.train().code(), 0);
    assert!(job.path("output/success").exists());
}
