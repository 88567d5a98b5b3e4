//! The variables that footplate sets in addition to those of the incumbents (the programs that it replaces).

use super::variable::{Definition, Draft, Inputs, Rule, channel_folders, path, toolkit_text};
use crate::event::ATTEMPT;
use crate::job::python::{Text, Value};

/// The variables that are set unless the container or an incumbent's table sets them.
pub(super) const OFFERED: &[Definition] = &[
    Rule::one("MASTER_ADDR", |i| Value::from(i.job.master()))
        .meaning("The host where the ranks meet, unless the container sets it."),
    Rule::one("MASTER_PORT", |i| Value::from(usize::from(i.settings.master_port)))
        .meaning("The port on that host, unless the container sets it."),
    Rule::one("NNODES", |i| Value::from(i.job.nodes().len()))
        .meaning("The number of hosts, unless the container sets it."),
    Rule::one("NODE_RANK", |i| Value::from(i.job.node_rank()))
        .meaning("This host's place among them, counted from 0, unless the container sets it."),
    Rule::one(ATTEMPT, |_| Value::from(0usize))
        .meaning("The number of times that the ranks were started again (`FOOTPLATE_MAX_RESTARTS`)."),
    Rule::one("PYTHONUNBUFFERED", |_| Value::from("1")).meaning(
        "`1`, unless the container sets it. Not set if Open MPI 5 passes the lines on, because it mixes parts of \
         unbuffered lines.",
    ),
    Rule::optional("SM_CHECKPOINT_DIR", |i| i.job.checkpoint_dir.as_ref().map(path))
        .meaning("The folder of checkpoints, if the job has one."),
    // The names of SDK version 3, which are also set for jobs that the toolkit would run.
    Rule::one("SM_INPUT_DATA_DIR", |i| path(i.job.paths.data()))
        .meaning("The folder that holds the channels' folders (SDK version 3)."),
    Rule::one("SM_OUTPUT_FAILURE", |i| path(i.job.paths.failure())).meaning("The failure file (SDK version 3)."),
    Rule::one("SM_MASTER_ADDR", |i| Value::from(i.job.master()))
        .meaning("The host where the ranks meet (SDK version 3)."),
    Rule::one("SM_MASTER_PORT", |i| Value::from(usize::from(i.settings.master_port)))
        .meaning("The port on that host (SDK version 3)."),
    Rule::one("SM_SOURCE_DIR", |i| path(i.job.code_dir()))
        .meaning("The folder that the script runs in (SDK version 3)."),
    Rule::one("SM_ENTRY_SCRIPT", |i| Value::from(i.job.request.program.as_deref().unwrap_or_default()))
        .meaning("The script (SDK version 3)."),
    Rule::one("SM_HOST_COUNT", |i| Value::from(i.job.cluster.hosts.len()))
        .meaning("The number of hosts (SDK version 3)."),
    Rule::one("SM_CURRENT_HOST_RANK", |i| Value::from(i.job.node_rank()))
        .meaning("This host's node rank (SDK version 3)."),
    Rule::family("SM_HP_*", |i, add| {
        i.job.hyperparameters.iter().for_each(|(name, value)| add(&shell_name(&name.to_str()), value));
    })
    .meaning("Also with `_` for each character that a shell does not allow in a name: `SM_HP_BATCH_SIZE`."),
    Rule::family("SM_CHANNEL_*", |i, add| {
        channel_folders(i.job).iter().for_each(|(channel, folder)| add(&shell_name(&channel.to_str()), folder));
    })
    .meaning(
        "Also with `_` for each character that a shell does not allow in a name: `SM_CHANNEL_TRAIN_DATA`. A channel of \
         that very name takes precedence.",
    ),
];

/// The variables that replace those of the container.
pub(super) const REPLACING: &[Definition] =
    &[Rule::one("PYTHONPATH", python_path).meaning("The code folder, followed by the earlier value.")];

/// Adds the variables to `variables`.
pub(super) fn add(inputs: &Inputs<'_>, variables: &mut Draft) {
    for definition in OFFERED {
        definition.rule.apply(inputs, &mut |name: Text, value| {
            if inputs.given.get(&name.to_str()).is_none() {
                variables.entry(name).or_insert_with(|| toolkit_text(value));
            }
        });
    }
    for definition in REPLACING {
        definition.rule.apply(inputs, &mut |name, value| {
            variables.insert(name, toolkit_text(value));
        });
    }
}

/// Returns the name of a hyperparameter, a channel, an input or an output with `_` for each character that a shell does not allow in the name of a variable.
pub(super) fn shell_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Returns the code folder followed by the container's PYTHONPATH, so that a script in a subfolder finds modules of the
/// code folder.
///
/// The toolkit also adds the folders of its own interpreter. They must not get into the user's Python.
fn python_path(inputs: &Inputs<'_>) -> Value {
    let code_dir = inputs.job.code_dir().to_string_lossy().into_owned();
    Value::from(match inputs.given.get_non_empty("PYTHONPATH") {
        Some(earlier) => format!("{code_dir}:{earlier}"),
        None => code_dir,
    })
}
