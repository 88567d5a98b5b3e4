//! Reader of `resourceconfig.json`, which names the hosts.

use std::path::{Path, PathBuf};

use super::ConfigError;
use super::reader::FileKind;
use crate::job::python::{Dict, Value};
use crate::job::{Cluster, InstanceGroup, Paths};

const KIND: FileKind = FileKind {
    expected: r#"an object such as {"current_host": "algo-1", "hosts": ["algo-1"]}"#,
    if_missing: "start the container as a training job does, or run `footplate local` on your machine",
};

/// The name of the group if the file has none, as in sagemaker-training.
const DEFAULT_GROUP: &str = "homogeneousCluster";

/// Returns the path of the file. `resourceConfig.json` is used if only that exists.
pub(super) fn path(paths: &Paths) -> PathBuf {
    let usual = paths.config().join("resourceconfig.json");
    let other = paths.config().join("resourceConfig.json");
    if !usual.exists() && other.exists() { other } else { usual }
}

/// Reads the file.
///
/// # Errors
/// The file is missing, is not a JSON object, or a key has the wrong type.
pub(super) fn read(paths: &Paths) -> Result<Cluster, ConfigError> {
    let path = path(paths);
    let dict = KIND.object(&path, KIND.read(&path)?)?;
    let current_host = KIND
        .string(&path, &dict, "current_host")?
        .ok_or_else(|| KIND.wrong(&path, "the key \"current_host\" is missing"))?;
    let hosts = match dict.get("hosts") {
        None => return Err(KIND.wrong(&path, "the key \"hosts\" is missing")),
        Some(value) => strings(&path, "hosts", value)?,
    };
    if !hosts.contains(&current_host) {
        let problem = format!("the key \"current_host\" is {current_host:?}, which is not one of the hosts {hosts:?}");
        return Err(KIND.wrong(&path, problem));
    }
    let groups = match dict.get("instance_groups") {
        None | Some(Value::None) => Vec::new(),
        Some(Value::List(groups)) => {
            groups.iter().enumerate().map(|(index, raw)| group(&path, index, raw)).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(KIND.wrong(&path, format!("the key \"instance_groups\" is {}", other.kind()))),
    };
    Ok(Cluster {
        network_interface: KIND.string(&path, &dict, "network_interface_name")?.unwrap_or_else(|| "eth0".to_owned()),
        instance_type: KIND.string(&path, &dict, "current_instance_type")?.unwrap_or_else(|| "local".to_owned()),
        current_group: KIND.string(&path, &dict, "current_group_name")?.unwrap_or_else(|| DEFAULT_GROUP.to_owned()),
        current_host,
        hosts,
        groups,
        distribution_groups: Vec::new(),
        resource_config: Value::Dict(dict),
    })
}

/// Returns the hosts of a job that has one host and no configuration.
pub(super) fn single_host() -> Cluster {
    let mut dict = Dict::new();
    dict.set("current_host", "algo-1");
    dict.set("hosts", ["algo-1"].into_iter().collect::<Value>());
    Cluster {
        current_host: "algo-1".to_owned(),
        hosts: vec!["algo-1".to_owned()],
        network_interface: "eth0".to_owned(),
        instance_type: "local".to_owned(),
        current_group: DEFAULT_GROUP.to_owned(),
        groups: Vec::new(),
        distribution_groups: Vec::new(),
        resource_config: Value::Dict(dict),
    }
}

/// Reads one instance group, the element `index` of the list.
fn group(path: &Path, index: usize, raw: &Value) -> Result<InstanceGroup, ConfigError> {
    let place = format!("instance_groups[{index}]");
    let Value::Dict(dict) = raw else {
        return Err(KIND.wrong(path, format!("the key {place:?} is {}", raw.kind())));
    };
    let name = KIND
        .string(path, dict, "instance_group_name")?
        .ok_or_else(|| KIND.wrong(path, format!("the key \"{place}.instance_group_name\" is missing")))?;
    let hosts = match dict.get("hosts") {
        None => return Err(KIND.wrong(path, format!("the key \"{place}.hosts\" is missing"))),
        Some(value) => strings(path, &format!("{place}.hosts"), value)?,
    };
    Ok(InstanceGroup { name, hosts, raw: raw.clone() })
}

/// Returns the strings of a list, which must not be empty; `key` is for messages.
fn strings(path: &Path, key: &str, value: &Value) -> Result<Vec<String>, ConfigError> {
    let texts: Option<Option<Vec<String>>> =
        value.as_list().map(|list| list.iter().map(|item| item.as_str().map(str::to_owned)).collect());
    match texts {
        Some(Some(texts)) if texts.is_empty() => Err(KIND.wrong(path, format!("the key {key:?} is an empty list"))),
        Some(Some(texts)) => Ok(texts),
        Some(None) => Err(KIND.wrong(path, format!("the key {key:?} holds something that is not a string"))),
        None => Err(KIND.wrong(path, format!("the key {key:?} is {}, not a list of strings", value.kind()))),
    }
}
