//! The report file that is written at the end of a job.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{ReportError, page};
use crate::system::files::create_own as create;

/// The name of the page, beside the folders of the hosts.
pub const NAME: &str = "report.html";

/// The name of the page while it is being written.
const NEXT: &str = ".report.html.next";

/// An error while writing the report at the end of a job.
#[derive(Debug, thiserror::Error)]
pub enum WriteReportError {
    /// No page can be made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The page cannot be written.
    #[error("cannot write {}: {error}", .path.display())]
    Write {
        /// The page.
        path: PathBuf,
        /// The error of the file system.
        error: io::Error,
    },
}

/// Makes the page about the job whose records are in a folder, and writes it into that folder in one step. Returns
/// its path. `now` is the time in Unix seconds.
///
/// # Errors
/// There is no record, or the page cannot be written. In that case no part of it is left.
pub fn write(folder: &Path, now: f64) -> Result<PathBuf, WriteReportError> {
    let text = page(&[folder.to_owned()], now)?;
    let (path, next) = (folder.join(NAME), folder.join(NEXT));
    let written =
        create(&next).and_then(|mut file| file.write_all(text.as_bytes())).and_then(|()| fs::rename(&next, &path));
    written.map(|()| path.clone()).map_err(|error| {
        // An incomplete page is useless, and its space may be needed.
        let _ = fs::remove_file(&next);
        WriteReportError::Write { path, error }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::write;

    #[test]
    fn a_page_replaces_what_has_its_name_and_follows_no_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        assert!(
            write(folder.path(), 0.0).expect_err("no record").to_string().starts_with("there is no run record in ")
        );
        fs::create_dir(at("algo-1")).expect("made");
        fs::write(at("algo-1/run.json"), "{\"status\": \"completed\"}").expect("written");
        fs::write(at("mine"), "mine").expect("written");
        std::os::unix::fs::symlink(at("mine"), at("report.html")).expect("linked");
        assert_eq!(write(folder.path(), 0.0).expect("written"), at("report.html"));
        assert!(fs::read_to_string(at("report.html")).expect("a page").starts_with("<!doctype html>"));
        assert_eq!(fs::read_to_string(at("mine")).expect("read"), "mine");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 3);
    }
}
