//! The stacks of all ranks: what each of them is doing now.
//!
//! They are read from the memory of a Python process; else by Python's `faulthandler`, if the user allows its signal; else the
//! kernel's files tell in which of its functions a process waits. Descendants of a rank are looked at, too: a data loader that is stuck shows
//! only in its worker process. [`collect`] is the shell.

mod call;
mod collect;
mod faulthandler;
pub mod groups;
mod kernel_view;
mod process;
mod python;
mod rank;
mod rank_processes;
pub mod text;

pub use call::StackCall;
pub use collect::Means;
pub use faulthandler::Hook;
pub use rank::RankStacks;
pub use rank_processes::RankProcesses;

pub(super) use collect::collect;
