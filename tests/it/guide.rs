//! The pages of docs/guide: each is followed to the letter, in a folder of its own.
//!
//! A block of Python or of a Dockerfile whose first line names a file is written to this file. A block of `sh` is run. Each line
//! of a block of `text` must then be in the output of that run; `…` in it stands for anything. The tests' own image stands for
//! python:3.11-slim, so that no registry is needed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;

use super::job::{FOOTPLATE, search_path, wait_with_output};
use super::{images, kept};

/// The pages that have tests below.
const PAGES: [&str; 12] = [
    "README",
    "bring-your-own-container",
    "faq",
    "failures",
    "framework-containers",
    "modeltrainer",
    "moving",
    "processing",
    "script-mode",
    "settings",
    "several-hosts",
    "tuning",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide")
}

/// An image that a page builds. It is removed when the value is dropped.
struct Built(String);

impl Drop for Built {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["image", "rm", &self.0]).output();
    }
}

/// Returns the fenced blocks of a page: their languages and contents.
fn blocks(page: &str) -> Vec<(String, String)> {
    let block = Regex::new(r"(?ms)^```([a-z]+)\n(.*?)^```$").expect("a pattern");
    block.captures_iter(page).map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
}

/// Returns the file that the first line of a block names.
fn file_of(block: &str) -> Option<&str> {
    let name = block.lines().next()?.strip_prefix("# ")?;
    (!name.contains(' ') && (name.contains('.') || name == "Dockerfile")).then_some(name)
}

/// Returns true if a line of the output has the parts of the expected line in their order.
fn is_shown(output: &str, expected: &str) -> bool {
    output.lines().any(|line| {
        let mut rest = line;
        expected.split('…').all(|part| match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    })
}

/// Follows a page. `path` has the programs of the page, before those of this machine.
fn follow(name: &str, path: Option<PathBuf>) {
    let page = fs::read_to_string(folder().join(format!("{name}.md"))).expect("the page");
    let needs_containers = page.contains("docker build -t") || page.contains("--image my-image");
    if needs_containers && !images::usable() {
        return;
    }
    let mut image = String::new();
    let mut built = None;
    if page.contains("docker build -t my-image") {
        image = format!("footplate-test/guide-{name}:{}", std::process::id());
        built = Some(Built(image.clone()));
    } else if needs_containers {
        image = images::debian("bookworm").to_owned();
    }
    let place = tempfile::tempdir().expect("a folder");
    let programs = tempfile::tempdir().expect("a folder");
    symlink(FOOTPLATE, programs.path().join("footplate")).expect("a link");
    let mut folders = vec![programs.path().to_owned()];
    folders.extend(path);
    folders.extend(std::env::split_paths(search_path()));
    let path = std::env::join_paths(folders).expect("a PATH");
    let (mut output, mut commands) = (String::new(), 0);
    for (language, block) in blocks(&page) {
        match (language.as_str(), file_of(&block)) {
            ("python" | "dockerfile", Some(file)) => {
                let file = place.path().join(file);
                fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
                let mut text = block;
                if language == "dockerfile" {
                    text = text.replace("python:3.11-slim", images::small_python());
                    text = text.replace("--from=footplate ", &format!("--from={} ", images::footplate()));
                }
                fs::write(file, text).expect("written");
            }
            ("python", None) => {
                let mut check = Command::new("python3");
                check.args(["-c", "import sys; compile(sys.argv[1], 'page', 'exec')", &block]).env("PATH", &path);
                images::run(&mut check);
            }
            ("sh", _) => {
                let script = block.replace("my-image", &image);
                let mut shell = Command::new("bash");
                shell.args(["-ec", &script]).current_dir(place.path()).env_clear().env("PATH", &path);
                shell.env("HOME", place.path()).env("LANG", "C.UTF-8").stdin(Stdio::null());
                let child = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bash starts");
                let ended = wait_with_output(child);
                output = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
                assert!(ended.status.success(), "{name}: {block}{output}");
                commands += 1;
            }
            ("text", _) => {
                for expected in block.lines().filter(|line| !line.is_empty()) {
                    assert!(is_shown(&output, expected), "{name}: {expected:?} is not shown:\n{output}");
                }
            }
            ("dockerfile", None) => {}
            (other, _) => panic!("{name}: nothing is known of blocks of {other:?}"),
        }
    }
    assert!(commands > 0, "{name}: no command was seen");
    drop(built);
}

#[test]
fn the_page_about_own_containers_is_true() {
    follow("bring-your-own-container", None);
}

#[test]
fn the_page_about_script_mode_is_true() {
    follow("script-mode", None);
}

#[test]
fn the_page_about_the_model_trainer_is_true() {
    follow("modeltrainer", None);
}

#[test]
fn the_page_about_framework_containers_is_true() {
    follow("framework-containers", None);
}

#[test]
fn the_page_about_several_hosts_is_true() {
    follow("several-hosts", None);
}

#[test]
fn the_page_about_failures_is_true() {
    follow("failures", None);
}

#[test]
fn the_page_about_moving_is_true() {
    follow("moving", None);
}

#[test]
fn the_page_about_processing_is_true() {
    follow("processing", None);
}

#[test]
fn the_page_about_tuning_is_true() {
    follow("tuning", Some(kept::environment(&["optuna==4.5.0"]).join("bin")));
}

#[test]
fn the_page_about_settings_is_true() {
    follow("settings", None);
}

#[test]
fn the_page_of_questions_is_true() {
    follow("faq", None);
}

#[test]
fn the_guide_lists_its_pages_and_each_is_tested() {
    let entries = fs::read_dir(folder()).expect("the folder").flatten();
    let names = entries.filter_map(|entry| Some(entry.path().file_stem()?.to_string_lossy().into_owned()));
    let names: BTreeSet<String> = names.collect();
    assert_eq!(names, PAGES.map(str::to_owned).into());
    let index = fs::read_to_string(folder().join("README.md")).expect("the index");
    for name in names.iter().filter(|name| *name != "README") {
        assert!(index.contains(&format!("]({name}.md)")), "the index has no {name}");
    }
    // The table of moved images names every one of them.
    let moving = fs::read_to_string(folder().join("moving.md")).expect("the page");
    for entry in fs::read_dir(folder().join("../../docker/moving")).expect("the folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(!entry.path().is_dir() || moving.contains(&format!("| `{name}` |")), "moving.md has no {name}");
    }
}

#[test]
fn what_a_page_shows_is_compared_with_gaps() {
    assert!(is_shown("a\nthe end of it\n", "the … it") && is_shown("a b", "a b"));
    assert!(!is_shown("it the", "the … it") && !is_shown("a\nb", "a b"));
}
