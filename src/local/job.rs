//! A job to run on this machine, and its results.

use std::path::PathBuf;

/// The description of a job to run on this machine.
#[derive(Clone, Debug, Default)]
pub struct LocalJob {
    /// The folder of the code.
    pub source_dir: PathBuf,
    /// The script, relative to the folder of the code.
    pub entry_point: String,
    /// The names and values of hyperparameters; a value is JSON or raw text.
    pub hyperparameters: Vec<(String, String)>,
    /// The names and paths of channels; a path is that of a folder or a file.
    pub channels: Vec<(String, PathBuf)>,
    /// The folder of checkpoints, if the job has one. It is kept after the job.
    pub checkpoint_dir: Option<PathBuf>,
    /// The folder of the results.
    pub output_dir: PathBuf,
    /// The environment variables of the container.
    pub variables: Vec<(String, String)>,
    /// The settings of footplate, which are passed on.
    pub settings: Vec<(String, String)>,
    /// The name of the job.
    pub name: String,
    /// The number of hosts, at least one.
    pub hosts: usize,
    /// The number of GPUs that each host is assumed to have; `None` for those of the machine.
    pub gpus_per_host: Option<usize>,
}

impl LocalJob {
    /// Returns the names of the hosts, as the platform names them.
    pub(super) fn host_names(&self) -> Vec<String> {
        (1..=self.hosts).map(|number| format!("algo-{number}")).collect()
    }
}

/// The results of a job.
#[derive(Clone, Debug)]
pub struct LocalResults {
    /// The exit code of the job.
    pub exit_code: i32,
    /// The archive of the model.
    pub model: PathBuf,
    /// The archive of the output data.
    pub output: PathBuf,
    /// The failure file, if the job failed.
    pub failure: Option<PathBuf>,
}
