//! A program or library in memory, as the loader has placed it, and the addresses of its exported names.
//!
//! The image contains everything that is needed, so its file, which may be in another mount namespace, is not opened.
//! The format is elf(5), with the hash table of the GNU tools.

use super::memory::Memory;

/// The sizes of an entry of the dynamic section and of a symbol.
const DYNAMIC_ENTRY: u64 = 16;
const SYMBOL: u64 = 24;

/// The types of program headers.
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;

/// The tags of the dynamic section.
const STRINGS: u64 = 5;
const SYMBOLS: u64 = 6;
const GNU_HASH: u64 = 0x6fff_fef5;

/// The maximum number of entries of a table that are read, so that reading a broken table ends.
const MAX_HEADERS: u64 = 64;
const MAX_DYNAMIC: u64 = 256;
const MAX_CHAIN: u64 = 1 << 16;

/// An image in memory.
#[derive(Debug)]
pub(super) struct LoadedImage<'a, M> {
    memory: &'a M,
    /// The difference between an address in memory and one in the file.
    bias: u64,
    symbols: u64,
    strings: u64,
    hash: u64,
}

impl<'a, M: Memory> LoadedImage<'a, M> {
    /// Finds the tables of the image that begins at an address. `None` if there is no image, or if it exports
    /// nothing.
    pub(super) fn at(memory: &'a M, base: u64) -> Option<LoadedImage<'a, M>> {
        let header: [u8; 64] = memory.array(base, 0)?;
        // ELF, 64 bits, little-endian.
        if !header.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let number = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let (offset, size, count) = (u64::from_le_bytes(header[32..40].try_into().ok()?), number(54), number(56));
        let headers = (0..count.min(MAX_HEADERS)).filter_map(|n| {
            let at = base.wrapping_add(offset).wrapping_add(n * size);
            Some((memory.half(at, 0)?, memory.word(at, 16)?))
        });
        let headers: Vec<(u32, u64)> = headers.collect();
        let address_of = |kind: u32| headers.iter().find(|header| header.0 == kind).map(|header| header.1);
        // The first loaded segment begins with the header.
        let bias = base.wrapping_sub(address_of(LOAD)?);
        let dynamic = address_of(DYNAMIC)?.wrapping_add(bias);

        let entry =
            |n: u64| Some((memory.word(dynamic, n * DYNAMIC_ENTRY)?, memory.word(dynamic, n * DYNAMIC_ENTRY + 8)?));
        let entries: Vec<(u64, u64)> = (0..MAX_DYNAMIC).map_while(entry).take_while(|(tag, _)| *tag != 0).collect();
        // The loader of glibc replaces file addresses in this section by memory addresses. That of musl does not.
        let table = |tag: u64| {
            let value = entries.iter().find(|entry| entry.0 == tag)?.1;
            Some(if value < base { value.wrapping_add(bias) } else { value })
        };
        Some(LoadedImage { memory, bias, symbols: table(SYMBOLS)?, strings: table(STRINGS)?, hash: table(GNU_HASH)? })
    }

    /// Returns the address of an exported name.
    pub(super) fn address(&self, name: &str) -> Option<u64> {
        let LoadedImage { memory, hash: table, .. } = *self;
        let [buckets, first, filters] = [0, 4, 8].map(|at| memory.half(table, at).map(u64::from));
        let (buckets, first, bucket_table) = (buckets?, first?, 16 + filters? * 8);
        let chain = bucket_table + buckets * 4;
        let hash = gnu_hash(name);
        let bucket = u64::from(hash).checked_rem(buckets)?;
        let start = u64::from(memory.half(table, bucket_table + bucket * 4)?).max(first);
        for symbol in start..start + MAX_CHAIN {
            let found = memory.half(table, chain + (symbol - first) * 4)?;
            if found | 1 == hash | 1 && self.is_named(symbol, name)? {
                return Some(memory.word(self.symbols, symbol * SYMBOL + 8)?.wrapping_add(self.bias));
            }
            // The last entry of a chain has an odd hash.
            if found & 1 == 1 {
                break;
            }
        }
        None
    }

    fn is_named(&self, symbol: u64, name: &str) -> Option<bool> {
        let at = u64::from(self.memory.half(self.symbols, symbol * SYMBOL)?);
        let found = self.memory.bytes(self.strings, at, name.len() + 1)?;
        Some(found.strip_suffix(b"\0") == Some(name.as_bytes()))
    }
}

/// Returns the hash of a name, as the GNU tools define it.
fn gnu_hash(name: &str) -> u32 {
    name.bytes().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(byte.into()))
}

#[cfg(test)]
mod tests {
    use super::super::memory::tests::Piece;
    use super::{LoadedImage, gnu_hash};

    /// Makes an image at 0x10000 that exports `_PyRuntime` and another name with a hash in the same bucket.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 0x1000];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, b"\x7fELF\x02\x01");
        put(32, &64u64.to_le_bytes());
        put(54, &56u16.to_le_bytes());
        put(56, &2u16.to_le_bytes());
        put(64, &1u32.to_le_bytes());
        put(64 + 56, &2u32.to_le_bytes());
        put(64 + 56 + 16, &0x200u64.to_le_bytes());
        // The first address is a file address, the others are memory addresses.
        for (n, (tag, value)) in [(5u64, 0x300u64), (6, 0x1_0400), (0x6fff_fef5, 0x1_0500)].into_iter().enumerate() {
            put(0x200 + n * 16, &tag.to_le_bytes());
            put(0x208 + n * 16, &value.to_le_bytes());
        }
        put(0x300, b"\0other\0_PyRuntime\0");
        for (n, (name, value)) in [(1u32, 0x700u64), (7, 0x800)].into_iter().enumerate() {
            put(0x400 + (n + 1) * 24, &name.to_le_bytes());
            put(0x408 + (n + 1) * 24, &value.to_le_bytes());
        }
        // One bucket, the first symbol with a hash, and one filter.
        for (n, value) in
            [1u32, 1, 1, 0, 0, 0, 1, gnu_hash("other") & !1, gnu_hash("_PyRuntime") | 1].into_iter().enumerate()
        {
            put(0x500 + n * 4, &value.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn exported_names_have_addresses() {
        let memory = Piece { start: 0x1_0000, bytes: image() };
        let image = LoadedImage::at(&memory, 0x1_0000).expect("an image");
        assert_eq!(image.address("_PyRuntime"), Some(0x1_0800));
        assert_eq!(image.address("other"), Some(0x1_0700));
        assert_eq!(image.address("Py_Version"), None);
    }

    #[test]
    fn a_broken_image_has_none() {
        assert!(LoadedImage::at(&Piece { start: 0, bytes: vec![0; 64] }, 0).is_none());
        // The search ends whichever byte is wrong.
        for at in 0..0x530 {
            let mut bytes = image();
            bytes[at] ^= 0xff;
            let memory = Piece { start: 0x1_0000, bytes };
            let _ = LoadedImage::at(&memory, 0x1_0000).and_then(|image| image.address("_PyRuntime"));
        }
    }
}
