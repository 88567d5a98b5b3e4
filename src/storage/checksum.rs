//! The checksums that S3 stores with objects, computed over the bytes that arrive or that are sent.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crc_fast::{CrcAlgorithm, Digest};
use ring::digest;

/// The checksum that S3 states for an object: the algorithm and the value in base64. `None` if S3 states none that can be
/// compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StatedChecksum(Option<(Algorithm, String)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Crc64Nvme,
    Crc32,
    Crc32C,
    Sha256,
    Sha1,
}

/// The size of the blocks in which a file is read, in bytes.
const BLOCK: usize = 16 << 10;

const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("x-amz-checksum-crc64nvme", Algorithm::Crc64Nvme),
    ("x-amz-checksum-crc32c", Algorithm::Crc32C),
    ("x-amz-checksum-crc32", Algorithm::Crc32),
    ("x-amz-checksum-sha256", Algorithm::Sha256),
    ("x-amz-checksum-sha1", Algorithm::Sha1),
];

impl StatedChecksum {
    /// Reads the headers of an answer. The checksum of an object that was uploaded in parts is often one of the parts'
    /// checksums, with the number of parts after a dash. It cannot be compared, because the parts are unknown.
    pub fn from_headers(header: &impl Fn(&str) -> Option<String>) -> StatedChecksum {
        if header("x-amz-checksum-type").is_some_and(|kind| kind.eq_ignore_ascii_case("COMPOSITE")) {
            return StatedChecksum(None);
        }
        let found = ALGORITHMS.iter().find_map(|(name, algorithm)| Some((*algorithm, header(name)?)));
        StatedChecksum(found.filter(|(_, value)| !value.contains('-')))
    }

    /// Starts the computation if S3 states a checksum.
    pub fn begin_if_any(self) -> Option<ChecksumCheck> {
        self.0.is_some().then(|| self.begin())
    }

    /// Starts the computation. If S3 states no checksum, every content passes.
    pub fn begin(self) -> ChecksumCheck {
        let state = self.0.as_ref().map(|(algorithm, _)| match algorithm {
            Algorithm::Crc64Nvme => State::Crc(Digest::new(CrcAlgorithm::Crc64Nvme), 8),
            Algorithm::Crc32 => State::Crc(Digest::new(CrcAlgorithm::Crc32IsoHdlc), 4),
            Algorithm::Crc32C => State::Crc(Digest::new(CrcAlgorithm::Crc32Iscsi), 4),
            Algorithm::Sha256 => State::Sha(digest::Context::new(&digest::SHA256)),
            Algorithm::Sha1 => State::Sha(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
        });
        ChecksumCheck { expected: self.0.map(|(_, text)| text), state }
    }
}

/// A checksum that is being computed, to be compared with the stated one.
pub(super) struct ChecksumCheck {
    expected: Option<String>,
    state: Option<State>,
}

enum State {
    /// The computation and the length of the result in bytes.
    Crc(Digest, usize),
    Sha(digest::Context),
}

impl fmt::Debug for ChecksumCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChecksumCheck").field("expected", &self.expected).finish_non_exhaustive()
    }
}

impl ChecksumCheck {
    /// Adds the next bytes of the object.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            Some(State::Crc(digest, _)) => digest.update(bytes),
            Some(State::Sha(context)) => context.update(bytes),
            None => {}
        }
    }

    /// Returns a description of the difference, or `None` if the checksums are equal.
    pub fn complaint(self) -> Option<String> {
        self.finish().map(|(expected, found)| format!("its checksum should be {expected} and is {found}"))
    }

    /// Returns the stated and the computed checksum if they differ.
    fn finish(self) -> Option<(String, String)> {
        let found = match self.state? {
            State::Crc(digest, length) => BASE64_STANDARD.encode(&digest.finalize().to_be_bytes()[8 - length..]),
            State::Sha(context) => BASE64_STANDARD.encode(context.finish()),
        };
        let expected = self.expected?;
        (expected != found).then_some((expected, found))
    }
}

/// The SHA-256 of the bytes that a request sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sha256(digest::Digest);

impl Sha256 {
    /// Computes the digest of a range of a file, in bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file is shorter, or any error of reading.
    pub fn of_range(file: &File, range: &Range<u64>) -> io::Result<Sha256> {
        let mut context = digest::Context::new(&digest::SHA256);
        blocks(file, range, |block| context.update(block))?;
        Ok(Sha256(context.finish()))
    }

    /// Returns the 32 bytes of the digest.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Returns the digest as S3 expects it in headers.
    pub fn base64(&self) -> String {
        BASE64_STANDARD.encode(self.bytes())
    }
}

/// Reads a range of a file, in bytes, and passes it to `take` block by block.
///
/// # Errors
/// `UnexpectedEof` if the file is shorter, or any error of reading.
pub(super) fn blocks(file: &File, range: &Range<u64>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let (mut block, mut at) = ([0; BLOCK], range.start);
    while at < range.end {
        let count = usize::try_from(range.end - at).map_or(BLOCK, |left| left.min(BLOCK));
        file.read_exact_at(&mut block[..count], at)?;
        take(&block[..count]);
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::StatedChecksum;

    #[test]
    fn each_algorithm_of_s3_yields_the_known_checksum() {
        // Computed over b"hello world" by Python's zlib, hashlib and base64; CRC-32C and CRC-64 by awscrt.
        for (name, value) in [
            ("x-amz-checksum-crc32", "DUoRhQ=="),
            ("x-amz-checksum-crc32c", "yZRlqg=="),
            ("x-amz-checksum-sha256", "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="),
            ("x-amz-checksum-sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
            ("x-amz-checksum-crc64nvme", "jSnVw/bqjr4="),
        ] {
            let given =
                |value: &str| StatedChecksum::from_headers(&|header: &str| (header == name).then(|| value.to_owned()));
            let wrong = |value: &str, text: &[&[u8]]| {
                let mut check = given(value).begin();
                text.iter().for_each(|part| check.update(part));
                check.finish()
            };
            assert_eq!(wrong(value, &[b"hello", b" world"]), None, "{name}");
            let found = wrong("AAAA", &[b"hello world"]);
            assert_eq!(found, Some(("AAAA".to_owned(), value.to_owned())), "{name}");
            assert_eq!(given(&format!("{value}-2")), StatedChecksum(None), "of parts");
        }
    }
}
