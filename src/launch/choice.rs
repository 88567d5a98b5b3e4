//! Which launcher a job asks for.

use super::LaunchError;
use crate::job::settings::{Launcher, Settings};
use crate::job::{Job, Variables};

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

/// Whether a launcher has its ranks in process groups of their own and ends when they have: an orderly stop is for them.
/// mpirun that is told to stop kills its ranks after a second or less, torchrun after 30, and then fails. But torchrun that may
/// restart ranks would.
pub fn ends_with_its_ranks(launcher: Launcher, settings: &Settings, variables: &Variables) -> bool {
    // torchrun takes an option that is cut short, either way to write it, and a variable in its place.
    let is_asked = || settings.torchrun_arguments.iter().any(|word| word.starts_with("--max"));
    let is_set = || variables.get_non_empty("PET_MAX_RESTARTS").is_some_and(|value| value != "0");
    is_mpirun(launcher) || launcher == Launcher::Torchrun && !is_asked() && !is_set()
}

/// Whether a launch over several hosts can start only when all of them are there. The rendezvous of torchrun and of
/// PyTorch/XLA waits for hosts that come later.
pub fn needs_all_hosts(launcher: Launcher) -> bool {
    match launcher {
        Launcher::Process | Launcher::Torchrun | Launcher::Xla => false,
        Launcher::PerGpu | Launcher::Mpi | Launcher::Smddp => true,
    }
}

#[cfg(test)]
mod tests {
    use super::ends_with_its_ranks;
    use crate::job::Variables;
    use crate::job::settings::{Launcher, Settings};

    #[test]
    fn torchrun_that_restarts_ranks_does_not_end_with_them() {
        for (launcher, arguments, variable, ends) in [
            (Launcher::Mpi, "", "3", true),
            (Launcher::PerGpu, "", "", false),
            (Launcher::Torchrun, "--tee 3", "", true),
            (Launcher::Torchrun, "", "0", true),
            (Launcher::Torchrun, "", "3", false),
            (Launcher::Torchrun, "--tee 3 --max-restarts=3", "", false),
            (Launcher::Torchrun, "--max_restarts 3", "", false),
        ] {
            let torchrun_arguments = arguments.split_whitespace().map(str::to_owned).collect();
            let settings = Settings { torchrun_arguments, ..Settings::default() };
            let variables: Variables = [("PET_MAX_RESTARTS", variable)].into_iter().collect();
            let found = ends_with_its_ranks(launcher, &settings, &variables);
            assert_eq!(found, ends, "{launcher} {arguments} {variable}");
        }
    }
}
