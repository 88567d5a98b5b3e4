//! Reading an object while it arrives: the beginning in one answer, the rest of a large object in several ranges at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, mpsc as sync_channel};
use std::thread;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use nix::fcntl::OFlag;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::bucket_access::{BucketAccess, runtime};
use super::checksum::{ChecksumCheck, StatedChecksum};
use super::client::BucketClient;
use super::error::{StorageError, TransferError};
use super::into_file::FileWriter;
use super::object::{self, ObjectBody, ObjectRange};
use super::problem::Problem;

/// The size of the ranges, in bytes.
const RANGE: u64 = 4 << 20;
/// The number of ranges that arrive at once.
const AT_ONCE: usize = 10;
/// The maximum size, in bytes, of an object that arrives completely in the first answer.
pub(super) const LARGE: u64 = RANGE;
/// The maximum size of a small object, which is held in memory, in bytes.
pub(super) const SMALL: u64 = 1 << 20;
/// The number of small objects that arrive at once.
const FILES_AT_ONCE: usize = 16;
/// The maximum number of chunks, or of small objects, that wait for the reader.
const WAITING: usize = 4;
/// The number of ranges that the spool file has room for: those that arrive, those that wait, the one that is being passed
/// on, and the one that is being read.
const SLOTS: u64 = (AT_ONCE + WAITING + 2) as u64;

/// An object that arrives while it is read. If it does not arrive completely, reading fails with an error that holds a
/// [`StorageError`].
#[derive(Debug)]
pub struct Download {
    size: u64,
    /// The number of bytes that were read.
    taken: u64,
    /// The computation of the checksum. `None` after the whole object was compared.
    check: Option<ChecksumCheck>,
    current: Chunk,
    chunks: Receiver<Result<Chunk, StorageError>>,
    bucket: String,
    key: String,
}

/// A chunk of an object. Chunks are read in order.
#[derive(Debug)]
enum Chunk {
    Memory(Bytes),
    /// A number of bytes at an offset in the spool file.
    Spooled {
        file: Arc<File>,
        offset: u64,
        length: u64,
    },
}

/// An object that was requested and whose answer may not have begun yet.
#[derive(Debug)]
pub struct PendingDownload {
    announced: sync_channel::Receiver<Result<(u64, StatedChecksum), StorageError>>,
    download: Download,
}

impl PendingDownload {
    /// Waits until the answer begins.
    ///
    /// # Errors
    /// [`StorageError`], after a bounded number of attempts.
    pub fn wait(self) -> Result<Download, StorageError> {
        let Download { bucket, key, .. } = &self.download;
        let broken = || Err(StorageError::new(bucket, key, Problem::Settings, "its thread ended"));
        let (size, checksum) = self.announced.recv().unwrap_or_else(|_| broken())?;
        Ok(Download { size, check: Some(checksum.begin()), ..self.download })
    }
}

/// Starts a thread that requests an object. Ranges that arrive before their turn wait in a spool file without a name in the
/// folder `spool_folder`.
///
/// # Errors
/// [`StorageError`] if the thread cannot be started.
pub(super) fn begin(bucket: BucketAccess, key: &str, spool_folder: &Path) -> Result<PendingDownload, StorageError> {
    let (sender, chunks) = channel(WAITING);
    let (announce, announced) = sync_channel::channel();
    let (name, key) = (bucket.name().to_owned(), key.to_owned());
    let runtime = runtime().map_err(|error| StorageError::of_settings(&name, &key, &error))?;
    let (key_of_thread, spool_folder) = (key.clone(), spool_folder.to_owned());
    let work = move || runtime.block_on(serve(&bucket, &key_of_thread, &spool_folder, &announce, sender));
    let started = thread::Builder::new().name("download".to_owned()).spawn(work);
    started.map_err(|error| StorageError::new(&name, &key, Problem::Settings, error.to_string()))?;
    let current = Chunk::Memory(Bytes::new());
    Ok(PendingDownload {
        announced,
        download: Download { size: 0, taken: 0, check: None, current, chunks, bucket: name, key },
    })
}

impl Download {
    /// Returns the size of the object in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Waits for the next chunk. Returns `None` at the end, if the length and the checksum are right.
    fn next(&mut self) -> Result<Option<Chunk>, StorageError> {
        let damaged = |detail| StorageError::new(&self.bucket, &self.key, Problem::Damaged, detail);
        match self.chunks.blocking_recv() {
            Some(chunk) => chunk.map(Some),
            None if self.taken != self.size => Err(damaged(format!("{} of {} bytes", self.taken, self.size))),
            None => match self.check.take().and_then(ChecksumCheck::complaint) {
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
            let count = self.current.read(buffer)?;
            if count > 0 {
                break count;
            }
            match self.next().map_err(io::Error::other)? {
                Some(chunk) => self.current = chunk,
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

impl Read for Chunk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Chunk::Memory(bytes) => {
                let count = buffer.len().min(bytes.len());
                buffer[..count].copy_from_slice(&bytes.split_to(count));
                Ok(count)
            }
            Chunk::Spooled { file, offset, length } => {
                let count = usize::try_from(*length).map_or(buffer.len(), |length| length.min(buffer.len()));
                file.read_exact_at(&mut buffer[..count], *offset)?;
                (*offset, *length) = (*offset + count as u64, *length - count as u64);
                Ok(count)
            }
        }
    }
}

/// Requests the object, announces its size and checksum, and sends it in chunks.
async fn serve(
    bucket: &BucketAccess,
    key: &str,
    spool_folder: &Path,
    announce: &sync_channel::Sender<Result<(u64, StatedChecksum), StorageError>>,
    sender: Sender<Result<Chunk, StorageError>>,
) {
    let begun = bucket
        .with_region(key, async |client| {
            let first = object::get(&client, key, None).await?;
            Ok((client, first))
        })
        .await;
    let (client, first) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            // The result is ignored: if the receiver is gone, nobody waits for the object any more.
            let _ = announce.send(Err(error));
            return;
        }
    };
    if announce.send(Ok((first.head.size, first.head.checksum.clone()))).is_err() {
        return;
    }
    let transfer = Transfer { client, bucket: bucket.name(), key, spool_folder, sender: &sender };
    if let Err(error) = transfer.all(first).await {
        // The result is ignored: if the receiver is gone, nobody reads the object any more.
        let _ = sender.send(Err(error)).await;
    }
}

/// The transfer of an object to its reader.
struct Transfer<'a> {
    client: Arc<BucketClient>,
    bucket: &'a str,
    key: &'a str,
    spool_folder: &'a Path,
    sender: &'a Sender<Result<Chunk, StorageError>>,
}

impl Transfer<'_> {
    /// Sends the object in order. `first` is the answer to a request for the whole object.
    async fn all(&self, mut first: ObjectBody) -> Result<(), StorageError> {
        let (size, etag) = (first.head.size, first.head.etag.clone());
        let is_whole_in_first = size <= LARGE;
        let length = if is_whole_in_first { size } else { RANGE };
        let mut arrived = 0;
        while arrived < length
            && let Some(mut bytes) = first.next().await?
        {
            bytes.truncate(usize::try_from(length - arrived).unwrap_or(usize::MAX));
            arrived += bytes.len() as u64;
            if !self.send(Chunk::Memory(bytes)).await {
                return Ok(());
            }
        }
        if is_whole_in_first {
            // If more bytes than the announced size arrive, they belong to another object.
            let has_more = matches!(first.next().await, Ok(Some(more)) if !more.is_empty());
            if arrived < size || has_more {
                return Err(self.damaged(format!("{arrived} of {size} bytes")));
            }
            return Ok(());
        }
        // Ends the connection of the first answer. The rest of that answer is not needed.
        drop(first);
        let file = Arc::new(spool_file(self.spool_folder).map_err(|error| self.no_room(&error))?);
        let starts = (1..).map(|number| (number, number * RANGE)).take_while(|&(_, start)| start < size);
        let ranges = starts.map(|(number, start)| {
            let range = start..(start + RANGE).min(size);
            let (length, offset) = (range.end - range.start, number % SLOTS * RANGE);
            let part = ObjectRange { range, etag: etag.clone(), size };
            let file = Arc::clone(&file);
            async move {
                let writer = FileWriter { bucket: self.bucket, key: self.key, file: &file };
                writer.download_range(&self.client, part, offset).await.map_err(|error| match error {
                    TransferError::Storage(error) => error,
                    TransferError::File(error) => self.no_room(&error),
                })?;
                Ok(Chunk::Spooled { file, offset, length })
            }
        });
        let mut ranges = stream::iter(ranges).buffered(AT_ONCE);
        while let Some(chunk) = ranges.next().await {
            if !self.send(chunk?).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Passes a chunk on. Returns false if the object is not being read any more.
    async fn send(&self, chunk: Chunk) -> bool {
        self.sender.send(Ok(chunk)).await.is_ok()
    }

    fn damaged(&self, detail: String) -> StorageError {
        StorageError::new(self.bucket, self.key, Problem::Damaged, detail)
    }

    fn no_room(&self, error: &io::Error) -> StorageError {
        StorageError::new(self.bucket, self.key, Problem::NoRoom, format!("{}: {error}", self.spool_folder.display()))
    }
}

/// Creates a file without a name in a folder.
fn spool_file(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let without_name = options.clone().custom_flags(OFlag::O_TMPFILE.bits()).open(folder);
    // Some file systems, such as NFS and overlayfs on old kernels, lack O_TMPFILE.
    without_name.or_else(|_| {
        let path = folder.join(format!(".footplate-{}-{:?}", std::process::id(), thread::current().id()));
        let file = options.create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    })
}

/// An iterator over small objects, in any order. Each item is the index of the key and the complete content, in pieces.
/// The iterator ends after the first error.
#[derive(Debug)]
pub struct SmallObjects(Receiver<Result<(usize, Vec<Bytes>), StorageError>>);

impl Iterator for SmallObjects {
    type Item = Result<(usize, Vec<Bytes>), StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.blocking_recv()
    }
}

/// Starts a thread that reads small objects.
///
/// # Errors
/// [`StorageError`] if the thread cannot be started.
pub(super) fn read_small(bucket: BucketAccess, keys: Vec<String>) -> Result<SmallObjects, StorageError> {
    let (sender, receiver) = channel(WAITING);
    let name = bucket.name().to_owned();
    let runtime = runtime().map_err(|error| StorageError::of_settings(&name, "", &error))?;
    let work = move || {
        runtime.block_on(async {
            let (sender, keys) = (&sender, &keys);
            let result = bucket
                .with_region("", async |client| {
                    let objects = keys.iter().enumerate().map(|(index, key)| {
                        let (client, bucket) = (Arc::clone(&client), bucket.name());
                        async move { Ok::<_, StorageError>((index, whole(&client, bucket, key).await?)) }
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
                // The result is ignored: if the receiver is gone, nobody reads the objects any more.
                let _ = sender.send(Err(error)).await;
            }
        });
    };
    let started = thread::Builder::new().name("download".to_owned()).spawn(work);
    started.map_err(|error| StorageError::new(&name, "", Problem::Settings, error.to_string()))?;
    Ok(SmallObjects(receiver))
}

/// Reads a whole object into memory, in the pieces that arrive.
async fn whole(client: &Arc<BucketClient>, bucket: &str, key: &str) -> Result<Vec<Bytes>, StorageError> {
    let damaged = |detail: String| StorageError::new(bucket, key, Problem::Damaged, detail);
    let mut body = object::get(client, key, None).await?;
    let size = body.head.size;
    if size > SMALL {
        let detail = format!("it has {size} bytes, and had at most {SMALL} when it was listed");
        return Err(StorageError::new(bucket, key, Problem::Changed, detail));
    }
    let mut check = body.head.checksum.clone().begin();
    let (mut pieces, mut arrived) = (Vec::new(), 0);
    while let Some(piece) = body.next().await? {
        check.update(&piece);
        arrived += piece.len() as u64;
        pieces.push(piece);
    }
    if arrived != size {
        return Err(damaged(format!("{arrived} of {size} bytes")));
    }
    check.complaint().map_or(Ok(pieces), |detail| Err(damaged(detail)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::Arc;

    use bytes::Bytes;

    use super::{Chunk, spool_file};

    #[test]
    fn chunks_are_read_from_memory_and_from_the_spool_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = spool_file(folder.path()).expect("a file");
        file.write_all(b"abcdef").expect("written");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "the file has a name");
        for mut chunk in
            [Chunk::Spooled { file: Arc::new(file), offset: 2, length: 3 }, Chunk::Memory(Bytes::from_static(b"cde"))]
        {
            let mut buffer = [0; 2];
            assert_eq!((chunk.read(&mut buffer).expect("read"), &buffer), (2, b"cd"));
            let mut rest = String::new();
            chunk.read_to_string(&mut rest).expect("read");
            assert_eq!(rest, "e");
        }
    }
}
