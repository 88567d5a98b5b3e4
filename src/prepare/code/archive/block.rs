//! The blocks that a tar archive consists of, the numbers in its headers, and the errors of reading them.

use std::io::{self, ErrorKind, Read};

use tar::Header;
use thiserror::Error;

/// The size of a block, in bytes. Headers take one block each, and data is padded to whole blocks.
pub const BLOCK: usize = 512;

/// A reason to stop reading an archive.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The archive cannot be read, ends too early, or its compressed data is corrupt.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The archive's headers contradict themselves or are not headers.
    #[error("{0}")]
    Malformed(String),
    /// The archive exceeds a limit.
    #[error("{0}")]
    Limit(String),
}

impl ArchiveError {
    /// Returns the error for content that contradicts the format.
    pub fn malformed(detail: impl Into<String>) -> ArchiveError {
        ArchiveError::Malformed(detail.into())
    }
}

/// Returns true if a block is a tar header, by its checksum.
///
/// Some old programs add up signed bytes, so that sum is accepted too.
pub fn is_header(block: &[u8; BLOCK]) -> bool {
    let header = Header::from_byte_slice(block);
    let Ok(expected) = header.cksum() else { return false };
    let mut unsigned = 8 * u32::from(b' ');
    let mut signed = 8 * i64::from(b' ');
    for &byte in block[..148].iter().chain(&block[156..]) {
        unsigned += u32::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    expected == unsigned || i64::from(expected) == signed
}

/// Returns the number in a header's field; `field` is the field's name in the error.
pub fn number(field: &str, value: io::Result<u64>) -> Result<u64, ArchiveError> {
    value.map_err(|_| ArchiveError::Malformed(format!("the {field} of an entry is not a number")))
}

/// Returns the decimal number that an extended header holds as text.
pub fn decimal(text: &[u8]) -> Result<u64, ArchiveError> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| ArchiveError::malformed("a numeric value in an extended header is not a number"))
}

/// Returns the error for an archive that ends before its data does.
pub fn cut_off() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "it ends too early")
}

/// Reads into `buffer`, and repeats a read that a signal interrupted.
pub fn read(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
