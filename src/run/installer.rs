//! Running the installer of requirements: which, from which index, and what is shown of it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nix::unistd::{AccessFlags, access};

use super::bring;
use super::install::{Work, environment, write};
use super::session::Session;
use super::{Outcome, Refusal};
use crate::event::Ending;
use crate::job::settings::InstallerChoice;
use crate::logs::{Level, Rewrite, Style};
use crate::prepare::requirements::{
    self, Installed, Installer, Interpreter, PipSettings, Progress, Proxies, REMEDY, Scan,
};
use crate::storage::{PackageIndex, Repository};
use crate::supervise::{Report, Task};

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
    /// The index of CodeArtifact, if it is the one.
    pub(super) index: Option<PackageIndex>,
    /// The file that its token is in for pip.
    pub(super) netrc: Option<PathBuf>,
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
        let obstacle = requirements::obstacle(&known.scan, &known.settings.for_uv(), &known.interpreter);
        let (mut installer, note) = requirements::choose(asked, known.uv.is_some(), obstacle.as_deref())
            .map_err(|error| Outcome::refused(Refusal::NotFound, error))?;
        if let Some(note) = note {
            tracing::info!("requirements: {note}");
        }
        self.log_in(session, &mut known, installer).await?;
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
                && asked == InstallerChoice::Auto
                && requirements::cannot_read(&[&*report.output.stdout, &*report.output.stderr].concat())
            {
                tracing::info!("requirements: uv cannot read them all; pip may");
                installer = Installer::Pip;
                continue;
            }
            return Err(failed(session, installer, &report, &task));
        }
    }

    /// Makes the repository of CodeArtifact that the job names the index.
    async fn log_in(&self, session: &mut Session, known: &mut Known, installer: Installer) -> Result<(), Outcome> {
        let Some(arn) = session.variables.get_non_empty(REPOSITORY).map(|arn| arn.into_owned()) else { return Ok(()) };
        let variables = session.variables.clone();
        let asked = session.supervisor.interruptible(move || Repository::parse(&arn)?.index(&variables)).await?;
        let index = match asked {
            Ok(index) => index,
            Err(error) => return Err(self.not_begun(session, known, installer, error.to_string())),
        };
        session.set_redactor(session.redactor.and(&index.token));
        tracing::info!("requirements: from the CodeArtifact index {}", index.url);
        // A pip that builds a package starts another one with the index as an argument: so the token is not in its URL.
        known.netrc = Some(netrc(session, &index)?);
        known.settings.set_index(index.url.clone());
        known.index = Some(index);
        Ok(())
    }

    /// The end of a job whose installer is not even started.
    fn not_begun(&self, session: &Session, known: &Known, installer: Installer, complaint: String) -> Outcome {
        let command = bring::display(&session.redactor, &self.task(session, known, installer, false).arguments);
        Outcome::Requirements { ending: Ending::Exited(1), complaint, command }
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
                Err(self.not_begun(session, known, installer, format!("{first}; {REMEDY}")))
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
        // pip goes on without a cache where it cannot have one; uv ends.
        let cache = given("XDG_CACHE_HOME").or_else(|| given("HOME")).unwrap_or_default();
        if !variables.contains_key(&OsString::from("UV_CACHE_DIR"))
            && access(cache.as_str(), AccessFlags::W_OK).is_err()
        {
            variables.entry("UV_NO_CACHE".into()).or_insert_with(|| "1".into());
        }
        if let Some(index) = &known.index {
            for name in ["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"] {
                variables.remove(&OsString::from(name));
            }
            match (installer, &known.netrc) {
                (Installer::Uv, _) => drop(variables.insert("UV_DEFAULT_INDEX".into(), index.url_with_token().into())),
                (Installer::Pip, netrc) => {
                    variables.insert("PIP_INDEX_URL".into(), index.url.clone().into());
                    variables.extend(netrc.iter().map(|path| ("NETRC".into(), path.into())));
                }
            }
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

/// Writes a file with the token, and with what the user's own says, that only this user can read, in a folder that is removed.
fn netrc(session: &mut Session, index: &PackageIndex) -> Result<PathBuf, Outcome> {
    let variable = |name: &str| session.variables.get_non_empty(name).map(|value| value.into_owned());
    let own = variable("NETRC").or_else(|| Some(format!("{}/.netrc", variable("HOME")?)));
    let own = own.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let text = format!("machine {} login {} password {}\n{own}", index.host(), PackageIndex::USER, index.token);
    write(session, "netrc", &text)
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
    let output = [&*report.output.stdout, &*report.output.stderr].concat();
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
