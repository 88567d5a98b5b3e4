//! Bringing code from S3: an archive, which is unpacked while it arrives, a single file, or all that is below a prefix.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use super::archive::{inside, unpack_stream};
use super::budget::Limits;
use super::destination::Destination;
use super::error::CodeError;
use super::members::BLOCK;
use super::notes::shown;
use super::source::{Form, PACKED, is_archive};
use crate::machine::Bytes;
use crate::storage::{Access, Bucket, Download, ListedObject, Problem, TransferError};

/// The permissions of a file from S3, which has none.
const MODE: u32 = 0o644;
/// What is read of an object beyond the end of the archive in it, to see its checksum: tar fills up to 10 KiB.
const BEYOND_END: u64 = 1 << 20;
/// How many files that are not small are asked for at once.
const ASKED: usize = 8;

/// Brings an object, or all that is below it as a prefix, and says what it was.
pub(super) fn bring_from_s3(
    access: &Access,
    bucket: &str,
    key: &str,
    destination: &mut Destination,
) -> Result<Form, CodeError> {
    let bucket = Bucket::new(access.clone(), bucket);
    let below = match key.ends_with('/') {
        true => bucket.list(key).map_err(CodeError::Storage)?,
        false => match bucket.read(key, destination.root()) {
            Ok(download) => return object(&bucket, key, download, destination),
            Err(error) if error.problem == Problem::NoSuchKey => match bucket.list(&format!("{key}/")) {
                Ok(below) if !below.is_empty() => below,
                // That the list is denied says nothing of the key.
                _ => return Err(CodeError::Storage(error)),
            },
            Err(error) => return Err(CodeError::Storage(error)),
        },
    };
    let prefix = if key.ends_with('/') { key.to_owned() } else { format!("{key}/") };
    let listed: Vec<ListedObject> = below.into_iter().filter(|found| found.key.len() > prefix.len()).collect();
    match listed.as_slice() {
        [] => {
            let url = url(&bucket, key);
            Err(CodeError::Missing { path: url, beside: Some("nothing is below that prefix".to_owned()) })
        }
        [only] if only.key[prefix.len()..] == *PACKED => {
            let download = bucket.read(&only.key, destination.root()).map_err(CodeError::Storage)?;
            object(&bucket, &only.key, download, destination)
        }
        _ => {
            folder(&bucket, &prefix, listed, destination)?;
            Ok(Form::Folder(url(&bucket, key)))
        }
    }
}

fn url(bucket: &Bucket, key: &str) -> PathBuf {
    PathBuf::from(format!("s3://{}/{key}", bucket.name()))
}

/// One object: an archive or a file.
fn object(
    bucket: &Bucket,
    key: &str,
    mut download: Download,
    destination: &mut Destination,
) -> Result<Form, CodeError> {
    let url = url(bucket, key);
    let mut start = Vec::new();
    (&mut download).take(BLOCK as u64).read_to_end(&mut start).map_err(|error| CodeError::reading(&url, error))?;
    if !is_archive(&url, &start)? {
        let name = PathBuf::from(url.file_name().unwrap_or_default());
        if download.size() > Bucket::IN_ONE {
            drop(download);
            write_large(&name, bucket, key, destination)?;
            return Ok(Form::File(url));
        }
        write(&name, &url, Cursor::new(start).chain(download), destination)?;
        return Ok(Form::File(url));
    }
    unpack_stream(&url, Cursor::new(start).chain(&mut download), destination, &Limits::default())?;
    io::copy(&mut download.take(BEYOND_END), &mut io::sink()).map_err(|error| CodeError::reading(&url, error))?;
    Ok(Form::Archive(url))
}

/// All objects below a prefix.
fn folder(
    bucket: &Bucket,
    prefix: &str,
    listed: Vec<ListedObject>,
    destination: &mut Destination,
) -> Result<(), CodeError> {
    let limits = Limits::default();
    let too_large = |detail| CodeError::TooLarge { path: url(bucket, prefix), detail };
    if listed.len() as u64 > limits.entries {
        return Err(too_large(format!("it has more than {} files", limits.entries)));
    }
    if listed.iter().map(|found| found.size).sum::<u64>() > limits.bytes {
        return Err(too_large(format!("its files have more than {}", Bytes(limits.bytes))));
    }
    let mut named = Vec::new();
    for found in listed {
        let name = &found.key[prefix.len()..];
        match inside(name.as_bytes()) {
            // A key that ends with a slash is how some tools note a folder.
            _ if name.ends_with('/') => {}
            Some((path, false)) => named.push((path, found)),
            _ => destination.report.notes.add(|| format!("{} is no usable name: left out", shown(name.as_bytes()))),
        }
    }
    let (small, large): (Vec<_>, Vec<_>) = named.into_iter().partition(|(_, found)| found.size <= Bucket::SMALL);
    let keys = small.iter().map(|(_, found)| found.key.clone()).collect();
    for fetched in bucket.read_small(keys).map_err(CodeError::Storage)? {
        let (index, pieces) = fetched.map_err(CodeError::Storage)?;
        let (name, found) = &small[index];
        write(name, &url(bucket, &found.key), pieces.concat().as_slice(), destination)?;
    }
    let mut asked = VecDeque::new();
    let mut rest = large.iter().peekable();
    loop {
        while asked.len() < ASKED
            && let Some((name, found)) = rest.next_if(|(_, found)| found.size <= Bucket::IN_ONE)
        {
            asked.push_back((
                name,
                &found.key,
                bucket.request(&found.key, destination.root()).map_err(CodeError::Storage)?,
            ));
        }
        match (asked.pop_front(), rest.peek()) {
            (Some((name, key, object)), _) => {
                write(name, &url(bucket, key), object.wait().map_err(CodeError::Storage)?, destination)?;
            }
            // One that comes in several answers at once waits for those before it.
            (None, Some((name, found))) => {
                write_large(name, bucket, &found.key, destination)?;
                rest.next();
            }
            (None, None) => return Ok(()),
        }
    }
}

/// Brings an object that is not small into a file of this name.
fn write_large(name: &Path, bucket: &Bucket, key: &str, destination: &mut Destination) -> Result<(), CodeError> {
    let (file, at) = destination.file(name, MODE)?;
    let brought = bucket.download_into(key, &file, &at).inspect_err(|_| {
        let _ = std::fs::remove_file(&at); // as below
    });
    destination.report.bytes += brought.map_err(|error| match error {
        TransferError::Storage(error) => CodeError::Storage(error),
        TransferError::File(error) => CodeError::writing(&at, error),
    })?;
    Ok(())
}

/// Writes what is read into a file of this name.
fn write(name: &Path, from: &Path, mut input: impl Read, destination: &mut Destination) -> Result<(), CodeError> {
    let (mut file, at) = destination.file(name, MODE)?;
    let mut buffer = vec![0; 64 << 10];
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
        let _ = std::fs::remove_file(&at); // half a file is of no use, and takes space that the failure file may need
    })?;
    destination.report.bytes += written;
    Ok(())
}
