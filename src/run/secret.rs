//! The secret that the hosts of a job share and that nobody else has.

use super::Prepared;
use crate::cluster::Key;
use crate::job::Variables;
use crate::job::python::{Separators, Value};

/// The keys of `processingjobconfig.json` whose values only the containers of the processing job get, and which are
/// equal for all of them.
const PROCESSING_REQUEST: [&str; 3] = ["ProcessingJobArn", "Environment", "AppSpecification"];

/// Returns the key of a job: the one in the settings, else one that is derived from facts that the platform gives
/// only to the job's containers.
pub(super) fn cluster_key(prepared: &Prepared, variables: &Variables) -> Key {
    let Prepared { job, settings, .. } = prepared;
    let name = variables.get("TRAINING_JOB_ARN").or(variables.get("TRAINING_JOB_NAME"));
    let of_request = |key: &str| job.processing.as_ref()?.config.get(key).cloned();
    let request = PROCESSING_REQUEST.map(|key| Value::from(of_request(key)).dumps(Separators::CompactSorted));
    match &settings.cluster_key {
        Some(secret) => Key::new(&[secret.0.as_bytes()]),
        None => Key::new(&[
            name.unwrap_or_default().as_bytes(),
            job.cluster.sorted_hosts().join(",").as_bytes(),
            Value::Dict(job.all_hyperparameters.clone()).dumps(Separators::Default).as_bytes(),
            Value::Dict(job.channels.clone()).dumps(Separators::Default).as_bytes(),
            request.concat().as_bytes(),
        ]),
    }
}

/// Returns the secret with which the services of an engine authenticate each other, as text.
pub fn engine_token(prepared: &Prepared, variables: &Variables) -> String {
    cluster_key(prepared, variables).secret_for("the services of an engine")
}
