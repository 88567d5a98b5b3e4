//! What can be set about footplate itself, and reading it.
//!
//! [`REGISTRY`] is the one list of settings; the tables of the README and of `footplate train --help` come from it.
//! Strongest first: the command line (`--set name=value`), the variable `FOOTPLATE_NAME` (of the Dockerfile or of the
//! estimator's `environment`), the hyperparameter `footplate_name`, which never reaches the script.

mod registry;
mod words;

pub use registry::{REGISTRY, Setting};

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::job::Variables;
use crate::python::{Dict, Value};

/// Hyperparameters that begin with this are footplate's own.
pub const HYPERPARAMETER_PREFIX: &str = "footplate_";

/// More processes on one host than this are a mistake in writing: the largest have 64 Neuron cores.
const MAX_PROCESSES: usize = 1024;

/// How hyperparameters become arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentStyle {
    /// As the toolkit: Python's `str` of each value.
    Toolkit,
    /// Each value as JSON, strings as they are.
    Json,
    /// As JSON, but true is a bare flag, false and null are left out.
    Flags,
    /// No arguments.
    None,
}

/// What starts the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// One process a host.
    Process,
    /// One process for each GPU or Neuron core.
    PerGpu,
    /// The image's torchrun.
    Torchrun,
    /// The image's mpirun.
    Mpi,
    /// The image's mpirun with smddprun, for smdistributed data parallel and `pytorch_ddp`.
    Smddp,
    /// The image's `torch_xla.distributed.xla_spawn`.
    Xla,
}

impl Launcher {
    /// All of them.
    pub const ALL: [Launcher; 6] =
        [Launcher::Process, Launcher::PerGpu, Launcher::Torchrun, Launcher::Mpi, Launcher::Smddp, Launcher::Xla];
}

impl fmt::Display for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Launcher::Process => "process",
            Launcher::PerGpu => "per-gpu",
            Launcher::Torchrun => "torchrun",
            Launcher::Mpi => "mpi",
            Launcher::Smddp => "smddp",
            Launcher::Xla => "xla",
        })
    }
}

/// Whether lines begin with their host and rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPrefix {
    /// Where there are several ranks.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Which requirements are installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirements {
    /// None.
    Off,
    /// requirements.txt, if it is there.
    Default,
    /// This file, which must be there.
    File(String),
}

/// What installs requirements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installer {
    /// uv where it is there, else pip.
    Auto,
    /// uv.
    Uv,
    /// pip.
    Pip,
}

/// Which packages requirements must leave as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protected {
    /// None.
    Nothing,
    /// The frameworks.
    Frameworks,
    /// These.
    Packages(Vec<String>),
}

/// What is set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long processes may run on after SIGTERM.
    pub grace_period: Duration,
    /// How long processes that the script leaves behind may run on.
    pub drain_time: Duration,
    /// The Python interpreter.
    pub python: Option<String>,
    /// How hyperparameters become arguments, if it was said.
    pub arguments: Option<ArgumentStyle>,
    /// What starts the script, if it was said.
    pub launcher: Option<Launcher>,
    /// How many ranks each host has, if it was said; at least one.
    pub processes_per_host: Option<usize>,
    /// How many GPUs a host is to be taken to have.
    pub gpus: Option<usize>,
    /// Further arguments of torchrun.
    pub torchrun_arguments: Vec<String>,
    /// Whether lines begin with their host and rank.
    pub log_prefix: LogPrefix,
    /// How often a redrawn line is passed on; as it is where none.
    pub progress_interval: Option<Duration>,
    /// Which requirements are installed.
    pub requirements: Requirements,
    /// What installs them.
    pub installer: Installer,
    /// The uv to use, if it was said.
    pub uv: Option<String>,
    /// Which packages they must leave as they are.
    pub protected_packages: Protected,
    /// Whether code that is supplied wins over code that is baked in.
    pub supplied_code_wins: bool,
    /// The port that ranks meet at.
    pub master_port: u16,
    /// The port that hosts meet at, if they do.
    pub cluster_port: Option<u16>,
    /// What hosts prove to each other to have, if it was said.
    pub cluster_key: Option<Secret>,
    /// How long a launch waits for a host that has not come.
    pub cluster_timeout: Duration,
    /// The addresses of hosts that are not looked up.
    pub host_addresses: BTreeMap<String, IpAddr>,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            grace_period: Duration::from_secs(110),
            drain_time: Duration::from_secs(1),
            python: None,
            arguments: None,
            launcher: None,
            processes_per_host: None,
            gpus: None,
            torchrun_arguments: Vec::new(),
            log_prefix: LogPrefix::Auto,
            progress_interval: None,
            requirements: Requirements::Default,
            installer: Installer::Auto,
            uv: None,
            protected_packages: Protected::Nothing,
            supplied_code_wins: true,
            master_port: 7777,
            cluster_port: Some(7778),
            cluster_key: None,
            cluster_timeout: Duration::from_secs(900),
            host_addresses: BTreeMap::new(),
        }
    }
}

/// A setting with a value that it does not take, or one that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError(String);

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingError {}

impl Settings {
    /// Reads every setting: `command_line` pairs first, then variables, then hyperparameters.
    ///
    /// # Errors
    /// A value that the setting does not take, with where it was set; a name on the command line that is no setting.
    pub fn read(
        command_line: &[(String, String)],
        variables: &Variables,
        hyperparameters: &Dict,
    ) -> Result<Settings, SettingError> {
        if let Some((name, _)) = command_line.iter().find(|(name, _)| !REGISTRY.iter().any(|s| s.name == *name)) {
            let known: Vec<_> = REGISTRY.iter().map(|setting| setting.name).collect();
            return Err(SettingError(format!("there is no setting {name:?}: the settings are {}", known.join(", "))));
        }
        let mut settings = Settings::default();
        for setting in &REGISTRY {
            let (value, place) =
                if let Some((_, value)) = command_line.iter().rev().find(|(name, _)| name == setting.name) {
                    (value.clone(), format!("--set {}", setting.name))
                } else if let Some(value) = variables.get_non_empty(&setting.variable()) {
                    (value.into_owned(), format!("the variable {}", setting.variable()))
                } else if let Some(value) = hyperparameters.get(&format!("{HYPERPARAMETER_PREFIX}{}", setting.name)) {
                    (value_text(value), format!("the hyperparameter {HYPERPARAMETER_PREFIX}{}", setting.name))
                } else {
                    continue;
                };
            settings.set(setting.name, &value).ok_or_else(|| {
                SettingError(format!("{place} is {value:?}, but takes {}: {}", setting.values, setting.meaning))
            })?;
        }
        Ok(settings)
    }

    /// The names of hyperparameters that look like settings and are none, for a warning.
    pub fn unknown_names(hyperparameters: &Dict) -> Vec<String> {
        let names = hyperparameters.keys().filter_map(|key| key.as_str()?.strip_prefix(HYPERPARAMETER_PREFIX));
        names.filter(|name| !REGISTRY.iter().any(|setting| setting.name == *name)).map(str::to_owned).collect()
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "grace_period" => self.grace_period = seconds(value)?,
            "drain_time" => self.drain_time = seconds(value)?,
            "python" => self.python = Some(value.to_owned()),
            "arguments" => {
                self.arguments = Some(match value {
                    "toolkit" => ArgumentStyle::Toolkit,
                    "json" => ArgumentStyle::Json,
                    "flags" => ArgumentStyle::Flags,
                    "none" => ArgumentStyle::None,
                    _ => return None,
                });
            }
            "launcher" => {
                self.launcher = Some(Launcher::ALL.into_iter().find(|launcher| launcher.to_string() == value)?);
            }
            "processes_per_host" => {
                self.processes_per_host =
                    Some(value.trim().parse().ok().filter(|count| (1..=MAX_PROCESSES).contains(count))?);
            }
            "gpus" => self.gpus = Some(value.trim().parse().ok().filter(|count| *count <= MAX_PROCESSES)?),
            "torchrun_arguments" => self.torchrun_arguments = words::words(value)?,
            "log_prefix" => {
                self.log_prefix = match value {
                    "auto" => LogPrefix::Auto,
                    "off" => LogPrefix::Off,
                    _ if is_on(value) => LogPrefix::On,
                    _ => return None,
                };
            }
            "progress_interval" => self.progress_interval = Some(seconds(value)?).filter(|time| !time.is_zero()),
            "requirements" => {
                self.requirements = match value {
                    _ if is_off(value) => Requirements::Off,
                    _ if is_on(value) => Requirements::Default,
                    file => Requirements::File(file.to_owned()),
                };
            }
            "installer" => {
                self.installer = match value {
                    "auto" => Installer::Auto,
                    "uv" => Installer::Uv,
                    "pip" => Installer::Pip,
                    _ => return None,
                };
            }
            "uv" => self.uv = Some(value.to_owned()),
            "protected_packages" => {
                let names = value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
                self.protected_packages = match value {
                    _ if is_off(value) => Protected::Nothing,
                    _ if is_on(value) => Protected::Frameworks,
                    _ => Protected::Packages(names.collect()),
                };
            }
            "code_precedence" => {
                self.supplied_code_wins = match value {
                    "supplied" => true,
                    "baked-in" => false,
                    _ => return None,
                };
            }
            "master_port" => self.master_port = port(value)?,
            "cluster_port" => self.cluster_port = if value == "off" { None } else { Some(port(value)?) },
            "cluster_key" => self.cluster_key = Some(Secret(value.to_owned())),
            "cluster_timeout" => self.cluster_timeout = seconds(value)?,
            "host_addresses" => {
                let addresses = value.split(',').map(str::trim).filter(|pair| !pair.is_empty());
                let addresses = addresses.map(|pair| {
                    let (host, address) = pair.split_once('=')?;
                    Some((host.trim().to_owned(), address.trim().parse().ok()?))
                });
                self.host_addresses = addresses.collect::<Option<_>>()?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// A hyperparameter's value as the text that it would have had in a variable.
fn value_text(value: &Value) -> String {
    match value {
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        other => other.to_py_str().to_str().into_owned(),
    }
}

fn port(value: &str) -> Option<u16> {
    u16::from_str(value).ok().filter(|port| *port > 0)
}

fn is_on(value: &str) -> bool {
    matches!(value, "on" | "true" | "True" | "1" | "yes")
}

fn is_off(value: &str) -> bool {
    matches!(value, "off" | "false" | "False" | "0" | "no")
}

/// A time in seconds, with fractions; at most about 30 years, so that adding it to a time cannot overflow.
fn seconds(value: &str) -> Option<Duration> {
    let seconds = value.trim().parse::<f64>().ok().filter(|seconds| (0.0..=1e9).contains(seconds))?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ArgumentStyle, REGISTRY, Requirements, Settings};
    use crate::job::Variables;
    use crate::python::Dict;

    fn hyperparameters(pairs: &[(&str, &str)]) -> Dict {
        let mut dict = Dict::new();
        for (name, value) in pairs {
            dict.set(*name, *value);
        }
        dict
    }

    #[test]
    fn the_command_line_is_stronger_than_variables_and_these_than_hyperparameters() {
        let command_line = [("grace_period".to_owned(), "1".to_owned())];
        let variables: Variables =
            [("FOOTPLATE_GRACE_PERIOD", "2"), ("FOOTPLATE_DRAIN_TIME", "2.5")].into_iter().collect();
        let given = hyperparameters(&[
            ("footplate_grace_period", "3"),
            ("footplate_drain_time", "3"),
            ("footplate_arguments", "flags"),
            ("footplate_requirements", "extra.txt"),
        ]);
        let settings = Settings::read(&command_line, &variables, &given).expect("read");
        assert_eq!(settings.grace_period, Duration::from_secs(1));
        assert_eq!(settings.drain_time, Duration::from_millis(2500));
        assert_eq!(settings.arguments, Some(ArgumentStyle::Flags));
        assert_eq!(settings.requirements, Requirements::File("extra.txt".to_owned()));
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place_and_what_it_takes() {
        for (name, value) in
            [("grace_period", "soon"), ("grace_period", "-1"), ("grace_period", "inf"), ("arguments", "x")]
        {
            let variables: Variables = [(format!("FOOTPLATE_{}", name.to_uppercase()), value)].into_iter().collect();
            let error = Settings::read(&[], &variables, &Dict::new()).expect_err(value).to_string();
            assert!(
                error.starts_with(&format!("the variable FOOTPLATE_{} is {value:?}", name.to_uppercase())),
                "{error}"
            );
        }
        let error = Settings::read(&[("grace".to_owned(), String::new())], &Variables::default(), &Dict::new());
        assert!(error.expect_err("no such setting").to_string().starts_with("there is no setting \"grace\""));
        assert_eq!(Settings::unknown_names(&hyperparameters(&[("footplate_grce", "1"), ("lr", "1")])), ["grce"]);
    }

    #[test]
    fn every_setting_of_the_registry_can_be_set() {
        for setting in &REGISTRY {
            let value = match setting.name {
                "arguments" => "json",
                "launcher" => "mpi",
                "log_prefix" => "on",
                "installer" => "uv",
                "code_precedence" => "baked-in",
                "host_addresses" => "algo-1=127.0.0.2, algo-2=::1",
                _ => "7",
            };
            assert!(Settings::default().set(setting.name, value).is_some(), "{}", setting.name);
        }
    }
}
