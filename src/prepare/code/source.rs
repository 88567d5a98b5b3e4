//! The source of a job's code: the value of `SAGEMAKER_SUBMIT_DIRECTORY` or of the hyperparameter
//! `sagemaker_submit_directory`.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::archive::{BLOCK, is_header, is_name_of_archive, other_format};
use super::error::CodeError;
use super::listing::Listing;
use crate::system::files;

/// The name that the SDK gives a packed source.
pub(super) const PACKED_SOURCE: &str = "sourcedir.tar.gz";

/// The maximum length of the first line of a file that an error shows, in characters.
const SHOWN: usize = 60;

/// The source of a job's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeSource {
    /// A folder or a file on this machine. Its [`SourceForm`] is determined when it is fetched.
    Local(PathBuf),
    /// An object in S3, or all objects below a prefix.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key or the prefix within the bucket.
        key: String,
    },
}

/// The form of a source, determined from its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceForm {
    /// A folder, whose content is copied.
    Folder(PathBuf),
    /// A tar archive, compressed with gzip or not, which is unpacked.
    Archive(PathBuf),
    /// Any other file, which is copied.
    File(PathBuf),
}

impl CodeSource {
    /// Parses the setting. A relative path is relative to `base`. Returns `None` for an empty setting and for any
    /// spelling of the code folder: nothing has to be fetched.
    ///
    /// The forms are those of the SDKs: `s3://…`, `file://…`, a folder, an archive (platform contract, section 6).
    ///
    /// # Errors
    ///
    /// [`CodeError::Unsupported`]. A source that does not exist is not an error here.
    pub fn parse(text: &str, base: &Path, code_dir: &Path) -> Result<Option<CodeSource>, CodeError> {
        let unsupported = |reason| CodeError::Unsupported { text: text.to_owned(), reason };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(None);
        }
        let path = match trimmed.split_once("://") {
            Some(("s3", rest)) => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() || key.is_empty() {
                    return Err(unsupported("it names no bucket or no key"));
                }
                return Ok(Some(CodeSource::S3 { bucket: bucket.to_owned(), key: key.to_owned() }));
            }
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => {
                let rest = rest.strip_prefix("localhost/").map_or(rest, |_| &rest["localhost".len()..]);
                if !rest.starts_with('/') {
                    return Err(unsupported("a file:// URL has three slashes and then an absolute path"));
                }
                // The SDK puts paths into URLs without encoding them, so a path that exists as written is used
                // unchanged.
                if Path::new(rest).exists() { PathBuf::from(rest) } else { percent_decoded(rest) }
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
        let is_code_folder = real(&path) == real(code_dir);
        Ok((!is_code_folder).then_some(CodeSource::Local(path)))
    }
}

impl fmt::Display for CodeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodeSource::Local(path) => write!(f, "{}", path.display()),
            CodeSource::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

impl SourceForm {
    /// Determines the form of the source at `path`. An archive is recognized by its content.
    ///
    /// A folder that holds only `sourcedir.tar.gz` counts as that archive. The channel `code` is such a folder under
    /// network isolation.
    ///
    /// # Errors
    ///
    /// [`CodeError::Missing`]; [`CodeError::NotArchive`] for an archive of another format and for a file that has only the
    /// name of an archive; and errors of the file system.
    pub fn of(path: &Path) -> Result<SourceForm, CodeError> {
        let failed = |error| CodeError::reading(path, error);
        let found = match path.metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(CodeError::Missing { path: path.to_owned(), nearby: content_of_parent(path) });
            }
            Err(error) => return Err(failed(error)),
        };
        if found.is_dir() {
            let packed = path.join(PACKED_SOURCE);
            let mut names = Vec::new();
            for entry in fs::read_dir(path).map_err(failed)?.take(2) {
                names.push(entry.map_err(failed)?.file_name());
            }
            if names == [PACKED_SOURCE] && packed.is_file() {
                return SourceForm::of(&packed);
            }
            return Ok(SourceForm::Folder(path.to_owned()));
        }
        if !found.is_file() {
            return Err(CodeError::NotArchive { path: path.to_owned(), found: "a device or a pipe".to_owned() });
        }
        let start = files::start(path, BLOCK as u64).map_err(failed)?;
        let is_archive = is_archive(path, &start)?;
        Ok(if is_archive { SourceForm::Archive(path.to_owned()) } else { SourceForm::File(path.to_owned()) })
    }
}

/// Returns the only file of a folder, if it is an archive. Its name does not matter.
pub fn only_archive(folder: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(folder).ok()?;
    let path = entries.next()?.ok()?.path();
    if entries.next().is_some() || !path.is_file() {
        return None;
    }
    let start = files::start(&path, BLOCK as u64).ok()?;
    is_archive(&path, &start).is_ok_and(|is_archive| is_archive).then_some(path)
}

/// Returns true if a file of this name with this start is a tar archive, compressed with gzip or not. `start` holds the
/// first [`BLOCK`] bytes, or the whole file if it is shorter.
///
/// # Errors
///
/// [`CodeError::NotArchive`] for an archive of another format and for a file that has only the name of an archive.
pub(super) fn is_archive(path: &Path, start: &[u8]) -> Result<bool, CodeError> {
    if start.starts_with(&[0x1f, 0x8b]) || start.first_chunk().is_some_and(is_header) {
        return Ok(true);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_named_so = is_name_of_archive(&name);
    // An empty tar archive consists of zeros.
    if is_named_so && start.len() == BLOCK && start.iter().all(|&byte| byte == 0) {
        return Ok(true);
    }
    let not_archive = |found: String| Err(CodeError::NotArchive { path: path.to_owned(), found });
    match other_format(start) {
        Some(found) => not_archive(found.to_owned()),
        None if is_named_so => not_archive(described(start)),
        None => Ok(false),
    }
}

/// Returns a short list of the folder's content in which `path` is missing, or `None` if the folder cannot be read.
fn content_of_parent(path: &Path) -> Option<String> {
    let folder = path.parent()?;
    let listing = Listing::of(folder).ok()?;
    Some(format!("{} holds {listing}", folder.display()))
}

/// Describes a file that should be an archive and is not, by its first bytes.
fn described(start: &[u8]) -> String {
    let text = String::from_utf8_lossy(start);
    let line: String = text.lines().next().unwrap_or_default().chars().take(SHOWN).collect();
    match start {
        [] => "an empty file".to_owned(),
        _ if text.starts_with("version https://git-lfs") => "a Git LFS pointer, not the file itself".to_owned(),
        _ if text.trim_start().starts_with('<') => format!("an HTML or XML text ({line:?})"),
        _ if line.chars().all(|c| !c.is_control() && c != char::REPLACEMENT_CHARACTER) => format!("a text ({line:?})"),
        _ => "something else".to_owned(),
    }
}

/// Decodes `%XX` in a path. A `%` without two hexadecimal digits stays as it is.
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

    use super::{CodeSource, SourceForm};
    use crate::prepare::code::CodeError;

    #[test]
    fn every_form_of_the_setting_is_parsed() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        let code = base.join("code");
        fs::create_dir(&code).unwrap();
        fs::write(base.join("100%.py"), "").unwrap();
        fs::write(base.join("x%20y.py"), "").unwrap();
        std::os::unix::fs::symlink(&code, base.join("link")).unwrap();
        let parse = |text: &str| CodeSource::parse(text, base, &code);
        let local = |path: &str| Some(CodeSource::Local(base.join(path)));
        let url = |host: &str, path: &str| format!("file://{host}{}/{path}", base.display());
        for text in
            ["", " ", "code", "code/", "./code//", "link", "link/", "x/../code", &url("", "link"), &url("", "co%64e")]
        {
            // `x` does not exist, so the path with `..` cannot be resolved.
            let expected = if text.starts_with("x/") { local("x/../code") } else { None };
            assert_eq!(parse(text).unwrap(), expected, "{text:?}");
        }
        assert_eq!(parse("src").unwrap(), local("src"));
        assert_eq!(parse(&url("", "a%20b%2F")).unwrap(), local("a b/"));
        assert_eq!(parse(&url("localhost", "x")).unwrap(), local("x"));
        assert_eq!(parse(&url("", "100%.py")).unwrap(), local("100%.py"));
        assert_eq!(parse(&url("", "x%20y.py")).unwrap(), local("x%20y.py"));
        assert_eq!(parse(&url("", "50%zz%4")).unwrap(), local("50%zz%4"));
        assert_eq!(parse("/abs/x.tar.gz").unwrap(), Some(CodeSource::Local(PathBuf::from("/abs/x.tar.gz"))));
        assert_eq!(
            parse("s3://b/k/x y.tar.gz").unwrap(),
            Some(CodeSource::S3 { bucket: "b".into(), key: "k/x y.tar.gz".into() })
        );
        for text in ["s3://b", "s3:///k", "s3://b/", "https://x/y.tar.gz", "file://host/x", "file://x", "file:///%00"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, CodeError::Unsupported { .. }), "{text}: {error:?}");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
        // A code folder that does not exist is still the code folder.
        let missing = base.join("none");
        assert_eq!(CodeSource::parse("none/", base, &missing).unwrap(), None);
    }

    #[test]
    fn the_form_of_a_source_is_determined_by_its_content() {
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
            ("src", SourceForm::Folder(at("src"))),
            ("packed", SourceForm::Archive(at("packed/sourcedir.tar.gz"))),
            ("more", SourceForm::Folder(at("more"))),
            ("more/sourcedir.tar.gz", SourceForm::Archive(at("more/sourcedir.tar.gz"))),
            ("no_end", SourceForm::Archive(at("no_end"))),
            ("empty.tar", SourceForm::Archive(at("empty.tar"))),
            ("zeros.py", SourceForm::File(at("zeros.py"))),
            ("run.sh", SourceForm::File(at("run.sh"))),
            ("tarred.py", SourceForm::File(at("tarred.py"))),
        ] {
            assert_eq!(SourceForm::of(&at(name)).unwrap(), expected, "{name}");
        }
        for (name, bytes, found) in [
            ("a.zip", &b"PK\x03\x04rest"[..], "a zip archive"),
            ("empty.zip", b"PK\x05\x06\0\0", "an empty zip archive"),
            ("a.rar", b"Rar!\x1a\x07\x01\0", "a rar archive"),
            ("a.tar.lz4", b"\x04\x22\x4d\x18\x64\x40", "an lz4 file"),
            ("a.tar.Z", b"\x1f\x9d\x90", "a file made with compress (.Z)"),
            ("a.tar.zst", b"\x28\xb5\x2f\xfd\x04", "a zstd file"),
            ("a.tar.lzma", b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff", "an lzma file"),
            ("without_a_name", b"\xfd7zXZ\0", "an xz file"),
            ("named.rar", b"import os\n", "a text (\"import os\")"),
            ("b.tar.gz", b"BZh91AY", "a bzip2 file"),
            ("c.tar.gz", b"", "an empty file"),
            ("d.tgz", b"<?xml version='1.0'?>\n<Error>", "an HTML or XML text (\"<?xml version='1.0'?>\")"),
            ("e.tar.gz", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the file itself"),
            ("f.tar", b"import os\n", "a text (\"import os\")"),
            ("g.tar", b"\x00\x01\x02", "something else"),
        ] {
            write(name, bytes);
            match SourceForm::of(&at(name)) {
                Err(CodeError::NotArchive { found: other, .. }) => assert_eq!(other, found, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        let error = SourceForm::of(&at("src/none.tar.gz")).unwrap_err().to_string();
        let expected = format!(
            "the source {0}/none.tar.gz does not exist ({0} holds train.py); set SAGEMAKER_SUBMIT_DIRECTORY to the folder \
             or archive that holds the code",
            at("src").display()
        );
        assert_eq!(error, expected);
        assert!(matches!(SourceForm::of(Path::new("/dev/null")), Err(CodeError::NotArchive { .. })));
    }
}
