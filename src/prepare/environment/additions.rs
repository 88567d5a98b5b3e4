//! The variables that footplate gives beyond the incumbents. They never replace what the container was given.

use super::{Draft, name_of, value_of};
use crate::job::settings::Settings;
use crate::job::{Job, Variables};
use crate::python::{Text, Value};

/// Adds them to `variables`.
pub(super) fn add(job: &Job, settings: &Settings, given: &Variables, variables: &mut Draft) {
    let nodes = job.nodes();
    let code_dir = job.code_dir().to_string_lossy().into_owned();
    let mut offer = |name: &str, value: Text| {
        if given.get(name).is_none() {
            variables.entry(Text::from(name)).or_insert(value);
        }
    };
    let number = |number: usize| Text::from(number.to_string());
    let path = |path: std::path::PathBuf| Text::from(path.to_string_lossy().into_owned());

    offer("MASTER_ADDR", Text::from(job.master()));
    offer("MASTER_PORT", number(settings.master_port.into()));
    offer("NNODES", number(nodes.len()));
    offer("NODE_RANK", number(job.node_rank()));
    offer("PYTHONUNBUFFERED", Text::from("1"));
    if let Some(folder) = &job.checkpoint_dir {
        offer("SM_CHECKPOINT_DIR", path(folder.clone()));
    }

    // The names of SDK version 3, also for jobs that the toolkit would have run.
    offer("SM_INPUT_DATA_DIR", path(job.paths.data()));
    offer("SM_OUTPUT_FAILURE", path(job.paths.failure()));
    offer("SM_MASTER_ADDR", Text::from(job.master()));
    offer("SM_MASTER_PORT", number(settings.master_port.into()));
    offer("SM_SOURCE_DIR", Text::from(code_dir.as_str()));
    offer("SM_ENTRY_SCRIPT", Text::from(job.request.program.as_deref().unwrap_or_default()));
    offer("SM_HOST_COUNT", number(job.cluster.hosts.len()));
    offer("SM_CURRENT_HOST_RANK", number(job.node_rank()));

    // Names that a shell can use: SM_HP_BATCH_SIZE beside SM_HP_BATCH-SIZE.
    for (name, value) in job.hyperparameters.iter() {
        let plain: String = name.to_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let name = name_of(&format!("hp_{plain}"));
        offer(&name.to_str(), value_of(value));
    }

    // The toolkit puts the code folder on Python's path, so that a script in a sub folder finds modules beside it. Of the
    // rest of its PYTHONPATH, the toolkit's own interpreter's, nothing may get into the user's.
    let python_path = match given.get_non_empty("PYTHONPATH") {
        Some(path) => format!("{code_dir}:{path}"),
        None => code_dir,
    };
    variables.insert(Text::from("PYTHONPATH"), value_of(&Value::from(python_path)));
}
