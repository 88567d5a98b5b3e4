//! The facts that hold for a whole run of footplate.

use crate::failure::OutputFiles;
use crate::job::config;
use crate::job::{Paths, Variables};

/// The variable that is set around the command of a job of SDK version 3.
pub(super) const IN_COMMAND: &str = "FOOTPLATE_IN_COMMAND";

/// The options of the command line for a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Settings given as `--set name=value`.
    pub settings: Vec<(String, String)>,
}

/// The runs that leave a success or a failure file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeavesFiles {
    /// Every run does.
    Always,
    /// Only a run in a container with a base folder does: elsewhere nobody reads the files, and /opt/ml is not to be made for
    /// them.
    InBaseFolder,
}

/// The facts that hold for a whole run. Nothing changes them.
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
    /// Reads the variables.
    pub(super) fn read(options: Options, leaves: LeavesFiles) -> Context {
        let variables = Variables::of_this_process();
        let paths = config::base_paths(&variables);
        let leaves_files = leaves == LeavesFiles::Always || paths.base().exists();
        let files = OutputFiles::new(paths.failure(), paths.success());
        Context { variables, paths, options, leaves_files, files }
    }
}
