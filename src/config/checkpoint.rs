//! `checkpointconfig.json`: where checkpoints are kept.

use std::path::PathBuf;

use super::reader::Kind;
use crate::job::Paths;

const FILE: &str = "checkpointconfig.json";

const KIND: Kind =
    Kind { expected: r#"an object such as {"LocalPath": "/opt/ml/checkpoints"}"#, if_missing: "it may be missing" };

/// The folder of the job's checkpoints: the one that the file names, else the platform's if it is there.
pub(super) fn read(paths: &Paths, warnings: &mut Vec<String>) -> Option<PathBuf> {
    let path = paths.config().join(FILE);
    let named = match KIND.read_optional(&path).and_then(|value| value.map(|v| KIND.object(&path, v)).transpose()) {
        Ok(dict) => dict.and_then(|dict| dict.get("LocalPath").and_then(|path| path.as_str().map(PathBuf::from))),
        Err(error) => {
            warnings.push(format!("not used: {error}"));
            None
        }
    };
    named.filter(|path| !path.as_os_str().is_empty()).or_else(|| Some(paths.checkpoints()).filter(|path| path.is_dir()))
}
