//! Reader of `inputdataconfig.json`, which describes the channels.

use super::ConfigError;
use super::reader::FileKind;
use crate::job::Paths;
use crate::job::python::Dict;

pub(super) const FILE: &str = "inputdataconfig.json";

const KIND: FileKind = FileKind {
    expected: r#"an object of channels such as {"training": {"TrainingInputMode": "File"}}"#,
    if_missing: "a job without channels has {} in it",
};

/// Reads the file.
///
/// # Errors
/// The file is missing or is not a JSON object.
pub(super) fn read(paths: &Paths) -> Result<Dict, ConfigError> {
    let path = paths.config().join(FILE);
    KIND.object(&path, KIND.read(&path)?)
}
