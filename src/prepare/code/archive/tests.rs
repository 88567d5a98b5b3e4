//! Unpacking archives, valid and hostile ones. Every test unpacks into a folder `jail` and compares its surroundings
//! before and after.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{EntryType, Header};

use super::{ArchiveLimits, unpack};
use crate::prepare::code::{CodeError, WriteReport};

/// A builder of tar archives with headers that the `tar` crate refuses to write.
#[derive(Clone, Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn raw(mut self, kind: u8, name: &[u8], link: &[u8], mode: u32, data: &[u8]) -> Tar {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name);
        old.linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(EntryType::new(kind));
        header.set_size(data.len() as u64);
        header.set_mode(mode);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, data: &str) -> Tar {
        self.raw(b'0', name.as_bytes(), b"", 0o644, data.as_bytes())
    }

    fn link(self, name: &str, target: &str) -> Tar {
        self.raw(b'2', name.as_bytes(), target.as_bytes(), 0o777, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Tar {
        self.raw(b'1', name.as_bytes(), target.as_bytes(), 0o644, b"")
    }

    /// Adds a PAX header with these records for the next member.
    fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (1..8).map(|digits| rest + digits).find(|n| n.to_string().len() + rest == *n).unwrap();
            data.extend(format!("{length} {key}=").as_bytes());
            data.extend(*value);
            data.push(b'\n');
        }
        self.raw(b'x', b"PaxHeader", b"", 0o644, &data)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder `jail` to unpack into. Next to it are a file, a folder and the archive.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Scratch {
        let scratch = Scratch { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(scratch.at("jail")).unwrap();
        fs::create_dir_all(scratch.at("beside")).unwrap();
        fs::write(scratch.at("secret"), "untouched").unwrap();
        fs::write(scratch.at("beside/file"), "untouched").unwrap();
        scratch
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn unpack(&self, bytes: &[u8]) -> Result<WriteReport, CodeError> {
        self.unpack_within(bytes, &ArchiveLimits::default())
    }

    fn unpack_within(&self, bytes: &[u8], limits: &ArchiveLimits) -> Result<WriteReport, CodeError> {
        fs::write(self.at("archive"), bytes).unwrap();
        let before = self.outside();
        let result = unpack(&self.at("archive"), &self.at("jail"), limits);
        assert_eq!(self.outside(), before, "something outside was changed");
        result
    }

    /// Returns everything outside the jail: mode, links, size, times of change and content of each entry.
    fn outside(&self) -> BTreeMap<PathBuf, String> {
        let mut found = tree(self.folder.path(), &self.at("jail"));
        found.retain(|path, _| !path.starts_with(self.at("jail")));
        found
    }

    /// Returns the content of the jail: files with their content, links with `-> target`, folders with `/`.
    fn jail(&self) -> Vec<String> {
        let mut found = Vec::new();
        for path in tree(&self.at("jail"), Path::new("/none")).into_keys() {
            let name = path.strip_prefix(self.at("jail")).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap();
            found.push(match fs::read_link(&path) {
                Ok(target) => format!("{name} -> {}", target.display()),
                Err(_) if kind.is_dir() => format!("{name}/"),
                Err(_) => format!("{name}={}", String::from_utf8_lossy(&fs::read(&path).unwrap())),
            });
        }
        found
    }
}

fn tree(folder: &Path, except: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = path.symlink_metadata().unwrap();
        let content = if about.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let times = (about.ctime(), about.ctime_nsec());
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let line = format!("{:o} {} {} {times:?} {}", about.mode(), about.nlink(), about.len(), hasher.finish());
        if about.is_dir() && path != except {
            found.extend(tree(&path, except));
        }
        found.insert(path, line);
    }
    found
}

fn notes(report: &WriteReport) -> String {
    report.notes.to_string()
}

#[test]
fn names_modes_and_links_are_kept() {
    let scratch = Scratch::new();
    let tar = Tar::default()
        .raw(b'5', b"./", b"", 0o700, b"")
        .raw(b'5', b"sub/", b"", 0o2777, b"")
        .raw(b'0', b"sub/run.sh", b"", 0o6755, b"echo")
        .raw(b'7', b"secret.key", b"", 0o100, b"k")
        .raw(b'\0', "sp ace/\u{e4}\\..\\x\n".as_bytes(), b"", 0o666, b"w")
        .raw(b'0', b"bytes\xff", b"", 0o644, b"b")
        .raw(b'0', b"old/", b"", 0o755, b"")
        .file("._train.py", "mac")
        .file("twice", "first")
        .file("twice", "second")
        .link("sub/up", "../twice")
        .link("sub/self", ".")
        .link("dangling", "later/or/never")
        .hard_link("hard", "sub/run.sh")
        .end();
    let report = scratch.unpack(&gzip(&tar)).unwrap();
    let bytes = "bytes\u{fffd}";
    assert_eq!(
        scratch.jail(),
        [
            "._train.py=mac",
            &format!("{bytes}=b"),
            "dangling -> later/or/never",
            "hard=echo",
            "old/",
            "secret.key=k",
            "sp ace/",
            "sp ace/\u{e4}\\..\\x\n=w",
            "sub/",
            "sub/run.sh=echo",
            "sub/self -> .",
            "sub/up -> ../twice",
            "twice=second",
        ]
    );
    let mode = |name: &str| scratch.at("jail").join(name).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode("sub"), mode("sub/run.sh"), mode("secret.key"), mode("sp ace/ä\\..\\x\n")),
        (0o755, 0o755, 0o700, 0o644)
    );
    assert_eq!((report.files, report.links, report.replaced, report.was_filled), (7, 4, 0, false));
    assert_eq!(report.bytes, 4 + 1 + 1 + 1 + 3 + 5 + 6);
    assert!(report.notes.is_empty(), "{}", report.notes);
}

#[test]
fn archives_of_pythons_tarfile_are_read_in_every_format() {
    let scratch = Scratch::new();
    let script = "
import io, sys, tarfile
deep = '/'.join(['d' * 60] * 6)
for number, form in enumerate([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]):
    with tarfile.open(f'{sys.argv[1]}/py{number}.tar.gz', 'w:gz', format=form) as tar:
        def add(name, **kw):
            info = tarfile.TarInfo(name)
            data = b'' if 'linkname' in kw else name.encode()
            info.size = len(data)
            for key, value in kw.items(): setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
        add('train.py', mtime=1.5 if number == 2 else 1)
        add(('a' * 90 + '/') + 'b' * 90)
        if number:
            add(deep + '/file')
            add('l', type=tarfile.SYMTYPE, linkname=deep + '/file')
            add('\\u00fc' * 120)
";
    let made = Command::new("python3").args(["-c", script]).arg(scratch.folder.path()).status().unwrap();
    assert!(made.success());
    let deep = [&*"d".repeat(60); 6].join("/");
    for (number, files) in [(0, 2), (1, 4), (2, 4)] {
        let bytes = fs::read(scratch.at(&format!("py{number}.tar.gz"))).unwrap();
        let report = scratch.unpack(&bytes).unwrap();
        assert_eq!((report.files, notes(&report)), (files, String::new()), "{number}");
        assert_eq!(fs::read_to_string(scratch.at("jail/train.py")).unwrap(), "train.py");
        let long = format!("{}/{}", "a".repeat(90), "b".repeat(90));
        assert_eq!(fs::read_to_string(scratch.at("jail").join(&long)).unwrap(), long);
        if number > 0 {
            assert_eq!(fs::read_to_string(scratch.at("jail/l")).unwrap(), format!("{deep}/file"));
        }
        fs::remove_dir_all(scratch.at("jail")).unwrap();
        fs::create_dir(scratch.at("jail")).unwrap();
    }
}

#[test]
fn sparse_files_of_every_format_are_read() {
    let scratch = Scratch::new();
    let file = fs::File::create(scratch.at("beside/sparse")).unwrap();
    let piece = |n: u64| std::os::unix::fs::FileExt::write_all_at(&file, b"data", n * 100_000).unwrap();
    (1..40).for_each(piece);
    file.set_len(5_000_000).unwrap();
    let expected = fs::read(scratch.at("beside/sparse")).unwrap();
    let formats: [&[&str]; 4] = [
        &["--format=gnu"],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ];
    for format in formats {
        let packed = scratch.at("packed.tar");
        let mut tar = Command::new("tar");
        tar.args(format).arg("-S").arg("-cf").arg(&packed).arg("-C").arg(scratch.at("beside")).args(["sparse", "file"]);
        assert!(tar.status().unwrap().success());
        let bytes = fs::read(&packed).unwrap();
        assert!(bytes.len() < 1_000_000, "tar found no holes");
        let report = scratch.unpack(&bytes).unwrap();
        assert_eq!((report.files, report.bytes, notes(&report)), (2, 5_000_009, String::new()), "{format:?}");
        assert!(fs::read(scratch.at("jail/sparse")).unwrap() == expected, "{format:?}");
        assert!(scratch.at("jail/sparse").metadata().unwrap().blocks() * 512 < 1_000_000, "{format:?}: no holes");
        assert_eq!(fs::read_to_string(scratch.at("jail/file")).unwrap(), "untouched");
    }
}

#[test]
fn an_inconsistent_sparse_map_is_damage() {
    let scratch = Scratch::new();
    let sparse = |size: &str, map: &str| {
        let records = [("GNU.sparse.size", size.as_bytes()), ("GNU.sparse.map", map.as_bytes())];
        scratch.unpack(&Tar::default().pax(&records).file("x", "12345678").end())
    };
    assert_eq!(sparse("20", "0,4,16,4").unwrap().bytes, 20);
    assert_eq!(fs::read(scratch.at("jail/x")).unwrap(), b"1234\0\0\0\0\0\0\0\0\0\0\0\x005678");
    let far = u64::MAX.to_string() + ",4";
    for (size, map) in [
        ("20", "4,4,0,4"),
        ("20", "0,4,18,4"),
        ("20", "0,4,2,4"),
        ("20", "0,9"),
        ("20", "0,x"),
        ("x", "0,1"),
        ("20", &far),
    ] {
        let error = sparse(size, map).unwrap_err();
        assert!(matches!(error, CodeError::Damaged { .. }), "{map}: {error:?}");
    }
    let many = "0,0,".repeat(100_001);
    assert!(matches!(sparse("20", &many).unwrap_err(), CodeError::TooLarge { .. }));
}

#[test]
fn a_partly_written_file_is_removed() {
    let scratch = Scratch::new();
    let tar = Tar::default().file("a", "x").file("b", &"y".repeat(9000)).end();
    assert!(scratch.unpack(&tar[..5000]).is_err());
    assert_eq!(scratch.jail(), ["a=x"]);
}

#[test]
fn consecutive_gzip_members_are_one_archive() {
    let scratch = Scratch::new();
    let tar = Tar::default().file("a", &"x".repeat(5000)).file("b", "y").end();
    let (first, second) = tar.split_at(700);
    let bytes = [gzip(first), gzip(b""), gzip(second), b"and something else".to_vec()].concat();
    assert_eq!(scratch.unpack(&bytes).unwrap().files, 2);
    assert_eq!(fs::read(scratch.at("jail/a")).unwrap().len(), 5000);
}

#[test]
fn names_that_lead_outside_are_moved_inside() {
    let scratch = Scratch::new();
    let absolute = scratch.at("secret").display().to_string();
    let tar = Tar::default()
        .file("../secret", "1")
        .file("../../../../../../../../etc/passwd", "2")
        .file("a/../../beside/file", "3")
        .file(&absolute, "4")
        .file("//x", "5")
        .file("..\\..\\y", "6")
        .file("..", "7")
        .file("/", "8")
        .file("a/./../b", "9")
        .raw(b'5', b"../made", b"", 0o755, b"")
        .end();
    let report = scratch.unpack(&tar).unwrap();
    let jail = scratch.jail();
    for expected in ["secret=1", "etc/passwd=2", "a/beside/file=3", "x=5", "..\\..\\y=6", "a/b=9", "made/"] {
        assert!(jail.iter().any(|found| found == expected), "{expected}: {jail:?}");
    }
    assert!(jail.contains(&format!("{}=4", &absolute[1..])), "{jail:?}");
    let text = notes(&report);
    assert!(text.starts_with("\"../secret\" would be outside the code folder: written to secret; "), "{text}");
    assert!(text.contains("\"..\" is not a usable name: left out"), "{text}");
    assert!(text.contains("\"//x\" would be outside the code folder: written to x"), "{text}");
    assert_eq!(report.files, 7);
}

#[test]
fn links_that_lead_outside_are_left_out() {
    let scratch = Scratch::new();
    let secret = scratch.at("secret").display().to_string();
    let jail = scratch.at("jail").canonicalize().unwrap().display().to_string();
    let tar = Tar::default()
        .link("l1", "../secret")
        .link("l2", &secret)
        .link("l3", "a/../../secret")
        .link("l4", "/")
        .link("l5", &format!("{jail}2/x"))
        .link("sub/l6", "../../beside")
        .link("l7", "")
        .link("l8", "../not/there/yet")
        .hard_link("h1", "../secret")
        .hard_link("h2", &secret)
        .hard_link("h3", "../../../../../etc/hostname")
        .link("dot", ".")
        .link("sub/fine", &format!("{jail}/inside"))
        .link("sub/also", "../x/../inside")
        .file("inside", "i")
        .end();
    let report = scratch.unpack(&tar).unwrap();
    let found: Vec<String> = scratch.jail().into_iter().filter(|name| !name.ends_with('/')).collect();
    assert_eq!(found, ["dot -> .", "inside=i", "sub/also -> ../inside", "sub/fine -> ../inside"]);
    assert_eq!((report.links, report.notes.kept().len(), report.notes.more()), (3, 10, 1));
    assert!(notes(&report).starts_with("\"l1\" links to \"../secret\" outside the code folder: left out; "));
}

#[test]
fn nothing_is_written_through_a_link() {
    let scratch = Scratch::new();
    // Links of the image: some lead outside, one stays inside.
    symlink("../beside", scratch.at("jail/out")).unwrap();
    symlink("../secret", scratch.at("jail/file")).unwrap();
    fs::create_dir(scratch.at("jail/real")).unwrap();
    symlink("real", scratch.at("jail/in")).unwrap();
    symlink("out", scratch.at("jail/chain")).unwrap();
    fs::write(scratch.at("jail/kept"), "kept").unwrap();
    let tar = Tar::default()
        .file("out/file", "1")
        .file("file", "2")
        .file("in/x", "3")
        .raw(b'5', b"in", b"", 0o755, b"")
        // Links of the archive, which later members are written through, and a pair that leads outside only together.
        .link("a", "b")
        .link("b", "real")
        .file("a/y", "4")
        .link("pair1", "pair2/..")
        .link("pair2", ".")
        .file("pair1/secret", "5")
        .link("real/loop", "loop")
        .file("real/loop/z", "6")
        .hard_link("copy", "file")
        .file("copy", "7")
        .end();
    let report = scratch.unpack(&tar).unwrap();
    assert_eq!(
        scratch.jail(),
        [
            "a -> b",
            "b -> real",
            "chain -> out",
            "copy=7",
            "file=2",
            "in -> real",
            "kept=kept",
            "out/",
            "out/file=1",
            "pair1 -> .",
            "pair2 -> .",
            "real/",
            "real/loop/",
            "real/loop/z=6",
            "real/x=3",
            "real/y=4",
            "secret=5",
        ]
    );
    assert!(report.was_filled);
    assert_eq!(report.replaced, 2, "out and file; files that the archive itself holds twice do not count");
}

#[test]
fn a_link_through_a_link_of_the_image_is_left_out() {
    let scratch = Scratch::new();
    symlink("../beside", scratch.at("jail/out")).unwrap();
    let tar = Tar::default().link("x", "out/file").hard_link("y", "out/file").end();
    let report = scratch.unpack(&tar).unwrap();
    assert!(!scratch.at("jail/x").is_symlink() && !scratch.at("jail/y").exists());
    assert!(notes(&report).contains("\"x\" links to \"out/file\" outside"), "{}", notes(&report));
}

#[test]
fn files_and_folders_replace_one_another() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.at("jail/folder/deep")).unwrap();
    fs::write(scratch.at("jail/folder/deep/x"), "").unwrap();
    fs::write(scratch.at("jail/file"), "").unwrap();
    fs::write(scratch.at("jail/other"), "").unwrap();
    fs::write(scratch.at("jail/same"), "old").unwrap();
    let tar = Tar::default()
        .file("folder", "now a file")
        .file("file/x", "now a folder")
        .raw(b'5', b"other", b"", 0o755, b"")
        .file("same", "new")
        .file("file/x/y", "and deeper")
        .end();
    let report = scratch.unpack(&tar).unwrap();
    let expected = ["file/", "file/x/", "file/x/y=and deeper", "folder=now a file", "other/", "same=new"];
    assert_eq!(scratch.jail(), expected);
    assert_eq!(report.replaced, 4);
}

#[test]
fn devices_pipes_and_unknown_types_are_left_out() {
    let scratch = Scratch::new();
    let mut tar = Tar::default();
    for kind in [b'3', b'4', b'6', b'V', b'Z'] {
        // A device has no data, so its size field must be ignored; otherwise the next member would be taken for data.
        tar = tar.raw(kind, &[b'n', kind], b"", 0o666, if kind > b'6' { b"data" } else { b"" });
    }
    for (kind, name) in [(b'4', "disk"), (b'5', "folder"), (b'2', "link"), (b'1', "other")] {
        let before = tar.0.len();
        tar = tar.raw(kind, name.as_bytes(), b"after", 0o644, &[b'x'; 512]);
        tar.0.truncate(before + 512);
    }
    let report = scratch.unpack(&tar.file("after", "x").end()).unwrap();
    assert_eq!(scratch.jail(), ["after=x", "folder/", "link -> after"]);
    let text = notes(&report);
    for expected in
        ["\"n3\" is a device", "\"n4\" is a device", "\"n6\" is a named pipe", "\"nV\" is of the unknown type"]
    {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn names_that_cannot_be_used_are_left_out() {
    let scratch = Scratch::new();
    let long = "x".repeat(300);
    let deep = "d/".repeat(200) + "f";
    let far = "abcdefg/".repeat(600);
    let tar = Tar::default()
        .pax(&[("path", long.as_bytes())])
        .file("short", "1")
        .pax(&[("path", deep.as_bytes())])
        .file("short", "2")
        .pax(&[("path", far.as_bytes())])
        .file("short", "3")
        .pax(&[("path", b"nul\0byte")])
        .file("short", "4")
        .pax(&[("path", b"new\nline"), ("comment", b"a\nb=c"), ("LIBARCHIVE.xattr.x", b"\0\n\0")])
        .file("short", "5")
        .end();
    let report = scratch.unpack(&tar).unwrap();
    assert_eq!(scratch.jail(), ["new\nline=5"]);
    assert_eq!(report.notes.kept().len(), 4);
    assert!(notes(&report).contains("xxx\"… is too long or too deep a path: left out"), "{}", notes(&report));
    assert!(notes(&report).contains("\"nul\\0byte\" is not a usable name: left out"), "{}", notes(&report));
}

#[test]
fn a_damaged_archive_is_not_taken_for_another_kind_of_file() {
    let scratch = Scratch::new();
    let tar = Tar::default().file("a", &"abc".repeat(9000)).file("b", "x").end();
    let packed = gzip(&tar);
    let text = |bytes: &[u8]| {
        let error = scratch.unpack(bytes).unwrap_err();
        (matches!(error, CodeError::Damaged { .. }), matches!(error, CodeError::NotArchive { .. }), error.to_string())
    };
    for bytes in [&b"import os"[..], b"", &gzip(b"import os"), &gzip(&[b'x'; 5000]), b"\x1f\x8b\x08rest"] {
        let (_, not_archive, message) = text(bytes);
        assert!(not_archive, "{message}");
        assert!(message.contains("make it with `tar czf"), "{message}");
    }
    for bytes in [&tar[..700], &tar[..tar.len() - 1700], &packed[..packed.len() - 40], &packed[..packed.len() - 3]] {
        let (damaged, _, message) = text(bytes);
        assert!(damaged && message.contains("it is cut off after "), "{message}");
    }
    let mut flipped = packed.clone();
    let at = flipped.len() - 6;
    flipped[at] ^= 1;
    assert!(text(&flipped).2.contains("checksum"), "{}", text(&flipped).2);
    let mut garbage = tar.clone();
    garbage[27_648..27_700].fill(7);
    assert!(text(&garbage).0);
    assert!(text(&Tar::default().pax(&[("path", b"x")]).end()).0);
    // A file with a size of 2^87 is not empty.
    let mut huge = Header::new_gnu();
    huge.as_old_mut().size = *b"\x80\x80\0\0\0\0\0\0\0\0\0\0";
    huge.set_cksum();
    let (damaged, _, message) = text(&[huge.as_bytes().as_slice(), &[0; 1024]].concat());
    assert!(damaged && message.contains("the size of an entry is negative, or has more than 64 bits"), "{message}");
    // Many complete archives have no end mark.
    assert_eq!(scratch.unpack(&Tar::default().file("a", "x").0).unwrap().files, 1);
}

#[test]
fn data_with_a_wrong_checksum_is_damaged() {
    // flate2 reports a wrong checksum only in its error's text. This fails if a new version changes that text.
    let scratch = Scratch::new();
    let mut packed = gzip(&Tar::default().file("a", &"abc".repeat(9000)).end());
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    let error = scratch.unpack(&packed).unwrap_err();
    assert!(matches!(&error, CodeError::Damaged { detail, .. } if detail.contains("checksum")), "{error:?}");
}

#[test]
fn an_archive_that_exceeds_a_limit_is_refused() {
    let scratch = Scratch::new();
    let refused = |tar: Vec<u8>, limits: &ArchiveLimits, expected: &str| {
        let error = scratch.unpack_within(&tar, limits).unwrap_err();
        assert!(matches!(error, CodeError::TooLarge { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let few = ArchiveLimits { entries: 3, ..ArchiveLimits::default() };
    let files = Tar::default().file("a", "").file("b", "").file("c", "");
    assert_eq!(scratch.unpack_within(&files.clone().end(), &few).unwrap().files, 3);
    refused(files.file("d", "").end(), &few, "it holds more than 3 entries");
    let small = ArchiveLimits { bytes: 5000, ..ArchiveLimits::default() };
    refused(Tar::default().file("a", &"x".repeat(5001)).end(), &small, "its files have more than 4.9 KiB");
    let halves = Tar::default().file("a", &"x".repeat(3000)).file("b", &"x".repeat(3000));
    refused(halves.end(), &small, "more than 4.9 KiB");
    let zeros = "\0".repeat(4_000_000);
    let ratio = ArchiveLimits { ratio: 100, ratio_from: 1 << 20, ..ArchiveLimits::default() };
    refused(gzip(&Tar::default().file("a", &zeros).end()), &ratio, "decompress to 1.");
    // Members that are left out count too.
    let skipped = Tar::default().raw(b'Z', b"a", b"", 0, zeros.as_bytes());
    refused(gzip(&skipped.end()), &ratio, "decompress to");
    refused(Tar::default().raw(b'Z', b"a", b"", 0, zeros.as_bytes()).end(), &small, "it decompresses to more than");
    // An extended header of 4 MB would be held in memory.
    refused(
        Tar::default().raw(b'L', b"a", b"", 0, zeros.as_bytes()).end(),
        &ArchiveLimits::default(),
        "extended header",
    );
    let huge = [("GNU.sparse.size", &b"99999999999999"[..]), ("GNU.sparse.map", b"0,0"), ("GNU.sparse.name", b"s")];
    refused(
        Tar::default().pax(&huge).file("x", "").end(),
        &ArchiveLimits::default(),
        "its files have more than 64.0 GiB",
    );
}

#[test]
fn a_file_that_does_not_fit_is_not_started() {
    let scratch = Scratch::new();
    // The header claims more than any disk has; nothing is written.
    let mut header = Header::new_gnu();
    header.set_path("big").unwrap();
    header.set_size(1 << 60);
    header.set_mode(0o644);
    header.set_cksum();
    let limits = ArchiveLimits { bytes: u64::MAX, ..ArchiveLimits::default() };
    let error = scratch.unpack_within(header.as_bytes(), &limits).unwrap_err();
    assert!(matches!(error, CodeError::NoSpace { sizes: Some((size, _)), .. } if size >= 1 << 60), "{error:?}");
    assert!(error.to_string().contains("big: it takes 1.0 EiB, and "), "{error}");
    assert!(scratch.jail().is_empty());
    // A large archive must leave space free.
    let limits = ArchiveLimits { reserve: 1 << 60, ..ArchiveLimits::default() };
    let tar = Tar::default().file("a", &"x".repeat(20 << 20)).end();
    assert!(scratch.unpack_within(&tar, &limits).is_ok(), "the reserve applies only after that much was unpacked");
}

#[test]
fn a_huge_number_of_entries_takes_little_memory_and_time() {
    if std::env::var_os("FOOTPLATE_TEST_ALONE").is_none() {
        // Runs again in its own process, because the peak memory of the process is measured.
        let (_crate, module) = module_path!().split_once("::").unwrap();
        let name = format!("{module}::a_huge_number_of_entries_takes_little_memory_and_time");
        let mut again = Command::new(std::env::current_exe().unwrap());
        let output = again.args([&*name, "--exact", "--nocapture"]).env("FOOTPLATE_TEST_ALONE", "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let scratch = Scratch::new();
    let mut folders = Tar::default();
    for n in 0..1000 {
        folders = folders.raw(b'5', format!("d{}/", n % 10).as_bytes(), b"", 0o755, b"").link("l", "/etc/passwd");
    }
    let file = fs::File::create(scratch.at("archive")).unwrap();
    let mut encoder = GzEncoder::new(file, Compression::fast());
    // The default limit of a million entries would take ten times as long.
    let limits = ArchiveLimits { entries: 100_000, ..ArchiveLimits::default() };
    for _ in 0..limits.entries / 2000 + 1 {
        encoder.write_all(&folders.0).unwrap();
    }
    encoder.finish().unwrap();
    drop(folders);
    let before = peak_memory();
    let started = Instant::now();
    let error = unpack(&scratch.at("archive"), &scratch.at("jail"), &limits).unwrap_err();
    let (took, more) = (started.elapsed(), peak_memory() - before);
    assert!(error.to_string().contains("it holds more than 100000 entries"), "{error}");
    println!("{took:?}, {more} KiB");
    assert!(took < Duration::from_secs(20), "{took:?}");
    // Some of it are pages of the program.
    assert!(more < 8 << 10, "{more} KiB");
}

/// Returns the peak memory of this process, in KiB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Generates tar archives with hostile names, links and types.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just(String::new()),
        Just("a".to_owned()),
        Just("b".to_owned()),
        Just("secret".to_owned()),
        Just("beside".to_owned()),
        "[a-z\\\\\u{e4}\n]{1,3}",
    ];
    let path = prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"));
    let kind = prop::sample::select(&b"00011222235 67xgLKSV"[..]);
    let entry = (kind, path.clone(), path, prop::collection::vec(any::<u8>(), 0..40));
    prop::collection::vec(entry, 0..24).prop_map(|entries| {
        let mut tar = Tar::default();
        for (kind, name, link, data) in entries {
            // Some names are in an extension.
            tar = match kind {
                b'L' | b'K' => tar.raw(kind, b"x", b"", 0, name.as_bytes()),
                b'x' => tar.pax(&[("path", name.as_bytes()), ("linkpath", link.as_bytes())]),
                _ => tar.raw(kind, name.as_bytes(), link.as_bytes(), 0o7777, &data),
            };
        }
        tar.end()
    })
}

/// Unpacks into a folder that holds links of the image. `Scratch::unpack_within` fails if anything outside changes.
fn attack(bytes: &[u8]) {
    let scratch = Scratch::new();
    symlink("..", scratch.at("jail/a")).unwrap();
    symlink("../secret", scratch.at("jail/b")).unwrap();
    let limits = ArchiveLimits { entries: 1000, bytes: 4 << 20, ..ArchiveLimits::default() };
    let started = Instant::now();
    let _ = scratch.unpack_within(bytes, &limits);
    assert!(started.elapsed() < Duration::from_secs(20));
    let written: u64 =
        tree(&scratch.at("jail"), Path::new("")).keys().map(|path| path.symlink_metadata().unwrap().len()).sum();
    assert!(written < 8 << 20, "{written}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_archives_change_nothing_outside(tar in hostile()) {
        attack(&tar);
    }

    #[test]
    fn mutated_archives_change_nothing_outside(
        tar in hostile(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        end in any::<prop::sample::Index>(),
        packed in any::<bool>(),
        mend in any::<bool>(),
    ) {
        let mut tar = if packed { gzip(&tar) } else { tar };
        for (index, byte) in changes {
            let at = index.index(tar.len());
            tar[at] = byte;
        }
        if mend && !packed {
            // With a correct checksum, a mutated header is read instead of refused at once.
            for block in tar.chunks_exact_mut(512) {
                let mut header = Header::new_old();
                header.as_mut_bytes().copy_from_slice(block);
                if header.as_gnu().is_some() || header.as_ustar().is_some() {
                    header.set_cksum();
                    block.copy_from_slice(header.as_bytes());
                }
            }
        } else {
            tar.truncate(end.index(tar.len()) + 1);
        }
        attack(&tar);
    }

    #[test]
    fn random_bytes_change_nothing_outside(mut bytes in prop::collection::vec(any::<u8>(), 0..2000), packed in any::<bool>()) {
        if packed {
            bytes.splice(0..0, [0x1f, 0x8b, 8, 0]);
        }
        attack(&bytes);
    }
}
