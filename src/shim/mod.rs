//! The Python package `sagemaker_training` on top of footplate, for framework containers that import it.
//!
//! The package is pure Python (`python/shim` in the repository). [`write`] puts it into a folder of Python packages,
//! with the metadata of an installed distribution, so that pip treats it as `sagemaker-training` and does not install
//! the original. It also provides the training part of `sagemaker_containers`, unless the original package, which
//! frameworks use for serving, is there.
//!
//! This folder must not know how a job is run. The package starts footplate for that.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

/// The version of the distribution: the release of the original whose interface the package has, and a suffix for
/// footplate.
pub const VERSION: &str = "5.1.4+footplate";

/// The name of the package in Python.
const PACKAGE: &str = "sagemaker_training";

/// The name of the older package. footplate provides its training part.
const CONTAINERS: &str = "sagemaker_containers";

/// The file that distinguishes a package of footplate from the original. It names the program that wrote the package.
const OWN: &str = "_footplate.py";

/// The line of [`OWN`] that names the program.
const WRITTEN_BY: &str = "_WRITTEN_BY = \"\"";

/// A file of the package: its path below the folder of packages, and its content.
type Source = (&'static str, &'static str);

macro_rules! sources {
    ($($path:literal)+) => {
        &[$(($path, include_str!(concat!("../../python/shim/", $path)))),+]
    };
}

const TRAINING: &[Source] = sources! {
    "sagemaker_training/__init__.py"
    "sagemaker_training/_entry_point_type.py"
    "sagemaker_training/_footplate.py"
    "sagemaker_training/cli/__init__.py"
    "sagemaker_training/cli/train.py"
    "sagemaker_training/content_types.py"
    "sagemaker_training/entry_point.py"
    "sagemaker_training/environment.py"
    "sagemaker_training/errors.py"
    "sagemaker_training/files.py"
    "sagemaker_training/functions.py"
    "sagemaker_training/intermediate_output.py"
    "sagemaker_training/logging_config.py"
    "sagemaker_training/mapping.py"
    "sagemaker_training/modules.py"
    "sagemaker_training/params.py"
    "sagemaker_training/process.py"
    "sagemaker_training/runner.py"
    "sagemaker_training/timeout.py"
    "sagemaker_training/trainer.py"
};

const OF_CONTAINERS: &[Source] = sources! {
    "sagemaker_containers/__init__.py"
    "sagemaker_containers/_footplate.py"
    "sagemaker_containers/_training.py"
    "sagemaker_containers/beta/__init__.py"
    "sagemaker_containers/beta/framework/__init__.py"
    "sagemaker_containers/cli/__init__.py"
    "sagemaker_containers/cli/train.py"
    "sagemaker_containers/record_pb2.py"
};

/// A description of what was written.
#[derive(Debug)]
pub struct WrittenShim {
    /// True if `sagemaker_containers` was left alone, because the original is installed.
    pub has_original_containers: bool,
}

/// A reason why the package is not written.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// The folder does not exist.
    #[error(
        "{} is not a folder: give the folder of the image's Python packages, as in --dir \"$(python3 -c 'import sysconfig; \
         print(sysconfig.get_path(\"purelib\"))')\"",
        _0.display()
    )]
    NoFolder(PathBuf),
    /// The original is installed.
    #[error("the original sagemaker-training is in {}: remove it first (pip uninstall --yes sagemaker-training)", _0.display())]
    Original(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}: {error}; give a folder that this user may write to", path.display())]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
}

/// Writes the package into a folder of Python packages. `binary` is the program that the package starts if `footplate`
/// is not on PATH.
///
/// # Errors
/// Any [`ShimError`]. Files that were written before the error remain.
pub fn write(folder: &Path, binary: &Path) -> Result<WrittenShim, ShimError> {
    if !folder.is_dir() {
        return Err(ShimError::NoFolder(folder.to_owned()));
    }
    if is_original(folder, PACKAGE) {
        return Err(ShimError::Original(folder.to_owned()));
    }
    let has_original_containers = is_original(folder, CONTAINERS);
    let of_containers = if has_original_containers { &[] } else { OF_CONTAINERS };
    let info = format!("{PACKAGE}-{VERSION}.dist-info");
    let mut record = String::new();
    for (path, content) in TRAINING.iter().chain(of_containers) {
        let named = format!("_WRITTEN_BY = {:?}", binary.to_string_lossy());
        let content = if path.ends_with(OWN) { content.replace(WRITTEN_BY, &named) } else { (*content).to_owned() };
        put(folder, path, &content, &mut record)?;
    }
    put(folder, &format!("{info}/METADATA"), &metadata(), &mut record)?;
    put(folder, &format!("{info}/INSTALLER"), "footplate\n", &mut record)?;
    let wheel = "Wheel-Version: 1.0\nGenerator: footplate\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    put(folder, &format!("{info}/WHEEL"), wheel, &mut record)?;
    let _ = writeln!(record, "{info}/RECORD,,"); // writing to a string cannot fail
    put(folder, &format!("{info}/RECORD"), &record.clone(), &mut record)?;
    Ok(WrittenShim { has_original_containers })
}

/// Returns true if a folder has a package of this name that is not footplate's.
fn is_original(folder: &Path, package: &str) -> bool {
    folder.join(package).is_dir() && !folder.join(package).join(OWN).exists()
}

/// Writes a file and adds its line to the record of installed files.
fn put(folder: &Path, path: &str, content: &str, record: &mut String) -> Result<(), ShimError> {
    let file = folder.join(path);
    let parent = file.parent().unwrap_or(folder);
    let written = fs::create_dir_all(parent).and_then(|()| fs::write(&file, content));
    written.map_err(|error| ShimError::NotWritten { path: file, error })?;
    let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, content.as_bytes()));
    let _ = writeln!(record, "{path},sha256={hash},{}", content.len());
    Ok(())
}

/// Returns the metadata of the distribution.
fn metadata() -> String {
    format!(
        "Metadata-Version: 2.1\nName: sagemaker-training\nVersion: {VERSION}\n\
         Summary: The training interface of sagemaker-training, on top of footplate {}\nLicense: Apache-2.0\n\
         Requires-Python: >=3.6\n",
        env!("CARGO_PKG_VERSION")
    )
}
