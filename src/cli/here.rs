//! The job of this container, for the subcommands that describe it without running it.

use std::path::Path;

use super::{common, process};
use crate::job::{Variables, config};
use crate::run::{self, Outcome, Prepared, ProcessingCommand};

/// Reads the training or processing job whose configuration is in this container. The command of a processing job is
/// the one with which the platform starts the container.
///
/// # Errors
/// The first error in the configuration or the settings.
pub(super) fn prepared(
    variables: &Variables,
    settings: &[(String, String)],
    config_is_optional: bool,
) -> Result<Prepared, Outcome> {
    let paths = config::paths_here(variables);
    let prepared = run::prepare(paths.clone(), variables, settings, config_is_optional)?;
    let Some(processing) = &prepared.job.processing else { return Ok(prepared) };
    let words = processing.container_command();
    let is_own = words.first().is_some_and(|word| Path::new(word).file_name().is_some_and(|name| name == "footplate"));
    let mut command = ProcessingCommand { words: words.iter().map(Into::into).collect(), may_be_script: false };
    let mut all = Vec::new();
    if is_own && let Ok(matches) = super::command().try_get_matches_from(&words) {
        match matches.subcommand() {
            Some(("process", matches)) => {
                (command, all) = (process::stated(matches, true), common::options(matches).settings)
            }
            Some(("exec", matches)) => {
                (command, all) = (process::stated(matches, false), common::options(matches).settings)
            }
            _ => {}
        }
    } else if words.is_empty() {
        command.may_be_script = true;
    }
    all.extend(settings.iter().cloned());
    let mut prepared = run::prepare(paths, variables, &all, config_is_optional)?;
    run::apply(&command, variables, &mut prepared);
    Ok(prepared)
}

/// Reads the job like [`prepared`], and also finds the frameworks of the image's Python if the choice of the launcher
/// depends on them.
///
/// # Errors
/// As for [`prepared`].
pub(super) fn with_frameworks(
    variables: &Variables,
    settings: &[(String, String)],
    config_is_optional: bool,
) -> Result<Prepared, Outcome> {
    let mut prepared = prepared(variables, settings, config_is_optional)?;
    run::find_frameworks(&mut prepared, variables);
    Ok(prepared)
}
