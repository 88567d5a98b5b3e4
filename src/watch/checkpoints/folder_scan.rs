//! Scanning a folder of checkpoints within limits, because it may hold any number of files and be on a slow file
//! system.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The maximum number of entries that are inspected in the folder, and of files that are inspected in all folders
/// below it.
const MAX_ENTRIES: usize = 1000;
const MAX_FILES: usize = 10_000;

/// The maximum depth of folders below an entry.
const MAX_DEPTH: usize = 4;

/// The name endings with which the platform marks files that it uploads (platform contract, section 4).
const MARKS: [&str; 2] = [".sagemaker-uploading", ".sagemaker-uploaded"];

/// The state of an entry, which changes if the entry is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The time of the last change in the entry.
    pub(super) modified: SystemTime,
    /// The total size of the entry's files, in bytes.
    pub(super) size: u64,
}

/// The content of the folder, as a scan found it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FolderScan {
    /// The entries by name.
    pub(super) entries: BTreeMap<String, Stamp>,
    /// True if the folder has more entries than were inspected.
    pub(super) is_cut: bool,
}

impl FolderScan {
    /// Returns the newest entry.
    pub(super) fn newest(&self) -> Option<(&String, &Stamp)> {
        self.entries.iter().max_by_key(|(_, stamp)| stamp.modified)
    }
}

/// Scans the folder. Links, special files, hidden files and the platform's marks are left out.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn scan(folder: &Path) -> io::Result<FolderScan> {
    let mut look = FolderScan::default();
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || MARKS.iter().any(|mark| name.ends_with(mark)) {
            continue;
        }
        if look.entries.len() == MAX_ENTRIES {
            look.is_cut = true;
            break;
        }
        // This does not follow links.
        let Ok(found) = entry.metadata() else { continue };
        if found.is_dir() {
            folders.push((name.clone(), entry.path()));
        } else if !found.is_file() {
            continue;
        }
        look.entries.insert(name, stamp(&found));
    }
    // The newest folders come first, in case not all can be inspected.
    let modified = |name: &String| look.entries.get(name).map(|stamp| stamp.modified);
    folders.sort_unstable_by(|(one, _), (other, _)| (modified(other), one).cmp(&(modified(one), other)));
    let mut left = MAX_FILES;
    for (name, path) in folders {
        if let Some(stamp) = look.entries.get_mut(&name) {
            add_below(&path, stamp, &mut left);
        }
    }
    Ok(look)
}

fn stamp(found: &Metadata) -> Stamp {
    let size = if found.is_file() { found.len() } else { 0 };
    Stamp { modified: found.modified().unwrap_or(SystemTime::UNIX_EPOCH), size }
}

/// Adds the files below a folder to its stamp, until the maximum number of files was inspected.
fn add_below(folder: &Path, stamp_of_folder: &mut Stamp, left: &mut usize) {
    let mut waiting: Vec<(PathBuf, usize)> = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let Some(rest) = left.checked_sub(1) else { return };
            *left = rest;
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() && depth < MAX_DEPTH {
                waiting.push((entry.path(), depth + 1));
            }
            if found.is_dir() || found.is_file() {
                let inner = stamp(&found);
                stamp_of_folder.modified = stamp_of_folder.modified.max(inner.modified);
                stamp_of_folder.size += inner.size;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::time::{Duration, SystemTime};

    use super::{MAX_ENTRIES, scan};

    #[test]
    fn an_entry_has_the_size_and_the_newest_time_of_its_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let inner = folder.path().join("checkpoint-5/rank0");
        fs::create_dir_all(&inner).expect("made");
        for (name, seconds) in
            [("checkpoint-5/rank0/model", 4_000_000_000), ("a.pt", 100), ("b.pt.sagemaker-uploaded", 300), (".x", 1)]
        {
            let path = folder.path().join(name);
            fs::write(&path, name).expect("written");
            File::options().write(true).open(path).expect("opened").set_modified(at(seconds)).expect("a time");
        }
        symlink("/", folder.path().join("latest")).expect("linked");
        nix::unistd::mkfifo(&folder.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("made");
        let look = scan(folder.path()).expect("read");
        let names: Vec<&str> = look.entries.keys().map(String::as_str).collect();
        assert_eq!(names, ["a.pt", "checkpoint-5"]);
        let (name, stamp) = look.newest().expect("one");
        assert_eq!((name.as_str(), stamp.modified, stamp.size), ("checkpoint-5", at(4_000_000_000), 24));
        assert!(!look.is_cut);
    }

    #[test]
    fn a_folder_with_very_many_entries_is_read_in_part() {
        let folder = tempfile::tempdir().expect("a folder");
        (0..MAX_ENTRIES + 5).for_each(|number| fs::write(folder.path().join(number.to_string()), "").expect("written"));
        let look = scan(folder.path()).expect("read");
        assert!(look.is_cut && look.entries.len() == MAX_ENTRIES);
    }
}
