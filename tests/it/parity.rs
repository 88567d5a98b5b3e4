//! Every recorded run of the incumbents, run again by footplate: the script must get the same (see tests/parity).

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::job::{Job, executable, search_path};

/// Writes what it was given: argv, working directory, variables.
const RECORDER: &str = r#"
import json, os, sys
with open(os.environ["RECORD"], "w") as f:
    json.dump({"argv": sys.argv, "cwd": os.getcwd(), "env": dict(os.environ)}, f)
"#;

/// The same for a shell script, by Python.
const SHELL_RECORDER: &str = r#"#!/bin/sh
exec python3 -c '
import json, os, sys
with open(os.environ["RECORD"], "w") as f:
    json.dump({"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}, f)
' "$0" "$@"
"#;

fn cases(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(file);
    let text = fs::read_to_string(path).expect("the recorded runs");
    text.lines().map(|line| serde_json::from_str(line).expect("a recorded run")).collect()
}

/// Puts fake tools on PATH; hardware is missing here, these stand in for it.
fn fake_tools(job: Job, case: &Value) -> Job {
    let bin = job.path("bin");
    fs::create_dir_all(&bin).expect("a folder");
    for (tool, number) in case["tools"].as_object().into_iter().flatten() {
        let number = number.as_u64().expect("a number");
        let output = match tool.as_str() {
            "nvidia-smi" => (0..number).map(|gpu| format!("GPU {gpu}: NVIDIA A100 (UUID: GPU-{gpu})\n")).collect(),
            // Devices of 2 cores each.
            _ => format!("[{}]\n", vec![r#"{"nc_count": 2}"#; usize::try_from(number / 2).expect("small")].join(",")),
        };
        executable(&bin.join(tool), &format!("#!/bin/sh\ncat <<'END'\n{output}END\n"));
    }
    let path = format!("{}:{}", bin.display(), search_path());
    job.variable("PATH", &path)
}

fn prepare(case: &Value, code: &str) -> Job {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut job = fake_tools(Job::new().without("SAGEMAKER_PROGRAM"), case);
    for (file, content) in case["files"].as_object().expect("files") {
        // The drivers know no other base folder than /opt/ml, so that {BASE} stands for it also where a user wrote it.
        let base = job.base().display().to_string();
        let content =
            if case.get("sourcecode.json").is_some() { text(content).replace("/opt/ml", &base) } else { text(content) };
        job = job.file(&format!("input/config/{file}"), content);
    }
    for (name, value) in case["environ"].as_object().expect("variables") {
        job = job.variable(name, &text(value));
    }
    let entry = text(&case["entry_point"]);
    let recorder = if entry.ends_with(".sh") { SHELL_RECORDER } else { RECORDER };
    let record = job.path("record.json").display().to_string();
    job.file(&format!("{code}/{entry}"), recorder).variable("RECORD", &record)
}

/// A recorded text with the placeholders filled in.
fn filled(text: &str, job: &Job) -> String {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    text.replace("{BASE}", &job.base().display().to_string()).replace("{NUM_CPUS}", &cpus.to_string())
}

fn filled_json(value: &Value, job: &Job) -> Value {
    serde_json::from_str(&filled(&value.to_string(), job)).expect("JSON")
}

fn record(job: &Job) -> Value {
    serde_json::from_str(&job.read("record.json").unwrap_or_default()).unwrap_or(Value::Null)
}

/// Compares one run; gives what differs.
fn compare(job: &Job, case: &Value, record: &Value, as_json: bool) -> Vec<String> {
    let mut differences = Vec::new();
    let expect = &case["expect"];
    let mut differ = |what: &str, expected: &str, found: &str| {
        differences.push(format!("{}: {what}\n  expected {expected}\n  found    {found}", case["name"]));
    };
    let cwd = filled(expect["cwd"].as_str().expect("a folder"), job);
    if record["cwd"] != *cwd {
        differ("cwd", &cwd, &record["cwd"].to_string());
    }
    if let Some(expected) = expect.get("argv").map(|argv| filled_json(argv, job)).filter(|argv| record["argv"] != *argv)
    {
        differ("argv", &expected.to_string(), &record["argv"].to_string());
    }
    for (name, value) in expect["env"].as_object().expect("variables") {
        if ["FI_", "NCCL_", "RDMAV_"].iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let expected = filled(value.as_str().expect("a text"), job);
        let found = record["env"][name].as_str();
        let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
        let same = found.is_some_and(|found| {
            found == expected || as_json && parse(found).is_some() && parse(found) == parse(&expected)
        });
        if !same {
            differ(name, &expected, found.unwrap_or("nothing"));
        }
    }
    differences
}

fn all_agree(differences: &[String]) {
    let shown = differences.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences, such as\n{shown}", differences.len());
}

#[test]
fn scripts_get_what_the_toolkit_gave_them() {
    let mut differences = Vec::new();
    for case in cases("cases.jsonl") {
        let job = prepare(&case, "code");
        let ended = job.train();
        if ended.code() != 0 || !ended.success || ended.failure.is_some() {
            differences.push(format!("{}: did not run: {ended:#?}", case["name"]));
            continue;
        }
        differences.extend(compare(&job, &case, &record(&job), false));
    }
    all_agree(&differences);
}

#[test]
fn scripts_get_what_the_drivers_of_sdk_version_3_gave_them() {
    let mut differences = Vec::new();
    for case in cases("cases-v3.jsonl") {
        let mut job = prepare(&case, "input/data/code");
        for file in ["sourcecode.json", "distributed.json"] {
            job = job.file(&format!("input/data/sm_drivers/{file}"), case[file].to_string());
        }
        // They stand in for the launchers: they record how they were called, and run nothing.
        for launcher in ["torchrun", "mpirun"] {
            let script = SHELL_RECORDER.replace("\"$0\"", launcher);
            executable(&job.path("bin").join(launcher), &script);
        }
        let ended = job.train();
        let record = record(&job);
        if ended.code() != 0 {
            differences.push(format!("{}: did not run: {ended:#?}", case["name"]));
            continue;
        }
        differences.extend(compare(&job, &case, &record, true));
        if let Some(expected) = case["expect"].get("launch") {
            let (expected, found) = (launch(&filled_json(expected, &job), &case), launch(&record["argv"], &case));
            if expected != found {
                differences.push(format!("{}: launch\n  expected {expected:?}\n  found    {found:?}", case["name"]));
            }
        }
    }
    all_agree(&differences);
}

/// What counts of a launch: the launcher, its hosts, counts, master and rank, and all from the script on.
fn launch(argv: &Value, case: &Value) -> Vec<String> {
    let words: Vec<String> =
        argv.as_array().into_iter().flatten().map(|word| word.as_str().unwrap_or_default().to_owned()).collect();
    let entry = case["entry_point"].as_str().expect("an entry point");
    let script = words.iter().position(|word| word == entry).unwrap_or(words.len());
    let mut kept: Vec<String> = words.first().cloned().into_iter().collect();
    let mut options = words[..script].iter().skip(1).peekable();
    while let Some(option) = options.next() {
        if ["--nnodes", "--nproc_per_node", "--master_addr", "--master_port", "--node_rank"]
            .iter()
            .any(|name| option.starts_with(name))
        {
            kept.push(option.clone());
        } else if ["--host", "-np"].contains(&option.as_str()) {
            kept.push(format!("{option} {}", options.next().expect("a value")));
        }
    }
    kept.extend_from_slice(&words[script..]);
    kept
}
