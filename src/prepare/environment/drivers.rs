//! The variables of the container drivers of SDK version 3, in one table.
//!
//! The drivers keep the order of the files, while the toolkit sorts, and they write null as `null`. The separators in JSON
//! follow the toolkit. Most variables exist in the toolkit too, whose table documents them.

use super::variable::{Definition, Draft, Inputs, Rule, channel_folders, path, shared_values, strings};
use crate::job::python::{Dict, Separators, Text, Value};

/// The log level, which the drivers do not read from any setting of the job.
const LOG_LEVEL: usize = 20;

/// The variables.
const TABLE: &[Rule] = &[
    Rule::shared("SM_CURRENT_HOST", |i| Value::from(i.job.cluster.current_host.as_str())),
    Rule::shared("SM_CURRENT_INSTANCE_TYPE", |i| Value::from(i.job.cluster.instance_type.as_str())),
    Rule::shared("SM_HOSTS", |i| strings(i.job.cluster.sorted_hosts())),
    Rule::shared("SM_MASTER_ADDR", |i| Value::from(i.job.master())),
    Rule::shared("SM_MASTER_PORT", |i| Value::from(usize::from(i.settings.master_port))),
    Rule::shared("SM_INPUT_DATA_CONFIG", |i| Value::Dict(i.job.channels.clone())),
    Rule::shared("SM_INPUT_CONFIG_DIR", |i| path(i.job.paths.config())),
    Rule::shared("SM_INPUT_DATA_DIR", |i| path(i.job.paths.data())),
    Rule::shared("SM_INPUT_DIR", |i| path(i.job.paths.input())),
    Rule::shared("SM_LOG_LEVEL", |_| Value::from(LOG_LEVEL)),
    Rule::shared("SM_MODEL_DIR", |i| path(i.job.paths.model())),
    Rule::shared("SM_NETWORK_INTERFACE_NAME", |i| Value::from(i.job.cluster.network_interface.as_str())),
    Rule::shared("SM_NUM_CPUS", |i| Value::from(i.hardware.cpus)),
    Rule::shared("SM_NUM_GPUS", |i| Value::from(i.hardware.gpus)),
    Rule::shared("SM_NUM_NEURONS", |i| Value::from(i.hardware.neuron_cores)),
    Rule::shared("SM_OUTPUT_DATA_DIR", |i| path(i.job.paths.output_data())),
    Rule::shared("SM_RESOURCE_CONFIG", |i| i.job.cluster.resource_config.clone()),
    Rule::one("SM_OUTPUT_DIR", |i| path(i.job.paths.output())),
    Rule::one("SM_OUTPUT_FAILURE", |i| path(i.job.paths.failure())),
    Rule::one("SM_SOURCE_DIR", |i| path(i.job.paths.channel("code"))),
    Rule::one("SM_CHANNELS", |i| i.job.channels.keys().collect()),
    Rule::one("SM_HOST_COUNT", |i| Value::from(i.job.cluster.hosts.len())),
    Rule::one("SM_CURRENT_HOST_RANK", |i| Value::from(i.job.node_rank())),
    Rule::one("SM_HPS", |i| Value::Dict(i.job.all_hyperparameters.clone())),
    Rule::one("SM_TRAINING_ENV", |i| Value::Dict(training_env(i))),
    Rule::optional("SM_ENTRY_SCRIPT", |i| {
        let drivers = i.job.drivers.as_ref()?;
        Some(Value::from(drivers.entry_script.as_deref().unwrap_or_default()))
    }),
    Rule::family("SM_CHANNEL_*", |i, add| {
        channel_folders(i.job).iter().for_each(|(channel, folder)| add(&channel.to_str(), folder));
    }),
    Rule::family("SM_HP_*", |i, add| {
        i.job.all_hyperparameters.iter().for_each(|(name, value)| add(&name.to_str().replace('-', "_"), value));
    }),
];

/// The variables that only the drivers set, in jobs that have a `distributed.json`.
pub(super) const DISTRIBUTED: &[Definition] = &[
    Rule::optional("SM_DISTRIBUTED_CONFIG", |i| i.job.distributed().map(|config| Value::Dict(config.clone())))
        .meaning("The content of `distributed.json`, in jobs of SDK version 3 that have one."),
    Rule::optional("SM_DISTRIBUTED_DRIVER_DIR", |i| {
        i.job.distributed().map(|_| path(i.job.paths.channel("sm_drivers").join("distributed_drivers")))
    })
    .meaning("The folder of the drivers, in such jobs."),
];

/// Adds the variables to `variables`, in place of those of the same names.
pub(super) fn add(inputs: &Inputs<'_>, variables: &mut Draft) {
    for rule in TABLE.iter().chain(DISTRIBUTED.iter().map(|definition| &definition.rule)) {
        rule.apply(inputs, &mut |name, value| {
            variables.insert(name, text(value));
        });
    }
}

fn training_env(inputs: &Inputs<'_>) -> Dict {
    let mut object = shared_values(TABLE.iter(), inputs);
    object.set("channel_input_dirs", channel_folders(inputs.job));
    object.set("hyperparameters", inputs.job.all_hyperparameters.clone());
    object.set("job_name", inputs.job.name.as_deref());
    object
}

/// Returns the text of a value in the form that the drivers use: strings are bare, other values are JSON.
fn text(value: &Value) -> Text {
    match value {
        Value::Str(text) => text.clone(),
        other => Text::from(other.dumps(Separators::CompactSorted)),
    }
}
