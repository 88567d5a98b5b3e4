//! smdistributed data parallel: the image's mpirun starts the image's smddprun, which starts the ranks.
//!
//! `pytorch_ddp` is started in the same way, because smddprun sets RANK and the other variables for it. The command
//! and the variables are those of sagemaker-training 5.1.4 (`smdataparallel.py`), except those for EFA, which depend
//! on the machine. If the image has no smddprun, sagemaker-training continues without it, and the ranks do not find
//! each other. footplate refuses such a launch.

use super::options::user_options;
use super::start::{MpirunLaunch, locate, start};
use crate::job::Job;
use crate::job::python::Value;
use crate::job::settings::Settings;
use crate::launch::engine::{Engine, Flag, Services, nothing_further};
use crate::launch::error::LaunchError;
use crate::launch::input::{LaunchInput, words};
use crate::launch::plan::LaunchPlan;
use crate::launch::ports::{self, ListeningPort};
use crate::prepare::environment::VariableTable;
use crate::prepare::environment::registry::Variable;

/// The engine that runs the image's mpirun with smddprun.
pub(in crate::launch) static SMDDP: Engine = Engine {
    name: "smddp",
    title: "smddp",
    summary: "mpirun as under `mpi`, with smddprun for each rank",
    needs: "Open MPI and the smdistributed data parallel library",
    script: "`init_process_group(\"smddp\")`",
    flags: &[Flag::of_engine("pytorch_ddp_enabled", 20), Flag::of_engine("distributed_dataparallel_enabled", 40)],
    variables: &[
        Variable::new("SMDATAPARALLEL_USE_SINGLENODE", "`1` on one host, under `smddp`."),
        Variable::new("SMDATAPARALLEL_USE_HOMOGENEOUS", "`1` on several hosts, under `smddp`."),
        Variable::new("SMDATAPARALLEL_SERVER_ADDR", "The master host, on several hosts under `smddp`."),
        Variable::new("SMDATAPARALLEL_SERVER_PORT", "`7592`, on several hosts under `smddp`."),
        Variable::new("SAGEMAKER_INSTANCE_TYPE", "The instance type, on several hosts under `smddp`."),
    ],
    modules: &[],
    spans_hosts: true,
    needs_all_hosts: true,
    starts_ranks_of_other_hosts: true,
    services: Services::None,
    ports: listening_ports,
    task_log: None,
    locate,
    further_profile: nothing_further,
    plan,
};

/// The port of the library's servers on the master host.
const SERVER_PORT: u16 = 7592;

/// The engine's name, as used in sentences.
const IN_WORDS: &str = "smdistributed data parallel";

fn listening_ports(job: &Job, _: &Settings) -> Vec<ListeningPort> {
    if job.nodes().len() == 1 {
        return Vec::new();
    }
    ports::on_first_host(job, [ListeningPort::fixed(SERVER_PORT)])
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = input.job;
    if input.hardware.smddprun.is_none() {
        return Err(LaunchError::new(format!(
            "the job asks for {IN_WORDS}, and smddprun is not on PATH: use an image that has the smdistributed library, or set \
             FOOTPLATE_LAUNCHER=torchrun"
        )));
    }
    input.require_gpus(IN_WORDS, "use an instance that has some, or set FOOTPLATE_LAUNCHER=mpi")?;
    let parameter =
        |name: &str| job.framework_parameters.get(name).map(|value| value.to_py_str().to_str().into_owned());
    let options = parameter("sagemaker_distributed_dataparallel_custom_mpi_options").unwrap_or_default();
    let (custom, nccl_debug) = user_options(&options);
    let mut variables = VariableTable::new();
    let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
    set("RDMAV_FORK_SAFE", "1");
    match job.nodes().len() {
        1 => set("SMDATAPARALLEL_USE_SINGLENODE", "1"),
        _ => {
            set("SMDATAPARALLEL_SERVER_ADDR", &input.reach(&job.master()));
            set("SMDATAPARALLEL_SERVER_PORT", &SERVER_PORT.to_string());
            let requested = job.framework_parameters.get("sagemaker_instance_type").and_then(Value::as_str);
            set("SAGEMAKER_INSTANCE_TYPE", requested.unwrap_or(&job.cluster.instance_type));
            set("SMDATAPARALLEL_USE_HOMOGENEOUS", "1")
        }
    };
    if let Some(level) = nccl_debug {
        set("NCCL_DEBUG", &level);
    }
    let command = words(["smddprun"]);
    start(input, MpirunLaunch { launcher: SMDDP.name, in_words: IN_WORDS, custom, processes: None, variables, command })
}
