//! Reader of the space and the inodes of file systems.

use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

/// The folder of POSIX shared memory, through which data loaders pass their batches.
pub const SHARED_MEMORY: &str = "/dev/shm";

/// The state of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// The space that ordinary users may still use, in bytes.
    pub free_bytes: u64,
    /// The size, in bytes. 0 if the file system does not count it, such as /proc.
    pub total_bytes: u64,
    /// The number of inodes that ordinary users may still use.
    pub free_inodes: u64,
    /// The number of inodes. 0 if the file system does not count them, such as btrfs.
    pub inodes: u64,
    /// True if it is mounted read-only.
    pub is_read_only: bool,
    /// The identity of the file system. Some kinds of file systems report 0. Their figures are therefore part of the
    /// identity, because two file systems rarely agree in those too.
    pub identity: (u64, u64, u64, u64),
}

impl FileSystem {
    /// Reads the state of the file system that contains `path`.
    ///
    /// # Errors
    /// The path does not exist, or the file system does not answer.
    pub fn of(path: &Path) -> nix::Result<FileSystem> {
        let found = statvfs(path)?;
        let block = found.fragment_size();
        Ok(FileSystem {
            free_bytes: found.blocks_available().saturating_mul(block),
            total_bytes: found.blocks().saturating_mul(block),
            free_inodes: found.files_available(),
            inodes: found.files(),
            is_read_only: found.flags().contains(FsFlags::ST_RDONLY),
            identity: (found.filesystem_id(), found.blocks(), found.blocks_free(), found.files_free()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::FileSystem;

    #[test]
    fn a_file_system_is_read_and_a_missing_path_is_an_error() {
        let here = FileSystem::of(Path::new("/")).expect("a file system");
        assert!(here.free_bytes <= here.total_bytes && here.total_bytes > 0, "{here:?}");
        assert_eq!(FileSystem::of(Path::new("/proc")).expect("a file system").total_bytes, 0);
        assert_eq!(FileSystem::of(Path::new("/does/not/exist")), Err(nix::errno::Errno::ENOENT));
    }
}
