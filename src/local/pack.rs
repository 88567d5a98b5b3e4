//! Packs folders as `tar.gz`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::Builder;

/// The names of folders that are never part of the user's code.
const NOT_CODE: [&str; 3] = [".git", "__pycache__", ".ipynb_checkpoints"];

type Archive = Builder<GzEncoder<BufWriter<File>>>;

/// Packs the content of a folder.
pub(super) fn folder(folder: &Path, archive: &Path) -> Result<()> {
    pack(folder, archive, |_| true)
}

/// Packs the user's code without the folders `not_code`, which may be inside it.
pub(super) fn source(folder: &Path, archive: &Path, not_code: &[&Path]) -> Result<()> {
    pack(folder, archive, |path| {
        let is_code = !path.file_name().is_some_and(|name| NOT_CODE.iter().any(|not| name == OsStr::new(not)));
        is_code && path.canonicalize().map_or(true, |path| !not_code.contains(&path.as_path()))
    })
}

/// Packs the entries of a folder for which `wanted` returns true.
fn pack(folder: &Path, archive: &Path, wanted: impl Fn(&Path) -> bool) -> Result<()> {
    let file = File::create(archive).with_context(|| format!("cannot write {}", archive.display()))?;
    let mut builder = Builder::new(GzEncoder::new(BufWriter::new(file), Compression::fast()));
    builder.follow_symlinks(false);
    add(&mut builder, folder, Path::new(""), &wanted)?;
    let written = builder.into_inner().and_then(GzEncoder::finish).and_then(|mut file| file.flush());
    written.with_context(|| format!("cannot write {}", archive.display()))
}

/// Adds the entries of `folder/below`. They are sorted, so that equal content gives equal archives.
fn add(builder: &mut Archive, folder: &Path, below: &Path, wanted: &impl Fn(&Path) -> bool) -> Result<()> {
    let here = folder.join(below);
    let entries = fs::read_dir(&here).with_context(|| format!("cannot read {}", here.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| wanted(path)).collect();
    paths.sort_unstable();
    for path in paths {
        let name = below.join(path.file_name().unwrap_or_default());
        let kind = path.symlink_metadata().with_context(|| format!("cannot read {}", path.display()))?.file_type();
        if kind.is_dir() {
            builder.append_dir(&name, &path).with_context(|| format!("cannot pack {}", path.display()))?;
            add(builder, folder, &name, wanted)?;
        } else if kind.is_file() || kind.is_symlink() {
            builder.append_path_with_name(&path, &name).with_context(|| format!("cannot pack {}", path.display()))?;
        }
    }
    Ok(())
}
