//! The metrics of a job: read what is to be looked for, look for it beside the script, and say what was found.

use std::path::{Path, PathBuf};

use super::Prepared;
use super::context::Context;
use super::live::Live;
use crate::job::config;
use crate::observe::metrics::{Metrics, MetricsInput};
use crate::python::Value;

/// The hyperparameter by which a tuning job names its objective.
const OBJECTIVE: &str = "_tuning_objective_metric";

/// The variable that names the folder of the platform's Experiments.
const EXPERIMENTS: &str = "SAGEMAKER_METRICS_DIRECTORY";

/// Begins to look for the job's metrics, if it has any.
pub(super) fn begin(context: &Context, live: &mut Live, prepared: &Prepared, code_dir: &Path) {
    let job = &prepared.job;
    let own = prepared.settings.metrics.as_ref().map(|file| code_dir.join(file));
    let mut warnings = Vec::new();
    let definitions = config::metric_definitions(&job.paths, own.as_deref(), &mut warnings);
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

/// Says what was found, once the script has ended.
pub(super) async fn end(live: &mut Live) {
    let Some(metrics) = live.metrics.take() else { return };
    for line in metrics.finish().await {
        tracing::info!("{line}");
    }
}
