//! Sparse files in tar archives: the positions of their data. Supports GNU tar's own format and the three that GNU tar
//! and bsdtar write into PAX headers (versions 0.0, 0.1 and 1.0).

use std::io::{self, Read};

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::block::{ArchiveError, BLOCK, cut_off, decimal, number};

/// The maximum number of data regions of a file: more than a source file or a small model has, and still little memory.
const MAX_REGIONS: usize = 100_000;

/// The maximum length of a number in the map of version 1.0, in digits.
const MAX_DIGITS: usize = 20;

/// A region of a sparse file that holds data, in bytes from the file's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRegion {
    pub offset: u64,
    pub length: u64,
}

/// A sparse file's layout: its regions with data and its whole size in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseMap {
    pub regions: Vec<DataRegion>,
    pub size: u64,
}

impl SparseMap {
    /// Checks the map: refuses regions that overlap or that extend beyond the file's end.
    ///
    /// The data that the regions promise may still be missing; that shows when it is read.
    pub fn checked(self) -> Result<SparseMap, ArchiveError> {
        let mut end = 0;
        for region in &self.regions {
            let next =
                region.offset.checked_add(region.length).filter(|&next| region.offset >= end && next <= self.size);
            end = next.ok_or_else(|| {
                ArchiveError::malformed("the regions of a sparse file overlap, or extend beyond its end")
            })?;
        }
        Ok(self)
    }
}

/// The PAX records about a sparse file.
#[derive(Debug, Default)]
pub struct SparseRecords {
    /// The file's real name. The name in the header is an invented one.
    pub name: Option<Vec<u8>>,
    major: u64,
    size: Option<u64>,
    /// Offsets and lengths, alternating, in versions 0.0 and 0.1.
    numbers: Vec<u64>,
    any: bool,
}

impl SparseRecords {
    /// Reads a record, and ignores it unless it is about a sparse file.
    pub fn read(&mut self, key: &[u8], value: &[u8]) -> Result<(), ArchiveError> {
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

    /// Returns true if the records describe a sparse file.
    pub fn is_sparse(&self) -> bool {
        self.any
    }

    fn add(&mut self, number: u64) -> Result<(), ArchiveError> {
        if self.numbers.len() >= 2 * MAX_REGIONS {
            return Err(too_many_regions());
        }
        self.numbers.push(number);
        Ok(())
    }

    /// Returns the file's layout. Version 1.0 stores the regions before the data; `next_block` reads those blocks.
    pub fn map(self, next_block: impl FnMut(&mut [u8; BLOCK]) -> io::Result<()>) -> Result<SparseMap, ArchiveError> {
        let size = self.size.ok_or_else(|| ArchiveError::malformed("a sparse file has no size"))?;
        let numbers = if self.major >= 1 { leading_numbers(next_block)? } else { self.numbers };
        let regions = numbers.chunks_exact(2).map(|pair| DataRegion { offset: pair[0], length: pair[1] }).collect();
        Ok(SparseMap { regions, size })
    }
}

/// Reads the map of version 1.0: lines of decimal numbers, of which the first counts the pairs of offset and length. The
/// map fills whole blocks.
fn leading_numbers(mut next_block: impl FnMut(&mut [u8; BLOCK]) -> io::Result<()>) -> Result<Vec<u64>, ArchiveError> {
    let mut numbers = Vec::new();
    let mut wanted = None;
    let mut text = Vec::new();
    let mut block = [0; BLOCK];
    while wanted.is_none_or(|wanted| numbers.len() < wanted) {
        next_block(&mut block)?;
        for &byte in &block {
            match (byte, wanted) {
                (_, Some(wanted)) if numbers.len() == wanted => break,
                (b'\n', None) => {
                    let count = usize::try_from(decimal(&text)?).unwrap_or(usize::MAX);
                    if count > MAX_REGIONS {
                        return Err(too_many_regions());
                    }
                    wanted = Some(2 * count);
                    text.clear();
                }
                (b'\n', Some(_)) => {
                    numbers.push(decimal(&text)?);
                    text.clear();
                }
                _ if text.len() < MAX_DIGITS => text.push(byte),
                _ => return Err(ArchiveError::malformed("the map of a sparse file holds too long a number")),
            }
        }
    }
    Ok(numbers)
}

/// Reads the layout from GNU tar's own header. More of it may follow the header in `input`.
pub fn gnu_map(header: &Header, input: &mut impl Read) -> Result<SparseMap, ArchiveError> {
    let gnu = header.as_gnu().ok_or_else(|| ArchiveError::malformed("a sparse file has another header"))?;
    let size = number("size", &gnu.realsize)?;
    let mut regions = Vec::new();
    let mut add = |sparse: &GnuSparseHeader| -> Result<(), ArchiveError> {
        if !sparse.is_empty() {
            if regions.len() >= MAX_REGIONS {
                return Err(too_many_regions());
            }
            let (offset, length) = (number("offset", &sparse.offset)?, number("length", &sparse.numbytes)?);
            regions.push(DataRegion { offset, length });
        }
        Ok(())
    };
    for sparse in &gnu.sparse {
        add(sparse)?;
    }
    let mut is_continued = gnu.is_extended();
    // A block lists at most 21 regions. The bound ends a chain of blocks that list none.
    for _ in 0..=MAX_REGIONS / 21 {
        if !is_continued {
            return Ok(SparseMap { regions, size });
        }
        let mut block = GnuExtSparseHeader::new();
        input.read_exact(block.as_mut_bytes()).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => cut_off(),
            _ => error,
        })?;
        for sparse in block.sparse() {
            add(sparse)?;
        }
        is_continued = block.is_extended();
    }
    Err(too_many_regions())
}

fn too_many_regions() -> ArchiveError {
    ArchiveError::Limit(format!("it has a sparse file of more than {MAX_REGIONS} regions"))
}
