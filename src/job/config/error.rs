//! The error of a configuration file.

use std::path::PathBuf;

/// A configuration file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}; expected {expected}; {remedy}", path.display())]
pub struct ConfigError {
    /// The path of the file.
    pub path: PathBuf,
    /// The problem, with its line and column or its key, as a lower-case fragment.
    pub problem: String,
    /// A description of the expected content, with an example.
    pub expected: &'static str,
    /// Advice on what to do.
    pub remedy: &'static str,
}
