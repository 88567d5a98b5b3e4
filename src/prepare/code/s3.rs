//! Fetching code from S3: an archive, which is unpacked while it arrives, a single file, or all objects below a prefix.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use super::archive::{ArchiveLimits, BLOCK, path_inside, unpack_stream};
use super::code_folder::CodeFolder;
use super::error::CodeError;
use super::notes::shown;
use super::source::{PACKED_SOURCE, SourceForm, is_archive};
use crate::machine::Bytes;
use crate::storage::{Access, Bucket, Download, ListedObject, Problem, TransferError};

/// The permissions of a file from S3, which stores none.
const MODE: u32 = 0o644;
/// The maximum number of bytes of an object that are read beyond the end of its archive, to verify the object's
/// checksum. tar pads archives to 10 KiB.
const BEYOND_END: u64 = 1 << 20;
/// The maximum number of requests for larger files that are in progress at once.
const REQUESTS: usize = 8;
/// The number of bytes that are copied at a time.
const CHUNK: usize = 64 << 10;

/// Fetches the object `key`, or all objects below it as a prefix, and returns the form of the source.
///
/// # Errors
///
/// [`CodeError::Storage`], [`CodeError::Missing`] if nothing is below the prefix, and the errors of writing.
pub(super) fn fetch_from_s3(
    access: &Access,
    bucket: &str,
    key: &str,
    folder: &mut CodeFolder,
) -> Result<SourceForm, CodeError> {
    let bucket = Bucket::new(access.clone(), bucket);
    let prefix = if key.ends_with('/') { key.to_owned() } else { format!("{key}/") };
    let below = if key == prefix {
        bucket.list(&prefix)?
    } else {
        match bucket.read(key, folder.root()) {
            Ok(download) => return fetch_object(&bucket, key, download, folder),
            Err(error) if error.problem == Problem::NoSuchKey => match bucket.list(&prefix) {
                Ok(below) if !below.is_empty() => below,
                // An error of the listing, such as a denied one, does not show if the key exists.
                _ => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
    };
    // A server other than AWS's may also list other keys.
    let is_below = |found: &ListedObject| found.key.strip_prefix(&*prefix).is_some_and(|name| !name.is_empty());
    let listed: Vec<ListedObject> = below.into_iter().filter(is_below).collect();
    match listed.as_slice() {
        [] => {
            let path = url(&bucket, key);
            Err(CodeError::Missing { path, nearby: Some("nothing is below that prefix".to_owned()) })
        }
        [only] if only.key[prefix.len()..] == *PACKED_SOURCE => {
            let download = bucket.read(&only.key, folder.root())?;
            fetch_object(&bucket, &only.key, download, folder)
        }
        _ => {
            fetch_prefix(&bucket, &prefix, listed, folder)?;
            Ok(SourceForm::Folder(url(&bucket, key)))
        }
    }
}

fn url(bucket: &Bucket, key: &str) -> PathBuf {
    PathBuf::from(format!("s3://{}/{key}", bucket.name()))
}

/// Unpacks an object that is an archive, or writes any other object as a file.
fn fetch_object(
    bucket: &Bucket,
    key: &str,
    mut download: Download,
    folder: &mut CodeFolder,
) -> Result<SourceForm, CodeError> {
    let url = url(bucket, key);
    let mut start = Vec::new();
    (&mut download).take(BLOCK as u64).read_to_end(&mut start).map_err(|error| CodeError::reading(&url, error))?;
    if !is_archive(&url, &start)? {
        let name = PathBuf::from(url.file_name().unwrap_or_default());
        if download.size() > Bucket::IN_ONE {
            drop(download); // ends its connection: the object is requested again in ranges
            write_large(&name, bucket, key, folder)?;
        } else {
            write(&name, &url, Cursor::new(start).chain(download), folder)?;
        }
        return Ok(SourceForm::File(url));
    }
    unpack_stream(&url, Cursor::new(start).chain(&mut download), folder, &ArchiveLimits::default())?;
    io::copy(&mut download.take(BEYOND_END), &mut io::sink()).map_err(|error| CodeError::reading(&url, error))?;
    Ok(SourceForm::Archive(url))
}

/// Writes all objects below a prefix as files.
fn fetch_prefix(
    bucket: &Bucket,
    prefix: &str,
    listed: Vec<ListedObject>,
    folder: &mut CodeFolder,
) -> Result<(), CodeError> {
    let limits = ArchiveLimits::default();
    let too_large = |detail| CodeError::PrefixTooLarge { path: url(bucket, prefix), detail };
    if listed.len() as u64 > limits.entries {
        return Err(too_large(format!("it has more than {} files", limits.entries)));
    }
    if listed.iter().fold(0_u64, |sum, found| sum.saturating_add(found.size)) > limits.bytes {
        return Err(too_large(format!("its files have more than {}", Bytes(limits.bytes))));
    }
    let mut named = Vec::new();
    for found in listed {
        let name = &found.key[prefix.len()..];
        match path_inside(name.as_bytes()) {
            // Some tools represent a folder by a key that ends with a slash.
            _ if name.ends_with('/') => {}
            Some(inner) if !inner.was_outside => named.push((inner.path, found)),
            _ => folder.report.notes.add(|| format!("{} is not a usable name: left out", shown(name.as_bytes()))),
        }
    }
    let (small, large): (Vec<_>, Vec<_>) = named.into_iter().partition(|(_, found)| found.size <= Bucket::SMALL);
    let keys = small.iter().map(|(_, found)| found.key.clone()).collect();
    for fetched in bucket.read_small(keys)? {
        let (index, pieces) = fetched?;
        let (name, found) = &small[index];
        write(name, &url(bucket, &found.key), pieces.concat().as_slice(), folder)?;
    }
    let mut requested = VecDeque::new();
    let mut rest = large.iter().peekable();
    loop {
        while requested.len() < REQUESTS
            && let Some((name, found)) = rest.next_if(|(_, found)| found.size <= Bucket::IN_ONE)
        {
            requested.push_back((name, &found.key, bucket.request(&found.key, folder.root())?));
        }
        match (requested.pop_front(), rest.peek()) {
            (Some((name, key, object)), _) => write(name, &url(bucket, key), object.wait()?, folder)?,
            // An object that needs several requests waits until those before it are written.
            (None, Some((name, found))) => {
                write_large(name, bucket, &found.key, folder)?;
                rest.next();
            }
            (None, None) => return Ok(()),
        }
    }
}

/// Fetches an object larger than [`Bucket::IN_ONE`] into a file of this name.
fn write_large(name: &Path, bucket: &Bucket, key: &str, folder: &mut CodeFolder) -> Result<(), CodeError> {
    let (file, at) = folder.file(name, MODE)?;
    let written = bucket.download_into(key, &file, &at).inspect_err(|_| {
        let _ = std::fs::remove_file(&at); // a partial file is useless, and the failure file may need its space
    });
    folder.report.bytes += written.map_err(|error| match error {
        TransferError::Storage(error) => CodeError::Storage(error),
        TransferError::File(error) => CodeError::writing(&at, error),
    })?;
    Ok(())
}

/// Writes all of `input` into a file of this name; errors of reading show `from`.
fn write(name: &Path, from: &Path, mut input: impl Read, folder: &mut CodeFolder) -> Result<(), CodeError> {
    let (mut file, at) = folder.file(name, MODE)?;
    let mut buffer = vec![0; CHUNK];
    let mut copy = || -> Result<u64, CodeError> {
        let mut written = 0;
        loop {
            let count = input.read(&mut buffer).map_err(|error| CodeError::reading(from, error))?;
            if count == 0 {
                return Ok(written);
            }
            file.write_all(&buffer[..count]).map_err(|error| CodeError::writing(&at, error))?;
            written += count as u64;
        }
    };
    let written = copy().inspect_err(|_| {
        let _ = std::fs::remove_file(&at); // a partial file is useless, and the failure file may need its space
    })?;
    folder.report.bytes += written;
    Ok(())
}
