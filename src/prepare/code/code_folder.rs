//! The code folder, and the only code that writes into it: never outside it.
//!
//! Every name is split and joined again below the folder. A component that is a symbolic link is followed only if it
//! ends inside; a link that leads outside is replaced by a folder. Files are always created anew, never written through
//! an existing entry: an existing link, file or folder of that name is deleted first.
//!
//! This relies on no other process changing the folder meanwhile. None does, because the script has not started yet.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::error::CodeError;
use super::notes::{Notes, shown};

/// A summary of what was written into the code folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// The number of files, without links.
    pub files: u64,
    /// The size of these files together, in bytes.
    pub bytes: u64,
    /// The number of symbolic and hard links.
    pub links: u64,
    /// The number of earlier files, links and folders that were deleted to make room.
    pub replaced: u64,
    /// True if the folder was not empty before.
    pub was_filled: bool,
    /// The entries that were skipped or written differently, and the reasons.
    pub notes: Notes,
}

/// The code folder, open for writing.
pub(super) struct CodeFolder {
    /// The path, without symbolic links.
    root: PathBuf,
    /// The source of the code, which must not be deleted.
    source: Option<PathBuf>,
    /// Hashes of the written paths, to tell them from earlier ones. Empty if the folder was empty before.
    written: HashSet<u64>,
    /// The folder of the last file, as named and as a real path, so that it is not resolved again for every file.
    parent: Option<(PathBuf, PathBuf)>,
    pub report: WriteReport,
}

impl CodeFolder {
    /// Opens the folder, and creates it if it does not exist. Nothing at or above `source` is ever deleted.
    ///
    /// # Errors
    ///
    /// [`CodeError::writing`] or [`CodeError::reading`] for the folder.
    pub fn open(folder: &Path, source: Option<&Path>) -> Result<CodeFolder, CodeError> {
        fs::create_dir_all(folder).map_err(|error| CodeError::writing(folder, error))?;
        let root = folder.canonicalize().map_err(|error| CodeError::writing(folder, error))?;
        let source = source.and_then(|source| source.canonicalize().ok());
        let mut entries = fs::read_dir(&root).map_err(|error| CodeError::reading(&root, error))?;
        // An archive may lie in the folder into which it is unpacked.
        let is_other = |entry: std::io::Result<fs::DirEntry>| entry.is_ok_and(|entry| Some(entry.path()) != source);
        let report = WriteReport { was_filled: entries.any(is_other), ..WriteReport::default() };
        Ok(CodeFolder { root, source, written: HashSet::new(), parent: None, report })
    }

    /// Returns the folder's path, without symbolic links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Creates a folder, or leaves an existing one as it is.
    pub fn folder(&mut self, name: &Path, mode: u32) -> Result<(), CodeError> {
        let at = self.resolved(name)?;
        match at.symlink_metadata() {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(found) if found.is_symlink() && self.real_folder(&at).is_some() => return Ok(()),
            _ => {}
        }
        self.clear(&at)?;
        self.make_folder(&at, mode)
    }

    /// Creates an empty file for writing, in place of any existing entry of that name. Returns it with its real path.
    pub fn file(&mut self, name: &Path, mode: u32) -> Result<(File, PathBuf), CodeError> {
        let at = self.resolved(name)?;
        self.clear(&at)?;
        let failed = |error| CodeError::writing(&at, error);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at).map_err(failed)?;
        // Set again, because the umask removes bits. An error is ignored: not all file systems have permissions.
        let _ = file.set_permissions(Permissions::from_mode(file_mode(mode)));
        self.remember(&at);
        self.report.files += 1;
        Ok((file, at))
    }

    /// Creates a symbolic link, or notes that it would lead out of the folder.
    pub fn symlink(&mut self, name: &Path, target: &[u8]) -> Result<(), CodeError> {
        let at = self.resolved(name)?;
        let Some(inside) = self.target_inside(at.parent().unwrap_or(&self.root), target) else {
            self.note(name, || format!("links to {} outside the code folder: left out", shown(target)));
            return Ok(());
        };
        self.clear(&at)?;
        self.parent = None;
        std::os::unix::fs::symlink(&inside, &at).map_err(|error| CodeError::writing(&at, error))?;
        // The target may pass through a link of the image, which can lead anywhere.
        if at.canonicalize().is_ok_and(|real| !real.starts_with(&self.root)) {
            fs::remove_file(&at).map_err(|error| CodeError::writing(&at, error))?;
            self.note(name, || format!("links to {} outside the code folder: left out", shown(target)));
            return Ok(());
        }
        self.remember(&at);
        self.report.links += 1;
        Ok(())
    }

    /// Creates a hard link to a file in the folder, or copies the file if the file system has no links.
    pub fn hard_link(&mut self, name: &Path, existing: &Path) -> Result<(), CodeError> {
        let from = self.resolved(existing)?;
        if !from.symlink_metadata().is_ok_and(|found| found.is_file()) {
            let existing = existing.as_os_str().as_bytes();
            self.note(name, || format!("is a link to {}, which is not there: left out", shown(existing)));
            return Ok(());
        }
        let at = self.resolved(name)?;
        if at == from {
            return Ok(());
        }
        self.clear(&at)?;
        if let Err(refused) = fs::hard_link(&from, &at) {
            if refused.kind() == ErrorKind::NotFound {
                self.note(name, || "is a link to a file that it replaces itself: left out".to_owned());
                return Ok(());
            }
            fs::copy(&from, &at).map_err(|error| CodeError::writing(&at, error))?;
        }
        self.remember(&at);
        self.report.links += 1;
        Ok(())
    }

    /// Adds a note about one name to the report.
    pub fn note(&mut self, name: &Path, remark: impl FnOnce() -> String) {
        self.report.notes.add(|| format!("{} {}", shown(name.as_os_str().as_bytes()), remark()));
    }

    /// Returns the real path to write `name` at, and creates the missing folders above it.
    fn resolved(&mut self, name: &Path) -> Result<PathBuf, CodeError> {
        let (folder, last) = (name.parent().unwrap_or(Path::new("")), name.file_name().unwrap_or_default());
        if let Some((named, real)) = &self.parent
            && named == folder
        {
            return Ok(real.join(last));
        }
        let mut at = self.root.clone();
        for part in folder.components() {
            let next = at.join(part);
            at = match next.symlink_metadata() {
                Ok(found) if found.is_dir() => next,
                Ok(found) if found.is_symlink() => match self.real_folder(&next) {
                    Some(real) => real,
                    None => self.replace_by_folder(next)?,
                },
                Ok(_) => self.replace_by_folder(next)?,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.make_folder(&next, 0o755)?;
                    next
                }
                Err(error) => return Err(CodeError::writing(&next, error)),
            };
        }
        self.parent = Some((folder.to_owned(), at.clone()));
        Ok(at.join(last))
    }

    /// Returns the real path of the folder that a symbolic link leads to, or `None` if it does not lead to one inside.
    fn real_folder(&self, link: &Path) -> Option<PathBuf> {
        link.canonicalize().ok().filter(|real| real.starts_with(&self.root) && real.is_dir())
    }

    /// Deletes the entry at `at` and creates a folder in its place.
    fn replace_by_folder(&mut self, at: PathBuf) -> Result<PathBuf, CodeError> {
        self.clear(&at)?;
        self.make_folder(&at, 0o755)?;
        Ok(at)
    }

    fn make_folder(&mut self, at: &Path, mode: u32) -> Result<(), CodeError> {
        let failed = |error| CodeError::writing(at, error);
        DirBuilder::new().mode(0o700).create(at).map_err(failed)?;
        // An error is ignored: not all file systems have permissions.
        let _ = fs::set_permissions(at, Permissions::from_mode(0o700 | mode & 0o755));
        self.remember(at);
        Ok(())
    }

    /// Deletes the entry at `at`, if there is one, and counts it if it was there before.
    fn clear(&mut self, at: &Path) -> Result<(), CodeError> {
        let found = match at.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(CodeError::writing(at, error)),
        };
        if let Some(source) = self.source.as_deref().filter(|source| source.starts_with(at)) {
            return Err(CodeError::Overlaps { folder: source.to_owned(), code: at.to_owned() });
        }
        let deleted = if found.is_dir() { fs::remove_dir_all(at) } else { fs::remove_file(at) };
        deleted.map_err(|error| CodeError::writing(at, error))?;
        if !found.is_file() {
            self.parent = None;
        }
        if self.report.was_filled && !self.written.contains(&hash(at)) {
            self.report.replaced += 1;
        }
        Ok(())
    }

    /// Records a written path, so that replacing it later does not count as replacing an earlier file.
    fn remember(&mut self, at: &Path) {
        if self.report.was_filled {
            self.written.insert(hash(at));
        }
    }

    /// Returns the relative target for a link in `folder` (a real path) that leads where `target` says, or `None` if that
    /// is outside.
    ///
    /// The result goes up first and then down. A path that goes down and then up could lead outside once one of its
    /// components became a link: `x -> .` and `y -> x/..`.
    fn target_inside(&self, folder: &Path, target: &[u8]) -> Option<PathBuf> {
        if target.is_empty() || target.contains(&0) {
            return None;
        }
        let target = PathBuf::from(std::ffi::OsString::from_vec(target.to_vec()));
        let here = folder.strip_prefix(&self.root).ok()?;
        let mut depth = here.components().count();
        let mut way = PathBuf::new();
        let relative = if target.is_absolute() {
            let below = target.strip_prefix(&self.root).ok()?;
            (0..depth).for_each(|_| way.push(".."));
            depth = 0;
            below
        } else {
            target.as_path()
        };
        for part in relative.components() {
            match part {
                Component::Normal(part) => way.push(part),
                Component::CurDir => {}
                Component::ParentDir
                    if way.components().next_back().is_some_and(|last| last != Component::ParentDir) =>
                {
                    way.pop();
                }
                Component::ParentDir => {
                    depth = depth.checked_sub(1)?;
                    way.push("..");
                }
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        if way.as_os_str().is_empty() {
            way.push(".");
        }
        Some(way)
    }
}

/// Returns a file's permission bits: those given, at most 0755, and always readable and writable by the owner.
fn file_mode(mode: u32) -> u32 {
    0o600 | mode & 0o755
}

fn hash(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}
