//! The definition of a variable: its name, its meaning, and the function that computes its value.
//!
//! The tables of the other files consist of these definitions. [`super::registry`] lists them for the documentation.

use std::collections::BTreeMap;

use crate::job::python::{Dict, Separators, Text, Value};
use crate::job::settings::Settings;
use crate::job::{Job, Variables};
use crate::machine::Hardware;

/// Environment variables by name, as the bytes that the system receives.
pub type VariableTable = BTreeMap<Vec<u8>, Vec<u8>>;

/// Variables by name, before they are converted to bytes.
pub(super) type Draft = BTreeMap<Text, Text>;

/// The documentation of a variable, or of a family of variables.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The name; `*` stands for the name of a hyperparameter or channel in capitals.
    pub name: &'static str,
    /// The meaning of the value.
    pub meaning: &'static str,
}

impl Variable {
    /// Documents a variable.
    pub const fn new(name: &'static str, meaning: &'static str) -> Variable {
        Variable { name, meaning }
    }
}

/// The data that values are computed from.
pub(super) struct Inputs<'a> {
    pub job: &'a Job,
    pub hardware: &'a Hardware,
    pub settings: &'a Settings,
    /// The variables that the container was given.
    pub given: &'a Variables,
    /// The script's arguments.
    pub arguments: &'a [Text],
}

/// A function that computes a value.
pub(super) type ValueFn = fn(&Inputs<'_>) -> Value;

/// The callback for the values of a family; each is passed with the part of the name that `*` stands for, in any case.
pub(super) type AddValue<'r> = &'r mut dyn FnMut(&str, &Value);

/// The function that computes the value of a variable or the values of a family.
#[derive(Clone, Copy)]
enum ValueOf {
    One(ValueFn),
    /// A variable that is not set if the function returns `None`.
    Optional(fn(&Inputs<'_>) -> Option<Value>),
    Family(fn(&Inputs<'_>, AddValue<'_>)),
}

/// A variable's name with the function that computes its value.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    name: &'static str,
    value: ValueOf,
    /// True if the value is also in the JSON object of `SM_TRAINING_ENV`.
    is_shared: bool,
}

/// A rule with its documentation.
#[derive(Clone, Copy)]
pub(super) struct Definition {
    pub rule: Rule,
    pub meaning: &'static str,
}

impl Rule {
    /// A variable that is always set.
    pub const fn one(name: &'static str, value: ValueFn) -> Rule {
        Rule { name, value: ValueOf::One(value), is_shared: false }
    }

    /// A variable that is always set and whose value is also in `SM_TRAINING_ENV`.
    pub const fn shared(name: &'static str, value: ValueFn) -> Rule {
        Rule { name, value: ValueOf::One(value), is_shared: true }
    }

    /// A variable that is set if the function returns a value.
    pub const fn optional(name: &'static str, value: fn(&Inputs<'_>) -> Option<Value>) -> Rule {
        Rule { name, value: ValueOf::Optional(value), is_shared: false }
    }

    /// A family of variables; `name` ends with `*`.
    pub const fn family(name: &'static str, values: fn(&Inputs<'_>, AddValue<'_>)) -> Rule {
        Rule { name, value: ValueOf::Family(values), is_shared: false }
    }

    /// Adds the documentation.
    pub const fn meaning(self, meaning: &'static str) -> Definition {
        Definition { rule: self, meaning }
    }

    /// Computes the values and passes each with its variable's name to `add`.
    pub fn apply(&self, inputs: &Inputs<'_>, add: &mut dyn FnMut(Text, &Value)) {
        match self.value {
            ValueOf::One(value) => add(Text::from(self.name), &value(inputs)),
            ValueOf::Optional(value) => {
                if let Some(value) = value(inputs) {
                    add(Text::from(self.name), &value);
                }
            }
            ValueOf::Family(values) => {
                let prefix = self.name.trim_end_matches('*');
                values(inputs, &mut |key, value| add(Text::from(format!("{prefix}{}", key.to_uppercase())), value));
            }
        }
    }
}

impl Definition {
    /// Returns the documentation.
    pub fn variable(&self) -> Variable {
        Variable::new(self.rule.name, self.meaning)
    }
}

/// Returns the values of the shared rules as a JSON object: each key is the variable's name without `SM_`, in lower case.
pub(super) fn shared_values<'r>(rules: impl Iterator<Item = &'r Rule>, inputs: &Inputs<'_>) -> Dict {
    let mut values = Dict::new();
    for rule in rules.filter(|rule| rule.is_shared) {
        let key = rule.name.trim_start_matches("SM_").to_lowercase();
        rule.apply(inputs, &mut |_, value| values.set(key.as_str(), value.clone()));
    }
    values
}

/// Returns the text of a value as the toolkit writes it: null is empty, strings are bare, other values are compact JSON.
pub(super) fn toolkit_text(value: &Value) -> Text {
    match value {
        Value::None => Text::default(),
        Value::Str(text) => text.clone(),
        other => Text::from(other.dumps(Separators::CompactSorted)),
    }
}

/// Returns a path as a value, with U+FFFD for bytes that are not UTF-8.
pub(super) fn path(path: impl AsRef<std::path::Path>) -> Value {
    Value::from(path.as_ref().to_string_lossy().into_owned())
}

/// Returns a list of strings as a value.
pub(super) fn strings<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Value {
    texts.into_iter().map(|text| Value::from(text.as_ref())).collect()
}

/// Returns the folder of each channel by the channel's name, in the order of `inputdataconfig.json`.
pub(super) fn channel_folders(job: &Job) -> Dict {
    let folder = |channel: &Text| (channel.clone(), path(job.paths.channel(&channel.to_str())));
    job.channels.keys().map(folder).collect()
}
