//! What the README shows is true: its tables come from the code, its commands run.
//!
//! `UPDATE_README=1` writes the tables anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use footplate::job::exit_code::EXIT_CODES;
use footplate::job::settings::REGISTRY;
use footplate::prepare::environment::registry;

use super::job::{FOOTPLATE, Job, search_path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> (PathBuf, String) {
    let path = root().join("README.md");
    let text = fs::read_to_string(&path).expect("the README");
    (path, text)
}

fn table<R: AsRef<[String]>>(head: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    let mut lines = vec![format!("| {} |", head.join(" | ")), format!("|{}", "---|".repeat(head.len()))];
    lines.extend(rows.into_iter().map(|row| format!("| {} |", row.as_ref().join(" | "))));
    lines.join("\n") + "\n"
}

/// The README with the table between `<!-- name -->` and `<!-- end -->` put in.
fn with_table(readme: &str, name: &str, table: &str) -> String {
    let start = format!("<!-- {name} -->\n");
    let (before, rest) = readme.split_once(&start).unwrap_or_else(|| panic!("the README has no place for {name}"));
    let (_, after) = rest.split_once("<!-- end -->").expect("an end");
    format!("{before}{start}{table}<!-- end -->{after}")
}

#[test]
fn its_tables_are_those_of_the_code() {
    let (path, text) = readme();
    let code = |text: &str| format!("`{text}`");
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
    let mut expected = text.clone();
    for (name, table) in [
        ("settings", settings),
        ("toolkit variables", variables(&registry::TOOLKIT)),
        ("further variables", variables(&registry::ADDITIONS)),
        ("launch variables", variables(&registry::LAUNCH)),
        ("exit codes", codes),
    ] {
        expected = with_table(&expected, name, &table);
    }
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(path, expected).expect("written");
    } else {
        assert!(text == expected, "the README's tables are not up to date: run this test with UPDATE_README=1");
    }
}

/// The fenced blocks of a language.
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
            // The very command that runs this test.
            "tests/run" => assert!(root().join("tests/run").exists()),
            "examples/run" => {
                let output = Command::new(root().join("examples/run")).output().expect("it runs");
                let (stdout, stderr) =
                    (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
                assert!(output.status.success(), "{stdout}{stderr}");
                assert!(stdout.contains("accuracy = 0.9") && stdout.contains("model.joblib"), "{stdout}{stderr}");
            }
            command => {
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
