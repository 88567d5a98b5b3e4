//! Why the user's code could not be brought into the code folder.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::machine::Bytes;
use crate::storage::StorageError;

/// Why the user's code could not be brought into the code folder. Its text names the path, what was found there, and
/// what can be done.
#[derive(Debug)]
pub enum CodeError {
    /// The setting is of a form that is not known: another scheme, an `s3://` without a key, a `file://` of another
    /// machine.
    Unsupported {
        /// The setting as it was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The source is in S3, and could not be had from there.
    Storage(StorageError),
    /// There is nothing at the source's path.
    Missing {
        /// The path that does not exist.
        path: PathBuf,
        /// What is in its folder, if that exists.
        beside: Option<String>,
    },
    /// The file is neither a tar archive nor one to be copied as it is.
    NotArchive {
        /// The file.
        path: PathBuf,
        /// What it is instead, as far as its first bytes tell.
        found: String,
    },
    /// The archive is cut off or corrupt.
    Damaged {
        /// The archive.
        path: PathBuf,
        /// What is wrong, and where.
        detail: String,
    },
    /// The archive holds more than [`Limits`](super::Limits) allow.
    TooLarge {
        /// The archive.
        path: PathBuf,
        /// Which limit it goes over.
        detail: String,
    },
    /// The file system of the code folder is full, or would be.
    NoSpace {
        /// The file that does not fit.
        path: PathBuf,
        /// Its size and what is free, in bytes, if this was seen before writing it.
        sizes: Option<(u64, u64)>,
    },
    /// The code folder must not be written.
    NotWritable {
        /// The file or folder that could not be made.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The source folder holds the code folder, or would have to be deleted to make room for its own files.
    Overlaps {
        /// The source.
        source: PathBuf,
        /// What it overlaps with.
        code: PathBuf,
    },
    /// Anything else that the system refused.
    Io {
        /// What was tried: `read`, `write`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl CodeError {
    /// Whether reading failed because of S3.
    pub(super) fn is_storage(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|error| error.is::<StorageError>())
    }

    /// The error for a file that could not be made or written.
    pub(super) fn writing(path: &Path, source: io::Error) -> CodeError {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => CodeError::NoSpace { path, sizes: None },
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => CodeError::NotWritable { path, source },
            _ => CodeError::Io { action: "write", path, source },
        }
    }

    /// The error for a file that could not be read.
    pub(super) fn reading(path: &Path, source: io::Error) -> CodeError {
        if let Some(error) = source.get_ref().and_then(|error| error.downcast_ref::<StorageError>()) {
            return CodeError::Storage(error.clone());
        }
        match source.kind() {
            ErrorKind::NotFound => CodeError::Missing { path: path.to_owned(), beside: None },
            _ => CodeError::Io { action: "read", path: path.to_owned(), source },
        }
    }
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodeError::Unsupported { text, reason } => write!(
                f,
                "the source {text:?} cannot be used: {reason}; give a folder, a .tar.gz file, or a file:// or s3:// URL of one"
            ),
            CodeError::Storage(error) => write!(f, "the source {error}"),
            CodeError::Missing { path, beside } => {
                write!(f, "the source {} does not exist", path.display())?;
                if let Some(beside) = beside {
                    write!(f, " ({beside})")?;
                }
                f.write_str("; set SAGEMAKER_SUBMIT_DIRECTORY to the folder or archive that holds the code")
            }
            CodeError::NotArchive { path, found } => write!(
                f,
                "the source {} is not a tar archive but {found}; make it with `tar czf sourcedir.tar.gz -C FOLDER .`",
                path.display()
            ),
            CodeError::Damaged { path, detail } => {
                write!(f, "the source archive {} is damaged: {detail}; make it and upload it anew", path.display())
            }
            CodeError::TooLarge { path, detail } => write!(
                f,
                "the source archive {} is not unpacked: {detail}; keep data out of it and give that as a channel",
                path.display()
            ),
            CodeError::NoSpace { path, sizes } => {
                write!(f, "no space for {}", path.display())?;
                if let Some((size, free)) = sizes {
                    write!(f, ": it takes {}, and {} are free", Bytes(*size), Bytes(*free))?;
                }
                f.write_str("; give the job a larger volume, or keep data out of the source")
            }
            CodeError::NotWritable { path, source } => write!(
                f,
                "cannot write {}: {source}; make the code folder writable for the container's user, or set \
                 SAGEMAKER_SUBMIT_DIRECTORY to it to use the code that is in it",
                path.display()
            ),
            CodeError::Overlaps { source, code } => write!(
                f,
                "the source folder {} and {} lie in one another and cannot be copied; set SAGEMAKER_SUBMIT_DIRECTORY \
                 to the folder that holds just the code",
                source.display(),
                code.display()
            ),
            CodeError::Io { action, path, source } => write!(f, "cannot {action} {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for CodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CodeError::NotWritable { source, .. } | CodeError::Io { source, .. } => Some(source),
            CodeError::Storage(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use nix::errno::Errno;

    use super::CodeError;

    #[test]
    fn what_the_system_says_of_writing_is_told_apart() {
        let error = |errno: Errno| CodeError::writing(Path::new("/c/x"), io::Error::from_raw_os_error(errno as i32));
        for full in [Errno::ENOSPC, Errno::EDQUOT] {
            let error = error(full);
            assert!(matches!(error, CodeError::NoSpace { .. }), "{error:?}");
            assert!(error.to_string().starts_with("no space for /c/x; give the job a larger volume"), "{error}");
        }
        for refused in [Errno::EROFS, Errno::EACCES, Errno::EPERM] {
            let error = error(refused);
            assert!(matches!(error, CodeError::NotWritable { .. }), "{error:?}");
            assert!(error.to_string().contains("cannot write /c/x: "), "{error}");
            assert!(error.to_string().contains("make the code folder writable"), "{error}");
        }
        assert!(matches!(error(Errno::EIO), CodeError::Io { .. }));
    }
}
