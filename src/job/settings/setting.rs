//! A setting, a value that it was given, and errors about both.

use crate::redact;

/// The prefix of hyperparameters that are settings of footplate.
pub const HYPERPARAMETER_PREFIX: &str = "footplate_";

/// The prefix of environment variables that are settings of footplate.
pub const VARIABLE_PREFIX: &str = "FOOTPLATE_";

/// The description of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name: `grace_period` is the variable FOOTPLATE_GRACE_PERIOD and the hyperparameter `footplate_grace_period`.
    pub name: &'static str,
    /// The values that the setting accepts.
    pub values: &'static str,
    /// The default, or a description of what happens if it is not set.
    pub default: &'static str,
    /// The documentation.
    pub meaning: &'static str,
}

impl Setting {
    /// Returns the name of the environment variable.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.to_ascii_uppercase())
    }

    /// Returns the name of the hyperparameter.
    pub fn hyperparameter(&self) -> String {
        format!("{HYPERPARAMETER_PREFIX}{}", self.name)
    }
}

/// A value that a setting was given.
pub struct GivenValue {
    /// The value as text.
    pub text: String,
    /// The place where it was given, for messages: `the variable FOOTPLATE_UV`.
    pub place: String,
}

impl GivenValue {
    /// Returns the error for a value that `setting` does not accept.
    pub(super) fn refused(self, setting: &'static Setting) -> SettingError {
        let is_secret = redact::is_secret_name(setting.name);
        let value = if is_secret { redact::HIDDEN.to_owned() } else { format!("{:?}", self.text) };
        SettingError::NotTaken { value, place: self.place, setting }
    }
}

/// An error in the settings that were given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A name on the command line that no setting has.
    #[error("there is no setting {name:?}: the settings are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names of all settings, separated by commas.
        known: String,
    },
    /// A launcher that does not exist.
    #[error("{place} is {value:?}, but takes {}: {known}", setting.values)]
    NoLauncher {
        /// The place where it was given.
        place: String,
        /// The value.
        value: String,
        /// The setting.
        setting: &'static Setting,
        /// The names of all launchers, separated by commas.
        known: String,
    },
    /// A value that the setting does not accept.
    #[error("{place} is {value}, but takes {}: {}", setting.values, setting.meaning)]
    NotTaken {
        /// The place where it was given.
        place: String,
        /// The value in quotes, or hidden if it is a secret.
        value: String,
        /// The setting.
        setting: &'static Setting,
    },
}
