//! The packages that the user's code needs: whether any are to be installed, by which installer, and why that failed.
//!
//! The order: [`Plan`] decides what to install. [`Interpreter`] and [`Installed`] tell what the image's Python has, [`Scan`]
//! what the files require: where all of it is there, nothing is started. [`choose`] takes uv or pip, [`probe`] sees whether
//! the indexes can be reached at all, [`command`] and [`variables`] are what the caller runs, [`Progress`] looks at what the
//! installer prints meanwhile, and [`failure_line`] finds its complaint.
//!
//! No program is started here, and no secret is taken out here: installers print the URLs that they were given, and the
//! caller must clean them.

mod complaint;
mod index;
mod installed;
mod pip_settings;
mod plan;
mod progress;
mod requirement;
mod scan;
mod tool;
mod uv_complaint;
mod version;

pub use complaint::failure_line;
pub use index::{Places, Proxies, REMEDY, Unreachable, places, probe};
pub use installed::{Installed, Interpreter, inspection};
pub use pip_settings::{ForUv, PipSettings};
pub use plan::{Format, Plan, RequirementsError};
pub use progress::{Installer, Progress};
pub use requirement::{MarkerValues, Requirement, normal_name};
pub use scan::Scan;
pub use tool::{Order, PROTECTED, choose, command, constraints, obstacle, variables};
pub use uv_complaint::{cannot_read, uv_failure_line};
pub use version::{Specifiers, Version};
