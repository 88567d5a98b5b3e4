//! The two programs that can install packages.

use std::fmt;

/// A program that installs packages. Its text is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallerKind {
    /// pip, as a module of the image's Python.
    Pip,
    /// uv.
    Uv,
}

impl fmt::Display for InstallerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InstallerKind::Pip => "pip",
            InstallerKind::Uv => "uv",
        })
    }
}
