//! The input channels of a job on this machine: their data as each host sees it, as a folder or as FIFOs.
//!
//! [`request`] is the user's request, in the words of the platform's `InputDataConfig`. [`objects`] finds the objects
//! of a channel and downloads those in S3. [`order`] shuffles them and gives each host its share. [`pipe`] feeds
//! FIFOs.

mod objects;
mod order;
mod pipe;
mod request;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

pub use request::{DataType, InputChannel, InputMode, ObjectSharing, RecordWrapper};

pub(super) use pipe::Feed;

use objects::{Objects, Unit};

/// A channel whose data is on this machine.
#[derive(Debug)]
pub(super) struct StagedChannel {
    /// The name.
    pub(super) name: String,
    /// The entry of `inputdataconfig.json`.
    pub(super) description: Value,
    data: StagedData,
}

/// The data of a channel.
#[derive(Debug)]
enum StagedData {
    /// The folder or the file that all hosts see.
    Shared(PathBuf),
    /// A folder for each host.
    OfHosts(Vec<PathBuf>),
    /// The stream of each host, epoch by epoch.
    Streams { units: Vec<Unit>, order: order::EpochOrder, wrapper: RecordWrapper },
}

impl StagedChannel {
    /// Returns the folder or the file that the host at position `index` sees. `None` if the channel is a pipe.
    pub(super) fn data(&self, index: usize) -> Option<&Path> {
        match &self.data {
            StagedData::Shared(path) => Some(path),
            StagedData::OfHosts(folders) => folders.get(index).map(PathBuf::as_path),
            StagedData::Streams { .. } => None,
        }
    }
}

/// Brings the data of the channels into the folder `base` of the job. Data that can be used in its present place
/// stays there.
///
/// # Errors
/// The data does not exist, cannot be read, or cannot be provided in the mode that the channel requests.
pub(super) fn stage(channels: &[InputChannel], hosts: usize, base: &Path) -> Result<Vec<StagedChannel>> {
    let stage = |channel: &InputChannel| {
        let folder = base.join("channels").join(&channel.name);
        stage_one(channel, hosts, &folder).with_context(|| format!("the channel {}", channel.name))
    };
    channels.iter().map(stage).collect()
}

fn stage_one(channel: &InputChannel, hosts: usize, folder: &Path) -> Result<StagedChannel> {
    channel.check()?;
    let description = json!({
        "TrainingInputMode": if channel.mode == InputMode::Pipe { "Pipe" } else { "File" },
        "S3DistributionType": channel.sharing.word(),
        "RecordWrapperType": channel.wrapper.word(),
    });
    let objects = Objects::find(channel, &folder.join("objects"))?;
    let order = order::EpochOrder { seed: channel.shuffle_seed, sharing: channel.sharing, hosts };
    let data = match (channel.mode, objects) {
        (InputMode::Pipe, objects) => StagedData::Streams { units: objects.units()?, order, wrapper: channel.wrapper },
        (_, Objects::Whole(path)) if channel.sharing == ObjectSharing::FullyReplicated => StagedData::Shared(path),
        (_, objects) => {
            let files = objects.files()?;
            let of_host = |host: usize| {
                let folder = folder.join(format!("host-{}", host + 1));
                let share = order.of_host(files.len(), host, 0);
                fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
                for (name, file) in share.into_iter().map(|at| &files[at]) {
                    put(file, &folder.join(name))?;
                }
                Ok(folder)
            };
            StagedData::OfHosts((0..hosts).map(of_host).collect::<Result<_>>()?)
        }
    };
    Ok(StagedChannel { name: channel.name.clone(), description, data })
}

/// Makes a file available at another path, without copying it if both paths are on one file system.
fn put(file: &Path, path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    match fs::hard_link(file, path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            fs::copy(file, path).map(|_| ()).with_context(|| format!("cannot copy {}", file.display()))
        }
        linked => linked.with_context(|| format!("cannot read {}", file.display())),
    }
}
