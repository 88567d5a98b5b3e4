//! Which launcher a job asks for.

use super::LaunchError;
use crate::job::Job;
use crate::settings::{Launcher, Settings};

/// The launcher that is set, else the one that the drivers of SDK version 3 or the platform's flags ask for, else one
/// process a host. The flags come in the PyTorch toolkit's order of priority, and count only where the host's group is
/// one of those that the distribution is for.
///
/// # Errors
/// A flag asks for a launcher that there is not.
pub fn choose(job: &Job, settings: &Settings) -> Result<Launcher, LaunchError> {
    if let Some(launcher) = settings.launcher {
        return Ok(launcher);
    }
    if let Some(distributed) = job.drivers.as_ref().and_then(|drivers| drivers.distributed.as_ref()) {
        return Ok(if distributed.get("mpi_additional_options").is_some() {
            Launcher::Mpi
        } else {
            Launcher::Torchrun
        });
    }
    if !job.cluster.distribution_groups.contains(&job.cluster.current_group) {
        return Ok(Launcher::Process);
    }
    let unknown = |name: &str| {
        Err(LaunchError(format!(
            "the job asks for {name}, which this version of footplate does not launch: use torchrun or mpi, or set \
             FOOTPLATE_LAUNCHER=process to run one process on each host"
        )))
    };
    if job.is_flag_set("mpi_enabled") {
        Ok(Launcher::Mpi)
    } else if job.is_flag_set("pytorch_ddp_enabled") {
        unknown("pytorch_ddp")
    } else if job.is_flag_set("torch_distributed_enabled") {
        Ok(Launcher::Torchrun)
    } else if job.is_flag_set("distributed_dataparallel_enabled") {
        unknown("smdistributed data parallel")
    } else if job.is_flag_set("pytorch_xla_multi_worker_enabled") {
        unknown("PyTorch/XLA")
    } else {
        Ok(Launcher::Process)
    }
}

/// Whether a launch over several hosts can start only when all of them are there. torchrun cannot fail for want of waiting:
/// its rendezvous waits for hosts that come later.
pub fn needs_all_hosts(launcher: Launcher) -> bool {
    !matches!(launcher, Launcher::Process | Launcher::Torchrun)
}
