//! A folder for files that are not needed after the run.

use std::io;
use std::path::{Path, PathBuf};

/// A folder below the temporary folder that only this user can enter. It is created on first use, and removed with
/// its content when this value is dropped.
#[derive(Debug, Default)]
pub struct Scratch(Option<PathBuf>);

impl Scratch {
    /// Returns the path of the folder.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn path(&mut self) -> io::Result<&Path> {
        let made = match self.0.take() {
            Some(path) => path,
            None => nix::unistd::mkdtemp(&std::env::temp_dir().join("footplate-XXXXXX"))?,
        };
        Ok(self.0.insert(made))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = std::fs::remove_dir_all(path)
        {
            tracing::debug!("cannot remove {}: {error}", path.display());
        }
    }
}
