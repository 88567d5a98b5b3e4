//! The types of settings that take one of several words.

use std::fmt;
use std::time::Duration;

use super::parse::{is_off, is_on, seconds};

/// The form in which hyperparameters become arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentStyle {
    /// Python's `str` of each value, as sagemaker-training passes it.
    Toolkit,
    /// Each value as JSON, with strings unquoted.
    Json,
    /// As JSON, except that true is a bare flag, and false and null are left out.
    Flags,
    /// No arguments.
    None,
}

impl ArgumentStyle {
    pub(super) fn parse(text: &str) -> Option<Option<ArgumentStyle>> {
        Some(Some(match text {
            "toolkit" => ArgumentStyle::Toolkit,
            "json" => ArgumentStyle::Json,
            "flags" => ArgumentStyle::Flags,
            "none" => ArgumentStyle::None,
            _ => return None,
        }))
    }
}

/// The condition under which lines of the script begin with their host and rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPrefix {
    /// If there are several ranks.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl LogPrefix {
    pub(super) fn parse(text: &str) -> Option<LogPrefix> {
        match text {
            "auto" => Some(LogPrefix::Auto),
            "off" => Some(LogPrefix::Off),
            _ if is_on(text) => Some(LogPrefix::On),
            _ => None,
        }
    }
}

/// The event file for TensorBoard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorBoardChoice {
    /// None.
    Off,
    /// In the folder that the job names, else the platform's.
    Default,
    /// In this folder.
    Folder(String),
}

impl TensorBoardChoice {
    pub(super) fn parse(text: &str) -> Option<TensorBoardChoice> {
        Some(match text {
            _ if is_off(text) => TensorBoardChoice::Off,
            _ if is_on(text) => TensorBoardChoice::Default,
            folder => TensorBoardChoice::Folder(folder.to_owned()),
        })
    }
}

/// The layout of TensorFlow's parameter servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorflowCluster {
    /// The layout of sagemaker-tensorflow-training: the script on every host.
    Toolkit,
    /// The layout of TensorFlow 2's coordinator: the script on the first host, and workers on the others.
    Coordinator,
}

impl TensorflowCluster {
    pub(super) fn parse(text: &str) -> Option<Option<TensorflowCluster>> {
        match text {
            "toolkit" => Some(Some(TensorflowCluster::Toolkit)),
            "coordinator" => Some(Some(TensorflowCluster::Coordinator)),
            _ => None,
        }
    }
}

/// The requirements that are installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequirementsChoice {
    /// None.
    Off,
    /// Those of requirements.txt, if it exists.
    Default,
    /// Those of this file, which must exist.
    File(String),
}

impl RequirementsChoice {
    pub(super) fn parse(text: &str) -> Option<RequirementsChoice> {
        Some(match text {
            _ if is_off(text) => RequirementsChoice::Off,
            _ if is_on(text) => RequirementsChoice::Default,
            file => RequirementsChoice::File(file.to_owned()),
        })
    }
}

/// The requested installer of requirements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallerChoice {
    /// uv if the image has it, else pip.
    Auto,
    /// uv.
    Uv,
    /// pip.
    Pip,
}

impl InstallerChoice {
    pub(super) fn parse(text: &str) -> Option<InstallerChoice> {
        match text {
            "auto" => Some(InstallerChoice::Auto),
            "uv" => Some(InstallerChoice::Uv),
            "pip" => Some(InstallerChoice::Pip),
            _ => None,
        }
    }
}

/// The packages that requirements must leave at the image's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtectedPackages {
    /// None.
    Nothing,
    /// The frameworks and the packages that belong to them.
    Frameworks,
    /// These.
    Packages(Vec<String>),
}

impl ProtectedPackages {
    pub(super) fn parse(text: &str) -> Option<ProtectedPackages> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        Some(match text {
            _ if is_off(text) => ProtectedPackages::Nothing,
            _ if is_on(text) => ProtectedPackages::Frameworks,
            _ => ProtectedPackages::Packages(names.collect()),
        })
    }
}

/// The code that wins if the image has code and the job supplies some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePrecedence {
    /// The code that the job supplies.
    Supplied,
    /// The code in the image.
    BakedIn,
}

impl CodePrecedence {
    pub(super) fn parse(text: &str) -> Option<CodePrecedence> {
        match text {
            "supplied" => Some(CodePrecedence::Supplied),
            "baked-in" => Some(CodePrecedence::BakedIn),
            _ => None,
        }
    }
}

/// The time that a job may be silent before it counts as hung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangTimeout {
    /// Hangs are not noticed.
    Off,
    /// A fixed time.
    After(Duration),
    /// A time that is learned from the job's own silences.
    Auto,
}

impl HangTimeout {
    pub(super) fn parse(text: &str) -> Option<HangTimeout> {
        match text {
            "auto" => Some(HangTimeout::Auto),
            _ if is_off(text) => Some(HangTimeout::Off),
            _ => seconds(text).filter(|time| !time.is_zero()).map(HangTimeout::After),
        }
    }
}

/// The means by which the stacks of ranks may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackChoice {
    /// Only those that do not change the script's processes.
    Auto,
    /// Also a signal that Python answers.
    Signal,
    /// None.
    Off,
}

impl StackChoice {
    pub(super) fn parse(text: &str) -> Option<StackChoice> {
        match text {
            "auto" => Some(StackChoice::Auto),
            "signal" => Some(StackChoice::Signal),
            _ if is_off(text) => Some(StackChoice::Off),
            _ => None,
        }
    }
}

/// A text that is never shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl Secret {
    /// The minimum length of a secret, in bytes. From the messages between hosts, an attacker could guess a shorter
    /// one.
    const LEAST: usize = 16;

    pub(super) fn parse(text: &str) -> Option<Secret> {
        (text.trim().len() >= Secret::LEAST).then(|| Secret(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_not_shown_for_debugging() {
        assert_eq!(format!("{:?}", Secret("0123456789".to_owned())), "Secret(…)");
    }
}
