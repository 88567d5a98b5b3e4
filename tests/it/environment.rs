//! The variables and arguments in addition to those of the incumbents, and the commands that show them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use footplate::job::settings::REGISTRY;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::job::{Job, eventually, search_path};
use super::recorder::{RECORDER, Record, recorded, recording};
use super::running::{Running, survivors};

/// Returns twelve hosts, named and sorted as the platform does.
fn twelve() -> Vec<String> {
    let mut hosts: Vec<String> = (1..=12).map(|n| format!("algo-{n}")).collect();
    hosts.sort();
    hosts
}

/// Returns a recording job of several hosts, as it is on `host`.
fn on(host: &str, resources: &Value) -> Job {
    let mut resources = resources.clone();
    resources["current_host"] = host.into();
    recording().file("input/config/resourceconfig.json", resources.to_string())
}

/// Runs the job and returns the values of MASTER_ADDR, MASTER_PORT, NNODES and NODE_RANK.
fn meeting(job: &Job) -> [String; 4] {
    job.train().succeeded();
    let record = Record::of(job);
    ["MASTER_ADDR", "MASTER_PORT", "NNODES", "NODE_RANK"].map(|name| record.var(name).to_owned())
}

/// Puts a program first on PATH. It stands in for hardware that this machine does not have.
fn stand_in(job: Job, name: &str, script: &str) -> Job {
    let path = job.path(&format!("bin/{name}"));
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("made executable");
    let search = format!("{}:{}", job.path("bin").display(), search_path());
    job.variable("PATH", &search)
}

#[test]
fn a_single_host_is_its_own_master() {
    assert_eq!(meeting(&recording()), ["algo-1", "7777", "1", "0"]);
}

#[test]
fn twelve_hosts_get_one_master_and_their_own_ranks() {
    let hosts = twelve();
    let resources = serde_json::json!({"hosts": hosts});
    for (rank, host) in hosts.iter().enumerate() {
        assert_eq!(meeting(&on(host, &resources)), ["algo-1", "7777", "12", &rank.to_string()], "{host}");
    }
}

#[test]
fn node_ranks_follow_the_order_of_hosts_in_their_groups() {
    let group = |name: &str, hosts: &[&str]| serde_json::json!({"instance_group_name": name, "instance_type": "x", "hosts": hosts});
    let resources = serde_json::json!({
        "hosts": ["algo-1", "algo-2", "algo-3"],
        "current_group_name": "gpus",
        "instance_groups": [group("gpus", &["algo-3", "algo-1"]), group("data", &["algo-2"])],
    });
    let flags = r#"{"sagemaker_distribution_instance_groups": "[\"gpus\"]"}"#;
    for (host, rank) in [("algo-3", "0"), ("algo-1", "1")] {
        let job = on(host, &resources).hyperparameters(flags);
        assert_eq!(meeting(&job), ["algo-3", "7777", "2", rank], "{host}");
    }
    // Without a distribution, all hosts count, in the order of the file.
    for (host, rank) in [("algo-1", "0"), ("algo-2", "1"), ("algo-3", "2")] {
        assert_eq!(meeting(&on(host, &resources)), ["algo-1", "7777", "3", rank], "{host}");
    }
}

#[test]
fn variables_that_the_user_exported_are_kept() {
    let given = [
        ("MASTER_ADDR", "10.0.0.1"),
        ("MASTER_PORT", "29500"),
        ("NNODES", "4"),
        ("NODE_RANK", "3"),
        ("PYTHONUNBUFFERED", "0"),
        ("SM_CHECKPOINT_DIR", "/mine"),
        ("SM_HP_BATCH_SIZE", "mine"),
        ("SM_HOST_COUNT", ""),
    ];
    let mut job = recording().hyperparameters(r#"{"batch-size": "8"}"#);
    fs::create_dir(job.path("checkpoints")).expect("a folder");
    for (name, value) in given {
        job = job.variable(name, value);
    }
    job.train().succeeded();
    let record = Record::of(&job);
    for (name, value) in given {
        assert_eq!(record.var(name), value, "{name}");
    }
    assert_eq!(record.var("SM_HP_BATCH-SIZE"), "8");
}

#[test]
fn each_hyperparameter_also_has_a_name_that_a_shell_can_use() {
    let job = recording().hyperparameters(r#"{"batch-size": "8", "opt.lr": "1e-5", "größe": "1", "a b": "null"}"#);
    job.train().succeeded();
    let record = Record::of(&job);
    for (name, value) in [
        ("SM_HP_BATCH-SIZE", "8"),
        ("SM_HP_BATCH_SIZE", "8"),
        ("SM_HP_OPT.LR", "1e-05"),
        ("SM_HP_OPT_LR", "1e-05"),
        ("SM_HP_GR__E", "1"),
        ("SM_HP_A B", ""),
        ("SM_HP_A_B", ""),
    ] {
        assert_eq!(record.var(name), value, "{name}");
    }
}

#[test]
fn each_channel_also_has_a_name_that_a_shell_can_use() {
    let channels = r#"{"train-data": {}, "val.v1": {}, "a-b": {}, "a_b": {}, "x-y": {}}"#;
    let script = "echo \"$SM_CHANNEL_TRAIN_DATA $SM_CHANNEL_VAL_V1 $SM_CHANNEL_A_B $SM_CHANNEL_X_Y\"\ntr '\\0' '\\n' < /proc/$$/environ\n";
    let job = Job::shell(script).file("input/config/inputdataconfig.json", channels);
    let ended = job.variable("SM_CHANNEL_X_Y", "the image's").train().succeeded();
    let stdout = ended.stdout();
    let (folders, variables) = stdout.split_once('\n').expect("a line");
    let names: Vec<&str> = folders.split(' ').map(|folder| folder.rsplit('/').next().unwrap_or_default()).collect();
    assert_eq!(names, ["train-data", "val.v1", "a_b", "the", "image's"]);
    for (name, folder) in [("TRAIN-DATA", "train-data"), ("VAL.V1", "val.v1"), ("A-B", "a-b")] {
        assert!(
            variables.lines().any(|line| line.starts_with(&format!("SM_CHANNEL_{name}=/")) && line.ends_with(folder))
        );
    }
}

#[test]
fn a_variable_or_hyperparameter_that_is_nearly_a_setting_is_warned_of() {
    let job = Job::python("print('ran')")
        .hyperparameters(r#"{"footplate_launchers": "torchrun", "Footplate_Launcher": "torchrun"}"#)
        .variable("FOOTPLATE_LAUNCHERS", "torchrun")
        .variable("FOOTPLATE_UV_", "s3cret-s3cret")
        .variable("FOOTPLATE_DRAIN_TIME", "1")
        .variable("TEMPLATE", "x");
    let ended = job.train().succeeded();
    let warnings: Vec<&str> =
        ended.stderr.lines().filter_map(|line| line.split_once(" WARN ")).map(|(_, w)| w).collect();
    assert_eq!(
        warnings.iter().map(|warning| warning.trim()).collect::<Vec<_>>(),
        [
            "there is no setting \"launchers\": the hyperparameter footplate_launchers is not used; did you mean \
             footplate_launcher?",
            "the hyperparameter \"Footplate_Launcher\" is passed to the script: the setting has the name \
             footplate_launcher",
            "there is no setting FOOTPLATE_LAUNCHERS: the variable is not used; did you mean FOOTPLATE_LAUNCHER?",
            "there is no setting FOOTPLATE_UV_: the variable is not used; did you mean FOOTPLATE_UV?",
        ]
    );
    assert!(job.run(["check"]).stdout().contains("did you mean FOOTPLATE_LAUNCHER?"));
}

#[test]
fn an_alias_never_replaces_the_variable_of_another_hyperparameter() {
    let job = recording().hyperparameters(r#"{"a-b": "1", "a_b": "2", "a.b": "3"}"#);
    job.train().succeeded();
    assert_eq!(Record::of(&job).var("SM_HP_A_B"), "2");
}

#[test]
fn the_checkpoint_folder_is_a_variable_and_its_content_is_logged() {
    let job = recording();
    let folder = job.path("state");
    let config = format!(r#"{{"LocalPath": "{}"}}"#, folder.display());
    let job = job.file("input/config/checkpointconfig.json", config);
    let logged = |job: &Job| {
        let ended = job.train().succeeded();
        let lines = ended.stderr.lines().filter_map(|line| line.split_once(" footplate INFO  checkpoints: "));
        lines.map(|(_, said)| said.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(logged(&job), [format!("{} is not there yet", folder.display())]);
    assert_eq!(Record::of(&job).var("SM_CHECKPOINT_DIR"), folder.display().to_string());
    let job = job.file("state/step-1.pt", "").file("state/step-1.pt.sagemaker-uploaded", "");
    assert_eq!(
        logged(&job),
        [format!("{} holds 1 entry; the newest, step-1.pt, has 0 bytes and was written 0 s ago", folder.display())]
    );

    // Without the file, the platform's folder is used if it exists.
    let job = recording();
    assert_eq!(logged(&job), [] as [String; 0]);
    assert_eq!(Record::of(&job).get("SM_CHECKPOINT_DIR"), None);
    fs::create_dir(job.path("checkpoints")).expect("a folder");
    assert_eq!(logged(&job), [format!("{} is empty", job.path("checkpoints").display())]);
    assert_eq!(Record::of(&job).var("SM_CHECKPOINT_DIR"), job.path("checkpoints").display().to_string());
}

#[test]
fn jobs_of_the_toolkit_also_have_the_variables_of_sdk_version_3() {
    let job = on("algo-2", &serde_json::json!({"hosts": ["algo-1", "algo-2"]}));
    job.train().succeeded();
    let record = Record::of(&job);
    let path = |path: &str| job.path(path).display().to_string();
    for (name, value) in [
        ("SM_INPUT_DATA_DIR", path("input/data")),
        ("SM_OUTPUT_FAILURE", path("output/failure")),
        ("SM_MASTER_ADDR", "algo-1".to_owned()),
        ("SM_MASTER_PORT", "7777".to_owned()),
        ("SM_SOURCE_DIR", path("code")),
        ("SM_ENTRY_SCRIPT", "train.py".to_owned()),
        ("SM_HOST_COUNT", "2".to_owned()),
        ("SM_CURRENT_HOST_RANK", "1".to_owned()),
    ] {
        assert_eq!(record.var(name), value, "{name}");
    }
}

#[test]
fn footplates_own_hyperparameters_never_reach_the_script() {
    let own =
        r#"{"lr": "0.1", "footplate_grace_period": "9", "footplate_log_prefix": "\"off\"", "footplate_nonsense": "1"}"#;
    let v3 = |job: Job| {
        job.without("SAGEMAKER_PROGRAM")
            .file("input/data/code/train.py", RECORDER)
            .file("input/data/sm_drivers/sourcecode.json", r#"{"entry_script": "train.py"}"#)
    };
    for job in [recording(), v3(recording())] {
        let job = job.hyperparameters(own);
        let ended = job.train().succeeded();
        let record = Record::of(&job);
        assert_eq!(record.arguments(), ["--lr", "0.1"]);
        assert_eq!(record.var("SM_HPS"), r#"{"lr":0.1}"#);
        for name in record.names().filter(|name| name.starts_with("SM_")) {
            let text = format!("{name}={}", record.var(name)).to_lowercase();
            // The name of the temporary folder contains the word.
            assert!(!text.replace("footplate-job", "").contains("footplate"), "{text}");
        }
        let warning = "there is no setting \"nonsense\": the hyperparameter footplate_nonsense is not used";
        assert!(ended.stderr.contains(warning), "{}", ended.stderr);
    }
}

#[test]
fn hyperparameters_become_arguments_in_the_configured_style() {
    let given = r#"{"amp": "true", "ema": "false", "lr": "1e-5", "n": "null", "tags": "[\"a\", 1]", "s": "a b"}"#;
    let toolkit = ["--amp", "True", "--ema", "False", "--lr", "1e-05", "-n", "", "-s", "a b", "--tags", "['a', 1]"];
    let json = ["--amp", "true", "--ema", "false", "--lr", "1e-05", "-n", "null", "-s", "a b", "--tags", "[\"a\", 1]"];
    let flags = ["--amp", "--lr", "1e-05", "-s", "a b", "--tags", "[\"a\", 1]"];
    for (style, expected) in
        [("toolkit", &toolkit[..]), ("json", &json[..]), ("flags", &flags[..]), ("none", &[]), ("", &toolkit[..])]
    {
        let job = recording().hyperparameters(given).variable("FOOTPLATE_ARGUMENTS", style);
        job.train().succeeded();
        let record = Record::of(&job);
        assert_eq!(record.arguments(), expected, "{style}");
        let user_args: Vec<String> = serde_json::from_str(record.var("SM_USER_ARGS")).expect("JSON");
        assert_eq!(user_args, expected, "{style}");
    }
}

#[test]
fn pythonpath_is_the_code_folder_followed_by_the_users_own_path() {
    let job = recording();
    job.train().succeeded();
    let code = job.path("code").display().to_string();
    assert_eq!(Record::of(&job).var("PYTHONPATH"), code);
    let job = job.variable("PYTHONPATH", "/opt/lib:/opt/more");
    job.train().succeeded();
    assert_eq!(Record::of(&job).var("PYTHONPATH"), format!("{code}:/opt/lib:/opt/more"));
    // A script in a subfolder can import modules of the code folder.
    let job = recorded(Job::python(""))
        .variable("SAGEMAKER_PROGRAM", "src/train.py")
        .file("code/src/train.py", "import model")
        .file("code/model.py", "print('imported')");
    assert_eq!(job.train().succeeded().stdout(), "imported\n");
}

/// Returns a job with values that a shell could misinterpret.
fn awkward() -> Job {
    recording()
        .hyperparameters(
            r#"{"quote": "it's", "cost": "$HOME `id` \\n", "lines": "a\nb\n\n", "batch-size": "8", "empty": "", "api_key": "hush-hush"}"#,
        )
        .file("input/config/inputdataconfig.json", r#"{"train": {}}"#)
        .variable("TRAINING_JOB_NAME", "it's a job")
}

#[test]
fn a_shell_that_evaluates_env_has_the_values_of_the_script() {
    let job = awkward();
    job.train().succeeded();
    let record = Record::of(&job);
    let printed = job.run(["env", "--show-secrets"]);
    assert_eq!(printed.code(), 0, "{printed:#?}");
    let script = format!("{}\nexec python3 -c \"$PROGRAM\"", printed.stdout());
    let program = "import json, os; print(json.dumps(dict(os.environ)))";
    let output = Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .envs([("PATH", search_path()), ("PROGRAM", program)])
        .output()
        .expect("sh runs");
    let shell: Value = serde_json::from_slice(&output.stdout).expect("variables");
    let usable = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let names: Vec<&str> = record.names().filter(|name| name.starts_with("SM_") || *name == "MASTER_ADDR").collect();
    assert!(names.len() > 40 && names.contains(&"SM_HP_QUOTE") && names.contains(&"SM_CHANNEL_TRAIN"), "{names:?}");
    for name in names.iter().filter(|name| usable(name)) {
        assert_eq!(shell[name].as_str(), Some(record.var(name)), "{name}");
    }
    assert_eq!(shell["SM_HP_BATCH_SIZE"], "8");

    let json = job.run(["env", "--format", "json", "--show-secrets"]);
    let json: Value = serde_json::from_str(&json.stdout()).expect("JSON");
    for name in names {
        assert_eq!(json[name].as_str(), Some(record.var(name)), "{name}");
    }
}

#[test]
fn env_prints_the_exact_bytes_of_a_value_that_is_not_utf_8() {
    let job = recording().hyperparameters(r#"{"text": "\"\\udc80\""}"#);
    let mut printed = job.command(["env"]).output().expect("it runs").stdout;
    printed.extend(b"printf %s \"$SM_HP_TEXT\"");
    let script = job.path("script.sh");
    fs::write(&script, printed).expect("written");
    assert_eq!(Command::new("sh").arg(script).output().expect("sh runs").stdout, b"\x80");
}

#[test]
fn env_hides_secrets_unless_an_option_shows_them() {
    let job = awkward();
    for format in ["shell", "json"] {
        let hidden = job.run(["env", "--format", format]).stdout();
        assert!(!hidden.contains("hush-hush") && hidden.contains("SM_HP_API_KEY"), "{hidden}");
        assert!(job.run(["env", "--format", format, "--show-secrets"]).stdout().contains("hush-hush"));
    }
    let job = awkward().hyperparameters("[]");
    let refused = job.run(["env"]);
    assert!(refused.code() == 78 && refused.stderr.contains("hyperparameters.json"), "{refused:#?}");
    assert!(refused.failure.is_none(), "a command that only prints must leave no failure file");
}

#[test]
fn exec_keeps_exported_variables_and_adds_missing_ones() {
    let job = recording()
        .hyperparameters(r#"{"lr": "0.1", "prompt": "x"}"#)
        .variable("SM_HP_LR", "mine")
        .variable("SM_MODEL_DIR", "/mine")
        .variable("PYTHONPATH", "/mine/lib");
    let script = job.path("code/train.py").display().to_string();
    let ended = job.run(["exec", "--", "python3", &script, "--lr", "7"]).succeeded();
    let record = Record::of(&job);
    assert_eq!(record.argv, [&script, "--lr", "7"]);
    assert_eq!(record.cwd, std::env::current_dir().expect("a folder").display().to_string());
    assert_eq!(record.var("SM_HP_LR"), "mine");
    assert_eq!(record.var("SM_MODEL_DIR"), "/mine");
    assert_eq!(record.var("PYTHONPATH"), "/mine/lib");
    assert_eq!(record.var("SM_HP_PROMPT"), "x");
    assert_eq!(record.var("SM_HPS"), r#"{"lr":0.1,"prompt":"x"}"#);
    assert!(ended.stderr.contains("command: python3 "), "{}", ended.stderr);
}

#[test]
fn exec_works_without_any_configuration() {
    let job = recording();
    fs::remove_dir_all(job.path("input")).expect("removed");
    let script = job.path("code/train.py").display().to_string();
    job.run(["exec", "python3", &script]).succeeded();
    let record = Record::of(&job);
    assert_eq!(record.var("SM_HPS"), "{}");
    assert_eq!(record.var("SM_HOSTS"), r#"["algo-1"]"#);
    assert_eq!(record.var("SM_CHANNELS"), "[]");
    assert_eq!(record.var("SM_MODEL_DIR"), job.path("model").display().to_string());
    // An incomplete configuration is an error that names the missing file.
    let job = recording();
    fs::remove_dir_all(job.path("input")).expect("removed");
    let job = job.file("input/config/hyperparameters.json", "{}");
    job.run(["exec", "true"]).failed(78, "configuration: ");
}

#[test]
fn exec_runs_a_command_with_hyperparameters_of_any_size() {
    let job = recording().hyperparameters(&format!(r#"{{"prompt": "{}"}}"#, "x".repeat(200_000)));
    job.run(["exec", "true"]).succeeded();
}

#[test]
fn exec_ends_like_its_command_and_names_a_command_that_does_not_exist() {
    let job = Job::new();
    let script = "import sys; print('Traceback (most recent call last):\\n  File \"x.py\", line 1, in <module>\\nKeyError: 1', file=sys.stderr); sys.exit(9)";
    job.run(["exec", "--", "python3", "-c", script]).failed(9, "KeyError: 1");
    let job = Job::new();
    job.run(["exec", "no-such-command"]).failed(127, "no-such-command: not found on PATH");
    let job = Job::new();
    job.run(["exec", "/no/such/command"]).failed(127, "/no/such/command: not found");
    let job = Job::new().file("plain", "");
    let plain = job.path("plain").display().to_string();
    job.run(["exec", &plain]).failed(126, &format!("{plain}: may not be executed by this user (chmod +x it)"));
}

#[test]
fn plan_of_ten_thousand_hosts_shows_those_that_differ() {
    let names: Vec<String> = (1..=10_000).map(|number| format!("algo-{number}")).collect();
    let resources = serde_json::json!({"current_host": "algo-700", "hosts": names, "network_interface_name": "lo"});
    let job = Job::python("").file("input/config/resourceconfig.json", resources.to_string());
    let job = job.variable("FOOTPLATE_LAUNCHER", "per-gpu").variable("FOOTPLATE_PROCESSES_PER_HOST", "2");
    let json = job.run(["plan", "--json"]);
    let plan: Value = serde_json::from_str(&json.stdout()).expect("JSON");
    let shown: Vec<&str> =
        plan["hosts"].as_array().expect("hosts").iter().filter_map(|host| host["host"].as_str()).collect();
    assert_eq!(shown, ["algo-1", "algo-2", "algo-700", "algo-10000"]);
    assert_eq!(
        (&plan["hosts"][3]["processes"], &plan["hosts"][3]["ranks"]),
        (&2.into(), &serde_json::json!([19_998, 19_999]))
    );
    let alike = plan["alike"].as_array().expect("hosts that run the same");
    assert_eq!(alike[0], serde_json::json!({"like": "algo-2", "first": "algo-3", "last": "algo-699", "count": 697}));
    let left_out: u64 = alike.iter().filter_map(|hosts| hosts["count"].as_u64()).sum();
    assert_eq!(left_out + shown.len() as u64, 10_000);
    let text = job.run(["plan"]);
    let said =
        "hosts        algo-701 to algo-9999: 9299 hosts, which run the same as algo-700, with ranks of their own\n";
    assert!(text.stdout().contains(said), "{}", text.stdout());
    // Planning every host by itself takes more than a minute.
    assert!(text.duration < Duration::from_secs(20), "{:?}", text.duration);
}

#[test]
fn plan_shows_the_command_and_runs_nothing() {
    let job = awkward().hyperparameters(r#"{"lr": "0.1", "api_key": "hush-hush"}"#);
    let job = job.file("code/requirements.txt", "no-such-package");
    let code = job.path("code").display().to_string();
    let text = job.run(["plan"]);
    assert_eq!(text.code(), 0, "{text:#?}");
    let stdout = text.stdout();
    for line in ["host         algo-1", "launcher     process", "processes    1", &format!("folder       {code}")] {
        assert!(stdout.lines().any(|found| found == line), "{line}: {stdout}");
    }
    let command = stdout.lines().find_map(|line| line.strip_prefix("command      ")).expect("a command");
    assert!(command.ends_with("python3 train.py --api_key ****** --lr 0.1"), "{command}");

    let json = job.run(["plan", "--json"]);
    let plan: Value = serde_json::from_str(&json.stdout()).expect("JSON");
    assert_eq!(plan["launcher"], "process");
    assert_eq!(plan["folder"], code);
    let arguments = plan["arguments"].as_array().expect("words");
    assert_eq!(arguments[1..], ["train.py", "--api_key", "******", "--lr", "0.1"]);
    assert_eq!(arguments[0], plan["program"]);

    for path in ["record.json", "output/failure", "output/success"] {
        assert!(!job.path(path).exists(), "{path}");
    }
    // The job then runs with the arguments that the plan shows.
    fs::remove_file(job.path("code/requirements.txt")).expect("removed");
    job.train().succeeded();
    assert_eq!(Record::of(&job).arguments(), ["--api_key", "hush-hush", "--lr", "0.1"]);
}

#[test]
fn plan_describes_what_the_platform_configures_for_libraries() {
    let job = Job::python("")
        .file(
            "input/config/debughookconfig.json",
            r#"{"S3OutputPath": "s3://b/d", "LocalPath": "/opt/ml/output/tensors"}"#,
        )
        .file(
            "input/config/profilerconfig.json",
            r#"{"ProfilingParameters": {"ProfilerEnabled": true, "LocalPath": "/p"}}"#,
        )
        .file("input/config/tensorboardoutputconfig.json", r#"{"LocalPath": "/opt/ml/output/tensorboard"}"#);
    let plan = job.run(["plan"]);
    assert_eq!(plan.code(), 0, "{plan:#?}");
    for line in [
        "a library of the script writes into /opt/ml/output/tensors, which the platform uploads to s3://b/d, as ",
        "a library of the script writes into /p, as ",
        "a library of the script writes into /opt/ml/output/tensorboard, as ",
    ] {
        assert!(plan.stdout().contains(line), "{line}: {}", plan.stdout());
    }
    let plan: serde_json::Value = serde_json::from_str(&job.run(["plan", "--json"]).stdout()).expect("JSON");
    assert_eq!(plan["platform_outputs"][0]["s3"], "s3://b/d", "{plan:#}");
    let names: Vec<_> =
        plan["platform_outputs"].as_array().expect("outputs").iter().map(|output| &output["name"]).collect();
    assert_eq!(names, ["debugger", "profiler", "tensorboard"]);
    let none: serde_json::Value =
        serde_json::from_str(&Job::python("").run(["plan", "--json"]).stdout()).expect("JSON");
    assert_eq!(none["platform_outputs"], serde_json::json!([]));
}

#[test]
fn plan_reports_the_error_that_the_job_would_end_with() {
    let job = Job::new().hyperparameters(r#"{"sagemaker_submit_directory": "s3://bucket/sourcedir.tar.gz"}"#);
    let stdout = job.run(["plan"]).stdout();
    assert!(stdout.contains("python3 train.py\n") && stdout.contains("note         the code is not in"), "{stdout}");
    let refused = Job::new().without("SAGEMAKER_PROGRAM").run(["plan"]);
    assert!(refused.code() == 78 && refused.stderr.contains("no entry point is named"), "{refused:#?}");
    let refused = Job::python("").variable("FOOTPLATE_LAUNCHER", "mpi").variable("PATH", "/nowhere").run(["plan"]);
    assert!(refused.code() == 69 && refused.stderr.contains("mpirun"), "{refused:#?}");
    assert!(refused.failure.is_none());
}

#[test]
fn the_command_line_overrides_variables_and_they_hyperparameters() {
    let port = |job: &Job, words: &[&str]| {
        job.run(words).succeeded();
        Record::of(job).var("MASTER_PORT").to_owned()
    };
    let job = recording();
    assert_eq!(port(&job, &["train"]), "7777");
    let job = job.hyperparameters(r#"{"footplate_master_port": "1001"}"#);
    assert_eq!(port(&job, &["train"]), "1001");
    let job = job.variable("FOOTPLATE_MASTER_PORT", "1002");
    assert_eq!(port(&job, &["train"]), "1002");
    assert_eq!(port(&job, &["train", "--set", "master_port=1003"]), "1003");
    assert_eq!(port(&job, &["train", "--set", "master_port=1003", "--set", "master_port=1004"]), "1004");
    // An empty variable, as a Dockerfile may leave it, sets nothing.
    let job = job.variable("FOOTPLATE_MASTER_PORT", "");
    assert_eq!(port(&job, &["train"]), "1001");
}

#[test]
fn the_error_for_a_wrong_setting_names_its_place_and_its_values() {
    for (name, value) in [
        ("grace_period", "soon"),
        ("drain_time", "-1"),
        ("arguments", "yaml"),
        ("launcher", "slurm"),
        ("log_prefix", "maybe"),
        ("progress_interval", "x"),
        ("code_precedence", "mine"),
        ("master_port", "0"),
        ("master_port", "65536"),
    ] {
        let setting = REGISTRY.iter().find(|setting| setting.name == name).expect("a setting");
        let takes = setting.values;
        let variable = format!("FOOTPLATE_{}", name.to_uppercase());
        let said = |place: &str| format!("settings: {place} is {value:?}, but takes {takes}: ");
        let job = Job::python("print('ran')").variable(&variable, value);
        let ended = job.train().failed(78, &said(&format!("the variable {variable}")));
        assert_eq!(ended.stdout(), "");
        let job = Job::python("").hyperparameters(&format!(r#"{{"footplate_{name}": "{value}"}}"#));
        job.train().failed(78, &said(&format!("the hyperparameter footplate_{name}")));
        let job = Job::python("");
        job.run(["train", "--set", &format!("{name}={value}")]).failed(78, &said(&format!("--set {name}")));
    }
    let job = Job::python("");
    let ended = job.run(["train", "--set", "grace=3"]).failed(78, "settings: there is no setting \"grace\": ");
    assert!(ended.failure().contains("grace_period, drain_time"), "{ended:#?}");
}

/// Returns true if this machine has GPUs. Their device nodes are counted then, and no stand-in runs.
fn has_gpus() -> bool {
    fs::metadata("/dev/nvidia0").is_ok()
}

#[test]
fn gpus_and_neuron_cores_are_counted_with_the_images_tools() {
    if has_gpus() {
        return;
    }
    let smi = "#!/bin/sh\n[ \"$1\" = --list-gpus ] && printf 'GPU 0: A\\nGPU 1: A\\nno GPU\\nGPU 2: A\\n'\n";
    let job = stand_in(recording(), "nvidia-smi", smi);
    let ended = job.train().succeeded();
    assert_eq!(Record::of(&job).var("SM_NUM_GPUS"), "3");
    assert!(ended.stderr.contains("this host has 3 GPUs, and one process is started"), "{}", ended.stderr);

    let neuron = "#!/bin/sh\n[ \"$1\" = -j ] && echo '[{\"nc_count\": 2}, {\"nc_count\": 4}]'\n";
    let job = stand_in(recording(), "neuron-ls", neuron);
    job.train().succeeded();
    assert_eq!(Record::of(&job).var("SM_NUM_NEURONS"), "6");

    for broken in
        ["#!/bin/sh\nexit 9\n", "#!/no/such/shell\n", "#!/bin/sh\nprintf '\\377\\376'\n", "#!/bin/sh\nkill -9 $$\n"]
    {
        let job = stand_in(stand_in(recording(), "nvidia-smi", broken), "neuron-ls", broken);
        job.train().succeeded();
        let record = Record::of(&job);
        assert_eq!((record.var("SM_NUM_GPUS"), record.var("SM_NUM_NEURONS")), ("0", "0"), "{broken}");
    }
}

#[test]
fn a_stop_signal_does_not_wait_for_a_hanging_tool() {
    if has_gpus() {
        return;
    }
    let hanging = "#!/bin/sh\n: > \"$SAGEMAKER_BASE_DIR/asked\"\nexec sleep 600\n";
    let job = stand_in(recording(), "nvidia-smi", hanging);
    let running = Running::start(&job, ["train"]);
    eventually("the tool's start", || job.path("asked").exists().then_some(()));
    let told = Instant::now();
    running.signal(Signal::SIGTERM);
    let ended = running.end(&job).failed(143, "stopped by SIGTERM before the script started");
    assert!(told.elapsed() < Duration::from_secs(5), "{ended:#?}");
    assert!(job.read("record.json").is_none());
    eventually("the end of the tool", || survivors(job.base()).is_empty().then_some(()));
}

#[test]
fn a_hanging_tool_does_not_block_the_job() {
    if has_gpus() {
        return;
    }
    // The second tool closes its output before it hangs.
    for hanging in ["#!/bin/sh\nexec sleep 600\n", "#!/bin/sh\necho 'GPU 0: A'\nexec sleep 600 >&- 2>&-\n"] {
        let job = stand_in(recording(), "nvidia-smi", hanging);
        let ended = job.train().succeeded();
        assert!(ended.duration < Duration::from_secs(30), "{:?}", ended.duration);
        assert!(ended.stderr.contains("nvidia-smi is not used: it did not answer within 10 s"), "{}", ended.stderr);
        assert_eq!(Record::of(&job).var("SM_NUM_GPUS"), "0");
    }
}
