//! The phase that installs the packages that the user's code requires, unless all of them are already installed.
//!
//! [`work`] finds the missing packages and runs the installer. It uses [`inspect`], which describes the image's
//! Python, its uv and pip's settings, [`sources`], which logs in to CodeArtifact and looks for unreachable indexes,
//! and [`program`], which runs one program to its end. None of these imports this module.

mod inspect;
mod program;
mod reason;
mod sources;
mod work;

use std::path::Path;

use self::work::Installation;
use crate::job::Job;
use crate::job::settings::{RequirementsChoice, Settings};
use crate::logs;
use crate::prepare::code::EntryPoint;
use crate::prepare::requirements::InstallPlan;
use crate::run::context::Context;
use crate::run::live::Live;
use crate::run::{Outcome, Prepared, Refusal};

/// Installs the packages that the code requires. `entry` is `None` if the job is a command of the user, and `python` is
/// `None` if the image has no Python.
///
/// # Errors
///
/// The outcome of the job if the packages cannot be installed or the job was stopped. A failure to install packages
/// that the job did not ask for is only logged.
pub(super) async fn requirements(
    context: &Context,
    live: &mut Live,
    prepared: &Prepared,
    entry: Option<&EntryPoint>,
    python: Option<&Path>,
) -> Result<(), Outcome> {
    let job = &prepared.job;
    let (install, file) = request(&prepared.settings, job);
    let plan = InstallPlan::make(&job.code_dir(), entry, install, file.as_deref())
        .map_err(|error| Outcome::refused(Refusal::NotFound, error))?;
    tracing::info!("requirements: {plan}");
    let InstallPlan::Install { file, package, is_unasked, code_dir } = plan else { return Ok(()) };
    let Some(python) = python else {
        let message = "requirements cannot be installed: the image has no Python on PATH; install Python in the image, \
                       or set FOOTPLATE_PYTHON to its path";
        return if is_unasked { Ok(()) } else { Err(Outcome::refused(Refusal::NotFound, message)) };
    };
    let installation = Installation::new(prepared, python.to_owned(), code_dir, file, package);
    match installation.run(context, live).await {
        Err(outcome @ (Outcome::Requirements { .. } | Outcome::Refused { .. })) if is_unasked => {
            let text = outcome.failure_text(&logs::redactor()).unwrap_or_default();
            let reason = text.lines().next().unwrap_or_default();
            tracing::warn!(
                "requirements: not installed, and the job goes on, because it did not ask for them: {reason}"
            );
            Ok(())
        }
        other => other,
    }
}

/// Returns the job's request about installing (`None` if there is none), and the file that it names. The setting
/// takes precedence over the configuration of SDK version 3.
fn request(settings: &Settings, job: &Job) -> (Option<bool>, Option<String>) {
    let drivers = job.drivers.as_ref().filter(|_| job.runs_as_drivers());
    match (&settings.requirements, drivers.map(|drivers| drivers.requirements.as_deref())) {
        (RequirementsChoice::Off, _) => (Some(false), None),
        (RequirementsChoice::File(file), _) => (Some(true), Some(file.clone())),
        // The SDK's own drivers install requirements only if the job names them.
        (RequirementsChoice::Default, Some(None)) => (Some(false), None),
        (RequirementsChoice::Default, Some(Some("auto"))) => (Some(true), None),
        (RequirementsChoice::Default, Some(Some(file))) => (Some(true), Some(file.to_owned())),
        (RequirementsChoice::Default, None) => (None, None),
    }
}
