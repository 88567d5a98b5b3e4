//! The folders and files of a job: its input and its output.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::channels::StagedChannel;
use super::job::LocalJob;
use super::pack;
use crate::job::Paths;

/// Packs the code as the SDKs do, without the folders `not_code`, which may be inside it.
pub(super) fn pack_code(job: &LocalJob, archive: &Path, not_code: &[&Path]) -> Result<()> {
    if !job.source_dir.is_dir() {
        bail!("the source folder {} is not there: name one with --source-dir", job.source_dir.display());
    }
    pack::source(&job.source_dir, archive, not_code)
}

/// Creates the folders and configuration files of the host at `index`. `archive` is the path at which the host sees
/// the archive of the code.
pub(super) fn build(
    job: &LocalJob,
    paths: &Paths,
    index: usize,
    archive: &Path,
    staged: &[StagedChannel],
) -> Result<()> {
    for folder in [paths.config(), paths.data(), paths.model(), paths.output_data()] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    // The entry point and the source are added last, so that the user's hyperparameters cannot replace them.
    let mut hyperparameters: Map<String, Value> =
        job.hyperparameters.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let text = |value: &str| Value::from(Value::from(value).to_string());
    if let Some(entry_point) = &job.entry_point {
        hyperparameters.insert("sagemaker_program".to_owned(), text(entry_point));
        hyperparameters.insert("sagemaker_submit_directory".to_owned(), text(&archive.to_string_lossy()));
    }
    hyperparameters.insert("sagemaker_job_name".to_owned(), text(&job.name));

    let mut channels = Map::new();
    for staged in staged {
        channels.insert(staged.name.clone(), staged.description.clone());
        let Some(target) = channel(staged, index, paths)? else { continue };
        match &job.image {
            None => symlink(&target.data, &target.place)
                .with_context(|| format!("cannot make {}", target.place.display()))?,
            Some(_) => target.make_mount_point()?,
        }
    }
    let write = |file: &str, value: Value| {
        let path = paths.config().join(file);
        fs::write(&path, format!("{value}\n")).with_context(|| format!("cannot write {}", path.display()))
    };
    write("hyperparameters.json", Value::Object(hyperparameters))?;
    write("inputdataconfig.json", Value::Object(channels))?;
    let resources = json!({
        "current_host": job.host_names().get(index),
        "hosts": job.host_names(),
        "network_interface_name": if job.image.is_some() { "eth0" } else { "lo" },
        "current_instance_type": job.image.as_ref().and_then(|image| image.instance_type.as_deref()).unwrap_or("local"),
    });
    write("resourceconfig.json", resources)?;
    if let Some(folder) = checkpoints(job)? {
        let folder = if job.image.is_some() { Paths::under(Paths::PLATFORM_BASE).checkpoints() } else { folder };
        write("checkpointconfig.json", json!({"LocalPath": folder}))?;
    }
    Ok(())
}

/// Moves the content of all folders into the first one and returns it, as the platform merges the hosts' output. If
/// several contain a file with the same name, that of the first host is kept.
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

/// The data of a channel, and the path at which a host expects it.
#[derive(Debug)]
pub(super) struct ChannelTarget {
    /// The user's folder or file.
    pub(super) data: PathBuf,
    /// The path at which the host expects the data.
    pub(super) place: PathBuf,
}

impl ChannelTarget {
    /// Creates the empty folder or file on which the data is mounted.
    fn make_mount_point(&self) -> Result<()> {
        let made = if self.data.is_dir() { fs::create_dir_all(&self.place) } else { fs::write(&self.place, "") };
        made.with_context(|| format!("cannot make {}", self.place.display()))
    }
}

/// Returns the target of a channel: a folder with its name, or the file inside such a folder. Creates that folder or
/// file. `None` if the channel is a pipe.
pub(super) fn channel(channel: &StagedChannel, index: usize, paths: &Paths) -> Result<Option<ChannelTarget>> {
    let Some(data) = channel.data(index) else { return Ok(None) };
    let mut place = paths.channel(&channel.name);
    if data.is_file() {
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        place.push(data.file_name().unwrap_or_default());
    }
    Ok(Some(ChannelTarget { data: data.to_owned(), place }))
}

/// Creates the folder of checkpoints, and returns its path. `None` if the job has none.
pub(super) fn checkpoints(job: &LocalJob) -> Result<Option<PathBuf>> {
    let Some(folder) = &job.checkpoint_dir else { return Ok(None) };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    absolute(folder).map(Some)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("{} is not there", path.display()))
}
