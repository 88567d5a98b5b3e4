//! The checksums that S3 has of an object, computed over what arrives.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crc_fast::{CrcAlgorithm, Digest};
use ring::digest;

/// What S3 says of an object: the algorithm and the checksum in base64, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Given(Option<(Algorithm, String)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Crc64Nvme,
    Crc32,
    Crc32C,
    Sha256,
    Sha1,
}

/// How much of a file is read at once, in bytes.
const BLOCK: usize = 16 << 10;

const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("x-amz-checksum-crc64nvme", Algorithm::Crc64Nvme),
    ("x-amz-checksum-crc32c", Algorithm::Crc32C),
    ("x-amz-checksum-crc32", Algorithm::Crc32),
    ("x-amz-checksum-sha256", Algorithm::Sha256),
    ("x-amz-checksum-sha1", Algorithm::Sha1),
];

impl Given {
    /// Reads the headers of an answer. Those of an object that was uploaded in parts are often the checksum of the parts'
    /// checksums, with the number of parts after a dash: of no use here.
    pub fn of(header: &impl Fn(&str) -> Option<String>) -> Given {
        if header("x-amz-checksum-type").is_some_and(|kind| kind.eq_ignore_ascii_case("COMPOSITE")) {
            return Given(None);
        }
        let found = ALGORITHMS.iter().find_map(|(name, algorithm)| Some((*algorithm, header(name)?)));
        Given(found.filter(|(_, value)| !value.contains('-')))
    }

    /// Begins to compute it, if S3 has said one.
    pub fn begin_if_any(self) -> Option<Check> {
        self.0.is_some().then(|| self.begin())
    }

    /// Begins to compute it.
    pub fn begin(self) -> Check {
        let state = self.0.as_ref().map(|(algorithm, _)| match algorithm {
            Algorithm::Crc64Nvme => State::Crc(Digest::new(CrcAlgorithm::Crc64Nvme), 8),
            Algorithm::Crc32 => State::Crc(Digest::new(CrcAlgorithm::Crc32IsoHdlc), 4),
            Algorithm::Crc32C => State::Crc(Digest::new(CrcAlgorithm::Crc32Iscsi), 4),
            Algorithm::Sha256 => State::Sha(digest::Context::new(&digest::SHA256)),
            Algorithm::Sha1 => State::Sha(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
        });
        Check { expected: self.0.map(|(_, text)| text), state }
    }
}

/// A checksum that is being computed.
pub(super) struct Check {
    expected: Option<String>,
    state: Option<State>,
}

enum State {
    Crc(Digest, usize),
    Sha(digest::Context),
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("expected", &self.expected).finish_non_exhaustive()
    }
}

impl Check {
    /// Takes what comes next of the object.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            Some(State::Crc(digest, _)) => digest.update(bytes),
            Some(State::Sha(context)) => context.update(bytes),
            None => {}
        }
    }

    /// What is wrong, in words, if anything is.
    pub fn complaint(self) -> Option<String> {
        self.finish().map(|(expected, found)| format!("its checksum should be {expected} and is {found}"))
    }

    /// What is wrong, if anything is: the checksum that was expected and the one that was found.
    fn finish(self) -> Option<(String, String)> {
        let found = match self.state? {
            State::Crc(digest, length) => base64(&digest.finalize().to_be_bytes()[8 - length..]),
            State::Sha(context) => base64(context.finish().as_ref()),
        };
        let expected = self.expected?;
        (expected != found).then_some((expected, found))
    }
}

/// The SHA-256 of what is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sha256(digest::Digest);

impl Sha256 {
    /// Of a part of a file, which must be there whole.
    pub fn of(file: &File, range: &Range<u64>) -> io::Result<Sha256> {
        let mut context = digest::Context::new(&digest::SHA256);
        blocks(file, range, |block| context.update(block))?;
        Ok(Sha256(context.finish()))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// As S3 has it in headers.
    pub fn base64(&self) -> String {
        base64(self.bytes())
    }
}

/// Reads a part of a file, which must be there whole, block by block.
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

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            text.push(match place <= chunk.len() {
                true => char::from(LETTERS[(group >> (18 - 6 * place)) as usize & 63]),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Given;

    #[test]
    fn every_algorithm_of_s3_is_computed() {
        // Each was made by Python's zlib, hashlib and base64, and by awscrt for the other two, over b"hello world".
        for (name, value) in [
            ("x-amz-checksum-crc32", "DUoRhQ=="),
            ("x-amz-checksum-crc32c", "yZRlqg=="),
            ("x-amz-checksum-sha256", "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="),
            ("x-amz-checksum-sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
            ("x-amz-checksum-crc64nvme", "jSnVw/bqjr4="),
        ] {
            let given = |value: &str| Given::of(&|header: &str| (header == name).then(|| value.to_owned()));
            let wrong = |value: &str, text: &[&[u8]]| {
                let mut check = given(value).begin();
                text.iter().for_each(|part| check.update(part));
                check.finish()
            };
            assert_eq!(wrong(value, &[b"hello", b" world"]), None, "{name}");
            let found = wrong("AAAA", &[b"hello world"]);
            assert_eq!(found, Some(("AAAA".to_owned(), value.to_owned())), "{name}");
            assert_eq!(given(&format!("{value}-2")), Given(None), "of parts");
        }
    }
}
