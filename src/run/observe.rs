//! The observers of the script, which search its lines for metrics and sample the container's resource usage.

use std::path::{Path, PathBuf};

use super::Prepared;
use super::context::Context;
use super::live::Live;
use crate::event::Moment;
use crate::job::config;
use crate::job::settings::{StackChoice, TensorBoardChoice};
use crate::machine::{self, Hardware, devices};
use crate::observe::advice::Processes;
use crate::observe::export::{EventFile, Push, PushInput, PushSettings};
use crate::observe::metrics::{Metrics, MetricsInput};
use crate::observe::resources::{DevicesInput, GpuPresence, LoaderLook, Resources, ResourcesInput};
use crate::system::files;
use crate::watch::stacks::RankProcesses;

/// The variable that names the folder of the platform's Experiments.
const EXPERIMENTS: &str = "SAGEMAKER_METRICS_DIRECTORY";

/// The facts about this host that observers use.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostFacts<'a> {
    /// The hardware.
    pub(super) hardware: &'a Hardware,
    /// The number of training processes.
    pub(super) processes: Processes,
}

/// Begins to observe the script.
pub(super) fn begin(context: &Context, live: &mut Live, prepared: &Prepared, host: &HostFacts<'_>, code_dir: &Path) {
    let event_file = event_file(prepared);
    watch(context, live, prepared, code_dir, event_file.clone());
    sample(context, live, prepared, host, event_file);
    push(context, live, prepared);
}

/// Returns the event file for TensorBoard, if the job requests it.
fn event_file(prepared: &Prepared) -> Option<EventFile> {
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
    Some(EventFile::new(&folder, &prepared.job.cluster.current_host, Moment::now().unix_seconds()))
}

/// Begins to send metrics, if the variables request it.
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

/// Begins to sample the container's resource usage, unless that is turned off.
fn sample(
    context: &Context,
    live: &mut Live,
    prepared: &Prepared,
    host: &HostFacts<'_>,
    event_file: Option<EventFile>,
) {
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
        event_file,
        metrics: live.metrics.clone(),
        loader_look: (host.hardware.gpus > 0 && prepared.settings.stacks != StackChoice::Off).then(|| {
            let processes = RankProcesses::subscribe(&live.events);
            LoaderLook(Box::new(move || processes.share_in_loader()))
        }),
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

/// Begins to collect the job's metrics, if it has any.
fn watch(context: &Context, live: &mut Live, prepared: &Prepared, code_dir: &Path, event_file: Option<EventFile>) {
    let job = &prepared.job;
    let own = prepared.settings.metrics.as_ref().map(|file| code_dir.join(file));
    let paths = job.paths.clone();
    let read = files::together(move || {
        let mut warnings = Vec::new();
        (config::metric_definitions(&paths, own.as_deref(), &mut warnings), warnings)
    });
    let (definitions, warnings) = read.unwrap_or_else(|error| {
        (Vec::new(), vec![format!("the metric definitions in {} are ignored: {error}", error.path.display())])
    });
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let objective = job.request.objective.clone();
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
        event_file,
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

/// Ends the observation once the script has ended, and logs the results.
pub(super) async fn end(live: &mut Live) {
    // The metrics are complete before the last advice about them is given.
    let of_metrics = match live.metrics.take() {
        Some(metrics) => metrics.finish().await,
        None => Vec::new(),
    };
    if let Some(resources) = live.resources.take() {
        resources.finish().await;
    }
    for line in of_metrics {
        tracing::info!("{line}");
    }
    // The sender is ended last, so that it sends the last values of the others.
    if let Some(push) = live.push.take() {
        push.finish().await;
    }
}
