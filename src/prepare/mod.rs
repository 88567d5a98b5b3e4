//! Preparing a job: the user's code, the packages it requires, and the variables and arguments of the script.
//!
//! - [`code`] brings the code into the code folder and finds the file to run.
//! - [`requirements`] decides which packages to install, and with which installer.
//! - [`environment`] builds the script's variables and arguments.
//!
//! This folder must not start a program, or decide how the script is launched.

pub mod code;
pub mod environment;
pub mod nearest;
pub mod requirements;
