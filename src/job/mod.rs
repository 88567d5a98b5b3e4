//! The job: its folders, hosts, channels and hyperparameters, the program that it was asked to run, and footplate's
//! settings for it.
//!
//! A [`Job`] is plain data, with methods that answer questions from it alone. [`config`] reads it from the platform's
//! files, [`settings`] reads footplate's own settings, [`python`] has the values of both as Python reads and writes
//! them, and [`exit_code`] defines how a job can end. This folder must not examine the machine, start anything, or decide
//! how the job is launched.

mod cluster;
pub mod config;
pub mod exit_code;
mod paths;
mod processing;
pub mod python;
pub mod settings;
mod variables;

pub use cluster::{Cluster, InstanceGroup};
pub use paths::Paths;
pub use processing::ProcessingJob;
pub use variables::Variables;

use crate::job::python::{Dict, Text, Value};

/// A training or processing job, as one of its hosts sees it.
#[derive(Clone, Debug)]
pub struct Job {
    /// The folders.
    pub paths: Paths,
    /// The name, if the platform set one (`TRAINING_JOB_NAME`).
    pub name: Option<String>,
    /// The hosts.
    pub cluster: Cluster,
    /// The channels in the order of inputdataconfig.json, with their descriptions.
    pub channels: Dict,
    /// All hyperparameters except footplate's own settings. A value that is JSON is parsed.
    pub all_hyperparameters: Dict,
    /// The user's hyperparameters, which sagemaker-training passes to the script.
    pub hyperparameters: Dict,
    /// The platform's flags, such as `sagemaker_mpi_enabled`, which sagemaker-training keeps separate.
    pub framework_parameters: Dict,
    /// The request: what to run, and where its code comes from.
    pub request: JobRequest,
    /// The folder of checkpoints, if the job has one.
    pub checkpoint_dir: Option<std::path::PathBuf>,
    /// The configuration of the container drivers, for jobs of version 3 of the SDK.
    pub drivers: Option<DriverConfig>,
    /// The Python modules of the image that matter for the choice of the launcher. `None` if the choice does not
    /// depend on them.
    pub frameworks: Option<Vec<&'static str>>,
    /// The parts that only a processing job has. `None` for a training job.
    pub processing: Option<ProcessingJob>,
}

/// The request of the platform and the image: the program to run, and where its code comes from.
#[derive(Clone, Debug, Default)]
pub struct JobRequest {
    /// The entry point: the variable SAGEMAKER_PROGRAM, else the hyperparameter `sagemaker_program`.
    pub program: Option<String>,
    /// The objective of the tuning job that the job belongs to: the hyperparameter `_tuning_objective_metric`.
    pub objective: Option<String>,
    /// The hyperparameter `sagemaker_submit_directory`.
    pub submit_directory: Option<String>,
    /// The variable SAGEMAKER_SUBMIT_DIRECTORY, which is set by images that extend a prebuilt one.
    pub image_submit_directory: Option<String>,
    /// The variable SAGEMAKER_TRAINING_MODULE: `module:function`.
    pub training_module: Option<String>,
    /// The arguments of the script, if a framework of the image states them. Otherwise the hyperparameters become the
    /// arguments.
    pub arguments: Option<Vec<Text>>,
    /// The hyperparameter `sagemaker_container_log_level`, which is not validated yet.
    pub log_level: Option<Value>,
    /// The hyperparameter `sagemaker_job_name`.
    pub job_name: Option<Value>,
    /// The hyperparameter `sagemaker_region`, else the variable AWS_DEFAULT_REGION, as boto3 would choose.
    pub region: Option<Value>,
    /// The hyperparameter `sagemaker_s3_output`: the destination of intermediate output.
    pub s3_output: Option<String>,
}

/// The configuration of the container drivers of SDK version 3 (platform contract, `sm_drivers` channel).
#[derive(Clone, Debug, Default)]
pub struct DriverConfig {
    /// `sourcecode.json`: the script, relative to the code channel.
    pub entry_script: Option<String>,
    /// `sourcecode.json`: a shell command that runs instead of the script.
    pub command: Option<String>,
    /// `sourcecode.json`: the arguments of the command.
    pub args: Vec<String>,
    /// `sourcecode.json`: the requirements file; `auto` for requirements.txt if it exists.
    pub requirements: Option<String>,
    /// `distributed.json`, if it is not empty.
    pub distributed: Option<Dict>,
    /// The settings of footplate in `distributed.json`, by name. `None` if the file is for another distribution.
    pub settings: Option<Dict>,
}

impl Job {
    /// Returns the content of `distributed.json`, if the job has that file.
    pub fn distributed(&self) -> Option<&Dict> {
        self.drivers.as_ref()?.distributed.as_ref()
    }

    /// Returns the settings of footplate in `distributed.json`, if there are any.
    pub fn own_settings(&self) -> Option<&Dict> {
        self.drivers.as_ref()?.settings.as_ref()
    }

    /// Returns true if the job runs as the drivers of SDK version 3 would run it, with their variables and arguments.
    ///
    /// A tuning job of version 3 has the drivers' channel but is started like one of version 2, with
    /// `sagemaker_submit_directory`.
    pub fn runs_as_drivers(&self) -> bool {
        let described = self.drivers.as_ref().is_some_and(|d| d.entry_script.is_some() || d.command.is_some());
        described && self.request.submit_directory.is_none() && self.request.training_module.is_none()
    }

    /// Returns the folder of the script, from which the script imports its modules.
    pub fn code_dir(&self) -> std::path::PathBuf {
        match &self.processing {
            Some(processing) => processing.code_dir.clone(),
            None if self.runs_as_drivers() => self.paths.channel("code"),
            None => self.paths.code(),
        }
    }

    /// Returns the folder in which the script runs: the folder of the script or, in a processing job, the working
    /// directory of the container.
    pub fn working_dir(&self) -> std::path::PathBuf {
        self.processing.as_ref().map_or_else(|| self.code_dir(), |processing| processing.working_dir.clone())
    }

    /// Returns the hosts in the order of their node ranks: sorted for SDK version 3, else the hosts of the distribution.
    pub fn nodes(&self) -> Vec<String> {
        if self.runs_as_drivers() { self.cluster.sorted_hosts() } else { self.cluster.nodes() }
    }

    /// Returns the position of this host among [`Job::nodes`], counted from 0.
    pub fn node_rank(&self) -> usize {
        self.nodes().iter().position(|host| *host == self.cluster.current_host).unwrap_or(0)
    }

    /// Returns the host to which all ranks connect. SDK version 3 always uses algo-1, the first of the platform's
    /// names.
    pub fn master(&self) -> String {
        if !self.runs_as_drivers() {
            self.cluster.master()
        } else if self.cluster.hosts.iter().any(|host| host == "algo-1") {
            "algo-1".to_owned()
        } else {
            self.cluster.sorted_hosts().swap_remove(0)
        }
    }

    /// Returns the job as another of its hosts sees it.
    pub fn seen_from(&self, host: &str) -> Job {
        let mut job = self.clone();
        let cluster = &mut job.cluster;
        let group = cluster.group_of(host).map(|group| group.name.clone());
        cluster.instance_type = cluster.instance_type_of(host).to_owned();
        cluster.current_host = host.to_owned();
        cluster.current_group = group.unwrap_or_else(|| cluster.current_group.clone());
        // If no groups were requested, each host treats its own group as that of the distribution.
        let were_requested = self.framework_parameters.get("sagemaker_distribution_instance_groups").is_some();
        if !were_requested && !cluster.distribution_groups.is_empty() {
            cluster.distribution_groups = vec![cluster.current_group.clone()];
        }
        job
    }

    /// Returns the entry point as the user named it, for messages.
    pub fn entry_name(&self) -> Option<&str> {
        if let Some(processing) = &self.processing {
            return processing.command.first().and_then(Text::as_str).or(self.request.program.as_deref());
        }
        match &self.drivers {
            Some(drivers) if self.runs_as_drivers() => drivers.command.as_deref().or(drivers.entry_script.as_deref()),
            _ => self.request.training_module.as_deref().or(self.request.program.as_deref()),
        }
    }

    /// Returns true if the hyperparameters are passed as arguments. A function never gets them. A shell command gets
    /// them only if the setting `command_arguments` requests it.
    pub fn passes_arguments(&self, settings: &settings::Settings) -> bool {
        let command = self.drivers.as_ref().and_then(|drivers| drivers.command.as_ref());
        let is_command = self.runs_as_drivers() && command.is_some();
        self.request.training_module.is_none() && (!is_command || settings.command_arguments)
    }

    /// Returns true if a flag of the platform is set; `flag` is its name without the prefix `sagemaker_`.
    pub fn is_flag_set(&self, flag: &str) -> bool {
        self.framework_parameters.get(&format!("sagemaker_{flag}")).is_some_and(Value::is_true)
    }
}
