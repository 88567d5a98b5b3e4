//! The facts that hold for a whole run of footplate.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::failure::OutputFiles;
use crate::job::config;
use crate::job::{Paths, Variables};

/// The variable that marks the command of a job of SDK version 3, and the function of a framework, as part of a
/// running job.
pub(super) const IN_COMMAND: &str = "FOOTPLATE_IN_COMMAND";

/// The options of the command line for a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Settings given as `--set name=value`.
    pub settings: Vec<(String, String)>,
    /// The entry point that a framework of the image states, if this run is for one.
    pub(super) call: Option<EntryPointCall>,
    /// The command of a processing job, if this run is one.
    pub(super) command: Option<ProcessingCommand>,
}

impl Options {
    /// Returns the options of a run whose command line has these settings.
    pub fn of_settings(settings: Vec<(String, String)>) -> Options {
        Options { settings, ..Options::default() }
    }
}

/// An entry point as a framework states it.
#[derive(Clone, Debug, Default)]
pub struct EntryPointCall {
    /// The source of the code.
    pub uri: String,
    /// The entry point.
    pub program: String,
    /// The launcher, unless a setting names another one.
    pub launcher: String,
    /// Framework parameters that replace the job's, such as `sagemaker_mpi_num_processes`.
    pub parameters: Vec<(String, String)>,
    /// The arguments of the entry point.
    pub arguments: Vec<String>,
    /// The file for the report.
    pub report: Option<PathBuf>,
}

/// The command of a processing job, as the command line states it.
#[derive(Clone, Debug, Default)]
pub struct ProcessingCommand {
    /// The words. If there are none or only options, they are arguments of the script in SAGEMAKER_PROGRAM.
    pub words: Vec<OsString>,
    /// True if the first word can name a script, which need not be executable (`footplate process`); false if it names a program
    /// (`footplate exec`).
    pub may_be_script: bool,
}

/// The runs that leave a success or a failure file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeavesFiles {
    /// Every run does.
    Always,
    /// Only a run in a container with a base folder does. Otherwise nothing reads the files, and /opt/ml must not be
    /// created for them.
    InBaseFolder,
    /// No run does, because its caller is told how it ended.
    Never,
}

/// The facts that hold for a whole run. They never change.
#[derive(Debug)]
pub(super) struct Context {
    /// The variables of the container.
    pub(super) variables: Variables,
    /// The folders of the job.
    pub(super) paths: Paths,
    /// The options of the command line.
    pub(super) options: Options,
    /// True if the run leaves a success or a failure file.
    pub(super) leaves_files: bool,
    /// The success and the failure file.
    pub(super) files: OutputFiles,
}

impl Context {
    /// Makes the context from the variables of this process.
    pub(super) fn read(options: Options, leaves: LeavesFiles) -> Context {
        let variables = Variables::of_this_process();
        let paths = match &options.command {
            Some(_) => config::base_paths(&variables).of_processing(),
            None => config::paths_here(&variables),
        };
        let leaves_files = match leaves {
            LeavesFiles::Always => true,
            LeavesFiles::InBaseFolder => paths.base().exists(),
            LeavesFiles::Never => false,
        };
        let files = OutputFiles::new(paths.failure(), paths.success());
        Context { variables, paths, options, leaves_files, files }
    }

    /// Returns true if another footplate runs the job that this one is a part of. The other footplate keeps the
    /// record, uploads intermediate output and writes the failure file.
    pub(super) fn is_within_job(&self) -> bool {
        self.variables.get(IN_COMMAND).is_some()
    }
}
