//! Secrets and control characters never appear in what footplate itself writes, and nothing else is hidden.

use serde_json::json;

use super::job::{Ended, Job, eventually};
use super::running::{Running, with_notes};

/// A text that is part of every secret of the job and stays recognizable in every spelling.
const MARK: &str = "S3KRIT";

/// Names that mark a value as secret, with values that are hard to find in other spellings. Each contains [`MARK`].
fn secrets() -> Vec<(&'static str, String)> {
    vec![
        ("HUB_TOKEN", format!("hf_{MARK}0123456789")),
        ("DB_PASSWORD", format!("a \"{MARK}\" with 'quotes', \\ and é 😀")),
        ("AWS_SECRET_ACCESS_KEY", format!("{MARK}/+=&;,}}")),
        (
            "PRIVATE_KEY",
            format!("-----BEGIN PRIVATE KEY-----\nMIIE{MARK}0123456789abcdef\n-----END PRIVATE KEY-----\n"),
        ),
        ("service_credentials", format!("{MARK} with spaces")),
    ]
}

/// A script whose failure text contains every secret.
const SCRIPT: &str = r#"
import json, os, sys
sys.stderr.write("the script starts\n")
hyperparameters = json.loads(os.environ["SM_HPS"])
secrets = [os.environ[name] for name in sys.argv[0:0] or json.loads(os.environ["NAMES"])]
raise ValueError(f"cannot log in with {secrets} of {hyperparameters} at https://me:S3KRIT@host/path: {' '.join(secrets)}")
"#;

fn job() -> Job {
    let mut hyperparameters = serde_json::Map::new();
    for (name, value) in secrets() {
        hyperparameters.insert(name.to_lowercase(), value.clone().into());
        let nested = json!({
            "inner": {(name): value, "list": [{(name): value}]},
            "credentials": {"user": value, "and": ["more", value]},
            "as_json": json!({(name): value}).to_string(),
        });
        hyperparameters.insert(format!("nested_{name}"), nested.clone());
        // The SDK passes each hyperparameter as JSON in a string.
        hyperparameters.insert(format!("in_text_{name}"), nested.to_string().into());
        hyperparameters.insert(format!("twice_{name}"), json!(nested.to_string()).to_string().into());
    }
    let url = format!("https://me:{MARK}@127.0.0.1:1/simple");
    hyperparameters.insert("dataset".to_owned(), url.clone().into());
    // It is too short to be searched for in other text.
    hyperparameters.insert("api_key".to_owned(), "pw-7".into());
    hyperparameters.insert("more".to_owned(), json!({"password": "pw-7", "pin_token": 7_000_700_070_007_000_u64}));
    hyperparameters.insert("sagemaker_container_log_level".to_owned(), 10.into());
    let mut job = Job::python(SCRIPT).hyperparameters(&serde_json::Value::Object(hyperparameters).to_string());
    let names: Vec<_> = secrets().iter().map(|(name, _)| *name).collect();
    for (name, value) in secrets() {
        job = job.variable(name, &value);
    }
    job.variable("NAMES", &json!(names).to_string()).variable("PIP_INDEX_URL", &url)
}

/// Checks that a text contains no secret.
#[track_caller]
fn clean(what: &str, text: &str) {
    assert!(!text.is_empty(), "{what} is empty");
    for secret in [MARK, "pw-7", "7000700070007000"] {
        let at = text.find(secret).map(|at| text[..at].chars().rev().take(200).collect::<String>());
        let before: Option<String> = at.map(|text| text.chars().rev().collect());
        assert!(before.is_none(), "{secret} is in {what} after {:?}", before.unwrap_or_default());
    }
}

/// Returns the lines that footplate itself wrote.
fn own_lines(ended: &Ended) -> String {
    let own = |line: &&str| {
        ["DEBUG", "INFO", "WARN", "ERROR"].iter().any(|level| line.contains(&format!("Z footplate {level}")))
    };
    ended.stderr.lines().filter(own).map(|line| format!("{line}\n")).collect()
}

#[test]
fn log_and_failure_text_contain_no_secret_although_the_error_does() {
    let job = job();
    let ended = job.train().failed(1, "ValueError: cannot log in with ");
    assert!(ended.stderr.contains(MARK), "what the script itself writes is its own affair");
    let own = own_lines(&ended);
    assert!(own.contains("DEBUG") && own.contains("command: "), "{own}");
    clean("the log", &own);
    clean("the failure file", ended.failure());
}

#[test]
fn plan_and_env_print_no_secret() {
    let job = job();
    for words in [&["plan"][..], &["plan", "--json"], &["env"], &["env", "--format", "json"]] {
        let ended = job.run(words);
        assert_eq!(ended.code(), 0, "{ended:#?}");
        clean(&words.join(" "), &(ended.stdout() + &ended.stderr));
    }
    let shown = job.run(["env", "--show-secrets"]).stdout();
    assert!(shown.contains(MARK), "unless it is asked for");
}

#[test]
fn a_failed_installation_is_reported_without_the_index_password() {
    let requirements =
        format!("--index-url https://me:{MARK}@127.0.0.1:1/simple\n--retries 0\nno-such-package-of-footplate\n");
    let job = Job::python("").file("code/requirements.txt", requirements).variable("PIP_RETRIES", "0");
    let job =
        job.variable("PIP_DISABLE_PIP_VERSION_CHECK", "1").hyperparameters(r#"{"sagemaker_container_log_level": 10}"#);
    let ended = job.train();
    assert_ne!(ended.code(), 0);
    clean("the failure file", ended.failure());
    clean("the log", &own_lines(&ended));
}

#[test]
fn errors_of_the_configuration_are_reported_without_secrets() {
    for hyperparameters in [
        format!(r#"{{"api_key": "{MARK}", "sagemaker_program": "x.py" oops"#),
        format!(r#"["api_key", "token={MARK}"]"#),
        format!(r#"{{"hub_token": "{MARK}", "footplate_grace_period": "{MARK}"}}"#),
        format!(r#"{{"hub_token": "{MARK}", "sagemaker_program": "{MARK}.py"}}"#),
    ] {
        let job = Job::new().hyperparameters(&hyperparameters).without("SAGEMAKER_PROGRAM");
        let ended = job.train();
        assert_ne!(ended.code(), 0, "{ended:#?}");
        clean("the failure file", ended.failure());
        clean("the log", &ended.stderr);
        let ended = job.run(["plan"]);
        clean("plan", &(ended.stdout() + &ended.stderr));
    }
}

#[test]
fn a_panic_message_contains_no_secret() {
    let job =
        with_notes(job()).file("code/train.py", "from notes import note, wait_for\nnote('ready')\nwait_for('end')");
    let trigger = job.path("trigger").display().to_string();
    let job = job.variable("FOOTPLATE_TEST_PANIC", &trigger);
    let running = Running::start(&job, ["train"]);
    running.noted("ready", 1);
    let message: String = secrets().iter().map(|(name, value)| format!("{value} {name}={value} ")).collect();
    std::fs::write(job.path("trigger.new"), message).expect("written");
    std::fs::rename(job.path("trigger.new"), job.path("trigger")).expect("renamed");
    let ended = running.end(&job).failed(70, "footplate ");
    assert!(ended.failure().contains("asked for by FOOTPLATE_TEST_PANIC: "), "{ended:#?}");
    clean("the failure file", ended.failure());
    clean("standard error", &ended.stderr);
    eventually("the script's end", || super::running::survivors(job.base()).is_empty().then_some(()));
}

/// Names of secrets in everyday use. `redact::tests::names` has more.
const NAMES: [&str; 28] = [
    "HF_TOKEN",
    "WANDB_API_KEY",
    "AWS_SESSION_TOKEN",
    "SECRET_STUFF",
    "GOOGLE_APPLICATION_CREDENTIALS_JSON",
    "MYSQL_PWD",
    "DB_PASS",
    "PGPASS",
    "GITHUB_PAT",
    "AUTHORIZATION",
    "HTTP_AUTH",
    "PASSPHRASE",
    "JWT",
    "SESSION_COOKIE",
    "AZURE_STORAGE_SAS",
    "BEARER",
    "DB_PW",
    "PASSCODE",
    "LICENCE_PIN",
    "CONN_STR",
    "SENTRY_DSN",
    "REDISCLI_AUTH",
    "clientSecret",
    "apikey",
    "PGPASSWORD",
    "NPM_CONFIG__AUTH",
    "db-password",
    "api.key",
];

#[test]
fn the_value_of_a_secrets_name_is_hidden_wherever_it_occurs() {
    let value = |number: usize| format!("hunter{number}-Zx81+/ab=cd&e");
    let mut hyperparameters = serde_json::Map::new();
    let mut job = Job::python(
        "import base64, json, os, urllib.parse\n\
         hps = json.loads(os.environ['SM_HPS'])\n\
         texts = [v for n, v in os.environ.items() if v.startswith('hunter')] + list(hps.values())\n\
         assert len(texts) >= 56, len(texts)\n\
         raise ValueError(open(os.environ['HOW']).read() % texts)",
    );
    for (number, name) in NAMES.iter().enumerate() {
        job = job.variable(name, &value(number));
        hyperparameters.insert(format!("my_{name}"), value(100 + number).into());
    }
    let how = job.path("how").display().to_string();
    let job = job.hyperparameters(&serde_json::Value::Object(hyperparameters).to_string()).variable("HOW", &how);
    let job = job.file("how", "no login with %s");
    let ended = job.train().failed(1, "ValueError: no login with [");
    let record = std::fs::read_to_string(job.path("output/data/footplate/algo-1/run.json")).expect("a record");
    let plan = job.run(["plan"]);
    for (what, text) in [
        ("the failure file", ended.failure()),
        ("the log", &own_lines(&ended)),
        ("the record", &record),
        ("plan", &plan.stdout()),
        ("env", &job.run(["env"]).stdout()),
    ] {
        assert!(text.contains("******"), "{what}: {text}");
        assert!(!text.contains("Zx81"), "{what}: {text}");
    }
}

#[test]
fn secrets_of_no_variable_are_found_by_their_form() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N";
    let url =
        "https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F1&X-Amz-Signature=5d672d79c15b13162d92";
    for (message, expected) in [
        (format!("401 {{'Authorization': 'Bearer {jwt}'}}"), "401 {'Authorization': 'Bearer ******'}".to_owned()),
        (
            format!("403 for {url}"),
            "403 for https://b.s3.amazonaws.com/k?X-Amz-Credential=******&X-Amz-Signature=******".into(),
        ),
        ("Command 'curl -u me:x9y8z7 https://h/' failed".into(), "Command 'curl -u ****** https://h/' failed".into()),
    ] {
        let ended = Job::python(&format!("raise OSError({message:?})")).train();
        assert_eq!(ended.failure().lines().next(), Some(format!("OSError: {expected}").as_str()));
    }
}

#[test]
fn no_line_of_a_private_key_is_quoted_by_itself() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nError9BKcwggSjAgEAAoIBAQC7VJTU\n-----END PRIVATE KEY-----";
    let script = format!("import sys\nprint({key:?}, file=sys.stderr)\nsys.exit(3)");
    let ended = Job::python(&script).train().failed(3, "");
    assert!(!ended.failure().contains("BKcwgg") && !ended.failure().contains("MIIE"), "{}", ended.failure());
}

#[test]
fn what_is_no_secret_is_shown() {
    let message =
        "bad num_tokens=512, api_key=None, token=<your_token>, label of customer_id in /usr/local/lib, <|endoftext|>";
    let job = Job::python(&format!("raise KeyError({message:?})"));
    let job = job.hyperparameters(
        &json!({
            "primary_key": "customer_id", "pad_token": "<|endoftext|>", "use_token": true, "num_key_value_heads": 8,
            "token_dropout": 0.15, "key_metric": "validation:accuracy", "tokenizer": "bert-base-uncased", "no_keys": "True",
            "max_token_length": "512", "hub_token": null, "monkey": "banana-9x8y7z6w5v",
        })
        .to_string(),
    );
    let job = job.variable("TOKEN_DIR", "/usr/local/lib").variable("PIP_KEYRING_PROVIDER", "subprocess");
    let ended = job.train().failed(1, &format!("KeyError: {message:?}").replace('"', "'"));
    assert!(!ended.failure().contains("***"), "{}", ended.failure());
}

#[test]
fn a_word_made_to_take_long_delays_no_end() {
    Job::python("raise ValueError('token' * 50000 + '=')").train().failed(1, "ValueError: tokentoken");
}

/// A text that renames a terminal's window, clears its screen and reverses the order of what follows, with C1 controls.
const HOSTILE: &str = "x\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}\u{9b}31m\u{2066}\u{200f}\u{2028}\u{7f}";

/// Checks that a text has no character that a terminal acts on.
#[track_caller]
fn inert(what: &str, text: &str) {
    let is_unsafe = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(is_unsafe), "{what}: {:?}", text.lines().find(|line| line.contains(is_unsafe)));
}

/// Returns jobs with [`HOSTILE`] at each place of their configuration.
fn hostile_jobs() -> Vec<(&'static str, Job)> {
    let job = || Job::python("pass");
    let escaped = json!(HOSTILE).to_string();
    let resources = |host: &str, kind: &str| {
        json!({"current_host": host, "hosts": [host], "current_instance_type": kind}).to_string()
    };
    vec![
        ("a value", job().hyperparameters(&format!(r#"{{"a": {escaped}, "lines": "a\nb"}}"#))),
        ("a name", job().hyperparameters(&format!("{{{escaped}: 1}}"))),
        ("a host", job().file("input/config/resourceconfig.json", resources(&format!("h{HOSTILE}"), "x"))),
        ("an instance", job().file("input/config/resourceconfig.json", resources("algo-1", HOSTILE))),
        ("an entry point", job().variable("SAGEMAKER_PROGRAM", &format!("t{HOSTILE}.py"))),
        ("a submit directory", job().variable("SAGEMAKER_SUBMIT_DIRECTORY", &format!("/none{HOSTILE}"))),
        ("a setting", job().variable("FOOTPLATE_GRACE_PERIOD", HOSTILE)),
        ("an unknown setting", job().hyperparameters(&format!(r#"{{"footplate_{}: 1}}"#, &escaped[1..]))),
        ("a Python", job().variable("FOOTPLATE_PYTHON", &format!("/none{HOSTILE}"))),
        ("a job name", job().variable("TRAINING_JOB_NAME", HOSTILE)),
        ("a channel", job().file("input/config/inputdataconfig.json", format!("{{{escaped}: {{}}}}"))),
        ("a broken file", job().hyperparameters(&format!("{{\"{HOSTILE}"))),
        ("requirements", job().variable("FOOTPLATE_REQUIREMENTS", &format!("r{HOSTILE}"))),
    ]
}

#[test]
fn no_name_and_no_value_of_a_job_reaches_a_terminal_unescaped() {
    for (what, job) in hostile_jobs() {
        for words in
            [&["plan"][..], &["plan", "--json"], &["env"], &["env", "--format", "json"], &["check"], &["train"]]
        {
            let ended = job.run(words);
            inert(
                &format!("{what}, {words:?}"),
                &(ended.stdout() + &ended.stderr + &ended.failure.unwrap_or_default()),
            );
        }
        if let Some(record) = job.read("output/data/footplate/algo-1/run.json") {
            inert(&format!("{what}, the record"), &record);
        }
    }
    for words in
        [&["local", "--entry-point", HOSTILE][..], &["plan", HOSTILE], &["local", "--output-dir", HOSTILE], &[HOSTILE]]
    {
        let job = Job::new();
        let mut command = job.command(words);
        let output = command.current_dir(job.base()).output().expect("it runs");
        inert(&format!("{words:?}"), &String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    }
}

#[test]
fn a_shell_reads_what_env_escapes_as_it_was() {
    let value = format!("{HOSTILE} it's 100% \\n \"$HOME\" `id`\n\n");
    let job = Job::python("pass").hyperparameters(&json!({"a": value}).to_string());
    let script = job.run(["env"]).stdout() + "printf %s \"$SM_HP_A\"";
    let output = std::process::Command::new("sh").arg("-c").arg(script).output().expect("sh runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), value);
}

#[test]
fn messages_are_quoted_with_escapes_and_lines_are_untouched() {
    let script = "raise ValueError('a\\u202eb\\x1b[2J\\u2028c\\x9bd')";
    let ended = Job::python(script).train().failed(1, "ValueError: a");
    inert("the failure file", ended.failure());
    assert!(ended.failure().starts_with(r"ValueError: a\u{202e}b"), "{}", ended.failure());
    assert!(ended.stderr.contains("a\u{202e}b\u{1b}[2J\u{2028}c\u{9b}d"), "{}", ended.stderr);
}
