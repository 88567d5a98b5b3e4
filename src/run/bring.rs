//! Bringing the user's code and what it needs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::session::Session;
use super::{Outcome, Prepared, Refusal};
use crate::code::{self, EntryPoint, Precedence, Source};
use crate::job::Job;
use crate::process::{Task, Timing};
use crate::redact::Redactor;
use crate::requirements::{self, Plan};
use crate::settings::{Requirements, Settings};
use crate::storage::Access;

/// Brings the code into the code folder.
pub(super) async fn code(session: &mut Session, prepared: &Prepared) -> Result<(), Outcome> {
    let job = &prepared.job;
    if job.runs_as_drivers() || job.request.training_module.is_some() {
        return Ok(());
    }
    let code_dir = job.code_dir();
    let Some(source) = source_of(job)? else { return Ok(()) };
    if source == Source::BakedIn {
        return Ok(());
    }
    let precedence = match prepared.settings.supplied_code_wins {
        true => Precedence::SuppliedWins,
        false => Precedence::BakedInWins,
    };
    let region = job.request.region.as_ref().and_then(|region| region.as_str());
    let access = Access::of(&session.variables, region);
    let brought =
        session.supervisor.interruptible(move || code::bring(&source, &code_dir, precedence, &access)).await?;
    let brought = brought.map_err(|error| Outcome::refused(Refusal::Code, error))?;
    tracing::info!("code: {brought}");
    if let Some(notes) = brought.notes() {
        tracing::warn!("code: {notes}");
    }
    Ok(())
}

/// Where the code comes from: the hyperparameter, else the image's variable, else the channel `code`.
fn source_of(job: &Job) -> Result<Option<Source>, Outcome> {
    let code_dir = job.code_dir();
    let parse = |text: &str| {
        Source::parse(text, job.paths.base(), &code_dir).map_err(|error| Outcome::refused(Refusal::Code, error))
    };
    let channel = job.paths.channel("code");
    let channel = (job.channels.get("code").is_some() && channel.is_dir()).then_some(channel);
    let named = job.request.submit_directory.as_deref().or(job.request.image_submit_directory.as_deref());
    match (named.map(parse).transpose()?, channel) {
        // Tuning jobs of SDK version 3 bring the same code as a channel, which is there already.
        (Some(Source::S3 { bucket, key }), Some(channel)) => {
            tracing::info!("code: the channel code is used in place of s3://{bucket}/{key}");
            parse(&channel.to_string_lossy()).map(Some)
        }
        (Some(source), _) => Ok(Some(source)),
        (None, Some(channel)) => {
            let is_baked_in = job.entry_name().is_some_and(|name| code_dir.join(name).exists());
            if is_baked_in { Ok(None) } else { parse(&channel.to_string_lossy()).map(Some) }
        }
        (None, None) => Ok(None),
    }
}

/// Installs what the code needs.
pub(super) async fn requirements(
    session: &mut Session,
    prepared: &Prepared,
    entry: &EntryPoint,
    python: Option<&Path>,
) -> Result<(), Outcome> {
    let job = &prepared.job;
    let (install, file) = asked(&prepared.settings, job);
    let plan = Plan::make(&job.code_dir(), entry, install, file.as_deref())
        .map_err(|error| Outcome::refused(Refusal::NotFound, error))?;
    tracing::info!("requirements: {plan}");
    let Some(python) = python else {
        return match plan {
            Plan::Install { .. } => {
                let message = "requirements are to be installed, but the image has no Python on PATH";
                Err(Outcome::refused(Refusal::NotFound, message))
            }
            _ => Ok(()),
        };
    };
    let Some(arguments) = plan.command(python) else { return Ok(()) };
    let mut variables: BTreeMap<OsString, OsString> =
        session.variables.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, value) in requirements::variables(|name| session.variables.get(name).is_some()) {
        variables.insert(name.into(), value.into());
    }
    let task =
        Task { program: python.to_owned(), arguments, variables, working_dir: job.code_dir(), ..Task::default() };
    let command = display(&session.redactor, &task.arguments);
    let mut reports = session
        .supervisor
        .run(std::slice::from_ref(&task), timing(&prepared.settings), &mut |_| {})
        .await
        .map_err(|error| Outcome::refused(Refusal::NotExecutable, error))?;
    if let Some(stop) = reports.stop {
        return Err(Outcome::Stopped(stop.signal));
    }
    let Some(report) = reports.reports.pop() else { return Ok(()) };
    if report.ending.is_success() {
        return Ok(());
    }
    let output = [report.stdout, report.stderr].concat();
    let complaint = requirements::failure_line(&output)
        .unwrap_or_else(|| format!("the requirements could not be installed: {}", report.ending));
    Err(Outcome::Requirements { ending: report.ending, complaint, command })
}

/// Whether to install, and from which file: the setting, else what SDK version 3 says of the job.
fn asked(settings: &Settings, job: &Job) -> (Option<bool>, Option<String>) {
    let drivers = job.drivers.as_ref().filter(|_| job.runs_as_drivers());
    match (&settings.requirements, drivers.map(|drivers| drivers.requirements.as_deref())) {
        (Requirements::Off, _) => (Some(false), None),
        (Requirements::File(file), _) => (Some(true), Some(file.clone())),
        // The drivers install nothing unless they are told to.
        (Requirements::Default, Some(None)) => (Some(false), None),
        (Requirements::Default, Some(Some("auto"))) => (Some(true), None),
        (Requirements::Default, Some(Some(file))) => (Some(true), Some(file.to_owned())),
        (Requirements::Default, None) => (None, None),
    }
}

/// How much time the settings give.
pub(super) fn timing(settings: &Settings) -> Timing {
    Timing { grace_period: settings.grace_period, drain_time: settings.drain_time }
}

/// A command as it may be shown.
pub(super) fn display(redactor: &Redactor, arguments: &[OsString]) -> String {
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    redactor.clean_command(&words)
}
