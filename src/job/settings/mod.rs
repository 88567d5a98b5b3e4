//! The settings of footplate itself.
//!
//! [`REGISTRY`] lists them; the tables of the README and of `footplate train --help` come from it. The strongest source is the
//! command line (`--set name=value`), then the variable `FOOTPLATE_NAME` (from the Dockerfile or the estimator's
//! `environment`), then the hyperparameter `footplate_name`, which never reaches the script.

mod parse;
mod table;
mod values;

pub use table::{REGISTRY, Settings};
pub use values::{
    ArgumentStyle, CodePrecedence, InstallerChoice, LogPrefix, ProtectedPackages, RequirementsChoice, Secret,
};

use std::fmt;

use crate::job::Variables;
use crate::python::{Dict, Value};

/// The prefix of hyperparameters that are settings of footplate.
pub const HYPERPARAMETER_PREFIX: &str = "footplate_";

/// The prefix of environment variables that are settings of footplate.
const VARIABLE_PREFIX: &str = "FOOTPLATE_";

/// The launcher: the program or the scheme that starts the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// One process on each host.
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
    /// All launchers.
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

/// The description of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name: `grace_period` is the variable FOOTPLATE_GRACE_PERIOD and the hyperparameter `footplate_grace_period`.
    pub name: &'static str,
    /// The values that it takes.
    pub values: &'static str,
    /// The default, or a description of what happens if it is not set.
    pub default: &'static str,
    /// The documentation.
    pub meaning: &'static str,
}

impl Setting {
    /// Returns the name of the environment variable.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.to_uppercase())
    }

    /// Returns the name of the hyperparameter.
    fn hyperparameter(&self) -> String {
        format!("{HYPERPARAMETER_PREFIX}{}", self.name)
    }
}

/// A value that somebody gave a setting.
struct GivenValue {
    text: String,
    /// The place where it was given, for messages: `the variable FOOTPLATE_UV`.
    place: String,
}

impl GivenValue {
    /// Returns the error for a value that `setting` does not take.
    fn refused(self, setting: Setting) -> SettingError {
        SettingError::NotTaken { value: self.text, place: self.place, setting }
    }
}

/// An error in the settings that were given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A name on the command line that no setting has.
    #[error(
        "there is no setting {name:?}: the settings are {}",
        REGISTRY.map(|setting| setting.name).join(", ")
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// A value that the setting does not take.
    #[error("{place} is {value:?}, but takes {}: {}", setting.values, setting.meaning)]
    NotTaken {
        /// The place where it was given.
        place: String,
        /// The value.
        value: String,
        /// The setting.
        setting: Setting,
    },
}

impl Settings {
    /// Reads every setting: `command_line` pairs first, then variables, then hyperparameters.
    ///
    /// # Errors
    /// A setting does not take the value that it was given, or a name on the command line is not a setting.
    pub fn read(
        command_line: &[(String, String)],
        variables: &Variables,
        hyperparameters: &Dict,
    ) -> Result<Settings, SettingError> {
        if let Some((name, _)) = command_line.iter().find(|(name, _)| !is_setting(name)) {
            return Err(SettingError::Unknown { name: name.clone() });
        }
        Settings::from_given(|setting| {
            if let Some((_, text)) = command_line.iter().rev().find(|(name, _)| name == setting.name) {
                return Some(GivenValue { text: text.clone(), place: format!("--set {}", setting.name) });
            }
            if let Some(text) = variables.get_non_empty(&setting.variable()) {
                let place = format!("the variable {}", setting.variable());
                return Some(GivenValue { text: text.into_owned(), place });
            }
            let value = hyperparameters.get(&setting.hyperparameter())?;
            let place = format!("the hyperparameter {}", setting.hyperparameter());
            Some(GivenValue { text: value_text(value), place })
        })
    }

    /// Returns the names, without their prefix, of hyperparameters that look like settings but are none, for a warning.
    pub fn unknown_names(hyperparameters: &Dict) -> Vec<String> {
        let names = hyperparameters.keys().filter_map(|key| key.as_str()?.strip_prefix(HYPERPARAMETER_PREFIX));
        names.filter(|name| !is_setting(name)).map(str::to_owned).collect()
    }
}

fn is_setting(name: &str) -> bool {
    REGISTRY.iter().any(|setting| setting.name == name)
}

/// Returns a hyperparameter's value as the text that it would have as a variable.
fn value_text(value: &Value) -> String {
    match value {
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        other => other.to_py_str().to_str().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ArgumentStyle, RequirementsChoice, Settings};
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
        assert_eq!(settings.requirements, RequirementsChoice::File("extra.txt".to_owned()));
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
}
