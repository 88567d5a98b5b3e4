//! The secret that the hosts of a job share, and nobody else has.

use super::Prepared;
use crate::cluster::Key;
use crate::job::Variables;
use crate::python::{Separators, Value};

/// The keys of `processingjobconfig.json` that only the containers of a processing job are given, and that are the same for all
/// of them.
const PROCESSING_REQUEST: [&str; 3] = ["ProcessingJobArn", "Environment", "AppSpecification"];

/// Returns the key of a job: the one that is set, else one from what the platform gives to the job's containers alone.
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

/// Returns the secret by which the services of an engine know each other, as text.
pub fn engine_token(prepared: &Prepared, variables: &Variables) -> String {
    cluster_key(prepared, variables).secret_for("the services of an engine")
}
