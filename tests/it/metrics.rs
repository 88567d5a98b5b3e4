//! Metrics: every value that Python's `re` finds, in the file, the record and the log.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::job::Job;
use super::record::record;

const VALUES: &str = "output/data/footplate/algo-1/metrics.jsonl";

/// Returns a job with these metric definitions, as the platform gives them.
fn with_definitions(job: Job, definitions: &[(&str, &str)]) -> Job {
    let list: Vec<Value> = definitions.iter().map(|(name, regex)| json!({"Name": name, "Regex": regex})).collect();
    let config = json!({"AlgorithmSpecification": {"MetricDefinitions": list}, "TrainingJobName": "job"});
    job.file("input/config/trainingjobconfig.json", config.to_string())
}

/// Returns the values in metrics.jsonl.
fn values(job: &Job) -> Vec<Value> {
    let text = job.read(VALUES).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn values_of_all_ranks_and_streams_are_in_the_file_the_record_and_the_log() {
    let script = "import os, sys\nrank = int(os.environ['RANK'])\n\
        print(f'step 3 loss: {rank + 1}.5')\nprint(f'loss: 2e-3 at epoch {rank}', file=sys.stderr)\nprint('f1=nan')\n";
    let job =
        Job::python(script).variable("FOOTPLATE_LAUNCHER", "per-gpu").variable("FOOTPLATE_PROCESSES_PER_HOST", "2");
    let job = with_definitions(job, &[("loss", r"loss: (\S+)"), ("f1", r"f1=(.*)$"), ("none", r"val_loss: (\S+)")]);
    let ended = job.train();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let mut found: Vec<String> = values(&job)
        .iter()
        .map(|value| {
            assert!(value["time"].as_f64() > Some(1.6e9) && value["host"] == "algo-1", "{value}");
            let [name, number, step, index, rank, stream] =
                ["name", "value", "step", "index", "rank", "stream"].map(|key| value[key].to_string());
            format!("{name} {number} {step} {index} {rank} {stream}")
        })
        .collect();
    found.sort();
    let of_rank = |rank: usize, lines: &mut Vec<String>| {
        lines.push(format!("\"f1\" null null 0 {rank} \"stdout\""));
        // Which of both streams is read first is left open, and so is the index.
        lines.push(format!("\"loss\" {}.5 3 _ {rank} \"stdout\"", rank + 1));
        lines.push(format!("\"loss\" 0.002 {rank} _ {rank} \"stderr\""));
    };
    let mut expected = Vec::new();
    (0..2).for_each(|rank| of_rank(rank, &mut expected));
    expected.sort();
    let without_index = |line: &String| {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "\"f1\"" {
            line.clone()
        } else {
            format!("{} {} {} _ {} {}", words[0], words[1], words[2], words[4], words[5])
        }
    };
    let mut found: Vec<String> = found.iter().map(without_index).collect();
    found.sort();
    assert_eq!(found, expected);
    let record = record(&job);
    let loss = &record["metrics"]["loss"];
    assert_eq!((&loss["count"], &loss["min"], &loss["max"]), (&4.into(), &0.002.into(), &2.5.into()), "{loss}");
    assert_eq!(record["metrics"]["f1"]["not_finite"], 2);
    assert_eq!(record["tuning"], Value::Null);
    let log = &ended.stderr;
    assert!(log.contains("metric loss: 4 values, first "), "{log}");
    assert!(log.contains("metric f1: none of its 2 values is finite"), "{log}");
    assert!(
        log.contains(r"metric none: no value, because no line matches val_loss: (\S+); the nearest line: "),
        "{log}"
    );
}

#[test]
fn values_of_mpiruns_ranks_have_their_rank() {
    let script = "from mpi4py import MPI\nrank = MPI.COMM_WORLD.rank\nprint(f'loss: {rank}.5')\n";
    // With a mapping of the user's own, mpirun relays the lines of all ranks and tags them.
    for options in ["", "--map-by slot"] {
        let hyperparameters = json!({"sagemaker_mpi_custom_mpi_options": format!("\"{options}\"")});
        let job = Job::python(script)
            .variable("FOOTPLATE_LAUNCHER", "mpi")
            .variable("FOOTPLATE_PROCESSES_PER_HOST", "2")
            .variable("FOOTPLATE_HOST_ADDRESSES", "algo-1=127.0.0.1")
            // Debian's mpi4py works only with Debian's Python.
            .variable("FOOTPLATE_PYTHON", "/usr/bin/python3")
            .hyperparameters(&hyperparameters.to_string());
        let job = with_definitions(job, &[("loss", r"^loss: (\S+)$")]);
        let ended = job.train();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        let is_tagged = ended.stdout().contains("[rank0]: ");
        assert_eq!(is_tagged, !options.is_empty(), "{}", ended.stdout());
        let mut found: Vec<_> =
            values(&job).iter().map(|value| (value["rank"].as_u64(), value["value"].as_f64())).collect();
        found.sort_by_key(|(rank, _)| *rank);
        assert_eq!(found, [(Some(0), Some(0.5)), (Some(1), Some(1.5))], "{options}: {}", ended.stdout());
    }
}

#[test]
fn definitions_with_defects_are_said_at_the_start_and_fail_nothing() {
    let job = Job::shell("echo 'loss: 1.2e-05'; echo 'acc: high'")
        .hyperparameters(r#"{"_tuning_objective_metric": "\"test:Acc\""}"#);
    let definitions = [
        ("cuts", r"loss: ([0-9\.]+)"),
        ("ahead", "(?=loss)(.*)"),
        ("bad", "loss: ("),
        ("empty", "loss:(.*?)"),
        ("acc", "acc: (.*)"),
    ];
    let job = with_definitions(job, &definitions);
    let ended = job.train();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let log = &ended.stderr;
    for said in [
        r"metric cuts: its pattern loss: ([0-9\.]+) has a defect: it reads 1.2e-05 as 1.2",
        "metric ahead: its pattern (?=loss)(.*) is not used: it has a look-ahead, which footplate cannot read",
        "metric bad: its pattern loss: ( is not used: Python's re refuses it: missing ), unterminated subpattern",
        "metric empty: its pattern loss:(.*?) has a defect: its group is lazy and nothing follows it",
        "the tuning job's objective test:Acc is no metric of this job; did you mean acc?",
        "the tuning job's objective test:Acc has no value",
        "metric acc: no value; its pattern takes \"high\", which is no number, of the line acc: high",
    ] {
        assert!(log.contains(said), "{said} is not in {log}");
    }
    let record = record(&job);
    assert_eq!(record["tuning"], json!({"objective": "test:Acc", "seen": 0, "nearest": "acc"}));
    assert_eq!((&record["metrics"]["cuts"]["count"], &record["metrics"]["cuts"]["last"]), (&1.into(), &1.2.into()));
}

#[test]
fn the_objective_is_watched_in_every_form_of_its_name() {
    for (given, name) in [
        (r#""validation:acc""#, "validation:acc"),
        (r#""\"validation:acc\"""#, "validation:acc"),
        (r#""1""#, "1"),
        (r#""1e3""#, "1e3"),
        (r#""NaN""#, "NaN"),
        (r#""true""#, "true"),
        (r#""null""#, "null"),
        (r#""[1, 2]""#, "[1, 2]"),
        (r#""\"1\"""#, "1"),
    ] {
        let job = Job::shell("echo 'a=0.25'").hyperparameters(&format!(r#"{{"_tuning_objective_metric": {given}}}"#));
        let job = with_definitions(job, &[(name, "a=(\\S+)")]);
        job.train().succeeded();
        assert_eq!(record(&job)["tuning"], json!({"objective": name, "seen": 1, "nearest": null}), "{given}");
    }
    // A value of another type has no name.
    let job = Job::shell("echo 'a=0.25'").hyperparameters(r#"{"_tuning_objective_metric": 1}"#);
    job.train().succeeded();
    assert_eq!(record(&job)["tuning"], Value::Null);
}

#[test]
fn further_definitions_and_the_experiments_file_are_used() {
    let job =
        Job::shell("echo 'step=4 loss=0.5'").file("code/metrics.json", r#"[{"name": "loss", "regex": "loss=(\\S+)"}]"#);
    let folder = job.path("experiments");
    std::fs::create_dir(&folder).expect("made");
    let job = job
        .variable("FOOTPLATE_METRICS", "metrics.json")
        .variable("SAGEMAKER_METRICS_DIRECTORY", folder.to_str().expect("UTF-8"));
    assert_eq!(job.train().code(), 0);
    let files: Vec<_> =
        std::fs::read_dir(&folder).expect("listed").map(|entry| entry.expect("an entry").path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    let line: Value = serde_json::from_str(&std::fs::read_to_string(file).expect("read")).expect("JSON");
    assert_eq!(
        (&line["MetricName"], &line["Value"], &line["IterationNumber"]),
        (&"loss".into(), &0.5.into(), &4.into())
    );
    assert_eq!(values(&job)[0]["step"], 4);
}

#[test]
fn a_prefix_that_hides_a_value_from_the_platform_is_said() {
    let job = Job::shell("echo 'loss 0.5'").variable("FOOTPLATE_LOG_PREFIX", "on");
    let job = with_definitions(job, &[("loss", r"^loss (\S+)")]);
    let ended = job.train();
    assert_eq!(values(&job)[0]["value"], 0.5);
    assert!(ended.stderr.contains("set FOOTPLATE_LOG_PREFIX=off"), "{}", ended.stderr);
}

#[test]
fn without_definitions_nothing_is_left() {
    let job = Job::shell("echo 'loss: 0.5'");
    assert_eq!(job.train().code(), 0);
    assert_eq!(job.read(VALUES), None);
    assert_eq!(record(&job)["metrics"], json!({}));
}

/// A script that writes lines, and finds in them what must be found with Python's own `re`.
const ORACLE: &str = include_str!("../fixtures/metrics/oracle.py");

#[test]
fn a_command_has_metrics_too() {
    let job = with_definitions(Job::new(), &[("loss", r"loss=(\S+)")]);
    assert_eq!(job.run(["exec", "--", "sh", "-c", "echo loss=3"]).code(), 0);
    assert_eq!(values(&job)[0]["value"], 3.0);
}

#[test]
fn public_patterns_give_what_pythons_re_gives() {
    let patterns: Vec<&str> = include_str!("../fixtures/metrics/patterns.txt").lines().collect();
    let names: Vec<String> = (0..patterns.len()).map(|at| format!("m{at}")).collect();
    let definitions: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(patterns.iter().copied()).collect();
    let list: Vec<Value> = definitions.iter().map(|(name, regex)| json!({"Name": name, "Regex": regex})).collect();
    let job =
        with_definitions(Job::python(ORACLE).file("code/definitions.json", json!(list).to_string()), &definitions);
    let ended = job.train();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(!ended.stderr.contains("is not used"), "{}", ended.stderr);
    let expected: Vec<(String, Option<f64>)> =
        serde_json::from_str(&job.read("code/expected.json").expect("written")).expect("JSON");
    let found: Vec<(String, Option<f64>)> = values(&job)
        .iter()
        .map(|value| (value["name"].as_str().expect("a name").to_owned(), value["value"].as_f64()))
        .collect();
    let count = |list: &[(String, Option<f64>)]| {
        let mut lines: Vec<String> = list.iter().map(|(name, value)| format!("{name} {value:?}")).collect();
        lines.sort();
        lines
    };
    let (expected, found) = (count(&expected), count(&found));
    assert!(expected.len() > 1000, "{}", expected.len());
    let mut differences = String::new();
    for line in expected.iter().filter(|line| !found.contains(line)).take(20) {
        let _ = writeln!(differences, "missing: {line}");
    }
    for line in found.iter().filter(|line| !expected.contains(line)).take(20) {
        let _ = writeln!(differences, "not expected: {line}");
    }
    assert!(expected == found, "{} expected, {} found\n{differences}", expected.len(), found.len());
}

#[test]
fn advice_about_the_last_values_is_in_the_log_the_record_and_the_page() {
    // Sampling has begun once its file is there.
    let script = "import os, time\nprint('loss=0.5', flush=True)\n\
        while not os.path.exists(os.environ['SAMPLES']): time.sleep(0.05)\nprint('loss=nan')\n";
    let job = with_definitions(Job::python(script), &[("loss", r"loss=(\S+)")]).variable("FOOTPLATE_REPORT", "on");
    let samples = job.path("output/data/footplate/algo-1/resources.jsonl");
    let job = job.variable("SAMPLES", samples.to_str().expect("UTF-8"));
    let ended = job.train().succeeded();
    let (text, evidence) = ("a metric is not a number", "loss is NaN or infinite in 1 of its 2 values");
    assert!(ended.stderr.lines().any(|line| line.contains(text) && line.contains(evidence)), "{}", ended.stderr);
    let record = record(&job);
    let said = record["advice"].as_array().expect("a list").iter().find(|item| item["text"] == text);
    assert_eq!(said.map(|item| &item["evidence"]), Some(&json!(evidence)), "{record}");
    let page = job.read("output/data/footplate/report.html").expect("a page");
    let (_, section) = page.split_once("id=\"advice\"").expect("the section");
    assert!(
        section.contains("<b>A metric is not a number</b>") && section.contains(&format!("<p>{evidence}</p>")),
        "{section}"
    );
}
