//! Reader of `hyperparameters.json`: an object whose values are mostly strings that hold JSON again.

use super::ConfigError;
use super::reader::FileKind;
use crate::job::Paths;
use crate::python::Dict;

pub(super) const FILE: &str = "hyperparameters.json";

const KIND: FileKind = FileKind {
    expected: r#"an object of hyperparameters such as {"epochs": "3"}"#,
    if_missing: "start the container as a training job does, or run `footplate local` on your machine",
};

/// Reads the file and deserializes each value.
///
/// # Errors
/// The file is missing or is not a JSON object.
pub(super) fn read(paths: &Paths) -> Result<Dict, ConfigError> {
    let path = paths.config().join(FILE);
    let dict = KIND.object(&path, KIND.read(&path)?)?;
    Ok(dict.iter().map(|(name, value)| (name.clone(), value.decoded())).collect())
}
