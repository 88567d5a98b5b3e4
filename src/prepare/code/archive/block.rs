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

/// Returns the number in a header's field, which is octal text, or binary after a set bit; `field` is the field's name in
/// the error. The `tar` crate drops the upper bits of a binary number.
pub fn number<const N: usize>(field: &str, bytes: &[u8; N]) -> Result<u64, ArchiveError> {
    let wrong = |what: &str| ArchiveError::Malformed(format!("the {field} of an entry {what}"));
    if bytes[0] & 0x80 == 0 {
        let text = String::from_utf8_lossy(bytes);
        let text = text.split('\0').next().unwrap_or_default().trim();
        return if text.is_empty() {
            Ok(0)
        } else {
            u64::from_str_radix(text, 8).map_err(|_| wrong("is not a number"))
        };
    }
    let digits = [&[bytes[0] & 0x7f], &bytes[1..]].concat();
    let value = digits.iter().try_fold(0_u64, |value, digit| value.checked_mul(256)?.checked_add((*digit).into()));
    // A negative number has its upper bits set.
    value.ok_or_else(|| wrong("is negative, or has more than 64 bits: that is not possible"))
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

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_of_headers_are_octal_or_binary_and_have_at_most_64_bits() {
        let read = |bytes: &[u8; 12]| number("size", bytes).map_err(|error| error.to_string());
        assert_eq!(read(b"00000000017\0"), Ok(15));
        assert_eq!(read(b"         17 "), Ok(15));
        assert_eq!(read(&[0; 12]), Ok(0));
        assert_eq!(read(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Ok(256));
        assert_eq!(read(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), Ok(u64::MAX));
        for impossible in [b"\x80\0\0\x01\0\0\0\0\0\0\0\0", b"\xc0\0\0\0\0\0\0\0\0\0\0\0", &[0xff; 12]] {
            let error = read(impossible).expect_err("impossible");
            assert!(error.starts_with("the size of an entry is negative, or has more than 64 bits"), "{error}");
        }
        assert_eq!(read(b"0000000001x\0"), Err("the size of an entry is not a number".to_owned()));
    }
}
