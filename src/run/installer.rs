//! Running the installer of requirements: which, from which index, and what is shown of it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::bring;
use super::install::{Work, environment};
use super::session::Session;
use super::{Outcome, Refusal};
use crate::logs::{Level, Rewrite, Style};
use crate::process::{Ending, Report, Task};
use crate::requirements::{self, Installed, Installer, Interpreter, PipSettings, Progress, Proxies, REMEDY, Scan};
use crate::settings::Installer as Asked;
use crate::storage::Repository;

/// The repository of CodeArtifact that `sagemaker-training` installs from (its `modules.py`).
const REPOSITORY: &str = "CA_REPOSITORY_ARN";
/// Where a warm pool keeps what later jobs can use.
const WARM_POOL: &str = "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY";

/// What is known before an installer starts.
pub(super) struct Known {
    pub(super) scan: Scan,
    pub(super) settings: PipSettings,
    pub(super) interpreter: Interpreter,
    pub(super) installed: Installed,
    pub(super) uv: Option<PathBuf>,
}

impl Work<'_> {
    /// Runs the installer, and pip where uv cannot read what there is.
    pub(super) async fn install(
        &self,
        session: &mut Session,
        mut known: Known,
        needs_index: bool,
        begun: Instant,
    ) -> Result<(), Outcome> {
        let asked = self.prepared.settings.installer;
        let sees_below = known.interpreter.sees_packages_below();
        let obstacle = requirements::obstacle(&known.scan, &known.settings.for_uv(), sees_below);
        let (mut installer, note) = requirements::choose(asked, known.uv.is_some(), obstacle.as_deref())
            .map_err(|error| Outcome::refused(Refusal::NotFound, error))?;
        if let Some(note) = note {
            tracing::info!("requirements: {note}");
        }
        self.log_in(session, &mut known).await?;
        let no_index = self.probe(session, &known, installer, needs_index).await?;
        loop {
            let task = self.task(session, &known, installer, no_index);
            tracing::debug!("requirements: {}", bring::display(&session.redactor, &task.arguments));
            let progress = Arc::new(Mutex::new(Progress::new(installer)));
            let style =
                Style { rewrite: Some(rewrite(session, &progress, self.prepared.log_level())), ..Style::default() };
            let task = Task { style, ..task };
            let report = self.supervise(session, &task).await?;
            if report.ending.is_success() {
                let progress = progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
                say_done(installer, &progress, begun);
                return Ok(());
            }
            if installer == Installer::Uv
                && asked == Asked::Auto
                && requirements::cannot_read(&[&*report.stdout, &*report.stderr].concat())
            {
                tracing::info!("requirements: uv cannot read them all; pip may");
                installer = Installer::Pip;
                continue;
            }
            return Err(failed(session, installer, &report, &task));
        }
    }

    /// Makes the repository of CodeArtifact that the job names the index.
    async fn log_in(&self, session: &mut Session, known: &mut Known) -> Result<(), Outcome> {
        let Some(arn) = session.variables.get_non_empty(REPOSITORY).map(|arn| arn.into_owned()) else { return Ok(()) };
        let refused = |error| Outcome::refused(Refusal::Code, error);
        let repository = Repository::parse(&arn).map_err(refused)?;
        let variables = session.variables.clone();
        let index = session.supervisor.interruptible(move || repository.index(&variables)).await?.map_err(refused)?;
        session.set_redactor(session.redactor.and(&index.token));
        tracing::info!("requirements: from the CodeArtifact repository {arn}");
        known.settings.set_index(index.url);
        Ok(())
    }

    /// Sees whether the indexes can be reached; gives whether they are to be left out.
    async fn probe(
        &self,
        session: &mut Session,
        known: &Known,
        installer: Installer,
        needs_index: bool,
    ) -> Result<bool, Outcome> {
        let variables = session.variables.clone();
        let variable = |name: &str| variables.get(name).map(|value| value.into_owned());
        let Known { scan, settings, interpreter, .. } = known;
        let places = requirements::places(installer, scan, settings, interpreter.index.as_deref(), variable);
        let proxies = Proxies::of(settings, variable);
        let unreachable = session.supervisor.wait_for(requirements::probe(&places.indexes, &proxies)).await?;
        for found in &unreachable {
            tracing::warn!("requirements: {found}");
        }
        match unreachable.first() {
            Some(_) if unreachable.len() == places.indexes.len() && places.has_others => {
                tracing::warn!("requirements: no index can be reached: packages are taken from --find-links only");
                Ok(true)
            }
            Some(first) if unreachable.len() == places.indexes.len() && needs_index => {
                let command = bring::display(&session.redactor, &self.task(session, known, installer, false).arguments);
                let complaint = format!("{first}; {REMEDY}");
                Err(Outcome::Requirements { ending: Ending::Exited(1), complaint, command })
            }
            _ => Ok(false),
        }
    }

    fn task(&self, session: &Session, known: &Known, installer: Installer, no_index: bool) -> Task {
        let program = match (installer, &known.uv) {
            (Installer::Uv, Some(uv)) => uv.clone(),
            _ => self.python.clone(),
        };
        let mut variables = environment(session);
        let given = |name: &str| session.variables.get(name).map(|value| value.into_owned());
        let warm_pool = given(WARM_POOL).filter(|path| !path.is_empty()).map(PathBuf::from);
        let ours = requirements::variables(installer, &known.settings, &known.scan, warm_pool.as_deref(), given);
        variables.extend(ours.into_iter().map(|(name, value)| (name.into(), value.into())));
        if let Some(url) = known.settings.own_index() {
            for name in ["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"] {
                variables.remove(&OsString::from(name));
            }
            let name = if installer == Installer::Uv { "UV_DEFAULT_INDEX" } else { "PIP_INDEX_URL" };
            variables.insert(name.into(), url.into());
        }
        let mut order = self.order.clone();
        if installer == Installer::Uv {
            order.options = known.settings.for_uv().arguments;
        }
        if no_index && !order.options.iter().any(|option| option == "--no-index") {
            order.options.push("--no-index".to_owned());
        }
        let arguments = requirements::command(installer, &program, &self.python, &order);
        Task { program, arguments, variables, working_dir: self.code_dir.clone(), ..Task::default() }
    }
}

/// Passes on what is worth a line, without secrets; at the level of debugging, all.
fn rewrite(session: &Session, progress: &Arc<Mutex<Progress>>, level: Level) -> Rewrite {
    let (redactor, progress) = (session.redactor.clone(), Arc::clone(progress));
    Rewrite::new(move |line| {
        let line = String::from_utf8_lossy(line);
        let is_worth = progress.lock().unwrap_or_else(PoisonError::into_inner).line(&line, Instant::now());
        (is_worth || level < Level::INFO).then(|| redactor.clean(&line).into_owned().into_bytes())
    })
}

fn say_done(installer: Installer, progress: &Progress, begun: Instant) {
    let name = if installer == Installer::Uv { "uv" } else { "pip" };
    let slowest = progress.slowest();
    let slowest = if slowest.is_empty() { slowest } else { format!("; the slowest: {slowest}") };
    tracing::info!("requirements: installed by {name} in {:.1} s{slowest}", begun.elapsed().as_secs_f64());
    if !progress.added().is_empty() {
        tracing::info!("requirements: new: {}", progress.added().join(", "));
    }
}

/// The end of a job whose requirements could not be installed.
pub(super) fn failed(session: &Session, installer: Installer, report: &Report, task: &Task) -> Outcome {
    let output = [&*report.stdout, &*report.stderr].concat();
    let complaint = match installer {
        Installer::Pip => requirements::failure_line(&output),
        Installer::Uv => requirements::uv_failure_line(&output),
    };
    let complaint = complaint.unwrap_or_else(|| format!("the requirements could not be installed: {}", report.ending));
    Outcome::Requirements {
        ending: report.ending,
        complaint,
        command: bring::display(&session.redactor, &task.arguments),
    }
}
