//! The objects of a channel: files on this machine, and objects in S3, which are downloaded before the job starts.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::request::{DataType, InputChannel};
use crate::job::Variables;
use crate::storage::{Access, Bucket, ListedObject, Problem, TransferError};

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The content of a file.
    File(PathBuf),
    /// The value of an attribute.
    Text(Vec<u8>),
}

/// The pieces that stay together when the objects are shuffled: an object, or the attributes of a line.
pub(super) type Unit = Vec<Piece>;

/// The objects of a channel.
#[derive(Debug)]
pub(super) enum Objects {
    /// A folder with all its content, or a file.
    Whole(PathBuf),
    /// Files with their paths below the channel's folder.
    Listed(Vec<(PathBuf, PathBuf)>),
    /// The lines of an augmented manifest.
    Lines(Vec<Unit>),
}

impl Objects {
    /// Finds the objects. Those in S3 are downloaded into `folder`.
    pub fn find(channel: &InputChannel, folder: &Path) -> Result<Objects> {
        let mut place = Place::new(folder);
        let named = channel.place.to_string_lossy();
        match channel.data_type {
            DataType::S3Prefix => match named.strip_prefix("s3://") {
                Some(_) => Ok(Objects::Listed(place.prefix(&named)?)),
                None => Ok(Objects::Whole(absolute(&channel.place)?)),
            },
            DataType::ManifestFile => manifest(&named, &mut place).map(Objects::Listed),
            DataType::AugmentedManifestFile => augmented(&named, &channel.attributes, &mut place).map(Objects::Lines),
        }
    }

    /// Returns the files with their paths below the channel's folder, in the order of their keys or of the manifest.
    pub fn files(self) -> Result<Vec<(PathBuf, PathBuf)>> {
        match self {
            Objects::Listed(files) => Ok(files),
            Objects::Whole(path) if path.is_dir() => {
                let mut found = Vec::new();
                collect(&path, Path::new(""), &mut found)?;
                found.sort_unstable();
                Ok(found)
            }
            Objects::Whole(path) => Ok(vec![(path.file_name().unwrap_or_default().into(), path)]),
            Objects::Lines(_) => bail!("an augmented manifest has no files"),
        }
    }

    /// Returns the pieces of a stream.
    pub fn units(self) -> Result<Vec<Unit>> {
        match self {
            Objects::Lines(units) => Ok(units),
            other => Ok(other.files()?.into_iter().map(|(_, file)| vec![Piece::File(file)]).collect()),
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("{} is not there", path.display()))
}

/// Adds the files of `folder/below`. Links are followed unless they lead in a circle.
fn collect(folder: &Path, below: &Path, found: &mut Vec<(PathBuf, PathBuf)>) -> Result<()> {
    let here = folder.join(below);
    if below.components().count() > 64 {
        bail!("{} has folders below each other without end", folder.display());
    }
    let entries = fs::read_dir(&here).with_context(|| format!("cannot read {}", here.display()))?;
    for entry in entries {
        let name = entry.with_context(|| format!("cannot read {}", here.display()))?.file_name();
        let (path, name) = (here.join(&name), below.join(&name));
        if path.is_dir() {
            collect(folder, &name, found)?;
        } else if path.is_file() {
            found.push((name, path));
        }
    }
    Ok(())
}

/// The folder into which objects are downloaded.
struct Place<'a> {
    folder: &'a Path,
    access: Option<Access>,
    count: usize,
}

impl<'a> Place<'a> {
    fn new(folder: &'a Path) -> Place<'a> {
        Place { folder, access: None, count: 0 }
    }

    /// Returns the bucket and the key of a URL.
    fn bucket<'u>(&mut self, url: &'u str) -> Result<(Bucket, &'u str)> {
        let rest = url.strip_prefix("s3://").unwrap_or_default();
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            bail!("{url:?} names no bucket: s3://bucket/prefix");
        }
        let access = self.access.get_or_insert_with(|| Access::of(&Variables::of_this_process(), None));
        Ok((Bucket::new(access.clone(), bucket), key))
    }

    /// Downloads the objects whose keys begin with a prefix, and returns their paths below the channel's folder.
    fn prefix(&mut self, url: &str) -> Result<Vec<(PathBuf, PathBuf)>> {
        let (bucket, prefix) = self.bucket(url)?;
        // The prefix may be the key of a single object.
        if !prefix.is_empty() && !prefix.ends_with('/') {
            let name = PathBuf::from(prefix.rsplit('/').next().unwrap_or_default());
            match self.try_object(&bucket, prefix) {
                Ok(file) => return Ok(vec![(name, file)]),
                Err(error) if error.is_missing => {}
                Err(error) => return Err(error.error),
            }
        }
        let folder = if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") };
        let mut listed = bucket.list(&folder).with_context(|| format!("cannot list {url}"))?;
        listed.retain(|object| object.key.starts_with(&folder) && !object.key.ends_with('/'));
        if listed.is_empty() {
            bail!("nothing is at {url}");
        }
        listed.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let download = |object: &ListedObject| {
            let name = inside(&object.key[folder.len()..])
                .with_context(|| format!("the key {:?} cannot be a file's path", object.key))?;
            Ok((name, self.object(&bucket, &object.key)?))
        };
        listed.iter().map(download).collect()
    }

    /// Returns the file of a URL or of a path.
    fn file(&mut self, named: &str) -> Result<PathBuf> {
        if !named.starts_with("s3://") {
            return absolute(Path::new(named));
        }
        let (bucket, key) = self.bucket(named)?;
        self.object(&bucket, key)
    }

    fn object(&mut self, bucket: &Bucket, key: &str) -> Result<PathBuf> {
        self.try_object(bucket, key).map_err(|failed| failed.error)
    }

    fn try_object(&mut self, bucket: &Bucket, key: &str) -> Result<PathBuf, NotDownloaded> {
        let other = |error| NotDownloaded { is_missing: false, error };
        let path = self.folder.join(self.count.to_string());
        let made = fs::create_dir_all(self.folder).and_then(|()| File::create(&path));
        let file = made.with_context(|| format!("cannot write {}", path.display())).map_err(other)?;
        self.count += 1;
        let downloaded = bucket.download_into(key, &file, &path);
        downloaded.map(|_| path).map_err(|error| {
            let is_missing = matches!(&error, TransferError::Storage(error) if error.problem == Problem::NoSuchKey);
            let error = anyhow::Error::new(error).context(format!("cannot download s3://{}/{key}", bucket.name()));
            NotDownloaded { is_missing, error }
        })
    }
}

/// The failure of a download.
struct NotDownloaded {
    is_missing: bool,
    error: anyhow::Error,
}

/// Returns the path of an object below the channel's folder, or `None` if the key leads outside that folder.
fn inside(key: &str) -> Option<PathBuf> {
    let path = Path::new(key.trim_start_matches('/'));
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (is_plain && path.components().next().is_some()).then(|| path.to_owned())
}

/// Reads a manifest: `[{"prefix": "s3://bucket/folder/"}, "relative/key", …]`. The prefix can be a folder on this
/// machine.
fn manifest(named: &str, place: &mut Place<'_>) -> Result<Vec<(PathBuf, PathBuf)>> {
    const EXPECTED: &str = r#"expected [{"prefix": "s3://bucket/folder/"}, "relative/key", …]"#;
    let file = place.file(named)?;
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {named}"))?;
    let entries: Vec<Value> =
        serde_json::from_str(&text).with_context(|| format!("{named} is not JSON: {EXPECTED}"))?;
    let Some((Value::Object(first), rest)) = entries.split_first() else {
        bail!("{named} does not begin with a prefix: {EXPECTED}");
    };
    let Some(prefix) = first.get("prefix").and_then(Value::as_str) else {
        bail!("{named} does not begin with a prefix: {EXPECTED}");
    };
    let object = |entry: &Value| {
        let key = entry.as_str().with_context(|| format!("{named} holds {entry}: {EXPECTED}"))?;
        let name = inside(key).with_context(|| format!("{named}: {key:?} is no path below the prefix"))?;
        Ok((name, place.file(&beside(named, &format!("{prefix}{key}")))?))
    };
    rest.iter().map(object).collect()
}

/// Returns the full place for one that a manifest names. A relative path starts from the folder of the manifest.
fn beside(manifest: &str, named: &str) -> String {
    if named.starts_with("s3://") || manifest.starts_with("s3://") {
        return named.to_owned();
    }
    let folder = Path::new(manifest).parent().unwrap_or(Path::new(""));
    folder.join(named).to_string_lossy().into_owned()
}

/// Reads an augmented manifest. An attribute whose name ends with `-ref` is a reference to an object, whose content
/// is streamed. The values of other attributes are streamed unchanged.
fn augmented(named: &str, attributes: &[String], place: &mut Place<'_>) -> Result<Vec<Unit>> {
    let file = place.file(named)?;
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {named}"))?;
    let mut units = Vec::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
        let object: Value =
            serde_json::from_str(line).with_context(|| format!("{named}, line {number} is not JSON"))?;
        let mut unit = Unit::new();
        for attribute in attributes {
            let value =
                object.get(attribute).with_context(|| format!("{named}, line {number} has no {attribute:?}"))?;
            unit.push(match (value.as_str(), attribute.ends_with("-ref")) {
                (Some(reference), true) => Piece::File(place.file(&beside(named, reference))?),
                (Some(text), false) => Piece::Text(text.as_bytes().to_vec()),
                _ => Piece::Text(value.to_string().into_bytes()),
            });
        }
        units.push(unit);
    }
    Ok(units)
}
