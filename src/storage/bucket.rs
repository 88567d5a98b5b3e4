//! A bucket: listing and reading its objects.

use std::fs::File;
use std::path::Path;

use super::access::Access;
use super::bucket_access::{BucketAccess, runtime};
use super::download::{self, Download, PendingDownload, SmallObjects};
use super::error::{StorageError, TransferError};
use super::into_file;

/// A bucket. Its functions block the calling thread. Separate threads handle the network.
#[derive(Clone, Debug)]
pub struct Bucket(BucketAccess);

/// An object below a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// The key, including the prefix.
    pub key: String,
    /// The size in bytes.
    pub size: u64,
}

impl Bucket {
    /// The maximum size, in bytes, of an object for [`Bucket::read_small`], which holds objects in memory.
    pub const SMALL: u64 = download::SMALL;

    /// The maximum size, in bytes, of an object that arrives in one answer. Larger objects are fetched in several
    /// ranges at once.
    pub const IN_ONE: u64 = download::LARGE;

    /// Creates a handle to the bucket of this name. No request is sent yet.
    pub fn new(access: Access, name: &str) -> Bucket {
        Bucket(BucketAccess::new(access, name))
    }

    /// Returns the name of the bucket.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Requests an object and waits until the answer begins. The rest arrives on another thread, up to 64 MiB ahead of
    /// the reader. Until it is read, it is kept in an unnamed file in the folder `spool_folder`.
    ///
    /// # Errors
    /// [`StorageError`], after a bounded number of attempts.
    pub fn read(&self, key: &str, spool_folder: &Path) -> Result<Download, StorageError> {
        self.request(key, spool_folder)?.wait()
    }

    /// Requests an object as [`Bucket::read`] does, without waiting, so that several can be requested at once.
    ///
    /// # Errors
    /// [`StorageError`] if no thread can be started.
    pub fn request(&self, key: &str, spool_folder: &Path) -> Result<PendingDownload, StorageError> {
        download::begin(self.0.clone(), key, spool_folder)
    }

    /// Downloads an object into a new, empty file, whose path is `path`, and returns the object's size in bytes. Ranges
    /// are written in any order.
    ///
    /// # Errors
    /// [`TransferError`]; the file may then hold parts of the object.
    pub fn download_into(&self, key: &str, file: &File, path: &Path) -> Result<u64, TransferError> {
        into_file::download(&self.0, key, file, path)
    }

    /// Requests many small objects, several at once.
    ///
    /// # Errors
    /// [`StorageError`] if no thread can be started. The iterator returns other errors.
    pub fn read_small(&self, keys: Vec<String>) -> Result<SmallObjects, StorageError> {
        download::read_small(self.0.clone(), keys)
    }

    /// Returns all objects below a prefix, which ends with a slash or is empty.
    ///
    /// # Errors
    /// [`StorageError`], after a bounded number of attempts.
    pub fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, StorageError> {
        let runtime = runtime().map_err(|error| StorageError::of_settings(self.name(), prefix, &error))?;
        let found = runtime.block_on(self.0.with_region(prefix, async |client| client.list(prefix).await))?;
        Ok(found.into_iter().map(|found| ListedObject { key: found.key, size: found.size }).collect())
    }
}
