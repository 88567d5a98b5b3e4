//! `inputdataconfig.json`: the channels.

use super::ConfigError;
use super::reader::Kind;
use crate::job::Paths;
use crate::python::Dict;

pub(super) const FILE: &str = "inputdataconfig.json";

const KIND: Kind = Kind {
    expected: r#"an object of channels such as {"training": {"TrainingInputMode": "File"}}"#,
    if_missing: "a job without channels has {} in it",
};

/// Reads the file.
pub(super) fn read(paths: &Paths) -> Result<Dict, ConfigError> {
    let path = paths.config().join(FILE);
    KIND.object(&path, KIND.read(&path)?)
}
