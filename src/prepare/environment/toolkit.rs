//! The variables that sagemaker-training 5.1.4 gives.

use super::{Draft, name_of, value_of};
use crate::job::{Job, Variables};
use crate::machine::Hardware;
use crate::python::{Dict, Text, Value};

/// Python's `logging.INFO`, the level where the job gives none.
const DEFAULT_LOG_LEVEL: &str = "20";

/// The variables by name.
pub(super) fn variables(job: &Job, hardware: &Hardware, given: &Variables, arguments: &[Text]) -> Draft {
    let cluster = &job.cluster;
    let paths = &job.paths;
    let path = |path: std::path::PathBuf| Value::from(path.to_string_lossy().into_owned());

    let groups: Value = cluster.groups.iter().map(|group| group.name.as_str()).collect();
    let groups_by_name: Dict =
        cluster.groups.iter().map(|group| (Text::from(group.name.as_str()), group.raw.clone())).collect();
    let channel_dirs: Dict =
        job.channels.keys().map(|channel| (channel.clone(), path(paths.channel(&channel.to_str())))).collect();
    let mut channels: Vec<&Text> = job.channels.keys().collect();
    channels.sort();

    // `str(None)` where there is no program: the toolkit does so, and then runs a framework's module.
    let program = job.request.program.clone();
    let module_name = program.clone().unwrap_or_else(|| "None".to_owned());
    let module_name = module_name.strip_suffix(".py").unwrap_or(&module_name).to_owned();
    let module_dir = match &job.request.submit_directory {
        Some(folder) => Value::from(folder.as_str()),
        None => path(paths.code()),
    };
    let log_level = job.request.log_level.clone().unwrap_or(Value::Int(DEFAULT_LOG_LEVEL.to_owned()));
    let framework_module = Value::from(job.request.training_module.as_deref());
    let topology = match &cluster.resource_config {
        Value::Dict(config) => config.get("topology").cloned().unwrap_or(Value::List(Vec::new())),
        _ => Value::List(Vec::new()),
    };
    // The toolkit's own words: `mp_parameters and mp_parameters != "{}"`.
    let model_parallel = match given.get("SM_HP_MP_PARAMETERS") {
        None => Value::None,
        Some(text) if text.is_empty() => Value::from(""),
        Some(text) => Value::Bool(text != "{}"),
    };

    // What stands in SM_TRAINING_ENV, of which most has a variable of its own too.
    let mut shared = Dict::new();
    shared.set("hosts", cluster.hosts.iter().map(String::as_str).collect::<Value>());
    shared.set("network_interface_name", cluster.network_interface.as_str());
    shared.set("user_entry_point", program);
    shared.set("resource_config", cluster.resource_config.clone());
    shared.set("input_data_config", job.channels.clone());
    shared.set("output_data_dir", path(paths.output_data()));
    shared.set("current_host", cluster.current_host.as_str());
    shared.set("current_instance_type", cluster.instance_type.as_str());
    shared.set("current_instance_group", cluster.current_group.as_str());
    shared.set(
        "current_instance_group_hosts",
        cluster.current_group_hosts().iter().map(String::as_str).collect::<Value>(),
    );
    shared.set("instance_groups", groups);
    shared.set("instance_groups_dict", groups_by_name);
    shared
        .set("distribution_instance_groups", cluster.distribution_groups.iter().map(String::as_str).collect::<Value>());
    shared.set("is_hetero", cluster.groups.len() > 1);
    shared.set("module_name", module_name);
    shared.set("log_level", log_level);
    shared.set("framework_module", framework_module);
    shared.set("input_dir", path(paths.input()));
    shared.set("input_config_dir", path(paths.config()));
    shared.set("output_dir", path(paths.output()));
    shared.set("num_cpus", hardware.cpus);
    shared.set("num_gpus", hardware.gpus);
    shared.set("num_neurons", hardware.neuron_cores);
    shared.set("model_dir", path(paths.model()));
    shared.set("module_dir", module_dir);
    shared.set("output_intermediate_dir", path(paths.intermediate()));

    let mut training_env = shared.clone();
    training_env.set("additional_framework_parameters", job.framework_parameters.clone());
    training_env.set("channel_input_dirs", channel_dirs.clone());
    training_env.set("distribution_hosts", cluster.distribution_hosts().into_iter().collect::<Value>());
    training_env.set("hyperparameters", job.hyperparameters.clone());
    training_env.set("is_master", cluster.current_host == cluster.master());
    training_env.set("is_modelparallel_enabled", model_parallel);
    training_env.set("is_smddpmprun_installed", hardware.smddpmprun.is_some());
    training_env.set("is_smddprun_installed", hardware.smddprun.is_some());
    training_env.set("job_name", job.name.as_deref());
    training_env.set("master_hostname", cluster.master());
    training_env.set("topology", topology.clone());

    let mut variables: Draft = shared.iter().map(|(key, value)| (name_of(&key.to_str()), value_of(value))).collect();
    let mut set = |key: &str, value: &Value| variables.insert(name_of(key), value_of(value));
    set("hps", &Value::Dict(job.hyperparameters.clone()));
    set("framework_params", &Value::Dict(job.framework_parameters.clone()));
    set("channels", &channels.into_iter().collect());
    set("training_env", &Value::Dict(training_env));
    set("user_args", &arguments.iter().collect());
    if topology.is_true() {
        set("topology", &topology);
    }
    for (channel, folder) in channel_dirs.iter() {
        set(&format!("channel_{}", channel.to_str()), folder);
    }
    for (name, value) in job.hyperparameters.iter() {
        set(&format!("hp_{}", name.to_str()), value);
    }
    let plain = |value: &Option<Value>| value.as_ref().map(value_of).unwrap_or_default();
    variables.insert(Text::from("CURRENT_HOST"), Text::from(cluster.current_host.as_str()));
    variables.insert(Text::from("SAGEMAKER_JOB_NAME"), plain(&job.request.job_name));
    variables.insert(Text::from("SAGEMAKER_REGION"), plain(&job.request.region));
    variables
}
