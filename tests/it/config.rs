//! Wrong configuration files, and the messages about them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::job::{Ended, FOOTPLATE, Job, wait_with_output};
use super::recorder::{RECORDER, Record, recorded, recording};

/// The files that a job must have, with the expected content in the words of the messages.
const REQUIRED: [(&str, &str); 3] = [
    ("hyperparameters.json", r#"an object of hyperparameters such as {"epochs": "3"}"#),
    ("resourceconfig.json", r#"an object such as {"current_host": "algo-1", "hosts": ["algo-1"]}"#),
    ("inputdataconfig.json", r#"an object of channels such as {"training": {"TrainingInputMode": "File"}}"#),
];

const IF_WRONG: &str = "correct what writes this file";

/// Checks that the job was refused with this message in the failure file and in the log.
#[track_caller]
fn refused(ended: Ended, message: &str) {
    let ended = ended.failed(78, message);
    assert!(ended.stderr.contains(&format!("failed with exit code 78: {message}")), "{ended:#?}");
    assert!(ended.failure().ends_with("\nbefore the script started, exit code 78"), "{ended:#?}");
}

/// Checks the message about a file with wrong content.
#[track_caller]
fn wrong(file: &str, content: &[u8], problem: &str) {
    let path = format!("input/config/{file}");
    let expected = REQUIRED.iter().find(|(name, _)| *name == file).expect("a required file").1;
    let job = Job::python("print('ran')").file(&path, content);
    let message = format!("configuration: {}: {problem}; expected {expected}; {IF_WRONG}", job.path(&path).display());
    refused(job.train(), &message);
}

/// Runs a command as a user who is not root.
fn as_nobody(job: &Job) -> Ended {
    let mut command = job.command(["train"]);
    if nix::unistd::geteuid().is_root() {
        fs::set_permissions(job.base(), fs::Permissions::from_mode(0o755)).expect("permitted");
        fs::set_permissions(job.path("output"), fs::Permissions::from_mode(0o777)).expect("permitted");
        let variables: Vec<_> =
            command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", FOOTPLATE, "train"]);
        command.env_clear().envs(variables).stdin(Stdio::null());
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    job.ended(wait_with_output(child), std::time::Duration::ZERO)
}

#[test]
fn each_missing_required_file_is_named_with_a_remedy() {
    let start = "start the container as a training job does, or run `footplate local` on your machine";
    for ((file, expected), remedy) in REQUIRED.iter().zip([start, start, "a job without channels has {} in it"]) {
        let job = Job::python("print('ran')");
        let path = job.path(&format!("input/config/{file}"));
        fs::remove_file(&path).expect("removed");
        let message = format!("configuration: {}: is missing; expected {expected}; {remedy}", path.display());
        refused(job.train(), &message);
    }
}

#[test]
fn each_unreadable_required_file_is_named_with_the_reason() {
    let remedy = "make it a file that this container's user may read";
    for (file, expected) in REQUIRED {
        let job = Job::python("print('ran')");
        let path = job.path(&format!("input/config/{file}"));
        let message = |reason: &str| {
            format!("configuration: {}: cannot be read: {reason}; expected {expected}; {remedy}", path.display())
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("permitted");
        refused(as_nobody(&job), &message("Permission denied (os error 13)"));
        fs::remove_file(job.path("output/failure")).expect("removed");
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("a folder");
        refused(job.train(), &message("it is a folder"));
        fs::remove_file(job.path("output/failure")).expect("removed");
        fs::remove_dir(&path).expect("removed");
        // Nothing ever writes to it, so a reader that opened it would wait forever.
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        refused(job.train(), &message("it is a FIFO (a named pipe), not a regular file"));
    }
}

#[test]
fn bad_content_of_a_required_file_is_reported_with_its_place() {
    for (file, _) in REQUIRED {
        for (content, problem) in [
            (&b""[..], "is empty"),
            (b" \r\n", "is empty"),
            (b"{'a': 1}", "line 1, column 2: expected a key in double quotes, found a single quote"),
            (b"{\n  \"a\": 1,\n}", "line 3, column 1: expected a key in double quotes, found '}'"),
            (b"{} x", "line 1, column 4: 'x' after the end of the value"),
            (b"{\"a\": 1\0}", "line 1, column 8: expected , or }, found the control character U+0000"),
            (b"[1]", "line 1, column 1: holds a list"),
            (b"\"a\"", "line 1, column 1: holds a string"),
            (b"null", "line 1, column 1: holds null"),
            (b"{\"a\": 1,\n \"a\": 2}", "line 2, column 2: the key \"a\" comes twice"),
            (b"\xEF\xBB\xBF{}", "line 1, column 1: begins with a byte-order mark (U+FEFF)"),
            (b"{\n\"a\": \"\xe4\"}", "line 2, byte 7: is not UTF-8"),
        ] {
            wrong(file, content, problem);
        }
    }
}

#[test]
fn hosts_of_the_wrong_form_are_reported_with_their_key() {
    for (content, problem) in [
        ("{}", "the key \"current_host\" is missing"),
        (r#"{"current_host": null, "hosts": ["a"]}"#, "the key \"current_host\" is missing"),
        (r#"{"current_host": "", "hosts": ["a"]}"#, "the key \"current_host\" is empty"),
        (r#"{"current_host": 1, "hosts": ["a"]}"#, "the key \"current_host\" is a number, not a string"),
        (r#"{"current_host": "a"}"#, "the key \"hosts\" is missing"),
        (r#"{"current_host": "a", "hosts": []}"#, "the key \"hosts\" is an empty list"),
        (r#"{"current_host": "a", "hosts": "a"}"#, "the key \"hosts\" is a string, not a list of strings"),
        (r#"{"current_host": "a", "hosts": ["a", 1]}"#, "the key \"hosts\" holds something that is not a string"),
        (
            r#"{"current_host": "a", "hosts": ["b"]}"#,
            "the key \"current_host\" is \"a\", which is not one of the hosts [\"b\"]",
        ),
        (r#"{"current_host": "a", "hosts": ["a"], "instance_groups": {}}"#, "the key \"instance_groups\" is an object"),
        (
            r#"{"current_host": "a", "hosts": ["a"], "instance_groups": [{"hosts": ["a"]}]}"#,
            "the key \"instance_groups[0].instance_group_name\" is missing",
        ),
        (
            r#"{"current_host": "a", "hosts": ["a"], "instance_groups": [{"instance_group_name": "g"}]}"#,
            "the key \"instance_groups[0].hosts\" is missing",
        ),
        (
            r#"{"current_host": "a", "hosts": ["a"], "network_interface_name": ["eth0"]}"#,
            "the key \"network_interface_name\" is a list, not a string",
        ),
    ] {
        wrong("resourceconfig.json", content.as_bytes(), problem);
    }
}

#[test]
fn the_resource_file_is_read_under_its_other_name_too() {
    let job = recording();
    fs::rename(job.path("input/config/resourceconfig.json"), job.path("input/config/resourceConfig.json"))
        .expect("renamed");
    job.train().succeeded();
    assert_eq!(Record::of(&job).var("SM_CURRENT_HOST"), "algo-1");
    // The file also marks a job if footplate starts without arguments.
    fs::remove_file(job.path("input/config/hyperparameters.json")).expect("removed");
    let ended = job.run([] as [&str; 0]);
    assert!(ended.stderr.contains("hyperparameters.json: is missing"), "{ended:#?}");
}

#[test]
fn broken_optional_files_never_fail_a_job() {
    for content in [&b""[..], b"{", b"[]", b"null", b"\xff", b"{\"LocalPath\": 3}", b"{\"LocalPath\": \"\"}"] {
        let mut job = recording();
        for file in [
            "checkpointconfig.json",
            "trainingjobconfig.json",
            "init-config.json",
            "metric-definition-regex.json",
            "upstreamoutputdataconfig.json",
            "debughookconfig.json",
            "profilerconfig.json",
            "tensorboardoutputconfig.json",
        ] {
            job = job.file(&format!("input/config/{file}"), content);
        }
        let ended = job.train().succeeded();
        assert_eq!(Record::of(&job).get("SM_CHECKPOINT_DIR"), None);
        let warned = ended.stderr.contains("WARN  not used: ") && ended.stderr.contains("checkpointconfig.json: ");
        assert!(warned, "{content:?}: {ended:#?}");
    }
    let job = recording();
    fs::create_dir(job.path("input/config/checkpointconfig.json")).expect("a folder");
    assert!(job.train().succeeded().stderr.contains("checkpointconfig.json: cannot be read: it is a folder"));
}

#[test]
fn a_value_too_large_for_the_command_line_is_named_with_a_remedy() {
    let value = "x".repeat(200_000);
    let job = recording().hyperparameters(&format!(r#"{{"prompt": "{value}"}}"#));
    let path = |job: &Job| job.path("input/config/hyperparameters.json").display().to_string();
    let message = "too large for a command line: the value of --prompt has 200000 bytes of at most 131072; pass large \
                   values in a channel, or set FOOTPLATE_ARGUMENTS=none and read hyperparameters.json";
    refused(job.train(), &format!("{}: {message}", path(&job)));
    let job = recording().hyperparameters(&format!(r#"{{"{value}": "1"}}"#));
    let message = "too large for a command line: a name or value has 200002 bytes of at most 131072";
    job.train().failed(78, &format!("{}: {message}", path(&job)));
}

/// Checks that the file of omitted variables contains all that the script lacks, and that only its user can read it.
#[track_caller]
fn all_is_there(job: &Job, ended: &Ended, expected: &[(&str, &str)]) {
    let record = Record::of(job);
    assert_eq!(record.arguments(), [] as [&str; 0]);
    let path = record.var("FOOTPLATE_ENVIRONMENT_FILE");
    assert!(path.starts_with(&job.path("tmp").display().to_string()), "{path}");
    let file: serde_json::Value = serde_json::from_str(&job.read("omitted.json").expect("the file")).expect("JSON");
    assert_eq!(job.read("access").as_deref(), Some("0o700"), "others can read it");
    for (name, value) in expected {
        let found = record.get(name).or_else(|| file[name].as_str()).unwrap_or_else(|| panic!("{name} is nowhere"));
        assert!(found == *value, "{name} has {} bytes, not {}", found.len(), value.len());
    }
    for name in file.as_object().expect("an object").keys() {
        assert_eq!(record.get(name), None, "{name} is set, too");
    }
    for name in ["SM_HPS", "SM_TRAINING_ENV"] {
        assert!(file[name].is_string(), "{name} is set");
        assert!(ended.stderr.contains(&format!("WARN  {name} (")), "{}", ended.stderr);
    }
    assert!(ended.stderr.contains(path), "{}", ended.stderr);
    assert_eq!(fs::read_dir(job.path("tmp")).expect("a folder").count(), 0, "something is left");
}

/// Returns a recording job that also keeps the file of omitted variables. It has a temporary folder of its own.
fn keeping(hyperparameters: &str) -> Job {
    let script = format!(
        "{RECORDER}
import shutil
path, base = os.environ['FOOTPLATE_ENVIRONMENT_FILE'], os.environ['SAGEMAKER_BASE_DIR']
shutil.copy(path, base + '/omitted.json')
open(base + '/access', 'w').write(oct(os.stat(os.path.dirname(path)).st_mode & 0o7777))
"
    );
    let job = recorded(Job::python(&script)).hyperparameters(hyperparameters);
    fs::create_dir(job.path("tmp")).expect("a folder");
    let tmp = job.path("tmp").display().to_string();
    job.variable("TMPDIR", &tmp)
}

#[test]
fn a_value_too_large_for_a_variable_is_written_to_a_file() {
    // It has 200 KB, in characters of two bytes.
    let value = "é".repeat(100_000);
    let job = keeping(&format!(r#"{{"prompt": "{value}", "lr": "0.1"}}"#)).variable("FOOTPLATE_ARGUMENTS", "none");
    let ended = job.train().succeeded();
    let hps = format!(r#"{{"lr":0.1,"prompt":"{}"}}"#, "\\u00e9".repeat(100_000));
    all_is_there(&job, &ended, &[("SM_HP_PROMPT", &value), ("SM_HP_LR", "0.1"), ("SM_HPS", &hps)]);
    assert!(ended.stderr.contains("WARN  SM_HP_PROMPT (200000 bytes) is not set: it is larger"), "{}", ended.stderr);
}

/// Returns this many hyperparameters of about 20 bytes each, as JSON.
fn many(count: usize) -> String {
    let pairs: Vec<String> = (0..count).map(|n| format!(r#""k{n:07}": "{n}""#)).collect();
    format!("{{{}}}", pairs.join(", "))
}

#[test]
fn hyperparameters_that_exceed_the_command_line_are_counted() {
    let job = recording().hyperparameters(&many(100_000));
    let path = job.path("input/config/hyperparameters.json").display().to_string();
    job.train().failed(78, &format!("{path}: too large for a command line: 200000 arguments have "));
}

#[test]
fn megabytes_of_small_hyperparameters_are_kept_whole() {
    // Together they are larger than all arguments and variables that a program can get.
    let count = 150_000;
    let text = many(count);
    assert!(text.len() > 3_000_000);
    let job = keeping(&text).variable("FOOTPLATE_ARGUMENTS", "none");
    let ended = job.train().succeeded();
    let last = count - 1;
    all_is_there(&job, &ended, &[("SM_HP_K0000000", "0"), (&format!("SM_HP_K{last:07}"), &last.to_string())]);
    assert!(ended.stderr.contains(" more variables are not set"), "{}", ended.stderr);
}

#[test]
fn one_value_of_megabytes_is_kept_whole() {
    let value = "x".repeat(3_000_000);
    let job = keeping(&format!(r#"{{"blob": "{value}"}}"#)).variable("FOOTPLATE_ARGUMENTS", "none");
    let ended = job.train().succeeded();
    all_is_there(&job, &ended, &[("SM_HP_BLOB", &value)]);
}

#[test]
fn a_shell_command_runs_with_hyperparameters_too_large_for_arguments() {
    // SDK version 3 passes no hyperparameters to a command.
    let value = "x".repeat(200_000);
    let job = Job::new()
        .without("SAGEMAKER_PROGRAM")
        .hyperparameters(&format!(r#"{{"prompt": "{value}"}}"#))
        .file("input/data/code/train.py", "")
        .file("input/data/sm_drivers/sourcecode.json", r#"{"command": "echo ran"}"#);
    assert!(job.train().succeeded().stdout().contains("ran\n"));
}

#[test]
fn a_command_that_runs_the_job_again_is_refused() {
    let command = format!("{FOOTPLATE} train");
    let job = Job::new()
        .without("SAGEMAKER_PROGRAM")
        .file("input/data/code/train.py", "")
        .file("input/data/sm_drivers/sourcecode.json", format!(r#"{{"command": "echo once; {command}"}}"#));
    let ended = job.train().failed(69, "the job's command \"echo once; ");
    assert!(ended.failure().contains("runs `footplate train`, which runs the command again"), "{ended:#?}");
    assert!(ended.failure().contains("use `footplate exec -- …` in it"), "{ended:#?}");
    assert_eq!(ended.stdout(), "once\n");

    // The suggested command runs the script.
    let command = format!("{FOOTPLATE} exec -- python3 train.py");
    let job = job
        .file("input/data/code/train.py", "print('ran')")
        .file("input/data/sm_drivers/sourcecode.json", format!(r#"{{"command": "{command}"}}"#));
    let _ = std::fs::remove_file(job.path("output/failure"));
    assert_eq!(job.train().succeeded().stdout(), "ran\n");
}

#[test]
fn values_that_no_variable_can_hold_reach_the_script_if_possible() {
    let job = recording().hyperparameters(
        r#"{"nul": "\"a\u0000b\"", "raw": "c\u0000d", "a=b": "1", "": "2", "digits": "9", "text": "\"\\udc80\\ud800\""}"#,
    );
    let ended = job.train().succeeded();
    let record = Record::of(&job);
    // `"a\0b"` is not JSON, so the value is the text with its quotes.
    let expected =
        ["", "2", "--a=b", "1", "--digits", "9", "--nul", "\"ab\"", "--raw", "cd", "--text", "\u{fffd}\u{fffd}"];
    assert_eq!(record.arguments(), expected);
    assert_eq!(record.get("SM_HP_NUL"), None);
    assert_eq!(record.var("SM_HP_A_B"), "1");
    assert_eq!(record.var("SM_HP_"), "2");
    let hps = r#"{"":2,"a=b":1,"digits":9,"nul":"\"a\u0000b\"","raw":"c\u0000d","text":"\udc80\ud800"}"#;
    assert_eq!(record.var("SM_HPS"), hps);
    for line in [
        "SM_HP_NUL (5 bytes) is not set: it holds a NUL character",
        "SM_HP_RAW (3 bytes) is not set: it holds a NUL character",
        "SM_HP_A=B (1 bytes) is not set: its name holds =",
    ] {
        assert!(ended.stderr.contains(line), "{line}: {}", ended.stderr);
    }
}

#[test]
fn a_surrogate_that_stands_for_a_byte_reaches_the_script_as_that_byte() {
    let script = "import os, sys\nprint(ascii(sys.argv[1:]), os.environb[b'SM_HP_TEXT'].hex())";
    let job = Job::python(script).hyperparameters(r#"{"text": "\"\\udc80x\\ud800\""}"#);
    let stdout = job.train().succeeded().stdout();
    assert!(stdout.contains("['--text', '\\udc80x\\ufffd'] 8078efbfbd\n"), "{stdout}");
}

#[test]
fn integers_of_five_thousand_digits_are_read_as_python_reads_them() {
    let digits = "7".repeat(5000);
    // In a string, Python's `json.loads` fails and the toolkit keeps the text.
    let job = recording().hyperparameters(&format!(r#"{{"n": "{digits}"}}"#));
    job.train().succeeded();
    let record = Record::of(&job);
    assert_eq!(record.arguments(), ["-n", &digits]);
    assert_eq!(record.var("SM_HPS"), format!(r#"{{"n":"{digits}"}}"#));
    // A number of the file itself makes the toolkit fail too.
    let content = format!("{{\"n\": {digits}}}");
    let problem = "line 1, column 7: an integer of more than 4300 digits";
    wrong("hyperparameters.json", content.as_bytes(), problem);
}

#[test]
fn the_log_level_of_the_job_decides_which_messages_are_shown() {
    let level = |value: &str| {
        let job = Job::python("print('ran'); raise SystemExit(3)")
            .hyperparameters(&format!(r#"{{"sagemaker_container_log_level": {value}}}"#))
            .file("input/config/checkpointconfig.json", "[]");
        let ended = job.train().failed(3, "");
        assert_eq!(ended.stdout(), "ran\n");
        ["DEBUG", "INFO ", "WARN ", "ERROR"].map(|name| ended.stderr.contains(&format!(" footplate {name} ")))
    };
    for (values, shown) in [
        (["10", "\"10\"", "\"\\\"DEBUG\\\"\""], [true, true, true, true]),
        (["20", "\"20\"", "\"info\""], [false, true, true, true]),
        (["30", "\"30\"", "\"Warning\""], [false, false, true, true]),
        (["40", "\"40\"", "\"error\""], [false, false, false, true]),
        (["50", "\"50\"", "\"critical\""], [false, false, false, false]),
        (["\"nonsense\"", "null", "[]"], [false, true, true, true]),
    ] {
        for value in values {
            assert_eq!(level(value), shown, "{value}");
        }
    }
}

#[test]
fn wrong_files_of_the_sdk_drivers_fail_the_job() {
    // Plain Python in place of the requested torchrun would be a silent mistake.
    for (file, content, problem) in [
        ("sourcecode.json", "{", "line 1, column 2: expected a key in double quotes, found the end of the text"),
        ("distributed.json", "[8]", "line 1, column 1: holds a list"),
    ] {
        let job = recorded(Job::new()).file(&format!("input/data/sm_drivers/{file}"), content);
        let path = job.path(&format!("input/data/sm_drivers/{file}"));
        refused(job.train(), &format!("configuration: {}: {problem}; expected an object such as ", path.display()));
    }
}

#[test]
fn the_sdks_class_for_footplate_works_without_its_driver() {
    // An image with footplate runs `train`, and not the driver that the class uploads.
    let script = "import os\nprint(os.environ['RANK'], os.environ['WORLD_SIZE'], flush=True)\n";
    let distributed = r#"{"launcher": "per-gpu", "process_count_per_node": 2, "settings": {"log_prefix": "off", "master_port": "7001"}}"#;
    let job = || {
        Job::new()
            .file("input/data/code/train.py", script)
            .file("input/data/sm_drivers/sourcecode.json", r#"{"entry_script": "train.py"}"#)
            .file("input/data/sm_drivers/distributed.json", distributed)
            .without("SAGEMAKER_PROGRAM")
    };
    let lines = |ended: super::job::Ended| {
        let mut lines: Vec<String> = ended.succeeded().stdout().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(job().train()), ["0 2", "1 2"]);
    // Variables of the container come first.
    assert_eq!(lines(job().variable("FOOTPLATE_PROCESSES_PER_HOST", "3").train()), ["0 3", "1 3", "2 3"]);
    let plan = job().run(["plan"]).stdout();
    assert!(plan.contains("launcher     per-gpu\n") && plan.contains("MASTER_PORT=7001"), "{plan}");
}

#[test]
fn a_command_gets_its_own_arguments_and_hyperparameters_on_request() {
    let shown = r#"{"command": "true && printf '<%s>'", "args": ["two words", "it's", 3, "$HOME", ""]}"#;
    let job = Job::new()
        .file("input/data/sm_drivers/sourcecode.json", shown)
        .file("input/data/code/train.py", "")
        .hyperparameters(r#"{"lr": 0.1, "name": "a b"}"#)
        .without("SAGEMAKER_PROGRAM");
    let own = "<two words><it's><3><$HOME><>";
    assert_eq!(job.train().succeeded().stdout(), own);
    let job = job.variable("FOOTPLATE_COMMAND_ARGUMENTS", "on");
    assert_eq!(job.train().succeeded().stdout(), format!("{own}<--lr><0.1><--name><a b>"));
    let job = Job::new().hyperparameters(r#"{"flag": true, "lr": 0.1}"#);
    let words = ["exec", "--set", "command_arguments=on", "--set", "arguments=flags", "--", "printf", "<%s>", "x"];
    assert_eq!(job.run(words).succeeded().stdout(), "<x><--flag><--lr><0.1>");
    assert_eq!(job.run(["exec", "--", "printf", "<%s>", "x"]).succeeded().stdout(), "<x>");
}
