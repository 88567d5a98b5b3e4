//! JAX over several processes: footplate starts them, and `jax.distributed.initialize()` needs no argument.
//!
//! JAX has variables for the coordinator and for the devices of a process, but none for the number of processes and
//! for the number of this one (0.10). It takes these from a cluster that it detects. footplate sets Open MPI's
//! variables, because they do not disturb the detection of other libraries. JAX needs nothing else of Open MPI,
//! because the coordinator has its own variable.

use super::count::Span;
use super::engine::{Engine, PythonModule, Services, locate_nothing, nothing_further};
use super::error::LaunchError;
use super::input::LaunchInput;
use super::network::LOOPBACK;
use super::plan::{CommandPlan, EndTraits, LaunchPlan, ProcessPlan, ProcessRole};
use super::ports;
use super::process;
use crate::prepare::environment::VariableTable;
use crate::prepare::environment::registry::Variable;

/// The engine that starts the processes of JAX.
pub(super) static JAX: Engine = Engine {
    name: "jax",
    title: "jax",
    summary: "one process per GPU, or one per host without GPUs, that `jax.distributed.initialize()` joins without arguments",
    needs: "JAX",
    script: "`jax.distributed.initialize()`",
    flags: &[],
    variables: &[
        Variable::new(COORDINATOR, "The coordinator, at MASTER_PORT of the master host, under `jax`."),
        Variable::new(BIND_ADDRESS, "The address at which the coordinator listens, if all hosts are on one machine."),
        Variable::new("JAX_NUM_PROCESSES", "The number of processes, under `jax`."),
        Variable::new("JAX_PROCESS_ID", "The number of the process, under `jax`."),
        Variable::new("JAX_LOCAL_DEVICE_IDS", "The GPUs of the process, on hosts with GPUs under `jax`."),
        Variable::new(
            OMPI_URI,
            "Set under `jax`, with OMPI_COMM_WORLD_SIZE, OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_LOCAL_RANK: JAX finds the \
             number of processes by them. No Open MPI runs.",
        ),
    ],
    modules: &[PythonModule { name: "jax", package: "jax" }],
    spans_hosts: true,
    needs_all_hosts: true,
    starts_ranks_of_other_hosts: false,
    services: Services::None,
    ports: ports::of_master,
    task_log: None,
    locate: locate_nothing,
    further_profile: nothing_further,
    plan,
};

const COORDINATOR: &str = "JAX_COORDINATOR_ADDRESS";
const BIND_ADDRESS: &str = "JAX_COORDINATOR_BIND_ADDRESS";

/// The variable by which JAX detects Open MPI. JAX parses a coordinator from its value only if [`COORDINATOR`] is not
/// set.
const OMPI_URI: &str = "OMPI_MCA_orte_hnp_uri";

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let nodes = input.job.nodes();
    let span = input.span(&input.ranks_of_hosts(&nodes, None)?);
    let command = process::command(input)?;
    let process_of = |local_rank: usize| {
        let role = ProcessRole::Rank { rank: span.first + local_rank, local_rank };
        let command = CommandPlan { variables: variables_of_rank(input, span, local_rank)?, ..command.clone() };
        Ok(ProcessPlan::of_script(role, command))
    };
    let mut variables = input.network_variables();
    variables.extend(input.grpc_variables());
    let coordinator = format!("{}:{}", input.meeting_address(), input.settings.master_port);
    if nodes.len() == 1 || input.shares_machine() {
        // By default JAX listens on all addresses, so that a second job on this machine could not start.
        variables.insert(BIND_ADDRESS.into(), coordinator.clone().into());
    }
    variables.insert(COORDINATOR.into(), coordinator.into());
    Ok(LaunchPlan {
        processes: (0..span.count).map(process_of).collect::<Result<_, LaunchError>>()?,
        variables,
        span: Some(span),
        end_traits: EndTraits {
            outlives_traceback: true,
            notices_stop_by: Some(
                "JAX swallows SIGTERM: a script notices it by multihost_utils.reached_preemption_sync_point, or by a handler \
                 that it sets after jax.distributed.initialize()",
            ),
            ..EndTraits::default()
        },
        warnings: input.unseen_gpus().into_iter().collect(),
        ..LaunchPlan::new(JAX.name, input)
    })
}

fn variables_of_rank(input: &LaunchInput<'_>, span: Span, local_rank: usize) -> Result<VariableTable, LaunchError> {
    let (rank, size) = (span.first + local_rank, span.world_size);
    let mut variables = VariableTable::new();
    let mut set = |name: &str, value: String| variables.insert(name.into(), value.into());
    set("JAX_NUM_PROCESSES", size.to_string());
    set("JAX_PROCESS_ID", rank.to_string());
    set(OMPI_URI, format!("0.0;tcp://{LOOPBACK}:1"));
    set("OMPI_COMM_WORLD_SIZE", size.to_string());
    set("OMPI_COMM_WORLD_RANK", rank.to_string());
    set("OMPI_COMM_WORLD_LOCAL_RANK", local_rank.to_string());
    let gpus = input.hardware.gpus;
    if gpus > 0 {
        // In a detected cluster, a process without this variable uses only one GPU.
        let ids: Vec<String> = share(gpus, span.count, local_rank)?.map(|id| id.to_string()).collect();
        set("JAX_LOCAL_DEVICE_IDS", ids.join(","));
    }
    Ok(variables)
}

/// Returns the GPUs of one of `count` processes that share all GPUs of a host.
///
/// # Errors
/// The GPUs cannot be divided equally.
fn share(gpus: usize, count: usize, local_rank: usize) -> Result<std::ops::Range<usize>, LaunchError> {
    if !gpus.is_multiple_of(count) {
        return Err(LaunchError::new(format!(
            "jax cannot share {gpus} GPUs equally among {count} processes: set FOOTPLATE_PROCESSES_PER_HOST to a divisor of {gpus}"
        )));
    }
    let size = gpus / count;
    Ok(local_rank * size..(local_rank + 1) * size)
}
