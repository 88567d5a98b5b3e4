//! The packages that the user's code needs: whether any are to be installed, how, and why that failed.
//!
//! [`Plan`] decides what to install and gives the command; the caller runs it, as it runs everything, and gives what pip
//! wrote to [`failure_line`]. Nothing is started here, and no secret is taken out here: pip prints the URLs that it was
//! given, and the caller must clean them.

mod complaint;
mod plan;

pub use complaint::failure_line;
pub use plan::{Plan, RequirementsError, variables};
