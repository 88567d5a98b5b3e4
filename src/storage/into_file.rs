//! Downloading an object into a file: several ranges at once, each written to its place as it arrives, so that hardly
//! any of the object is held in memory.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use futures_util::stream;
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use super::bucket_access::{BucketAccess, runtime};
use super::checksum::{self, StatedChecksum};
use super::client::BucketClient;
use super::error::{StorageError, TransferError};
use super::object::{self, ObjectBody, ObjectRange};
use super::problem::Problem;

/// The size of the ranges, in bytes.
const RANGE: u64 = 8 << 20;
/// The number of ranges that arrive at once.
const AT_ONCE: usize = 10;

/// Writes ranges of an object to a file.
pub(super) struct FileWriter<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub file: &'a File,
}

/// Downloads an object into a new file, whose path is `path`, and returns its size in bytes.
///
/// # Errors
/// [`TransferError`]; the file may then hold parts of the object.
pub(super) fn download(bucket: &BucketAccess, key: &str, file: &File, path: &Path) -> Result<u64, TransferError> {
    let runtime = runtime().map_err(|error| StorageError::of_settings(bucket.name(), key, &error))?;
    let writer = FileWriter { bucket: bucket.name(), key, file };
    // An error of the file is passed on as a success, because another region or other credentials would not help.
    let downloaded = bucket.with_region(key, async |client| match writer.download(&client).await {
        Ok(found) => Ok(Ok(found)),
        Err(TransferError::File(error)) => Ok(Err(error)),
        Err(TransferError::Storage(error)) => Err(error),
    });
    let (size, checksum) = runtime.block_on(downloaded)?.map_err(TransferError::File)?;
    writer.check(checksum, path, size)?;
    Ok(size)
}

impl FileWriter<'_> {
    /// Downloads the object. The first request is for the whole object, but only the first range of its answer is read.
    async fn download(&self, client: &Arc<BucketClient>) -> Result<(u64, StatedChecksum), TransferError> {
        let first = object::get(client, self.key, None).await?;
        let (size, etag, checksum) = (first.head.size, first.head.etag.clone(), first.head.checksum.clone());
        let first = self.write(first, 0..RANGE.min(size)).boxed_local();
        let starts = (1..).map(|count| count * RANGE).take_while(|start| *start < size);
        let rest = starts.map(|start| {
            let part = ObjectRange { range: start..(start + RANGE).min(size), etag: etag.clone(), size };
            self.download_range(client, part, start).boxed_local()
        });
        stream::iter([first].into_iter().chain(rest)).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok((size, checksum))
    }

    /// Downloads a range of the object to an offset in the file.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn download_range(
        &self,
        client: &Arc<BucketClient>,
        part: ObjectRange,
        offset: u64,
    ) -> Result<(), TransferError> {
        let length = part.range.end - part.range.start;
        let body = object::get(client, self.key, Some(part)).await?;
        self.write(body, offset..offset + length).await
    }

    /// Writes the bytes that arrive to a range of the file. The connection ends when the range is full.
    async fn write(&self, mut body: ObjectBody, range: Range<u64>) -> Result<(), TransferError> {
        let mut offset = range.start;
        while offset < range.end
            && let Some(mut piece) = body.next().await?
        {
            piece.truncate(usize::try_from(range.end - offset).unwrap_or(usize::MAX));
            self.file.write_all_at(&piece, offset).map_err(TransferError::File)?;
            offset += piece.len() as u64;
        }
        if offset < range.end {
            let (arrived, length) = (offset - range.start, range.end - range.start);
            return Err(self.damaged(format!("{arrived} of {length} bytes of a range")));
        }
        Ok(())
    }

    /// Compares the file with the checksum that S3 states for the object, if it states one.
    fn check(&self, checksum: StatedChecksum, path: &Path, size: u64) -> Result<(), TransferError> {
        let Some(mut check) = checksum.begin_if_any() else { return Ok(()) };
        let file = File::open(path).map_err(TransferError::File)?;
        checksum::blocks(&file, &(0..size), |block| check.update(block)).map_err(TransferError::File)?;
        check.complaint().map_or(Ok(()), |detail| Err(self.damaged(detail)))
    }

    fn damaged(&self, detail: String) -> TransferError {
        TransferError::Storage(StorageError::new(self.bucket, self.key, Problem::Damaged, detail))
    }
}
