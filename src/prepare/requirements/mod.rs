//! The packages that the user's code requires: the choice of packages and installer, and the reason why an
//! installation failed.
//!
//! The order of use:
//!
//! 1. [`InstallPlan`] decides whether anything is to be installed, and from which file.
//! 2. [`PythonEnvironment`] and [`Installed`] describe the image's Python, and [`Scan`] reads the requirements files.
//!    If all requirements are met ([`Installed::satisfy`]), no installer is started.
//! 3. [`choose_installer`] chooses uv or pip, and [`unreachable_indexes`] finds the indexes that cannot be reached.
//! 4. The caller runs [`install_command`] with [`install_variables`]. [`Progress`] observes its output.
//! 5. If it fails, [`pip_failure_line`] or [`uv_failure_line`] finds the reason in its output.
//!
//! This folder starts no program, and it does not remove secrets: installers print the URLs that they are given, and
//! the caller must redact the texts from here.

mod build_failure;
mod codeartifact;
mod file_text;
mod index;
mod installed;
mod installer;
mod pip_failure;
mod pip_settings;
mod plan;
mod progress;
mod rejection;
mod requirement;
mod scan;
mod tool;
mod uv_failure;
mod uv_settings;
mod uv_syntax;
mod version;

pub use codeartifact::{CodeArtifactError, PackageIndex, Repository};
pub use index::{INDEX_REMEDY, PackageSources, Proxies, UnreachableIndex, package_sources, unreachable_indexes};
pub use installed::{Installed, PythonEnvironment, Unsatisfied, inspection_command};
pub use installer::InstallerKind;
pub use pip_failure::pip_failure_line;
pub use pip_settings::{PipSettings, UvSettings};
pub use plan::{Format, InstallPlan, RequirementsError};
pub use progress::Progress;
pub use rejection::{IndexQuery, rejection};
pub use requirement::{MarkerValues, Requirement, normal_name};
pub use scan::Scan;
pub use tool::{
    FRAMEWORKS, InstallRequest, UvMissing, choose_installer, install_command, install_variables, obstacle_to_uv,
    pinning_constraints,
};
pub use uv_failure::uv_failure_line;
pub use uv_settings::deciding_setting;
pub use version::{Specifiers, Version};
