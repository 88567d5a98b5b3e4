//! Full file systems. footplate searches for them only after a failure.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::machine::{Bytes, FileSystem, SHARED_MEMORY};

/// A file system to which nothing more can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullDisk {
    /// The path at which the file system was found.
    pub path: PathBuf,
    /// The resource that ran out.
    pub what: Full,
}

/// The resource that ran out on a full file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The space.
    Space {
        /// The space that an ordinary user can still use, in bytes.
        free_bytes: u64,
        /// The size of the file system, in bytes.
        total_bytes: u64,
    },
    /// The inodes: there is space, but no new file can be created.
    Inodes,
}

impl fmt::Display for FullDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Full::Space { free_bytes, total_bytes } => {
                write!(f, "{} is full ({} free of {})", self.path.display(), Bytes(free_bytes), Bytes(total_bytes))
            }
            Full::Inodes => write!(f, "{} has no inodes left (too many files)", self.path.display()),
        }
    }
}

/// Returns the full file systems among those of `paths` and of `/dev/shm`. Each is returned once, with the first of its
/// paths.
///
/// A file system is full if no inodes are left, or if less than 1 MiB or less than 0.1 % is free, whichever is more.
/// Paths that do not exist and read-only file systems are skipped.
pub fn full_disks<P: AsRef<Path>>(paths: &[P]) -> Vec<FullDisk> {
    let mut seen = Vec::new();
    let mut full = Vec::new();
    for path in paths.iter().map(AsRef::as_ref).chain([Path::new(SHARED_MEMORY)]) {
        let Ok(found) = FileSystem::of(path) else { continue };
        if found.is_read_only || seen.contains(&found.identity) {
            continue;
        }
        seen.push(found.identity);
        let space = (found.free_bytes, found.total_bytes);
        if let Some(what) = exhausted(space, (found.free_inodes, found.inodes)) {
            full.push(FullDisk { path: path.to_path_buf(), what });
        }
    }
    full
}

/// Returns the resource that ran out, from the free and the total number of bytes and of inodes. A resource with a
/// total of 0 never runs out, because the file system does not count it. Examples are the space of /proc and the inodes
/// of btrfs.
fn exhausted((free_bytes, total_bytes): (u64, u64), (free_inodes, inodes): (u64, u64)) -> Option<Full> {
    const LEAST: u64 = 1 << 20;
    if total_bytes > 0 && free_bytes < LEAST.max(total_bytes / 1000) {
        return Some(Full::Space { free_bytes, total_bytes });
    }
    (inodes > 0 && free_inodes == 0).then_some(Full::Inodes)
}

#[cfg(test)]
mod tests {
    use super::{Full, FullDisk, exhausted, full_disks};

    #[test]
    fn a_file_system_is_full_below_a_mebibyte_or_a_thousandth() {
        const GIB: u64 = 1 << 30;
        let space = |free_bytes, total_bytes| Some(Full::Space { free_bytes, total_bytes });
        assert_eq!(exhausted((1 << 20, 64 << 20), (5, 9)), None);
        assert_eq!(exhausted(((1 << 20) - 1, 64 << 20), (5, 9)), space((1 << 20) - 1, 64 << 20));
        assert_eq!(exhausted((GIB, 900 * GIB), (5, 9)), None);
        assert_eq!(exhausted((GIB, 1100 * GIB), (5, 9)), space(GIB, 1100 * GIB));
        assert_eq!(exhausted((GIB, 2 * GIB), (0, 9)), Some(Full::Inodes));
        assert_eq!(exhausted((GIB, 2 * GIB), (0, 0)), None, "btrfs counts no inodes");
        assert_eq!(exhausted((0, 0), (0, 0)), None, "/proc counts nothing");
    }

    #[test]
    fn paths_that_do_not_exist_or_cannot_fill_up_are_skipped() {
        assert_eq!(full_disks(&["/proc", "/sys", "/does/not/exist"]), []);
    }

    #[test]
    fn a_full_disk_is_shown_in_words() {
        let full = |what| FullDisk { path: "/opt/ml/model".into(), what }.to_string();
        assert_eq!(
            full(Full::Space { free_bytes: 4096, total_bytes: 30 << 30 }),
            "/opt/ml/model is full (4.0 KiB free of 30.0 GiB)"
        );
        assert_eq!(full(Full::Inodes), "/opt/ml/model has no inodes left (too many files)");
    }
}
