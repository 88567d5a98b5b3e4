//! Installing what the user's code needs, if it is not there already.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::bring::timing;
use super::installer::{self, Known};
use super::session::Session;
use super::{Outcome, Prepared, Refusal};
use crate::job::Job;
use crate::job::settings::{InstallerChoice, ProtectedPackages, RequirementsChoice, Settings};
use crate::logs::Style;
use crate::machine::which;
use crate::prepare::code::EntryPoint;
use crate::prepare::requirements::{
    self, Format, Installed, Installer, Interpreter, Order, PROTECTED, PipSettings, Plan, Scan,
};
use crate::supervise::{self, Interrupted, Report, Task};

/// Installs what the code needs.
pub(super) async fn requirements(
    session: &mut Session,
    prepared: &Prepared,
    entry: Option<&EntryPoint>,
    python: Option<&Path>,
) -> Result<(), Outcome> {
    let job = &prepared.job;
    let (install, file) = asked(&prepared.settings, job);
    let plan = Plan::make(&job.code_dir(), entry, install, file.as_deref())
        .map_err(|error| Outcome::refused(Refusal::NotFound, error))?;
    tracing::info!("requirements: {plan}");
    let Plan::Install { file, package, is_unasked, code_dir } = plan else { return Ok(()) };
    let Some(python) = python else {
        let message = "requirements are to be installed, but the image has no Python on PATH";
        return if is_unasked { Ok(()) } else { Err(Outcome::refused(Refusal::NotFound, message)) };
    };
    let python = python.to_owned();
    let work = Work { prepared, python, code_dir, file, order: Order { package, ..Order::default() } };
    match work.run(session).await {
        Err(outcome @ (Outcome::Requirements { .. } | Outcome::Refused { .. })) if is_unasked => {
            let text = outcome.failure_text(&session.redactor).unwrap_or_default();
            let reason = text.lines().next().unwrap_or_default();
            tracing::warn!("requirements: not installed, and the job goes on, as nobody has asked for it: {reason}");
            Ok(())
        }
        other => other,
    }
}

/// Whether to install, and from which file: the setting, else what SDK version 3 says of the job.
fn asked(settings: &Settings, job: &Job) -> (Option<bool>, Option<String>) {
    let drivers = job.drivers.as_ref().filter(|_| job.runs_as_drivers());
    match (&settings.requirements, drivers.map(|drivers| drivers.requirements.as_deref())) {
        (RequirementsChoice::Off, _) => (Some(false), None),
        (RequirementsChoice::File(file), _) => (Some(true), Some(file.clone())),
        // The drivers install nothing unless they are told to.
        (RequirementsChoice::Default, Some(None)) => (Some(false), None),
        (RequirementsChoice::Default, Some(Some("auto"))) => (Some(true), None),
        (RequirementsChoice::Default, Some(Some(file))) => (Some(true), Some(file.to_owned())),
        (RequirementsChoice::Default, None) => (None, None),
    }
}

/// What is to be installed, and for whom.
pub(super) struct Work<'j> {
    pub(super) prepared: &'j Prepared,
    pub(super) python: PathBuf,
    pub(super) code_dir: PathBuf,
    /// The requirements file as it was named.
    file: Option<String>,
    pub(super) order: Order,
}

impl Work<'_> {
    async fn run(mut self, session: &mut Session) -> Result<(), Outcome> {
        let begun = Instant::now();
        let uv = self.uv(session)?;
        let format = self.file.as_deref().map_or(Format::Requirements, Format::of);
        let interpreter = self.inspect(session, format).await?;
        let _alone = alone(session, &interpreter.prefix).await?;
        let settings = pip_settings(session, &interpreter);
        match format {
            Format::Requirements => self.order.file = self.file.as_ref().map(PathBuf::from),
            Format::Lock if uv.is_some() && self.prepared.settings.installer != InstallerChoice::Pip => {
                self.order.file = Some(self.export(session, uv.as_deref().unwrap_or(Path::new("uv"))).await?);
            }
            Format::Lock | Format::Pyproject => {
                if format == Format::Lock {
                    tracing::warn!("requirements: only uv reads uv.lock: the dependencies of pyproject.toml are taken");
                }
                self.order.file = Some(self.write_dependencies(session, &interpreter)?);
            }
        }
        let variable = |name: &str| session.variables.get(name).map(|value| value.into_owned());
        let mut scan = match &self.order.file {
            Some(file) => Scan::of(&self.code_dir.join(file), &variable),
            None => Scan::default(),
        };
        let of_uv = variable("UV_CONSTRAINT").unwrap_or_default();
        for path in settings.words("constraint").into_iter().chain(of_uv.split_whitespace()) {
            scan.add_constraints(&self.code_dir.join(path), &variable);
        }
        let installed = Installed::look(&interpreter.path);
        let forced = settings.for_uv().unknown;
        let missing = match installed.satisfy(&scan, &interpreter.values) {
            Ok(count) if !self.order.package && forced.is_empty() => {
                let time = begun.elapsed().as_secs_f64();
                tracing::info!("requirements: all is installed already ({count} packages looked at in {time:.3} s)");
                return Ok(());
            }
            Ok(_) => None,
            Err(reason) => Some(reason),
        };
        tracing::debug!("requirements: {}", missing.as_deref().unwrap_or("a package or a setting asks for it"));
        // Whether something has to come from an index for certain, and not only perhaps.
        let plain = Scan { undecided: None, ..scan.clone() };
        let needs_index = installed.satisfy(&plain, &interpreter.values).is_err();
        let known = Known { scan, settings, interpreter, installed, uv, index: None, netrc: None };
        self.protect(session, &known)?;
        self.install(session, known, needs_index, begun).await
    }

    /// The uv of the image.
    fn uv(&self, session: &Session) -> Result<Option<PathBuf>, Outcome> {
        let which = |name: &str| which(name, session.variables.get_os("PATH")).found();
        match &self.prepared.settings.uv {
            Some(name) => match which(name) {
                Some(path) => Ok(Some(path)),
                None => Err(Outcome::refused(
                    Refusal::NotFound,
                    format!(
                        "the uv {name:?} that FOOTPLATE_UV names is no program; set it to a path or a name on PATH"
                    ),
                )),
            },
            None => {
                let beside = || which(&self.python.parent()?.join("uv").to_string_lossy());
                Ok(which("uv").or_else(beside))
            }
        }
    }

    /// Asks Python about itself. One that does not answer has nothing installed as far as is known, and the installer will
    /// tell more.
    async fn inspect(&self, session: &mut Session, format: Format) -> Result<Interpreter, Outcome> {
        let pyproject = match (&self.file, format) {
            (Some(file), Format::Pyproject | Format::Lock) => {
                Some(self.code_dir.join(file).with_file_name("pyproject.toml"))
            }
            _ => None,
        };
        let arguments = requirements::inspection(&self.python, pyproject.as_deref());
        let mut command = Command::new(&self.python);
        command.args(&arguments[1..]).current_dir(&self.code_dir).stdin(Stdio::null());
        let output = session.supervisor.interruptible(move || command.output()).await;
        if output.is_err() {
            supervise::kill_descendants();
        }
        match output? {
            Ok(output) if output.status.success() => Ok(Interpreter::read(&String::from_utf8_lossy(&output.stdout))),
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                let reason = text.lines().last().unwrap_or("it prints nothing").to_owned();
                match pyproject {
                    Some(path) => Err(Outcome::refused(
                        Refusal::NotFound,
                        format!("{} cannot be read with {}: {reason}", path.display(), self.python.display()),
                    )),
                    None => {
                        tracing::debug!("requirements: {} does not say what it has: {reason}", self.python.display());
                        Ok(Interpreter::default())
                    }
                }
            }
            Err(error) => Err(Outcome::refused(Refusal::NotExecutable, format!("{}: {error}", self.python.display()))),
        }
    }

    /// Writes the dependencies of the pyproject.toml as a requirements file.
    fn write_dependencies(&self, session: &mut Session, interpreter: &Interpreter) -> Result<PathBuf, Outcome> {
        if interpreter.is_dynamic {
            tracing::warn!("requirements: the dependencies in pyproject.toml are dynamic, and so not known");
        }
        write(session, "pyproject.txt", &(interpreter.requires.join("\n") + "\n"))
    }

    /// Has uv write its lock file as a requirements file.
    async fn export(&self, session: &mut Session, uv: &Path) -> Result<PathBuf, Outcome> {
        let path = write(session, "uv.lock.txt", "")?;
        let mut arguments: Vec<OsString> = vec![uv.into()];
        arguments
            .extend(["export", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--quiet"].map(Into::into));
        arguments.extend(["--python".into(), self.python.clone().into(), "--output-file".into(), path.clone().into()]);
        let mut variables = environment(session);
        variables.entry("UV_PYTHON_DOWNLOADS".into()).or_insert_with(|| "never".into());
        let file = self.code_dir.join(self.file.as_deref().unwrap_or_default());
        let working_dir = file.parent().unwrap_or(&self.code_dir).to_owned();
        let style = Style::default();
        let task = Task { program: uv.to_owned(), arguments, variables, working_dir, style, ..Task::default() };
        let report = self.supervise(session, &task).await?;
        match report.ending.is_success() {
            true => Ok(path),
            false => Err(installer::failed(session, Installer::Uv, &report, &task)),
        }
    }

    /// Writes the constraints that keep packages as they are, if it is asked for.
    fn protect(&mut self, session: &mut Session, known: &Known) -> Result<(), Outcome> {
        let names = match &self.prepared.settings.protected_packages {
            ProtectedPackages::Nothing => return Ok(()),
            ProtectedPackages::Frameworks => PROTECTED.map(str::to_owned).to_vec(),
            ProtectedPackages::Packages(names) => names.clone(),
        };
        let text = requirements::constraints(&names, &known.installed);
        if !text.is_empty() {
            tracing::info!("requirements: protected: {}", text.split_whitespace().collect::<Vec<_>>().join(", "));
            self.order.constraints = Some(write(session, "protected.txt", &text)?);
        }
        Ok(())
    }

    /// Runs a program to its end.
    pub(super) async fn supervise(&self, session: &mut Session, task: &Task) -> Result<Report, Outcome> {
        let mut reports = session
            .supervisor
            .run(std::slice::from_ref(task), timing(&self.prepared.settings))
            .await
            .map_err(|error| Outcome::refused(Refusal::NotExecutable, error))?;
        match (reports.stop, reports.reports.pop()) {
            (Some(stop), _) => Err(Outcome::Stopped(stop.signal)),
            (None, Some(report)) => Ok(report),
            (None, None) => Err(Outcome::refused(Refusal::Internal, "a program left no report")),
        }
    }
}

/// Waits until no other footplate installs into this Python, as those of several hosts on one machine would; that lasts as
/// long as what it gives. The lock is on the folder itself; one that cannot be locked is not waited for.
async fn alone(session: &mut Session, prefix: &Path) -> Result<Option<File>, Interrupted> {
    let Ok(folder) = File::open(prefix) else { return Ok(None) };
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => {
            tracing::info!("requirements: another host installs into {}: waiting for it", prefix.display());
            session.supervisor.interruptible(move || folder.lock().ok().map(|()| folder)).await
        }
        _ => Ok(Some(folder)),
    }
}

/// pip's settings, as pip itself would find them.
fn pip_settings(session: &Session, interpreter: &Interpreter) -> PipSettings {
    let variable = |name: &str| session.variables.get_non_empty(name).map(|value| value.into_owned());
    let own = variable("PIP_CONFIG_FILE");
    let paths = match own.as_deref() {
        Some("/dev/null") => Vec::new(),
        _ => PipSettings::paths(&interpreter.prefix, variable),
    };
    let texts: Vec<String> = paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    PipSettings::read(texts.iter().map(String::as_str), session.variables.texts())
}

/// The variables of the container.
pub(super) fn environment(session: &Session) -> BTreeMap<OsString, OsString> {
    session.variables.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Writes a file in the folder for what is of no use after the run.
pub(super) fn write(session: &mut Session, name: &str, text: &str) -> Result<PathBuf, Outcome> {
    let folder = session.temporary.path().map(Path::to_owned);
    let written = folder.and_then(|folder| {
        let path = folder.join(name);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes()).map(|()| path)
    });
    written.map_err(|error| {
        let folder = std::env::temp_dir();
        Outcome::refused(Refusal::Internal, format!("{}: {error}; give the job a TMPDIR to write to", folder.display()))
    })
}
