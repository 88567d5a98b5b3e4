//! One process for each GPU or Neuron core of each host, with the variables of a torchrun rank and nothing between
//! footplate and the ranks.
//!
//! `init_process_group` meets at MASTER_ADDR and MASTER_PORT by itself, and needs no launcher for that.

use super::{Facts, LaunchError, LaunchPlan, Rank, Span, process};
use crate::job::settings::Launcher;
use crate::prepare::environment::VariableTable;

/// Where ranks meet that are all on one host: its name need not resolve.
const LOOPBACK: &str = "127.0.0.1";

pub(super) fn plan(facts: &Facts<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = facts.job;
    let none_is_seen = facts.hardware.gpus == 0 && facts.hardware.neuron_cores == 0;
    if let Some(why) = facts.unseen_gpus().filter(|_| none_is_seen) {
        return Err(LaunchError(format!("one process for each GPU was asked for: {why}")));
    }
    if facts.settings.processes_per_host.is_none() && none_is_seen {
        return Err(LaunchError(
            "one process for each GPU was asked for, and this host has no GPU or Neuron core: use an instance that has, \
             or set FOOTPLATE_PROCESSES_PER_HOST to how many processes to start"
                .to_owned(),
        ));
    }
    let nodes = job.nodes();
    let node_rank = job.node_rank();
    let master = if nodes.len() == 1 { LOOPBACK.to_owned() } else { facts.reach(&job.master()) };
    let span = facts.span(&facts.ranks_of_hosts(&nodes, None)?);
    let Span { first, count: local_world_size, world_size } = span;
    let mut warnings: Vec<String> = facts.unseen_gpus().filter(|_| !none_is_seen).into_iter().collect();
    if facts.hardware.gpus > 0 && local_world_size > facts.hardware.gpus {
        warnings.push(format!("{local_world_size} processes share {} GPUs", facts.hardware.gpus));
    }
    let ranks = (0..local_world_size)
        .map(|local_rank| {
            let rank = first + local_rank;
            let mut variables = VariableTable::new();
            let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
            set("RANK", &rank.to_string());
            set("LOCAL_RANK", &local_rank.to_string());
            set("WORLD_SIZE", &world_size.to_string());
            set("LOCAL_WORLD_SIZE", &local_world_size.to_string());
            set("GROUP_RANK", &node_rank.to_string());
            set("GROUP_WORLD_SIZE", &nodes.len().to_string());
            set("ROLE_NAME", "default");
            set("ROLE_RANK", &rank.to_string());
            set("ROLE_WORLD_SIZE", &world_size.to_string());
            set("MASTER_ADDR", &master);
            set("MASTER_PORT", &facts.settings.master_port.to_string());
            set("TORCHELASTIC_RESTART_COUNT", "0");
            set("TORCHELASTIC_MAX_RESTARTS", "0");
            set("TORCHELASTIC_RUN_ID", job.name.as_deref().unwrap_or("none"));
            // There is no agent here that serves a store: rank 0 serves its own.
            set("TORCHELASTIC_USE_AGENT_STORE", "False");
            set("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1");
            if local_world_size > 1 {
                // As torchrun does: ranks that each take all processors slow each other down.
                set("OMP_NUM_THREADS", "1");
            }
            Rank { rank, local_rank, variables }
        })
        .collect();
    let (program, arguments) = process::command(facts)?;
    Ok(LaunchPlan {
        launcher: Launcher::PerGpu,
        host: job.cluster.current_host.clone(),
        ranks,
        span: Some(span),
        program,
        arguments,
        variables: facts.network_variables(),
        working_dir: job.code_dir(),
        tagged: None,
        keeps_ranks: false,
        warnings,
    })
}
