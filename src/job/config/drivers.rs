//! Reader of `sourcecode.json` and `distributed.json` in the channel `sm_drivers`, which SDK version 3 creates.

use super::ConfigError;
use super::reader::FileKind;
use crate::job::python::{Dict, Value};
use crate::job::{DriverConfig, Paths};

/// The channel of SDK version 3's container drivers.
const CHANNEL: &str = "sm_drivers";

const SOURCE_CODE: FileKind = FileKind {
    expected: r#"an object such as {"entry_script": "train.py", "requirements": null, "command": null}"#,
    if_missing: "it may be missing",
};

const DISTRIBUTED: FileKind =
    FileKind { expected: r#"an object such as {"process_count_per_node": 8}"#, if_missing: "it may be missing" };

/// Reads both files. Returns `None` if neither exists.
///
/// # Errors
/// Either file is invalid. The files decide what runs, so ignoring them could silently run plain Python instead of
/// torchrun.
pub(super) fn read(paths: &Paths) -> Result<Option<DriverConfig>, ConfigError> {
    let folder = paths.channel(CHANNEL);
    let source_code = read_object(&SOURCE_CODE, &folder.join("sourcecode.json"))?;
    let distributed = read_object(&DISTRIBUTED, &folder.join("distributed.json"))?.filter(|dict| !dict.is_empty());
    if source_code.is_none() && distributed.is_none() {
        return Ok(None);
    }
    let text = |key: &str| {
        let value = source_code.as_ref().and_then(|dict| dict.get(key));
        value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (entry_script, command, requirements) = (text("entry_script"), text("command"), text("requirements"));
    // The SDK quotes each argument in the form of Python's `str`.
    let args = source_code.as_ref().and_then(|dict| dict.get("args")).and_then(Value::as_list).unwrap_or_default();
    let args = args.iter().map(|arg| arg.to_py_str().to_str().into_owned()).collect();
    let settings = distributed.as_ref().and_then(own_settings);
    Ok(Some(DriverConfig { entry_script, command, args, requirements, distributed, settings }))
}

/// Returns footplate's settings in `distributed.json`: the keys `launcher` and `settings`, which the class
/// `Footplate` of the Python package writes. Other classes write neither of them.
fn own_settings(distributed: &Dict) -> Option<Dict> {
    let (launcher, settings) = (distributed.get("launcher"), distributed.get("settings"));
    if launcher.is_none() && settings.is_none() {
        return None;
    }
    let mut own = match settings {
        Some(Value::Dict(dict)) => dict.clone(),
        _ => Dict::new(),
    };
    if let Some(launcher) = launcher.filter(|launcher| launcher.is_true()) {
        own.set("launcher", launcher.clone());
    }
    if let Some(count) = distributed.get("process_count_per_node").filter(|count| count.is_true())
        && own.get("processes_per_host").is_none()
    {
        own.set("processes_per_host", count.clone());
    }
    Some(own)
}

fn read_object(kind: &FileKind, path: &std::path::Path) -> Result<Option<Dict>, ConfigError> {
    match kind.read_optional(path)? {
        None | Some(Value::None) => Ok(None),
        Some(value) => kind.object(path, value).map(Some),
    }
}
