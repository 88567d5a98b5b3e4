//! The members of a tar archive, one after the other, with the names, links and sizes that extensions give them.
//!
//! The `tar` crate reads the headers' fields. Its own iterator is not used, because it reads extensions of any size into
//! memory: an archive of a few kilobytes could exhaust the container's memory. Here an extension larger than
//! [`MAX_EXTENSION`] is refused, and only the current member is held in memory.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::block::{ArchiveError, BLOCK, cut_off, decimal, is_header, number, read};
use super::sparse::{self, SparseMap, SparseRecords};

/// The maximum size of an extension (a long name, extended attributes), in bytes.
const MAX_EXTENSION: u64 = 1 << 20;

/// The maximum length of the decimal length before a PAX record, in digits.
const MAX_LENGTH_DIGITS: usize = 20;

/// The type of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberKind {
    File,
    Folder,
    Symlink,
    HardLink,
    /// A type that code has no use for, in words.
    Other(String),
}

/// One member of an archive, without its data.
#[derive(Debug)]
pub struct Member {
    /// The name as in the archive; any bytes.
    pub name: Vec<u8>,
    /// The target of a link; any bytes. Empty for other members.
    pub link: Vec<u8>,
    pub kind: MemberKind,
    /// The permission bits.
    pub mode: u32,
    /// The size of the file, in bytes. A sparse file's data is smaller.
    pub size: u64,
    /// The layout of a sparse file's data.
    pub sparse: Option<SparseMap>,
}

impl Member {
    /// Returns the number of bytes that the archive holds for the member.
    pub fn data_size(&self) -> u64 {
        match &self.sparse {
            Some(map) => map.regions.iter().map(|region| region.length).sum(),
            None => self.size,
        }
    }
}

/// The content of the extensions that precede a member.
#[derive(Default)]
struct Extensions {
    any: bool,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: SparseRecords,
}

/// The members of an archive.
pub struct Members<R> {
    input: R,
    /// The number of bytes of the current member's data that are not read yet.
    unread: u64,
    /// The number of bytes that pad the current member's data to whole blocks.
    padding: u64,
    headers: u64,
    max_headers: u64,
}

impl<R: Read> Members<R> {
    /// Starts to read an archive of at most `max_headers` headers.
    pub fn new(input: R, max_headers: u64) -> Members<R> {
        Members { input, unread: 0, padding: 0, headers: 0, max_headers }
    }

    /// Returns the number of headers read so far, including those of extensions.
    pub fn headers(&self) -> u64 {
        self.headers
    }

    /// Returns the next member, or `None` at the archive's end. Skips the unread data of the previous member.
    pub fn next(&mut self) -> Result<Option<Member>, ArchiveError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                if extensions.any {
                    return Err(ArchiveError::malformed("it ends where a file should follow"));
                }
                return Ok(None);
            };
            let kind = header.entry_type();
            if !(kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions())
            {
                return self.member(&header, extensions).map(Some);
            }
            self.set_size(number("size", &header.as_old().size)?)?;
            if kind.is_pax_global_extensions() {
                continue; // git stores the commit there; no known tool stores anything that code needs
            }
            extensions.any = true;
            let data = self.extension()?;
            match kind {
                EntryType::GNULongName => extensions.name = Some(until_nul(data)),
                EntryType::GNULongLink => extensions.link = Some(until_nul(data)),
                _ => extensions.read(&data)?,
            }
        }
    }

    /// Reads the current member's data into `buffer` and returns the number of bytes; 0 at its end.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.unread).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let count = read(&mut self.input, &mut buffer[..wanted])?;
        if count == 0 {
            return Err(cut_off());
        }
        self.unread -= count as u64;
        Ok(count)
    }

    /// Returns the reader of the archive's content, to read what follows its end.
    pub fn input(&mut self) -> &mut R {
        &mut self.input
    }

    /// Returns the next header, or `None` at the end: a block of zeros, or the end of the content.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < BLOCK {
            match read(&mut self.input, &mut block[filled..])? {
                0 if filled == 0 && self.headers > 0 => return Ok(None),
                0 => return Err(cut_off().into()),
                count => filled += count,
            }
        }
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if !is_header(block) {
            return Err(ArchiveError::Malformed(format!("the block after {} headers is not a header", self.headers)));
        }
        self.headers += 1;
        if self.headers > self.max_headers {
            return Err(ArchiveError::Limit(format!("it holds more than {} entries", self.max_headers)));
        }
        Ok(Some(header))
    }

    /// Returns the member that `header` and the extensions before it describe.
    fn member(&mut self, header: &Header, extensions: Extensions) -> Result<Member, ArchiveError> {
        let Extensions { name, link, size, sparse: mut records, .. } = extensions;
        let mut name = name.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
        let mut kind = kind_of(header);
        // Folders, links and devices have no data, whatever their size field says.
        let mut size = match size {
            _ if !has_data(header.entry_type()) => 0,
            Some(size) => size,
            None => number("size", &header.as_old().size)?,
        };
        let mut sparse = None;
        if header.entry_type().is_gnu_sparse() {
            let map = sparse::gnu_map(header, &mut self.input)?;
            self.set_size(size)?;
            sparse = Some(map.checked()?);
        } else {
            self.set_size(size)?;
            if let Some(real) = records.name.take() {
                name = real;
            }
            if kind == MemberKind::File && records.is_sparse() {
                sparse = Some(records.map(|block| self.read_block(block))?.checked()?);
            }
        }
        if let Some(map) = &sparse {
            size = map.size;
        }
        if kind == MemberKind::File && name.ends_with(b"/") {
            kind = MemberKind::Folder; // archives from before 1988 mark folders this way
        }
        let mode = header.mode().unwrap_or(0o644);
        Ok(Member { name, link, kind, mode, size, sparse })
    }

    /// Fills a block with the current member's data.
    fn read_block(&mut self, block: &mut [u8; BLOCK]) -> io::Result<()> {
        let mut filled = 0;
        while filled < BLOCK {
            match self.read(&mut block[filled..])? {
                0 => return Err(cut_off()),
                count => filled += count,
            }
        }
        Ok(())
    }

    /// Sets the size of the current member's data, in bytes.
    fn set_size(&mut self, size: u64) -> Result<(), ArchiveError> {
        self.unread = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        if size.checked_add(self.padding).is_none() {
            return Err(ArchiveError::malformed("an entry's size is not possible"));
        }
        Ok(())
    }

    /// Returns all of the current member's data, which is an extension.
    fn extension(&mut self) -> Result<Vec<u8>, ArchiveError> {
        if self.unread > MAX_EXTENSION {
            return Err(ArchiveError::Limit(format!("it has an extended header of {} bytes", self.unread)));
        }
        let mut data = Vec::new();
        let mut buffer = [0; BLOCK];
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(data),
                count => data.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Skips the rest of the current member's data and its padding.
    fn skip(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * BLOCK];
        while self.read(&mut buffer)? > 0 {}
        self.unread = std::mem::take(&mut self.padding);
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }
}

impl Extensions {
    /// Reads the records `LENGTH KEY=VALUE\n` of a PAX header.
    fn read(&mut self, mut data: &[u8]) -> Result<(), ArchiveError> {
        while !data.is_empty() && data[0] != 0 {
            let (key, value, rest) =
                record(data).ok_or_else(|| ArchiveError::malformed("an extended header makes no sense"))?;
            data = rest;
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(decimal(value)?),
                _ => self.sparse.read(key, value)?,
            }
        }
        Ok(())
    }
}

/// Splits the first record off a PAX header: its key, its value, and the rest. Values may hold newlines.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(MAX_LENGTH_DIGITS).position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&data[..space]).ok()?.parse().ok()?;
    let body = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    Some((&body[..equals], &body[equals + 1..], &data[length..]))
}

fn kind_of(header: &Header) -> MemberKind {
    match header.entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => MemberKind::File,
        EntryType::Directory => MemberKind::Folder,
        EntryType::Symlink => MemberKind::Symlink,
        EntryType::Link => MemberKind::HardLink,
        EntryType::Char | EntryType::Block => MemberKind::Other("a device".to_owned()),
        EntryType::Fifo => MemberKind::Other("a named pipe".to_owned()),
        other => MemberKind::Other(format!("of the unknown type {:?}", char::from(other.as_byte()))),
    }
}

fn has_data(kind: EntryType) -> bool {
    use EntryType::{Block, Char, Directory, Fifo, Link, Symlink};
    !matches!(kind, Directory | Symlink | Link | Char | Block | Fifo)
}

fn until_nul(mut data: Vec<u8>) -> Vec<u8> {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    data.truncate(end);
    data
}
