//! The user's code: where it comes from, how it gets into the code folder, which file of it is run, and by which
//! Python.
//!
//! The order: [`Source::parse`] reads what the job says of its code, [`bring`] puts it into the code folder,
//! [`EntryPoint::find`] finds the file to run, and [`interpreter::find`] the Python to run it with. Nothing is written
//! outside the code folder, whatever an archive holds, and nothing is started here.
//!
//! This folder must not decide how the script is launched, and must not log: what is worth a line comes back to the
//! caller as a value that can be displayed.

mod archive;
mod bring;
mod budget;
mod destination;
mod entry;
mod error;
mod folder;
pub mod interpreter;
mod listing;
mod members;
mod notes;
mod s3;
mod shebang;
mod source;
mod sparse;

pub use archive::unpack;
pub use bring::{Brought, Precedence, bring};
pub use budget::Limits;
pub use destination::Report;
pub use entry::{EntryError, EntryKind, EntryPoint};
pub use error::CodeError;
pub use notes::Notes;
pub use shebang::{Shebang, shebang};
pub use source::{Form, Source};
