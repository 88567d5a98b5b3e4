//! One process for each GPU or Neuron core of each host, with the variables of a torchrun rank and nothing between
//! footplate and the ranks.
//!
//! `init_process_group` connects to the other ranks through MASTER_ADDR and MASTER_PORT, and needs no launcher for
//! that.

use super::count::Span;
use super::engine::{Engine, Services, locate_nothing, nothing_further};
use super::error::LaunchError;
use super::input::LaunchInput;
use super::plan::{CommandPlan, LaunchPlan, ProcessPlan, ProcessRole};
use super::ports;
use super::process;
use crate::prepare::environment::VariableTable;
use crate::prepare::environment::registry::Variable;

/// The engine that starts one rank for each GPU or Neuron core.
pub(super) static PER_GPU: Engine = Engine {
    name: "per-gpu",
    title: "one process for each GPU",
    summary: "one process per GPU or Neuron core, with torchrun's variables",
    needs: "nothing",
    script: "`torch.distributed.init_process_group()`, `Accelerator()`, Lightning's `Trainer(num_nodes=…)`",
    flags: &[],
    variables: &[
        Variable::new(
            "RANK",
            "The rank, under `per-gpu` and `deepspeed`; also WORLD_SIZE, LOCAL_RANK and torchrun's other variables.",
        ),
        Variable::new("OMP_NUM_THREADS", "`1` if the host has several ranks, under `per-gpu` and `deepspeed`."),
    ],
    modules: &[],
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

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = input.job;
    let none_is_seen = input.hardware.gpus == 0 && input.hardware.neuron_cores == 0;
    let unseen = input.unseen_gpus();
    if none_is_seen && let Some(why) = unseen {
        return Err(LaunchError::new(format!("one process for each GPU was asked for: {why}")));
    }
    if input.settings.processes_per_host.is_none() && none_is_seen {
        return Err(LaunchError::new(
            "one process for each GPU was asked for, and this host has no GPU or Neuron core: use an instance that has \
             some, or set FOOTPLATE_PROCESSES_PER_HOST to the number of processes",
        ));
    }
    let nodes = job.nodes();
    let master = input.meeting_address();
    let span = input.span(&input.ranks_of_hosts(&nodes, None)?);
    let mut warnings: Vec<String> = unseen.into_iter().collect();
    if input.hardware.gpus > 0 && span.count > input.hardware.gpus {
        warnings.push(format!("{} processes share {} GPUs", span.count, input.hardware.gpus));
    }
    let command = process::command(input)?;
    let process_of = |local_rank: usize| {
        let variables = variables_of_rank(input, span, local_rank, nodes.len(), &master);
        let role = ProcessRole::Rank { rank: span.first + local_rank, local_rank };
        let command = CommandPlan { variables, ..command.clone() };
        ProcessPlan { leaves_error_file: true, ..ProcessPlan::of_script(role, command) }
    };
    Ok(LaunchPlan {
        processes: (0..span.count).map(process_of).collect(),
        variables: input.network_variables(),
        span: Some(span),
        warnings,
        ..LaunchPlan::new(PER_GPU.name, input)
    })
}

/// Returns the variables that torchrun sets for a rank.
pub(super) fn variables_of_rank(
    input: &LaunchInput<'_>,
    Span { first, count: local_world_size, world_size }: Span,
    local_rank: usize,
    nodes: usize,
    master: &str,
) -> VariableTable {
    let rank = first + local_rank;
    let mut variables = VariableTable::new();
    let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
    set("RANK", &rank.to_string());
    set("LOCAL_RANK", &local_rank.to_string());
    set("WORLD_SIZE", &world_size.to_string());
    set("LOCAL_WORLD_SIZE", &local_world_size.to_string());
    set("GROUP_RANK", &input.job.node_rank().to_string());
    set("GROUP_WORLD_SIZE", &nodes.to_string());
    set("ROLE_NAME", "default");
    set("ROLE_RANK", &rank.to_string());
    set("ROLE_WORLD_SIZE", &world_size.to_string());
    set("MASTER_ADDR", master);
    set("MASTER_PORT", &input.settings.master_port.to_string());
    set("TORCHELASTIC_RESTART_COUNT", "0");
    set("TORCHELASTIC_MAX_RESTARTS", &input.settings.max_restarts.to_string());
    set("TORCHELASTIC_RUN_ID", input.job.name.as_deref().unwrap_or("none"));
    // There is no agent that serves a store, so rank 0 serves one.
    set("TORCHELASTIC_USE_AGENT_STORE", "False");
    set("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1");
    if local_world_size > 1 {
        // torchrun sets this too, because ranks that each use all processors slow each other down.
        set("OMP_NUM_THREADS", "1");
    }
    variables
}
