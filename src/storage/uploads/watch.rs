//! Watching the folder: by inotify, and by scans if inotify is unavailable or has lost events.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

use super::inspection;
use crate::system::kernel::{self, Queue};

/// An event of a file, with its path relative to the folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileEvent {
    /// The file was closed after a write, or was renamed to this path.
    Closed(PathBuf),
    /// The file exists; some process may be writing to it.
    Found(PathBuf),
}

/// A watch on a folder and all folders below it.
#[derive(Debug)]
pub(super) struct FolderWatch {
    root: PathBuf,
    /// The inotify queue; `None` if inotify is unavailable.
    queue: Option<AsyncFd<Queue>>,
    /// The watched folders, with their paths relative to the root.
    folders: HashMap<WatchDescriptor, PathBuf>,
    /// True if events may be lost, so that the folder must be scanned regularly.
    needs_scans: bool,
    /// True once it was logged that the folder was replaced by a link.
    is_replaced: bool,
}

impl FolderWatch {
    /// Starts to watch the folder. Must be called in a runtime. If `use_inotify` is false, the folder is only scanned.
    pub fn begin(root: &Path, use_inotify: bool) -> FolderWatch {
        let queue = match use_inotify.then(kernel::inotify).transpose() {
            Ok(queue) => queue,
            Err(error) => {
                tracing::debug!("{}: inotify is unavailable: {error}", root.display());
                None
            }
        };
        let needs_scans = queue.is_none();
        let (root, folders) = (root.to_owned(), HashMap::new());
        let mut watch = FolderWatch { root, queue, folders, needs_scans, is_replaced: false };
        watch.add(Path::new(""));
        watch
    }

    /// Returns true if the caller must scan the folder regularly.
    pub fn needs_scans(&self) -> bool {
        self.needs_scans
    }

    /// Waits for the next event; forever if inotify is unavailable.
    pub async fn readable(&mut self) {
        match &self.queue {
            None => std::future::pending().await,
            Some(queue) => match queue.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                Err(error) => {
                    self.scan_from_now_on(&error);
                    self.queue = None;
                }
            },
        }
    }

    /// Passes the events that have arrived to `tell`. Does not wait.
    pub fn pending(&mut self, tell: &mut dyn FnMut(FileEvent)) {
        while let Some(queue) = &self.queue {
            match queue.get_ref().inotify().read_events() {
                Ok(events) if events.is_empty() => break,
                Ok(events) => events.into_iter().for_each(|event| self.take(event, tell)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(error) => {
                    self.scan_from_now_on(&error);
                    self.queue = None;
                }
            }
        }
    }

    /// Passes every file in the folder to `tell`.
    pub fn scan(&mut self, tell: &mut dyn FnMut(FileEvent)) {
        self.walk(PathBuf::new(), tell);
    }

    /// Handles an event of inotify.
    fn take(&mut self, event: InotifyEvent, tell: &mut dyn FnMut(FileEvent)) {
        let has = |flag| event.mask.contains(flag);
        if has(AddWatchFlags::IN_Q_OVERFLOW) {
            self.scan_from_now_on(&"the kernel lost events, because its queue was full");
            return;
        }
        if has(AddWatchFlags::IN_IGNORED) {
            // The watched folder is gone. If it is the root, only scans can notice that it is created again.
            let folder = self.folders.remove(&event.wd);
            self.needs_scans |= folder.is_some_and(|folder| folder.as_os_str().is_empty());
            return;
        }
        let (Some(folder), Some(name)) = (self.folders.get(&event.wd), event.name) else { return };
        let path = folder.join(name);
        if has(AddWatchFlags::IN_ISDIR) {
            // Files may be in it already, and a renamed folder needs its new path.
            self.walk(path, tell);
        } else if has(AddWatchFlags::IN_CLOSE_WRITE) || has(AddWatchFlags::IN_MOVED_TO) {
            tell(FileEvent::Closed(path));
        } else if fs::symlink_metadata(self.root.join(&path)).is_ok_and(|found| !found.is_file() || found.nlink() > 1) {
            // A link is never closed, so this is the only event. A new regular file will be closed later.
            tell(FileEvent::Found(path));
        }
    }

    /// Watches a folder and all folders below it, and passes their files to `tell`. Does not follow links.
    fn walk(&mut self, folder: PathBuf, tell: &mut dyn FnMut(FileEvent)) {
        if inspection::is_replaced(&self.root) {
            if !self.is_replaced {
                let root = self.root.display();
                tracing::warn!("intermediate output: {root} was replaced by a link: what it leads to is not uploaded");
            }
            self.is_replaced = true;
            return;
        }
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            self.add(&folder);
            // The folder may have been deleted in the meantime.
            let Ok(entries) = fs::read_dir(self.root.join(&folder)) else { continue };
            for entry in entries.flatten() {
                let path = folder.join(entry.file_name());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else {
                    tell(FileEvent::Found(path));
                }
            }
        }
    }

    /// Watches a folder, but not those below it.
    fn add(&mut self, folder: &Path) {
        let Some(queue) = &self.queue else { return };
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ONLYDIR
            | AddWatchFlags::IN_DONT_FOLLOW;
        // Joining an empty path would append a slash, with which the kernel follows a link.
        let path = if folder.as_os_str().is_empty() { self.root.clone() } else { self.root.join(folder) };
        match queue.get_ref().inotify().add_watch(&path, flags) {
            Ok(watch) => {
                self.folders.insert(watch, folder.to_owned());
            }
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => {}
            Err(error) => self.scan_from_now_on(&error),
        }
    }

    /// Makes the caller scan the folder from now on, for this reason.
    fn scan_from_now_on(&mut self, reason: &dyn std::fmt::Display) {
        if !self.needs_scans {
            self.needs_scans = true;
            tracing::debug!("{}: the folder is scanned from now on: {reason}", self.root.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::{Path, PathBuf};

    use super::{FileEvent, FolderWatch};

    /// Runs a test in a runtime, with an empty folder.
    fn with_folder(test: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async { test(&root) });
    }

    fn pending(watch: &mut FolderWatch) -> Vec<FileEvent> {
        let mut seen = Vec::new();
        watch.pending(&mut |found| seen.push(found));
        seen
    }

    fn scan(watch: &mut FolderWatch) -> Vec<FileEvent> {
        let mut seen = Vec::new();
        watch.scan(&mut |found| seen.push(found));
        seen
    }

    fn closed(path: &str) -> FileEvent {
        FileEvent::Closed(PathBuf::from(path))
    }

    fn found(path: &str) -> FileEvent {
        FileEvent::Found(PathBuf::from(path))
    }

    #[test]
    fn closing_linking_and_renaming_a_file_is_an_event() {
        with_folder(|root| {
            let mut watch = FolderWatch::begin(root, true);
            let mut file = fs::File::create(root.join("a")).expect("made");
            file.write_all(b"x").expect("written");
            assert_eq!(pending(&mut watch), []);
            drop(file);
            assert_eq!(pending(&mut watch), [closed("a")]);
            fs::hard_link(root.join("a"), root.join("b")).expect("linked");
            std::os::unix::fs::symlink("a", root.join("c")).expect("linked");
            assert_eq!(pending(&mut watch), [found("b"), found("c")]);
            fs::rename(root.join("a"), root.join("d")).expect("renamed");
            assert_eq!(pending(&mut watch), [closed("d")]);
            assert!(!watch.needs_scans());
        });
    }

    #[test]
    fn new_and_renamed_folders_are_watched_under_their_present_paths() {
        with_folder(|root| {
            let mut watch = FolderWatch::begin(root, true);
            fs::create_dir_all(root.join("x/y")).expect("made");
            fs::write(root.join("x/y/before"), "").expect("written");
            assert_eq!(pending(&mut watch), [found("x/y/before")]);
            fs::write(root.join("x/y/after"), "").expect("written");
            assert_eq!(pending(&mut watch), [closed("x/y/after")]);
            fs::rename(root.join("x"), root.join("z")).expect("renamed");
            let mut seen = pending(&mut watch);
            seen.sort_by_key(|seen| format!("{seen:?}"));
            assert_eq!(seen, [found("z/y/after"), found("z/y/before")]);
            fs::write(root.join("z/y/later"), "").expect("written");
            assert_eq!(pending(&mut watch), [closed("z/y/later")]);
            assert!(!watch.needs_scans());
        });
    }

    #[test]
    fn scans_are_needed_without_inotify_and_after_the_folder_was_deleted() {
        with_folder(|root| {
            let mut watch = FolderWatch::begin(root, false);
            fs::create_dir(root.join("x")).expect("made");
            fs::write(root.join("x/a"), "").expect("written");
            assert!(pending(&mut watch).is_empty() && watch.needs_scans());
            assert_eq!(scan(&mut watch), [found("x/a")]);
            let below = root.join("x");
            let mut watch = FolderWatch::begin(&below, true);
            fs::remove_dir_all(&below).expect("removed");
            assert!(pending(&mut watch).is_empty() && watch.needs_scans());
            fs::create_dir(&below).expect("made");
            fs::write(below.join("a"), "").expect("written");
            assert_eq!(scan(&mut watch), [found("a")]);
            fs::write(below.join("b"), "").expect("written");
            assert_eq!(pending(&mut watch), [closed("b")], "the new folder is not watched");
        });
    }
}
