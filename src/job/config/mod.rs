//! Reading the platform's configuration files into a [`Job`].
//!
//! One file here for each file there (platform contract). `hyperparameters.json`, `resourceconfig.json` and
//! `inputdataconfig.json` must be there and of the right shape; the others are used where they are.

mod checkpoint;
mod drivers;
mod error;
mod hyperparameters;
mod input_data;
mod reader;
mod resource;

pub use error::ConfigError;
pub use hyperparameters::deserialize;

use crate::job::settings;
use crate::job::{Job, Paths, Request, Variables};
use crate::python::{Dict, Value};

/// Hyperparameters that begin with this are the platform's.
const PLATFORM_PREFIX: &str = "sagemaker_";

/// The platform's hyperparameters that the toolkit uses itself, and passes neither to the script nor on as framework
/// parameters.
const TOOLKIT_HYPERPARAMETERS: [&str; 9] = [
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_enable_cloudwatch_metrics",
    "sagemaker_region",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "default_user_module_name",
    "_tuning_objective_metric",
    "sagemaker_s3_output",
];

/// Flags that ask for a distribution over the current group, if the job does not name groups.
const DISTRIBUTION_FLAGS: [&str; 7] = [
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
];

/// What was read: the job, and what its hyperparameters say about footplate itself.
#[derive(Clone, Debug)]
pub struct Config {
    /// The job.
    pub job: Job,
    /// The hyperparameters `footplate_*`.
    pub own_hyperparameters: Dict,
    /// What was odd, but no reason to fail: for the log.
    pub warnings: Vec<String>,
}

/// The base folder: SAGEMAKER_BASE_DIR, else /opt/ml.
pub fn base_paths(variables: &Variables) -> Paths {
    Paths::under(
        variables.get_os("SAGEMAKER_BASE_DIR").filter(|base| !base.is_empty()).unwrap_or(Paths::PLATFORM_BASE.as_ref()),
    )
}

/// Whether a job's configuration is there, so that `footplate` without arguments knows what to do.
pub fn is_there(paths: &Paths) -> bool {
    resource::path(paths).exists() || paths.config().join(hyperparameters::FILE).exists()
}

/// Whether no configuration file is there at all: the container was not started as a training job.
pub fn is_absent(paths: &Paths) -> bool {
    !is_there(paths) && !paths.config().join(input_data::FILE).exists()
}

/// Reads all of a job's configuration.
///
/// # Errors
/// The first required file that is missing or of which anything is wrong.
pub fn read(paths: Paths, variables: &Variables) -> Result<Config, ConfigError> {
    let all = hyperparameters::read(&paths)?;
    let resources = resource::read(&paths)?;
    let channels = input_data::read(&paths)?;
    let drivers = drivers::read(&paths)?;
    let mut warnings = Vec::new();
    let checkpoint_dir = checkpoint::read(&paths, &mut warnings);
    Ok(assemble(Files { paths, all, resources, channels, drivers, checkpoint_dir }, variables, warnings))
}

/// A job for `footplate exec` in a container that was started without configuration: one host, no hyperparameters.
pub fn without_files(paths: Paths, variables: &Variables) -> Config {
    let mut warnings = Vec::new();
    let checkpoint_dir = checkpoint::read(&paths, &mut warnings);
    let resources = resource::single_host();
    let files = Files { paths, all: Dict::new(), resources, channels: Dict::new(), drivers: None, checkpoint_dir };
    assemble(files, variables, warnings)
}

struct Files {
    paths: Paths,
    all: Dict,
    resources: crate::job::Cluster,
    channels: Dict,
    drivers: Option<crate::job::Drivers>,
    checkpoint_dir: Option<std::path::PathBuf>,
}

fn assemble(files: Files, variables: &Variables, warnings: Vec<String>) -> Config {
    let Files { paths, all, resources: mut cluster, channels, drivers, checkpoint_dir } = files;
    let is_own = |key: &crate::python::Text| key.to_str().starts_with(settings::HYPERPARAMETER_PREFIX);
    let is_toolkits = |key: &crate::python::Text| TOOLKIT_HYPERPARAMETERS.contains(&&*key.to_str());
    let is_platforms = |key: &crate::python::Text| key.to_str().starts_with(PLATFORM_PREFIX);
    let own_hyperparameters = all.filtered(is_own);
    let all = all.filtered(|key| !is_own(key));
    let hyperparameters = all.filtered(|key| !is_toolkits(key) && !is_platforms(key));
    let framework_parameters = all.filtered(|key| is_platforms(key) && !is_toolkits(key));

    cluster.distribution_groups = match framework_parameters.get("sagemaker_distribution_instance_groups") {
        Some(Value::List(names)) => names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        _ if DISTRIBUTION_FLAGS.iter().any(|flag| framework_parameters.get(flag).is_some_and(Value::is_true)) => {
            vec![cluster.current_group.clone()]
        }
        _ => Vec::new(),
    };
    let text = |name: &str| all.get(name).map(|value| value.to_py_str().to_str().into_owned());
    let request = Request {
        program: variables
            .get_non_empty("SAGEMAKER_PROGRAM")
            .map(|program| program.into_owned())
            .or_else(|| text("sagemaker_program").filter(|program| !program.is_empty())),
        submit_directory: text("sagemaker_submit_directory").filter(|folder| !folder.is_empty()),
        image_submit_directory: variables.get_non_empty("SAGEMAKER_SUBMIT_DIRECTORY").map(|folder| folder.into_owned()),
        training_module: variables.get_non_empty("SAGEMAKER_TRAINING_MODULE").map(|module| module.into_owned()),
        log_level: all.get("sagemaker_container_log_level").cloned(),
        job_name: all.get("sagemaker_job_name").cloned(),
        region: all
            .get("sagemaker_region")
            .cloned()
            .or_else(|| variables.get_non_empty("AWS_DEFAULT_REGION").map(|region| Value::from(region.into_owned()))),
        s3_output: all
            .get("sagemaker_s3_output")
            .filter(|output| output.is_true())
            .map(|output| output.to_py_str().to_str().into_owned()),
    };
    let job = Job {
        paths,
        name: variables.get("TRAINING_JOB_NAME").map(|name| name.into_owned()),
        cluster,
        channels,
        all_hyperparameters: all,
        hyperparameters,
        framework_parameters,
        request,
        checkpoint_dir,
        drivers,
    };
    Config { job, own_hyperparameters, warnings }
}

#[cfg(test)]
mod tests;
