//! The command of a processing job: the script that it runs, its Python and its arguments, or a program of the image.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Prepared;
use super::context::ProcessingCommand;
use super::entry::{is_named_script, script_of};
use crate::job::python::Text;
use crate::job::{Job, Variables};
use crate::machine::which;

/// Makes the command the entry of the job.
pub fn apply(command: &ProcessingCommand, variables: &Variables, prepared: &mut Prepared) {
    let Job { processing, request, .. } = &mut prepared.job;
    let Some(processing) = processing else { return };
    processing.working_dir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let words = &command.words;
    let path = variables.get_os("PATH");
    let arguments = |words: &[OsString]| Some(words.iter().map(|word| Text::of_system(word.as_bytes())).collect());
    let first = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    if is_python(&first) {
        processing.python = which(&first, path).found();
    }
    let second = words.get(1).map(|word| word.to_string_lossy()).unwrap_or_default();
    if command.may_be_script && (words.is_empty() || first.starts_with('-')) {
        request.arguments = arguments(words);
    } else if command.may_be_script && is_script(&first, path) {
        request.program = Some(first.into_owned());
        request.arguments = arguments(&words[1..]);
    } else if processing.python.is_some() && second.ends_with(".py") && !second.starts_with('-') {
        request.program = Some(second.into_owned());
        request.arguments = arguments(&words[2..]);
    } else {
        request.program = None;
        processing.command = words.iter().map(|word| Text::of_system(word.as_bytes())).collect();
    }
    locate(&mut prepared.job);
}

/// Finds the folder of the script, once the code has been brought.
pub(super) fn locate(job: &mut Job) {
    let supplied = job.paths.code();
    let Some(processing) = &mut job.processing else { return };
    let script = match (&job.request.program, script_of(processing)) {
        (Some(program), _) => Some(program.clone()),
        (None, script) => script,
    };
    let script = script.map(|name| processing.working_dir.join(name));
    processing.code_dir = match script {
        // The requirements can be beside the script or at the top of the code.
        Some(path) if path.starts_with(&supplied) => {
            let folder = path.parent().unwrap_or(&supplied);
            let is_own = has_requirements(folder) && !has_requirements(&supplied);
            if is_own { folder.to_owned() } else { supplied }
        }
        Some(path) if path.exists() => path.parent().map(Path::to_owned).unwrap_or(supplied),
        None if !supplied.is_dir() => processing.working_dir.clone(),
        _ => supplied,
    };
}

fn has_requirements(folder: &Path) -> bool {
    folder.join("requirements.txt").is_file()
}

/// Returns true if the first word of a command is a script and not a program of the image.
fn is_script(name: &str, path: Option<&OsStr>) -> bool {
    is_named_script(name) || which(name, path).found().is_none()
}

/// Returns true if a program's name is that of a Python: `python`, `/usr/bin/python3.11`.
fn is_python(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or_default();
    name.strip_prefix("python").is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}
