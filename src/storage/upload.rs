//! Writing objects: small ones in one request, large ones in parts.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path as Place;
use object_store::{ObjectStoreExt, WriteMultipart};

use super::bucket::{Bucket, Connected};
use super::error::{Problem, StorageError};

/// How long a part is at least (S3 takes no less), and how many an object may have (S3 takes 10,000).
const PART: u64 = 5 << 20;
const MOST_PARTS: u64 = 9_000;

/// Writes objects below a prefix of a bucket. To be used in a runtime with time and I/O; nothing is asked before the first
/// object.
#[derive(Debug)]
pub struct Uploads {
    bucket: Bucket,
    prefix: String,
    client: Mutex<Option<Connected>>,
}

impl Uploads {
    /// Below this prefix, which neither begins nor ends with a slash.
    pub fn new(bucket: Bucket, prefix: &str) -> Uploads {
        Uploads { bucket, prefix: prefix.to_owned(), client: Mutex::default() }
    }

    /// How many parts of an object are under way at once.
    pub const PARTS_AT_ONCE: usize = 3;

    /// How long the parts of an object of this size are, but for the last. One that is not longer is written by
    /// [`Uploads::put`].
    pub fn part_size(size: u64) -> u64 {
        PART.max(size.div_ceil(MOST_PARTS))
    }

    /// Writes an object in one request.
    ///
    /// # Errors
    /// [`StorageError`], after a bounded number of attempts.
    pub async fn put(&self, name: &str, content: Bytes) -> Result<(), StorageError> {
        self.with_region(name, async |client, place| client.store.put(place, content.clone().into()).await.map(drop))
            .await
    }

    /// Begins to write an object in parts of this size.
    ///
    /// # Errors
    /// [`StorageError`], after a bounded number of attempts.
    pub async fn begin(&self, name: &str, part_size: u64) -> Result<Parts, StorageError> {
        let begun = self.with_region(name, async |client, place| client.store.put_multipart(place).await).await?;
        let part_size = usize::try_from(part_size).unwrap_or(usize::MAX);
        let upload = WriteMultipart::new_with_chunk_size(begun, part_size);
        Ok(Parts { upload, bucket: self.bucket.name().to_owned(), key: self.key(name) })
    }

    /// The whole key of an object below the prefix.
    pub fn key(&self, name: &str) -> String {
        match self.prefix.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.prefix),
        }
    }

    /// Asks; once more where S3 says that the bucket is in another region, which is kept, or that the credentials have
    /// expired and others can be had.
    async fn with_region<T>(
        &self,
        name: &str,
        work: impl AsyncFn(&Connected, &Place) -> object_store::Result<T>,
    ) -> Result<T, StorageError> {
        let key = self.key(name);
        let bucket = self.bucket.name();
        let settings = |text: String| StorageError::new(bucket, &key, Problem::Settings, text).writing();
        let error = |error: object_store::Error| StorageError::of(bucket, &key, &error).writing();
        let place = Place::parse(name).map_err(|found| settings(found.to_string()))?;
        let known = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let client = match known {
            Some(client) => client,
            None => self.keep(self.bucket.connect_at_first(&self.prefix).map_err(settings)?),
        };
        let found = match work(&client, &place).await {
            Ok(value) => return Ok(value),
            Err(found) => error(found),
        };
        let Some(region) = self.bucket.better_region(&client, &found) else { return Err(found) };
        let client = self.keep(self.bucket.connect_below(&region, &self.prefix).map_err(settings)?);
        work(&client, &place).await.map_err(error)
    }

    fn keep(&self, client: Connected) -> Connected {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
        client
    }
}

/// An object that is written in parts. Nothing of it is there until [`Parts::finish`].
#[derive(Debug)]
pub struct Parts {
    upload: WriteMultipart,
    bucket: String,
    key: String,
}

impl Parts {
    /// Waits until fewer than [`Uploads::PARTS_AT_ONCE`] parts are under way: what is sent next need not be held before.
    ///
    /// # Errors
    /// [`StorageError`] of a part that was sent; then it is to be given up.
    pub async fn wait(&mut self) -> Result<(), StorageError> {
        let free = self.upload.wait_for_capacity(Uploads::PARTS_AT_ONCE).await;
        free.map_err(|error| StorageError::of(&self.bucket, &self.key, &error).writing())
    }

    /// Sends what follows.
    pub fn send(&mut self, content: Bytes) {
        self.upload.put(content);
    }

    /// Makes an object of the parts.
    ///
    /// # Errors
    /// [`StorageError`]; then the parts are taken back.
    pub async fn finish(self) -> Result<(), StorageError> {
        let Parts { upload, bucket, key } = self;
        upload.finish().await.map(drop).map_err(|error| StorageError::of(&bucket, &key, &error).writing())
    }

    /// Takes back what was sent, so that S3 does not keep it.
    pub async fn give_up(self) {
        if let Err(error) = self.upload.abort().await {
            let error = StorageError::of(&self.bucket, &self.key, &error).writing();
            tracing::debug!("the parts are not taken back: {error}");
        }
    }
}
