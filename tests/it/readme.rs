//! The documents tell the truth: their tables come from the code, their commands run, and what they name exists.
//!
//! `UPDATE_README=1` rewrites the generated tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use footplate::job::exit_code::EXIT_CODES;
use footplate::job::settings::REGISTRY;
use footplate::launch;
use footplate::observe::advice::RULES;
use footplate::prepare::environment::registry;
use regex::Regex;
use serde_json::Value;

use super::hosts::{Hosts, with_program};
use super::images;
use super::job::{FOOTPLATE, Job, is_full, search_path};
use super::kept;

/// Every document that is checked, relative to the repository's root.
const DOCUMENTS: [&str; 22] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benches/README.md",
    "docs/benchmarks.md",
    "docs/guide/README.md",
    "docs/guide/bring-your-own-container.md",
    "docs/guide/failures.md",
    "docs/guide/faq.md",
    "docs/guide/framework-containers.md",
    "docs/guide/modeltrainer.md",
    "docs/guide/moving.md",
    "docs/guide/processing.md",
    "docs/guide/script-mode.md",
    "docs/guide/settings.md",
    "docs/guide/several-hosts.md",
    "docs/guide/tuning.md",
    "docs/reference.md",
    "docs/releasing.md",
    ".github/ISSUE_TEMPLATE/bug_report.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn readme() -> (PathBuf, String) {
    (root().join("README.md"), document("README.md"))
}

fn table<R: AsRef<[String]>>(head: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    let mut lines = vec![format!("| {} |", head.join(" | ")), format!("|{}", "---|".repeat(head.len()))];
    lines.extend(rows.into_iter().map(|row| format!("| {} |", row.as_ref().join(" | "))));
    lines.join("\n") + "\n"
}

/// Returns the document with this table between `<!-- name -->` and `<!-- end -->`.
fn with_table(document: &str, name: &str, table: &str) -> String {
    let start = format!("<!-- {name} -->\n");
    let (before, rest) =
        document.split_once(&start).unwrap_or_else(|| panic!("there is no place for the table {name}"));
    let (_, after) = rest.split_once("<!-- end -->").expect("an end");
    format!("{before}{start}{table}<!-- end -->{after}")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Compares a document's tables with these, or rewrites them.
#[track_caller]
fn compare(name: &str, tables: &[(&str, String)]) {
    let text = document(name);
    let expected = tables.iter().fold(text.clone(), |text, (name, table)| with_table(&text, name, table));
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(root().join(name), expected).expect("written");
    } else {
        assert!(text == expected, "{name} is not up to date: run this test with UPDATE_README=1");
    }
}

#[test]
fn the_tables_of_the_reference_are_those_of_the_code() {
    let settings = table(
        &["setting", "variable", "values", "default", "what it does"],
        REGISTRY.iter().map(|setting| {
            let row = [
                code(setting.name),
                code(&setting.variable()),
                setting.values.into(),
                setting.default.into(),
                setting.meaning.into(),
            ];
            row.map(|cell: String| cell)
        }),
    );
    let variables = |list: &[registry::Variable]| {
        table(
            &["variable", "what it holds"],
            list.iter().map(|variable| [code(variable.name), variable.meaning.to_owned()]),
        )
    };
    let codes = table(
        &["code", "meaning"],
        EXIT_CODES.iter().map(|(code, meaning)| [(*code).to_owned(), (*meaning).to_owned()]),
    );
    let advice = table(
        &["kind", "said if", "remedy"],
        RULES.iter().map(|rule| [code(rule.kind), rule.when.to_owned(), rule.remedy.to_owned()]),
    );
    let launchers = table(
        &["launcher", "what it starts", "what the image needs"],
        launch::ENGINES.iter().map(|engine| [code(engine.name), engine.summary.to_owned(), engine.needs.to_owned()]),
    );
    compare(
        "docs/reference.md",
        &[
            ("launchers", launchers),
            ("settings", settings),
            ("toolkit variables", variables(&registry::toolkit_variables())),
            ("further variables", variables(&registry::added_variables())),
            ("processing variables", variables(&registry::processing_variables())),
            ("launch variables", variables(&launch::variables())),
            ("exit codes", codes),
            ("advice", advice),
        ],
    );
}

/// The cells of the first column of the table below this heading or line, without the backquotes.
fn first_column(text: &str, before: &str) -> Vec<String> {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("there is no {before:?}"));
    let lines = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cell = |line: &str| line.split('|').nth(1).unwrap_or_default().trim().trim_matches('`').to_owned();
    lines.skip(2).map(cell).collect()
}

#[test]
fn the_table_of_engines_is_that_of_the_code() {
    let choice = |engine: &launch::Engine| {
        let packages: Vec<&str> = engine.modules.iter().map(|module| module.package).collect();
        let install = (!packages.is_empty()).then(|| code(&format!("RUN pip install {}", packages.join(" "))));
        let lines = install.into_iter().chain([code(&format!("ENV FOOTPLATE_LAUNCHER={}", engine.name))]);
        let flags = engine.flags.iter().map(|flag| format!("or {}", code(&format!("sagemaker_{}", flag.name))));
        lines.chain(flags).collect::<Vec<_>>().join("<br>")
    };
    let engines = table(
        &["launcher", "Dockerfile, or a hyperparameter", "what the script contains"],
        launch::ENGINES.iter().map(|engine| [code(engine.name), choice(engine), engine.script.to_owned()]),
    );
    compare("README.md", &[("engines", engines)]);
}

#[test]
fn the_reference_says_which_launchers_wait_for_every_host() {
    let text = document("docs/reference.md");
    let (_, section) = text.split_once("\n## Several hosts\n").expect("the section");
    let rows: Vec<&str> = section.lines().skip_while(|line| !line.starts_with('|')).skip(2).collect();
    let rows: Vec<&str> = rows.into_iter().take_while(|line| line.starts_with('|')).collect();
    for engine in launch::ENGINES {
        let row = rows.iter().find(|row| row.split('|').nth(1).is_some_and(|cell| cell.contains(&code(engine.name))));
        let row = row.unwrap_or_else(|| panic!("there is no row for {engine}"));
        assert_eq!(row.contains("| when all hosts are ready |"), engine.needs_all_hosts, "{row}");
        assert_eq!(row.contains("| at once |"), !engine.spans_hosts, "{row}");
    }
}

#[test]
fn the_lists_of_benchmarks_are_complete() {
    let scripts: BTreeSet<String> = fs::read_dir(root().join("benches"))
        .expect("the folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.contains('.') && !name.starts_with('_'))
        .collect();
    let index: BTreeSet<String> = first_column(&document("benches/README.md"), "# Benchmarks").into_iter().collect();
    assert_eq!(index, scripts);
    let figures = first_column(&document("docs/benchmarks.md"), "# Benchmarks");
    let figures: BTreeSet<String> = figures.iter().map(|name| name.replace("benches/", "")).collect();
    assert_eq!(figures, scripts);
}

#[test]
fn the_readme_counts_the_recorded_runs() {
    let runs = |name: &str| document(&format!("tests/parity/{name}")).lines().count();
    let text = readme().1.replace('\n', " ");
    assert!(text.contains(&format!("{} recorded runs", runs("cases.jsonl"))), "{text}");
    assert!(text.contains(&format!("and {} of the", runs("cases-v3.jsonl"))), "{text}");
}

#[test]
fn the_documents_show_the_dockerfiles_of_the_examples() {
    let examples =
        document("docker/examples/script-mode/Dockerfile") + &document("docker/examples/baked-in/Dockerfile");
    let examples = examples.replace("${BASE_IMAGE}", "python:3.11-slim");
    for block in blocks(&readme().1, "dockerfile") {
        for line in block.lines() {
            assert!(examples.lines().any(|instruction| instruction == line), "no example has {line:?}");
        }
    }
    let guide = document("docs/guide/bring-your-own-container.md");
    let listed: BTreeSet<String> = first_column(&guide, "`docker/examples` has").into_iter().collect();
    let folders = fs::read_dir(root().join("docker/examples")).expect("the folder").flatten();
    assert_eq!(listed, folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect());
}

#[test]
fn the_reference_lists_the_keys_of_the_run_record() {
    let job = Job::python("print('ran')");
    job.train().succeeded();
    let record = job.read("output/data/footplate/algo-1/run.json").expect("the record");
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    let keys: Vec<&String> = record.as_object().expect("an object").keys().collect();
    let text = document("docs/reference.md");
    assert_eq!(first_column(&text, "## The run record").iter().collect::<Vec<_>>(), keys);
    assert!(text.contains(&format!("`{}`", record["schema"].as_str().expect("the schema"))), "the schema");
}

/// Returns the rows of the table below a text: the names in the first cell, and the names in the others.
fn names_of_rows(text: &str, before: &str) -> Vec<(BTreeSet<String>, BTreeSet<String>)> {
    let name = Regex::new("`([a-z_]+)`").expect("a pattern");
    let names = |text: &str| name.captures_iter(text).map(|found| found[1].to_owned()).collect();
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("there is no {before:?}"));
    let lines = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let (_, cells) = line.split_once('|').expect("a row");
        let (key, content) = cells.split_once('|').expect("two cells");
        (names(key), names(content))
    };
    lines.skip(2).map(row).collect()
}

/// Returns the keys of an object and of all objects in it.
fn keys_within(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(object) => {
            object.iter().flat_map(|(key, value)| keys_within(value).into_iter().chain([key.clone()])).collect()
        }
        Value::Array(items) => items.iter().flat_map(keys_within).collect(),
        _ => BTreeSet::new(),
    }
}

/// Checks that a table describes the keys of an object and those of the objects in it.
#[track_caller]
fn describes(rows: &[(BTreeSet<String>, BTreeSet<String>)], object: &Value) {
    for (key, value) in object.as_object().expect("an object") {
        // A text can stand in the row of the value that it replaces.
        let of_key = rows.iter().find(|(names, _)| names.contains(key));
        let row = of_key.or(rows.iter().find(|(_, content)| content.contains(key)));
        let (_, content) = row.unwrap_or_else(|| panic!("{key} is not in the table"));
        let inner = match (key.as_str(), value) {
            // The names of metrics and of hyperparameters are the user's.
            ("metrics", Value::Object(metrics)) => metrics.values().flat_map(keys_within).collect(),
            ("job", _) => value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect(),
            ("failure", Value::Object(parts)) => {
                parts.iter().filter(|(part, _)| *part != "evidence").map(|(part, _)| part.clone()).collect()
            }
            _ => keys_within(value),
        };
        let unknown: Vec<&String> = inner.iter().filter(|key| !content.contains(*key)).collect();
        assert!(unknown.is_empty(), "the row of {key} lacks {unknown:?}");
    }
}

#[test]
fn the_reference_describes_each_file_of_a_host_and_each_key_in_it() {
    let script = r#"
import os, sys, time
folder = os.environ["SM_OUTPUT_DATA_DIR"] + "/footplate/" + os.environ["SM_CURRENT_HOST"]
if os.environ["FOOTPLATE_ATTEMPT"] == "0":
    sys.exit("unlucky")
print("step=1 loss=0.5\nstep=2 loss=nan", flush=True)
open(os.environ["SM_CHECKPOINT_DIR"] + "/step-1-" + os.environ["RANK"], "w").write("x")
open(os.environ["TORCH_NCCL_DEBUG_INFO_TEMP_FILE"] + os.environ["RANK"], "w").write("x")
while os.environ["UNTIL"] not in open(folder + "/resources.jsonl").read():
    print("waits", flush=True)
    time.sleep(0.1)
time.sleep(600)
"#;
    let hosts = Hosts::new(2, script)
        .ranks(2)
        .variable("FOOTPLATE_HANG_TIMEOUT", "3")
        .variable("FOOTPLATE_MAX_RESTARTS", "1")
        .variable("FOOTPLATE_RESOURCE_INTERVAL", "0.1")
        .variable("FOOTPLATE_METRICS", "metrics.json")
        .variable("FOOTPLATE_GRACE_PERIOD", "5")
        .variable("TORCH_NCCL_TRACE_BUFFER_SIZE", "2000");
    let neuron = r#"{"neuron_runtime_data":[{"pid":11,"error":"","report":{"neuroncore_counters":{"neuroncores_in_use":{"0":{"neuroncore_utilization":42.25}}},"memory_used":{"neuron_runtime_used_bytes":{"host":1000,"neuron_device":5000}}}}]}"#;
    let smi = "#!/bin/sh\n[ \"$1\" = --list-gpus ] && { echo 'GPU 0: NVIDIA A10G'; exit 0; }\nwhile :; do\n\
               echo '0, 92, 12, 1024, 23028, 290.00, 300.00, 44, 1200, 1710, 0x0000000000000004, 0, NVIDIA A10G'\nsleep 0.1\ndone\n";
    let jobs = (1..).zip(hosts.jobs).map(|(n, job)| {
        let job = job
            .file("code/metrics.json", r#"[{"Name": "loss", "Regex": "loss=(\\S+)"}]"#)
            .file("checkpoints/step-0", "x")
            .file("traces/old", "")
            .hyperparameters(r#"{"lr": "0.1", "_tuning_objective_metric": "los"}"#);
        // The first host has a GPU, and the second has Neuron cores.
        let job = if n == 1 {
            with_program(job, "nvidia-smi", smi).variable("FOOTPLATE_GPUS", "1").variable("UNTIL", "gpus")
        } else {
            let job = with_program(job, "neuron-ls", "#!/bin/sh\necho '[{\"nc_count\": 2}]'\n");
            let monitor = format!("#!/bin/sh\nwhile :; do echo '{neuron}'; sleep 0.1; done\n");
            with_program(job, "neuron-monitor", &monitor).variable("UNTIL", "neuron")
        };
        let traces = job.path("traces/trace_").display().to_string();
        job.variable("TORCH_NCCL_DEBUG_INFO_TEMP_FILE", &traces)
    });
    let hosts = Hosts { jobs: jobs.collect() };
    for ended in hosts.train() {
        assert_eq!(ended.code(), 124, "{ended:#?}");
    }
    let text = document("docs/reference.md");
    let paths = first_column(&text, "## Files that footplate writes");
    let of_record = names_of_rows(&text, "## The run record");
    let of_values = names_of_rows(&text, "`output/data/footplate/<host>/metrics.jsonl` has a line for each value:");
    let of_samples = names_of_rows(&text, "## Resources\n");
    for (n, kind, inner) in [(1, "gpus", "slowed"), (2, "neuron", "host_memory_used")] {
        let folder = hosts.jobs[n - 1].path(&format!("output/data/footplate/algo-{n}"));
        for entry in fs::read_dir(&folder).expect("files").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let end = if entry.path().is_dir() { "/" } else { "" };
            let path = format!("output/data/footplate/<host>/{name}{end}");
            assert!(paths.contains(&path), "{path} is not among the files");
        }
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = |name: &str| -> Vec<Value> {
            read(name).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
        };
        let record: Value = serde_json::from_str(&read("run.json")).expect("JSON");
        for key in
            ["attempts", "ranks", "peers", "stop", "checkpoints", "metrics", "tuning", "resources", "failure", "hang"]
        {
            assert!(!keys_within(&record[key]).is_empty(), "{key} is empty: {record:#}");
        }
        describes(&of_record, &record);
        let values = lines("metrics.jsonl");
        assert!(values.iter().any(|value| value["text"].is_string()), "{values:?}");
        values.iter().for_each(|value| describes(&of_values, value));
        let samples = lines("resources.jsonl");
        assert!(samples.iter().any(|sample| keys_within(&sample[kind]).contains(inner)), "{kind} {samples:?}");
        samples[1..].iter().for_each(|sample| describes(&of_samples, sample));
        for key in samples[0].as_object().expect("the first line").keys() {
            assert!(text.contains(&format!("the\n`{key}`")) || text.contains(&format!("the `{key}`")), "{key}");
        }
    }
    // The logs of services are written by `services`.
    assert!(paths.contains(&"output/data/footplate/<host>/<service>.log".to_owned()));
}

/// The anchor that a heading gets: lower-case letters, digits, and hyphens for blanks.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_link_leads_to_a_file_or_a_heading() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
    let mut seen = 0;
    for name in DOCUMENTS {
        let text = document(name);
        for target in link.captures_iter(&text).map(|found| found[1].to_owned()) {
            if target.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (path, heading) = target.split_once('#').map_or((target.as_str(), None), |(p, h)| (p, Some(h)));
            let path = match path {
                "" => root().join(name),
                path => root().join(name).parent().expect("a folder").join(path),
            };
            assert!(path.exists(), "{name}: {target}");
            if let Some(heading) = heading {
                let text = fs::read_to_string(&path).expect("a text");
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|line| anchor(line.trim_start_matches('#').trim()) == heading);
                assert!(found, "{name}: {target}");
            }
        }
    }
    assert!(seen > 20, "the links were not seen");
}

#[test]
fn every_path_that_the_documents_name_exists() {
    // In backquotes, and below one of the repository's folders; `{a,b}` stands for several.
    let path = Regex::new(r"`((?:src|tests|docs|benches|docker|examples|fuzz|\.ci|\.config)/[A-Za-z0-9_./{},-]*)`")
        .expect("a pattern");
    let mut seen = 0;
    for name in DOCUMENTS {
        for found in path.captures_iter(&document(name)) {
            for path in braces(&found[1]) {
                seen += 1;
                assert!(root().join(&path).exists(), "{name} names {path}");
            }
        }
    }
    assert!(seen > 40, "the paths were not seen");
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let name = Regex::new(r"`([a-z0-9]+(?:_[a-z0-9]+){4,})`").expect("a pattern");
    let mut sources = String::new();
    let mut folders = vec![root().join("src"), root().join("tests/it")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &fs::read_to_string(&path).expect("a text");
            }
        }
    }
    let text = document("CONTRIBUTING.md");
    let named: BTreeSet<&str> = name.captures_iter(&text).map(|found| found.get(1).expect("a name").as_str()).collect();
    assert!(named.len() > 4, "the tests were not seen");
    for test in named {
        assert!(sources.contains(&format!("fn {test}(")), "there is no test {test}");
    }
}

#[test]
fn the_architectures_folders_stand_in_the_order_of_lib_rs() {
    let text = document("src/lib.rs");
    let (_, section) = text.split_once("# Who may import whom").expect("the section");
    let order: String = section.lines().filter(|line| line.contains('→')).collect();
    let folder = Regex::new("`([a-z_]+)`").expect("a pattern");
    let order: Vec<String> = folder.captures_iter(&order).map(|found| format!("src/{}", &found[1])).collect();
    assert_eq!(first_column(&document("ARCHITECTURE.md"), "## Folders"), order);
}

/// Expands one pair of braces as a shell does: `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn braces(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let (inside, after) = rest.split_once('}').expect("a closing brace");
    inside.split(',').map(|part| format!("{before}{part}{after}")).collect()
}

#[test]
fn the_documents_commands_exist() {
    let mut benchmarks = BTreeSet::new();
    let mut seen = 0;
    // guide.rs runs those of the guide.
    let is_elsewhere = |name: &str| name == "README.md" || name.starts_with("docs/guide/");
    for name in DOCUMENTS.into_iter().filter(|name| !is_elsewhere(name)) {
        for line in blocks(&document(name), "sh").into_iter().flat_map(str::lines) {
            let line = line.split(" #").next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().skip_while(|word| word.contains("=1")).collect();
            seen += 1;
            match words[..] {
                [] => {}
                ["cargo", "build" | "check" | "clippy" | "fmt" | "nextest" | "doc", ..] => {}
                // The test docker::the_dockerfile_builds runs it.
                ["docker", "build", "-f", "docker/Dockerfile", ..] => {}
                ["footplate", command, ..] => {
                    let help = Command::new(FOOTPLATE).args([command, "--help"]).output().expect("it runs");
                    assert!(help.status.success(), "{name}: {line}");
                }
                [script, ..] => {
                    assert!(root().join(script).is_file(), "{name}: nothing is known of {line:?}");
                    if script.starts_with("benches/") {
                        benchmarks.insert(script.to_owned());
                    }
                }
            }
        }
    }
    assert!(seen > 8, "the commands were not seen");
    for script in benchmarks {
        let help = Command::new(root().join(&script)).arg("--help").env("PYTHONDONTWRITEBYTECODE", "1").output();
        let help = help.expect("it runs");
        assert!(help.status.success(), "{script}: {}", String::from_utf8_lossy(&help.stderr));
    }
}

/// The fenced blocks of a language, without the indentation of a list.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let start = format!("```{language}\n");
    text.split(&start).skip(1).map(|rest| rest.split("```").next().expect("a block")).collect()
}

#[test]
fn its_failure_text_is_what_the_script_that_it_shows_leaves() {
    let (_, text) = readme();
    let (script, shown) = (blocks(&text, "python")[0], blocks(&text, "text")[0]);
    let job = Job::python(script).hyperparameters(r#"{"lr": "0.1"}"#);
    let ended = job.train();
    let python = PathBuf::from(search_path().split(':').next().expect("a folder")).join("python3");
    let found = ended.failure().replace(&python.display().to_string(), "/usr/bin/python3");
    assert_eq!(found, shown.trim_end(), "{ended:#?}");
}

#[test]
fn its_commands_run() {
    let (_, text) = readme();
    for block in blocks(&text, "sh") {
        match block.trim() {
            // The command that runs this test.
            "tests/run" => assert!(root().join("tests/run").exists()),
            "examples/run" => {
                let mut example = Command::new(root().join("examples/run"));
                // Only .ci/full builds a release for it.
                if !is_full() {
                    example.env("FOOTPLATE", FOOTPLATE).env("FOOTPLATE_UV", kept::uv());
                }
                let output = example.output().expect("it runs");
                let (stdout, stderr) =
                    (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
                assert!(output.status.success(), "{stdout}{stderr}");
                assert!(stdout.contains("accuracy = 0.9") && stdout.contains("model.joblib"), "{stdout}{stderr}");
            }
            command => {
                // The tests' image stands for the reader's.
                let has_image = command.contains("--image my-image");
                if has_image && !images::usable() {
                    continue;
                }
                let image = if has_image { images::debian("bookworm") } else { "" };
                let command = command.replace("my-image", image);
                let words: Vec<&str> = command.split_whitespace().collect();
                let ("footplate", arguments) = words.split_first().map(|(name, rest)| (*name, rest)).expect("words")
                else {
                    panic!("nothing runs the README's command {command:?}");
                };
                let folder = tempfile::tempdir().expect("a folder");
                fs::create_dir_all(folder.path().join("src")).expect("a folder");
                fs::create_dir_all(folder.path().join("data")).expect("a folder");
                let script = "import os, sys; assert os.path.isdir(os.environ['SM_CHANNEL_TRAINING']); print(sys.argv)";
                fs::write(folder.path().join("src/train.py"), script).expect("written");
                let mut footplate = Command::new(FOOTPLATE);
                let output = footplate
                    .args(arguments)
                    .current_dir(folder.path())
                    .env("PATH", search_path())
                    .output()
                    .expect("it runs");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                assert!(folder.path().join("out/model.tar.gz").exists());
            }
        }
    }
}
