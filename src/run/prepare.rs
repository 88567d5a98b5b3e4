//! Preparing the script's environment from the configuration, without starting anything.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::{Outcome, Refusal, misspelt};
use crate::job::config::{self, Config};
use crate::job::python::{Dict, Value};
use crate::job::settings::Settings;
use crate::job::{Job, Paths, Variables};
use crate::launch::{self, Image, ImageProbe};
use crate::logs::Level;
use crate::machine::{Hardware, Probe, which};
use crate::prepare::code::interpreter;
use crate::prepare::code::interpreter::{FoundBy, FoundPython};
use crate::prepare::environment::{self, Environment, ExistingVariables};
use crate::redact::{Redactor, is_secret_name};
use crate::system::files;

/// A job with its settings.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The job.
    pub job: Job,
    /// The settings.
    pub settings: Settings,
    /// The hyperparameters `footplate_*`, from which the settings were read.
    pub own_hyperparameters: Dict,
    /// Warnings about the configuration.
    pub warnings: Vec<String>,
}

/// Reads the configuration and the settings.
///
/// # Errors
/// The first error in them.
pub fn prepare(
    paths: Paths,
    variables: &Variables,
    command_line: &[(String, String)],
    config_is_optional: bool,
) -> Result<Prepared, Outcome> {
    let refused = |error: &dyn Display| Outcome::refused(Refusal::Configuration, format!("configuration: {error}"));
    let variables_of_work = variables.clone();
    let read = files::together(move || {
        if config_is_optional && !paths.are_of_processing() && config::is_absent(&paths) {
            return Ok(config::without_files(paths, &variables_of_work));
        }
        let config = config::read(paths, &variables_of_work)?;
        // The main thread uses this folder, and must not hang. The folder need not exist yet.
        let _ = files::is_folder(&config.job.code_dir());
        Ok::<_, config::ConfigError>(config)
    });
    let config = read.map_err(|error| refused(&format_args!("{}: {error}", error.path.display())))?;
    let Config { job, own_hyperparameters, mut warnings } = config.map_err(|error| refused(&error))?;
    let settings = Settings::read(command_line, variables, &own_hyperparameters, job.own_settings(), &launch::names())
        .map_err(|error| {
            let error = format!("settings: {error}");
            Outcome::refused(Refusal::Configuration, redactor(variables, &job.all_hyperparameters).clean(&error))
        })?;
    warnings.extend(misspelt::warnings(variables, &own_hyperparameters, &job.all_hyperparameters));
    Ok(Prepared { job, settings, own_hyperparameters, warnings })
}

impl Prepared {
    /// Returns the lowest level of messages that are shown: `sagemaker_container_log_level`, a number or one of
    /// Python's names.
    pub fn log_level(&self) -> Level {
        let named = |name: &str| match name.to_ascii_lowercase().as_str() {
            "debug" => Some(10),
            "info" => Some(20),
            "warning" | "warn" => Some(30),
            "error" => Some(40),
            "critical" | "fatal" => Some(50),
            _ => None,
        };
        let level = self.job.request.log_level.as_ref();
        let number = level.and_then(|level| level.as_i64().or_else(|| level.as_str().and_then(named)));
        number.map_or(Level::INFO, Level)
    }
}

/// Returns a redactor for the secrets of the variables and of the hyperparameters, nested ones included. Every value
/// nested below a secret's name is secret too.
pub fn redactor(variables: &Variables, hyperparameters: &Dict) -> Redactor {
    redactor_with(&Redactor::new(variables.texts()), hyperparameters, None)
}

/// Returns a redactor that also knows the secrets of the hyperparameters, and one of the job's own secrets.
pub(super) fn redactor_with(known: &Redactor, hyperparameters: &Dict, token: Option<&str>) -> Redactor {
    fn collect(name: &str, value: &Value, found: &mut Vec<(String, String)>) {
        match value {
            Value::Dict(dict) => collect_all(name, dict, found),
            Value::List(list) => list.iter().for_each(|value| collect(name, value, found)),
            other => found.push((name.to_owned(), other.to_py_str().to_str().into_owned())),
        }
    }
    fn collect_all(name: &str, dict: &Dict, found: &mut Vec<(String, String)>) {
        for (key, value) in dict.iter() {
            let key = key.to_str();
            collect(if is_secret_name(name) { name } else { &key }, value, found);
        }
    }
    let mut found: Vec<(String, String)> =
        token.map(|token| ("token".to_owned(), token.to_owned())).into_iter().collect();
    collect_all("", hyperparameters, &mut found);
    known.with(found)
}

/// Returns the hardware of this host, detected or assumed. This can take seconds, because programs of the image may
/// be asked.
pub fn hardware(prepared: &Prepared, variables: &Variables) -> Hardware {
    probe(prepared, variables).query_programs()
}

/// Returns a probe of the hardware that has not asked any program yet.
pub(super) fn probe(prepared: &Prepared, variables: &Variables) -> Probe {
    let cluster = &prepared.job.cluster;
    Probe::examine(variables, &cluster.instance_type, &cluster.network_interface).with_gpus(prepared.settings.gpus)
}

/// Finds the Python and the launcher's programs in the image, and describes how the Python was found. `required` is
/// true if the job cannot run without Python.
///
/// # Errors
/// There is no Python although one is required, or the one that a setting names does not exist.
pub fn image(prepared: &Prepared, variables: &Variables, required: bool) -> Result<(Image, String), Outcome> {
    let Prepared { job, settings, .. } = prepared;
    let variable = |name: &str| variables.get(name).map(|value| value.into_owned());
    let named = job.processing.as_ref().and_then(|processing| processing.python.clone());
    let named = named.map(|path| Ok(FoundPython { path, found_by: FoundBy::Command }));
    let find = || interpreter::find(settings.python.as_deref(), &job.code_dir(), variable);
    let python = match named.unwrap_or_else(find) {
        Ok(python) => Some(python),
        Err(error) if required || settings.python.is_some() => return Err(Outcome::refused(Refusal::NotFound, error)),
        Err(_) => None,
    };
    let said =
        python.as_ref().map(|python| format!("{} ({})", python.path.display(), python.found_by)).unwrap_or_default();
    let python = python.map(|python| python.path);
    // The engine searches only for the programs that it needs, because each search takes a dozen system calls. An
    // unknown launcher is refused when the launch is planned.
    let probe = FileProbe { python: python.as_deref(), variables };
    let programs = match launch::choose(job, settings) {
        Ok(engine) => (engine.locate)(&probe).map_err(|error| Outcome::refused(Refusal::Launch, error))?,
        Err(_) => launch::Programs::new(),
    };
    Ok((Image { python, programs }, said))
}

/// Answers an engine's questions from the files of the image.
struct FileProbe<'a> {
    python: Option<&'a Path>,
    variables: &'a Variables,
}

impl ImageProbe for FileProbe<'_> {
    fn on_path(&self, name: &str) -> Option<PathBuf> {
        which(name, self.variables.get_os("PATH")).found()
    }

    fn beside_python(&self, name: &str) -> Option<PathBuf> {
        which(&self.python?.parent()?.join(name).to_string_lossy(), None).found()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn text(&self, path: &Path) -> Option<String> {
        files::text(path, files::TEXT_SIZE).ok()
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| value.into_owned())
    }
}

/// Builds the variables and arguments of the script.
///
/// # Errors
/// The arguments are larger than the kernel accepts.
pub fn environment_of(
    prepared: &Prepared,
    hardware: &Hardware,
    variables: &Variables,
    existing: ExistingVariables,
) -> Result<Environment, Outcome> {
    environment::build(&prepared.job, hardware, &prepared.settings, variables, existing).map_err(|error| {
        let place = match &prepared.job.processing {
            Some(_) => "the command".to_owned(),
            None => prepared.job.paths.config().join("hyperparameters.json").display().to_string(),
        };
        Outcome::refused(Refusal::Configuration, format!("{place}: {error}"))
    })
}
