//! Reader of the files of a processing job: `processingjobconfig.json`, and `resourceconfig.json`, which training
//! jobs also have.

use std::path::Path;

use super::reader::FileKind;
use super::{ConfigError, resource};
use crate::job::python::{Dict, Text, Value};
use crate::job::{Cluster, Paths, ProcessingJob};

const FILE: &str = "processingjobconfig.json";

const KIND: FileKind = FileKind {
    expected: r#"an object such as {"ProcessingJobName": "job", "ProcessingInputs": [], "ProcessingOutputConfig": {"Outputs": []}}"#,
    if_missing: "it may be missing",
};

/// Returns true if one of the files exists.
pub(super) fn is_there(paths: &Paths) -> bool {
    paths.config().join(FILE).exists() || resource::path(paths).exists()
}

/// Reads both files. A container without them has one host, no inputs and no outputs.
///
/// # Errors
/// A file is invalid, or the file that names the hosts is missing in a job of several hosts.
pub(super) fn read(paths: &Paths) -> Result<(ProcessingJob, Cluster), ConfigError> {
    let path = paths.config().join(FILE);
    let config = match KIND.read_optional(&path)? {
        Some(value) => KIND.object(&path, value)?,
        None => Dict::new(),
    };
    let inputs = folders(&path, config.get("ProcessingInputs"), "ProcessingInputs", "Input")?;
    let outputs = match config.get("ProcessingOutputConfig") {
        None | Some(Value::None) => Dict::new(),
        Some(Value::Dict(outputs)) => {
            folders(&path, outputs.get("Outputs"), "ProcessingOutputConfig.Outputs", "Output")?
        }
        Some(other) => {
            return Err(KIND.wrong(&path, format!("the key \"ProcessingOutputConfig\" is {}", other.kind())));
        }
    };
    let requested = config.get("ProcessingResources").and_then(Value::as_dict);
    let requested = requested.and_then(|resources| resources.get("ClusterConfig")).and_then(Value::as_dict);
    let count = requested.and_then(|cluster| cluster.get("InstanceCount")).and_then(Value::as_i64).unwrap_or(1);
    let mut cluster =
        if count > 1 || resource::path(paths).exists() { resource::read(paths)? } else { resource::single_host() };
    // The platform's resourceconfig.json may lack the instance type.
    if let (Value::Dict(resources), Some(requested)) = (&cluster.resource_config, requested)
        && resources.get("current_instance_type").is_none()
        && let Some(instance_type) = KIND.string(&path, requested, "InstanceType")?
    {
        cluster.instance_type = instance_type;
    }
    let job = ProcessingJob { inputs, outputs, config, code_dir: paths.code(), ..ProcessingJob::default() };
    Ok((job, cluster))
}

/// Returns the folders of a list of inputs or outputs, by name. An entry without a folder in the container, such as a
/// feature group, is left out.
fn folders(path: &Path, list: Option<&Value>, key: &str, kind: &str) -> Result<Dict, ConfigError> {
    let list = match list {
        None | Some(Value::None) => return Ok(Dict::new()),
        Some(Value::List(list)) => list,
        Some(other) => return Err(KIND.wrong(path, format!("the key {key:?} is {}, not a list", other.kind()))),
    };
    let mut folders = Dict::new();
    for (index, item) in list.iter().enumerate() {
        let Value::Dict(item) = item else {
            return Err(KIND.wrong(path, format!("the key \"{key}[{index}]\" is {}", item.kind())));
        };
        let name = KIND.string(path, item, &format!("{kind}Name"))?;
        let name = name.ok_or_else(|| KIND.wrong(path, format!("the key \"{key}[{index}].{kind}Name\" is missing")))?;
        let places = [format!("S3{kind}"), "DatasetDefinition".to_owned()];
        let place = places.iter().find_map(|place| item.get(place.as_str()).and_then(Value::as_dict));
        if let Some(folder) = place.map(|place| KIND.string(path, place, "LocalPath")).transpose()?.flatten() {
            folders.set(Text::from(name), folder);
        }
    }
    Ok(folders)
}
