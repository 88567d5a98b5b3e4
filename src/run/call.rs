//! `footplate entry-point`: an entry point that a framework of the image runs through the Python package
//! `sagemaker_training`. The framework states the code, the program, its arguments and the launcher, and receives a
//! report at the end.

use serde_json::json;

use super::context::{Context, EntryPointCall};
use super::{Outcome, Prepared, Refusal};
use crate::failure;
use crate::job::python::{Text, Value, parse};
use crate::redact::Redactor;

/// Turns the job in the configuration into the one that the framework requests.
pub(super) fn apply(call: &EntryPointCall, context: &Context, prepared: &mut Prepared) {
    let request = &mut prepared.job.request;
    request.program = Some(call.program.clone());
    request.submit_directory = Some(call.uri.clone());
    request.training_module = None;
    request.arguments = Some(call.arguments.iter().map(|argument| Text::from(argument.as_str())).collect());
    for (name, value) in &call.parameters {
        let value = parse(value).unwrap_or_else(|_| Value::from(value.as_str()));
        prepared.job.framework_parameters.set(name.as_str(), value);
    }
    let settings = &mut prepared.settings;
    settings.launcher.get_or_insert_with(|| call.launcher.clone());
    // The port is in use by the footplate that runs the framework.
    if context.is_within_job() {
        settings.cluster_port = settings.cluster_port.and_then(|port| port.checked_add(1));
    }
}

/// Writes the report on a failure: its kind, from which the package chooses an exception, its text, the command, and the
/// cause, which the package passes on to the footplate that runs the framework.
pub(super) fn report(call: &EntryPointCall, outcome: &Outcome, redactor: &Redactor) {
    let (Some(path), Some(failure)) = (&call.report, outcome.failure_text(redactor)) else { return };
    let kind = match outcome {
        Outcome::Requirements { .. } => "requirements",
        Outcome::Refused { refusal: Refusal::Code, .. } => "code",
        Outcome::Refused { .. } => "job",
        Outcome::Succeeded | Outcome::Failed(_) | Outcome::Stopped(_) | Outcome::PeerFailed => "script",
    };
    let cause = outcome.cause().map(|cause| failure::redacted(&cause, redactor));
    let command = cause.as_ref().map(|cause| cause.command.as_str());
    let report = json!({"kind": kind, "failure": failure, "command": command, "cause": cause});
    if let Err(error) = std::fs::write(path, report.to_string()) {
        tracing::warn!("cannot write {}: {error}: the framework is told the exit code alone", path.display());
    }
}
