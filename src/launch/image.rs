//! The programs of the image that a launch needs, and the interface through which an engine finds them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Answers an engine's questions about the image. The caller of this folder implements it, because nothing in this
/// folder touches a file.
pub trait ImageProbe {
    /// Returns the path of the first executable file with this name on PATH.
    fn on_path(&self, name: &str) -> Option<PathBuf>;

    /// Returns the path of the executable file with this name in the folder of the Python that runs the script. This
    /// finds the programs of a virtual environment that is not on PATH.
    fn beside_python(&self, name: &str) -> Option<PathBuf>;

    /// Returns true if the path exists.
    fn exists(&self, path: &Path) -> bool;

    /// Returns the text of a small file. `None` if it cannot be read.
    fn text(&self, path: &Path) -> Option<String>;

    /// Returns the value of a variable that the container was given.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The programs that an engine found in the image, by the names that the engine uses for them.
pub type Programs = BTreeMap<&'static str, PathBuf>;

/// The programs of the image that run the job.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The Python interpreter that runs the script.
    pub python: Option<PathBuf>,
    /// The programs that the job's engine found.
    pub programs: Programs,
}

impl Image {
    /// Returns the path of a program that the engine found.
    pub(super) fn program(&self, name: &str) -> Option<&Path> {
        self.programs.get(name).map(PathBuf::as_path)
    }
}
