//! The report: one HTML page that shows what a job did, made from its run record, its samples and its metrics.
//!
//! - [`read`] reads the files of all hosts, whatever they contain, into the plain data of [`model`].
//! - [`page`] makes the page from that data. It is pure: equal data give equal pages.
//!
//! The page is one file that loads nothing from anywhere, and works without its script. Its markup is fixed in the
//! source, and every text of a job is escaped ([`markup`]). Its content security policy lists the digests of its
//! style and its script, so that no other style or script has an effect.

mod file;
mod markup;
mod model;
mod order;
mod page;
mod read;
mod resource;
mod scale;
mod thin;
mod words;

pub use file::{NAME, write};

use std::path::PathBuf;

/// An error of a report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A folder without a record.
    #[error("there is no run record in {}: name a job's output/data/footplate, or the folder of a host in it", .0.display())]
    NoRecord(PathBuf),
    /// No record in a folder can be read. Holds the reason for the first one.
    #[error("no run record can be read: {0}")]
    NoReadableRecord(String),
}

/// Returns the page about the jobs in some folders: `output/data/footplate` of a job, or the folder of a host in it. Several
/// jobs are compared. `now` is the time in Unix seconds.
///
/// # Errors
/// A folder has no record that can be read.
pub fn page(folders: &[PathBuf], now: f64) -> Result<String, ReportError> {
    let runs = read::runs(folders)?;
    Ok(page::page(&runs, now))
}
