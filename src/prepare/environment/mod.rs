//! The script's environment variables and arguments.
//!
//! - `toolkit` and `drivers` are the variables of the two incumbents, exactly as they set them, one table each;
//!   `additions` are the variables that footplate adds. Each row of a table has the name, the meaning, and the function
//!   that computes the value. `processing` are those of a processing job.
//! - [`registry`] lists all of them for the documentation. To add a variable, add a row to `additions`.
//! - `arguments` builds the script's arguments from the hyperparameters.
//! - `limits` leaves out variables that the kernel does not accept.
//!
//! Everything here is pure, except for `limits::exec_space`, which asks the kernel for a limit.

mod additions;
mod arguments;
mod drivers;
mod limits;
mod processing;
pub mod registry;
mod toolkit;
mod variable;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::job::settings::Settings;
use crate::job::{Job, Variables};
use crate::machine::Hardware;

use self::variable::{Draft, Inputs};

pub use limits::{ArgumentsTooLarge, OmittedVariable};
pub use registry::ENVIRONMENT_FILE;
pub use variable::VariableTable;

/// The script's variables, in addition to those of the container, and its arguments.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The variables to set.
    pub variables: VariableTable,
    /// The script's arguments, without its name. Empty if the script is passed none.
    pub arguments: Vec<Vec<u8>>,
    /// The variables that could not be set, with their whole values.
    pub omitted: Vec<OmittedVariable>,
}

/// The treatment of variables that the container already has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExistingVariables {
    /// The job's values replace them, as in the toolkit.
    Overwrite,
    /// The container's values are kept (`footplate exec`, a processing job, and a framework's entry point).
    Keep,
}

impl ExistingVariables {
    /// Returns the treatment in a job that `footplate train` or `footplate process` runs.
    pub fn in_job(job: &Job) -> ExistingVariables {
        if job.processing.is_some() { ExistingVariables::Keep } else { ExistingVariables::Overwrite }
    }
}

/// Builds the variables and arguments for one host of a job. `given` are the variables of the container.
///
/// # Errors
///
/// An argument, or all of them together, exceed the kernel's limit.
pub fn build(
    job: &Job,
    hardware: &Hardware,
    settings: &Settings,
    given: &Variables,
    existing: ExistingVariables,
) -> Result<Environment, ArgumentsTooLarge> {
    let arguments = arguments::build(job, settings);
    let inputs = Inputs { job, hardware, settings, given, arguments: &arguments };
    let mut draft = Draft::new();
    if job.processing.is_some() {
        processing::add(&inputs, &mut draft);
    } else {
        toolkit::add(&inputs, &mut draft);
        if job.runs_as_drivers() {
            drivers::add(&inputs, &mut draft);
        }
        additions::add(&inputs, &mut draft);
    }

    let mut variables = VariableTable::new();
    let mut omitted = Vec::new();
    for (name, value) in draft {
        let (name_bytes, value) = (name.to_system(), value.to_system());
        match limits::why_not_a_variable(&name_bytes, &value) {
            Some(reason) => omitted.push(OmittedVariable { name: name.to_str().into_owned(), value, reason }),
            None => {
                variables.insert(name_bytes, value);
            }
        }
    }
    if existing == ExistingVariables::Keep {
        variables.retain(|name, _| given.get_os(OsStr::from_bytes(name)).is_none());
    }
    let are_passed = match existing {
        ExistingVariables::Overwrite => job.passes_arguments(settings),
        // `footplate exec` passes its own arguments.
        ExistingVariables::Keep => settings.command_arguments || job.request.arguments.is_some(),
    };
    let arguments: Vec<Vec<u8>> = if are_passed {
        arguments.iter().map(|argument| limits::without_nul(argument.to_system())).collect()
    } else {
        Vec::new()
    };
    omitted.extend(limits::fit(&mut variables, &arguments, given.exec_size(), limits::exec_space())?);
    Ok(Environment { variables, arguments, omitted })
}
