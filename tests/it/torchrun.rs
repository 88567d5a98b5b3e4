//! torchrun's ranks on one host: their lines and their errors. A short program stands in for torchrun, because PyTorch is
//! too large to install for these tests; the real torchrun runs in `engines`.

use std::fs;

use super::job::Job;
use super::launchers::tool;

/// A stand-in for torchrun. It treats its ranks' interpreter (PYTHON_EXEC), streams (`--redirects`) and error files as the
/// real one (torch 2) does. `record` around a rank's main function writes the file that TORCHELASTIC_ERROR_FILE names.
/// `record` around torchrun's main function copies the file of the rank that failed first, which the final report names.
const TORCHRUN: &str = r#"#!/usr/bin/env python3
import os, shutil, subprocess, sys, tempfile
first = next(index for index, word in enumerate(sys.argv) if index > 0 and not word.startswith("--"))
options, words = sys.argv[1:first], sys.argv[first:]
ranks = int(next(word.split("=")[1] for word in options if word.startswith("--nproc_per_node=")))
own = os.environ["TORCHELASTIC_ERROR_FILE"]
interpreter = os.environ.get("PYTHON_EXEC", sys.executable)
print("torchrun's own line", flush=True)
with tempfile.TemporaryDirectory() as folder:
    error_files = [os.path.join(folder, f"{rank}.json") for rank in range(ranks)]
    def start(rank):
        variables = dict(os.environ, RANK=str(rank), LOCAL_RANK=str(rank), TORCHELASTIC_ERROR_FILE=error_files[rank],
                         TORCHELASTIC_RESTART_COUNT="0")
        stdout = open(f"rank-{rank}.log", "w") if "--redirects=1" in options else None
        return subprocess.Popen([interpreter, "-u"] + words, env=variables, stdout=stdout)
    processes = [start(rank) for rank in range(ranks)]
    for rank in reversed(range(ranks)):
        ended = processes[rank].wait()
        if ended:
            if os.path.exists(error_files[rank]):
                shutil.copyfile(error_files[rank], own)
            for process in processes:
                process.terminate()
            print("Root Cause (first observed failure):", "[0]:", f"  rank      : {rank} (local_rank: {rank})",
                  f"  exitcode  : {ended} (pid: 71)", f"  error_file: {error_files[rank]}", sep="\n", file=sys.stderr)
            sys.exit(1)
"#;

/// A job whose script torchrun starts as three ranks.
fn three_ranks(script: &str) -> Job {
    let job = tool(Job::python(script), "torchrun", TORCHRUN);
    fs::create_dir(job.path("tmp")).expect("a folder");
    let tmp = job.path("tmp").display().to_string();
    job.variable("FOOTPLATE_LAUNCHER", "torchrun")
        .variable("FOOTPLATE_PROCESSES_PER_HOST", "3")
        .variable("TMPDIR", &tmp)
}

/// Checks that nothing is left in the temporary folder.
#[track_caller]
fn is_tidy(job: &Job) {
    assert_eq!(fs::read_dir(job.path("tmp")).expect("a folder").count(), 0, "something is left");
}

/// Returns the lines of a text, sorted.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// A script that writes its lines in parts, while the other ranks do the same.
const IN_PARTS: &str = r#"
import os, sys, time
for line in range(3):
    for part in ["line ", str(line), " of ", os.environ["RANK"], "\n"]:
        os.write(1, part.encode())
        time.sleep(0.002)
os.write(2, b"  on stderr\n")
"#;

#[test]
fn the_lines_of_ranks_are_whole_and_have_a_prefix() {
    let job = three_ranks(IN_PARTS);
    let ended = job.train().succeeded();
    let mut expected: Vec<String> =
        (0..3).flat_map(|rank| (0..3).map(move |line| format!("[algo-1:{rank}] line {line} of {rank}"))).collect();
    expected.push("torchrun's own line".to_owned());
    assert_eq!(sorted(&ended.stdout()), expected);
    for rank in 0..3 {
        assert!(ended.stderr.contains(&format!("\n[algo-1:{rank}]   on stderr\n")), "{}", ended.stderr);
    }
    is_tidy(&job);

    let bare: Vec<String> =
        expected.iter().map(|line| line.split("] ").last().unwrap_or_default().to_owned()).collect();
    let ended = job.variable("FOOTPLATE_LOG_PREFIX", "off").train().succeeded();
    assert_eq!(sorted(&ended.stdout()), sorted(&bare.join("\n")), "whole, without prefixes");
}

#[test]
fn ranks_are_started_as_torchrun_would_start_them() {
    let script = r#"
import os, sys
assert "PYTHON_EXEC" not in os.environ
print(sys.executable, sys.argv, os.get_blocking(1), file=open(os.environ["RANK"], "w"))
"#;
    let job = three_ranks(script).hyperparameters(r#"{"lr": "0.1"}"#);
    job.train().succeeded();
    let ranks = ["0", "1", "2"].map(|rank| job.read(&format!("code/{rank}")).expect("it ran"));
    // For comparison: the script without a launcher.
    let alone = job.variable("FOOTPLATE_LAUNCHER", "process").variable("RANK", "alone");
    alone.train().succeeded();
    let alone = alone.read("code/alone").expect("it ran");
    assert_eq!(ranks, [alone.as_str(); 3]);
}

#[test]
fn the_count_of_restarts_has_those_of_footplate() {
    let script = "import os\nprint(os.environ['TORCHELASTIC_RESTART_COUNT'])\n\
                  if os.environ['FOOTPLATE_ATTEMPT'] != '1' and os.environ['RANK'] == '1': raise ValueError('bad')\n";
    let ended = three_ranks(script).variable("FOOTPLATE_MAX_RESTARTS", "1").train().succeeded();
    let stdout = ended.stdout();
    let of_rank_1: Vec<&str> = stdout.lines().filter(|line| line.starts_with("[algo-1:1]")).collect();
    assert_eq!(of_rank_1, ["[algo-1:1] 0", "[algo-1:1] 1"], "{stdout}");
}

#[test]
fn output_that_the_user_redirects_stays_redirected() {
    let job = three_ranks(IN_PARTS).variable("FOOTPLATE_TORCHRUN_ARGUMENTS", "--redirects=1");
    let ended = job.train().succeeded();
    assert_eq!(ended.stdout(), "torchrun's own line\n");
    for rank in 0..3 {
        let log = job.read(&format!("code/rank-{rank}.log")).expect("torchrun's log");
        assert_eq!(log, (0..3).map(|line| format!("line {line} of {rank}\n")).collect::<String>());
        assert!(ended.stderr.contains(&format!("\n[algo-1:{rank}]   on stderr\n")), "{}", ended.stderr);
    }
    // Ranks beyond the planned number share torchrun's streams.
    let job = three_ranks("import os\nos.write(1, os.environ['RANK'].encode() + b'\\n')\n");
    let job = job.variable("FOOTPLATE_TORCHRUN_ARGUMENTS", "--a-rank-more");
    let more = TORCHRUN.replace("ranks = int(", "ranks = 1 + int(");
    let ended = tool(job, "torchrun", &more).train().succeeded();
    assert_eq!(sorted(&ended.stdout()), ["3", "[algo-1:0] 0", "[algo-1:1] 1", "[algo-1:2] 2", "torchrun's own line"]);
    // The user's own interpreter is kept.
    let job = three_ranks("import os\nos.write(1, os.environ['PYTHON_EXEC'].encode() + b'\\n')\n")
        .variable("PYTHON_EXEC", "python3");
    let ended = job.train().succeeded();
    assert_eq!(sorted(&ended.stdout()), ["python3", "python3", "python3", "torchrun's own line"]);
}

#[test]
fn the_output_of_ranks_shows_which_of_them_failed_first() {
    let script = r#"
import os, signal, sys, time
if os.environ["RANK"] == "2":
    def load(path):
        raise ValueError(f"bad data in {path}")
    load("x.csv")
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(True))
while not told:
    time.sleep(0.01)
raise ConnectionError("Connection closed by peer")
"#;
    let text = "ValueError: bad data in x.csv\nat train.py:5 in load\n";
    let job = three_ranks(script);
    let ended = job.train().failed(1, text);
    assert!(ended.failure().contains("rank 2, exit code 1"), "{}", ended.failure());
    is_tidy(&job);
    let ended = job.variable("FOOTPLATE_LOG_PREFIX", "off").train().failed(1, text);
    assert!(ended.failure().contains("rank 2, exit code 1"), "{}", ended.failure());
}

#[test]
fn a_process_that_a_rank_leaves_behind_ends_with_the_job() {
    let script = r#"
import os, subprocess, sys
if os.environ["RANK"] == "1":
    subprocess.Popen([sys.executable, "-c", "import time; print('left', flush=True); time.sleep(600)"])
    sys.exit("the model is gone")
"#;
    let job = three_ranks(script).variable("FOOTPLATE_DRAIN_TIME", "0.2");
    let ended = job.train().failed(1, "the model is gone\n");
    assert!(ended.failure().contains("rank 1, exit code 1"), "{}", ended.failure());
    is_tidy(&job);
}

/// A script that does what torch's `record` does with an exception of the main function, except that it writes nothing to
/// standard error. So only the error file has the cause.
const RECORD: &str = r#"
import json, os, sys, time, traceback
def load(path):
    raise ValueError(f"bad data in {path}")
try:
    if os.environ["RANK"] == "1":
        load("x.csv")
except Exception as error:
    extra = {"py_callstack": traceback.format_exc(), "timestamp": str(int(time.time()))}
    with open(os.environ["TORCHELASTIC_ERROR_FILE"], "w") as file:
        json.dump({"message": {"message": f"{type(error).__name__}: {error}", "extraInfo": extra}}, file)
    sys.exit(1)
"#;

#[test]
fn the_error_file_of_a_rank_becomes_the_cause_and_is_removed() {
    let job = three_ranks(RECORD);
    let ended = job.train().failed(1, "ValueError: bad data in x.csv\nat train.py:4 in load\n");
    assert!(ended.failure().contains("rank 1, exit code 1"), "{}", ended.failure());
    is_tidy(&job);

    // An error file that the container names is read in the same way.
    let own = job.path("own.json").display().to_string();
    let job = job.variable("TORCHELASTIC_ERROR_FILE", &own);
    job.train().failed(1, "ValueError: bad data in x.csv\n");
}
