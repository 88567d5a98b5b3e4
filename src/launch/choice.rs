//! The choice of the engine that a job asks for.

use super::engine::Engine;
use super::error::LaunchError;
use super::mpi::MPI;
use super::process::PROCESS;
use super::torchrun::TORCHRUN;
use crate::job::Job;
use crate::job::settings::Settings;

/// Chooses the engine of a job from a table: the one that is set, else the one that the drivers of SDK version 3 or the
/// platform's flags ask for, else one process a host.
///
/// If a distribution was asked for some instance groups, it is for these alone, whoever asked: the hosts of all others run
/// one process.
///
/// # Errors
/// The drivers ask for a launcher that is not known, or the setting names none of the table.
pub(super) fn choose(
    engines: &[&'static Engine],
    job: &Job,
    settings: &Settings,
) -> Result<&'static Engine, LaunchError> {
    // The framework whose function it is launches the script by itself, and asks for a launcher then.
    if job.request.training_module.is_some() {
        return Ok(&PROCESS);
    }
    if let Some(name) = settings.launcher.as_deref() {
        if job.cluster.is_left_out() {
            return Ok(&PROCESS);
        }
        let named = engines.iter().copied().find(|engine| engine.name == name);
        return named.ok_or_else(|| LaunchError::new(format!("there is no launcher {name}")));
    }
    if job.own_settings().is_some() {
        return Ok(&PROCESS);
    }
    if let Some(distributed) = job.distributed() {
        let asks_for = |name| distributed.get(name).is_some();
        return if asks_for("mpi_additional_options") {
            Ok(&MPI)
        } else if asks_for("process_count_per_node") || asks_for("smp") {
            Ok(&TORCHRUN)
        } else {
            Err(LaunchError::new(
                "distributed.json asks for a distribution that is neither Torchrun nor MPI: set FOOTPLATE_LAUNCHER to what \
                 starts the script, process for one process a host",
            ))
        };
    }
    let is_distributed = job.cluster.distribution_groups.contains(&job.cluster.current_group);
    let priority = |engine: &&'static Engine| {
        let set = engine.flags.iter().filter(|flag| is_distributed && job.is_flag_set(flag.name));
        set.map(|flag| flag.priority).min()
    };
    let asked = engines.iter().copied().filter_map(|engine| Some((priority(&engine)?, engine)));
    Ok(asked.min_by_key(|(priority, _)| *priority).map_or(&PROCESS, |(_, engine)| engine))
}
