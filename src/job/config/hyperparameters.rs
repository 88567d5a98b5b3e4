//! `hyperparameters.json`: names and values, of which most values are JSON once more, in a string.

use super::ConfigError;
use super::reader::Kind;
use crate::job::Paths;
use crate::python::{Dict, Value, parse};

pub(super) const FILE: &str = "hyperparameters.json";

const KIND: Kind = Kind {
    expected: r#"an object of hyperparameters such as {"epochs": "3"}"#,
    if_missing: "start the container as a training job does, or run `footplate local` on your machine",
};

/// Reads the file and deserializes each value.
pub(super) fn read(paths: &Paths) -> Result<Dict, ConfigError> {
    let path = paths.config().join(FILE);
    let dict = KIND.object(&path, KIND.read(&path)?)?;
    Ok(dict.iter().map(|(name, value)| (name.clone(), deserialize(value))).collect())
}

/// A value as the script should see it: what its text says as JSON, else the text itself.
///
/// Framework estimators encode every value as JSON; the generic estimator and Step Functions send raw strings
/// (platform contract, section 6).
pub fn deserialize(value: &Value) -> Value {
    match value {
        Value::Str(text) => text.as_str().and_then(|text| parse(text).ok()).unwrap_or_else(|| value.clone()),
        other => other.clone(),
    }
}
