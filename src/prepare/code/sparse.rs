//! Sparse files in tar archives: where the pieces of data belong in the file. GNU tar's own format and the three that
//! it and bsdtar write into PAX headers (0.0, 0.1 and 1.0).

use std::io::{self, Read};

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::members::{BLOCK, Trouble, cut_off, decimal, number};

/// How many pieces a file may have: more than a file of code or a small model ever has, and still little memory.
const PIECES: usize = 100_000;

/// A piece of a sparse file: where it begins and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub offset: u64,
    pub length: u64,
}

/// What PAX records say of a sparse file.
#[derive(Debug, Default)]
pub(super) struct SparseRecords {
    /// The file's real name: the header has one made up.
    pub name: Option<Vec<u8>>,
    major: u64,
    size: Option<u64>,
    /// Versions 0.0 and 0.1: offsets and lengths by turns.
    numbers: Vec<u64>,
    any: bool,
}

impl SparseRecords {
    /// Reads a record if it is about sparse files, and passes over any other.
    pub fn read(&mut self, key: &[u8], value: &[u8]) -> Result<(), Trouble> {
        match key {
            b"GNU.sparse.name" => self.name = Some(value.to_vec()),
            b"GNU.sparse.major" => (self.any, self.major) = (true, decimal(value)?),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => (self.any, self.size) = (true, Some(decimal(value)?)),
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => self.add(decimal(value)?)?,
            b"GNU.sparse.map" => {
                for number in value.split(|&byte| byte == b',').filter(|number| !number.is_empty()) {
                    self.add(decimal(number)?)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub fn is_sparse(&self) -> bool {
        self.any
    }

    fn add(&mut self, number: u64) -> Result<(), Trouble> {
        if self.numbers.len() >= 2 * PIECES {
            return Err(too_many());
        }
        self.numbers.push(number);
        Ok(())
    }

    /// The pieces and the file's size. Version 1.0 has the pieces before the data, which `block` reads.
    pub fn map(self, mut block: impl FnMut(&mut [u8; BLOCK]) -> io::Result<()>) -> Result<(Vec<Piece>, u64), Trouble> {
        let size = self.size.ok_or_else(|| Trouble::Malformed("a sparse file has no size".to_owned()))?;
        let mut numbers = self.numbers;
        if self.major >= 1 {
            numbers = Vec::new();
            let mut wanted = None;
            let mut text = Vec::new();
            let mut bytes = [0; BLOCK];
            while wanted.is_none_or(|wanted| numbers.len() < wanted) {
                block(&mut bytes)?;
                for &byte in &bytes {
                    match (byte, wanted) {
                        (_, Some(wanted)) if numbers.len() == wanted => break,
                        (b'\n', None) => {
                            let count = usize::try_from(decimal(&text)?).unwrap_or(usize::MAX);
                            if count > PIECES {
                                return Err(too_many());
                            }
                            wanted = Some(2 * count);
                            text.clear();
                        }
                        (b'\n', Some(_)) => {
                            numbers.push(decimal(&text)?);
                            text.clear();
                        }
                        _ if text.len() < 20 => text.push(byte),
                        _ => return Err(Trouble::Malformed("the map of a sparse file makes no sense".to_owned())),
                    }
                }
            }
        }
        let pieces = numbers.chunks_exact(2).map(|pair| Piece { offset: pair[0], length: pair[1] }).collect();
        Ok((pieces, size))
    }
}

/// The pieces that GNU tar's own header lists, and the file's size. More of them may follow the header in `input`.
pub(super) fn old_map(header: &Header, input: &mut impl Read) -> Result<(Vec<Piece>, u64), Trouble> {
    let gnu = header.as_gnu().ok_or_else(|| Trouble::Malformed("a sparse file has another header".to_owned()))?;
    let size = number("size", gnu.real_size())?;
    let mut pieces = Vec::new();
    let mut add = |sparse: &GnuSparseHeader| -> Result<(), Trouble> {
        if !sparse.is_empty() {
            if pieces.len() >= PIECES {
                return Err(too_many());
            }
            let (offset, length) = (number("offset", sparse.offset())?, number("length", sparse.length())?);
            pieces.push(Piece { offset, length });
        }
        Ok(())
    };
    for sparse in &gnu.sparse {
        add(sparse)?;
    }
    let mut more = gnu.is_extended();
    // Blocks that list nothing would otherwise be read for ever.
    for _ in 0..=PIECES / 21 {
        if !more {
            return Ok((pieces, size));
        }
        let mut block = GnuExtSparseHeader::new();
        input.read_exact(block.as_mut_bytes()).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => cut_off(),
            _ => error,
        })?;
        for sparse in block.sparse() {
            add(sparse)?;
        }
        more = block.is_extended();
    }
    Err(too_many())
}

/// Refuses pieces that overlap, or that go beyond the file's end. That they hold more than the archive does shows when
/// they are read.
pub(super) fn check(pieces: &[Piece], size: u64) -> Result<(), Trouble> {
    let mut end = 0;
    for piece in pieces {
        let next = piece.offset.checked_add(piece.length).filter(|&next| piece.offset >= end && next <= size);
        end = next.ok_or_else(|| Trouble::Malformed("the pieces of a sparse file overlap".to_owned()))?;
    }
    Ok(())
}

fn too_many() -> Trouble {
    Trouble::Limit(format!("it has a sparse file of more than {PIECES} pieces"))
}
