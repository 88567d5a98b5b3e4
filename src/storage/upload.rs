//! Uploading files: small ones in one request, large ones in parts. A file is read while it is sent, so that hardly any
//! of it is held in memory.

use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::access::Access;
use super::answers::StoredPart;
use super::bucket_access::BucketAccess;
use super::client::{BucketClient, FilePart};
use super::error::{SettingsError, StorageError, TransferError};

/// The minimum size of a part, in bytes. S3 accepts none below 5 MiB, except for the last.
const PART: u64 = 8 << 20;
/// The maximum number of parts of an object. S3 accepts 10,000.
const MOST_PARTS: u64 = 9_000;

/// Uploads files below a prefix of a bucket. It must be used in a tokio runtime with time and I/O, and connects when it
/// uploads the first file.
#[derive(Debug)]
pub struct Uploader {
    bucket: BucketAccess,
    prefix: String,
    client: Mutex<Option<Arc<BucketClient>>>,
}

impl Uploader {
    /// Creates an uploader for a prefix that neither begins nor ends with a slash.
    pub fn new(access: Access, bucket: &str, prefix: &str) -> Uploader {
        Uploader { bucket: BucketAccess::new(access, bucket), prefix: prefix.to_owned(), client: Mutex::default() }
    }

    /// Returns the size of the parts of an object of `size` bytes, except for the last part. [`Uploader::put`] uploads
    /// an object that is not larger than one part.
    pub fn part_size(size: u64) -> u64 {
        PART.max(size.div_ceil(MOST_PARTS))
    }

    /// Uploads the first `size` bytes of a file in one request.
    ///
    /// # Errors
    /// [`TransferError`], after a bounded number of attempts.
    pub async fn put(&self, name: &str, file: &Arc<File>, size: u64) -> Result<(), TransferError> {
        let part = FilePart::new(file, 0..size)?;
        self.with_region(name, async |client, key| client.put(key, part.clone()).await).await
    }

    /// Begins to upload a file in parts.
    ///
    /// # Errors
    /// [`TransferError`], after a bounded number of attempts.
    pub async fn begin(&self, name: &str) -> Result<MultipartUpload, TransferError> {
        self.with_region(name, async |client, key| {
            let id = client.create_upload(key).await?;
            Ok(MultipartUpload { client: Arc::clone(client), key: key.to_owned(), id })
        })
        .await
    }

    /// Returns the reason why the last attempt of a request failed. `None` if it succeeded, or if there was no request
    /// yet.
    pub fn last_failure(&self) -> Option<String> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.last_failure()
    }

    fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    /// Runs `work` with the client and the key of an object. Runs it once more, with a new client, which is kept, if S3
    /// reports that the bucket is in another region, or if the credentials have expired and can be renewed.
    async fn with_region<T>(
        &self,
        name: &str,
        work: impl AsyncFn(&Arc<BucketClient>, &str) -> Result<T, TransferError>,
    ) -> Result<T, TransferError> {
        let key = self.key(name);
        let settings = |error: SettingsError| StorageError::of_settings(self.bucket.name(), &key, &error).writing();
        let known = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let client = match known {
            Some(client) => client,
            None => self.keep(self.bucket.connect(None).map_err(settings)?),
        };
        let error = match work(&client, &key).await {
            Ok(value) => return Ok(value),
            Err(TransferError::Storage(error)) => error,
            Err(error @ TransferError::File(_)) => return Err(error),
        };
        let Some(region) = self.bucket.region_for_retry(&client, &error) else { return Err(error.into()) };
        let client = self.keep(self.bucket.connect(Some(&region)).map_err(settings)?);
        work(&client, &key).await
    }

    fn keep(&self, client: Arc<BucketClient>) -> Arc<BucketClient> {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&client));
        client
    }
}

/// An upload in parts. The object does not exist before [`MultipartUpload::finish`].
#[derive(Debug)]
pub struct MultipartUpload {
    client: Arc<BucketClient>,
    key: String,
    id: String,
}

/// A part that S3 has stored.
#[derive(Debug)]
pub struct SentPart(StoredPart);

impl MultipartUpload {
    /// Sends a range of a file, in bytes, as the part with this number, which counts from 0. Several parts can be sent at
    /// once.
    ///
    /// # Errors
    /// [`TransferError`]; the upload is then to be aborted.
    pub async fn send(&self, number: usize, file: &Arc<File>, range: Range<u64>) -> Result<SentPart, TransferError> {
        let part = FilePart::new(file, range)?;
        self.client.put_part(&self.key, &self.id, number, part).await.map(SentPart)
    }

    /// Joins the parts, in this order, into the object.
    ///
    /// # Errors
    /// [`TransferError`]; the upload is then to be aborted.
    pub async fn finish(&self, parts: Vec<SentPart>) -> Result<(), TransferError> {
        let parts: Vec<StoredPart> = parts.into_iter().map(|SentPart(part)| part).collect();
        Ok(self.client.complete_upload(&self.key, &self.id, &parts).await?)
    }

    /// Requests S3 to delete the parts. An error is only logged, because the caller cannot do anything about it.
    pub async fn abort(&self) {
        if let Err(error) = self.client.abort_upload(&self.key, &self.id).await {
            tracing::debug!("the parts of an upload are left in S3: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_PARTS, PART, Uploader};

    #[test]
    fn an_object_has_no_more_parts_than_s3_accepts() {
        assert_eq!(Uploader::part_size(0), PART);
        assert_eq!(Uploader::part_size(PART * MOST_PARTS), PART);
        for size in [PART * MOST_PARTS + 1, 5 << 40] {
            assert!(size.div_ceil(Uploader::part_size(size)) <= MOST_PARTS);
        }
    }
}
