//! What a job is: its folders, hosts, channels, hyperparameters, and what it was asked to run.
//!
//! Plain data, and questions that can be answered from it. [`crate::job::config`] makes it from the platform's files.

mod cluster;
pub mod config;
pub mod exit_code;
mod paths;
pub mod settings;
mod variables;

pub use cluster::{Cluster, Group};
pub use paths::Paths;
pub use variables::Variables;

use crate::python::{Dict, Value};

/// A training job, as one host of it sees it.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its folders.
    pub paths: Paths,
    /// Its name, if the platform gave one (`TRAINING_JOB_NAME`).
    pub name: Option<String>,
    /// Its hosts.
    pub cluster: Cluster,
    /// Its channels in the order of the file, with what the file says of each.
    pub channels: Dict,
    /// What the hyperparameters file holds but for footplate's own settings, each value read as JSON where it is JSON.
    pub all_hyperparameters: Dict,
    /// Of these, the user's: what the toolkit passes to the script.
    pub hyperparameters: Dict,
    /// Of these, the platform's flags that the toolkit keeps apart (`sagemaker_mpi_enabled` and the like).
    pub framework_parameters: Dict,
    /// What to run, and where its code comes from.
    pub request: Request,
    /// The folder that checkpoints are kept in, if the job has one.
    pub checkpoint_dir: Option<std::path::PathBuf>,
    /// Set for jobs of version 3 of the SDK.
    pub drivers: Option<Drivers>,
}

/// What the platform and the image ask to run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The entry point: SAGEMAKER_PROGRAM, else the hyperparameter `sagemaker_program`.
    pub program: Option<String>,
    /// The hyperparameter `sagemaker_submit_directory`.
    pub submit_directory: Option<String>,
    /// SAGEMAKER_SUBMIT_DIRECTORY, which images that extend a prebuilt one set.
    pub image_submit_directory: Option<String>,
    /// SAGEMAKER_TRAINING_MODULE, `module:function`.
    pub training_module: Option<String>,
    /// The hyperparameter `sagemaker_container_log_level`, as it came.
    pub log_level: Option<Value>,
    /// The hyperparameter `sagemaker_job_name`.
    pub job_name: Option<Value>,
    /// The hyperparameter `sagemaker_region`, else the region that boto3 would take.
    pub region: Option<Value>,
    /// The hyperparameter `sagemaker_s3_output`: where intermediate output goes.
    pub s3_output: Option<String>,
}

/// What the container drivers of SDK version 3 are given (platform contract, `sm_drivers` channel).
#[derive(Clone, Debug, Default)]
pub struct Drivers {
    /// `sourcecode.json`: the script, relative to the code channel.
    pub entry_script: Option<String>,
    /// `sourcecode.json`: a shell command in place of the script.
    pub command: Option<String>,
    /// `sourcecode.json`: the requirements file, `auto` for requirements.txt if it is there.
    pub requirements: Option<String>,
    /// `distributed.json`, if it asks for anything.
    pub distributed: Option<Dict>,
}

impl Job {
    /// Whether the job runs as the drivers of SDK version 3 would run it, with their variables and arguments.
    ///
    /// A tuning job of version 3 brings the drivers' channel but is started like one of version 2, with
    /// `sagemaker_submit_directory`.
    pub fn runs_as_drivers(&self) -> bool {
        let described = self.drivers.as_ref().is_some_and(|d| d.entry_script.is_some() || d.command.is_some());
        described && self.request.submit_directory.is_none() && self.request.training_module.is_none()
    }

    /// The folder that the script runs in and its modules are imported from.
    pub fn code_dir(&self) -> std::path::PathBuf {
        match self.runs_as_drivers() {
            true => self.paths.channel("code"),
            false => self.paths.code(),
        }
    }

    /// The hosts in the order of their node ranks. SDK version 3 sorts them; else they are the distribution's.
    pub fn nodes(&self) -> Vec<String> {
        match self.runs_as_drivers() {
            true => self.cluster.sorted_hosts(),
            false => self.cluster.nodes(),
        }
    }

    /// This host's place among [`Job::nodes`].
    pub fn node_rank(&self) -> usize {
        self.nodes().iter().position(|host| *host == self.cluster.current_host).unwrap_or(0)
    }

    /// The host that ranks meet at. SDK version 3 always takes algo-1, which is the first of the platform's names.
    pub fn master(&self) -> String {
        match self.runs_as_drivers() {
            true if self.cluster.hosts.iter().any(|host| host == "algo-1") => "algo-1".to_owned(),
            true => self.cluster.sorted_hosts().swap_remove(0),
            false => self.cluster.master(),
        }
    }

    /// The same job as another of its hosts sees it.
    pub fn seen_from(&self, host: &str) -> Job {
        let mut job = self.clone();
        let cluster = &mut job.cluster;
        let group = cluster.group_of(host).map(|group| group.name.clone());
        cluster.instance_type = cluster.instance_type_of(host).to_owned();
        cluster.current_host = host.to_owned();
        cluster.current_group = group.unwrap_or_else(|| cluster.current_group.clone());
        // Where no groups were asked for, each host takes its own for the distribution's.
        let were_asked_for = self.framework_parameters.get("sagemaker_distribution_instance_groups").is_some();
        if !were_asked_for && !cluster.distribution_groups.is_empty() {
            cluster.distribution_groups = vec![cluster.current_group.clone()];
        }
        job
    }

    /// The entry point as the user named it, for messages.
    pub fn entry_name(&self) -> Option<&str> {
        match &self.drivers {
            Some(drivers) if self.runs_as_drivers() => drivers.command.as_deref().or(drivers.entry_script.as_deref()),
            _ => self.request.training_module.as_deref().or(self.request.program.as_deref()),
        }
    }

    /// Whether what runs is passed the hyperparameters as arguments: a function and a shell command are not.
    pub fn passes_arguments(&self) -> bool {
        let command = self.drivers.as_ref().and_then(|drivers| drivers.command.as_ref());
        self.request.training_module.is_none() && !(self.runs_as_drivers() && command.is_some())
    }

    /// Whether the platform's flag of this name (without its prefix `sagemaker_`) is set.
    pub fn is_flag_set(&self, flag: &str) -> bool {
        self.framework_parameters.get(&format!("sagemaker_{flag}")).is_some_and(Value::is_true)
    }
}
