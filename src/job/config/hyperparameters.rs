//! Reader of `hyperparameters.json`: an object whose values are mostly strings that hold JSON again.

use super::ConfigError;
use super::reader::FileKind;
use crate::job::Paths;
use crate::job::python::Dict;

pub(super) const FILE: &str = "hyperparameters.json";

const KIND: FileKind = FileKind {
    expected: r#"an object of hyperparameters such as {"epochs": "3"}"#,
    if_missing: "start the container as a training job does, or run `footplate local` on your machine",
};

/// The hyperparameter that names the objective of a tuning job.
const OBJECTIVE: &str = "_tuning_objective_metric";

/// The content of the file.
pub(super) struct Hyperparameters {
    /// All hyperparameters. A value that is JSON is parsed.
    pub(super) all: Dict,
    /// The objective of the tuning job that this job belongs to.
    pub(super) objective: Option<String>,
}

/// Reads the file and deserializes each value.
///
/// # Errors
/// The file is missing or is not a JSON object.
pub(super) fn read(paths: &Paths) -> Result<Hyperparameters, ConfigError> {
    let path = paths.config().join(FILE);
    let dict = KIND.object(&path, KIND.read(&path)?)?;
    let all = dict.iter().map(|(name, value)| (name.clone(), value.decoded())).collect();
    Ok(Hyperparameters { all, objective: objective(&dict) })
}

/// Returns the name of the objective: the string that the value holds as JSON, else the value as it is. Without it, a
/// metric with a name such as `1` or `NaN` would be read as a number.
fn objective(given: &Dict) -> Option<String> {
    let given = given.get(OBJECTIVE)?;
    let decoded = given.decoded();
    decoded.as_str().or(given.as_str()).map(str::to_owned)
}
