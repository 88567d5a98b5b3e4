//! An object that arrives while it is read: the beginning in one answer, the rest of a large one in several ranges at once.

use std::io::{self, Read};
use std::thread;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, GetRange, GetResult};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::bucket::{Bucket, Connected, runtime};
use super::checksum::{Check, Given};
use super::error::{Problem, StorageError};

/// How long a range is, and how many arrive at once. Together they are what a download takes of memory.
const RANGE: u64 = 2 << 20;
const AT_ONCE: usize = 4;
/// How many more are asked for ahead of their turn, so that the time until they begin is over by then. What has arrived of
/// them waits in the kernel.
const AHEAD: usize = 12;
/// From this size on ranges are asked for: below it, the answer to the first request brings all.
pub(super) const LARGE: u64 = 2 * RANGE;
/// How many small objects are under way.
const FILES_AT_ONCE: usize = 16;
/// How many pieces, or small objects, wait to be read.
const WAITING: usize = 4;

/// An object that arrives. Reading gives an error that holds a [`StorageError`] where it does not arrive whole.
#[derive(Debug)]
pub struct Download {
    size: u64,
    taken: u64,
    current: Bytes,
    pieces: Receiver<Result<Bytes, StorageError>>,
    bucket: String,
    key: String,
}

/// An object that was asked for.
#[derive(Debug)]
pub struct Asked {
    announced: std::sync::mpsc::Receiver<Result<u64, StorageError>>,
    download: Download,
}

impl Asked {
    /// Waits for the answer's beginning, and no longer.
    ///
    /// # Errors
    /// [`StorageError`], after a bounded number of attempts.
    pub fn answered(self) -> Result<Download, StorageError> {
        let Download { bucket, key, .. } = &self.download;
        let broken = || Err(StorageError::new(bucket, key, Problem::Settings, "its thread ended".to_owned()));
        let size = self.announced.recv().unwrap_or_else(|_| broken())?;
        Ok(Download { size, ..self.download })
    }
}

/// Starts the thread that downloads.
pub(super) fn begin(bucket: Bucket, key: &str) -> Result<Asked, StorageError> {
    let (sender, pieces) = channel(WAITING);
    let (announce, announced) = std::sync::mpsc::channel();
    let (name, key) = (bucket.name().to_owned(), key.to_owned());
    let broken = |text: String| StorageError::new(&name, &key, Problem::Settings, text);
    let runtime = runtime().map_err(|error| broken(error.to_string()))?;
    let of_thread = key.clone();
    let work = move || runtime.block_on(serve(&bucket, &of_thread, &announce, sender));
    thread::Builder::new().name("download".to_owned()).spawn(work).map_err(|error| broken(error.to_string()))?;
    Ok(Asked { announced, download: Download { size: 0, taken: 0, current: Bytes::new(), pieces, bucket: name, key } })
}

impl Download {
    /// How many bytes the object has.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        match self.pieces.blocking_recv() {
            Some(piece) => piece.map(Some),
            None if self.taken == self.size => Ok(None),
            None => {
                let detail = format!("{} of {} bytes", self.taken, self.size);
                Err(StorageError::new(&self.bucket, &self.key, Problem::Damaged, detail))
            }
        }
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.current.is_empty() {
            match self.next().map_err(io::Error::other)? {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        self.taken += count as u64;
        Ok(count)
    }
}

/// Asks for the object, announces its size, and sends it in pieces.
async fn serve(
    bucket: &Bucket,
    key: &str,
    announce: &std::sync::mpsc::Sender<Result<u64, StorageError>>,
    sender: Sender<Result<Bytes, StorageError>>,
) {
    let error = |error: &object_store::Error| StorageError::of(bucket.name(), key, error);
    let begun = bucket
        .with_region(key, async |client: Connected| {
            let result = client.get(key, GetOptions::default()).await.map_err(|found| error(&found))?;
            Ok((client, result))
        })
        .await;
    let (client, first) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            let _ = announce.send(Err(error));
            return;
        }
    };
    let size = first.meta.size;
    if announce.send(Ok(size)).is_err() {
        return;
    }
    let check = first.extensions.get::<Given>().cloned().unwrap_or_default().begin();
    let transfer = Transfer { client, bucket: bucket.name(), key, sender: &sender, check };
    if let Err(error) = transfer.all(first).await {
        // Where nobody reads any more, nobody is told.
        let _ = sender.send(Err(error)).await;
    }
}

struct Transfer<'a> {
    client: Connected,
    bucket: &'a str,
    key: &'a str,
    sender: &'a Sender<Result<Bytes, StorageError>>,
    check: Check,
}

impl Transfer<'_> {
    async fn all(mut self, first: GetResult) -> Result<(), StorageError> {
        let (size, etag) = (first.meta.size, first.meta.e_tag.clone());
        let whole_in_one = size <= LARGE;
        let head = if whole_in_one { size } else { RANGE };
        let mut arrived = 0;
        let mut stream = first.into_stream();
        while arrived < head {
            let Some(piece) = stream.next().await else { break };
            let mut piece = piece.map_err(|error| self.error(&error))?;
            piece.truncate(usize::try_from(head - arrived).unwrap_or(usize::MAX));
            arrived += piece.len() as u64;
            if !self.send(piece).await {
                return Ok(());
            }
        }
        if whole_in_one {
            // More than was announced would be another object.
            if arrived != size || stream.try_next().await.ok().flatten().is_some_and(|more| !more.is_empty()) {
                return Err(self.damaged(format!("{arrived} of {size} bytes")));
            }
            return self.finish();
        }
        // The rest of the first answer is not wanted: its connection ends here.
        drop(stream);
        let (client, key, bucket) = (self.client.clone(), self.key, self.bucket);
        let starts = (0..).map(|count| RANGE + count * RANGE).take_while(|&start| start < size);
        let asked = starts.map(|start| {
            let range = start..(start + RANGE).min(size);
            let (client, if_match, length) = (client.clone(), etag.clone(), range.end - range.start);
            let options = GetOptions { if_match, range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
            async move { (client.get(key, options).await, length) }
        });
        let asked = stream::iter(asked).buffered(AHEAD);
        let mut ranges = asked.map(|(asked, length)| range(bucket, key, asked, length)).buffered(AT_ONCE);
        while let Some(pieces) = ranges.next().await {
            for piece in pieces? {
                if !self.send(piece).await {
                    return Ok(());
                }
            }
        }
        self.finish()
    }

    /// Passes a piece on; false where nobody reads any more.
    async fn send(&mut self, piece: Bytes) -> bool {
        self.check.update(&piece);
        self.sender.send(Ok(piece)).await.is_ok()
    }

    fn finish(self) -> Result<(), StorageError> {
        let (bucket, key) = (self.bucket, self.key);
        match self.check.complaint() {
            None => Ok(()),
            Some(detail) => Err(StorageError::new(bucket, key, Problem::Damaged, detail)),
        }
    }

    fn error(&self, error: &object_store::Error) -> StorageError {
        StorageError::of(self.bucket, self.key, error)
    }

    fn damaged(&self, detail: String) -> StorageError {
        StorageError::new(self.bucket, self.key, Problem::Damaged, detail)
    }
}

/// What was asked for of the object as it was at first, in pieces of this length together.
async fn range(
    bucket: &str,
    key: &str,
    asked: object_store::Result<GetResult>,
    length: u64,
) -> Result<Vec<Bytes>, StorageError> {
    let error = |error: object_store::Error| StorageError::of(bucket, key, &error);
    let pieces: Vec<Bytes> = asked.map_err(error)?.into_stream().try_collect().await.map_err(error)?;
    let arrived: usize = pieces.iter().map(Bytes::len).sum();
    match arrived as u64 == length {
        true => Ok(pieces),
        false => {
            let detail = format!("{arrived} of {length} bytes of a range");
            Err(StorageError::new(bucket, key, Problem::Damaged, detail))
        }
    }
}

/// Objects that arrive whole, in any order: the index of each key, and its content in pieces. It ends after the first
/// error.
#[derive(Debug)]
pub struct Fetched(Receiver<Result<(usize, Vec<Bytes>), StorageError>>);

impl Iterator for Fetched {
    type Item = Result<(usize, Vec<Bytes>), StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.blocking_recv()
    }
}

/// Starts the thread that fetches small objects.
pub(super) fn fetch(bucket: Bucket, keys: Vec<String>) -> Result<Fetched, StorageError> {
    let (sender, receiver) = channel(WAITING);
    let name = bucket.name().to_owned();
    let broken = |error: io::Error| StorageError::new(&name, "", Problem::Settings, error.to_string());
    let runtime = runtime().map_err(broken)?;
    let work = move || {
        runtime.block_on(async {
            let (bucket, sender, keys) = (&bucket, &sender, &keys);
            let result = bucket
                .with_region("", async |client: Connected| {
                    let objects = keys.iter().enumerate().map(|(index, key)| {
                        let client = client.clone();
                        async move { Ok::<_, StorageError>((index, whole(&client, bucket.name(), key).await?)) }
                    });
                    let mut objects = stream::iter(objects).buffer_unordered(FILES_AT_ONCE);
                    while let Some(object) = objects.try_next().await? {
                        if sender.send(Ok(object)).await.is_err() {
                            break;
                        }
                    }
                    Ok(())
                })
                .await;
            if let Err(error) = result {
                let _ = sender.send(Err(error)).await;
            }
        });
    };
    thread::Builder::new().name("download".to_owned()).spawn(work).map_err(broken)?;
    Ok(Fetched(receiver))
}

/// A whole object.
async fn whole(client: &Connected, bucket: &str, key: &str) -> Result<Vec<Bytes>, StorageError> {
    let error = |error: object_store::Error| StorageError::of(bucket, key, &error);
    let result = client.get(key, GetOptions::default()).await.map_err(error)?;
    let size = result.meta.size;
    let mut check = result.extensions.get::<Given>().cloned().unwrap_or_default().begin();
    let pieces: Vec<Bytes> = result.into_stream().try_collect().await.map_err(error)?;
    let arrived: usize = pieces.iter().map(Bytes::len).sum();
    pieces.iter().for_each(|piece| check.update(piece));
    match (arrived as u64 == size, check.complaint()) {
        (true, None) => Ok(pieces),
        (true, Some(detail)) => Err(StorageError::new(bucket, key, Problem::Damaged, detail)),
        (false, _) => Err(StorageError::new(bucket, key, Problem::Damaged, format!("{arrived} of {size} bytes"))),
    }
}
