//! The reason why an installer failed, including reasons that its output does not show: an index that refuses
//! credentials, and a wrong character in the requirements file that looks like the right one.

use std::ffi::OsString;
use std::path::Path;

use super::program::run_to_end;
use crate::event::Process;
use crate::logs::{self, Rewrite, Style};
use crate::prepare::requirements::{IndexQuery, InstallerKind, Scan, pip_failure_line, rejection, uv_failure_line};
use crate::run::live::Live;
use crate::run::start::shown_command;
use crate::run::{Outcome, Prepared};
use crate::supervise::{EndReport, Task};

/// Returns the outcome of a job whose installer failed.
///
/// # Errors
///
/// The outcome of the job if it was stopped while the installer was asked about an index.
pub(super) async fn failed(
    live: &mut Live,
    prepared: &Prepared,
    installer: InstallerKind,
    python: &Path,
    report: &EndReport,
    task: &Task,
    scan: &Scan,
) -> Result<Outcome, Outcome> {
    let output = [&*report.output.stdout, &*report.output.stderr].concat();
    let own = match installer {
        InstallerKind::Pip => pip_failure_line(&output),
        InstallerKind::Uv => uv_failure_line(&output, scan.only_path()),
    };
    let own = own.unwrap_or_else(|| format!("the requirements could not be installed: {}", report.ending));
    let mut rejected = rejection(installer, &output, &own);
    if rejected.is_none()
        && let Some(query) = IndexQuery::after(installer, &own, scan)
    {
        rejected = ask(live, prepared, python, task, &query).await?;
    }
    let deceptive = scan.deceptive.as_ref().map(|line| format!("; {line}: type it again"));
    let complaint = match rejected {
        Some(rejected) => format!("{rejected}; {own}"),
        None => format!("{own}{}", deceptive.unwrap_or_default()),
    };
    let command = shown_command(&logs::redactor(), &task.arguments);
    Ok(Outcome::Requirements { ending: report.ending, complaint, command })
}

/// Asks the installer about a package in a way that shows the HTTP status of the indexes, and returns the reason why
/// they provided no version. Logs nothing.
async fn ask(
    live: &mut Live,
    prepared: &Prepared,
    python: &Path,
    failed: &Task,
    query: &IndexQuery,
) -> Result<Option<String>, Outcome> {
    let mut variables = failed.variables.clone();
    let given =
        |name: &str| failed.variables.get(&OsString::from(name)).map(|value| value.to_string_lossy().into_owned());
    variables.extend(query.variables(given).into_iter().map(|(name, value)| (name.into(), value.into())));
    let task = Task {
        process: Process::Tool("query of the index".into()),
        program: failed.program.clone(),
        arguments: query.command(&failed.program, python),
        variables,
        style: Style { rewrite: Some(Rewrite::new(|_| None)), ..Style::default() },
        working_dir: failed.working_dir.clone(),
        ..Task::default()
    };
    let report = run_to_end(live, prepared, &task).await?;
    Ok(query.answer(&[&*report.output.stdout, &*report.output.stderr].concat()))
}
