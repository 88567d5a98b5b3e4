//! Bringing the user's code.

use std::path::{Path, PathBuf};

use super::context::Context;
use super::live::Live;
use super::{Outcome, Prepared, Refusal};
use crate::job::Job;
use crate::prepare::code::{self, CodeSource};
use crate::storage::Access;

/// Brings the code into the code folder, if the job supplies some.
pub(super) async fn code(context: &Context, live: &mut Live, prepared: &Prepared) -> Result<(), Outcome> {
    let job = &prepared.job;
    // The archive of a processing job is in the folder of the supplied code.
    let code_dir = if job.processing.is_some() { job.paths.code() } else { job.code_dir() };
    if job.request.training_module.is_some() && job.processing.is_none() {
        // sagemaker-training creates the folder (in `environment.py`), and frameworks write scripts into it.
        make_folder(&code_dir);
        return Ok(());
    }
    if job.runs_as_drivers() {
        return Ok(());
    }
    let source = match &job.processing {
        Some(_) => code::only_archive(&job.paths.code()).map(CodeSource::Local),
        None => source_of(job)?,
    };
    let Some(source) = source else {
        // A module of the image needs no supplied code, but it runs in the code folder.
        if job.processing.is_none() && job.request.program.as_deref().and_then(code::module_of).is_some() {
            make_folder(&code_dir);
        }
        return Ok(());
    };
    let precedence = prepared.settings.code_precedence;
    let region = job.request.region.as_ref().and_then(|region| region.as_str());
    let access = Access::of(&context.variables, region);
    let brought = live.supervisor.interruptible(move || code::fetch(&source, &code_dir, precedence, &access)).await?;
    let brought = brought.map_err(|error| Outcome::refused(Refusal::Code, error))?;
    tracing::info!("code: {brought}");
    if let Some(notes) = brought.notes() {
        tracing::warn!("code: {notes}");
    }
    Ok(())
}

fn make_folder(code_dir: &Path) {
    if let Err(error) = std::fs::create_dir_all(code_dir) {
        tracing::warn!("code: cannot make {}: {error}", code_dir.display());
    }
}

/// Returns the source of the code: the hyperparameter, else the image's variable, else the channel `code`.
fn source_of(job: &Job) -> Result<Option<CodeSource>, Outcome> {
    let code_dir = job.code_dir();
    let parse = |text: &str| {
        CodeSource::parse(text, job.paths.base(), &code_dir).map_err(|error| Outcome::refused(Refusal::Code, error))
    };
    let channel = job.paths.channel("code");
    let channel = (job.channels.get("code").is_some() && channel.is_dir()).then_some(channel);
    let named = job.request.submit_directory.as_deref().or(job.request.image_submit_directory.as_deref());
    let from_channel = |folder: PathBuf| parse(&folder.to_string_lossy());
    let Some(named) = named else {
        let is_baked_in = job.entry_name().is_some_and(|name| code_dir.join(name).exists());
        return channel.filter(|_| !is_baked_in).map_or(Ok(None), from_channel);
    };
    match (parse(named)?, channel) {
        // Tuning jobs of SDK version 3 also provide the code as a channel, which is already there.
        (Some(CodeSource::S3 { bucket, key }), Some(channel)) => {
            tracing::info!("code: the channel code is used in place of s3://{bucket}/{key}");
            from_channel(channel)
        }
        (source, _) => Ok(source),
    }
}
