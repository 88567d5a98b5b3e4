//! The stacks of all ranks: what each of them is doing now.
//!
//! There are three means, which are tried in this order. The stacks are read from the memory of a Python process. If
//! that fails, Python's `faulthandler` writes them, if the user allows its signal. Otherwise the kernel's files show
//! in which kernel function a process waits. Descendants of a rank are examined too, because a data loader that is
//! stuck is visible only in its worker process. [`collect`] does the I/O.

mod call;
mod collect;
mod faulthandler;
pub mod groups;
mod kernel_view;
mod loader;
mod main_code;
mod process;
mod python;
mod rank;
mod rank_processes;
pub mod text;

pub use call::StackCall;
pub use collect::StackMeans;
pub use faulthandler::Hook;
pub use main_code::main_code;
pub use rank::RankStacks;
pub use rank_processes::RankProcesses;

pub(super) use collect::collect;
