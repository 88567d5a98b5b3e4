//! Secrets never appear in what footplate itself writes.

use serde_json::json;

use super::job::{Ended, Job, eventually};
use super::running::{Running, with_notes};

/// A text that is part of every secret of the job and stays recognizable in every spelling.
const MARK: &str = "SEKRIT";

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
raise ValueError(f"cannot log in with {secrets} of {hyperparameters} at https://me:SEKRIT@host/path: {' '.join(secrets)}")
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
    hyperparameters.insert("more".to_owned(), json!({"password": "pw-7", "pin_token": 70_007}));
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
    for secret in [MARK, "pw-7", "70007"] {
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
