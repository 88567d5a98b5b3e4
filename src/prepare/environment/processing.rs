//! The variables of a processing job: its inputs and outputs, and the variables of a training job that are also
//! meaningful here.

use super::variable::{AddValue, Definition, Draft, Inputs, Rule, toolkit_text};
use super::{additions, toolkit};
use crate::event::ATTEMPT;
use crate::job::ProcessingJob;
use crate::job::python::{Dict, Value};

/// The variables that only processing jobs have.
pub(super) const TABLE: &[Definition] = &[
    Rule::optional("SM_PROCESSING_JOB_NAME", |i| i.job.name.as_deref().map(Value::from))
        .meaning("The name of the job."),
    Rule::one("SM_PROCESSING_INPUTS", |i| Value::Dict(of_job(i, |job| &job.inputs)))
        .meaning("The folders of the inputs by their names, as JSON."),
    Rule::family("SM_PROCESSING_INPUT_*", |i, add| add_folders(&of_job(i, |job| &job.inputs), add))
        .meaning("The folder of each input, with `_` for each character that a shell does not allow in a name."),
    Rule::one("SM_PROCESSING_OUTPUTS", |i| Value::Dict(of_job(i, |job| &job.outputs)))
        .meaning("The folders of the outputs by their names, as JSON."),
    Rule::family("SM_PROCESSING_OUTPUT_*", |i, add| add_folders(&of_job(i, |job| &job.outputs), add))
        .meaning("The folder of each output, named in the same way."),
];

/// The variables of a training job that a processing job also has.
const SHARED: [&str; 28] = [
    "SM_OUTPUT_DIR",
    "SM_OUTPUT_FAILURE",
    "SM_INPUT_CONFIG_DIR",
    "SM_USER_ARGS",
    "SM_USER_ENTRY_POINT",
    "SM_ENTRY_SCRIPT",
    "SM_SOURCE_DIR",
    "SM_HOSTS",
    "SM_HOST_COUNT",
    "SM_CURRENT_HOST",
    "SM_CURRENT_HOST_RANK",
    "SM_CURRENT_INSTANCE_TYPE",
    "SM_NETWORK_INTERFACE_NAME",
    "SM_RESOURCE_CONFIG",
    "SM_NUM_CPUS",
    "SM_NUM_GPUS",
    "SM_NUM_NEURONS",
    "SM_LOG_LEVEL",
    "SM_MASTER_ADDR",
    "SM_MASTER_PORT",
    "CURRENT_HOST",
    "MASTER_ADDR",
    "MASTER_PORT",
    "NNODES",
    "NODE_RANK",
    ATTEMPT,
    "PYTHONUNBUFFERED",
    "PYTHONPATH",
];

/// Adds the variables to `variables`.
pub(super) fn add(inputs: &Inputs<'_>, variables: &mut Draft) {
    let of_training = [toolkit::TABLE, additions::OFFERED, additions::REPLACING].into_iter().flatten();
    let shared = of_training.filter(|definition| SHARED.contains(&definition.variable().name));
    for definition in shared.chain(TABLE) {
        definition.rule.apply(inputs, &mut |name, value| {
            variables.insert(name, toolkit_text(value));
        });
    }
}

fn of_job(inputs: &Inputs<'_>, folders: fn(&ProcessingJob) -> &Dict) -> Dict {
    inputs.job.processing.as_ref().map(|job| folders(job).clone()).unwrap_or_default()
}

fn add_folders(folders: &Dict, add: AddValue<'_>) {
    for (name, folder) in folders.iter() {
        add(&additions::shell_name(&name.to_str()), folder);
    }
}
