//! Bringing a job's code into the code folder.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::archive::unpack_into;
use super::budget::Limits;
use super::destination::{Destination, Report};
use super::error::CodeError;
use super::folder::{copy_file, copy_folder};
use super::notes::Notes;
use super::s3::bring_from_s3;
use super::source::{Form, Source};
use crate::machine::Bytes;
use crate::storage::Access;

/// Whose files count if both the image and the job bring code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precedence {
    /// The job's source is put over the image's code: its files replace those of the same name.
    #[default]
    SuppliedWins,
    /// A code folder that is not empty is left alone, as `sagemaker-training` does.
    BakedInWins,
}

/// How the code came into the code folder. Its text is one line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// The job's source is the code folder itself.
    Nothing {
        /// The code folder.
        code_dir: PathBuf,
    },
    /// The code folder was not empty and was left alone ([`Precedence::BakedInWins`]).
    LeftAlone {
        /// The source that was not used.
        source: String,
        /// The code folder.
        code_dir: PathBuf,
    },
    /// The source was unpacked or copied.
    Written {
        /// What the source was.
        form: Form,
        /// The code folder, without symbolic links.
        code_dir: PathBuf,
        /// What was written, and what was there before.
        report: Report,
    },
}

/// Brings the source into `code_dir`, which is made if need be. `access` is for a source in S3.
///
/// # Errors
///
/// Any [`CodeError`]; what was written before stays.
pub fn bring(source: &Source, code_dir: &Path, precedence: Precedence, access: &Access) -> Result<Brought, CodeError> {
    if *source == Source::BakedIn {
        return Ok(Brought::Nothing { code_dir: code_dir.to_owned() });
    }
    if precedence == Precedence::BakedInWins && fs::read_dir(code_dir).is_ok_and(|mut entries| entries.next().is_some())
    {
        return Ok(Brought::LeftAlone { source: source.to_string(), code_dir: code_dir.to_owned() });
    }
    let path = match source {
        Source::BakedIn => unreachable!("returned above"),
        Source::S3 { bucket, key } => {
            let mut destination = Destination::open(code_dir, None)?;
            let form = bring_from_s3(access, bucket, key, &mut destination)?;
            return Ok(Brought::Written { form, code_dir: destination.root().to_owned(), report: destination.report });
        }
        Source::Local(path) => path,
    };
    let form = Form::of(path)?;
    let (Form::Folder(from) | Form::Archive(from) | Form::File(from)) = &form;
    let mut destination = Destination::open(code_dir, Some(from))?;
    match &form {
        Form::Folder(from) => copy_folder(from, &mut destination)?,
        Form::Archive(from) => unpack_into(from, &mut destination, &Limits::default())?,
        Form::File(from) => {
            let name = PathBuf::from(from.file_name().unwrap_or_default());
            // A file that is where it should be already would be deleted to make room for itself.
            let there = destination.root().join(&name);
            if from.canonicalize().ok() != Some(there) {
                copy_file(from, &name, &mut destination)?;
            }
        }
    }
    Ok(Brought::Written { form, code_dir: destination.root().to_owned(), report: destination.report })
}

impl Brought {
    /// What was left out or written otherwise, and why; none if everything came as it was.
    pub fn notes(&self) -> Option<&Notes> {
        match self {
            Brought::Written { report, .. } if !report.notes.is_empty() => Some(&report.notes),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::BakedIn => f.write_str("the code of the image"),
            Source::Local(path) => write!(f, "{}", path.display()),
            Source::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

impl fmt::Display for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (form, code_dir, report) = match self {
            Brought::Nothing { code_dir } => return write!(f, "using the code that is in {}", code_dir.display()),
            Brought::LeftAlone { source, code_dir } => {
                let code_dir = code_dir.display();
                return write!(f, "using the code that is in {code_dir}, as it was not empty; {source} is not used");
            }
            Brought::Written { form, code_dir, report } => (form, code_dir, report),
        };
        let (done, from) = match form {
            Form::Folder(from) | Form::File(from) => ("copied", from),
            Form::Archive(from) => ("unpacked", from),
        };
        let files = if report.files == 1 { "file" } else { "files" };
        let (count, bytes) = (report.files, Bytes(report.bytes));
        write!(f, "{done} {count} {files} ({bytes}) from {} to {}", from.display(), code_dir.display())?;
        match (report.baked_in, report.replaced) {
            (false, _) => Ok(()),
            (true, 0) => f.write_str(", beside the image's own code there"),
            (true, replaced) => write!(f, ", over the image's own code there ({replaced} replaced)"),
        }
    }
}

#[cfg(test)]
mod tests;
