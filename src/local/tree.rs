//! The folders and files that a job finds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::{Spec, pack};
use crate::job::Paths;

/// Builds them; the code is packed as the SDKs pack it, without the folders `not_code`, which may lie in it.
pub(super) fn build(spec: &Spec, paths: &Paths, not_code: &[&Path]) -> Result<()> {
    for folder in [paths.config(), paths.data(), paths.model(), paths.output_data()] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    if !spec.source_dir.is_dir() {
        bail!("the source folder {} is not there: name one with --source-dir", spec.source_dir.display());
    }
    let archive = paths.base().join("sourcedir.tar.gz");
    pack::source(&spec.source_dir, &archive, not_code)?;

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
        "current_host": "algo-1",
        "hosts": ["algo-1"],
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
