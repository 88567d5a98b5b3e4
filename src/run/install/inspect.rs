//! The facts about the image that an installation depends on: its uv, its Python, and pip's settings.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::machine::{self, ToolError};
use crate::prepare::requirements::{PipSettings, PythonEnvironment, inspection_command};
use crate::run::context::Context;
use crate::run::live::Live;
use crate::run::{Outcome, Refusal};
use crate::supervise::{self, Interrupted};
use crate::system::files;

/// The time limit for Python to report on itself. The first start from a cold disk takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the uv that the setting names, else the one on `PATH` or beside Python; `None` if the image has no uv.
///
/// # Errors
///
/// The setting names a uv that cannot be executed.
pub(super) fn find_uv(context: &Context, named: Option<&str>, python: &Path) -> Result<Option<PathBuf>, Outcome> {
    let which = |name: &str| machine::which(name, context.variables.get_os("PATH")).found();
    let Some(name) = named else {
        let beside_python = || which(&python.parent()?.join("uv").to_string_lossy());
        return Ok(which("uv").or_else(beside_python));
    };
    let missing = || {
        let message =
            format!("FOOTPLATE_UV is {name:?}, which is not an executable; set it to a path or a name on PATH");
        Outcome::refused(Refusal::NotFound, message)
    };
    which(name).map(Some).ok_or_else(missing)
}

/// Runs Python to report on its environment and, if `pyproject` is given, on the dependencies in this pyproject.toml.
///
/// If Python fails although no pyproject.toml is given, it counts as one without packages. The installer then runs
/// and reports the error.
///
/// # Errors
///
/// The outcome of the job if Python cannot be started, does not end or cannot read the pyproject.toml, or if the job
/// was stopped.
pub(super) async fn inspect_python(
    live: &mut Live,
    python: &Path,
    code_dir: &Path,
    pyproject: Option<&Path>,
) -> Result<PythonEnvironment, Outcome> {
    let arguments = inspection_command(python, pyproject);
    let mut command = Command::new(python);
    command.args(&arguments[1..]).current_dir(code_dir);
    let output = live.supervisor.interruptible(move || machine::run_tool(&mut command, PATIENCE)).await;
    if output.is_err() {
        supervise::kill_descendants();
    }
    let reason = match output? {
        Ok(output) if output.status.success() => {
            return Ok(PythonEnvironment::parse(&String::from_utf8_lossy(&output.stdout)));
        }
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            text.lines().last().unwrap_or("it printed no error").to_owned()
        }
        Err(ToolError::NotStarted(error)) => {
            let message = format!("cannot start {}: {error}", python.display());
            return Err(Outcome::refused(Refusal::NotExecutable, message));
        }
        // No installer could run with this Python.
        Err(error) => {
            let message = format!("{} cannot be used: asked about its packages, {error}", python.display());
            return Err(Outcome::refused(Refusal::NotExecutable, message));
        }
    };
    if let Some(path) = pyproject {
        let message = format!("{} cannot be read with {}: {reason}", path.display(), python.display());
        return Err(Outcome::refused(Refusal::NotFound, message));
    }
    tracing::debug!("requirements: {} cannot report its packages: {reason}", python.display());
    Ok(PythonEnvironment::default())
}

/// Waits until no other footplate installs into this Python: Several hosts on one machine can share it. The lock is
/// on the folder `prefix` itself, and lasts until the returned file is dropped. `None` if the folder cannot be
/// locked, for example because its file system has no locks. The installation then continues without a lock.
pub(super) async fn lock_environment(live: &mut Live, prefix: &Path) -> Result<Option<File>, Interrupted> {
    let Ok(folder) = File::open(prefix) else { return Ok(None) };
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => {
            tracing::info!("requirements: another host installs into {}: waiting until it is done", prefix.display());
            live.supervisor.interruptible(move || folder.lock().ok().map(|()| folder)).await
        }
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Reads pip's settings from the files and variables that pip itself would read.
///
/// # Errors
///
/// One of the files is a FIFO or something similar, for which pip would wait for ever.
pub(super) fn pip_settings(context: &Context, environment: &PythonEnvironment) -> Result<PipSettings, Outcome> {
    let variable = |name: &str| context.variables.get_non_empty(name).map(|value| value.into_owned());
    let paths = match variable("PIP_CONFIG_FILE").as_deref() {
        Some("/dev/null") => Vec::new(),
        _ => PipSettings::paths(&environment.prefix, variable),
    };
    let mut texts = Vec::new();
    for path in paths {
        match files::text(&path, files::TEXT_SIZE) {
            Ok(text) => texts.push(text),
            Err(error) if files::is_dangerous(&error) => {
                let message = format!("pip's settings {} cannot be read: {error}", path.display());
                return Err(Outcome::refused(Refusal::NotFound, message));
            }
            // pip ignores such a file too.
            Err(_) => {}
        }
    }
    Ok(PipSettings::read(texts.iter().map(String::as_str), context.variables.texts()))
}
