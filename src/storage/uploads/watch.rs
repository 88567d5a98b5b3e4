//! Hearing of files: from the kernel's inotify, and by scanning the folder where that is not to be had or has missed some.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

use crate::kernel::{self, Queue};

/// What was heard of a file, with its path below the folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was closed after it was written to, or has got this name.
    Closed(PathBuf),
    /// It is there; it may be written to just now.
    Found(PathBuf),
}

/// Watches a folder and all below it.
#[derive(Debug)]
pub(super) struct Watch {
    root: PathBuf,
    queue: Option<AsyncFd<Queue>>,
    /// The watched folders, by their paths below the root.
    folders: HashMap<WatchDescriptor, PathBuf>,
    /// Whether something may be missed, so that the folder must be scanned from time to time.
    needs_scans: bool,
}

impl Watch {
    /// Begins to watch what is in the folder from now on; to be called in a runtime. `uses_kernel`: by inotify.
    pub fn begin(root: &Path, uses_kernel: bool) -> Watch {
        let queue = match uses_kernel.then(kernel::inotify).transpose() {
            Ok(queue) => queue,
            Err(error) => {
                tracing::debug!("{}: inotify is not to be had: {error}", root.display());
                None
            }
        };
        let needs_scans = queue.is_none();
        let mut watch = Watch { root: root.to_owned(), queue, folders: HashMap::new(), needs_scans };
        watch.add(Path::new(""));
        watch
    }

    /// Whether the folder must be scanned from time to time.
    pub fn needs_scans(&self) -> bool {
        self.needs_scans
    }

    /// Waits until something is to be heard; without inotify for ever.
    pub async fn is_heard(&mut self) {
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

    /// Tells what is to be heard without waiting.
    pub fn pending(&mut self, tell: &mut dyn FnMut(Seen)) {
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

    /// Tells all that is in the folder.
    pub fn scan(&mut self, tell: &mut dyn FnMut(Seen)) {
        self.walk(PathBuf::new(), tell);
    }

    fn take(&mut self, event: InotifyEvent, tell: &mut dyn FnMut(Seen)) {
        let has = |flag| event.mask.contains(flag);
        if has(AddWatchFlags::IN_Q_OVERFLOW) {
            self.scan_from_now_on(&"more files were written at once than the kernel keeps account of");
            return;
        }
        if has(AddWatchFlags::IN_IGNORED) {
            // The watched folder is gone. Another may take its place.
            let folder = self.folders.remove(&event.wd);
            self.needs_scans |= folder.is_some_and(|folder| folder.as_os_str().is_empty());
            return;
        }
        let (Some(folder), Some(name)) = (self.folders.get(&event.wd), event.name) else { return };
        let path = folder.join(name);
        if has(AddWatchFlags::IN_ISDIR) {
            // Something may be in it already, and a folder that was renamed has a new path.
            self.walk(path, tell);
        } else if has(AddWatchFlags::IN_CLOSE_WRITE) || has(AddWatchFlags::IN_MOVED_TO) {
            tell(Seen::Closed(path));
        } else if fs::symlink_metadata(self.root.join(&path)).is_ok_and(|found| !found.is_file() || found.nlink() > 1) {
            // A link, which nobody closes. A new file is closed in its time.
            tell(Seen::Found(path));
        }
    }

    /// Watches a folder and all below it; what is in them is found. Links are not followed.
    fn walk(&mut self, folder: PathBuf, tell: &mut dyn FnMut(Seen)) {
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            self.add(&folder);
            // It may be gone again.
            let Ok(entries) = fs::read_dir(self.root.join(&folder)) else { continue };
            for entry in entries.flatten() {
                let path = folder.join(entry.file_name());
                match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    true => folders.push(path),
                    false => tell(Seen::Found(path)),
                }
            }
        }
    }

    fn add(&mut self, folder: &Path) {
        let Some(queue) = &self.queue else { return };
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ONLYDIR
            | AddWatchFlags::IN_DONT_FOLLOW;
        // `join` of nothing would end with a slash, and follow a link.
        let path = if folder.as_os_str().is_empty() { self.root.clone() } else { self.root.join(folder) };
        match queue.get_ref().inotify().add_watch(&path, flags) {
            Ok(watch) => {
                self.folders.insert(watch, folder.to_owned());
            }
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => {}
            Err(error) => self.scan_from_now_on(&error),
        }
    }

    fn scan_from_now_on(&mut self, why: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.needs_scans, true) {
            tracing::debug!("{}: is scanned from now on: {why}", self.root.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::{Path, PathBuf};

    use super::{Seen, Watch};

    /// Runs a test in a runtime, with an empty folder.
    fn with_folder(test: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async { test(&root) });
    }

    fn pending(watch: &mut Watch) -> Vec<Seen> {
        let mut seen = Vec::new();
        watch.pending(&mut |found| seen.push(found));
        seen
    }

    fn scan(watch: &mut Watch) -> Vec<Seen> {
        let mut seen = Vec::new();
        watch.scan(&mut |found| seen.push(found));
        seen
    }

    fn closed(path: &str) -> Seen {
        Seen::Closed(PathBuf::from(path))
    }

    fn found(path: &str) -> Seen {
        Seen::Found(PathBuf::from(path))
    }

    #[test]
    fn files_are_heard_of_when_they_are_closed_linked_and_renamed() {
        with_folder(|root| {
            let mut watch = Watch::begin(root, true);
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
    fn new_and_renamed_folders_are_watched_under_their_names() {
        with_folder(|root| {
            let mut watch = Watch::begin(root, true);
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
    fn without_inotify_and_without_the_folder_it_scans() {
        with_folder(|root| {
            let mut watch = Watch::begin(root, false);
            fs::create_dir(root.join("x")).expect("made");
            fs::write(root.join("x/a"), "").expect("written");
            assert!(pending(&mut watch).is_empty() && watch.needs_scans());
            assert_eq!(scan(&mut watch), [found("x/a")]);
            let below = root.join("x");
            let mut watch = Watch::begin(&below, true);
            fs::remove_dir_all(&below).expect("removed");
            assert!(pending(&mut watch).is_empty() && watch.needs_scans());
            fs::create_dir(&below).expect("made");
            fs::write(below.join("a"), "").expect("written");
            assert_eq!(scan(&mut watch), [found("a")]);
            fs::write(below.join("b"), "").expect("written");
            assert_eq!(pending(&mut watch), [closed("b")], "it is watched again");
        });
    }
}
