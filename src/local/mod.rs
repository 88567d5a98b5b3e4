//! `footplate local`: runs a job on this machine as the platform would, as processes or in containers of an image.
//!
//! [`run`] creates the folders of a job below the output folder, runs `footplate train` on them once for each host, and packs the
//! results. It does only what the platform does around a container, and must not know how a job is run.

mod channels;
mod containers;
mod hosts;
mod job;
mod loopback;
mod pack;
mod tree;
mod view;

pub use channels::{DataType, InputChannel, InputMode, ObjectSharing, RecordWrapper};
pub use containers::{ContainerError, WORD as PART_WORD, play as play_part};
pub use job::{GpuGrant, JobImage, LocalJob, LocalResults};

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use channels::Feed;
use containers::Ready;

use crate::event::Ending;
use crate::job::Paths;
use crate::redact::{Redactor, visible_lines};

/// The name of the running job's folder in the output folder. It is removed at the end, so a user must not have a
/// folder with this name.
const JOB_FOLDER: &str = ".footplate-job";

/// Runs a job until it ends. `tell` receives progress messages.
///
/// # Errors
/// The job cannot be set up, or its results cannot be packed. A job that fails is not an error. A [`ContainerError`]
/// means that the engine or the image cannot run the job.
pub fn run(job: &LocalJob, tell: &dyn Fn(&str)) -> Result<LocalResults> {
    // This comes before anything of an earlier job is replaced.
    let ready = job.image.as_ref().map(|image| Ready::new(job, image, tell)).transpose()?;
    fs::create_dir_all(&job.output_dir).with_context(|| format!("cannot make {}", job.output_dir.display()))?;
    let output_dir = job.output_dir.canonicalize().with_context(|| job.output_dir.display().to_string())?;
    // Only the results of an earlier job and the folder of an interrupted job are replaced.
    for old in ["model.tar.gz", "output.tar.gz", "failure"] {
        remove_file(&output_dir.join(old))?;
    }
    let base = output_dir.join(JOB_FOLDER);
    match fs::remove_dir_all(&base) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            bail!("cannot remove {}: {error}", base.display());
        }
        _ => {}
    }
    // Other users of this machine must not read hyperparameters, code and checkpoints, or write to the job's folders.
    let made = DirBuilder::new().mode(0o700).create(&base);
    made.with_context(|| format!("cannot make {}", base.display()))?;
    let ran = run_below(&base, job, ready, &output_dir, tell);
    let removed = fs::remove_dir_all(&base).with_context(|| format!("cannot remove {}", base.display()));
    let results = ran?;
    removed?;
    Ok(results)
}

/// Runs a job in the empty folder `base`, and packs the results.
fn run_below(
    base: &Path,
    job: &LocalJob,
    ready: Option<Ready<'_>>,
    output_dir: &Path,
    tell: &dyn Fn(&str),
) -> Result<LocalResults> {
    let archive = base.join("sourcedir.tar.gz");
    if job.entry_point.is_some() {
        tree::pack_code(job, &archive, &[output_dir, base])?;
    }
    let hosts: Vec<Paths> = job.host_names().iter().map(|host| Paths::under(base.join(host))).collect();
    let channels = channels::stage(&job.channels, job.hosts, base)?;
    let seen = if job.image.is_some() { containers::archive() } else { archive.clone() };
    for (index, paths) in hosts.iter().enumerate() {
        tree::build(job, paths, index, &seen, &channels)?;
    }
    let feed = Feed::begin(&channels, &hosts, report)?;
    let ended = match ready {
        None => loopback::run(job, &hosts)?,
        Some(ready) => {
            if job.entry_point.is_some() {
                containers::hand_out(&archive, &hosts)?;
            }
            ready.run(base, &hosts, &channels, tell)?
        }
    };
    drop(feed);

    // Normally all hosts agree on one cause. A host that was killed, and hosts that were then stopped, may have other
    // causes.
    let written = |paths: &Paths| fs::metadata(paths.failure()).and_then(|file| file.modified()).ok();
    let failed = hosts.iter().zip(0..).filter_map(|(paths, host)| Some((written(paths)?, host))).min();
    let failed: Option<usize> = failed.map(|(_, host)| host);
    let codes: Vec<i32> = ended.into_iter().map(|status| Ending::from(status).exit_code()).collect();
    let results = LocalResults {
        // The exit code of the host whose failure file is kept, or else of the first failed host, in the order of
        // ranks.
        exit_code: failed
            .into_iter()
            .chain(0..codes.len())
            .map(|host| codes[host])
            .find(|code| *code != 0)
            .unwrap_or(0),
        model: output_dir.join("model.tar.gz"),
        output: output_dir.join("output.tar.gz"),
        failure: failed.map(|_| output_dir.join("failure")),
    };
    let folders = |folder: fn(&Paths) -> PathBuf| hosts.iter().map(folder).collect::<Vec<_>>();
    pack::folder(&tree::merged(&folders(Paths::model))?, &results.model)?;
    pack::folder(&tree::merged(&folders(Paths::output_data))?, &results.output)?;
    if let (Some(host), Some(failure)) = (failed, &results.failure) {
        fs::copy(hosts[host].failure(), failure).with_context(|| format!("cannot write {}", failure.display()))?;
    }
    Ok(results)
}

/// Prints a message from a thread.
fn report(text: &str) {
    eprintln!("footplate: {}", visible_lines(&Redactor::default().clean(text)));
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            bail!("cannot replace {}: {error}", path.display())
        }
        _ => Ok(()),
    }
}

/// Splits `name=value`, an argument of the command line.
///
/// # Errors
/// The `=` or the name is missing. clap prints this error.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// Returns a name for a job, made from the name of the script or the image and the time in seconds.
pub fn job_name(of: &str, seconds: u64) -> String {
    let stem = Path::new(of).file_stem().map(OsString::from).unwrap_or_default();
    let stem = stem.to_string_lossy();
    let plain: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{}-{seconds}", plain.trim_matches('-'))
}
