//! Every variable that a script can rely on, in one list: the README's table comes from here, and a test holds what is
//! built to it.

/// A variable, or a family of them.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name; `*` stands for the name of a hyperparameter or channel in capitals.
    pub name: &'static str,
    /// What it holds.
    pub meaning: &'static str,
}

const fn variable(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, meaning }
}

/// Variables as sagemaker-training gives them.
pub const TOOLKIT: [Variable; 42] = [
    variable("SM_MODEL_DIR", "Where to leave the model."),
    variable("SM_OUTPUT_DATA_DIR", "Where to leave what should be kept beside the model."),
    variable("SM_OUTPUT_DIR", "The output folder, which the failure file is in."),
    variable("SM_OUTPUT_INTERMEDIATE_DIR", "The folder for output while the job runs."),
    variable("SM_INPUT_DIR", "The input folder."),
    variable("SM_INPUT_CONFIG_DIR", "The folder of the configuration files."),
    variable("SM_CHANNELS", "The names of the channels, sorted, as JSON."),
    variable("SM_CHANNEL_*", "The folder of each channel."),
    variable("SM_HPS", "The hyperparameters as JSON."),
    variable("SM_HP_*", "Each hyperparameter."),
    variable("SM_USER_ARGS", "The script's arguments as JSON."),
    variable("SM_USER_ENTRY_POINT", "The script."),
    variable("SM_MODULE_NAME", "The script's name without `.py`."),
    variable("SM_MODULE_DIR", "Where the code came from, else the code folder."),
    variable("SM_FRAMEWORK_MODULE", "SAGEMAKER_TRAINING_MODULE."),
    variable("SM_FRAMEWORK_PARAMS", "The platform's flags as JSON."),
    variable("SM_HOSTS", "The hosts as JSON."),
    variable("SM_CURRENT_HOST", "This host."),
    variable("SM_CURRENT_INSTANCE_TYPE", "The type of this host's instance."),
    variable("SM_CURRENT_INSTANCE_GROUP", "This host's instance group."),
    variable("SM_CURRENT_INSTANCE_GROUP_HOSTS", "The hosts of that group as JSON."),
    variable("SM_INSTANCE_GROUPS", "The names of the instance groups as JSON."),
    variable("SM_INSTANCE_GROUPS_DICT", "The instance groups by name as JSON."),
    variable("SM_DISTRIBUTION_INSTANCE_GROUPS", "The groups that a distribution was asked for, as JSON."),
    variable("SM_IS_HETERO", "Whether there are several instance groups."),
    variable("SM_NETWORK_INTERFACE_NAME", "The interface that hosts talk over."),
    variable("SM_TOPOLOGY", "The hosts' capacity units as JSON, where the platform tells them."),
    variable("SM_RESOURCE_CONFIG", "`resourceconfig.json`."),
    variable("SM_INPUT_DATA_CONFIG", "`inputdataconfig.json`."),
    variable("SM_NUM_CPUS", "Processors of this host."),
    variable("SM_NUM_GPUS", "GPUs of this host."),
    variable("SM_NUM_NEURONS", "Neuron cores of this host."),
    variable("SM_LOG_LEVEL", "The log level, as Python counts."),
    variable("SM_TRAINING_ENV", "All of this in one JSON object."),
    variable("CURRENT_HOST", "This host."),
    variable("SAGEMAKER_JOB_NAME", "The hyperparameter `sagemaker_job_name`."),
    variable("SAGEMAKER_REGION", "The job's region."),
    variable("SM_INPUT_DATA_DIR", "The folder of the channels' folders (SDK version 3)."),
    variable("SM_OUTPUT_FAILURE", "The failure file (SDK version 3)."),
    variable("SM_SOURCE_DIR", "The folder that the script runs in (SDK version 3)."),
    variable("SM_ENTRY_SCRIPT", "The script (SDK version 3)."),
    variable("SM_HOST_COUNT", "How many hosts there are (SDK version 3)."),
];

/// Variables beyond that.
pub const ADDITIONS: [Variable; 14] = [
    variable("SM_CURRENT_HOST_RANK", "This host's node rank (SDK version 3)."),
    variable("SM_MASTER_ADDR", "The host that ranks meet at (SDK version 3)."),
    variable("SM_MASTER_PORT", "The port there (SDK version 3)."),
    variable("SM_DISTRIBUTED_CONFIG", "`distributed.json`, in jobs of SDK version 3 that have one."),
    variable("SM_DISTRIBUTED_DRIVER_DIR", "The folder of the drivers, in such jobs."),
    variable("SM_HP_*", "Also with `_` for each character that a shell does not take: `SM_HP_BATCH_SIZE`."),
    variable("SM_CHECKPOINT_DIR", "The folder of checkpoints, if the job has one."),
    variable("MASTER_ADDR", "The host that ranks meet at, unless it is set."),
    variable("MASTER_PORT", "The port there, unless it is set."),
    variable("NNODES", "How many hosts take part, unless it is set."),
    variable("NODE_RANK", "This host's place among them, unless it is set."),
    variable(
        "PYTHONUNBUFFERED",
        "`1`, unless it is set; not where Open MPI 5 passes the lines on, because it mixes pieces of them.",
    ),
    variable("PYTHONPATH", "The code folder, before what was set."),
    variable(
        "FOOTPLATE_ENVIRONMENT_FILE",
        "A JSON file of the variables that were too large to be set, if there are any.",
    ),
];

/// Variables of launches, by what the machine has. What the container was given stays.
pub const LAUNCH: [Variable; 22] = [
    variable("NCCL_SOCKET_IFNAME", "The interface that hosts talk over, if it is there."),
    variable("NCCL_DEBUG", "`WARN` on hosts with GPUs."),
    variable("NCCL_IB_DISABLE", "`1` on hosts with GPUs and without EFA."),
    variable("NCCL_PROTO", "`simple` with EFA, and with `mp_parameters`."),
    variable("NCCL_ALGO", "`ring` with `mp_parameters`."),
    variable("FI_PROVIDER", "`efa` with EFA."),
    variable("FI_EFA_USE_DEVICE_RDMA", "`1` with EFA on instances that take part in RDMA."),
    variable("RDMAV_FORK_SAFE", "`1` with EFA, and under `smddp`."),
    variable("OFI_NCCL_NIC_DUP_CONNS", "The count of GPUs, with EFA under `xla`."),
    variable("RANK", "Also WORLD_SIZE, LOCAL_RANK and the others of torchrun, under `per-gpu`."),
    variable("OMP_NUM_THREADS", "`1` for several ranks, under `per-gpu`."),
    variable("TORCHELASTIC_ERROR_FILE", "Where a rank's exception is left, under `per-gpu` and `torchrun`."),
    variable("SMDATAPARALLEL_USE_SINGLENODE", "`1` on one host, under `smddp`."),
    variable("SMDATAPARALLEL_USE_HOMOGENEOUS", "`1` on several hosts, under `smddp`."),
    variable("SMDATAPARALLEL_SERVER_ADDR", "The master host, on several hosts under `smddp`."),
    variable("SMDATAPARALLEL_SERVER_PORT", "`7592`, on several hosts under `smddp`."),
    variable("SAGEMAKER_INSTANCE_TYPE", "The instance type, on several hosts under `smddp`."),
    variable("XRT_HOST_ORDINAL", "This host's node rank, under `xla`."),
    variable("XRT_SHARD_WORLD_SIZE", "How many hosts there are, under `xla`."),
    variable("XRT_WORKERS", "The hosts' workers, under `xla`."),
    variable("XRT_MESH_SERVICE_ADDRESS", "The mesh service at the master host, on several hosts under `xla`."),
    variable("GPU_NUM_DEVICES", "The count of GPUs, under `xla`."),
];

/// Whether a variable is one of the documented ones.
pub fn is_documented(name: &str) -> bool {
    TOOLKIT.iter().chain(&ADDITIONS).chain(&LAUNCH).any(|variable| match variable.name.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == variable.name,
    })
}

#[cfg(test)]
mod tests {
    use super::is_documented;
    use crate::job::config;
    use crate::job::settings::Settings;
    use crate::job::{DriverConfig, Paths, Variables};
    use crate::machine::Hardware;
    use crate::prepare::environment::{Given, build};
    use crate::python::{Value, parse};

    #[test]
    fn every_variable_that_is_built_is_documented() {
        let mut job = config::without_files(Paths::under("/opt/ml"), &Variables::default()).job;
        job.checkpoint_dir = Some("/opt/ml/checkpoints".into());
        job.hyperparameters.set("batch-size", "3");
        let Ok(Value::Dict(resources)) = parse(r#"{"topology": [{"hostName": "algo-1"}]}"#) else { panic!() };
        job.cluster.resource_config = Value::Dict(resources.clone());
        let toolkit = job.clone();
        job.drivers = Some(DriverConfig {
            entry_script: Some("train.py".to_owned()),
            distributed: Some(resources),
            ..DriverConfig::default()
        });
        for job in [toolkit, job] {
            let built =
                build(&job, &Hardware::default(), &Settings::default(), &Variables::default(), Given::Overwritten)
                    .expect("built");
            for name in built.variables.keys() {
                let name = String::from_utf8_lossy(name);
                assert!(is_documented(&name), "{name}");
            }
        }
    }
}
