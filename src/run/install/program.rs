//! Running one program of an installation to its end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::run::context::Context;
use crate::run::live::Live;
use crate::run::start::timing;
use crate::run::{Outcome, Prepared, Refusal};
use crate::supervise::{EndReport, Task};

/// Runs a program to its end and returns its report, even if the program failed.
///
/// # Errors
///
/// The outcome of the job if the program cannot be started or the job was stopped.
pub(super) async fn run_to_end(live: &mut Live, prepared: &Prepared, task: &Task) -> Result<EndReport, Outcome> {
    let mut reports = live
        .supervisor
        .run(std::slice::from_ref(task), timing(&prepared.settings))
        .await
        .map_err(|error| Outcome::refused(Refusal::NotExecutable, error))?;
    match (reports.stop, reports.reports.pop()) {
        (Some(stop), _) => Err(Outcome::Stopped(stop.signal)),
        (None, Some(report)) => Ok(report),
        (None, None) => {
            let message = format!("{} has ended without a report", task.program.display());
            Err(Outcome::refused(Refusal::Internal, message))
        }
    }
}

/// Returns the variables of the container.
pub(super) fn container_variables(context: &Context) -> BTreeMap<OsString, OsString> {
    context.variables.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Writes a file that only this user can read into the run's temporary folder, which is removed at the end of the
/// run.
pub(super) fn write_temporary(live: &mut Live, name: &str, text: &str) -> Result<PathBuf, Outcome> {
    let folder = live.scratch.path().map(Path::to_owned);
    let written = folder.and_then(|folder| {
        let path = folder.join(name);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes()).map(|()| path)
    });
    written.map_err(|error| {
        let folder = std::env::temp_dir();
        let message =
            format!("cannot write {name} to {}: {error}; give the job a TMPDIR to write to", folder.display());
        Outcome::refused(Refusal::Internal, message)
    })
}
