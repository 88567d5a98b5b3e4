//! The folders and files that a job finds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::{Spec, pack};
use crate::job::Paths;

/// Packs the code as the SDKs pack it, without the folders `not_code`, which may lie in it.
pub(super) fn pack_code(spec: &Spec, archive: &Path, not_code: &[&Path]) -> Result<()> {
    if !spec.source_dir.is_dir() {
        bail!("the source folder {} is not there: name one with --source-dir", spec.source_dir.display());
    }
    pack::source(&spec.source_dir, archive, not_code)
}

/// Builds those of one host; `archive` holds the code.
pub(super) fn build(spec: &Spec, paths: &Paths, host: &str, archive: &Path) -> Result<()> {
    for folder in [paths.config(), paths.data(), paths.model(), paths.output_data()] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    // The entry point and the source come last: they are not the user's to change here.
    let mut hyperparameters: Map<String, Value> =
        spec.hyperparameters.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let text = |value: &str| Value::from(Value::from(value).to_string());
    hyperparameters.insert("sagemaker_program".to_owned(), text(&spec.entry_point));
    hyperparameters.insert("sagemaker_submit_directory".to_owned(), text(&archive.to_string_lossy()));
    hyperparameters.insert("sagemaker_job_name".to_owned(), text(&spec.name));

    let mut channels = Map::new();
    for (name, path) in &spec.channels {
        channel(name, path, paths)?;
        channels.insert(name.clone(), json!({"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}));
    }
    let write = |file: &str, value: Value| {
        let path = paths.config().join(file);
        fs::write(&path, format!("{value}\n")).with_context(|| format!("cannot write {}", path.display()))
    };
    write("hyperparameters.json", Value::Object(hyperparameters))?;
    write("inputdataconfig.json", Value::Object(channels))?;
    let resources = json!({
        "current_host": host,
        "hosts": spec.host_names(),
        "network_interface_name": "lo",
        "current_instance_type": "local",
    });
    write("resourceconfig.json", resources)?;
    if let Some(folder) = &spec.checkpoint_dir {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        write("checkpointconfig.json", json!({"LocalPath": absolute(folder)?}))?;
    }
    Ok(())
}

/// Puts what the hosts left in folders of one kind into the first of them, as the platform does: of files of one name, the
/// first host's stays.
pub(super) fn merged(folders: &[PathBuf]) -> Result<PathBuf> {
    let (first, others) = folders.split_first().context("there is a host")?;
    for other in others {
        merge(other, first)?;
    }
    Ok(first.clone())
}

fn merge(from: &Path, into: &Path) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let target = into.join(path.file_name().unwrap_or_default());
        match target.symlink_metadata() {
            Err(_) => fs::rename(&path, &target).with_context(|| format!("cannot move {}", path.display()))?,
            Ok(there) if there.is_dir() && path.is_dir() => merge(&path, &target)?,
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Makes the channel's folder: a link to the user's, or a folder with a link to the user's file.
fn channel(name: &str, path: &Path, paths: &Paths) -> Result<()> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        bail!("the channel name {name:?} is not possible: use letters, digits, '.', '-' and '_'");
    }
    let target = absolute(path).with_context(|| format!("the channel {name}"))?;
    let mut link = paths.channel(name);
    if target.is_file() {
        fs::create_dir_all(&link).with_context(|| format!("cannot make {}", link.display()))?;
        link.push(target.file_name().unwrap_or_default());
    }
    symlink(&target, &link).with_context(|| format!("cannot make {}", link.display()))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("{} is not there", path.display()))
}
