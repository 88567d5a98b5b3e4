//! The indexes of an installation: logging in to CodeArtifact, and finding the indexes that cannot be reached.

use std::path::PathBuf;

use super::program::write_temporary;
use crate::logs;
use crate::prepare::requirements::{
    INDEX_REMEDY, InstallerKind, PackageIndex, PackageSources, PipSettings, Proxies, PythonEnvironment, Repository,
    Scan, package_sources, unreachable_indexes,
};
use crate::run::Outcome;
use crate::run::context::Context;
use crate::run::live::Live;
use crate::supervise::Interrupted;

/// The index of a CodeArtifact repository, with the credentials for it.
pub(super) struct CodeArtifactIndex {
    pub(super) index: PackageIndex,
    /// A netrc file that contains the token, for pip.
    pub(super) netrc: PathBuf,
}

/// The reason why the search for packages ended before the installer started.
pub(super) enum SourceError {
    /// No package can be downloaded, for this reason.
    Unusable(String),
    /// The job ends for another reason.
    Ended(Outcome),
}

impl From<Interrupted> for SourceError {
    fn from(interrupted: Interrupted) -> SourceError {
        SourceError::Ended(interrupted.into())
    }
}

/// Logs in to the CodeArtifact repository that the job names. `None` if it names none. From here on, the log and the
/// failure file hide the token.
pub(super) async fn log_in(context: &Context, live: &mut Live) -> Result<Option<CodeArtifactIndex>, SourceError> {
    let Some(repository) = Repository::of_job(&context.variables) else { return Ok(None) };
    let variables = context.variables.clone();
    let answer = live.supervisor.interruptible(move || repository?.index(&variables)).await?;
    let index = answer.map_err(|error| SourceError::Unusable(error.to_string()))?;
    logs::set_redactor(logs::redactor().and(&index.token));
    tracing::info!("requirements: installing from the CodeArtifact index {}", index.url);
    let netrc = write_temporary(live, "netrc", &index.netrc(&context.variables)).map_err(SourceError::Ended)?;
    Ok(Some(CodeArtifactIndex { index, netrc }))
}

/// Connects to the indexes and returns true if the installer must ignore all of them, because none can be reached and
/// there are other sources (`--find-links`).
///
/// # Errors
///
/// No index can be reached, there are no other sources, and `needs_index` states that a package is certainly missing.
pub(super) async fn must_ignore_indexes(
    context: &Context,
    live: &mut Live,
    installer: InstallerKind,
    scan: &Scan,
    settings: &PipSettings,
    environment: &PythonEnvironment,
    needs_index: bool,
) -> Result<bool, SourceError> {
    let variables = context.variables.clone();
    let variable = |name: &str| variables.get(name).map(|value| value.into_owned());
    let default_index = environment.default_index.as_deref();
    let PackageSources { indexes, has_find_links } =
        package_sources(installer, scan, settings, default_index, variable);
    let proxies = Proxies::from_settings(settings, variable);
    let unreachable = live.supervisor.wait_for(unreachable_indexes(&indexes, &proxies)).await?;
    for index in &unreachable {
        tracing::warn!("requirements: {index}");
    }
    match unreachable.first() {
        Some(_) if unreachable.len() == indexes.len() && has_find_links => {
            tracing::warn!("requirements: no index can be reached: packages are taken from --find-links only");
            Ok(true)
        }
        Some(first) if unreachable.len() == indexes.len() && needs_index => {
            Err(SourceError::Unusable(format!("{first}; {INDEX_REMEDY}")))
        }
        _ => Ok(false),
    }
}
