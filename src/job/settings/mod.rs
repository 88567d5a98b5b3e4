//! The settings of footplate itself.
//!
//! [`REGISTRY`] lists them. The table in `docs/reference.md` and `footplate train --help` are made from it. The
//! strongest source is the command line (`--set name=value`), then the variable `FOOTPLATE_NAME` (from the Dockerfile
//! or the estimator's `environment`), then the hyperparameter `footplate_name`, which never reaches the script.

mod parse;
mod read;
mod setting;
mod table;
mod values;

pub use read::given;
pub use setting::{GivenValue, HYPERPARAMETER_PREFIX, Setting, SettingError, VARIABLE_PREFIX};
pub use table::{REGISTRY, Settings};
pub use values::{
    ArgumentStyle, CodePrecedence, HangTimeout, InstallerChoice, LogPrefix, ProtectedPackages, RequirementsChoice,
    Secret, StackChoice, TensorBoardChoice, TensorflowCluster,
};
