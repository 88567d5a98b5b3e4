//! Archive formats other than tar: recognizing them, so that an error can name them.

/// The names of the formats, by the bytes at the start of a file.
///
/// Sources: the formats' specifications and the database of file(1).
const FORMATS: [(&[u8], &str); 30] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"PK\x07\x08", "a part of a zip archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"RE~^", "a rar archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"LZIP", "an lzip file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"\x04\x22\x4d\x18", "an lz4 file"),
    (b"\x03\x21\x4c\x18", "an lz4 file"),
    (b"\x02\x21\x4c\x18", "an lz4 file"),
    (b"\x89LZO\0\r\n\x1a\n", "an lzop file"),
    (b"LRZI", "an lrzip file"),
    (b"\xff\x06\0\0sNaPpY", "a snappy file"),
    (b"\x1f\x9d", "a file made with compress (.Z)"),
    (b"\x1f\xa0", "a file made with compress (.Z)"),
    (b"\x1f\x1e", "a file made with pack (.z)"),
    (b"070701", "a cpio archive"),
    (b"070702", "a cpio archive"),
    (b"070707", "a cpio archive"),
    (b"\xc7\x71", "a cpio archive"),
    (b"!<arch>\n", "an ar archive, such as a Debian package"),
    (b"\xed\xab\xee\xdb", "an RPM package"),
    (b"xar!", "a xar archive"),
    (b"MSCF", "a cabinet archive"),
    (b"hsqs", "a squashfs image"),
    (b"\x60\xea", "an arj archive"),
    (b"KDMV", "a virtual disk"),
];

/// The ends of file names that promise an archive, in lower case.
const NAMES: [&str; 26] = [
    ".tar", ".gz", ".tgz", ".zip", ".rar", ".7z", ".bz2", ".tbz", ".tbz2", ".tb2", ".xz", ".txz", ".lzma", ".tlz",
    ".lz", ".lzo", ".lz4", ".zst", ".tzst", ".zstd", ".z", ".taz", ".cpio", ".br", ".cab", ".arj",
];

/// Returns the name of the format that `start`, the first bytes of a file, belongs to, unless it is tar or gzip.
pub fn other_format(start: &[u8]) -> Option<&'static str> {
    let named = FORMATS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, name)| *name);
    named.or_else(|| {
        if is_skippable_frame(start) {
            Some("a zstd or lz4 file")
        } else if is_lha(start) {
            Some("an lha archive")
        } else if is_lzma(start) {
            Some("an lzma file")
        } else {
            None
        }
    })
}

/// Returns true if a file of this name, in lower case, should be an archive.
pub fn is_name_of_archive(name: &str) -> bool {
    NAMES.iter().any(|end| name.ends_with(end))
}

/// zstd's and lz4's files may begin with a frame of other data, whose magic is one of sixteen.
fn is_skippable_frame(start: &[u8]) -> bool {
    matches!(start, [first, 0x2a, 0x4d, 0x18, ..] if first & 0xf0 == 0x50)
}

fn is_lha(start: &[u8]) -> bool {
    matches!(start, [_, _, b'-', b'l', b'h' | b'z', _, b'-', ..])
}

/// The format has no magic: a byte of properties below 225, the size of the dictionary, which is a power of two or the
/// sum of two adjacent ones, and the size of the content, which is unknown (all ones) or below 256 GiB (the rule of xz).
fn is_lzma(start: &[u8]) -> bool {
    let Some(header) = start.first_chunk::<13>() else { return false };
    let [properties, d0, d1, d2, d3, size @ ..] = *header;
    let (dictionary, size) = (u32::from_le_bytes([d0, d1, d2, d3]), u64::from_le_bytes(size));
    let is_common =
        dictionary >= 4096 && (dictionary.count_ones() == 1 || dictionary >> dictionary.trailing_zeros() == 3);
    properties == 0x5d && is_common && (size == u64::MAX || size < 256 << 30)
}

#[cfg(test)]
mod tests {
    use super::{is_name_of_archive, other_format};

    #[test]
    fn formats_without_a_magic_of_their_own_are_told_from_texts() {
        let lzma = |dictionary: u32, size: u64| [&[0x5d][..], &dictionary.to_le_bytes(), &size.to_le_bytes()].concat();
        assert_eq!(other_format(&lzma(1 << 23, u64::MAX)), Some("an lzma file"));
        assert_eq!(other_format(&lzma(3 << 22, 10_240)), Some("an lzma file"));
        for other in [lzma(12_345, 1), lzma(1 << 23, 1 << 40), b"]\n".to_vec(), b"] = [1, 2, 3, 4]".to_vec(), vec![]] {
            assert_eq!(other_format(&other), None, "{other:?}");
        }
        assert_eq!(other_format(b"\x53\x2a\x4d\x18\x04\0\0\0"), Some("a zstd or lz4 file"));
        assert_eq!(other_format(b"\x28\x00-lh5-\x10"), Some("an lha archive"));
        for text in ["import os\n", "#!/bin/sh\n", "07070 = 1\n", "lz4 = None\n", "\u{feff}import os\n"] {
            assert_eq!(other_format(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn names_that_promise_an_archive_are_known() {
        for name in ["s.tar.gz", "s.tar", "s.tar.z", "s.rar", "s.tar.lz4", "s.tar.zst", "s.tar.lzma", "s.zip", "s.7z"] {
            assert!(is_name_of_archive(name), "{name}");
        }
        for name in ["train.py", "run.sh", "tar", "gz", "a.targz", "zip"] {
            assert!(!is_name_of_archive(name), "{name}");
        }
    }
}
