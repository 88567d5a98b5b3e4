//! Tar archives of code, compressed with gzip or not: recognizing, reading and unpacking them.
//!
//! From the bottom up:
//!
//! - `formats`: the archive formats that are not tar, which errors name;
//! - `block`: the 512-byte blocks that an archive consists of, and the errors of reading them;
//! - `sparse`: the formats of sparse files;
//! - `members`: one file, folder or link after the other;
//! - `limits`: the maximum cost of an archive, and the reader that enforces it;
//! - `names`: the path below the code folder that a member's name stands for;
//! - `unpack`: writing the members into the code folder.

mod block;
mod formats;
mod limits;
mod members;
mod names;
mod sparse;
mod unpack;

pub(super) use block::{BLOCK, is_header};
pub(super) use formats::{is_name_of_archive, other_format};
pub use limits::ArchiveLimits;
pub(super) use names::path_inside;
pub use unpack::unpack;
pub(super) use unpack::{unpack_file, unpack_stream};

#[cfg(test)]
mod tests;
