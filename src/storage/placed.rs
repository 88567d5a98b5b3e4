//! An object that arrives in a file: several ranges of it at once, each written where it belongs as it comes, so that next to
//! nothing of it is held in memory.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange};

use super::bucket::{Bucket, Connected, runtime};
use super::checksum::{self, Given};
use super::error::{Problem, StorageError, TransferError};

/// How long a range is, and how many arrive at once.
const RANGE: u64 = 8 << 20;
const AT_ONCE: usize = 10;

/// Where an object goes.
pub(super) struct Place<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub file: &'a File,
}

/// Brings an object into a new file; gives its size.
pub(super) fn bring(bucket: &Bucket, key: &str, file: &File, at: &Path) -> Result<u64, TransferError> {
    let runtime = runtime().map_err(TransferError::File)?;
    let place = Place { bucket: bucket.name(), key, file };
    // Only what S3 says can be mended by asking otherwise.
    let brought = bucket.with_region(key, async |client: Connected| match place.all(client).await {
        Ok(found) => Ok(Ok(found)),
        Err(TransferError::File(error)) => Ok(Err(error)),
        Err(TransferError::Storage(error)) => Err(error),
    });
    let (size, given) = runtime.block_on(brought).map_err(TransferError::Storage)?.map_err(TransferError::File)?;
    place.check(given, at, size)?;
    Ok(size)
}

impl Place<'_> {
    /// The object as it is at first: the beginning by the first answer, the rest beside it.
    async fn all(&self, client: Connected) -> Result<(u64, Given), TransferError> {
        let first = client.get(self.key, GetOptions::default()).await.map_err(|error| self.error(&error))?;
        let (size, etag) = (first.meta.size, first.meta.e_tag.clone());
        let given = first.extensions.get::<Given>().cloned().unwrap_or_default();
        let head = self.write(first.into_stream(), 0..RANGE.min(size)).boxed_local();
        let starts = (1..).map(|count| count * RANGE).take_while(|start| *start < size);
        let rest = starts.map(|start| {
            let range = start..(start + RANGE).min(size);
            self.range(&client, etag.clone(), range, start).boxed_local()
        });
        stream::iter([head].into_iter().chain(rest)).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok((size, given))
    }

    /// Brings a range of the object as it was at first to this place in the file.
    pub async fn range(
        &self,
        client: &Connected,
        etag: Option<String>,
        range: Range<u64>,
        at: u64,
    ) -> Result<(), TransferError> {
        let length = range.end - range.start;
        let range = Some(GetRange::Bounded(range));
        let options = GetOptions { if_match: etag, range, ..GetOptions::default() };
        let answer = client.get(self.key, options).await.map_err(|error| self.error(&error))?;
        self.write(answer.into_stream(), at..at + length).await
    }

    /// Writes what arrives into this range of the file. What comes beyond it is not wanted: its connection ends then.
    async fn write(
        &self,
        mut pieces: BoxStream<'static, object_store::Result<Bytes>>,
        range: Range<u64>,
    ) -> Result<(), TransferError> {
        let mut at = range.start;
        while at < range.end
            && let Some(piece) = pieces.next().await
        {
            let mut piece = piece.map_err(|error| self.error(&error))?;
            piece.truncate(usize::try_from(range.end - at).unwrap_or(usize::MAX));
            self.file.write_all_at(&piece, at).map_err(TransferError::File)?;
            at += piece.len() as u64;
        }
        match at == range.end {
            true => Ok(()),
            false => Err(self.damaged(format!("{} of {} bytes of a range", at - range.start, range.end - range.start))),
        }
    }

    /// Compares the file with the checksum that S3 has of the object, if it has one.
    fn check(&self, given: Given, at: &Path, size: u64) -> Result<(), TransferError> {
        let Some(mut check) = given.begin_if_any() else { return Ok(()) };
        let file = File::open(at).map_err(TransferError::File)?;
        checksum::blocks(&file, &(0..size), |block| check.update(block)).map_err(TransferError::File)?;
        check.complaint().map_or(Ok(()), |detail| Err(self.damaged(detail)))
    }

    fn error(&self, error: &object_store::Error) -> TransferError {
        TransferError::Storage(StorageError::of(self.bucket, self.key, error))
    }

    fn damaged(&self, detail: String) -> TransferError {
        TransferError::Storage(StorageError::new(self.bucket, self.key, Problem::Damaged, detail))
    }
}
