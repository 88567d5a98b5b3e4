//! The entry of a job: a file of its code, a function of the image, or a command.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Outcome, Refusal};
use crate::job::python::Text;
use crate::job::{Job, ProcessingJob, Variables};
use crate::launch::Entry;
use crate::machine::{Lookup, which};
use crate::prepare::code::{EntryError, EntryKind, EntryPoint, Runner};

/// The file name endings of scripts.
const SCRIPT_ENDINGS: [&str; 2] = [".py", ".sh"];

/// Returns the entry of the job and, for a file, its entry point.
///
/// # Errors
/// The job names no entry point, or one that does not exist.
pub fn entry_of(job: &Job, variables: &Variables) -> Result<(Entry, Option<EntryPoint>), Outcome> {
    if let Some(processing) = &job.processing {
        return of_processing(job, processing, variables);
    }
    if let Some(module) = &job.request.training_module {
        return match module.split_once(':') {
            Some((module, function)) if !module.is_empty() && !function.is_empty() => {
                let working_dir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
                let (module, function) = (module.to_owned(), function.to_owned());
                Ok((Entry::Function { module, function, working_dir }, None))
            }
            _ => Err(Outcome::refused(
                Refusal::Configuration,
                format!(
                    "SAGEMAKER_TRAINING_MODULE is {module:?}, but must be module:function, such as my_package.training:main"
                ),
            )),
        };
    }
    if let (true, Some(command)) =
        (job.runs_as_drivers(), job.drivers.as_ref().and_then(|drivers| drivers.command.clone()))
    {
        return Ok((Entry::ShellCommand(command), None));
    }
    let Some(name) = job.entry_name() else {
        return Err(Outcome::refused(
            Refusal::Configuration,
            "no entry point is named: set the variable SAGEMAKER_PROGRAM in the image, or the hyperparameter \
             sagemaker_program of the job, to a script such as train.py",
        ));
    };
    let with_working_dir = |error: EntryError| match std::env::current_dir() {
        Ok(folder) => error.with_working_dir(&folder),
        Err(_) => error,
    };
    let found = EntryPoint::find(&job.code_dir(), name).map_err(with_working_dir);
    let point = found.map_err(refused)?;
    Ok((of_file(&point), Some(point)))
}

/// Returns an entry point in the form that launchers use, before its runner is known.
fn of_file(point: &EntryPoint) -> Entry {
    let (kind, name, module) = (point.kind(), point.name().to_owned(), point.module());
    Entry::File { kind, name, module, runner: Runner::Kernel }
}

/// Returns the outcome for an entry point that cannot be run.
fn refused(error: EntryError) -> Outcome {
    let refusal = match error {
        EntryError::NotAFile { .. } | EntryError::NotAProgram { .. } | EntryError::Unreadable { .. } => {
            Refusal::NotExecutable
        }
        EntryError::Name { .. } => Refusal::Configuration,
        EntryError::Outside { .. }
        | EntryError::NoCode { .. }
        | EntryError::NotFound { .. }
        | EntryError::NoInterpreter { .. }
        | EntryError::WindowsLineEnds { .. } => Refusal::NotFound,
    };
    Outcome::refused(refusal, error)
}

/// Determines the program that runs a file that Python does not run. `is_executable` is true if the kernel may execute
/// the file.
///
/// # Errors
/// Nothing in the image can run the file.
pub fn find_runner(
    entry: &mut Entry,
    point: Option<&EntryPoint>,
    is_executable: bool,
    variables: &Variables,
    python: Option<&Path>,
) -> Result<(), Outcome> {
    if let (Some(point), Entry::File { runner, .. }) = (point, entry) {
        *runner = point.runner(is_executable, variables.get_os("PATH"), python).map_err(refused)?;
    }
    Ok(())
}

/// Returns true if the entry cannot run without Python.
pub fn needs_python(entry: &Entry) -> bool {
    let is_program = matches!(
        entry,
        Entry::File { kind: EntryKind::ShellScript | EntryKind::Executable, .. }
            | Entry::ShellCommand(_)
            | Entry::Command { .. }
    );
    !is_program
}

/// Returns the entry of a processing job.
///
/// # Errors
/// The job names neither a command nor a script, or one that does not exist.
fn of_processing(
    job: &Job,
    processing: &ProcessingJob,
    variables: &Variables,
) -> Result<(Entry, Option<EntryPoint>), Outcome> {
    let supplied = job.paths.code();
    if let Some(first) = processing.command.first() {
        let words: Vec<Vec<u8>> = processing.command.iter().map(Text::to_system).collect();
        let program = program(OsStr::from_bytes(&first.to_system()), variables)?;
        let script = script_of(processing).filter(|_| processing.python.is_some());
        let point = script.and_then(|name| EntryPoint::of_command(&processing.working_dir, &supplied, &name).ok());
        return Ok((Entry::Command { program, words }, point));
    }
    let Some(name) = &job.request.program else {
        return Err(Outcome::refused(
            Refusal::Configuration,
            "no script is named: give one to `footplate process`, such as `footplate process process.py`, or set the \
             variable SAGEMAKER_PROGRAM in the image",
        ));
    };
    let point = EntryPoint::of_command(&processing.working_dir, &supplied, name).map_err(refused)?;
    Ok((of_file(&point), Some(point)))
}

/// Finds the program of a command.
///
/// # Errors
/// There is no such program, or this user may not execute it.
pub(super) fn program(name: &OsStr, variables: &Variables) -> Result<PathBuf, Outcome> {
    let shown = name.to_string_lossy();
    match which(&shown, variables.get_os("PATH")) {
        Lookup::Found(path) => Ok(path),
        Lookup::NotExecutable(path) => {
            let message = format!("{}: may not be executed by this user (chmod +x it)", path.display());
            Err(Outcome::refused(Refusal::NotExecutable, message))
        }
        Lookup::Missing if shown.contains('/') => {
            if Path::new(name).is_dir() {
                return Err(Outcome::refused(Refusal::NotExecutable, format!("{shown}: is a folder")));
            }
            Err(Outcome::refused(Refusal::NotFound, format!("{shown}: not found")))
        }
        Lookup::Missing => Err(Outcome::refused(Refusal::NotFound, format!("{shown}: not found on PATH"))),
    }
}

/// Returns the word of a command that names a script, such as the one after `python3 -u`.
pub(super) fn script_of(processing: &ProcessingJob) -> Option<String> {
    let words = processing.command.iter().skip(1).map(|word| word.to_str().into_owned());
    words.filter(|word| is_named_script(word)).find(|word| processing.working_dir.join(word).is_file())
}

/// Returns true if the name of a file is that of a script.
pub(super) fn is_named_script(name: &str) -> bool {
    SCRIPT_ENDINGS.iter().any(|ending| name.ends_with(ending))
}
