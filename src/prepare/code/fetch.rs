//! Fetching a job's code into the code folder.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::archive::{ArchiveLimits, unpack_file};
use super::code_folder::{CodeFolder, WriteReport};
use super::copy::{copy_file, copy_folder};
use super::error::CodeError;
use super::notes::Notes;
use super::s3::fetch_from_s3;
use super::source::{CodeSource, SourceForm};
use crate::job::settings::CodePrecedence;
use crate::machine::Bytes;
use crate::storage::{Access, Bucket};

/// The result of fetching the code. Its text is one line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchedCode {
    /// The code folder was not empty and stays as it is ([`CodePrecedence::BakedIn`]).
    LeftAlone {
        /// The source that was not used.
        source: String,
        /// The code folder.
        code_dir: PathBuf,
    },
    /// The source was unpacked or copied.
    Written {
        /// The form of the source.
        form: SourceForm,
        /// The code folder, without symbolic links.
        code_dir: PathBuf,
        /// A summary of the written and replaced files.
        report: WriteReport,
    },
}

/// Fetches the source into `code_dir`, which is created if it does not exist. `access` is for a source in S3.
///
/// If baked-in code wins, a code folder that is not empty stays as it is and the source is not read, as with
/// `sagemaker-training`. Otherwise the files of the source replace those of the same name.
///
/// # Errors
///
/// Any [`CodeError`]. Files that were written before the error remain.
pub fn fetch(
    source: &CodeSource,
    code_dir: &Path,
    precedence: CodePrecedence,
    access: &Access,
) -> Result<FetchedCode, CodeError> {
    if precedence == CodePrecedence::BakedIn && fs::read_dir(code_dir).is_ok_and(|mut entries| entries.next().is_some())
    {
        return Ok(FetchedCode::LeftAlone { source: source.to_string(), code_dir: code_dir.to_owned() });
    }
    let path = match source {
        CodeSource::S3 { bucket, key } => {
            let mut folder = CodeFolder::open(code_dir, None)?;
            let form = fetch_from_s3(access, bucket, key, &mut folder)?;
            return written(form, folder);
        }
        CodeSource::Local(path) => path,
    };
    let form = SourceForm::of(path)?;
    let (SourceForm::Folder(from) | SourceForm::Archive(from) | SourceForm::File(from)) = &form;
    let mut folder = CodeFolder::open(code_dir, Some(from))?;
    match &form {
        SourceForm::Folder(from) => copy_folder(from, &mut folder)?,
        SourceForm::Archive(from) => unpack_file(from, &mut folder, &ArchiveLimits::default())?,
        SourceForm::File(from) => {
            let name = PathBuf::from(from.file_name().unwrap_or_default());
            // A file that is already in place would be deleted to make room for itself.
            let target = folder.root().join(&name);
            if from.canonicalize().ok() != Some(target) {
                copy_file(from, &name, &mut folder)?;
            }
        }
    }
    written(form, folder)
}

/// Describes what was written.
///
/// # Errors
/// [`CodeError::NoFiles`] if there is nothing in the code folder.
fn written(form: SourceForm, folder: CodeFolder) -> Result<FetchedCode, CodeError> {
    if fs::read_dir(folder.root()).is_ok_and(|mut entries| entries.next().is_none()) {
        let (SourceForm::Folder(path) | SourceForm::Archive(path) | SourceForm::File(path)) = form;
        return Err(CodeError::NoFiles { path });
    }
    Ok(FetchedCode::Written { form, code_dir: folder.root().to_owned(), report: folder.report })
}

/// Writes a source that is a single file or object in S3 to the file `path`, unchanged.
///
/// # Errors
///
/// Any [`CodeError`]. Content that was written before the error remains.
pub fn fetch_packed(source: &CodeSource, path: &Path, access: &Access) -> Result<(), CodeError> {
    let writing = |error| CodeError::writing(path, error);
    match source {
        CodeSource::Local(from) => fs::copy(from, path).map(|_| ()).map_err(writing),
        CodeSource::S3 { bucket, key } => {
            let spool_folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut object = Bucket::new(access.clone(), bucket).read(key, spool_folder)?;
            let mut file = fs::File::create(path).map_err(writing)?;
            io::copy(&mut object, &mut file).map(|_| ()).map_err(|error| {
                if CodeError::is_storage(&error) {
                    CodeError::reading(path, error)
                } else {
                    CodeError::writing(path, error)
                }
            })
        }
    }
}

impl FetchedCode {
    /// Returns the notes about entries that were skipped or written differently, or `None` if there are none.
    pub fn notes(&self) -> Option<&Notes> {
        match self {
            FetchedCode::Written { report, .. } if !report.notes.is_empty() => Some(&report.notes),
            _ => None,
        }
    }
}

impl fmt::Display for FetchedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (form, code_dir, report) = match self {
            FetchedCode::LeftAlone { source, code_dir } => {
                let code_dir = code_dir.display();
                return write!(f, "using the code that is in {code_dir}, as it was not empty; {source} is not used");
            }
            FetchedCode::Written { form, code_dir, report } => (form, code_dir, report),
        };
        let (done, from) = match form {
            SourceForm::Folder(from) | SourceForm::File(from) => ("copied", from),
            SourceForm::Archive(from) => ("unpacked", from),
        };
        let files = if report.files == 1 { "file" } else { "files" };
        let (count, bytes) = (report.files, Bytes(report.bytes));
        write!(f, "{done} {count} {files} ({bytes}) from {} to {}", from.display(), code_dir.display())?;
        match (report.was_filled, report.replaced) {
            (false, _) => Ok(()),
            (true, 0) => f.write_str(", beside the image's own code there"),
            (true, replaced) => write!(f, ", over the image's own code there ({replaced} replaced)"),
        }
    }
}

#[cfg(test)]
mod tests;
