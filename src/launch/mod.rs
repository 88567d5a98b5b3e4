//! From a job to the processes that run its script: a [`LaunchPlan`] for each host.
//!
//! Each way to start a script is an [`Engine`] in its own file. The table [`ENGINES`] lists them, and all other code
//! uses the engine or the plan. To add an engine, write its file, and add its module and a line in the table below.
//!
//! The folder is pure, so that tables of cases test it and `footplate plan` can print its plans: nothing here touches
//! a file, a process or a clock. The programs of the image are passed in as an [`Image`], which the engine fills
//! through an [`ImageProbe`].
//!
//! This folder must not start a process, and must not know how processes are supervised.

mod accelerate;
mod choice;
mod count;
mod dask;
mod deepspeed;
mod display;
mod engine;
mod error;
mod image;
mod input;
mod jax;
pub mod mpi;
mod mxnet;
mod network;
mod per_gpu;
mod plan;
mod ports;
mod process;
mod ray;
mod service;
mod tensorflow;
mod tensorflow_ps;
mod torchrun;
mod xgboost;
mod xla;

pub use count::Span;
pub use display::{plan_json, plan_line, plan_text, service_words};
pub use engine::{Engine, Flag, Profile, PythonModule, Services, TaskLog};
pub use error::LaunchError;
pub use image::{Image, ImageProbe, Programs};
pub use input::{Entry, LaunchInput};
pub use plan::{
    CAUSE_FILE, CommandPlan, ERROR_FILE, EndMeaning, EndTraits, LaunchPlan, ProcessPlan, ProcessRole, RankStarter,
    ReadySign, Separation, StartAfter, StopTarget, Tagged,
};
pub use ports::ListeningPort;
pub use process::PROCESS;
pub use ray::{LongSocketFolder, long_socket_folder};
pub use tensorflow::{TF_CONFIG, tasks_of_cluster};

use network::NO_GRPC_PROXY;

use crate::job::Job;
use crate::job::settings::Settings;
use crate::prepare::environment::registry::Variable;

/// The engines, in the order in which the documentation lists them.
pub static ENGINES: &[&Engine] = &[
    &PROCESS,
    &per_gpu::PER_GPU,
    &torchrun::TORCHRUN,
    &mpi::MPI,
    &mpi::SMDDP,
    &xla::XLA,
    &jax::JAX,
    &tensorflow::TENSORFLOW,
    &deepspeed::DEEPSPEED,
    &accelerate::ACCELERATE,
    &ray::RAY,
    &dask::DASK,
    &mxnet::MXNET,
    &xgboost::XGBOOST,
    &tensorflow_ps::TENSORFLOW_PS,
];

/// The variables that depend on the machine, or that several engines set.
const SHARED_VARIABLES: [Variable; 11] = [
    Variable::new("NCCL_SOCKET_IFNAME", "The network interface that the hosts use, if it exists."),
    Variable::new("NCCL_DEBUG", "`WARN` on hosts with GPUs."),
    Variable::new("NCCL_IB_DISABLE", "`1` on hosts with GPUs and without EFA."),
    Variable::new("NCCL_PROTO", "`simple` with EFA, and with `mp_parameters`."),
    Variable::new("NCCL_ALGO", "`ring` with `mp_parameters`."),
    Variable::new("FI_PROVIDER", "`efa` with EFA."),
    Variable::new("FI_EFA_USE_DEVICE_RDMA", "`1` with EFA on instances that support RDMA."),
    Variable::new("RDMAV_FORK_SAFE", "`1` with EFA, and under `smddp`."),
    Variable::new(
        NO_GRPC_PROXY,
        "The hosts of the job, under `jax` and `tensorflow` if a proxy is set: gRPC must not ask it for them.",
    ),
    Variable::new(ERROR_FILE, "The file for a rank's exception, under `per-gpu`, `deepspeed` and `torchrun`."),
    Variable::new(
        CAUSE_FILE,
        "The file through which the package `sagemaker_training` passes on why the script failed.",
    ),
];

/// Returns the names that the setting `launcher` accepts.
pub fn names() -> Vec<&'static str> {
    ENGINES.iter().map(|engine| engine.name).collect()
}

/// Returns the documentation of the variables that launches set. Variables of the container take precedence over
/// them.
pub fn variables() -> Vec<Variable> {
    SHARED_VARIABLES.into_iter().chain(ENGINES.iter().flat_map(|engine| engine.variables.iter().copied())).collect()
}

/// Chooses the engine of a job: the one in the settings, else the one that the job requests, else one process per
/// host.
///
/// # Errors
/// The job requests a launcher that is not known.
pub fn choose(job: &Job, settings: &Settings) -> Result<&'static Engine, LaunchError> {
    choice::choose(ENGINES, job, settings)
}

/// Returns the Python modules on which the choice of the engine depends, because the job sets a flag that several
/// engines share. Empty if the choice does not depend on any. [`Job::frameworks`] stores those that the image has.
pub fn undecided(job: &Job, settings: &Settings) -> Vec<&'static str> {
    choice::undecided(ENGINES, job, settings)
}

/// Plans the processes of this host.
///
/// # Errors
/// The job requests a launch that is not possible here. It is never replaced by a single process.
pub fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    plan_with(ENGINES, input)
}

/// Plans the processes of this host with the engines of a table.
fn plan_with(engines: &[&'static Engine], input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let engine = choice::choose(engines, input.job, input.settings)?;
    let mut plan = (engine.plan)(input)?;
    plan.warnings.extend(choice::frameworks_warning(engine, input.job));
    if let Some(set) = input.settings.launcher.as_deref().filter(|set| *set != engine.name) {
        let cluster = &input.job.cluster;
        plan.warnings.push(match &input.job.request.training_module {
            Some(function) => format!(
                "FOOTPLATE_LAUNCHER={set} is for the entry points that {function} runs by sagemaker_training: the function \
                 itself runs once on each host"
            ),
            None => format!(
                "FOOTPLATE_LAUNCHER={set} is for the instance groups {}: this host is in the group {}, and runs one process",
                cluster.distribution_groups.join(", "),
                cluster.current_group
            ),
        });
    }
    Ok(plan)
}

#[cfg(test)]
mod tests;
