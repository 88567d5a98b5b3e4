//! Which file systems are full. Asked only after a failure.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::machine::{Bytes, FileSystem, SHARED_MEMORY};

/// A file system that nothing more can be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullDisk {
    /// The path that was asked about, on that file system.
    pub path: PathBuf,
    /// What has run out.
    pub what: Full,
}

/// What has run out on a full file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Space.
    Space {
        /// How much is left to an ordinary user, in bytes.
        free_bytes: u64,
        /// How large the file system is, in bytes.
        total_bytes: u64,
    },
    /// Inodes: there is space, but no new file can be made.
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

/// Those of `paths`, and of `/dev/shm`, that lie on a full file system: each file system once, by the first path on it.
///
/// Full means less than 1 MiB or less than 0.1 % free, whichever is more, or no inodes. Paths that are not there and
/// file systems that are read-only are passed over.
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
        if let Some(what) = judge(space, (found.free_inodes, found.inodes)) {
            full.push(FullDisk { path: path.to_path_buf(), what });
        }
    }
    full
}

/// What has run out, given what is left and what there is, of bytes and of inodes. A file system that counts neither
/// (total 0: /proc, or the inodes of btrfs) is never full.
fn judge((free_bytes, total_bytes): (u64, u64), (free_inodes, inodes): (u64, u64)) -> Option<Full> {
    const LEAST: u64 = 1 << 20;
    if total_bytes > 0 && free_bytes < LEAST.max(total_bytes / 1000) {
        return Some(Full::Space { free_bytes, total_bytes });
    }
    (inodes > 0 && free_inodes == 0).then_some(Full::Inodes)
}

#[cfg(test)]
mod tests {
    use super::{Full, FullDisk, full_disks, judge};

    #[test]
    fn full_is_less_than_a_mebibyte_or_a_thousandth() {
        const GIB: u64 = 1 << 30;
        let space = |free_bytes, total_bytes| Some(Full::Space { free_bytes, total_bytes });
        assert_eq!(judge((1 << 20, 64 << 20), (5, 9)), None);
        assert_eq!(judge(((1 << 20) - 1, 64 << 20), (5, 9)), space((1 << 20) - 1, 64 << 20));
        assert_eq!(judge((GIB, 900 * GIB), (5, 9)), None);
        assert_eq!(judge((GIB, 1100 * GIB), (5, 9)), space(GIB, 1100 * GIB));
        assert_eq!(judge((GIB, 2 * GIB), (0, 9)), Some(Full::Inodes));
        assert_eq!(judge((GIB, 2 * GIB), (0, 0)), None, "btrfs counts no inodes");
        assert_eq!(judge((0, 0), (0, 0)), None, "/proc counts nothing");
    }

    #[test]
    fn what_is_not_there_or_cannot_fill_up_is_passed_over() {
        assert_eq!(full_disks(&["/proc", "/sys", "/does/not/exist"]), []);
    }

    #[test]
    fn a_full_disk_reads_as_words() {
        let full = |what| FullDisk { path: "/opt/ml/model".into(), what }.to_string();
        assert_eq!(
            full(Full::Space { free_bytes: 4096, total_bytes: 30 << 30 }),
            "/opt/ml/model is full (4.0 KiB free of 30.0 GiB)"
        );
        assert_eq!(full(Full::Inodes), "/opt/ml/model has no inodes left (too many files)");
    }
}
