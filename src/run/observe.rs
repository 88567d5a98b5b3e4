//! The observers of the script: they look for metrics in its lines, and sample what the container uses.

use std::path::{Path, PathBuf};

use super::Prepared;
use super::context::Context;
use super::live::Live;
use crate::event::Moment;
use crate::files;
use crate::job::config;
use crate::job::settings::TensorBoardChoice;
use crate::machine::{self, Hardware, devices};
use crate::observe::advice::Processes;
use crate::observe::export::{Board, Push, PushInput, PushSettings};
use crate::observe::metrics::{Metrics, MetricsInput};
use crate::observe::resources::{DevicesInput, GpuPresence, Resources, ResourcesInput};
use crate::python::Value;

/// The hyperparameter by which a tuning job names its objective.
const OBJECTIVE: &str = "_tuning_objective_metric";

/// The variable that names the folder of the platform's Experiments.
const EXPERIMENTS: &str = "SAGEMAKER_METRICS_DIRECTORY";

/// The facts about this host that observers need.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostFacts<'a> {
    /// The hardware.
    pub(super) hardware: &'a Hardware,
    /// The number of training processes.
    pub(super) processes: Processes,
}

/// Begins to observe the script.
pub(super) fn begin(context: &Context, live: &mut Live, prepared: &Prepared, host: &HostFacts<'_>, code_dir: &Path) {
    let board = board(prepared);
    watch(context, live, prepared, code_dir, board.clone());
    sample(context, live, prepared, host, board);
    push(context, live, prepared);
}

/// Returns the event file for TensorBoard, if the job asks for it.
fn board(prepared: &Prepared) -> Option<Board> {
    let paths = &prepared.job.paths;
    let folder = match &prepared.settings.tensorboard {
        TensorBoardChoice::Off => return None,
        TensorBoardChoice::Folder(folder) => paths.base().join(folder),
        TensorBoardChoice::Default => {
            let mut warnings = Vec::new();
            let folder = config::tensorboard_folder(paths, &mut warnings);
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            folder
        }
    };
    Some(Board::new(&folder, &prepared.job.cluster.current_host, Moment::now().unix_seconds()))
}

/// Begins to send metrics, if the variables ask for it.
fn push(context: &Context, live: &mut Live, prepared: &Prepared) {
    let job = prepared.job.name.as_deref().unwrap_or_default();
    let mut warnings = Vec::new();
    let settings = PushSettings::of(&context.variables, job, &prepared.job.cluster.current_host, &mut warnings);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let Some(settings) = settings else { return };
    let (metrics, resources) = (live.metrics.clone(), live.resources.clone());
    if metrics.is_none() && resources.is_none() {
        return;
    }
    match Push::begin(PushInput { settings, variables: context.variables.clone(), metrics, resources }) {
        Ok(push) => live.push = Some(push),
        Err(error) => {
            tracing::warn!("metrics are not sent to the OpenTelemetry endpoint: no thread can be started ({error})")
        }
    }
}

/// Begins to sample what the container uses, unless that is turned off.
fn sample(context: &Context, live: &mut Live, prepared: &Prepared, host: &HostFacts<'_>, board: Option<Board>) {
    let interval = prepared.settings.resource_interval;
    if live.record.is_none() || interval.is_zero() {
        return;
    }
    let name = prepared.job.cluster.current_host.clone();
    let input = ResourcesInput {
        interval,
        folder: prepared.job.paths.record(&name),
        host: name,
        base: prepared.job.paths.base().to_owned(),
        devices: devices(context, live, prepared, host.hardware),
        processes: host.processes,
        board,
        metrics: live.metrics.clone(),
    };
    let resources = Resources::begin(input, &live.events);
    if let Some(record) = &live.record {
        record.sample(resources.clone());
    }
    live.resources = Some(resources);
}

/// Returns the devices of this host, and the programs of the image that report on them.
fn devices(context: &Context, live: &mut Live, prepared: &Prepared, hardware: &Hardware) -> DevicesInput {
    let (has_gpus, has_neuron) = (hardware.gpus > 0, hardware.neuron_cores > 0);
    if !has_gpus && !has_neuron {
        return DevicesInput::default();
    }
    let find = |name| machine::which(name, context.variables.get_os("PATH")).found();
    let packaged =
        || Some(Path::new(devices::neuron::FOLDER).join(devices::neuron::PROGRAM)).filter(|path| path.exists());
    DevicesInput {
        gpus: match prepared.settings.gpus {
            _ if !has_gpus => GpuPresence::None,
            Some(_) => GpuPresence::Assumed,
            None => GpuPresence::Found,
        },
        nvidia_smi: find("nvidia-smi"),
        has_neuron,
        neuron_monitor: find(devices::neuron::PROGRAM).or_else(packaged),
        scratch: if has_neuron { live.scratch.path().ok().map(Path::to_owned) } else { None },
        variables: context.variables.clone(),
    }
}

/// Begins to look for the job's metrics, if it has any.
fn watch(context: &Context, live: &mut Live, prepared: &Prepared, code_dir: &Path, board: Option<Board>) {
    let job = &prepared.job;
    let own = prepared.settings.metrics.as_ref().map(|file| code_dir.join(file));
    let paths = job.paths.clone();
    let read = files::together(move || {
        let mut warnings = Vec::new();
        (config::metric_definitions(&paths, own.as_deref(), &mut warnings), warnings)
    });
    let (definitions, warnings) = read.unwrap_or_else(|error| {
        (Vec::new(), vec![format!("no metric definitions are used of {}: {error}", error.path.display())])
    });
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let objective = job.all_hyperparameters.get(OBJECTIVE).and_then(Value::as_str).map(str::to_owned);
    if definitions.is_empty() && objective.is_none() {
        return;
    }
    let host = &job.cluster.current_host;
    let input = MetricsInput {
        definitions,
        objective,
        host: host.clone(),
        folder: job.paths.record(host),
        experiments: context.variables.get_os(EXPERIMENTS).map(PathBuf::from).filter(|folder| folder.is_dir()),
        board,
    };
    match Metrics::begin(input) {
        Ok(metrics) => {
            live.supervisor.tap(metrics.tap());
            if let Some(record) = &live.record {
                record.watch(metrics.clone());
            }
            live.metrics = Some(metrics);
        }
        Err(error) => tracing::warn!("the job's metrics are not looked for: no thread can be started ({error})"),
    }
}

/// Ends the observation once the script has ended, and says what was found.
pub(super) async fn end(live: &mut Live) {
    if let Some(resources) = live.resources.take() {
        resources.finish().await;
    }
    if let Some(metrics) = live.metrics.take() {
        for line in metrics.finish().await {
            tracing::info!("{line}");
        }
    }
    // With the last values of the others.
    if let Some(push) = live.push.take() {
        push.finish().await;
    }
}
