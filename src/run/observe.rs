//! The observers of the script: they look for metrics in its lines, and sample what the container uses.

use std::path::{Path, PathBuf};

use super::Prepared;
use super::context::Context;
use super::live::Live;
use crate::files;
use crate::job::config;
use crate::observe::metrics::{Metrics, MetricsInput};
use crate::observe::resources::{Resources, ResourcesInput};
use crate::python::Value;

/// The hyperparameter by which a tuning job names its objective.
const OBJECTIVE: &str = "_tuning_objective_metric";

/// The variable that names the folder of the platform's Experiments.
const EXPERIMENTS: &str = "SAGEMAKER_METRICS_DIRECTORY";

/// Begins to observe the script.
pub(super) fn begin(context: &Context, live: &mut Live, prepared: &Prepared, code_dir: &Path) {
    watch(context, live, prepared, code_dir);
    sample(live, prepared);
}

/// Begins to sample what the container uses, unless that is turned off.
fn sample(live: &mut Live, prepared: &Prepared) {
    let interval = prepared.settings.resource_interval;
    let Some(record) = live.record.as_ref().filter(|_| !interval.is_zero()) else { return };
    let host = prepared.job.cluster.current_host.clone();
    let input = ResourcesInput {
        interval,
        folder: prepared.job.paths.record(&host),
        host,
        base: prepared.job.paths.base().to_owned(),
        metrics: live.metrics.clone(),
    };
    match Resources::begin(input) {
        Ok(resources) => {
            record.sample(resources.clone());
            live.resources = Some(resources);
        }
        Err(error) => tracing::warn!("the use of resources is not recorded: no thread can be started ({error})"),
    }
}

/// Begins to look for the job's metrics, if it has any.
fn watch(context: &Context, live: &mut Live, prepared: &Prepared, code_dir: &Path) {
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
    let Some(metrics) = live.metrics.take() else { return };
    for line in metrics.finish().await {
        tracing::info!("{line}");
    }
}
