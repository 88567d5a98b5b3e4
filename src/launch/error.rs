//! The error of a launch that cannot be planned.

use thiserror::Error;

/// A launch that the job requests but that is not possible with this image or on this host. The text states what is
/// missing and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct LaunchError(String);

impl LaunchError {
    /// Returns the error with this text.
    pub(super) fn new(text: impl Into<String>) -> LaunchError {
        LaunchError(text.into())
    }
}
