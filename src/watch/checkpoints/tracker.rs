//! The comparison of successive scans. A checkpoint counts as written when it has changed and then stays unchanged.

use std::collections::BTreeMap;

use super::folder_scan::{FolderScan, Stamp};
use crate::event::Checkpoint;

/// The known entries of the folder.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    known: BTreeMap<String, Stamp>,
    /// The entries that have changed and may not be complete.
    growing: BTreeMap<String, Stamp>,
}

/// The result of a comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FolderChange {
    /// The checkpoints that were written, the oldest first.
    pub(super) written: Vec<Checkpoint>,
    /// True if any entry has changed.
    pub(super) has_changed: bool,
}

impl Tracker {
    /// Begins with the first look.
    pub(super) fn begin(first: &FolderScan) -> Tracker {
        Tracker { known: first.entries.clone(), growing: BTreeMap::new() }
    }

    /// Compares a scan with the previous one. Nothing is written after the last scan, so all changes are complete
    /// then.
    pub(super) fn take(&mut self, look: FolderScan, is_last: bool) -> FolderChange {
        let mut change = FolderChange::default();
        for (name, stamp) in &look.entries {
            if self.known.get(name) != Some(stamp) {
                change.has_changed = true;
                self.growing.insert(name.clone(), *stamp);
            }
            let is_complete = is_last || self.growing.get(name) == self.known.get(name);
            if is_complete && let Some(Stamp { modified, size }) = self.growing.remove(name) {
                change.written.push(Checkpoint { name: name.clone(), modified, size });
            }
        }
        self.growing.retain(|name, _| look.entries.contains_key(name));
        self.known = look.entries;
        change.written.sort_unstable_by(|one, other| (one.modified, &one.name).cmp(&(other.modified, &other.name)));
        change
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{FolderChange, FolderScan, Stamp, Tracker};

    fn scan(entries: &[(&str, u64, u64)]) -> FolderScan {
        let stamp = |seconds, size| Stamp { modified: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), size };
        let entries = entries.iter().map(|(name, seconds, size)| ((*name).to_owned(), stamp(*seconds, *size)));
        FolderScan { entries: entries.collect(), is_cut: false }
    }

    fn names(change: &FolderChange) -> Vec<&str> {
        change.written.iter().map(|checkpoint| checkpoint.name.as_str()).collect()
    }

    #[test]
    fn a_checkpoint_counts_when_it_stays_as_it_is() {
        let mut tracker = Tracker::begin(&scan(&[("old", 1, 5)]));
        let mut take = |entries: &[(&str, u64, u64)]| {
            let change = tracker.take(scan(entries), false);
            (names(&change).join(" "), change.has_changed)
        };
        assert_eq!(take(&[("old", 1, 5)]), (String::new(), false));
        // The new checkpoint grows, and is complete later. The temporary entry is removed before it is complete.
        assert_eq!(take(&[("old", 1, 5), ("new", 2, 5), ("temporary", 2, 1)]), (String::new(), true));
        assert_eq!(take(&[("old", 1, 5), ("new", 3, 9)]), (String::new(), true));
        assert_eq!(take(&[("old", 1, 5), ("new", 3, 9)]), ("new".to_owned(), false));
        assert_eq!(take(&[("old", 1, 5), ("new", 3, 9)]), (String::new(), false));
        // A checkpoint that is overwritten counts again. One that is removed does not count.
        assert_eq!(take(&[("new", 4, 9)]), (String::new(), true));
        assert_eq!(take(&[("new", 4, 9)]), ("new".to_owned(), false));
    }

    #[test]
    fn after_the_last_look_every_change_is_complete() {
        let mut tracker = Tracker::begin(&scan(&[]));
        tracker.take(scan(&[("b", 2, 1)]), false);
        let change = tracker.take(scan(&[("b", 2, 1), ("c", 1, 1)]), true);
        assert_eq!(names(&change), ["c", "b"]);
        assert_eq!(tracker.take(scan(&[("b", 2, 1), ("c", 1, 1)]), true), FolderChange::default());
    }
}
