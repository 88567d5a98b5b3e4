//! Recorded reports of programs that start others. The other program's own words count.

use super::forms::{told, told_with};

#[test]
fn the_programs_own_words_win_over_the_report_of_what_started_it() {
    for report in [
        "xargs: sh: exited with status 255; aborting",
        "parallel: This job failed:\n./fit 3",
        "parallel: This job failed:\n./fit 3\nparallel: Starting no more jobs. Waiting for 1 jobs to finish.",
        "Command exited with non-zero status 7\n0.00user 0.00system 0:00.00elapsed 100%CPU (0avgtext+0avgdata 3184maxresident)k\n0inputs+0outputs (0major+164minor)pagefaults 0swaps",
        "\nreal\t0m0.004s\nuser\t0m0.002s\nsys\t0m0.002s",
        "ERROR conda.cli.main_run:execute(49): `conda run ./fit` failed. (See above for error)",
        "npm ERR! code ELIFECYCLE\nnpm ERR! errno 7\nnpm ERR! fit@1.0.0 train: `./fit`\nnpm ERR! Exit status 7\nnpm ERR! \nnpm ERR! Failed at the fit@1.0.0 train script.\nnpm ERR! This is probably not a problem with npm. There is likely additional logging output above.\n\nnpm ERR! A complete log of this run can be found in:\nnpm ERR!     /root/.npm/_logs/a-debug.log",
        "npm error Lifecycle script `train` failed with error:\nnpm error code 7\nnpm error path /opt/ml/code\nnpm error workspace fit@1.0.0\nnpm error location /opt/ml/code\nnpm error command failed\nnpm error command sh -c ./fit",
        "error Command failed with exit code 7.\ninfo Visit https://yarnpkg.com/en/docs/cli/run for documentation about this command.",
        " ELIFECYCLE  Command failed with exit code 7.",
        "task: Failed to run task \"train\": exit status 7",
        "train: exit 7 (0.02 seconds) /opt/ml/code> ./fit pid=77\n  train: FAIL code 7 (0.05=setup[0.03]+cmd[0.02] seconds)\n  evaluation failed :( (0.09 seconds)",
        "nox > Command ./fit failed with exit code 7\nnox > Session train failed.",
        "ERROR: failed to reproduce 'train': failed to run: ./fit, exited with 7",
        "[Sat Nov 28 10:00:00 2026]\nError in rule train:\n    jobid: 1\n    shell:\n        ./fit\n        (one of the commands exited with non-zero exit code; note that snakemake uses bash strict mode!)\n\nShutting down, this might take some time.\nExiting because a job execution failed. Look above for error message\nComplete log: .snakemake/log/a.snakemake.log",
        "command terminated with exit code 7",
        "2026-Nov-28 10:00:01.000 ERROR ||NEURON_CC_WRAPPER||: Compilation failed for /tmp/x/model.neff after 0 retries.",
    ] {
        told_with(7, &format!("shard-3: checksum differs\n{report}\n"), &["shard-3: checksum differs"]);
    }
    // Without other lines, the report is the best evidence. A command that is shown is not an error.
    let report = "task: Failed to run task \"train\": exit status 7";
    told_with(7, &format!("task: [train] ./fit\n{report}\n"), &[report]);
    told_with(7, &format!("{report}\n"), &[report]);
    // The report is not part of an exception's message, and adds no information to it.
    let raised = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in load\n    raise ValueError(name)\nValueError: no rows\n";
    for report in [report, "error: Recipe `train` failed on line 2 with exit code 1", "algo-1 exited with code 1"] {
        told(&format!("{raised}{report}\n"), &["ValueError: no rows", "at train.py:4 in load"]);
    }
    // Only xargs reports the signal.
    told_with(125, "epoch 3\nxargs: sh: terminated by signal 9\n", &["xargs: sh: terminated by signal 9"]);
}

#[test]
fn the_words_of_a_recipes_program_win_and_its_command_does_not() {
    for report in ["make: *** [Makefile:2: train] Error 7", "error: Recipe `train` failed on line 2 with exit code 7"] {
        told_with(7, &format!("./fit rows 3\nshard-3: checksum differs\n{report}\n"), &["shard-3: checksum differs"]);
        for other in ["./fit rows 3", "loss: 0.3 at 7"] {
            told_with(7, &format!("{other}\n{report}\n"), &[report, &format!("before it: {other}")]);
        }
    }
}

#[test]
fn what_hydra_prints_below_its_introduction_is_the_error() {
    let advice = "\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n";
    told(
        &format!("Error executing job with overrides: ['rate=3']\nno rows in the table\n{advice}"),
        &["no rows in the table"],
    );
}

#[test]
fn a_record_of_json_over_several_lines_may_follow_the_fields_of_a_logger() {
    let record =
        "2026-11-28 10:00:00 ERROR fit: {\n  \"level\": \"error\",\n  \"message\": \"no rows in the table\"\n}\n";
    told(record, &["ERROR no rows in the table"]);
    told("options {\n  \"rows\": 3\n}\nno rows\n", &["no rows"]);
}

#[test]
fn mpiruns_last_notice_is_told_by_its_first_sentence() {
    let rule = "-".repeat(74);
    let notice = "There are not enough slots available in the system to satisfy the 8\nslots that were requested by the application:\n\n  python3\n\nEither request fewer procs for your application, or make more slots\navailable for use.";
    told(
        &format!("{rule}\n{notice}\n{rule}\n"),
        &[
            "There are not enough slots available in the system to satisfy the 8 slots that were requested by the application",
            "hint: mpirun was asked for more processes than its hosts have slots; ask for fewer, name more slots (--host algo-1:8), or \
             pass --oversubscribe",
        ],
    );
    // The script went on after it.
    told(&format!("{rule}\n{notice}\n{rule}\nfit.sh: the table is empty\n"), &["fit.sh: the table is empty"]);
}
