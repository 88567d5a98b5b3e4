//! Which launcher a job asks for.

use super::LaunchError;
use crate::job::Job;
use crate::settings::{Launcher, Settings};

/// The launcher that is set, else the one that the drivers of SDK version 3 or the platform's flags ask for, else one
/// process a host. The flags come in the PyTorch toolkit's order of priority (sagemaker-pytorch-training 3.0.0,
/// `training.py`). Where a distribution was asked for some instance groups, it is for these alone, whoever asked: the hosts
/// of all others run one process.
///
/// # Errors
/// The drivers ask for a launcher that is not known.
pub fn choose(job: &Job, settings: &Settings) -> Result<Launcher, LaunchError> {
    if let Some(launcher) = settings.launcher {
        return Ok(if job.cluster.is_left_out() { Launcher::Process } else { launcher });
    }
    if let Some(distributed) = job.drivers.as_ref().and_then(|drivers| drivers.distributed.as_ref()) {
        let asks_for = |name| distributed.get(name).is_some();
        return match () {
            () if asks_for("mpi_additional_options") => Ok(Launcher::Mpi),
            () if asks_for("process_count_per_node") || asks_for("smp") => Ok(Launcher::Torchrun),
            () => Err(LaunchError(
                "distributed.json asks for a distribution that is neither Torchrun nor MPI: set FOOTPLATE_LAUNCHER to what \
                 starts the script, process for one process a host"
                    .to_owned(),
            )),
        };
    }
    const FLAGS: [(&str, Launcher); 5] = [
        ("mpi_enabled", Launcher::Mpi),
        ("pytorch_ddp_enabled", Launcher::Smddp),
        ("torch_distributed_enabled", Launcher::Torchrun),
        ("distributed_dataparallel_enabled", Launcher::Smddp),
        ("pytorch_xla_multi_worker_enabled", Launcher::Xla),
    ];
    let is_distributed = job.cluster.distribution_groups.contains(&job.cluster.current_group);
    let asked = FLAGS.into_iter().find(|(flag, _)| is_distributed && job.is_flag_set(flag));
    Ok(asked.map_or(Launcher::Process, |(_, launcher)| launcher))
}

/// Whether a launcher is mpirun, which starts the ranks of all hosts from the first one.
pub fn is_mpirun(launcher: Launcher) -> bool {
    matches!(launcher, Launcher::Mpi | Launcher::Smddp)
}

/// Whether a launch over several hosts can start only when all of them are there. The rendezvous of torchrun and of
/// PyTorch/XLA waits for hosts that come later.
pub fn needs_all_hosts(launcher: Launcher) -> bool {
    match launcher {
        Launcher::Process | Launcher::Torchrun | Launcher::Xla => false,
        Launcher::PerGpu | Launcher::Mpi | Launcher::Smddp => true,
    }
}
