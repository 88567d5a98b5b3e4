//! Every recorded run of the incumbents: footplate gives the script the same arguments, variables and working directory
//! (see tests/parity).
//!
//! In this process, [`planned`] works out for each case what the script would get. The binary runs only some cases: all
//! that [`is_for_binary`] selects, or every one with FOOTPLATE_TEST_FULL=1.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use footplate::job::{Paths, Variables};
use footplate::launch::{self, CommandPlan, LaunchInput};
use footplate::prepare::environment::{ExistingVariables, VariableTable};
use footplate::run;
use serde_json::{Value, json};

use super::job::{Job, executable, is_full, search_path};

/// A script that records its arguments, working directory and variables.
const RECORDER: &str = r#"
import json, os, sys
with open(os.environ["RECORD"], "w") as f:
    json.dump({"argv": sys.argv, "cwd": os.getcwd(), "env": dict(os.environ)}, f)
"#;

/// A shell script that records what [`RECORDER`] does.
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

/// Puts stand-ins for the tools of the accelerators on PATH, which report what the recorded machine had.
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

/// Returns a job with the input of a case, whose code is in the folder `code`.
fn prepare(case: &Value, code: &str) -> Job {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut job = fake_tools(Job::new().without("SAGEMAKER_PROGRAM"), case);
    for (file, content) in case["files"].as_object().expect("files") {
        // The drivers know no base folder but /opt/ml, so {BASE} also replaces it in texts that a user wrote.
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

/// Returns a recorded text with its placeholders filled in.
fn filled(text: &str, job: &Job) -> String {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    text.replace("{BASE}", &job.base().display().to_string()).replace("{NUM_CPUS}", &cpus.to_string())
}

fn filled_json(value: &Value, job: &Job) -> Value {
    serde_json::from_str(&filled(&value.to_string(), job)).expect("JSON")
}

/// Returns the differences between a recorded run and what the script got.
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

/// Runs the job with the binary and returns what the script recorded.
///
/// # Errors
/// The job did not succeed.
fn trained(job: &Job) -> Result<Value, String> {
    let ended = job.train();
    if ended.code() != 0 || !ended.success || ended.failure.is_some() {
        return Err(format!("{ended:#?}"));
    }
    Ok(serde_json::from_str(&job.read("record.json").unwrap_or_default()).unwrap_or(Value::Null))
}

/// Returns what the script would record, without running it.
///
/// # Errors
/// The job would be refused.
fn planned(job: &Job) -> Result<Value, String> {
    let variables: Variables = job.variables().iter().collect();
    let refused = |outcome: run::Outcome| format!("{outcome:?}");
    let prepared = run::prepare(Paths::under(job.base()), &variables, &[], false).map_err(refused)?;
    let hardware = run::hardware(&prepared, &variables);
    let given = run::environment_of(&prepared, &hardware, &variables, ExistingVariables::Overwrite).map_err(refused)?;
    let (entry, _) = run::entry_of(&prepared.job, &variables).map_err(refused)?;
    let (image, _) = run::image(&prepared, &variables, run::needs_python(&entry)).map_err(refused)?;
    let run::Prepared { job, settings, .. } = &prepared;
    let plan = launch::plan(&LaunchInput {
        job,
        settings,
        variables: &variables,
        hardware: &hardware,
        image: &image,
        entry: &entry,
        arguments: &given.arguments,
        token: "",
    })
    .map_err(|error| error.to_string())?;
    let process = plan.script_processes().next().ok_or("no process runs the script")?;
    let CommandPlan { program, arguments, variables: own, working_dir } = &process.command;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut argv: Vec<String> = arguments.iter().map(|word| text(word)).collect();
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.starts_with("python") {
        argv.remove(0);
    } else {
        // The stand-ins for launchers record their names, and a shell script records the path that was executed.
        argv[0] = if program.is_absolute() { name } else { program.display().to_string() };
    }
    let mut env = serde_json::Map::new();
    let pairs = |table: &VariableTable| -> Vec<(String, String)> {
        table.iter().map(|(name, value)| (text(name), text(value))).collect()
    };
    let (launchers, jobs) = (pairs(&plan.variables), pairs(&given.variables));
    // Each of these tables is stronger than those before it.
    for (name, value) in launchers.into_iter().chain(pairs(own)).chain(variables.texts()).chain(jobs) {
        env.insert(name, value.into());
    }
    Ok(json!({"argv": argv, "cwd": working_dir, "env": env}))
}

/// Returns which kinds a case belongs to: its type of entry point, machine and launch, the forms of its files, and which
/// variables the container and the script have.
fn kinds(case: &Value) -> BTreeSet<String> {
    let entry = case["entry_point"].as_str().expect("an entry point");
    let depth = entry.matches('/').count();
    let mut kinds = BTreeSet::from([format!("{depth} {}", entry.rsplit('.').next().expect("an extension"))]);
    for part in ["tools", "environ", "distributed.json", "sourcecode.json"] {
        kinds.extend(case[part].as_object().into_iter().flatten().map(|(key, value)| match value {
            Value::Number(number) => format!("{part} {key} {number}"),
            _ => format!("{part} {key} {}", value.is_null()),
        }));
    }
    for (file, content) in case["files"].as_object().expect("files") {
        let content: Value = serde_json::from_str(content.as_str().expect("a text")).unwrap_or_default();
        kinds.insert(format!("{file} {}", content.as_object().map_or(0, serde_json::Map::len) == 0));
        let platforms = content.as_object().into_iter().flatten().filter(|(key, _)| key.starts_with("sagemaker_"));
        kinds.extend(platforms.map(|(key, _)| format!("{file} {key}")));
        for key in ["hosts", "instance_groups"] {
            kinds.insert(format!("{file} {key} {}", content[key].as_array().map_or(0, Vec::len)));
        }
    }
    let launcher = case["expect"]["launch"][0].as_str().unwrap_or("none");
    kinds.insert(format!("launch {launcher} {}", case["tools"]));
    let own = |name: &&String| !name.starts_with("SM_HP_") && !name.starts_with("SM_CHANNEL_");
    kinds.extend(case["expect"]["env"].as_object().expect("variables").keys().filter(own).cloned());
    kinds
}

/// Returns for each case whether the binary runs it: it is the first of one of its kinds, or its number is a multiple
/// of 16.
fn is_for_binary(cases: &[Value]) -> Vec<bool> {
    let mut seen = BTreeSet::new();
    let select = |(number, case): (usize, &Value)| {
        let before = seen.len();
        seen.extend(kinds(case));
        seen.len() > before || number.is_multiple_of(16) || is_full()
    };
    cases.iter().enumerate().map(select).collect()
}

/// Compares every case with what [`planned`] and, for those that are selected, [`trained`] return. At least `fewest` cases
/// must be selected.
fn all_get_the_same(cases: &[Value], fewest: usize, job_of: impl Fn(&Value) -> Job, as_json: bool) {
    let mut differences = Vec::new();
    let selected = is_for_binary(cases);
    let count = selected.iter().filter(|is_selected| **is_selected).count();
    println!("the binary runs {count} of {} cases", cases.len());
    assert!(count >= fewest, "only {count} of {} cases are selected", cases.len());
    for (case, is_selected) in cases.iter().zip(selected) {
        let job = job_of(case);
        let records = [Some(("planned", planned(&job))), is_selected.then(|| ("trained", trained(&job)))];
        for (how, record) in records.into_iter().flatten() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    differences.push(format!("{}, {how}: it did not succeed: {error}", case["name"]));
                    continue;
                }
            };
            let found = compare(&job, case, &record, as_json);
            differences.extend(found.into_iter().map(|difference| format!("{how}: {difference}")));
            if let Some(expected) = case["expect"].get("launch") {
                let (expected, found) = (launch(&filled_json(expected, &job), case), launch(&record["argv"], case));
                if expected != found {
                    let name = &case["name"];
                    differences.push(format!("{name}, {how}: launch\n  expected {expected:?}\n  found    {found:?}"));
                }
            }
        }
    }
    all_agree(&differences);
}

#[test]
fn scripts_get_what_the_toolkit_gave_them() {
    all_get_the_same(&cases("cases.jsonl"), 40, |case| prepare(case, "code"), false);
}

#[test]
fn scripts_get_what_the_drivers_of_sdk_version_3_gave_them() {
    let job_of = |case: &Value| {
        let mut job = prepare(case, "input/data/code");
        for file in ["sourcecode.json", "distributed.json"] {
            job = job.file(&format!("input/data/sm_drivers/{file}"), case[file].to_string());
        }
        // Stand-ins for the launchers record their arguments and run nothing.
        for launcher in ["torchrun", "mpirun"] {
            let script = SHELL_RECORDER.replace("\"$0\"", launcher);
            executable(&job.path("bin").join(launcher), &script);
        }
        job
    };
    all_get_the_same(&cases("cases-v3.jsonl"), 20, job_of, true);
}

/// Returns the words of a launch that must agree: the launcher, its options for hosts, counts, master and rank, and all
/// words from the script on.
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
