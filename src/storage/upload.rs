//! Writing objects: small ones in one request, large ones in parts; each from a file, of which next to nothing is in memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Place;
use object_store::{MultipartId, ObjectStoreExt, PutPayload};

use super::bucket::{Bucket, Connected};
use super::checksum::Sha256;
use super::error::{Problem, StorageError, TransferError, chain};
use super::http::Unreadable;

/// How long a part is at least (S3 takes none below 5 MiB), and how many an object may have (S3 takes 10,000).
const PART: u64 = 8 << 20;
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

    /// How long the parts of an object of this size are, but for the last. One that is not longer is written by
    /// [`Uploads::put`].
    pub fn part_size(size: u64) -> u64 {
        PART.max(size.div_ceil(MOST_PARTS))
    }

    /// Writes an object in one request: a file as far as this size, in bytes.
    ///
    /// # Errors
    /// [`TransferError`], after a bounded number of attempts.
    pub async fn put(&self, name: &str, file: &Arc<File>, size: u64) -> Result<(), TransferError> {
        let digest = Sha256::of(file, &(0..size)).map_err(TransferError::File)?;
        let put = async |client: &Connected, place: &Place| {
            let put = client.store.put(place, PutPayload::new());
            client.part(file, 0..size, digest).send(put).await.map(drop)
        };
        self.with_region(name, put).await
    }

    /// Begins to write an object in parts.
    ///
    /// # Errors
    /// [`TransferError`], after a bounded number of attempts.
    pub async fn begin(&self, name: &str) -> Result<Parts, TransferError> {
        let (bucket, key) = (self.bucket.name().to_owned(), self.key(name));
        self.with_region(name, async |client, place| {
            let id = client.store.create_multipart(place).await?;
            let (client, place) = (client.clone(), place.clone());
            Ok(Parts { client, place, id, bucket: bucket.clone(), key: key.clone() })
        })
        .await
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
    ) -> Result<T, TransferError> {
        let key = self.key(name);
        let bucket = self.bucket.name();
        let settings =
            |text: String| TransferError::Storage(StorageError::new(bucket, &key, Problem::Settings, text).writing());
        let place = Place::parse(name).map_err(|found| settings(found.to_string()))?;
        let known = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let client = match known {
            Some(client) => client,
            None => self.keep(self.bucket.connect_at_first(&self.prefix).map_err(settings)?),
        };
        let found = match work(&client, &place).await {
            Ok(value) => return Ok(value),
            Err(found) => writing(bucket, &key, &found),
        };
        let TransferError::Storage(error) = &found else { return Err(found) };
        let Some(region) = self.bucket.better_region(&client, error) else { return Err(found) };
        let client = self.keep(self.bucket.connect_below(&region, &self.prefix).map_err(settings)?);
        work(&client, &place).await.map_err(|found| writing(bucket, &key, &found))
    }

    fn keep(&self, client: Connected) -> Connected {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
        client
    }
}

/// An object that is written in parts. Nothing of it is there until [`Parts::finish`].
#[derive(Debug)]
pub struct Parts {
    client: Connected,
    place: Place,
    id: MultipartId,
    bucket: String,
    key: String,
}

/// A part that has arrived.
#[derive(Debug)]
pub struct Sent(PartId);

impl Parts {
    /// Writes a part: the one of this number, from 0, with these bytes of a file. Several can be under way.
    ///
    /// # Errors
    /// [`TransferError`]; then the object is to be given up.
    pub async fn send(&self, number: usize, file: &Arc<File>, range: Range<u64>) -> Result<Sent, TransferError> {
        let digest = Sha256::of(file, &range).map_err(TransferError::File)?;
        let put = self.client.store.put_part(&self.place, &self.id, number, PutPayload::new());
        let sent = self.client.part(file, range, digest).send(put).await;
        sent.map(Sent).map_err(|error| writing(&self.bucket, &self.key, &error))
    }

    /// Makes an object of all parts, in their order.
    ///
    /// # Errors
    /// [`TransferError`]; then it is to be given up.
    pub async fn finish(&self, parts: Vec<Sent>) -> Result<(), TransferError> {
        let parts = parts.into_iter().map(|Sent(part)| part).collect();
        let finished = self.client.store.complete_multipart(&self.place, &self.id, parts).await;
        finished.map(drop).map_err(|error| writing(&self.bucket, &self.key, &error))
    }

    /// Takes back what was sent, so that S3 does not keep it.
    pub async fn give_up(&self) {
        if let Err(error) = self.client.store.abort_multipart(&self.place, &self.id).await {
            let error = StorageError::of(&self.bucket, &self.key, &error).writing();
            tracing::debug!("the parts are not taken back: {error}");
        }
    }
}

/// Why an object was not written.
fn writing(bucket: &str, key: &str, error: &object_store::Error) -> TransferError {
    match chain(error).find_map(|error| error.downcast_ref()) {
        Some(Unreadable(error)) => TransferError::File(io::Error::new(error.kind(), error.to_string())),
        None => TransferError::Storage(StorageError::of(bucket, key, error).writing()),
    }
}
