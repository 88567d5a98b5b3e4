//! Searching for modules in the image's Python.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Prepared;
use crate::job::Variables;
use crate::launch::{self, Engine};
use crate::machine;
use crate::prepare::code::interpreter;

/// The time limit for Python to search for modules. The first start from a cold disk takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Python program that prints which of the modules in its arguments exist, without importing them.
const LOOK: &str = "import sys; from importlib.util import find_spec; \
                    print('found', *(name for name in sys.argv[1:] if find_spec(name)))";

/// Returns the modules among `names` that a Python has. `None` if Python does not answer. Blocks while Python
/// searches.
fn present(python: &Path, names: &[&'static str], code_dir: &Path) -> Option<Vec<&'static str>> {
    let mut command = Command::new(python);
    command.args(["-c", LOOK]).args(names);
    if code_dir.is_dir() {
        // The script's own folder is the first place from which Python imports.
        command.current_dir(code_dir);
    }
    let answer = machine::run_tool(&mut command, PATIENCE).ok()?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let found = text.lines().rev().find_map(|line| line.strip_prefix("found"))?;
    let found: Vec<&str> = found.split_whitespace().collect();
    Some(names.iter().copied().filter(|name| found.contains(name)).collect())
}

/// Returns the problem if a Python has none of the modules of which the engine needs one. If Python does not answer,
/// no problem is reported, because the script will show it. Blocks while Python searches.
pub fn missing_module(engine: &Engine, python: Option<&Path>, code_dir: &Path) -> Option<String> {
    if engine.modules.is_empty() {
        return None;
    }
    let names: Vec<&str> = engine.modules.iter().map(|module| module.name).collect();
    let packages: Vec<&str> = engine.modules.iter().map(|module| module.package).collect();
    let (name, package) = (names.join(" or "), packages.join(" or "));
    let remedy = format!(
        "install {package} in the image, or name it in the job's requirements.txt, or set FOOTPLATE_LAUNCHER to another launcher"
    );
    let Some(python) = python else {
        return Some(format!("the launcher {engine} needs Python with the module {name}: {remedy}"));
    };
    present(python, &names, code_dir)?.is_empty().then(|| {
        let python = python.display();
        format!("the launcher {engine} needs the Python module {name}, which {python} does not have: {remedy}")
    })
}

/// Finds the modules of the image's Python that decide the choice of the launcher, if the choice depends on any.
/// Blocks while Python searches.
pub fn find_frameworks(prepared: &mut Prepared, variables: &Variables) {
    let Prepared { job, settings, .. } = prepared;
    let names = launch::undecided(job, settings);
    if names.is_empty() {
        return;
    }
    let variable = |name: &str| variables.get(name).map(|value| value.into_owned());
    let python = interpreter::find(settings.python.as_deref(), &job.code_dir(), variable).ok();
    let found = python.and_then(|python| present(&python.path, &names, &job.code_dir()));
    job.frameworks = Some(found.unwrap_or_default());
}
