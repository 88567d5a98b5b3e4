//! One installation: the search for missing packages, and the run of the installer.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nix::unistd::{AccessFlags, access};

use super::inspect::{find_uv, inspect_python, lock_environment, pip_settings};
use super::program::{container_variables, run_to_end, write_temporary};
use super::reason::failed;
use super::sources::{CodeArtifactIndex, SourceError, log_in, must_ignore_indexes};
use crate::event::{Ending, Process};
use crate::job::settings::{InstallerChoice, ProtectedPackages};
use crate::logs::{self, Level, Rewrite, Style};
use crate::prepare::requirements::{
    FRAMEWORKS, Format, InstallRequest, Installed, InstallerKind, PipSettings, Progress, PythonEnvironment, Scan,
    Unsatisfied, choose_installer, deciding_setting, install_command, install_variables, obstacle_to_uv,
    pinning_constraints,
};
use crate::redact::visible_message;
use crate::run::context::Context;
use crate::run::live::Live;
use crate::run::start::shown_command;
use crate::run::{Outcome, Prepared, Refusal};
use crate::supervise::Task;

/// The variable with the folder in which a warm pool keeps files for later jobs.
const WARM_POOL: &str = "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY";

/// The installation of a job's requirements.
pub(super) struct Installation<'j> {
    prepared: &'j Prepared,
    python: PathBuf,
    code_dir: PathBuf,
    /// The requirements file, relative to the code folder, as the plan states it.
    file: Option<String>,
    request: InstallRequest,
}

/// The facts that determine the choice and the command of the installer.
struct InstallFacts {
    scan: Scan,
    settings: PipSettings,
    environment: PythonEnvironment,
    uv: Option<PathBuf>,
    code_artifact: Option<CodeArtifactIndex>,
}

impl<'j> Installation<'j> {
    /// Prepares an installation. `package` is true if the code folder itself is installed as a package.
    pub(super) fn new(
        prepared: &'j Prepared,
        python: PathBuf,
        code_dir: PathBuf,
        file: Option<String>,
        package: bool,
    ) -> Installation<'j> {
        let request = InstallRequest { package, ..InstallRequest::default() };
        Installation { prepared, python, code_dir, file, request }
    }

    /// Installs the missing packages. If all requirements are met, starts no installer.
    ///
    /// # Errors
    ///
    /// The outcome of the job if the requirements cannot be installed, or if the job was stopped.
    pub(super) async fn run(mut self, context: &Context, live: &mut Live) -> Result<(), Outcome> {
        let begun = Instant::now();
        let uv = find_uv(context, self.prepared.settings.uv.as_deref(), &self.python)?;
        let environment = self.inspect(live).await?;
        let _lock: Option<File> = lock_environment(live, &environment.prefix).await?;
        let settings = pip_settings(context, &environment)?;
        self.request.file = self.requirements_file(context, live, uv.as_deref(), &environment).await?;
        let scan = self.scan(context, &settings);
        if let Some(reason) = &scan.dangerous {
            let message = format!("the requirements cannot be read: {reason}");
            return Err(Outcome::refused(Refusal::NotFound, message));
        }
        let installed = Installed::in_folders(&environment.path);
        let deciding = settings.for_uv().unsupported.first().map(|name| format!("pip's {name}"));
        let deciding = deciding.or_else(|| self.deciding_setting_of_uv(context, uv.as_deref()));
        let satisfied = installed.satisfy(&scan, &environment.markers);
        match &satisfied {
            Ok(count) if !self.request.package && deciding.is_none() => {
                let seconds = begun.elapsed().as_secs_f64();
                tracing::info!("requirements: all is installed already ({count} packages looked at in {seconds:.3} s)");
                return Ok(());
            }
            Ok(_) => {
                let why = deciding.map_or("a package".to_owned(), |setting| format!("the setting {setting}"));
                tracing::debug!("requirements: the installer runs for {why}");
            }
            Err(reason) => tracing::debug!("requirements: {reason}"),
        }
        let needs_index = match &satisfied {
            // The requirement may already be met, so it does not prove that an index is needed.
            Err(Unsatisfied::Undecided(_)) => {
                let decided = Scan { undecided: None, ..scan.clone() };
                installed.satisfy(&decided, &environment.markers).is_err()
            }
            decided => decided.is_err(),
        };
        self.protect(live, &installed)?;
        let facts = InstallFacts { scan, settings, environment, uv, code_artifact: None };
        self.install(context, live, facts, needs_index, begun).await
    }

    /// Returns a setting of uv that can change packages even if all requirements are met. `None` if there is none or
    /// uv is not used.
    fn deciding_setting_of_uv(&self, context: &Context, uv: Option<&Path>) -> Option<String> {
        uv.filter(|_| self.prepared.settings.installer != InstallerChoice::Pip)?;
        let variable = |name: &str| context.variables.get_non_empty(name).map(|value| value.into_owned());
        deciding_setting(context.variables.texts(), &self.code_dir, variable)
    }

    /// Returns the format of the requirements file.
    fn format(&self) -> Format {
        self.file.as_deref().map_or(Format::Requirements, Format::of_name)
    }

    /// Inspects the Python. Also reads the pyproject.toml if the dependencies come from there.
    async fn inspect(&self, live: &mut Live) -> Result<PythonEnvironment, Outcome> {
        let pyproject = match (&self.file, self.format()) {
            (Some(file), Format::Pyproject | Format::Lock) => {
                Some(self.code_dir.join(file).with_file_name("pyproject.toml"))
            }
            _ => None,
        };
        inspect_python(live, &self.python, &self.code_dir, pyproject.as_deref()).await
    }

    /// Returns a requirements file in pip's format. It is written first if the job's file has another format.
    async fn requirements_file(
        &self,
        context: &Context,
        live: &mut Live,
        uv: Option<&Path>,
        environment: &PythonEnvironment,
    ) -> Result<Option<PathBuf>, Outcome> {
        match (self.format(), uv) {
            (Format::Requirements, _) => return Ok(self.file.as_ref().map(PathBuf::from)),
            (Format::Lock, Some(uv)) if self.prepared.settings.installer != InstallerChoice::Pip => {
                return self.export_lock(context, live, uv).await.map(Some);
            }
            (Format::Lock, _) => {
                tracing::warn!("requirements: only uv reads uv.lock: installing the dependencies of pyproject.toml");
            }
            (Format::Pyproject, _) => {}
        }
        if environment.has_dynamic_dependencies {
            tracing::warn!(
                "requirements: pyproject.toml declares its dependencies as dynamic: those are unknown and not installed"
            );
        }
        let text = environment.project_dependencies.join("\n") + "\n";
        write_temporary(live, "pyproject.txt", &text).map(Some)
    }

    /// Makes uv export its lock file as a requirements file.
    async fn export_lock(&self, context: &Context, live: &mut Live, uv: &Path) -> Result<PathBuf, Outcome> {
        let path = write_temporary(live, "uv.lock.txt", "")?;
        let mut arguments: Vec<OsString> = vec![uv.into()];
        arguments
            .extend(["export", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--quiet"].map(Into::into));
        arguments.extend(["--python".into(), self.python.clone().into(), "--output-file".into(), path.clone().into()]);
        let mut variables = container_variables(context);
        variables.entry("UV_PYTHON_DOWNLOADS".into()).or_insert_with(|| "never".into());
        let file = self.code_dir.join(self.file.as_deref().unwrap_or_default());
        let working_dir = file.parent().unwrap_or(&self.code_dir).to_owned();
        let process = Process::Tool("uv export".into());
        let task = Task { process, program: uv.to_owned(), arguments, variables, working_dir, ..Task::default() };
        let report = run_to_end(live, self.prepared, &task).await?;
        if report.ending.is_success() {
            return Ok(path);
        }
        let scan = Scan { no_index: true, ..Scan::default() };
        Err(failed(live, self.prepared, InstallerKind::Uv, &self.python, &report, &task, &scan).await?)
    }

    /// Reads the requirements file, and the constraints in pip's settings and in uv's variable.
    fn scan(&self, context: &Context, settings: &PipSettings) -> Scan {
        let variable = |name: &str| context.variables.get(name).map(|value| value.into_owned());
        let mut scan = match &self.request.file {
            Some(file) => Scan::of_file(&self.code_dir.join(file), &variable),
            None => Scan::default(),
        };
        let uv_constraints = variable("UV_CONSTRAINT").unwrap_or_default();
        for path in settings.words("constraint").into_iter().chain(uv_constraints.split_whitespace()) {
            scan.add_constraints(&self.code_dir.join(path), &variable);
        }
        scan
    }

    /// Writes constraints that keep the protected packages at their installed versions, if the setting protects any.
    fn protect(&mut self, live: &mut Live, installed: &Installed) -> Result<(), Outcome> {
        let names = match &self.prepared.settings.protected_packages {
            ProtectedPackages::Nothing => return Ok(()),
            ProtectedPackages::Frameworks => FRAMEWORKS.map(str::to_owned).to_vec(),
            ProtectedPackages::Packages(names) => names.clone(),
        };
        let text = pinning_constraints(&names, installed);
        if !text.is_empty() {
            tracing::info!("requirements: protected: {}", text.split_whitespace().collect::<Vec<_>>().join(", "));
            self.request.constraints = Some(write_temporary(live, "protected.txt", &text)?);
        }
        Ok(())
    }

    /// Chooses an installer and runs it.
    async fn install(
        &self,
        context: &Context,
        live: &mut Live,
        mut facts: InstallFacts,
        needs_index: bool,
        begun: Instant,
    ) -> Result<(), Outcome> {
        let setting = self.prepared.settings.installer;
        let obstacle = obstacle_to_uv(&facts.scan, &facts.settings.for_uv(), &facts.environment);
        let has_pip = !facts.environment.lacks_pip;
        let (installer, note) = choose_installer(setting, facts.uv.is_some(), has_pip, obstacle.as_deref())
            .map_err(|error| Outcome::refused(Refusal::NotFound, error))?;
        if let Some(note) = note {
            tracing::info!("requirements: {note}");
        }
        if !facts.environment.shadows.is_empty() {
            let names = facts.environment.shadows.join(", ");
            tracing::info!(
                "requirements: {names} in the code folder has the name of a module of Python: {installer} ignores it"
            );
        }
        match log_in(context, live).await {
            Ok(code_artifact) => {
                if let Some(CodeArtifactIndex { index, .. }) = &code_artifact {
                    facts.settings.set_index(index.url.clone());
                }
                facts.code_artifact = code_artifact;
            }
            Err(error) => return Err(self.not_started(context, &facts, installer, error)),
        }
        let InstallFacts { scan, settings, environment, .. } = &facts;
        let ignores_indexes =
            must_ignore_indexes(context, live, installer, scan, settings, environment, needs_index).await;
        let ignores_indexes = ignores_indexes.map_err(|error| self.not_started(context, &facts, installer, error))?;
        let task = self.task(context, &facts, installer, ignores_indexes);
        tracing::debug!("requirements: {}", shown_command(&logs::redactor(), &task.arguments));
        let progress = Arc::new(Mutex::new(Progress::new(installer)));
        let rewrite = Some(log_filter(&progress, self.prepared.log_level()));
        let task = Task { style: Style { rewrite, ..Style::default() }, ..task };
        let report = run_to_end(live, self.prepared, &task).await?;
        if report.ending.is_success() {
            let progress = progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
            log_success(installer, &progress, begun);
            return Ok(());
        }
        let mut scan = facts.scan;
        scan.no_index |= ignores_indexes || facts.settings.is_on("no-index");
        Err(failed(live, self.prepared, installer, &self.python, &report, &task, &scan).await?)
    }

    /// Returns the outcome of a job that ends before its installer starts.
    fn not_started(
        &self,
        context: &Context,
        facts: &InstallFacts,
        installer: InstallerKind,
        error: SourceError,
    ) -> Outcome {
        let complaint = match error {
            SourceError::Ended(outcome) => return outcome,
            SourceError::Unusable(reason) => reason,
        };
        let command = shown_command(&logs::redactor(), &self.task(context, facts, installer, false).arguments);
        Outcome::Requirements { ending: Ending::Exited(1), complaint, command }
    }

    /// Returns true if a folder is the code folder, whatever path is used.
    fn is_code_folder(&self, folder: &Path) -> bool {
        let real = |path: &Path| path.canonicalize().ok();
        let folder = self.code_dir.join(folder);
        folder == self.code_dir || real(&folder).is_some_and(|folder| Some(folder) == real(&self.code_dir))
    }

    /// Returns the installer as a program to run.
    fn task(&self, context: &Context, facts: &InstallFacts, installer: InstallerKind, ignores_indexes: bool) -> Task {
        let program = match (installer, &facts.uv) {
            (InstallerKind::Uv, Some(uv)) => uv.clone(),
            _ => self.python.clone(),
        };
        let mut variables = container_variables(context);
        let given = |name: &str| context.variables.get(name).map(|value| value.into_owned());
        let warm_pool = given(WARM_POOL).filter(|path| !path.is_empty()).map(PathBuf::from);
        let added = install_variables(installer, &facts.settings, &facts.scan, warm_pool.as_deref(), given);
        variables.extend(added.into_iter().map(|(name, value)| (name.into(), value.into())));
        // pip works without a cache if it cannot write one. uv fails.
        let cache = given("XDG_CACHE_HOME").or_else(|| given("HOME")).unwrap_or_default();
        if !variables.contains_key(&OsString::from("UV_CACHE_DIR"))
            && access(cache.as_str(), AccessFlags::W_OK).is_err()
        {
            variables.entry("UV_NO_CACHE".into()).or_insert_with(|| "1".into());
        }
        if let Some(CodeArtifactIndex { index, netrc }) = &facts.code_artifact {
            for name in ["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"] {
                variables.remove(&OsString::from(name));
            }
            match installer {
                InstallerKind::Uv => {
                    variables.insert("UV_DEFAULT_INDEX".into(), index.url_with_token().into());
                }
                InstallerKind::Pip => {
                    variables.insert("PIP_INDEX_URL".into(), index.url.clone().into());
                    variables.insert("NETRC".into(), netrc.into());
                }
            }
        }
        let mut request = self.request.clone();
        if !facts.environment.shadows.is_empty() {
            request.avoids_folder = true;
            // The image may also have put the code folder into this variable.
            let own = OsString::from("PYTHONPATH");
            if let Some(path) = variables.get(&own) {
                let others = std::env::split_paths(path).filter(|folder| !self.is_code_folder(folder));
                let others = std::env::join_paths(others).unwrap_or_default();
                variables.insert(own, others);
            }
        }
        if installer == InstallerKind::Uv {
            request.options = facts.settings.for_uv().arguments;
        }
        if ignores_indexes && !request.options.iter().any(|option| option == "--no-index") {
            request.options.push("--no-index".to_owned());
        }
        let arguments = install_command(installer, &program, &self.python, &request);
        let process = Process::Tool(installer.to_string().into());
        Task { process, program, arguments, variables, working_dir: self.code_dir.clone(), ..Task::default() }
    }
}

/// Returns the filter of the installer's output. It passes the lines that the log should show, without secrets and
/// control characters. At the debug level, it passes all lines.
fn log_filter(progress: &Arc<Mutex<Progress>>, level: Level) -> Rewrite {
    let (redactor, progress) = (logs::redactor(), Arc::clone(progress));
    Rewrite::new(move |line| {
        let line = String::from_utf8_lossy(line);
        let is_shown = progress.lock().unwrap_or_else(PoisonError::into_inner).observe(&line, Instant::now());
        (is_shown || level < Level::INFO).then(|| visible_message(&redactor.clean(&line)).into_owned().into_bytes())
    })
}

/// Logs the duration of the installation, the slowest packages, and the packages that uv has installed.
fn log_success(installer: InstallerKind, progress: &Progress, begun: Instant) {
    let slowest = progress.slowest();
    let slowest = if slowest.is_empty() { slowest } else { format!("; the slowest: {slowest}") };
    tracing::info!("requirements: installed by {installer} in {:.1} s{slowest}", begun.elapsed().as_secs_f64());
    if !progress.added().is_empty() {
        tracing::info!("requirements: new: {}", progress.added().join(", "));
    }
}
