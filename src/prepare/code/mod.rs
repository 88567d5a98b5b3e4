//! The user's code: its source, bringing it into the code folder, the file that runs, and the Python that runs it.
//!
//! The order: [`CodeSource::parse`] parses the job's setting, [`fetch`] brings the code into the code folder,
//! [`EntryPoint::find`] finds the file to run, and [`interpreter::find`] the Python to run it with. For a file of
//! another language, [`EntryPoint::runner`] finds the program that runs it.
//!
//! This folder owns all writing into the code folder. Nothing is written outside that folder, whatever an archive
//! holds. It must not start programs, decide how the script is launched, or log: results and notes are returned to
//! the caller as values that can be displayed.

mod archive;
mod code_folder;
mod copy;
mod entry;
mod error;
mod fetch;
pub mod interpreter;
mod listing;
mod notes;
mod runner;
mod s3;
mod shebang;
mod source;

pub use archive::{ArchiveLimits, unpack};
pub use code_folder::WriteReport;
pub use entry::{EntryError, EntryKind, EntryPoint, module_of};
pub use error::CodeError;
pub use fetch::{FetchedCode, fetch, fetch_packed};
pub use notes::Notes;
pub use runner::{Runner, SHELL, is_binary};
pub use shebang::{Shebang, shebang};
pub use source::{CodeSource, SourceForm, only_archive};
