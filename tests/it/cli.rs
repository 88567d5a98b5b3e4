//! The command line, and `footplate check`.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::job::{Ended, FOOTPLATE, Job, search_path, wait_with_output};

/// The subcommands that the help lists.
const COMMANDS: [&str; 11] =
    ["train", "exec", "process", "local", "plan", "env", "check", "stacks", "explain", "completions", "shim"];

/// The output of `footplate --help`.
const HELP: &str = include_str!("help.txt");

/// Runs footplate without a job. Returns the exit code and the output.
fn without_job(words: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(FOOTPLATE);
    command.args(words).env_clear().env("SAGEMAKER_BASE_DIR", folder.path()).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("footplate starts");
    let output = wait_with_output(child);
    let left = fs::read_dir(folder.path()).expect("the folder").count();
    assert!(left == 0 || words[0] == "exec", "{words:?} left something");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Runs the binary under another name with these arguments.
fn called(job: &Job, name: &str, words: &[&str]) -> Ended {
    let link = job.path(name);
    let _ = fs::remove_file(&link);
    symlink(FOOTPLATE, &link).expect("a link");
    let variables: Vec<_> =
        job.command(words).get_envs().map(|(n, v)| (n.to_owned(), v.map(ToOwned::to_owned))).collect();
    let mut command = Command::new(&link);
    command.args(words).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, value) in variables {
        command.env(name, value.unwrap_or_default());
    }
    let child = command.spawn().expect("footplate starts");
    job.ended(wait_with_output(child), std::time::Duration::ZERO)
}

#[test]
fn help_and_version_of_everything_are_printed_with_exit_code_0() {
    for command in COMMANDS.iter().chain(&["serve"]) {
        for option in ["--help", "-h"] {
            let (code, stdout, stderr) = without_job(&[command, option]);
            assert_eq!((code, stderr.as_str()), (0, ""), "{command} {option}");
            assert!(stdout.contains(&format!("Usage: footplate {command}")), "{stdout}");
        }
        let (code, stdout, _) = without_job(&["help", command]);
        assert!(code == 0 && stdout.contains("Usage: footplate"), "{command}: {stdout}");
        let version = without_job(&[command, "--version"]);
        assert_eq!((version.0, version.1.contains(env!("CARGO_PKG_VERSION"))), (0, true), "{command} {version:?}");
    }
    let (code, stdout, _) = without_job(&["exec", "/bin/echo", "--version", "--help"]);
    assert_eq!((code, stdout.as_str()), (0, "--version --help\n"), "the words of a command are its own");
    let version = format!("footplate {}\n", env!("CARGO_PKG_VERSION"));
    for option in ["--version", "-V"] {
        assert_eq!(without_job(&[option]), (0, version.clone(), String::new()));
    }
}

#[test]
fn the_main_help_equals_the_snapshot() {
    // To accept a change: target/…/debug/footplate --help > tests/it/help.txt
    for words in [&["--help"][..], &["-h"], &["help"]] {
        assert_eq!(without_job(words), (0, HELP.to_owned(), String::new()), "{words:?}");
    }
    for command in COMMANDS {
        assert!(HELP.contains(&format!("\n  {command} ")), "{command}");
    }
    assert!(!HELP.contains("serve"));
}

#[test]
fn the_help_of_train_lists_every_setting_with_its_default() {
    let (_, stdout, _) = without_job(&["train", "--help"]);
    for setting in &footplate::job::settings::REGISTRY {
        let line = stdout.lines().find(|line| line.trim_start().starts_with(&format!("{} ", setting.name)));
        assert!(line.is_some_and(|line| line.contains(&format!("[default: {}]", setting.default))), "{stdout}");
    }
}

#[test]
fn without_arguments_the_job_runs_if_there_is_one() {
    let job = Job::python("print('ran')");
    assert_eq!(job.run([] as [&str; 0]).succeeded().stdout(), "ran\n");
    let (code, stdout, stderr) = without_job(&[]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (2, "", HELP));
}

#[test]
fn under_the_name_train_the_binary_trains() {
    let job = Job::python("import sys; print('ran')");
    for words in [&[][..], &["train"], &["--set", "grace_period=1"], &["train", "--set", "grace_period=1"]] {
        assert_eq!(called(&job, "train", words).succeeded().stdout(), "ran\n", "{words:?}");
    }
    assert!(called(&job, "train", &["--version"]).stdout().starts_with("footplate "));
    assert!(called(&job, "train", &["plan"]).stdout().starts_with("host "));
    // If the shell finds it on PATH, argv[0] is the bare word.
    let mut command = job.command([] as [&str; 0]);
    let child = command.arg0("train").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    assert_eq!(wait_with_output(child).stdout, b"ran\n");
    // Any other name changes nothing.
    assert_eq!(called(&job, "entrypoint", &["train"]).succeeded().stdout(), "ran\n");
}

#[test]
fn a_missing_job_says_how_to_start_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(FOOTPLATE);
    command.arg("train").env_clear().env("SAGEMAKER_BASE_DIR", folder.path()).env("PATH", search_path());
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(78));
    let failure = fs::read_to_string(folder.path().join("output/failure")).expect("the failure");
    assert!(failure.contains("or run `footplate local` on your machine"), "{failure}");
}

#[test]
fn serve_reports_that_the_image_is_for_training() {
    let (code, stdout, stderr) = without_job(&["serve"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.starts_with("footplate: this is a training image, and cannot serve: "), "{stderr}");
}

#[test]
fn an_unknown_subcommand_is_answered_with_the_nearest_one() {
    for (words, said) in [
        (&["trian"][..], "a similar subcommand exists: 'train'"),
        (&["train", "--sett", "a=b"], "a similar argument exists: '--set'"),
        (&["train", "--set", "grace_period"], "expected NAME=VALUE, such as grace_period=30"),
        (&["local", "--entry-point", "x", "--hyperparameter", "=1"], "expected NAME=VALUE"),
        (&["env", "--format", "jsn"], "a similar value exists: 'json'"),
        (&["exec"], "<COMMAND>..."),
        (&["train", "extra"], "unexpected argument 'extra' found"),
    ] {
        let (code, stdout, stderr) = without_job(words);
        assert_eq!((code, stdout.as_str()), (2, ""), "{words:?}");
        assert!(stderr.contains(said), "{words:?}: {stderr}");
    }
}

#[test]
fn a_wrong_command_line_of_a_job_leaves_a_reason() {
    for (words, said) in [
        (&["train", "--epochs", "3"][..], "unexpected argument '--epochs' found in `footplate train --epochs 3`"),
        (&["--epochs", "3"], "unexpected argument '--epochs' found"),
        (&["python", "train.py", "--lr", "1"], "unrecognized subcommand 'python' in `"),
        (&["train", "--set", "grace_period"], "expected NAME=VALUE"),
        (&["exec"], "the following required arguments were not provided: <COMMAND>..."),
        (&["--"], "no subcommand is given"),
    ] {
        let job = Job::python("print('ran')");
        let ended = job.run(words).failed(2, "the command line of the container is wrong: ");
        let said = said.replace("`footplate", &format!("`{FOOTPLATE}"));
        assert!(ended.failure().contains(&said), "{words:?}: {ended:#?}");
        for remedy in ["hyperparameters of the job", "`footplate exec -- COMMAND`"] {
            assert!(ended.failure().contains(remedy), "{words:?}: {ended:#?}");
        }
    }
    let job = Job::python("").variable("HUB_TOKEN", "hunter2-hunter2");
    let ended = called(&job, "train", &["--token", "hunter2-hunter2"]).failed(2, "the command line ");
    assert!(!ended.failure().contains("hunter2"), "{ended:#?}");
    // What a person asks in the container of a running job is not the job's failure.
    for words in [&["plan", "--jsn"][..], &["env", "--format", "x"], &["check", "x"], &["--help"], &["--version"]] {
        let ended = Job::python("").run(words);
        assert!(ended.failure.is_none(), "{words:?}: {ended:#?}");
    }
}

/// Returns the lines of `footplate check` that start with a text.
fn findings<'o>(stdout: &'o str, mark: &str) -> Vec<&'o str> {
    stdout.lines().filter_map(|line| line.strip_prefix(mark)).collect()
}

#[test]
fn check_accepts_a_job_that_runs() {
    let job = Job::python("print('ran')");
    let ended = job.run(["check"]);
    assert_eq!(ended.code(), 0, "{ended:#?}");
    let stdout = ended.stdout();
    for line in ["configuration ", "entry point    train.py", "python ", "launcher       one process", "hardware "] {
        assert!(findings(&stdout, "ok    ").iter().any(|found| found.starts_with(line)), "{line}: {stdout}");
    }
    assert_eq!(findings(&stdout, "FAIL  "), [] as [&str; 0]);
    assert!(!stdout.contains("ran") && ended.failure.is_none() && !ended.success, "{ended:#?}");
}

#[test]
fn check_reports_everything_that_would_fail_the_job() {
    let fails = |job: Job, line: &str| {
        let ended = job.run(["check"]);
        let stdout = ended.stdout();
        assert!(findings(&stdout, "FAIL  ").iter().any(|found| found.starts_with(line)), "{line}: {stdout}");
        assert_eq!(ended.code(), 1, "{ended:#?}");
        assert!(ended.failure.is_none(), "a check must leave no failure file");
    };
    fails(Job::python("").hyperparameters("[]"), "configuration  configuration: ");
    fails(
        Job::python("").variable("FOOTPLATE_GRACE_PERIOD", "soon"),
        "configuration  settings: the variable FOOTPLATE_GRACE_PERIOD",
    );
    fails(Job::new(), "entry point    the entry point \"train.py\" cannot be run: the code folder ");
    fails(
        Job::python("").variable("SAGEMAKER_PROGRAM", "trian.py"),
        "entry point    the entry point \"trian.py\" is not in ",
    );
    fails(Job::new().without("SAGEMAKER_PROGRAM"), "entry point    no entry point is named: ");
    fails(Job::python("").variable("FOOTPLATE_PYTHON", "python0"), "python         the Python \"python0\" that ");
    let empty = Job::python("");
    let bin = empty.path("bin").display().to_string();
    fails(
        empty.variable("PATH", &bin).variable("FOOTPLATE_LAUNCHER", "mpi"),
        "launcher       the job asks for MPI, and mpirun is not on PATH: install Open MPI",
    );
    fails(
        Job::python("").hyperparameters(r#"{"sagemaker_distributed_dataparallel_enabled": "true"}"#),
        "launcher       the job asks for smdistributed data parallel, and smddprun is not on PATH",
    );
    let blocked = Job::python("");
    fs::remove_dir_all(blocked.path("output")).expect("removed");
    fs::write(blocked.path("output"), "").expect("written");
    fails(blocked, "disk           ");
}

#[test]
fn check_warns_if_the_container_lacks_gpus_of_its_instance() {
    if fs::metadata("/dev/nvidia0").is_ok() {
        return;
    }
    let resources = r#"{"current_host": "a", "hosts": ["a"], "current_instance_type": "ml.p4d.24xlarge"}"#;
    let job = Job::python("").file("input/config/resourceconfig.json", resources).variable("PATH", "/usr/bin:/bin");
    let ended = job.run(["check"]);
    let stdout = ended.stdout();
    let warned = findings(&stdout, "warn  ");
    assert!(
        warned.iter().any(|line| line.contains("although ml.p4d.24xlarge has GPUs: run the container with --gpus all")),
        "{stdout}"
    );
}

#[test]
fn check_requires_python_only_if_the_job_needs_it() {
    let ended = super::empty_image::run(&Job::shell("#!/bin/sh\n"), &["check"]);
    assert!(ended.stdout().contains("ok    python         none, and none is needed\n"), "{ended:#?}");
    let ended = super::empty_image::run(&Job::python(""), &["check"]);
    assert!(ended.stdout().contains("FAIL  python         no python3 or python on PATH"), "{ended:#?}");
    assert_eq!(ended.code(), 1);
}

#[test]
fn check_looks_up_the_names_of_the_other_hosts() {
    let with_hosts = |hosts: &str| {
        let resources = format!(r#"{{"current_host": "algo-1", "hosts": ["algo-1", {hosts}]}}"#);
        Job::python("")
            .file("input/config/resourceconfig.json", resources)
            .variable("FOOTPLATE_HOST_ADDRESSES", "algo-9=127.0.0.9")
            .run(["check"])
    };
    let fine = with_hosts(r#""localhost", "algo-9""#);
    assert!(fine.stdout().contains("ok    hosts          the 2 other hosts have addresses\n"), "{fine:#?}");
    // RFC 6761 guarantees that the name does not exist.
    let missing = with_hosts(r#""algo-9", "algo-2.invalid""#);
    assert!(missing.stdout().contains("warn  hosts          the name algo-2.invalid "), "{missing:#?}");
    assert_eq!(missing.code(), 0, "names may come later");
}
