//! The script's arguments, built from the hyperparameters.

use crate::job::Job;
use crate::job::python::{Dict, Separators, Text, Value};
use crate::job::settings::{ArgumentStyle, Settings};

/// Builds the arguments in the style of the setting `arguments` or, if it is not set, of the job's incumbent.
/// Arguments that a framework states are not changed.
pub(super) fn build(job: &Job, settings: &Settings) -> Vec<Text> {
    if let Some(arguments) = &job.request.arguments {
        return arguments.clone();
    }
    let as_drivers = job.runs_as_drivers();
    let default = if as_drivers { ArgumentStyle::Json } else { ArgumentStyle::Toolkit };
    match settings.arguments.unwrap_or(default) {
        ArgumentStyle::Toolkit => toolkit(&job.hyperparameters),
        ArgumentStyle::Json if as_drivers => drivers(&job.all_hyperparameters),
        ArgumentStyle::Json => json(&job.hyperparameters),
        ArgumentStyle::Flags => flags(&job.hyperparameters),
        ArgumentStyle::None => Vec::new(),
    }
}

/// Builds the arguments of sagemaker-training: sorted by name, with Python's `str` of each value. Null is an empty argument,
/// and an object is `key=value` pairs.
fn toolkit(hyperparameters: &Dict) -> Vec<Text> {
    let mut arguments = Vec::new();
    for (name, value) in hyperparameters.sorted() {
        arguments.push(option(name));
        arguments.push(match value {
            Value::None => Text::default(),
            Value::Dict(dict) => pairs(dict),
            other => other.to_py_str(),
        });
    }
    arguments
}

/// Returns `-x` for a name of one character, an empty argument for an empty name, and `--name` for any other.
fn option(name: &Text) -> Text {
    let dashes = match name.code_points().take(2).count() {
        0 => "",
        1 => "-",
        _ => "--",
    };
    joined(&[&Text::from(dashes), name])
}

/// Returns an object as `a=1,b=2`, sorted by name.
fn pairs(dict: &Dict) -> Text {
    let mut parts = Vec::new();
    for (name, value) in dict.sorted() {
        if !parts.is_empty() {
            parts.push(Text::from(","));
        }
        parts.extend([name.clone(), Text::from("="), value.to_py_str()]);
    }
    joined(&parts.iter().collect::<Vec<_>>())
}

/// Builds the arguments of SDK version 3's drivers: `--name` and JSON, in the order of the file.
///
/// The drivers decode values twice, once for SM_HPS and again for the arguments: a string that holds `1e5` becomes
/// `100000.0`.
fn drivers(hyperparameters: &Dict) -> Vec<Text> {
    let dashes = Text::from("--");
    hyperparameters.iter().flat_map(|(name, value)| [joined(&[&dashes, name]), json_text(&value.decoded())]).collect()
}

/// Builds arguments with each value as JSON, sorted by name.
fn json(hyperparameters: &Dict) -> Vec<Text> {
    hyperparameters.sorted().into_iter().flat_map(|(name, value)| [option(name), json_text(value)]).collect()
}

/// Builds the arguments of [`json`], except that true is a flag without a value, and false and null are omitted.
fn flags(hyperparameters: &Dict) -> Vec<Text> {
    let mut arguments = Vec::new();
    for (name, value) in hyperparameters.sorted() {
        match value {
            Value::None | Value::Bool(false) => {}
            Value::Bool(true) => arguments.push(option(name)),
            other => arguments.extend([option(name), json_text(other)]),
        }
    }
    arguments
}

/// Returns a value as JSON, except that strings are bare.
fn json_text(value: &Value) -> Text {
    match value {
        Value::Str(text) => text.clone(),
        other => Text::from(other.dumps(Separators::Default)),
    }
}

fn joined(parts: &[&Text]) -> Text {
    let mut all = Text::default();
    for part in parts {
        all.push_text(part);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{drivers, flags, json, toolkit};
    use crate::job::python::{Dict, Text, Value, parse};

    fn dict(json: &str) -> Dict {
        match parse(json) {
            Ok(Value::Dict(dict)) => dict,
            other => panic!("{other:?}"),
        }
    }

    fn texts(arguments: Vec<Text>) -> Vec<String> {
        arguments.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_style_builds_its_own_arguments() {
        let given = dict(
            r#"{"verbose": true, "amp": false, "n": null, "lr": 1e-5, "opt": {"b": [1, "x"], "a": null}, "s": "a b"}"#,
        );
        assert_eq!(
            texts(toolkit(&given)),
            [
                "--amp",
                "False",
                "--lr",
                "1e-05",
                "-n",
                "",
                "--opt",
                "a=None,b=[1, 'x']",
                "-s",
                "a b",
                "--verbose",
                "True"
            ]
        );
        assert_eq!(
            texts(json(&given)),
            [
                "--amp",
                "false",
                "--lr",
                "1e-05",
                "-n",
                "null",
                "--opt",
                r#"{"b": [1, "x"], "a": null}"#,
                "-s",
                "a b",
                "--verbose",
                "true"
            ]
        );
        assert_eq!(
            texts(flags(&given)),
            ["--lr", "1e-05", "--opt", r#"{"b": [1, "x"], "a": null}"#, "-s", "a b", "--verbose"]
        );
        assert_eq!(texts(drivers(&dict(r#"{"z": "1e5", "a": "x"}"#))), ["--z", "100000.0", "--a", "x"]);
    }
}
