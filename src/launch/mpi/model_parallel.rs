//! smdistributed model parallel: the variables and words that the hyperparameter `mp_parameters` adds to a launch with mpirun.

use crate::job::python::{Dict, Value, parse};
use crate::launch::error::LaunchError;
use crate::launch::input::{LaunchInput, words};
use crate::prepare::environment::VariableTable;

/// The additions to a launch.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelParallel {
    /// The variables of all ranks.
    pub(super) variables: VariableTable,
    /// The words that come before Python.
    pub(super) command: Vec<Vec<u8>>,
}

/// Returns the additions of sagemaker-training 5.1.4 (`_modelparallel_environment_command`): NCCL's protocol and
/// algorithm, and smddpmprun if the image has it and `ddp_dist_backend` allows it. sagemaker-training sets the ring
/// algorithm, which prevents hangs, for torch 2 and later. Here it is set for every version, so that torch need not
/// be asked for its version.
///
/// # Errors
/// The hyperparameter is not an object.
pub(super) fn model_parallel(input: &LaunchInput<'_>) -> Result<ModelParallel, LaunchError> {
    let Some(parameters) = parameters(input)?.filter(|parameters| !parameters.is_empty()) else {
        return Ok(ModelParallel::default());
    };
    let variables = [("NCCL_PROTO", "simple"), ("NCCL_ALGO", "ring")];
    let variables = variables.map(|(name, value)| (name.into(), value.into())).into_iter().collect();
    let is_automatic = parameters.get("ddp_dist_backend").is_none_or(|backend| backend.as_str() == Some("auto"));
    let command = if is_automatic && input.hardware.smddpmprun.is_some() {
        words(["smddpmprun", "-i", &input.job.cluster.instance_type, "--allow-bypass"])
    } else {
        Vec::new()
    };
    Ok(ModelParallel { variables, command })
}

/// Returns the hyperparameter, which is an object or the JSON text of one.
fn parameters(input: &LaunchInput<'_>) -> Result<Option<Dict>, LaunchError> {
    match input.job.hyperparameters.get("mp_parameters") {
        None | Some(Value::None) => Ok(None),
        Some(Value::Dict(parameters)) => Ok(Some(parameters.clone())),
        Some(other) => match parse(&other.to_py_str().to_str()) {
            Ok(Value::Dict(parameters)) => Ok(Some(parameters)),
            _ => Err(LaunchError::new(
                "the hyperparameter mp_parameters is not a JSON object, such as {\"ddp_dist_backend\": \"auto\"}",
            )),
        },
    }
}
