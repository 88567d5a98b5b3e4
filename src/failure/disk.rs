//! Full file systems. They are looked for only after a failure.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

/// The folder of POSIX shared memory, through which data loaders pass their batches.
pub(super) const SHARED_MEMORY: &str = "/dev/shm";

/// A file system to which nothing more can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullDisk {
    /// The path by which the file system was found.
    pub path: PathBuf,
    /// The resource that ran out.
    pub what: Full,
}

/// The resource that ran out on a full file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Space.
    Space {
        /// The space that an ordinary user can still use, in bytes.
        free_bytes: u64,
        /// The size of the file system, in bytes.
        total_bytes: u64,
    },
    /// Inodes: there is space, but no new file can be created.
    Inodes,
}

impl fmt::Display for FullDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Full::Space { free_bytes, total_bytes } => write!(
                f,
                "{} is full ({} free of {})",
                self.path.display(),
                super::text::size(free_bytes),
                super::text::size(total_bytes)
            ),
            Full::Inodes => write!(f, "{} has no inodes left (too many files)", self.path.display()),
        }
    }
}

/// Returns the full file systems among those of `paths` and of `/dev/shm`, each once, by its first path.
///
/// A file system is full if less than 1 MiB or less than 0.1 % is free, whichever is more, or if no inodes are left. Paths that
/// do not exist and file systems that are read-only are skipped.
pub fn full_disks<P: AsRef<Path>>(paths: &[P]) -> Vec<FullDisk> {
    let mut seen = Vec::new();
    let mut full = Vec::new();
    for path in paths.iter().map(AsRef::as_ref).chain([Path::new(SHARED_MEMORY)]) {
        let Ok(found) = statvfs(path) else { continue };
        // Two file systems of one kind may both have the identity 0; their figures seldom agree too.
        let identity = (found.filesystem_id(), found.blocks(), found.blocks_free(), found.files_free());
        if found.flags().contains(FsFlags::ST_RDONLY) || seen.contains(&identity) {
            continue;
        }
        seen.push(identity);
        let block = found.fragment_size();
        let space = (found.blocks_available().saturating_mul(block), found.blocks().saturating_mul(block));
        if let Some(what) = exhausted(space, (found.files_available(), found.files())) {
            full.push(FullDisk { path: path.to_path_buf(), what });
        }
    }
    full
}

/// Returns the resource that ran out, from the free and the total number of bytes and of inodes. A resource with a total of 0 is
/// not counted and never runs out: that of /proc, and the inodes of btrfs.
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
