//! The run record: complete after every end, absent if it is turned off, and without secrets.

use std::process::Command;

use serde_json::Value;

use super::job::{FOOTPLATE, Job, eventually};
use super::running::Running;

const RECORD: &str = "output/data/footplate/algo-1/run.json";

pub(crate) fn record(job: &Job) -> Value {
    serde_json::from_str(&job.read(RECORD).expect("a record")).expect("JSON")
}

#[test]
fn a_job_that_succeeds_leaves_a_complete_record() {
    let job =
        Job::shell("echo one; echo two; echo three >&2").hyperparameters(r#"{"lr": "0.1", "api_key": "hidden-1"}"#);
    assert_eq!(job.train().code(), 0);
    let found = record(&job);
    assert_eq!((&found["schema"], &found["status"]), (&"footplate.run/1".into(), &"completed".into()));
    assert_eq!((&found["host"], &found["hosts"]), (&"algo-1".into(), &serde_json::json!(["algo-1"])));
    assert_eq!((&found["exit_code"], &found["failure"], &found["stop"]), (&0.into(), &Value::Null, &Value::Null));
    let rank = &found["ranks"][0];
    assert_eq!((&rank["rank"], &rank["exit_code"], &rank["lines"]), (&0.into(), &0.into(), &3.into()));
    assert!(rank["pid"].as_u64() > Some(1) && rank["last_line"].is_number(), "{rank}");
    let phases: Vec<&str> =
        found["phases"].as_array().unwrap().iter().filter_map(|phase| phase["name"].as_str()).collect();
    assert!(
        ["config", "code", "requirements", "environment", "script"].iter().all(|name| phases.contains(name)),
        "{phases:?}"
    );
    assert!(found["phases"].as_array().unwrap().iter().all(|phase| phase["end"].is_number()), "{found:#}");
    assert_eq!(found["plan"]["processes"][0]["role"], "rank");
    assert_eq!(
        (&found["job"]["hyperparameters"]["lr"], &found["job"]["hyperparameters"]["api_key"]),
        (&0.1.into(), &"******".into())
    );
    assert!(found["ended"].as_f64() >= found["started"].as_f64());
}

#[test]
fn a_job_that_fails_leaves_the_cause_with_its_evidence() {
    let script = "import sys\nprint('loading')\nraise ValueError('bad data, token=hf_0123456789abcdef')\n";
    let job = Job::python(script).variable("HUB_TOKEN", "hf_0123456789abcdef");
    let ended = job.train();
    let found = record(&job);
    assert_eq!((&found["status"], &found["exit_code"]), (&"failed".into(), &ended.code().into()));
    let failure = &found["failure"];
    assert_eq!(failure["text"].as_str(), job.read("output/failure").as_deref());
    assert!(failure["first_line"].as_str().unwrap().starts_with("ValueError: bad data"), "{failure:#}");
    assert_eq!(failure["cause"]["place"]["line"], 3);
    assert!(failure["evidence"]["stderr"].as_str().unwrap().contains("Traceback"), "{failure:#}");
    assert!(failure["evidence"]["stdout"].as_str().unwrap().contains("loading"), "{failure:#}");
    assert!(!found.to_string().contains("hf_0123456789abcdef"), "{found:#}");
}

#[test]
fn a_job_that_cannot_start_leaves_the_reason() {
    let job = Job::new();
    assert_eq!(job.train().code(), 127);
    let found = record(&job);
    assert_eq!((&found["status"], &found["exit_code"]), (&"failed".into(), &127.into()));
    assert_eq!(
        (&found["failure"]["cause"]["stage"], &found["ranks"]),
        (&"before_script".into(), &serde_json::json!([]))
    );
}

#[test]
fn a_record_is_there_while_the_job_runs_and_tells_of_its_stop() {
    let job = Job::shell("trap 'exit 0' TERM; echo started; while :; do sleep 0.1; done");
    let running = Running::start(&job, ["train"]);
    // Replaced every few seconds while the job runs.
    let _: Value = eventually("a record of the running job", || serde_json::from_str(&job.read(RECORD)?).ok());
    let found = record(&job);
    assert_eq!((&found["status"], &found["ended"]), (&"running".into(), &Value::Null));
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.end(&job);
    let found = record(&job);
    assert_eq!((&found["stop"]["by"], &found["stop"]["signal"]), (&"signal".into(), &"SIGTERM".into()));
    assert_eq!(found["status"], "completed", "the script ended well within its grace period");
}

#[test]
fn a_script_that_is_killed_leaves_its_signal() {
    let job = Job::shell("echo started; kill -9 $$");
    assert_eq!(job.train().code(), 137);
    let found = record(&job);
    assert_eq!((&found["status"], &found["exit_code"]), (&"failed".into(), &137.into()));
    let rank = &found["ranks"][0];
    assert_eq!((&rank["signal"], &rank["exit_code"], &rank["followed"]), (&9.into(), &Value::Null, &false.into()));
    assert_eq!(found["failure"]["text"].as_str(), job.read("output/failure").as_deref());
}

#[test]
fn a_stop_that_ends_in_a_kill_is_recorded_with_its_reason() {
    let job = Job::shell("trap '' TERM; echo started; while :; do sleep 0.1; done");
    let job = job.variable("FOOTPLATE_GRACE_PERIOD", "0.3");
    let running = Running::start(&job, ["train"]);
    eventually("the script", || String::from_utf8_lossy(&running.stdout()).contains("started").then_some(()));
    running.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.end(&job).code(), 137);
    let found = record(&job);
    assert_eq!((&found["status"], &found["exit_code"]), (&"stopped".into(), &137.into()));
    let stop = &found["stop"];
    assert_eq!((&stop["by"], &stop["killed_because"]), (&"signal".into(), &"grace period over".into()));
    assert!(stop["killed"].as_f64() > stop["at"].as_f64(), "{stop}");
}

#[test]
fn a_panic_leaves_a_failed_record_with_its_text() {
    let job = Job::shell("echo started; while :; do sleep 0.1; done");
    let trigger = job.path("panic");
    let job = job.variable("FOOTPLATE_TEST_PANIC", trigger.to_str().expect("UTF-8"));
    let running = Running::start(&job, ["train"]);
    eventually("the script", || String::from_utf8_lossy(&running.stdout()).contains("started").then_some(()));
    // footplate reads it as soon as it is there.
    std::fs::write(job.path("whole"), "on purpose").expect("written");
    std::fs::rename(job.path("whole"), &trigger).expect("renamed");
    assert_eq!(running.end(&job).code(), 70);
    let found = record(&job);
    assert_eq!((&found["status"], &found["exit_code"]), (&"failed".into(), &70.into()));
    assert_eq!(found["failure"]["text"].as_str(), job.read("output/failure").as_deref());
    assert!(found["failure"]["text"].as_str().unwrap().contains("on purpose"), "{found:#}");
    assert!(found["ended"].is_number() && found["ranks"][0]["pid"].is_number(), "what was known stays: {found:#}");
    let script = found["phases"].as_array().unwrap().iter().find(|phase| phase["name"] == "script").expect("a phase");
    assert!(script["end"].is_number(), "{script}");
}

#[test]
fn no_record_is_written_if_it_is_turned_off() {
    let job = Job::shell("true").variable("FOOTPLATE_RECORD", "off");
    assert_eq!(job.train().code(), 0);
    assert!(!job.path("output/data/footplate").exists());
}

#[test]
fn a_full_disk_does_not_cost_the_last_version() {
    // The script fills the file system of the output, which is so small that the reserve is a part of it.
    let job = Job::shell(
        "dd if=/dev/zero of=$SM_OUTPUT_DATA_DIR/fill bs=4k 2>/dev/null; cp $0 $SM_OUTPUT_DATA_DIR/x && exit 9; exit 3",
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-ec"]);
    let script = "mount -t tmpfs -o size=1m none \"$1\"; \"$0\" train || code=$?; cat \"$1\"/footplate/algo-1/run.json; exit $code";
    unshare.arg(script).arg(FOOTPLATE).arg(job.path("output/data"));
    let output = job.within(unshare).output().expect("unshare runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let found: Value = serde_json::from_str(&text[text.find("{\n").unwrap_or(0)..])
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!((&found["status"], &found["exit_code"]), (&"failed".into(), &3.into()), "{output:?}");
}

#[test]
fn each_rank_has_an_entry() {
    let job = Job::python("import os, sys\nprint(os.environ['RANK'])\nsys.exit(0)\n")
        .variable("FOOTPLATE_LAUNCHER", "per-gpu")
        .variable("FOOTPLATE_PROCESSES_PER_HOST", "3");
    assert_eq!(job.train().code(), 0);
    let found = record(&job);
    let ranks: Vec<u64> = found["ranks"].as_array().unwrap().iter().filter_map(|rank| rank["rank"].as_u64()).collect();
    assert_eq!(ranks, [0, 1, 2]);
    assert!(found["ranks"].as_array().unwrap().iter().all(|rank| rank["lines"] == 1), "{found:#}");
}
