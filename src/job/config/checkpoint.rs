//! Reader of `checkpointconfig.json`, which names the folder of checkpoints.

use std::path::{Path, PathBuf};

use super::ConfigError;
use super::reader::FileKind;
use crate::job::Paths;
use crate::system::files;

const FILE: &str = "checkpointconfig.json";

const KIND: FileKind =
    FileKind { expected: r#"an object such as {"LocalPath": "/opt/ml/checkpoints"}"#, if_missing: "it may be missing" };

/// Returns the folder of the job's checkpoints: the one that the file names, else the platform's if it exists.
///
/// An invalid file only causes a warning, because the job can run without it.
pub(super) fn read(paths: &Paths, warnings: &mut Vec<String>) -> Option<PathBuf> {
    let path = paths.config().join(FILE);
    let named = named(&path).unwrap_or_else(|error| {
        warnings.push(format!("not used: {error}"));
        None
    });
    // If the folder does not answer, the script will fail with that error.
    named.or_else(|| Some(paths.checkpoints()).filter(|path| files::is_folder(path).unwrap_or(true)))
}

/// Returns the folder that the file names, or `None` if the file does not exist or names none.
fn named(path: &Path) -> Result<Option<PathBuf>, ConfigError> {
    let Some(value) = KIND.read_optional(path)? else { return Ok(None) };
    Ok(KIND.string(path, &KIND.object(path, value)?, "LocalPath")?.map(PathBuf::from))
}
