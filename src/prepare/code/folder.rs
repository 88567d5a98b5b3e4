//! Copying a folder of code, or a single file, into the code folder.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::destination::Destination;
use super::error::CodeError;

/// How deep folders may lie in one another.
const DEPTH: usize = 128;

/// Copies all that is in `source` into the destination. Symbolic links are followed, as `sagemaker-training` does: a
/// mounted folder may consist of nothing else. Those that lead nowhere or around in a circle are left out.
pub(super) fn copy_folder(source: &Path, destination: &mut Destination) -> Result<(), CodeError> {
    let source = source.canonicalize().map_err(|error| CodeError::reading(source, error))?;
    if destination.root().starts_with(&source) {
        return Err(CodeError::Overlaps { source, code: destination.root().to_owned() });
    }
    // A link in the source may lead to the code folder, which would then be copied into itself.
    let code = destination.root().metadata().map_err(|error| CodeError::reading(destination.root(), error))?;
    copy_level(&source, Path::new(""), &mut vec![(code.dev(), code.ino())], destination)
}

/// Copies one file into the destination, under its own name.
pub(super) fn copy_file(source: &Path, name: &Path, destination: &mut Destination) -> Result<(), CodeError> {
    let failed = |error| CodeError::reading(source, error);
    let mut input = File::open(source).map_err(failed)?;
    let mode = input.metadata().map_err(failed)?.permissions().mode();
    let (mut output, at) = destination.file(name, mode)?;
    let count = io::copy(&mut input, &mut output).map_err(|error| {
        let _ = fs::remove_file(&at); // half a file is of no use, and takes space that the failure file may need
        CodeError::writing(&at, error)
    })?;
    destination.report.bytes += count;
    Ok(())
}

fn copy_level(
    folder: &Path,
    below: &Path,
    above: &mut Vec<(u64, u64)>,
    destination: &mut Destination,
) -> Result<(), CodeError> {
    let failed = |error| CodeError::reading(folder, error);
    let found = folder.metadata().map_err(failed)?;
    let identity = (found.dev(), found.ino());
    if above.contains(&identity) || above.len() > DEPTH {
        destination.note(below, || "leads in a circle or too deep: left out".to_owned());
        return Ok(());
    }
    if !below.as_os_str().is_empty() {
        destination.folder(below, found.permissions().mode())?;
    }
    above.push(identity);
    // Listed before anything is written, because what is written may lie within.
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name());
    }
    names.sort();
    for name in names {
        let (from, to) = (folder.join(&name), below.join(&name));
        match from.metadata() {
            Ok(found) if found.is_dir() => copy_level(&from, &to, above, destination)?,
            Ok(found) if found.is_file() => copy_file(&from, &to, destination)?,
            Ok(_) => destination.note(&to, || "is neither a file nor a folder: left out".to_owned()),
            Err(_) if from.is_symlink() => {
                destination.note(&to, || "is a link that leads nowhere: left out".to_owned());
            }
            Err(error) => return Err(CodeError::reading(&from, error)),
        }
    }
    above.pop();
    Ok(())
}
