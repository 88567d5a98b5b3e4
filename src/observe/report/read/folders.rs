//! The folders of records that the command line names.

use std::fs;
use std::path::{Path, PathBuf};

/// The name of a record.
pub(super) const RECORD: &str = "run.json";

/// The maximum number of entries of a folder that are inspected.
const MOST_ENTRIES: usize = 50_000;

/// The maximum number of hosts that are read.
const MOST_HOSTS: usize = 20_000;

/// The places of records below a folder that users may name instead of `output/data/footplate`: the unpacked output,
/// the output folder, and the base folder.
const BELOW: [&str; 4] = ["footplate", "data/footplate", "output/data/footplate", "output/footplate"];

/// Returns the folders of the hosts whose records are in a folder: the folder itself, or folders in it. Empty if
/// there are none.
pub(super) fn hosts(folder: &Path) -> Vec<PathBuf> {
    let places = std::iter::once(folder.to_owned()).chain(BELOW.iter().map(|below| folder.join(below)));
    places.map(|place| hosts_in(&place)).find(|hosts| !hosts.is_empty()).unwrap_or_default()
}

fn hosts_in(folder: &Path) -> Vec<PathBuf> {
    let has_record = |folder: &Path| fs::symlink_metadata(folder.join(RECORD)).is_ok();
    if has_record(folder) {
        return vec![folder.to_owned()];
    }
    let entries = fs::read_dir(folder).into_iter().flatten().take(MOST_ENTRIES).flatten();
    let mut hosts: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.is_dir() && has_record(path)).take(MOST_HOSTS).collect();
    hosts.sort_unstable();
    hosts
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::hosts;

    #[test]
    fn records_are_found_from_every_folder_that_people_name() {
        let base = tempfile::tempdir().expect("a folder");
        let footplate = base.path().join("output/data/footplate");
        for host in ["algo-1", "algo-2"] {
            fs::create_dir_all(footplate.join(host)).expect("made");
            fs::write(footplate.join(host).join("run.json"), "{}").expect("written");
        }
        fs::create_dir(footplate.join("empty")).expect("made");
        let both = [footplate.join("algo-1"), footplate.join("algo-2")];
        for place in ["", "output", "output/data", "output/data/footplate"] {
            assert_eq!(hosts(&base.path().join(place)), both, "{place}");
        }
        assert_eq!(hosts(&both[1]), both[1..]);
        for place in ["output/data/footplate/empty", "nothing"] {
            assert!(hosts(&base.path().join(place)).is_empty(), "{place}");
        }
    }
}
