//! An object that arrives while it is read: the beginning in one answer, the rest of a large one in several ranges at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use nix::fcntl::OFlag;
use object_store::{GetOptions, GetResult};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::bucket::{Bucket, Connected, runtime};
use super::checksum::{Check, Given};
use super::error::{Problem, StorageError, TransferError};
use super::placed::Place;

/// How long a range is, and how many arrive at once.
const RANGE: u64 = 4 << 20;
const AT_ONCE: usize = 10;
/// From this size on ranges are asked for: below it, the answer to the first request brings all.
pub(super) const LARGE: u64 = RANGE;
/// How many small objects are under way.
const FILES_AT_ONCE: usize = 16;
/// How many pieces, or small objects, wait to be read.
const WAITING: usize = 4;
/// For how many ranges there is room: those that arrive and wait, the one that is passed on, and the one that is read.
const SLOTS: u64 = (AT_ONCE + WAITING + 2) as u64;

/// An object that arrives. Reading gives an error that holds a [`StorageError`] where it does not arrive whole.
#[derive(Debug)]
pub struct Download {
    size: u64,
    taken: u64,
    /// Until all is read.
    check: Option<Check>,
    current: Piece,
    pieces: Receiver<Result<Piece, StorageError>>,
    bucket: String,
    key: String,
}

/// What of an object is read next.
#[derive(Debug)]
enum Piece {
    Held(Bytes),
    /// So many bytes at a place in a file.
    Kept(Arc<File>, u64, u64),
}

/// An object that was asked for.
#[derive(Debug)]
pub struct Asked {
    announced: std::sync::mpsc::Receiver<Result<(u64, Given), StorageError>>,
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
        let (size, given) = self.announced.recv().unwrap_or_else(|_| broken())?;
        Ok(Download { size, check: Some(given.begin()), ..self.download })
    }
}

/// Starts the thread that asks for an object. What arrives before its turn waits in a file without a name in the folder
/// `beside`.
pub(super) fn begin(bucket: Bucket, key: &str, beside: &Path) -> Result<Asked, StorageError> {
    let (sender, pieces) = channel(WAITING);
    let (announce, announced) = std::sync::mpsc::channel();
    let (name, key) = (bucket.name().to_owned(), key.to_owned());
    let broken = |text: String| StorageError::new(&name, &key, Problem::Settings, text);
    let runtime = runtime().map_err(|error| broken(error.to_string()))?;
    let (of_thread, beside) = (key.clone(), beside.to_owned());
    let work = move || runtime.block_on(serve(&bucket, &of_thread, &beside, &announce, sender));
    thread::Builder::new().name("download".to_owned()).spawn(work).map_err(|error| broken(error.to_string()))?;
    let current = Piece::Held(Bytes::new());
    Ok(Asked { announced, download: Download { size: 0, taken: 0, check: None, current, pieces, bucket: name, key } })
}

impl Download {
    /// How many bytes the object has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The piece that follows; none at the end, where the whole is as it should be.
    fn next(&mut self) -> Result<Option<Piece>, StorageError> {
        let damaged = |detail| StorageError::new(&self.bucket, &self.key, Problem::Damaged, detail);
        match self.pieces.blocking_recv() {
            Some(piece) => piece.map(Some),
            None if self.taken != self.size => Err(damaged(format!("{} of {} bytes", self.taken, self.size))),
            None => match self.check.take().and_then(Check::complaint) {
                Some(detail) => Err(damaged(detail)),
                None => Ok(None),
            },
        }
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = loop {
            let count = match &mut self.current {
                Piece::Held(bytes) => {
                    let count = buffer.len().min(bytes.len());
                    buffer[..count].copy_from_slice(&bytes.split_to(count));
                    count
                }
                Piece::Kept(file, at, length) => {
                    let count = usize::try_from(*length).map_or(buffer.len(), |length| length.min(buffer.len()));
                    file.read_exact_at(&mut buffer[..count], *at)?;
                    (*at, *length) = (*at + count as u64, *length - count as u64);
                    count
                }
            };
            if count > 0 {
                break count;
            }
            match self.next().map_err(io::Error::other)? {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        };
        self.taken += count as u64;
        if let Some(check) = &mut self.check {
            check.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// Asks for the object, announces its size, and sends it in pieces.
async fn serve(
    bucket: &Bucket,
    key: &str,
    beside: &Path,
    announce: &std::sync::mpsc::Sender<Result<(u64, Given), StorageError>>,
    sender: Sender<Result<Piece, StorageError>>,
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
    let given = first.extensions.get::<Given>().cloned().unwrap_or_default();
    if announce.send(Ok((first.meta.size, given))).is_err() {
        return;
    }
    let transfer = Transfer { client, bucket: bucket.name(), key, beside, sender: &sender };
    if let Err(error) = transfer.all(first).await {
        // Where nobody reads any more, nobody is told.
        let _ = sender.send(Err(error)).await;
    }
}

struct Transfer<'a> {
    client: Connected,
    bucket: &'a str,
    key: &'a str,
    beside: &'a Path,
    sender: &'a Sender<Result<Piece, StorageError>>,
}

impl Transfer<'_> {
    async fn all(&self, first: GetResult) -> Result<(), StorageError> {
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
            if !self.send(Piece::Held(piece)).await {
                return Ok(());
            }
        }
        if whole_in_one {
            // More than was announced would be another object.
            return match arrived != size || stream.try_next().await.ok().flatten().is_some_and(|more| !more.is_empty())
            {
                true => Err(self.damaged(format!("{arrived} of {size} bytes"))),
                false => Ok(()),
            };
        }
        // The rest of the first answer is not wanted: its connection ends here.
        drop(stream);
        let file = Arc::new(nameless(self.beside).map_err(|error| self.no_room(&error))?);
        let starts = (1..).map(|number| (number, number * RANGE)).take_while(|&(_, start)| start < size);
        let ranges = starts.map(|(number, start)| {
            let range = start..(start + RANGE).min(size);
            let (length, at) = (range.end - range.start, number % SLOTS * RANGE);
            let (etag, file) = (etag.clone(), Arc::clone(&file));
            async move {
                let place = Place { bucket: self.bucket, key: self.key, file: &file };
                place.range(&self.client, etag, range, at).await.map_err(|error| match error {
                    TransferError::Storage(error) => error,
                    TransferError::File(error) => self.no_room(&error),
                })?;
                Ok(Piece::Kept(file, at, length))
            }
        });
        let mut ranges = stream::iter(ranges).buffered(AT_ONCE);
        while let Some(piece) = ranges.next().await {
            if !self.send(piece?).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Passes a piece on; false where nobody reads any more.
    async fn send(&self, piece: Piece) -> bool {
        self.sender.send(Ok(piece)).await.is_ok()
    }

    fn error(&self, error: &object_store::Error) -> StorageError {
        StorageError::of(self.bucket, self.key, error)
    }

    fn damaged(&self, detail: String) -> StorageError {
        StorageError::new(self.bucket, self.key, Problem::Damaged, detail)
    }

    fn no_room(&self, error: &io::Error) -> StorageError {
        StorageError::new(self.bucket, self.key, Problem::NoRoom, format!("{}: {error}", self.beside.display()))
    }
}

/// A file without a name in a folder.
fn nameless(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let without = options.clone().custom_flags(OFlag::O_TMPFILE.bits()).open(folder);
    // Not every file system knows such files.
    without.or_else(|_| {
        let path = folder.join(format!(".footplate-{}-{:?}", std::process::id(), thread::current().id()));
        let file = options.create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    })
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
