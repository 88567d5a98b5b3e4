//! Reading a tar archive: one member after the other, with the names, links and sizes that extensions give them.
//!
//! The headers' fields are read by the `tar` crate. Its own iterator is not used, because it reads extensions of any
//! size into memory: an archive of a few kilobytes could take all memory of the container. Here an extension over
//! [`EXTENSION`] is refused, and nothing else is held than the member at hand.

use std::io::{self, ErrorKind, Read};

use tar::{EntryType, Header};

use super::sparse::{self, Piece, SparseRecords};

/// Headers and data come in blocks of this many bytes.
pub(super) const BLOCK: usize = 512;
/// How large an extension (a long name, extended attributes) may be.
const EXTENSION: u64 = 1 << 20;

/// Why an archive cannot be read on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It cannot be read at all, or ends too early, or its compressed data is corrupt.
    Read(io::Error),
    /// What was read makes no sense.
    Malformed(String),
    /// It goes over a limit.
    Limit(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Read(error)
    }
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Symlink,
    HardLink,
    /// Something that no source has need of, in words.
    Other(String),
}

/// One member of an archive, without its data.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name as it is in the archive, any bytes.
    pub name: Vec<u8>,
    /// What it links to, any bytes; empty if it is no link.
    pub link: Vec<u8>,
    pub kind: Kind,
    /// Its permission bits.
    pub mode: u32,
    /// How long the file is, which for a sparse file is more than its data.
    pub size: u64,
    /// Where the data of a sparse file goes.
    pub pieces: Option<Vec<Piece>>,
}

/// What extensions say of the member that follows them.
#[derive(Default)]
struct Extensions {
    any: bool,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: SparseRecords,
}

/// The members of an archive.
pub(super) struct Members<R> {
    input: R,
    /// How much of the current member's data was not read yet.
    unread: u64,
    /// What fills the current member's data up to a whole block.
    padding: u64,
    headers: u64,
    most: u64,
}

impl<R: Read> Members<R> {
    /// Reads an archive of at most `most` headers.
    pub fn new(input: R, most: u64) -> Members<R> {
        Members { input, unread: 0, padding: 0, headers: 0, most }
    }

    /// How many headers were read, extensions among them.
    pub fn headers(&self) -> u64 {
        self.headers
    }

    /// The next member, or `None` at the archive's end. What was not read of the last one's data is skipped.
    pub fn next(&mut self) -> Result<Option<Member>, Trouble> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return match extensions.any {
                    true => Err(Trouble::Malformed("it ends where a file should follow".to_owned())),
                    false => Ok(None),
                };
            };
            let kind = header.entry_type();
            if !(kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions())
            {
                return self.member(&header, extensions).map(Some);
            }
            self.set_size(number("size", header.entry_size())?)?;
            if kind.is_pax_global_extensions() {
                continue; // git writes its commit there; nothing that a source needs comes this way
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

    /// Reads the current member's data into `buffer`; 0 at its end.
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

    /// What the archive is read from.
    pub fn input(&mut self) -> &mut R {
        &mut self.input
    }

    /// The next header that is not all zeros, which mark the end. An archive may also just end.
    fn header(&mut self) -> Result<Option<Header>, Trouble> {
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
            return Err(Trouble::Malformed(format!("after {} headers comes something else", self.headers)));
        }
        self.headers += 1;
        if self.headers > self.most {
            return Err(Trouble::Limit(format!("it holds more than {} entries", self.most)));
        }
        Ok(Some(header))
    }

    /// The member that `header` describes, with what the extensions before it say.
    fn member(&mut self, header: &Header, extensions: Extensions) -> Result<Member, Trouble> {
        let Extensions { name, link, size, sparse: mut records, .. } = extensions;
        let mut name = name.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
        let mut kind = kind(header);
        // Folders, links and devices have no data, whatever their size says.
        let mut size = match (&kind, size) {
            (Kind::File, Some(size)) => size,
            (Kind::File, None) => number("size", header.entry_size())?,
            (Kind::Other(_), size) if has_data(header.entry_type()) => match size {
                Some(size) => size,
                None => number("size", header.entry_size())?,
            },
            _ => 0,
        };
        let mut pieces = None;
        if header.entry_type().is_gnu_sparse() {
            let (map, whole) = sparse::old_map(header, &mut self.input)?;
            self.set_size(size)?;
            sparse::check(&map, whole)?;
            (pieces, size) = (Some(map), whole);
        } else {
            self.set_size(size)?;
            if let Some(real) = records.name.take() {
                name = real;
            }
            if kind == Kind::File && records.is_sparse() {
                let (map, whole) = records.map(|block| {
                    let mut filled = 0;
                    while filled < BLOCK {
                        match self.read(&mut block[filled..])? {
                            0 => return Err(cut_off()),
                            count => filled += count,
                        }
                    }
                    Ok(())
                })?;
                sparse::check(&map, whole)?;
                (pieces, size) = (Some(map), whole);
            }
        }
        if kind == Kind::File && name.ends_with(b"/") {
            kind = Kind::Folder; // how archives from before 1988 mark folders
        }
        let mode = header.mode().unwrap_or(0o644);
        Ok(Member { name, link, kind, mode, size, pieces })
    }

    fn set_size(&mut self, size: u64) -> Result<(), Trouble> {
        self.unread = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        match size.checked_add(self.padding) {
            Some(_) => Ok(()),
            None => Err(Trouble::Malformed("an entry's size is not possible".to_owned())),
        }
    }

    /// All of the current member's data, which is an extension.
    fn extension(&mut self) -> Result<Vec<u8>, Trouble> {
        if self.unread > EXTENSION {
            return Err(Trouble::Limit(format!("it has an extended header of {} bytes", self.unread)));
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
    fn read(&mut self, mut data: &[u8]) -> Result<(), Trouble> {
        while !data.is_empty() && data[0] != 0 {
            let (key, value, rest) =
                record(data).ok_or_else(|| Trouble::Malformed("an extended header makes no sense".to_owned()))?;
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

/// The first record of a PAX header, as its key, its value, and what follows. Values may hold newlines.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(20).position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&data[..space]).ok()?.parse().ok()?;
    let body = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    Some((&body[..equals], &body[equals + 1..], &data[length..]))
}

fn kind(header: &Header) -> Kind {
    match header.entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Directory => Kind::Folder,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Link => Kind::HardLink,
        EntryType::Char | EntryType::Block => Kind::Other("a device".to_owned()),
        EntryType::Fifo => Kind::Other("a named pipe".to_owned()),
        other => Kind::Other(format!("of the unknown type {:?}", char::from(other.as_byte()))),
    }
}

fn has_data(kind: EntryType) -> bool {
    !matches!(kind, EntryType::Char | EntryType::Block | EntryType::Fifo)
}

/// Whether a block is a tar header: its checksum tells. Some old programs summed up signed bytes.
pub(super) fn is_header(block: &[u8; BLOCK]) -> bool {
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

pub(super) fn number(field: &str, value: io::Result<u64>) -> Result<u64, Trouble> {
    value.map_err(|_| Trouble::Malformed(format!("the {field} of an entry is not a number")))
}

pub(super) fn decimal(text: &[u8]) -> Result<u64, Trouble> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Trouble::Malformed("a number of an extended header is none".to_owned()))
}

fn until_nul(mut data: Vec<u8>) -> Vec<u8> {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    data.truncate(end);
    data
}

pub(super) fn cut_off() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "it ends too early")
}

/// Reads, and tries again if a signal came in between.
fn read(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
