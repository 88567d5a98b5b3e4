//! The choice of the engine that a job asks for.

use super::engine::{Engine, Flag};
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
    let modules = job.frameworks.as_deref().unwrap_or_default();
    let asked = flagged(engines, job).filter(|(engine, flag)| engine.answers(flag, modules));
    Ok(asked.min_by_key(|(_, flag)| flag.priority).map_or(&PROCESS, |(engine, _)| engine))
}

/// Returns the flags that a job on this host sets, with the engines that they are for.
fn flagged(engines: &[&'static Engine], job: &Job) -> impl Iterator<Item = (&'static Engine, &'static Flag)> {
    let is_distributed = job.cluster.distribution_groups.contains(&job.cluster.current_group);
    let flags = engines.iter().flat_map(|engine| engine.flags.iter().map(move |flag| (*engine, flag)));
    flags.filter(move |(_, flag)| is_distributed && job.is_flag_set(flag.name))
}

/// Returns the modules that decide between the engines of a flag which the job sets. Empty if the choice does not depend on
/// them: another request is stronger, or the job has one host, for which these engines start the script alone.
pub(super) fn undecided(engines: &[&'static Engine], job: &Job, settings: &Settings) -> Vec<&'static str> {
    let shared: Vec<&Engine> =
        flagged(engines, job).filter(|(_, flag)| flag.is_shared).map(|(engine, _)| engine).collect();
    let modules: Vec<&str> = shared.iter().flat_map(|engine| engine.modules).map(|module| module.name).collect();
    let with_all = Job { frameworks: Some(modules.clone()), ..job.clone() };
    let is_undecided = choose(engines, &with_all, settings)
        .is_ok_and(|engine| settings.launcher.is_none() && shared.iter().any(|asked| asked.name == engine.name));
    if is_undecided && job.nodes().len() > 1 { modules } else { Vec::new() }
}

/// Returns the warning for a job whose flag is for several engines, if none or several of them are there.
pub(super) fn frameworks_warning(engine: &Engine, job: &Job) -> Option<String> {
    match job.frameworks.as_deref()? {
        [] => Some(
            "sagemaker_parameter_server_enabled asks for the parameter servers of TensorFlow or MXNet, and the image's Python \
             has neither: each host runs one process"
                .to_owned(),
        ),
        [_] => None,
        found => Some(format!(
            "sagemaker_parameter_server_enabled: the image's Python has {}: the launcher is {engine}; set FOOTPLATE_LAUNCHER \
             for another one",
            found.join(" and ")
        )),
    }
}
