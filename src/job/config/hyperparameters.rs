//! Reader of `hyperparameters.json`: an object whose values are mostly strings that hold JSON again.

use super::ConfigError;
use super::reader::FileKind;
use crate::job::Paths;
use crate::python::{Dict, Value, parse};

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
    Ok(dict.iter().map(|(name, value)| (name.clone(), deserialize(value))).collect())
}

/// Returns a value as the script should see it: the JSON in its text, else the text itself.
///
/// Framework estimators encode every value as JSON; the generic estimator and Step Functions send raw strings
/// (platform contract, section 6).
pub fn deserialize(value: &Value) -> Value {
    match value {
        Value::Str(text) => text.as_str().and_then(|text| parse(text).ok()).unwrap_or_else(|| value.clone()),
        other => other.clone(),
    }
}
