//! The choice of the engine for a job.

use super::engine::{Engine, Flag};
use super::error::LaunchError;
use super::mpi::MPI;
use super::process::PROCESS;
use super::torchrun::TORCHRUN;
use crate::job::Job;
use crate::job::settings::Settings;

/// Chooses the engine of a job from a table. It is the one in the settings, else the one that the drivers of SDK
/// version 3 or the platform's flags request, else one process per host.
///
/// A distribution that was requested for some instance groups applies only to those groups. The hosts of all other
/// groups run one process.
///
/// # Errors
/// The drivers request a launcher that is not known, or the setting names a launcher that is not in the table.
pub(super) fn choose(
    engines: &[&'static Engine],
    job: &Job,
    settings: &Settings,
) -> Result<&'static Engine, LaunchError> {
    // The framework that provides the function launches the script itself, and requests a launcher then.
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
    let requested = flagged(engines, job).filter(|(engine, flag)| engine.answers(flag, modules));
    Ok(requested.min_by_key(|(_, flag)| flag.priority).map_or(&PROCESS, |(engine, _)| engine))
}

/// Returns the flags that a job on this host sets, each with the engine that it requests.
fn flagged(engines: &[&'static Engine], job: &Job) -> impl Iterator<Item = (&'static Engine, &'static Flag)> {
    let is_distributed = job.cluster.distribution_groups.contains(&job.cluster.current_group);
    let flags = engines.iter().flat_map(|engine| engine.flags.iter().map(move |flag| (*engine, flag)));
    flags.filter(move |(_, flag)| is_distributed && job.is_flag_set(flag.name))
}

/// Returns the modules that decide between the engines of a flag that the job sets. Empty if the choice does not
/// depend on them, because another request is stronger, or because the job has one host, on which these engines only
/// start the script.
pub(super) fn undecided(engines: &[&'static Engine], job: &Job, settings: &Settings) -> Vec<&'static str> {
    let shared: Vec<&Engine> =
        flagged(engines, job).filter(|(_, flag)| flag.is_shared).map(|(engine, _)| engine).collect();
    let modules: Vec<&str> = shared.iter().flat_map(|engine| engine.modules).map(|module| module.name).collect();
    let with_all = Job { frameworks: Some(modules.clone()), ..job.clone() };
    let is_undecided = choose(engines, &with_all, settings).is_ok_and(|engine| {
        settings.launcher.is_none() && shared.iter().any(|requested| requested.name == engine.name)
    });
    if is_undecided && job.nodes().len() > 1 { modules } else { Vec::new() }
}

/// Returns the warning for a job with a flag for several engines, if the image has the modules of none or of several
/// of them.
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
