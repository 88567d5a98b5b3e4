//! `sourcecode.json` and `distributed.json` of the channel `sm_drivers`, which SDK version 3 brings.

use super::ConfigError;
use super::reader::Kind;
use crate::job::{Drivers, Paths};
use crate::python::{Dict, Value};

/// The channel that SDK version 3 puts its drivers in.
const CHANNEL: &str = "sm_drivers";

const SOURCE_CODE: Kind = Kind {
    expected: r#"an object such as {"entry_script": "train.py", "requirements": null, "command": null}"#,
    if_missing: "it may be missing",
};

const DISTRIBUTED: Kind =
    Kind { expected: r#"an object such as {"process_count_per_node": 8}"#, if_missing: "it may be missing" };

/// Reads both files; none where the job has no such channel.
///
/// These decide what runs, so what is wrong with them fails the job: plain Python where torchrun was asked for would be
/// a silent mistake.
pub(super) fn read(paths: &Paths) -> Result<Option<Drivers>, ConfigError> {
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
    Ok(Some(Drivers { entry_script, command, requirements, distributed }))
}

fn read_object(kind: &Kind, path: &std::path::Path) -> Result<Option<Dict>, ConfigError> {
    match kind.read_optional(path)? {
        None | Some(Value::None) => Ok(None),
        Some(value) => kind.object(path, value).map(Some),
    }
}
