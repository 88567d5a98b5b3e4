//! Variables of the script: the meaning of each one, and the source of its value.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{Here, line};
use crate::cli::plan;
use crate::launch::{self, LaunchInput, LaunchPlan};
use crate::prepare::environment::registry::{Variable, added_variables, processing_variables, toolkit_variables};
use crate::prepare::environment::{Environment, ExistingVariables};
use crate::run::{self, Outcome, Prepared};

/// Returns the documentation of all variables that a script can get.
pub(super) fn documented() -> Vec<Variable> {
    toolkit_variables()
        .into_iter()
        .chain(added_variables())
        .chain(processing_variables())
        .chain(launch::variables())
        .collect()
}

/// Explains a variable that is documented, or that is set here.
pub(super) fn explained(name: &str, here: &Here) -> Option<String> {
    let documented = documented();
    let exact = documented.iter().find(|variable| variable.name == name);
    let of_family = || {
        let families = documented.iter().filter_map(|variable| Some((variable, variable.name.strip_suffix('*')?)));
        families.filter(|(_, prefix)| name.starts_with(prefix)).map(|(variable, _)| variable).next()
    };
    let known = exact.or_else(of_family);
    let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
    let (value, reason) = is_name.then(|| value_here(name, here))?;
    if known.is_none() && value.is_none() {
        return None;
    }
    let mut text = format!("{name}, a variable\n");
    if let Some(variable) = known {
        text += &line("holds", &variable.meaning.replace('`', ""));
    }
    if let Some(value) = value {
        let value = here.redactor.clean_value(name, &String::from_utf8_lossy(&value)).into_owned();
        text += &line("here", &format!("{value:?}"));
    }
    text += &line("because", &reason);
    Some(text)
}

/// Returns the value that the script would get, and its source.
fn value_here(name: &str, here: &Here) -> (Option<Vec<u8>>, String) {
    let given = here.variables.get_os(OsStr::new(name)).map(|value| value.as_bytes().to_vec());
    let planned = match &here.prepared {
        Ok(prepared) => planned(prepared, here),
        Err(outcome) => Err(outcome.clone()),
    };
    let (environment, plan) = match planned {
        Ok(planned) => planned,
        Err(outcome) => {
            let refused = outcome.failure_text(&here.redactor).unwrap_or_default();
            let refused = refused.lines().next().unwrap_or_default();
            let reason = match &given {
                Some(_) => format!("this container has it; a job cannot be prepared here: {refused}"),
                None => format!("it is not set: a job cannot be prepared here: {refused}"),
            };
            return (given, reason);
        }
    };
    let omitted = environment.omitted.iter().find(|omitted| omitted.name == name);
    if let Some(omitted) = omitted {
        return (None, format!("it is left out: {}", omitted.reason));
    }
    let of_job = environment.variables.get(name.as_bytes());
    let plan = plan.ok();
    let of_launch = plan.as_ref().and_then(|plan| {
        let of_rank = plan.script_processes().find_map(|process| process.command.variables.get(name.as_bytes()));
        of_rank.or_else(|| plan.variables.get(name.as_bytes()))
    });
    match (given, of_launch, of_job) {
        (Some(given), _, Some(value)) if given != *value => (
            Some(value.clone()),
            "footplate computes it from the job; the container's own value is replaced".to_owned(),
        ),
        (_, None, Some(value)) => {
            (Some(value.clone()), "footplate computes it from the job and this machine".to_owned())
        }
        (Some(given), Some(_), _) => (Some(given), "the container has it, and the launcher leaves it".to_owned()),
        (None, Some(value), _) => {
            let launcher = plan.as_ref().map_or("", |plan| plan.launcher);
            (
                Some(value.clone()),
                format!("the launcher {launcher} sets it (each rank has its own, if it counts ranks)"),
            )
        }
        (Some(given), None, None) => {
            (Some(given), "the container has it (the image, or the job's environment)".to_owned())
        }
        (None, None, None) => {
            (None, "it is not set here: nothing in this job or on this machine calls for it".to_owned())
        }
    }
}

/// Returns the environment that the script of this host would get: the variables of the job, and the plan of the
/// launch if one can be made.
fn planned(prepared: &Prepared, here: &Here) -> Result<(Environment, Result<LaunchPlan, Outcome>), Outcome> {
    let variables = &here.variables;
    let hardware = run::hardware(prepared, variables);
    let environment = run::environment_of(prepared, &hardware, variables, ExistingVariables::in_job(&prepared.job))?;
    let plan = plan::entry(prepared, variables).and_then(|(entry, _)| {
        let (image, _) = run::image(prepared, variables, false)?;
        let input = LaunchInput {
            job: &prepared.job,
            settings: &prepared.settings,
            variables,
            hardware: &hardware,
            image: &image,
            entry: &entry,
            arguments: &environment.arguments,
            token: &run::engine_token(prepared, variables),
        };
        launch::plan(&input).map_err(|error| Outcome::refused(run::Refusal::Launch, error))
    });
    Ok((environment, plan))
}
