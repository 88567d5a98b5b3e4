//! What the script is given: its environment variables and its arguments.
//!
//! [`registry`] documents every variable; [`toolkit`] and [`drivers`] build what the two incumbents give, to the letter,
//! [`additions`] what footplate gives beyond them. All of it is pure but for [`limits::exec_space`], which asks the kernel.

mod additions;
pub mod arguments;
mod drivers;
pub mod limits;
pub mod registry;
mod toolkit;

use std::collections::BTreeMap;

use crate::job::settings::Settings;
use crate::job::{Job, Variables};
use crate::machine::Hardware;
use crate::python::{Text, Value};

pub use limits::{Omitted, TooLarge};

/// Environment variables by name, as the bytes that the system is given.
pub type Table = BTreeMap<Vec<u8>, Vec<u8>>;

/// What the script is given beside what the container was given.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Variables to set.
    pub variables: Table,
    /// The script's arguments, without its name; none where it is passed none.
    pub arguments: Vec<Vec<u8>>,
    /// Variables that could not be set, with their whole values.
    pub omitted: Vec<Omitted>,
}

/// Whether variables that the container was given are overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// The job's variables win, as in the toolkit.
    Overwritten,
    /// What was exported stays (`footplate exec`).
    Kept,
}

/// Builds variables and arguments for one host of a job.
///
/// # Errors
/// An argument, or all of them together, is larger than the kernel takes.
pub fn build(
    job: &Job,
    hardware: &Hardware,
    settings: &Settings,
    given: &Variables,
    treatment: Given,
) -> Result<Environment, TooLarge> {
    let mut omitted = Vec::new();
    let arguments = arguments::build(job, settings);
    let mut variables = toolkit::variables(job, hardware, given, &arguments);
    if job.runs_as_drivers() {
        variables.extend(drivers::variables(job, hardware, settings));
    }
    additions::add(job, settings, given, &mut variables);
    let mut table = Table::new();
    for (name, value) in variables {
        let (name_bytes, value) = (name.to_system(), value.to_system());
        match limits::why_not_a_variable(&name_bytes, &value) {
            Some(reason) => omitted.push(Omitted { name: name.to_str().into_owned(), value, reason }),
            None => {
                table.insert(name_bytes, value);
            }
        }
    }
    if treatment == Given::Kept {
        use std::os::unix::ffi::OsStrExt;
        table.retain(|name, _| given.get_os(std::ffi::OsStr::from_bytes(name)).is_none());
    }
    // `footplate exec` runs a command as it is given.
    let arguments = match treatment == Given::Overwritten && job.passes_arguments() {
        true => arguments.iter().map(|argument| limits::without_nul(argument.to_system())).collect(),
        false => Vec::new(),
    };
    let mut environment = Environment { variables: table, arguments, omitted };
    limits::fit(&mut environment, given.exec_size(), limits::exec_space())?;
    Ok(environment)
}

/// Variables in the making.
type Draft = BTreeMap<Text, Text>;

/// The name of a variable as the toolkit makes it of a key: `SM_` and the key in capitals.
fn name_of(key: &str) -> Text {
    Text::from(format!("SM_{}", key.to_uppercase()))
}

/// The value of a variable as the toolkit makes it: null is empty, strings are bare, the rest is compact JSON.
fn value_of(value: &Value) -> Text {
    match value {
        Value::None => Text::default(),
        Value::Str(text) => text.clone(),
        other => Text::from(other.dumps(crate::python::Separators::CompactSorted)),
    }
}
