//! The settings of footplate itself.
//!
//! [`REGISTRY`] lists them; the tables of the README and of `footplate train --help` come from it. The strongest source is the
//! command line (`--set name=value`), then the variable `FOOTPLATE_NAME` (from the Dockerfile or the estimator's
//! `environment`), then the hyperparameter `footplate_name`, which never reaches the script.

mod parse;
mod read;
mod setting;
mod table;
mod values;

pub use setting::{HYPERPARAMETER_PREFIX, Setting, SettingError};
pub use table::{REGISTRY, Settings};
pub use values::{
    ArgumentStyle, CodePrecedence, InstallerChoice, LogPrefix, ProtectedPackages, RequirementsChoice, Secret,
};

use std::fmt;

/// The launcher: the program or the scheme that starts the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// One process on each host.
    Process,
    /// One process for each GPU or Neuron core.
    PerGpu,
    /// The image's torchrun.
    Torchrun,
    /// The image's mpirun.
    Mpi,
    /// The image's mpirun with smddprun, for smdistributed data parallel and `pytorch_ddp`.
    Smddp,
    /// The image's `torch_xla.distributed.xla_spawn`.
    Xla,
}

impl Launcher {
    /// All launchers.
    pub const ALL: [Launcher; 6] =
        [Launcher::Process, Launcher::PerGpu, Launcher::Torchrun, Launcher::Mpi, Launcher::Smddp, Launcher::Xla];
}

impl fmt::Display for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Launcher::Process => "process",
            Launcher::PerGpu => "per-gpu",
            Launcher::Torchrun => "torchrun",
            Launcher::Mpi => "mpi",
            Launcher::Smddp => "smddp",
            Launcher::Xla => "xla",
        })
    }
}
