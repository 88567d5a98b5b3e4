//! The look for a module of the image's Python.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::launch::Engine;
use crate::machine;

/// The time that Python may take to look for a module. The first start from a cold disk takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The exit code of [`LOOK`] if there is no such module. Python itself ends with other codes.
const ABSENT: i32 = 23;

/// A Python program that looks for the module that its argument names, without importing it.
const LOOK: &str = "import importlib.util, sys; sys.exit(0 if importlib.util.find_spec(sys.argv[1]) else 23)";

/// Returns the problem if a Python lacks the module that the engine needs. A Python that does not answer has no problem here:
/// the script will show it. Blocks while Python looks.
pub fn missing_module(engine: &Engine, python: Option<&Path>, code_dir: &Path) -> Option<String> {
    let module = engine.module?;
    let remedy = format!(
        "install {0} in the image, or name it in the job's requirements.txt, or set FOOTPLATE_LAUNCHER to another launcher",
        module.package
    );
    let Some(python) = python else {
        return Some(format!("the launcher {engine} needs Python with the module {}: {remedy}", module.name));
    };
    let mut command = Command::new(python);
    command.args(["-c", LOOK, module.name]);
    if code_dir.is_dir() {
        // The script's own folder is the first from which Python imports.
        command.current_dir(code_dir);
    }
    let answer = machine::ask(&mut command, PATIENCE).ok()?;
    (answer.status.code() == Some(ABSENT)).then(|| {
        let python = python.display();
        format!("the launcher {engine} needs the Python module {}, which {python} does not have: {remedy}", module.name)
    })
}
