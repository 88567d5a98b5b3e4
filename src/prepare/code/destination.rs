//! The folder that code is written into, and the one place that writes there: never outside it.
//!
//! Every name is taken apart and put together again below the folder. A part of a path that is a symbolic link is
//! followed only if it ends inside; a link that leads out is replaced by a folder. Files are made anew, never written
//! through what is there: what is in the way is deleted first, be it a link, a file or a folder.
//!
//! This relies on nobody else changing the folder meanwhile, which is so: the script has not been started yet.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::error::CodeError;
use super::notes::{Notes, shown};

/// What was written into the code folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many files, links not among them.
    pub files: u64,
    /// How many bytes these files have together.
    pub bytes: u64,
    /// How many symbolic and hard links.
    pub links: u64,
    /// How many files, links and folders that were there before had to make way.
    pub replaced: u64,
    /// Whether anything was there before.
    pub baked_in: bool,
    /// What was left out or written otherwise, and why.
    pub notes: Notes,
}

/// The folder that code is written into.
pub(super) struct Destination {
    /// Its path, without symbolic links.
    root: PathBuf,
    /// What must not be deleted, because the code comes from there.
    source: Option<PathBuf>,
    /// Hashes of the paths that were written, to tell them from what was there before; empty if nothing was.
    written: HashSet<u64>,
    /// The last file's folder, as named and as it really is, so that it is not looked up for every file.
    parent: Option<(PathBuf, PathBuf)>,
    pub report: Report,
}

impl Destination {
    /// Opens the folder, and makes it if there is none. What is at `source` is never deleted.
    pub fn open(folder: &Path, source: Option<&Path>) -> Result<Destination, CodeError> {
        fs::create_dir_all(folder).map_err(|error| CodeError::writing(folder, error))?;
        let root = folder.canonicalize().map_err(|error| CodeError::writing(folder, error))?;
        let mut entries = fs::read_dir(&root).map_err(|error| CodeError::reading(&root, error))?;
        let report = Report { baked_in: entries.next().is_some(), ..Report::default() };
        let source = source.and_then(|source| source.canonicalize().ok());
        Ok(Destination { root, source, written: HashSet::new(), parent: None, report })
    }

    /// The folder's path, without symbolic links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes a folder, or leaves one that is there.
    pub fn folder(&mut self, name: &Path, mode: u32) -> Result<(), CodeError> {
        let at = self.place(name)?;
        match at.symlink_metadata() {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(found) if found.is_symlink() && self.real_folder(&at).is_some() => return Ok(()),
            _ => {}
        }
        self.clear(&at)?;
        self.make_folder(&at, mode)
    }

    /// Makes an empty file to be written, instead of whatever has its name.
    pub fn file(&mut self, name: &Path, mode: u32) -> Result<(File, PathBuf), CodeError> {
        let at = self.place(name)?;
        self.clear(&at)?;
        let failed = |error| CodeError::writing(&at, error);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at).map_err(failed)?;
        // Set again, because the process's umask takes bits away. Not all file systems have permissions.
        let _ = file.set_permissions(Permissions::from_mode(file_mode(mode)));
        self.remember(&at);
        self.report.files += 1;
        Ok((file, at))
    }

    /// Makes a symbolic link, unless it would lead out of the folder.
    pub fn symlink(&mut self, name: &Path, target: &[u8]) -> Result<(), CodeError> {
        let at = self.place(name)?;
        let Some(inside) = self.target_inside(at.parent().unwrap_or(&self.root), target) else {
            self.note(name, || format!("links to {} outside the code folder: left out", shown(target)));
            return Ok(());
        };
        self.clear(&at)?;
        self.parent = None;
        std::os::unix::fs::symlink(&inside, &at).map_err(|error| CodeError::writing(&at, error))?;
        // A link of the image that was there before may lead on to anywhere.
        if at.canonicalize().is_ok_and(|real| !real.starts_with(&self.root)) {
            fs::remove_file(&at).map_err(|error| CodeError::writing(&at, error))?;
            self.note(name, || format!("links to {} outside the code folder: left out", shown(target)));
            return Ok(());
        }
        self.remember(&at);
        self.report.links += 1;
        Ok(())
    }

    /// Gives a file that was written before a second name.
    pub fn hard_link(&mut self, name: &Path, existing: &Path) -> Result<(), CodeError> {
        let from = self.place(existing)?;
        if !from.symlink_metadata().is_ok_and(|found| found.is_file()) {
            let existing = existing.as_os_str().as_bytes();
            self.note(name, || format!("is a link to {}, which is not there: left out", shown(existing)));
            return Ok(());
        }
        let at = self.place(name)?;
        if at == from {
            return Ok(());
        }
        self.clear(&at)?;
        if let Err(refused) = fs::hard_link(&from, &at) {
            if refused.kind() == ErrorKind::NotFound {
                self.note(name, || "is a link to a file that it replaces itself: left out".to_owned());
                return Ok(());
            }
            fs::copy(&from, &at).map_err(|error| CodeError::writing(&at, error))?; // not every file system has links
        }
        self.remember(&at);
        self.report.links += 1;
        Ok(())
    }

    /// Remarks on one name.
    pub fn note(&mut self, name: &Path, remark: impl FnOnce() -> String) {
        self.report.notes.add(|| format!("{} {}", shown(name.as_os_str().as_bytes()), remark()));
    }

    /// Where `name` is written: in its folder as it really is, which is made if need be.
    fn place(&mut self, name: &Path) -> Result<PathBuf, CodeError> {
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
                    None => self.folder_instead(next)?,
                },
                Ok(_) => self.folder_instead(next)?,
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

    /// The folder inside that a symbolic link ends at, if it does.
    fn real_folder(&self, link: &Path) -> Option<PathBuf> {
        link.canonicalize().ok().filter(|real| real.starts_with(&self.root) && real.is_dir())
    }

    fn folder_instead(&mut self, at: PathBuf) -> Result<PathBuf, CodeError> {
        self.clear(&at)?;
        self.make_folder(&at, 0o755)?;
        Ok(at)
    }

    fn make_folder(&mut self, at: &Path, mode: u32) -> Result<(), CodeError> {
        let failed = |error| CodeError::writing(at, error);
        DirBuilder::new().mode(0o700).create(at).map_err(failed)?;
        let _ = fs::set_permissions(at, Permissions::from_mode(0o700 | mode & 0o755));
        self.remember(at);
        Ok(())
    }

    /// Deletes what is at a path.
    fn clear(&mut self, at: &Path) -> Result<(), CodeError> {
        let found = match at.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(CodeError::writing(at, error)),
        };
        if let Some(source) = self.source.as_deref().filter(|source| source.starts_with(at)) {
            return Err(CodeError::Overlaps { source: source.to_owned(), code: at.to_owned() });
        }
        match found.is_dir() {
            true => fs::remove_dir_all(at),
            false => fs::remove_file(at),
        }
        .map_err(|error| CodeError::writing(at, error))?;
        if !found.is_file() {
            self.parent = None;
        }
        if self.report.baked_in && !self.written.contains(&hash(at)) {
            self.report.replaced += 1;
        }
        Ok(())
    }

    fn remember(&mut self, at: &Path) {
        if self.report.baked_in {
            self.written.insert(hash(at));
        }
    }

    /// What a link in `folder` (a real path) has to hold to lead where `target` says, or `None` if that is outside.
    ///
    /// The way goes up first and down then. A way that goes down and up again could lead out once a link stood in it:
    /// `x -> .` and `y -> x/..`.
    fn target_inside(&self, folder: &Path, target: &[u8]) -> Option<PathBuf> {
        if target.is_empty() || target.contains(&0) {
            return None;
        }
        let target = PathBuf::from(std::ffi::OsString::from_vec(target.to_vec()));
        let here = folder.strip_prefix(&self.root).ok()?;
        let mut depth = here.components().count();
        let mut way = PathBuf::new();
        let relative = match target.is_absolute() {
            true => {
                let below = target.strip_prefix(&self.root).ok()?;
                (0..depth).for_each(|_| way.push(".."));
                depth = 0;
                below
            }
            false => target.as_path(),
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

/// A file's permission bits: as given, but never more than 0755, and always its owner's to read and write.
fn file_mode(mode: u32) -> u32 {
    0o600 | mode & 0o755
}

fn hash(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}
