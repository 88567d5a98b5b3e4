//! The variables that the container drivers of SDK version 3 give.
//!
//! They keep the order of the files where the toolkit sorts, and null is `null`. The values here follow the toolkit's
//! separators.

use std::path::PathBuf;

use super::{Draft, name_of};
use crate::job::Job;
use crate::job::settings::Settings;
use crate::machine::Hardware;
use crate::python::{Dict, Separators, Text, Value};

/// The level that the drivers log at whatever the job says, unless SM_LOG_LEVEL is set.
const LOG_LEVEL: usize = 20;

/// The variables by name.
pub(super) fn variables(job: &Job, hardware: &Hardware, settings: &Settings) -> Draft {
    let paths = &job.paths;
    let cluster = &job.cluster;
    let path = |path: PathBuf| Value::from(path.to_string_lossy().into_owned());
    let number = |number: usize| Value::from(number);
    let hyperparameters = Value::Dict(job.all_hyperparameters.clone());
    let hosts: Value = cluster.sorted_hosts().into_iter().collect();
    let channel_dirs: Dict =
        job.channels.keys().map(|channel| (channel.clone(), path(paths.channel(&channel.to_str())))).collect();

    let mut shared = Dict::new();
    shared.set("current_host", cluster.current_host.as_str());
    shared.set("current_instance_type", cluster.instance_type.as_str());
    shared.set("hosts", hosts);
    shared.set("master_addr", job.master());
    shared.set("master_port", number(settings.master_port.into()));
    shared.set("input_data_config", job.channels.clone());
    shared.set("input_config_dir", path(paths.config()));
    shared.set("input_data_dir", path(paths.data()));
    shared.set("input_dir", path(paths.input()));
    shared.set("log_level", number(LOG_LEVEL));
    shared.set("model_dir", path(paths.model()));
    shared.set("network_interface_name", cluster.network_interface.as_str());
    shared.set("num_cpus", number(hardware.cpus));
    shared.set("num_gpus", number(hardware.gpus));
    shared.set("num_neurons", number(hardware.neuron_cores));
    shared.set("output_data_dir", path(paths.output_data()));
    shared.set("resource_config", cluster.resource_config.clone());

    let mut training_env = shared.clone();
    training_env.set("channel_input_dirs", channel_dirs.clone());
    training_env.set("hyperparameters", hyperparameters.clone());
    training_env.set("job_name", job.name.as_deref());

    let mut variables: Draft = shared.iter().map(|(key, value)| (name_of(&key.to_str()), text(value))).collect();
    let mut set = |key: &str, value: &Value| variables.insert(name_of(key), text(value));
    set("output_dir", &path(paths.output()));
    set("output_failure", &path(paths.failure()));
    set("source_dir", &path(paths.channel("code")));
    set("channels", &job.channels.keys().collect());
    set("host_count", &number(cluster.hosts.len()));
    set("current_host_rank", &number(job.node_rank()));
    set("hps", &hyperparameters);
    set("training_env", &Value::Dict(training_env));
    if let Some(drivers) = &job.drivers {
        set("entry_script", &Value::from(drivers.entry_script.as_deref().unwrap_or_default()));
        if let Some(distributed) = &drivers.distributed {
            set("distributed_driver_dir", &path(paths.channel("sm_drivers").join("distributed_drivers")));
            set("distributed_config", &Value::Dict(distributed.clone()));
        }
    }
    for (channel, folder) in channel_dirs.iter() {
        set(&format!("channel_{}", channel.to_str()), folder);
    }
    for (name, value) in job.all_hyperparameters.iter() {
        set(&format!("hp_{}", name.to_str().replace('-', "_")), value);
    }
    variables
}

/// Strings bare, the rest as JSON.
fn text(value: &Value) -> Text {
    match value {
        Value::Str(text) => text.clone(),
        other => Text::from(other.dumps(Separators::CompactSorted)),
    }
}
