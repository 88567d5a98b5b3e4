//! Reader of the platform's configuration files, which are turned into a [`Job`].
//!
//! Each file of the platform contract has a module. `hyperparameters.json`, `resourceconfig.json` and
//! `inputdataconfig.json` must exist and be valid. The other files are optional. A processing job has different
//! files, in another folder.

mod checkpoint;
mod drivers;
mod error;
mod hyperparameters;
mod input_data;
mod metrics;
mod outputs;
mod processing;
mod reader;
mod resource;

pub use error::ConfigError;
pub use metrics::{MetricDefinition, metric_definitions};
pub use outputs::{PlatformOutput, platform_outputs, tensorboard_folder};

use std::time::Duration;

use hyperparameters::Hyperparameters;

use crate::job::python::{Dict, Value};
use crate::job::settings;
use crate::job::{Job, JobRequest, Paths, Variables};
use crate::system::files;

/// The prefix of the platform's hyperparameters.
const PLATFORM_PREFIX: &str = "sagemaker_";

/// The hyperparameters that sagemaker-training itself uses. It passes them neither to the script nor to the framework
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

/// The flags that request a distribution. If the job names no groups, the distribution spans the group of the current
/// host.
const DISTRIBUTION_FLAGS: [&str; 7] = [
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
];

/// The content of the configuration files.
#[derive(Clone, Debug)]
pub struct Config {
    /// The job.
    pub job: Job,
    /// The hyperparameters `footplate_*`, which are settings of footplate.
    pub own_hyperparameters: Dict,
    /// Warnings for the log.
    pub warnings: Vec<String>,
}

/// The time limit for the configuration folders to answer before anything is read from them.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// Returns the folders of the job below its base folder: SAGEMAKER_BASE_DIR, else /opt/ml.
pub fn base_paths(variables: &Variables) -> Paths {
    Paths::under(
        variables.get_os("SAGEMAKER_BASE_DIR").filter(|base| !base.is_empty()).unwrap_or(Paths::PLATFORM_BASE.as_ref()),
    )
}

/// Returns the folders of the job whose configuration is in this container: those of a processing job if only the files of one
/// exist, else those of a training job.
pub fn paths_here(variables: &Variables) -> Paths {
    let training = base_paths(variables);
    let processing = training.clone().of_processing();
    let (of_training, of_processing) = (training.clone(), processing.clone());
    let looked = files::within(LOOK_TIME, move || is_absent(&of_training) && processing::is_there(&of_processing));
    // If the folder does not answer, the reader that uses it will report that.
    if looked == Some(true) { processing } else { training }
}

/// Returns true if a job's configuration exists, so that `footplate` without arguments runs the job.
pub fn is_there(paths: &Paths) -> bool {
    if paths.are_of_processing() {
        return processing::is_there(paths);
    }
    resource::path(paths).exists() || paths.config().join(hyperparameters::FILE).exists()
}

/// Returns true if none of the required files exists: then the container was not started as a training job.
pub fn is_absent(paths: &Paths) -> bool {
    !is_there(paths) && !paths.config().join(input_data::FILE).exists()
}

/// Reads the configuration of a job.
///
/// # Errors
/// The first file that is invalid, or that is required and missing. An invalid checkpoint file only causes a warning.
pub fn read(paths: Paths, variables: &Variables) -> Result<Config, ConfigError> {
    if paths.are_of_processing() {
        return read_processing(paths, variables);
    }
    let Hyperparameters { all, objective } = hyperparameters::read(&paths)?;
    let resources = resource::read(&paths)?;
    let channels = input_data::read(&paths)?;
    let drivers = drivers::read(&paths)?;
    let mut warnings = Vec::new();
    let checkpoint_dir = checkpoint::read(&paths, &mut warnings);
    let mut config = assemble(Files { paths, all, resources, channels, drivers, checkpoint_dir }, variables, warnings);
    config.job.request.objective = objective;
    Ok(config)
}

/// Reads the configuration of a processing job, whose files may all be missing.
fn read_processing(paths: Paths, variables: &Variables) -> Result<Config, ConfigError> {
    let (job, resources) = processing::read(&paths)?;
    let name = job.config.get("ProcessingJobName").and_then(Value::as_str).map(str::to_owned);
    let (all, channels) = (Dict::new(), Dict::new());
    let files = Files { paths, all, resources, channels, drivers: None, checkpoint_dir: None };
    let mut config = assemble(files, variables, Vec::new());
    config.job.name = name.or(config.job.name);
    config.job.processing = Some(job);
    Ok(config)
}

/// Returns a job for `footplate exec` in a container without configuration: it has one host and no hyperparameters.
pub fn without_files(paths: Paths, variables: &Variables) -> Config {
    let mut warnings = Vec::new();
    let checkpoint_dir = checkpoint::read(&paths, &mut warnings);
    let resources = resource::single_host();
    let files = Files { paths, all: Dict::new(), resources, channels: Dict::new(), drivers: None, checkpoint_dir };
    assemble(files, variables, warnings)
}

/// The content of the files, each as its module returns it.
struct Files {
    paths: Paths,
    all: Dict,
    resources: crate::job::Cluster,
    channels: Dict,
    drivers: Option<crate::job::DriverConfig>,
    checkpoint_dir: Option<std::path::PathBuf>,
}

/// Builds the job. Divides the hyperparameters between the script, the framework and footplate, and applies the
/// variables of the image.
fn assemble(files: Files, variables: &Variables, warnings: Vec<String>) -> Config {
    let Files { paths, all, resources: mut cluster, channels, drivers, checkpoint_dir } = files;
    let is_setting = |key: &crate::job::python::Text| key.to_str().starts_with(settings::HYPERPARAMETER_PREFIX);
    let is_for_toolkit = |key: &crate::job::python::Text| TOOLKIT_HYPERPARAMETERS.contains(&&*key.to_str());
    let is_for_platform = |key: &crate::job::python::Text| key.to_str().starts_with(PLATFORM_PREFIX);
    let own_hyperparameters = all.filtered(is_setting);
    let all = all.filtered(|key| !is_setting(key));
    let hyperparameters = all.filtered(|key| !is_for_toolkit(key) && !is_for_platform(key));
    let framework_parameters = all.filtered(|key| is_for_platform(key) && !is_for_toolkit(key));

    cluster.distribution_groups = match framework_parameters.get("sagemaker_distribution_instance_groups") {
        Some(Value::List(names)) => names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        _ if DISTRIBUTION_FLAGS.iter().any(|flag| framework_parameters.get(flag).is_some_and(Value::is_true)) => {
            vec![cluster.current_group.clone()]
        }
        _ => Vec::new(),
    };
    let text = |name: &str| all.get(name).map(|value| value.to_py_str().to_str().into_owned());
    let request = JobRequest {
        program: variables
            .get_non_empty("SAGEMAKER_PROGRAM")
            .map(|program| program.into_owned())
            .or_else(|| text("sagemaker_program").filter(|program| !program.is_empty())),
        submit_directory: text("sagemaker_submit_directory").filter(|folder| !folder.is_empty()),
        image_submit_directory: variables.get_non_empty("SAGEMAKER_SUBMIT_DIRECTORY").map(|folder| folder.into_owned()),
        training_module: variables.get_non_empty("SAGEMAKER_TRAINING_MODULE").map(|module| module.into_owned()),
        objective: None,
        arguments: None,
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
        frameworks: None,
        processing: None,
    };
    Config { job, own_hyperparameters, warnings }
}

#[cfg(test)]
mod tests;
