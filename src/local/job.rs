//! A job to run on this machine, and its results.

use std::path::PathBuf;

use super::channels::InputChannel;

/// The description of a job to run on this machine.
#[derive(Clone, Debug, Default)]
pub struct LocalJob {
    /// The folder of the code.
    pub source_dir: PathBuf,
    /// The script, relative to the folder of the code. With `None`, the image of `image` decides.
    pub entry_point: Option<String>,
    /// The names and values of hyperparameters. A value is JSON or raw text.
    pub hyperparameters: Vec<(String, String)>,
    /// The channels.
    pub channels: Vec<InputChannel>,
    /// The folder of checkpoints, if the job has one. It is kept after the job.
    pub checkpoint_dir: Option<PathBuf>,
    /// The folder of the results.
    pub output_dir: PathBuf,
    /// The environment variables of the container.
    pub variables: Vec<(String, String)>,
    /// The settings of footplate, which are passed to the hosts.
    pub settings: Vec<(String, String)>,
    /// The name of the job.
    pub name: String,
    /// The number of hosts, at least one.
    pub hosts: usize,
    /// The number of GPUs that each host is assumed to have; `None` uses the number that the machine has.
    pub gpus_per_host: Option<usize>,
    /// The image that the hosts run in. `None` runs them as processes on this machine.
    pub image: Option<JobImage>,
}

/// The image that a job runs in, and the limits of its containers.
#[derive(Clone, Debug, Default)]
pub struct JobImage {
    /// The name of the image.
    pub name: String,
    /// The program of the container engine. `None` uses the first of docker and podman that is on PATH.
    pub engine: Option<String>,
    /// The GPUs of each host. `None` uses the number of the instance type, or all GPUs of the machine.
    pub gpus: Option<GpuGrant>,
    /// The size of the shared memory, in bytes. `None` uses half of the memory.
    pub shared_memory: Option<u64>,
    /// The memory limit, in bytes. `None` uses that of the instance type, or no limit.
    pub memory: Option<u64>,
    /// The type of the instance to imitate, such as `ml.g5.xlarge`.
    pub instance_type: Option<String>,
}

/// The GPUs of this machine that a container gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuGrant {
    /// All of them.
    All,
    /// This number of them, which may be 0.
    Some(usize),
}

impl LocalJob {
    /// Returns the names of the hosts, which are those that the platform would use.
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
