//! Errors of bringing the user's code into the code folder.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::machine::Bytes;
use crate::storage::StorageError;

/// A reason why the user's code could not be brought into the code folder. Its text names the path, the problem, and the
/// remedy.
#[derive(Debug, Error)]
pub enum CodeError {
    /// The setting has an unsupported form: another scheme, an `s3://` URL without a key, a `file://` URL of another
    /// machine.
    #[error(
        "the source {text:?} cannot be used: {reason}; give a folder, a .tar.gz file, or a file:// or s3:// URL of one"
    )]
    Unsupported {
        /// The setting as written.
        text: String,
        /// The problem with it.
        reason: &'static str,
    },
    /// The source is in S3 and could not be read.
    #[error("the source {0}")]
    Storage(#[from] StorageError),
    /// Nothing exists at the source's path.
    #[error(
        "the source {path} does not exist{}; set SAGEMAKER_SUBMIT_DIRECTORY to the folder or archive that holds the code",
        in_parentheses(.nearby)
    )]
    Missing {
        /// The path that does not exist.
        path: PathBuf,
        /// The content of the folder that `path` should be in, if that folder exists.
        nearby: Option<String>,
    },
    /// The source should be a tar archive and is something else.
    #[error("the source {path} is not a tar archive but {found}; make it with `tar czf sourcedir.tar.gz -C FOLDER .`")]
    NotArchive {
        /// The file.
        path: PathBuf,
        /// A description of the file's content, from its first bytes.
        found: String,
    },
    /// The archive is cut off or corrupt.
    #[error("the source archive {path} is damaged: {detail}; make it and upload it anew")]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// The problem and its place in the archive.
        detail: String,
    },
    /// The archive exceeds one of the [`ArchiveLimits`](super::ArchiveLimits).
    #[error("the source archive {path} is not unpacked: {detail}; keep data out of it and give that as a channel")]
    TooLarge {
        /// The archive.
        path: PathBuf,
        /// The limit that it exceeds.
        detail: String,
    },
    /// The objects below a prefix exceed one of the [`ArchiveLimits`](super::ArchiveLimits).
    #[error("the source {path} is not copied: {detail}; keep data out of it and give that as a channel")]
    PrefixTooLarge {
        /// The URL of the prefix.
        path: PathBuf,
        /// The limit that they exceed.
        detail: String,
    },
    /// The source holds nothing that could be written, and the code folder was empty before.
    #[error("the source {path} holds no files; put the code into it, and upload it anew")]
    NoFiles {
        /// The folder, the archive, or the URL of the prefix.
        path: PathBuf,
    },
    /// The file system of the code folder is full, or would be.
    #[error("no space for {path}{}; give the job a larger volume, or keep data out of the source", shortage(.sizes))]
    NoSpace {
        /// The file that does not fit.
        path: PathBuf,
        /// The size needed and the size free, in bytes, if they were known before writing.
        sizes: Option<(u64, u64)>,
    },
    /// The code folder is not writable.
    #[error(
        "cannot write {path}: {source}; make the code folder writable for the container's user, or set \
         SAGEMAKER_SUBMIT_DIRECTORY to it to use the code that is in it"
    )]
    NotWritable {
        /// The file or folder that could not be created.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The source folder and the code folder contain one another, or a file of the source would delete the source.
    #[error(
        "the source folder {folder} and {code} lie in one another and cannot be copied; set SAGEMAKER_SUBMIT_DIRECTORY \
         to the folder that holds just the code"
    )]
    Overlaps {
        /// The source folder.
        folder: PathBuf,
        /// The path that it overlaps with.
        code: PathBuf,
    },
    /// Any other error of the file system.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// The operation: `read` or `write`.
        action: &'static str,
        /// The path that it failed for.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

fn in_parentheses(text: &Option<String>) -> String {
    text.as_ref().map(|text| format!(" ({text})")).unwrap_or_default()
}

fn shortage(sizes: &Option<(u64, u64)>) -> String {
    let text = |(size, free)| format!(": it takes {}, and {} are free", Bytes(size), Bytes(free));
    sizes.map(text).unwrap_or_default()
}

impl CodeError {
    /// Returns true if a read failed because of S3.
    pub(super) fn is_storage(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|error| error.is::<StorageError>())
    }

    /// Returns the error for a file or folder that could not be created or written.
    pub(super) fn writing(path: &Path, source: io::Error) -> CodeError {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => CodeError::NoSpace { path, sizes: None },
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => CodeError::NotWritable { path, source },
            _ => CodeError::Io { action: "write", path, source },
        }
    }

    /// Returns the error for a file that could not be read.
    pub(super) fn reading(path: &Path, source: io::Error) -> CodeError {
        if let Some(error) = source.get_ref().and_then(|error| error.downcast_ref::<StorageError>()) {
            return CodeError::Storage(error.clone());
        }
        match source.kind() {
            ErrorKind::NotFound => CodeError::Missing { path: path.to_owned(), nearby: None },
            _ => CodeError::Io { action: "read", path: path.to_owned(), source },
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
    fn errors_of_writing_are_full_not_writable_or_other() {
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
