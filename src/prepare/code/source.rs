//! Where a job's code comes from: what `SAGEMAKER_SUBMIT_DIRECTORY` or the hyperparameter `sagemaker_submit_directory`
//! holds.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::error::CodeError;
use super::members::{BLOCK, is_header};

/// What the SDK calls a packed source.
pub(super) const PACKED: &str = "sourcedir.tar.gz";

/// Where a job's code comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The code folder itself: nothing has to be brought.
    BakedIn,
    /// A folder or a file on this machine. What it is is seen when it is brought: see [`Form`].
    Local(PathBuf),
    /// An object in S3, or all that is below a prefix.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key or the prefix within it.
        key: String,
    },
}

/// What a source turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A folder, whose contents are copied.
    Folder(PathBuf),
    /// A tar archive, compressed with gzip or not, which is unpacked.
    Archive(PathBuf),
    /// Any other file, which is copied.
    File(PathBuf),
}

impl Source {
    /// Reads the setting. A relative path counts from `base`; the code folder in any spelling, and an empty setting,
    /// are [`Source::BakedIn`].
    ///
    /// The forms are those of the SDKs: `s3://…`, `file://…`, a folder, an archive (platform.md §6).
    ///
    /// # Errors
    ///
    /// [`CodeError::Unsupported`]. Whether anything is there is not asked here.
    pub fn parse(text: &str, base: &Path, code_dir: &Path) -> Result<Source, CodeError> {
        let unsupported = |reason| CodeError::Unsupported { text: text.to_owned(), reason };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(Source::BakedIn);
        }
        let path = match trimmed.split_once("://") {
            Some(("s3", rest)) => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() || key.is_empty() {
                    return Err(unsupported("it names no bucket or no key"));
                }
                return Ok(Source::S3 { bucket: bucket.to_owned(), key: key.to_owned() });
            }
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => {
                let rest = rest.strip_prefix("localhost/").map_or(rest, |_| &rest["localhost".len()..]);
                if !rest.starts_with('/') {
                    return Err(unsupported("a file:// URL has three slashes and then an absolute path"));
                }
                // The SDK puts paths into URLs without encoding them, so the text as it is may be right, too.
                match Path::new(rest).exists() {
                    true => PathBuf::from(rest),
                    false => percent_decoded(rest),
                }
            }
            Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c)) => {
                return Err(unsupported("its scheme is not known"));
            }
            _ => PathBuf::from(trimmed),
        };
        if path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(unsupported("it holds a NUL byte"));
        }
        let path = base.join(path);
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.components().collect());
        match real(&path) == real(code_dir) {
            true => Ok(Source::BakedIn),
            false => Ok(Source::Local(path)),
        }
    }
}

impl Form {
    /// Looks at what is at a path. Archives are told by their content. A folder that holds nothing but
    /// `sourcedir.tar.gz`, as the channel `code` does under network isolation, counts as that archive.
    ///
    /// # Errors
    ///
    /// [`CodeError::Missing`], [`CodeError::NotArchive`] for an archive of another kind and for a file that only has
    /// the name of one, and what the system refuses.
    pub fn of(path: &Path) -> Result<Form, CodeError> {
        let failed = |error| CodeError::reading(path, error);
        let found = match path.metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(CodeError::Missing { path: path.to_owned(), beside: beside(path) });
            }
            Err(error) => return Err(failed(error)),
        };
        if found.is_dir() {
            let packed = path.join(PACKED);
            let mut names = Vec::new();
            for entry in fs::read_dir(path).map_err(failed)?.take(3) {
                names.push(entry.map_err(failed)?.file_name());
            }
            return match names.len() == 1 && names[0] == PACKED && packed.is_file() {
                true => Form::of(&packed),
                false => Ok(Form::Folder(path.to_owned())),
            };
        }
        if !found.is_file() {
            return Err(CodeError::NotArchive { path: path.to_owned(), found: "a device or a pipe".to_owned() });
        }
        let mut start = Vec::new();
        File::open(path).and_then(|file| file.take(BLOCK as u64).read_to_end(&mut start)).map_err(failed)?;
        match is_archive(path, &start)? {
            true => Ok(Form::Archive(path.to_owned())),
            false => Ok(Form::File(path.to_owned())),
        }
    }
}

/// Whether a file of this name that begins so is a tar archive; `start` has [`BLOCK`] bytes where the file has as many.
///
/// # Errors
/// [`CodeError::NotArchive`]: it is one of another kind, or has only the name of one.
pub(super) fn is_archive(path: &Path, start: &[u8]) -> Result<bool, CodeError> {
    if start.starts_with(&[0x1f, 0x8b]) || start.first_chunk().is_some_and(is_header) {
        return Ok(true);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let named_tar = [".tar", ".tar.gz", ".tgz", ".gz"].iter().any(|end| name.ends_with(end));
    // An empty tar archive is nothing but zeros.
    if named_tar && start.len() == BLOCK && start.iter().all(|&byte| byte == 0) {
        return Ok(true);
    }
    let other = |found: String| Err(CodeError::NotArchive { path: path.to_owned(), found });
    match archive_of_another_kind(start) {
        Some(found) => other(found.to_owned()),
        None if named_tar => other(described(start)),
        None => Ok(false),
    }
}

/// What is in the folder where something is missing, in a few words.
fn beside(path: &Path) -> Option<String> {
    let folder = path.parent()?;
    let listing = super::listing::Listing::of(folder).ok()?;
    Some(format!("{} holds {listing}", folder.display()))
}

fn archive_of_another_kind(start: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 5] = [
        (b"PK\x03\x04", "a zip archive"),
        (b"BZh", "a bzip2 file"),
        (b"\xfd7zXZ\0", "an xz file"),
        (b"\x28\xb5\x2f\xfd", "a zstd file"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    ];
    KINDS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, what)| *what)
}

/// What a file seems to be that should have been an archive.
fn described(start: &[u8]) -> String {
    let text = String::from_utf8_lossy(start);
    let line: String = text.lines().next().unwrap_or_default().chars().take(60).collect();
    match start {
        [] => "an empty file".to_owned(),
        _ if text.starts_with("version https://git-lfs") => "a Git LFS pointer, not the file itself".to_owned(),
        _ if text.trim_start().starts_with('<') => format!("an HTML or XML text ({line:?})"),
        _ if line.chars().all(|c| !c.is_control() && c != char::REPLACEMENT_CHARACTER) => format!("a text ({line:?})"),
        _ => "something else".to_owned(),
    }
}

fn percent_decoded(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |index: usize| bytes.get(index).and_then(|&byte| char::from(byte).to_digit(16));
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    PathBuf::from(OsString::from_vec(decoded))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{Form, Source};
    use crate::prepare::code::CodeError;

    #[test]
    fn every_form_of_the_setting_is_read() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        let code = base.join("code");
        fs::create_dir(&code).unwrap();
        fs::write(base.join("100%.py"), "").unwrap();
        fs::write(base.join("x%20y.py"), "").unwrap();
        std::os::unix::fs::symlink(&code, base.join("link")).unwrap();
        let parse = |text: &str| Source::parse(text, base, &code);
        let local = |path: &str| Source::Local(base.join(path));
        let url = |host: &str, path: &str| format!("file://{host}{}/{path}", base.display());
        for text in
            ["", " ", "code", "code/", "./code//", "link", "link/", "x/../code", &url("", "link"), &url("", "co%64e")]
        {
            // `x` does not exist, so that path is only as good as it is spelt.
            let expected = if text.starts_with("x/") { local("x/../code") } else { Source::BakedIn };
            assert_eq!(parse(text).unwrap(), expected, "{text:?}");
        }
        assert_eq!(parse("src").unwrap(), local("src"));
        assert_eq!(parse(&url("", "a%20b%2F")).unwrap(), local("a b/"));
        assert_eq!(parse(&url("localhost", "x")).unwrap(), local("x"));
        assert_eq!(parse(&url("", "100%.py")).unwrap(), local("100%.py"));
        assert_eq!(parse(&url("", "x%20y.py")).unwrap(), local("x%20y.py"));
        assert_eq!(parse(&url("", "50%zz%4")).unwrap(), local("50%zz%4"));
        assert_eq!(parse("/abs/x.tar.gz").unwrap(), Source::Local(PathBuf::from("/abs/x.tar.gz")));
        assert_eq!(
            parse("s3://b/k/x y.tar.gz").unwrap(),
            Source::S3 { bucket: "b".into(), key: "k/x y.tar.gz".into() }
        );
        for text in ["s3://b", "s3:///k", "s3://b/", "https://x/y.tar.gz", "file://host/x", "file://x", "file:///%00"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, CodeError::Unsupported { .. }), "{text}: {error:?}");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
        // A missing code folder is still the code folder.
        let missing = base.join("none");
        assert_eq!(Source::parse("none/", base, &missing).unwrap(), Source::BakedIn);
    }

    #[test]
    fn content_tells_what_a_source_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, bytes: &[u8]| {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), bytes).unwrap();
        };
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        tar.append_data(&mut header, "a.py", &b"hi"[..]).unwrap();
        let tar = tar.into_inner().unwrap();
        write("src/train.py", b"");
        write("packed/sourcedir.tar.gz", b"\x1f\x8b\x08");
        write("more/sourcedir.tar.gz", b"\x1f\x8b\x08");
        write("more/train.py", b"");
        write("no_end", &tar);
        write("empty.tar", &[0; 1024]);
        write("zeros.py", &[0; 1024]);
        write("run.sh", b"#!/bin/sh\n");
        write("tarred.py", &tar[..300]);
        for (name, expected) in [
            ("src", Form::Folder(at("src"))),
            ("packed", Form::Archive(at("packed/sourcedir.tar.gz"))),
            ("more", Form::Folder(at("more"))),
            ("more/sourcedir.tar.gz", Form::Archive(at("more/sourcedir.tar.gz"))),
            ("no_end", Form::Archive(at("no_end"))),
            ("empty.tar", Form::Archive(at("empty.tar"))),
            ("zeros.py", Form::File(at("zeros.py"))),
            ("run.sh", Form::File(at("run.sh"))),
            ("tarred.py", Form::File(at("tarred.py"))),
        ] {
            assert_eq!(Form::of(&at(name)).unwrap(), expected, "{name}");
        }
        for (name, bytes, found) in [
            ("a.zip", &b"PK\x03\x04rest"[..], "a zip archive"),
            ("b.tar.gz", b"BZh91AY", "a bzip2 file"),
            ("c.tar.gz", b"", "an empty file"),
            ("d.tgz", b"<?xml version='1.0'?>\n<Error>", "an HTML or XML text (\"<?xml version='1.0'?>\")"),
            ("e.tar.gz", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the file itself"),
            ("f.tar", b"import os\n", "a text (\"import os\")"),
            ("g.tar", b"\x00\x01\x02", "something else"),
        ] {
            write(name, bytes);
            match Form::of(&at(name)) {
                Err(CodeError::NotArchive { found: other, .. }) => assert_eq!(other, found, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        let error = Form::of(&at("src/none.tar.gz")).unwrap_err().to_string();
        let expected = format!(
            "the source {0}/none.tar.gz does not exist ({0} holds train.py); set SAGEMAKER_SUBMIT_DIRECTORY to the folder \
             or archive that holds the code",
            at("src").display()
        );
        assert_eq!(error, expected);
        assert!(matches!(Form::of(Path::new("/dev/null")), Err(CodeError::NotArchive { .. })));
    }
}
