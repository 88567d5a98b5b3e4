//! The input of a plan: the job, its settings, and the facts about the host and the image.

use std::path::{Path, PathBuf};

use super::error::LaunchError;
use super::image::Image;
use crate::job::settings::Settings;
use crate::job::{Job, Variables};
use crate::machine::Hardware;
use crate::prepare::code::{EntryKind, Runner};

/// The entry point of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file of the user's code.
    File {
        /// The kind of the file.
        kind: EntryKind,
        /// The file's path: absolute, or relative to the folder in which it runs.
        name: String,
        /// The name of the Python module, for `python -m`.
        module: String,
        /// The program that runs the file, unless Python does.
        runner: Runner,
    },
    /// A function of a module that the image has (SAGEMAKER_TRAINING_MODULE).
    Function {
        /// The module.
        module: String,
        /// The function.
        function: String,
        /// The working directory: that of the image, as for a function that sagemaker-training calls.
        working_dir: PathBuf,
    },
    /// A command for the shell (SDK version 3, `SourceCode.command`).
    ShellCommand(String),
    /// A command of a processing job that does not run a script.
    Command {
        /// The program.
        program: PathBuf,
        /// The command's words. The first one is the program's name as the user wrote it.
        words: Vec<Vec<u8>>,
    },
}

impl Entry {
    /// Returns the error of a launcher that runs Python scripts only.
    pub(super) fn refused_by(&self, launcher: &str) -> LaunchError {
        let script = "name a Python script as the entry point";
        LaunchError::new(match self {
            Entry::File { kind: EntryKind::PythonPackage, name, .. } => {
                format!("{launcher} cannot run {name}, which is a package to be installed: {script}")
            }
            Entry::File { kind: EntryKind::PythonModule, name, .. } => {
                format!("{launcher} cannot run the module {name}: {script}")
            }
            Entry::File { name, .. } => {
                format!("{launcher} cannot run {name}, which is no Python script: {script}, or start {launcher} in it")
            }
            Entry::Function { module, function, .. } => {
                format!("{launcher} cannot run the function {module}:{function}: {script}")
            }
            Entry::ShellCommand(_) => {
                format!("{launcher} cannot run a shell command: {script}, or start {launcher} in the command")
            }
            Entry::Command { program, .. } => format!(
                "{launcher} cannot run the command {}: give the Python script itself to `footplate process`, or start \
                 {launcher} in the command",
                program.display()
            ),
        })
    }
}

/// The input from which the plan of one host is made.
#[derive(Clone, Copy, Debug)]
pub struct LaunchInput<'a> {
    /// The job, as this host sees it.
    pub job: &'a Job,
    /// The settings.
    pub settings: &'a Settings,
    /// The variables that the container was given.
    pub variables: &'a Variables,
    /// The hardware of this host.
    pub hardware: &'a Hardware,
    /// The programs of the image.
    pub image: &'a Image,
    /// The entry point of the job.
    pub entry: &'a Entry,
    /// The arguments of the script.
    pub arguments: &'a [Vec<u8>],
    /// A secret that only the hosts of the job have, for engines whose services support one.
    pub token: &'a str,
}

impl LaunchInput<'_> {
    /// Returns the path of the Python interpreter.
    ///
    /// # Errors
    /// The image has no Python.
    pub(super) fn python(&self) -> Result<&Path, LaunchError> {
        self.image.python.as_deref().ok_or_else(|| {
            LaunchError::new("the image has no Python on PATH: install one, or name one in FOOTPLATE_PYTHON")
        })
    }
}

/// Returns a name for executing a file that is not searched for on PATH.
pub(super) fn executable(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("./{name}") }
}

/// Returns the words of a command as bytes.
pub(super) fn words<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Vec<Vec<u8>> {
    words.into_iter().map(|word| word.as_ref().to_vec()).collect()
}

/// Returns a path as bytes.
pub(super) fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}
