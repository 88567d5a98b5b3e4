//! smdistributed model parallel: what the hyperparameter `mp_parameters` adds to a launch with mpirun.

use super::{Facts, LaunchError, words};
use crate::prepare::environment::VariableTable;
use crate::python::{Dict, Value, parse};

/// What it adds.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelParallel {
    /// Variables of all ranks.
    pub(super) variables: VariableTable,
    /// What stands before Python.
    pub(super) command: Vec<Vec<u8>>,
}

/// As sagemaker-training 5.1.4 does it (`_modelparallel_environment_command`): NCCL's protocol and algorithm, and smddpmprun
/// where the image has it and `ddp_dist_backend` leaves the choice. The ring is for torch from version 2 on, against hangs;
/// older ones are not asked for their version, and get it, too.
pub(super) fn model_parallel(facts: &Facts<'_>) -> Result<ModelParallel, LaunchError> {
    let Some(parameters) = parameters(facts)?.filter(|parameters| !parameters.is_empty()) else {
        return Ok(ModelParallel::default());
    };
    let variables = [("NCCL_PROTO", "simple"), ("NCCL_ALGO", "ring")];
    let variables = variables.map(|(name, value)| (name.into(), value.into())).into_iter().collect();
    let is_automatic = parameters.get("ddp_dist_backend").is_none_or(|backend| backend.as_str() == Some("auto"));
    let command = match is_automatic && facts.hardware.smddpmprun.is_some() {
        true => words(["smddpmprun", "-i", &facts.job.cluster.instance_type, "--allow-bypass"]),
        false => Vec::new(),
    };
    Ok(ModelParallel { variables, command })
}

/// The hyperparameter: an object, or the text of one.
fn parameters(facts: &Facts<'_>) -> Result<Option<Dict>, LaunchError> {
    match facts.job.hyperparameters.get("mp_parameters") {
        None | Some(Value::None) => Ok(None),
        Some(Value::Dict(parameters)) => Ok(Some(parameters.clone())),
        Some(other) => match parse(&other.to_py_str().to_str()) {
            Ok(Value::Dict(parameters)) => Ok(Some(parameters)),
            _ => Err(LaunchError(
                "the hyperparameter mp_parameters is not a JSON object, such as {\"ddp_dist_backend\": \"auto\"}"
                    .to_owned(),
            )),
        },
    }
}
