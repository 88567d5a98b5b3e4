//! The variables of sagemaker-training 5.1.4, in one table.

use super::variable::{
    Definition, Draft, Inputs, Rule, ValueFn, channel_folders, path, shared_values, strings, toolkit_text,
};
use crate::job::python::{Dict, Text, Value};
use crate::prepare::code;

/// The log level of jobs that set none: Python's `logging.INFO`.
const DEFAULT_LOG_LEVEL: &str = "20";

/// The variables, in the order of the documentation.
pub(super) const TABLE: &[Definition] = &[
    Rule::shared("SM_MODEL_DIR", |i| path(i.job.paths.model())).meaning("The folder to save the model in."),
    Rule::shared("SM_OUTPUT_DATA_DIR", |i| path(i.job.paths.output_data()))
        .meaning("The folder for other results to keep."),
    Rule::shared("SM_OUTPUT_DIR", |i| path(i.job.paths.output()))
        .meaning("The output folder, which holds the failure file."),
    Rule::shared("SM_OUTPUT_INTERMEDIATE_DIR", |i| path(i.job.paths.intermediate()))
        .meaning("The folder for output that is uploaded while the job runs."),
    Rule::shared("SM_INPUT_DIR", |i| path(i.job.paths.input())).meaning("The input folder."),
    Rule::shared("SM_INPUT_CONFIG_DIR", |i| path(i.job.paths.config()))
        .meaning("The folder of the configuration files."),
    Rule::one("SM_CHANNELS", sorted_channels).meaning("The names of the channels, sorted, as JSON."),
    Rule::family("SM_CHANNEL_*", |i, add| {
        channel_folders(i.job).iter().for_each(|(channel, folder)| add(&channel.to_str(), folder));
    })
    .meaning("The folder of each channel."),
    Rule::one("SM_HPS", |i| Value::Dict(i.job.hyperparameters.clone())).meaning("The hyperparameters as JSON."),
    Rule::family("SM_HP_*", |i, add| {
        i.job.hyperparameters.iter().for_each(|(name, value)| add(&name.to_str(), value));
    })
    .meaning("Each hyperparameter."),
    Rule::one("SM_USER_ARGS", |i| i.arguments.iter().collect()).meaning("The script's arguments as JSON."),
    Rule::shared("SM_USER_ENTRY_POINT", |i| Value::from(i.job.request.program.as_deref())).meaning("The script."),
    Rule::shared("SM_MODULE_NAME", module_name).meaning("The script's name without `.py`."),
    Rule::shared("SM_MODULE_DIR", module_dir).meaning("The source of the code, or the code folder."),
    Rule::shared("SM_FRAMEWORK_MODULE", |i| Value::from(i.job.request.training_module.as_deref()))
        .meaning("The value of SAGEMAKER_TRAINING_MODULE."),
    Rule::one("SM_FRAMEWORK_PARAMS", |i| Value::Dict(i.job.framework_parameters.clone()))
        .meaning("The platform's flags as JSON."),
    Rule::shared("SM_HOSTS", |i| strings(&i.job.cluster.hosts)).meaning("The hosts as JSON."),
    Rule::shared("SM_CURRENT_HOST", |i| Value::from(i.job.cluster.current_host.as_str())).meaning("This host."),
    Rule::shared("SM_CURRENT_INSTANCE_TYPE", |i| Value::from(i.job.cluster.instance_type.as_str()))
        .meaning("The type of this host's instance."),
    Rule::shared("SM_CURRENT_INSTANCE_GROUP", |i| Value::from(i.job.cluster.current_group.as_str()))
        .meaning("This host's instance group."),
    Rule::shared("SM_CURRENT_INSTANCE_GROUP_HOSTS", |i| strings(i.job.cluster.current_group_hosts()))
        .meaning("The hosts of that group as JSON."),
    Rule::shared("SM_INSTANCE_GROUPS", |i| strings(i.job.cluster.groups.iter().map(|group| &group.name)))
        .meaning("The names of the instance groups as JSON."),
    Rule::shared("SM_INSTANCE_GROUPS_DICT", instance_groups).meaning("The instance groups by name as JSON."),
    Rule::shared("SM_DISTRIBUTION_INSTANCE_GROUPS", |i| strings(&i.job.cluster.distribution_groups))
        .meaning("The groups that the job asked to distribute over, as JSON."),
    Rule::shared("SM_IS_HETERO", |i| Value::from(i.job.cluster.groups.len() > 1))
        .meaning("`true` if there are several instance groups."),
    Rule::shared("SM_NETWORK_INTERFACE_NAME", |i| Value::from(i.job.cluster.network_interface.as_str()))
        .meaning("The network interface that the hosts use."),
    Rule::optional("SM_TOPOLOGY", |i| Some(topology(i)).filter(Value::is_true))
        .meaning("The hosts' capacity units as JSON, if the platform states them."),
    Rule::shared("SM_RESOURCE_CONFIG", |i| i.job.cluster.resource_config.clone())
        .meaning("The content of `resourceconfig.json`."),
    Rule::shared("SM_INPUT_DATA_CONFIG", |i| Value::Dict(i.job.channels.clone()))
        .meaning("The content of `inputdataconfig.json`."),
    Rule::shared("SM_NUM_CPUS", |i| Value::from(i.hardware.cpus)).meaning("The number of processors of this host."),
    Rule::shared("SM_NUM_GPUS", |i| Value::from(i.hardware.gpus)).meaning("The number of GPUs of this host."),
    Rule::shared("SM_NUM_NEURONS", |i| Value::from(i.hardware.neuron_cores))
        .meaning("The number of Neuron cores of this host."),
    Rule::shared("SM_LOG_LEVEL", log_level).meaning("The log level as a number, as in Python's `logging`."),
    Rule::one("SM_TRAINING_ENV", |i| Value::Dict(training_env(i))).meaning("All of this in one JSON object."),
    Rule::one("CURRENT_HOST", |i| Value::from(i.job.cluster.current_host.as_str())).meaning("This host."),
    Rule::one("SAGEMAKER_JOB_NAME", |i| Value::from(i.job.request.job_name.clone()))
        .meaning("The hyperparameter `sagemaker_job_name`."),
    Rule::one("SAGEMAKER_REGION", |i| Value::from(i.job.request.region.clone())).meaning("The job's region."),
];

/// The keys of `SM_TRAINING_ENV` that have no variable of the same name.
const TRAINING_ENV_KEYS: [(&str, ValueFn); 11] = [
    ("additional_framework_parameters", |i| Value::Dict(i.job.framework_parameters.clone())),
    ("channel_input_dirs", |i| Value::Dict(channel_folders(i.job))),
    ("distribution_hosts", |i| strings(i.job.cluster.distribution_hosts())),
    ("hyperparameters", |i| Value::Dict(i.job.hyperparameters.clone())),
    ("is_master", |i| Value::from(i.job.cluster.current_host == i.job.cluster.master())),
    ("is_modelparallel_enabled", is_model_parallel),
    ("is_smddpmprun_installed", |i| Value::from(i.hardware.smddpmprun.is_some())),
    ("is_smddprun_installed", |i| Value::from(i.hardware.smddprun.is_some())),
    ("job_name", |i| Value::from(i.job.name.as_deref())),
    ("master_hostname", |i| Value::from(i.job.cluster.master())),
    ("topology", topology),
];

/// Adds the variables to `variables`.
pub(super) fn add(inputs: &Inputs<'_>, variables: &mut Draft) {
    for definition in TABLE {
        definition.rule.apply(inputs, &mut |name, value| {
            variables.insert(name, toolkit_text(value));
        });
    }
}

fn training_env(inputs: &Inputs<'_>) -> Dict {
    let mut object = shared_values(TABLE.iter().map(|definition| &definition.rule), inputs);
    for (key, value) in TRAINING_ENV_KEYS {
        object.set(key, value(inputs));
    }
    object
}

fn sorted_channels(inputs: &Inputs<'_>) -> Value {
    let mut channels: Vec<&Text> = inputs.job.channels.keys().collect();
    channels.sort();
    channels.into_iter().collect()
}

/// Returns the module's name. It is `None` without a program, because the toolkit calls `str(None)` and then runs a
/// framework's module.
fn module_name(inputs: &Inputs<'_>) -> Value {
    let program = inputs.job.request.program.as_deref().unwrap_or("None");
    let module = code::module_of(program).or_else(|| program.strip_suffix(".py"));
    Value::from(module.unwrap_or(program))
}

fn module_dir(inputs: &Inputs<'_>) -> Value {
    match &inputs.job.request.submit_directory {
        Some(source) => Value::from(source.as_str()),
        None => path(inputs.job.paths.code()),
    }
}

fn instance_groups(inputs: &Inputs<'_>) -> Value {
    let groups = inputs.job.cluster.groups.iter();
    Value::Dict(groups.map(|group| (Text::from(group.name.as_str()), group.raw.clone())).collect())
}

fn topology(inputs: &Inputs<'_>) -> Value {
    let topology = match &inputs.job.cluster.resource_config {
        Value::Dict(config) => config.get("topology").cloned(),
        _ => None,
    };
    topology.unwrap_or(Value::List(Vec::new()))
}

fn log_level(inputs: &Inputs<'_>) -> Value {
    inputs.job.request.log_level.clone().unwrap_or(Value::Int(DEFAULT_LOG_LEVEL.to_owned()))
}

/// Returns the result of the toolkit's expression `mp_parameters and mp_parameters != "{}"`.
fn is_model_parallel(inputs: &Inputs<'_>) -> Value {
    match inputs.given.get("SM_HP_MP_PARAMETERS") {
        None => Value::None,
        Some(text) if text.is_empty() => Value::from(""),
        Some(text) => Value::Bool(text != "{}"),
    }
}
