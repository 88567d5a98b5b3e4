//! The image's own torchrun on each host, with a static rendezvous at the master host.

use super::{Facts, LaunchError, LaunchPlan, Rank, words};
use crate::python::Value;
use crate::settings::Launcher;

pub(super) fn plan(facts: &Facts<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = facts.job;
    let script = facts.script("torchrun")?;
    let torchrun = facts.image.torchrun.clone().ok_or_else(|| {
        LaunchError(
            "the job asks for torchrun, which is neither on PATH nor beside Python: install PyTorch in the image, or set \
             FOOTPLATE_LAUNCHER=process"
                .to_owned(),
        )
    })?;
    let asked = match &job.drivers {
        Some(drivers) => drivers.distributed.as_ref().and_then(|distributed| distributed.get("process_count_per_node")),
        None => job.framework_parameters.get("sagemaker_mpi_num_of_processes_per_host"),
    };
    let ranks = facts.ranks_per_host(asked.and_then(Value::as_i64).and_then(|count| usize::try_from(count).ok()));
    let nodes = job.nodes();
    let mut arguments =
        words(["torchrun".to_owned(), format!("--nnodes={}", nodes.len()), format!("--nproc_per_node={ranks}")]);
    let mut program = torchrun;
    if let Some(compiler) = &facts.image.neuron_parallel_compile {
        arguments.insert(0, b"neuron_parallel_compile".to_vec());
        program = compiler.clone();
    }
    if nodes.len() > 1 {
        arguments.extend(words([
            format!("--master_addr={}", job.master()),
            format!("--master_port={}", facts.settings.master_port),
            format!("--node_rank={}", job.node_rank()),
        ]));
    }
    arguments.push(script.into());
    arguments.extend(facts.arguments.iter().cloned());
    Ok(LaunchPlan {
        launcher: Launcher::Torchrun,
        host: job.cluster.current_host.clone(),
        ranks: Rank::only(job),
        program,
        arguments,
        variables: facts.network_variables(),
        working_dir: job.code_dir(),
        warnings: Vec::new(),
    })
}
