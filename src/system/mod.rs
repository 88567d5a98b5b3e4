//! The operating system, as the other folders use it: the kernel's calls, files, and the addresses of hosts.
//!
//! This folder must not know what a job is.

pub mod files;
pub mod kernel;
pub mod resolve;
