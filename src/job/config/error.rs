//! What can be wrong with a configuration file.

use std::fmt;
use std::path::PathBuf;

/// A configuration file that cannot be used: which, where in it, what was found, what was expected, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, with line and column or key, as a lower-case fragment.
    pub problem: String,
    /// What should be there.
    pub expected: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigError { path, problem, expected, remedy } = self;
        write!(f, "{}: {problem}; expected {expected}; {remedy}", path.display())
    }
}

impl std::error::Error for ConfigError {}
