//! Processing jobs: their configuration, code, variables and exit message, by `footplate process` and `footplate exec`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;

use super::code::archive_of;
use super::hosts::address;
use super::installers;
use super::job::{Ended, Job, executable, search_path, wait_with_output};
use super::kept::{self, wheel};
use super::running::{Running, nothing_survives, with_notes};
use super::servers::CodeArtifact;

/// The folder of the code, below the base folder.
const CODE: &str = "processing/input/code";

/// Returns a processing job on one host whose input `code` holds this script as `clean.py`.
fn job(script: &str) -> Job {
    without_code().file(&format!("{CODE}/clean.py"), script)
}

/// Returns a processing job on one host, with an input and an output and without code.
fn without_code() -> Job {
    of_hosts(&["algo-1"], "algo-1", json!({}))
}

/// Returns a processing job as one of its hosts sees it. `application` is the AppSpecification of the request.
fn of_hosts(hosts: &[&str], host: &str, application: serde_json::Value) -> Job {
    let job = Job::new().without("SAGEMAKER_PROGRAM");
    for folder in ["input", "code", "model"] {
        fs::remove_dir_all(job.path(folder)).expect("removed");
    }
    let base = job.base().display().to_string();
    let request = json!({
        "ProcessingJobArn": "arn:aws:sagemaker:eu-west-1:111122223333:processing-job/clean-1",
        "ProcessingJobName": "clean-1",
        "Environment": {},
        "AppSpecification": application,
        "ProcessingInputs": [
            {"InputName": "raw-data", "S3Input": {"LocalPath": "/in/raw", "S3Uri": "s3://b/raw"}},
            {"InputName": "code", "S3Input": {"LocalPath": format!("{base}/{CODE}"), "S3Uri": "s3://b/code"}},
        ],
        "ProcessingOutputConfig": {"Outputs": [
            {"OutputName": "train", "S3Output": {"LocalPath": "/out/train", "S3UploadMode": "EndOfJob"}},
            {"OutputName": "features", "FeatureStoreOutput": {"FeatureGroupName": "f"}},
        ]},
        "ProcessingResources": {"ClusterConfig": {"InstanceCount": hosts.len(), "InstanceType": "ml.m5.xlarge"}},
    });
    job.file("config/processingjobconfig.json", request.to_string())
        .file("config/resourceconfig.json", json!({"current_host": host, "hosts": hosts}).to_string())
}

/// Runs footplate in a folder of the job.
fn run_in(job: &Job, folder: &str, words: &[&str]) -> Ended {
    let mut command = job.command(words);
    fs::create_dir_all(job.path(folder)).expect("a folder");
    command.current_dir(job.path(folder)).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    job.ended(wait_with_output(command.spawn().expect("it starts")), std::time::Duration::ZERO)
}

fn message(job: &Job) -> String {
    job.read("output/message").unwrap_or_else(|| panic!("there is no message"))
}

/// The ways in which the SDK's ScriptProcessor and FrameworkProcessor start footplate: the folder of the container, and the
/// words, in which `{code}` stands for the folder of the code.
const FORMS: [(&str, &[&str]); 4] = [
    ("work", &["exec", "--", "python3", "{code}/clean.py"]),
    (CODE, &["exec", "--", "python3", "clean.py"]),
    ("work", &["process", "{code}/clean.py"]),
    (CODE, &["process", "clean.py"]),
];

fn words(job: &Job, form: &[&str], arguments: &[&str]) -> Vec<String> {
    let code = job.path(CODE).display().to_string();
    form.iter().chain(arguments).map(|word| word.replace("{code}", &code)).collect()
}

#[test]
fn both_processors_of_the_sdk_can_start_a_script() {
    let script = r#"
import json, os, sys
names = ["SM_CURRENT_HOST", "SM_HOSTS", "SM_HOST_COUNT", "SM_CURRENT_INSTANCE_TYPE", "SM_PROCESSING_JOB_NAME",
         "SM_PROCESSING_INPUT_RAW_DATA", "SM_PROCESSING_OUTPUTS", "SM_PROCESSING_OUTPUT_TRAIN", "SM_USER_ARGS", "NNODES"]
print(json.dumps([sys.argv[1:], os.path.basename(os.getcwd()), {name: os.environ[name] for name in names}]))
assert "SM_MODEL_DIR" not in os.environ and "SM_HPS" not in os.environ
assert int(os.environ["SM_NUM_CPUS"]) > 0 and os.environ["SM_HOSTS"] == '["algo-1"]'
"#;
    for (folder, form) in FORMS {
        let job = job(script);
        let arguments = ["--rows", "3", "two words"];
        let words = words(&job, form, &arguments);
        let ended = run_in(&job, folder, &words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((ended.code(), job.read("output/message")), (0, None), "{form:?} {ended:#?}");
        let printed: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("JSON");
        let expected = json!({
            "SM_CURRENT_HOST": "algo-1", "SM_HOSTS": "[\"algo-1\"]", "SM_HOST_COUNT": "1",
            "SM_CURRENT_INSTANCE_TYPE": "ml.m5.xlarge", "SM_PROCESSING_JOB_NAME": "clean-1",
            "SM_PROCESSING_INPUT_RAW_DATA": "/in/raw", "SM_PROCESSING_OUTPUTS": "{\"train\":\"/out/train\"}",
            "SM_PROCESSING_OUTPUT_TRAIN": "/out/train", "SM_USER_ARGS": "[\"--rows\",\"3\",\"two words\"]", "NNODES": "1",
        });
        let folder = folder.rsplit('/').next().expect("a name");
        assert_eq!(printed, json!([arguments, folder, expected]), "{form:?}");
        assert!(ended.stderr.contains("job clean-1, host algo-1 (1 of 1), ml.m5.xlarge"), "{}", ended.stderr);
    }
}

#[test]
fn the_exit_message_begins_with_the_error_of_the_script() {
    let script = "def load():\n    raise ValueError('bad data, tok_' + 'é' * 2000)\nload()\n";
    for (folder, form) in FORMS {
        let job = job(script).variable("API_TOKEN", "tok_éééé");
        let words = words(&job, form, &[]);
        let ended = run_in(&job, folder, &words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(ended.code(), 1, "{ended:#?}");
        let bytes = fs::read(job.path("output/message")).expect("a message");
        assert!(bytes.len() <= 1024 && bytes.len() > 1000, "{} bytes", bytes.len());
        let message = String::from_utf8(bytes).expect("UTF-8");
        assert!(message.starts_with("ValueError: bad data, ******é"), "{form:?}: {message}");
        assert!(
            message.contains("\nat clean.py:2 in load\n") && message.contains("exit code 1"),
            "{form:?}: {message}"
        );
        assert_eq!(job.read("output/failure"), None);
    }
}

#[test]
fn a_message_of_the_script_is_kept() {
    let script = "import os\nopen(os.environ['SM_OUTPUT_FAILURE'], 'w').write('no rows')\nraise SystemExit(3)\n";
    let job = job(script);
    let ended = run_in(&job, CODE, &["process", "clean.py"]);
    assert_eq!((ended.code(), message(&job).as_str()), (3, "no rows"), "{ended:#?}");
}

#[test]
fn variables_of_the_job_keep_their_values() {
    let job = job("import os\nprint(os.environ['SM_NUM_CPUS'], os.environ['MASTER_PORT'], os.environ['PYTHONPATH'])\n")
        .variable("SM_NUM_CPUS", "77")
        .variable("MASTER_PORT", "1234")
        .variable("PYTHONPATH", "/lib/own");
    assert_eq!(run_in(&job, "work", &["process", "clean.py"]).stdout(), "77 1234 /lib/own\n");
}

#[test]
fn supplied_code_in_an_archive_of_any_name_is_unpacked() {
    let files = [("clean.py", "import helper\nprint('cleaned', helper.NAME)\n"), ("helper.py", "NAME = 'all'\n")];
    for name in ["sourcedir.tar.gz", "my code.tgz", "bundle"] {
        for (folder, form) in FORMS {
            let job = without_code().file(&format!("{CODE}/{name}"), archive_of(&files));
            let words = words(&job, form, &[]);
            let ended = run_in(&job, folder, &words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!((ended.code(), ended.stdout().as_str()), (0, "cleaned all\n"), "{name} {form:?} {ended:#?}");
            assert!(
                ended.stderr.contains("unpacked 2 files") && !ended.stderr.contains("image's own"),
                "{}",
                ended.stderr
            );
        }
    }
    // An archive among other files is left alone: somebody has unpacked it.
    let job = job("print('ran')\n").file(&format!("{CODE}/other.tar.gz"), archive_of(&files));
    let ended = run_in(&job, CODE, &["process", "clean.py"]);
    assert!(ended.stdout() == "ran\n" && !ended.stderr.contains("unpacked"), "{ended:#?}");
}

#[test]
fn requirements_beside_the_script_are_installed() {
    for (folder, form) in [FORMS[0], FORMS[3]] {
        let job =
            job("import cleaner\nprint(cleaner.VERSION)\n").file(&format!("{CODE}/requirements.txt"), "cleaner==1.2\n");
        let index = job.path("wheels");
        wheel(&index, &["cleaner", "1.2"]);
        let target = job.path("site").display().to_string();
        let job = job
            .variable("PIP_NO_INDEX", "1")
            .variable("PIP_FIND_LINKS", &index.display().to_string())
            .variable("PIP_TARGET", &target)
            .variable("PYTHONPATH", &target)
            .variable("FOOTPLATE_INSTALLER", "pip");
        let words = words(&job, form, &[]);
        let ended = run_in(&job, folder, &words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((ended.code(), ended.stdout().lines().last()), (0, Some("1.2")), "{form:?} {ended:#?}");
    }
}

#[test]
fn requirements_are_installed_from_codeartifact() {
    const TOKEN: &str = "eyJ2ZXIiOjEtoken-of-processing";
    let folder = tempfile::tempdir().expect("a folder");
    wheel(folder.path(), &["cleaner", "1.2"]);
    let repository = CodeArtifact::start(folder.path(), TOKEN);
    let script = "import cleaner\nprint(cleaner.VERSION)\n";
    let in_environment = |script: &str| {
        let job = job(script).file(&format!("{CODE}/requirements.txt"), "cleaner\n");
        let venv = job.path("venv");
        kept::copy_environment(installers::environment(), &venv);
        let path = format!("{}/bin:{}", venv.display(), search_path());
        let job = job.variable("PATH", &path).variable("PIP_CONFIG_FILE", "/dev/null");
        repository.offered_to(job).variable("PIP_NO_CACHE_DIR", "1").variable("FOOTPLATE_UV", &installers::uv())
    };
    for ((folder, form), installer) in [(FORMS[0], "pip"), (FORMS[3], "uv")] {
        let job = in_environment(script).variable("FOOTPLATE_INSTALLER", installer);
        let words = words(&job, form, &[]);
        let ended = run_in(&job, folder, &words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((ended.code(), ended.stdout().lines().last()), (0, Some("1.2")), "{form:?} {ended:#?}");
        assert!(ended.stderr.contains("from the CodeArtifact index "), "{ended:#?}");
        assert!(ended.stderr.contains(&format!("installed by {installer}")), "{ended:#?}");
        assert!(!format!("{ended:?}").contains(TOKEN), "{ended:#?}");
    }
    let job = in_environment(script).variable("AWS_SECRET_ACCESS_KEY", "another-secret");
    let ended = run_in(&job, CODE, &["process", "clean.py"]);
    assert_eq!((ended.code(), ended.stdout().as_str()), (1, ""), "{ended:#?}");
    let arn = CodeArtifact::ARN;
    let expected = format!("the CodeArtifact repository {arn} (CA_REPOSITORY_ARN) cannot be used: ");
    assert!(message(&job).starts_with(&expected), "{}", message(&job));
}

#[test]
fn a_missing_requirement_is_the_exit_message() {
    let job = job("print('ran')\n").file(&format!("{CODE}/requirements.txt"), "no-such-package-here==1\n");
    let job = job.variable("PIP_NO_INDEX", "1").variable("FOOTPLATE_INSTALLER", "pip");
    let ended =
        run_in(&job, "work", &["exec", "--", "python3", &job.path(CODE).join("clean.py").display().to_string()]);
    assert!(ended.code() == 1 && !ended.stdout().contains("ran"), "{ended:#?}");
    assert!(message(&job).contains("no-such-package-here"), "{}", message(&job));
}

#[test]
fn every_kind_of_command_runs() {
    let shell = "echo \"shell $1\"\n";
    let job = job("import sys\nprint('python', *sys.argv[1:])\n")
        .file(&format!("{CODE}/clean.sh"), shell)
        .file(&format!("{CODE}/clean.pl"), "print \"perl $ARGV[0]\\n\";\n")
        .file(&format!("{CODE}/pack/__main__.py"), "print('folder')\n")
        .file("work/own.py", "print('of the image')\n");
    executable(&job.path("work/tool"), "#!/bin/sh\necho \"tool $1\"\n");
    for (words, printed) in [
        (&["process", "clean.py", "--x"][..], "python --x\n"),
        (&["process", "--", "clean.py", "--x"], "python --x\n"),
        (&["process", "clean.sh", "a"], "shell a\n"),
        (&["process", "clean.pl", "a"], "perl a\n"),
        (&["process", "pack"], "folder\n"),
        (&["process", "own.py"], "of the image\n"),
        (&["process", "echo", "hi"], "hi\n"),
        (&["process", "./tool", "b"], "tool b\n"),
        (&["process", "--", "python3", "-u", "own.py"], "of the image\n"),
        (&["exec", "--", "python3", "-c", "print(1)"], "1\n"),
        (&["exec", "./tool", "b"], "tool b\n"),
        (&["exec", "--", "sh", "-c", "echo $SM_CURRENT_HOST $SM_PROCESSING_OUTPUT_TRAIN"], "algo-1 /out/train\n"),
    ] {
        let ended = run_in(&job, "work", words);
        assert_eq!((ended.code(), ended.stdout().as_str()), (0, printed), "{words:?} {ended:#?}");
    }
    // The script that the image names gets the arguments of the container.
    let job = job.variable("SAGEMAKER_PROGRAM", "clean.py");
    for (words, printed) in [
        (&["process"][..], "python\n"),
        (&[], "python\n"),
        (&["process", "--rows", "3"], "python --rows 3\n"),
        (&["process", "own.py"], "of the image\n"),
    ] {
        let ended = run_in(&job, "work", words);
        assert_eq!((ended.code(), ended.stdout().as_str()), (0, printed), "{words:?} {ended:#?}");
    }
}

#[test]
fn a_command_that_cannot_run_leaves_a_message_that_says_why() {
    let job = job("").file("work/data.txt", "");
    let code = job.path(CODE).display().to_string();
    for (words, exit_code, said) in [
        (
            &["process", "clen.py"][..],
            127,
            format!("the entry point \"clen.py\" is not in {code}, which holds clean.py; did you mean"),
        ),
        (&["process"], 78, "no script is named: give one to `footplate process`".to_owned()),
        (&["process", "--", "pyhton3", "x.py"], 127, "the entry point \"pyhton3\" is not in".to_owned()),
        (&["exec", "--", "pyhton3", "x.py"], 127, "pyhton3: not found on PATH".to_owned()),
        (&["exec", "./data.txt"], 126, "./data.txt: may not be executed by this user".to_owned()),
        (&["process", "/in"], 127, "the entry point \"/in\" is not in".to_owned()),
        (&["train"], 78, "this is the container of a processing job".to_owned()),
        (&["process", "--set", "launcher=x", "clean.py"], 78, "settings: --set launcher is".to_owned()),
    ] {
        let ended = run_in(&job, "work", words);
        assert_eq!(ended.code(), exit_code, "{words:?} {ended:#?}");
        assert!(message(&job).starts_with(&said), "{words:?}: {}", message(&job));
        fs::remove_file(job.path("output/message")).expect("removed");
    }
}

#[test]
fn wrong_files_of_a_processing_job_are_named() {
    for (file, text, said) in [
        ("processingjobconfig.json", "[1]", "holds a list"),
        (
            "processingjobconfig.json",
            "{\"ProcessingInputs\": {}}",
            "the key \"ProcessingInputs\" is an object, not a list",
        ),
        ("processingjobconfig.json", "{\"ProcessingInputs\": [3]}", "the key \"ProcessingInputs[0]\" is a number"),
        (
            "processingjobconfig.json",
            "{\"ProcessingOutputConfig\": {\"Outputs\": [{}]}}",
            "Outputs[0].OutputName\" is missing",
        ),
        ("resourceconfig.json", "{}", "the key \"current_host\" is missing"),
    ] {
        let job = job("print('ran')\n").file(&format!("config/{file}"), text);
        let ended = run_in(&job, CODE, &["process", "clean.py"]);
        assert_eq!(ended.code(), 78, "{file} {text}: {ended:#?}");
        assert!(message(&job).contains(&format!("config/{file}")) && message(&job).contains(said), "{}", message(&job));
    }
    // A request for several hosts needs the file that names them.
    let job = of_hosts(&["algo-1", "algo-2"], "algo-1", json!({})).file(&format!("{CODE}/clean.py"), "");
    fs::remove_file(job.path("config/resourceconfig.json")).expect("removed");
    let ended = run_in(&job, CODE, &["process", "clean.py"]);
    assert!(ended.code() == 78 && message(&job).contains("resourceconfig.json: is missing"), "{ended:#?}");
    // Without files, there is one host.
    fs::remove_dir_all(job.path("config")).expect("removed");
    let job = job.file(&format!("{CODE}/clean.py"), "import os; print(os.environ['SM_HOSTS'])");
    assert_eq!(run_in(&job, CODE, &["process", "clean.py"]).stdout(), "[\"algo-1\"]\n");
}

#[test]
fn both_stop_signals_let_the_script_save() {
    let script = "import signal, sys\nfrom notes import note, wait_for\n\
                  signal.signal(signal.SIGTERM, lambda *_: (note('saved'), sys.exit(0)))\n\
                  signal.signal(signal.SIGINT, lambda *_: (note('saved'), sys.exit(0)))\nnote('up')\nwait_for('end')\n";
    for (form, signal) in FORMS.iter().flat_map(|form| [(form, Signal::SIGTERM), (form, Signal::SIGINT)]) {
        let (job, running) = begun(script, form);
        running.signal(signal);
        running.noted("saved", 1);
        let ended = running.end(&job);
        assert_eq!((ended.code(), job.read("output/message")), (0, None), "{form:?} {signal} {ended:#?}");
        nothing_survives(&job);
    }
}

#[test]
fn a_script_that_uses_up_its_grace_period_is_killed() {
    let script = "import signal\nfrom notes import note, wait_for\n\
                  signal.signal(signal.SIGTERM, lambda *_: note('told'))\n\
                  signal.signal(signal.SIGINT, lambda *_: note('told'))\nnote('up')\nwait_for('end')\n";
    for (form, signal) in FORMS.iter().zip([Signal::SIGTERM, Signal::SIGINT].into_iter().cycle()) {
        let (job, running) = begun(script, form);
        running.signal(signal);
        running.noted("told", 1);
        let ended = running.end(&job);
        assert_eq!(ended.code(), 137, "{form:?} {signal} {ended:#?}");
        assert!(ended.stderr.contains("SIGKILL"), "{form:?} {signal} {ended:#?}");
        assert!((1.0..30.0).contains(&ended.duration.as_secs_f64()), "{ended:#?}");
        assert!(message(&job).contains("SIGKILL"), "{form:?} {signal} {}", message(&job));
        nothing_survives(&job);
    }
}

/// Starts a processing job by one of the forms, with a grace period of a second, and waits until its script has noted
/// `up`.
fn begun(script: &str, (folder, form): &(&str, &[&str])) -> (Job, Running) {
    let job = with_notes(job(script));
    let notes = job.path("code").display().to_string();
    let job = job.variable("PYTHONPATH", &notes).variable("FOOTPLATE_GRACE_PERIOD", "1");
    fs::create_dir_all(job.path(folder)).expect("a folder");
    let mut command = job.command(words(&job, form, &[]));
    command.current_dir(job.path(folder));
    let running = Running::of(&job, command);
    running.noted("up", 1);
    (job, running)
}

#[test]
fn the_first_cause_is_the_message_of_every_host() {
    let script = "import os, time\nif os.environ['SM_CURRENT_HOST'] == 'algo-2':\n    raise ValueError('bad part ' + 'é' * 900)\n\
                  time.sleep(600)\n";
    let names = ["algo-1", "algo-2", "algo-3"];
    let addresses: Vec<String> = (1..=3).map(|n| format!("algo-{n}={}", address(n))).collect();
    for (launcher, form) in [("process", FORMS[1].1), ("per-gpu", FORMS[3].1)] {
        let jobs = names.map(|host| {
            of_hosts(&names, host, json!({}))
                .file(&format!("{CODE}/clean.py"), script)
                .variable("FOOTPLATE_HOST_ADDRESSES", &addresses.join(","))
                .variable("FOOTPLATE_LAUNCHER", launcher)
                .variable("FOOTPLATE_PROCESSES_PER_HOST", "1")
                .variable("FOOTPLATE_GRACE_PERIOD", "5")
        });
        let running: Vec<Running> = jobs
            .iter()
            .map(|job| {
                let mut command = job.command(form);
                command.current_dir(job.path(CODE));
                Running::of(job, command)
            })
            .collect();
        for (job, running) in jobs.iter().zip(running) {
            let ended = running.end(job);
            assert_eq!(ended.code(), 1, "{launcher} {ended:#?}");
            let message = message(job);
            assert!(message.len() <= 341 && message.ends_with('\n'), "{} bytes: {message}", message.len());
            assert!(message.starts_with("ValueError: bad part éé"), "{message}");
            nothing_survives(job);
        }
    }
}

#[test]
fn launchers_start_the_ranks_of_a_processing_job() {
    let script = "import os, sys\nprint(os.environ['RANK'], os.environ['WORLD_SIZE'], *sys.argv[1:])\n";
    for words in [
        &["exec", "--", "python3", "clean.py", "x"][..],
        &["process", "clean.py", "x"],
        &["process", "--", "python3", "-u", "clean.py", "x"],
    ] {
        let job = job(script).variable("FOOTPLATE_LAUNCHER", "per-gpu").variable("FOOTPLATE_PROCESSES_PER_HOST", "2");
        let ended = run_in(&job, CODE, words);
        let stdout = ended.stdout();
        let mut lines: Vec<&str> = stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            (ended.code(), &lines[..]),
            (0, &["[algo-1:0] 0 2 x", "[algo-1:1] 1 2 x"][..]),
            "{words:?} {ended:#?}"
        );
    }
    // A program that records its words stands for the image's torchrun.
    let job = job(script).variable("FOOTPLATE_LAUNCHER", "torchrun").variable("FOOTPLATE_PROCESSES_PER_HOST", "2");
    fs::create_dir(job.path("bin")).expect("a folder");
    executable(&job.path("bin/torchrun"), "#!/bin/sh\necho \"$@\"\n");
    let path = format!("{}:{}", job.path("bin").display(), job.variables()["PATH"]);
    let job = job.variable("PATH", &path);
    let code = job.path(CODE).display().to_string();
    let ended = run_in(&job, "work", &["exec", "--", "python3", &format!("{code}/clean.py"), "x"]);
    assert_eq!(ended.stdout(), format!("--nnodes=1 --nproc_per_node=2 {code}/clean.py x\n"), "{ended:#?}");
    let ended = run_in(&job, CODE, &["process", "--", "python3", "-u", "clean.py"]);
    assert!(ended.code() == 69 && message(&job).starts_with("torchrun cannot run the command "), "{ended:#?}");
}

#[test]
fn a_script_of_a_processing_job_can_run_exec_in_its_turn() {
    let job = job("");
    let footplate = super::job::FOOTPLATE;
    let ended = run_in(
        &job,
        "work",
        &["exec", "--", "sh", "-c", &format!("{footplate} exec -- sh -c 'echo $SM_CURRENT_HOST'; exit 4")],
    );
    assert_eq!((ended.code(), ended.stdout().as_str()), (4, "algo-1\n"), "{ended:#?}");
    let ended = run_in(&job, "work", &["exec", "--", "sh", "-c", &format!("{footplate} process -- true")]);
    assert_eq!(ended.code(), 69, "{ended:#?}");
}

#[test]
fn questions_about_a_processing_job_know_the_command_of_its_container() {
    let entrypoint =
        |words: &[&str]| json!({"ImageUri": "i", "ContainerEntrypoint": words, "ContainerArguments": ["--rows", "3"]});
    let of = |application| of_hosts(&["algo-1"], "algo-1", application).file(&format!("{CODE}/clean.py"), "");
    let job = of(entrypoint(&[
        "footplate",
        "process",
        "--set",
        "launcher=per-gpu",
        "--set",
        "processes_per_host=2",
        "clean.py",
    ]));
    let plan = run_in(&job, CODE, &["plan"]);
    assert!(plan.stdout().contains("per-gpu") && plan.stdout().contains("clean.py --rows 3"), "{plan:#?}");
    let job = of(entrypoint(&["footplate", "exec", "--", "python3", "clean.py"]));
    let plan = run_in(&job, CODE, &["plan", "--json"]);
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap_or_else(|_| panic!("{plan:#?}"));
    let words = plan["arguments"].as_array().unwrap_or_else(|| panic!("{plan:#}"));
    assert_eq!(words[1..], [json!("clean.py"), json!("--rows"), json!("3")], "{plan:#}");
    let check = run_in(&job, CODE, &["check"]);
    for said in ["ok    configuration", "ok    entry point    clean.py", "ok    python         "] {
        assert!(check.stdout().contains(said), "{check:#?}");
    }
    let env = run_in(&job, CODE, &["env"]);
    assert!(env.stdout().contains("export SM_PROCESSING_INPUT_RAW_DATA='/in/raw'\n"), "{env:#?}");
    assert!(!env.stdout().contains("SM_HPS"), "{env:#?}");
    let explained = run_in(&job, CODE, &["explain", "SM_PROCESSING_OUTPUT_TRAIN"]);
    assert!(explained.stdout().contains("here       \"/out/train\""), "{explained:#?}");
    // The script of the SDK's FrameworkProcessor runs footplate itself.
    let job = of(entrypoint(&["/bin/bash", "/opt/ml/processing/input/entrypoint/runproc.sh"]));
    let plan = run_in(&job, CODE, &["plan"]);
    assert!(plan.stdout().contains("/bin/bash /opt/ml/processing/input/entrypoint/runproc.sh --rows 3"), "{plan:#?}");
}

#[test]
fn a_training_container_stays_one() {
    // A folder `config` of the user's own changes nothing.
    let job = Job::python("print('trained')").file("config/processingjobconfig.json", "{}");
    assert_eq!(job.train().succeeded().stdout(), "trained\n");
    let mut command = Command::new(super::job::FOOTPLATE);
    command.arg0("footplate").args(["exec", "--", "false"]);
    let command = job.within(command);
    let ended = Running::of(&job, command).end(&job);
    assert!(ended.failure().starts_with("exit code 1") && job.read("output/message").is_none(), "{ended:#?}");
}
