//! A job on this machine as the platform would run it, without Docker: the same files in, the real binary, the same files
//! out.
//!
//! [`run`] builds the folders of a job below the output folder, runs `footplate train` on them, once for each host, and packs
//! what it leaves.
//! It must not know how a job is run: all that it does is what the platform does around a container.

mod hosts;
mod pack;
mod tree;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::job::Paths;

/// The folder of a job that runs, in the output folder: of a name that no user's own folder has, as it is removed.
const JOB_FOLDER: &str = ".footplate-job";

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The folder of the code.
    pub source_dir: PathBuf,
    /// The script in it.
    pub entry_point: String,
    /// Hyperparameters by name, as JSON or as raw text.
    pub hyperparameters: Vec<(String, String)>,
    /// Channels by name, each a folder or a file.
    pub channels: Vec<(String, PathBuf)>,
    /// The folder of checkpoints, which is kept.
    pub checkpoint_dir: Option<PathBuf>,
    /// Where the results go.
    pub output_dir: PathBuf,
    /// Variables of the container.
    pub variables: Vec<(String, String)>,
    /// Settings, handed on.
    pub settings: Vec<(String, String)>,
    /// The name of the job.
    pub name: String,
    /// How many hosts it has, at least one.
    pub hosts: usize,
    /// How many GPUs each host is to be taken to have; what the machine has where none.
    pub gpus_per_host: Option<usize>,
}

impl Spec {
    /// The names of the hosts, as the platform gives them.
    fn host_names(&self) -> Vec<String> {
        (1..=self.hosts).map(|number| format!("algo-{number}")).collect()
    }
}

/// What a job left.
#[derive(Clone, Debug)]
pub struct Results {
    /// The exit code of the job.
    pub exit_code: i32,
    /// The packed model.
    pub model: PathBuf,
    /// The packed output data.
    pub output: PathBuf,
    /// The failure file, if the job failed.
    pub failure: Option<PathBuf>,
}

/// Runs a job to its end.
///
/// # Errors
/// The job cannot be set up, or its results cannot be packed. A job that fails is no error.
pub fn run(spec: &Spec) -> Result<Results> {
    fs::create_dir_all(&spec.output_dir).with_context(|| format!("cannot make {}", spec.output_dir.display()))?;
    let output_dir = spec.output_dir.canonicalize().with_context(|| spec.output_dir.display().to_string())?;
    // Only results of our own are replaced, and the folders of a job that was interrupted.
    for old in ["model.tar.gz", "output.tar.gz", "failure"] {
        remove_file(&output_dir.join(old))?;
    }
    let base = output_dir.join(JOB_FOLDER);
    if base.exists() {
        fs::remove_dir_all(&base).with_context(|| format!("cannot remove {}", base.display()))?;
    }
    fs::create_dir(&base).with_context(|| format!("cannot make {}", base.display()))?;
    let archive = base.join("sourcedir.tar.gz");
    tree::pack_code(spec, &archive, &[&output_dir, &base])?;
    let hosts: Vec<Paths> = spec.host_names().iter().map(|host| Paths::under(base.join(host))).collect();
    for (host, paths) in spec.host_names().iter().zip(&hosts) {
        tree::build(spec, paths, host, &archive)?;
    }

    let exit_code = hosts::run(spec, &hosts)?;
    let failed = hosts.iter().find(|paths| paths.failure().exists());
    let results = Results {
        exit_code,
        model: output_dir.join("model.tar.gz"),
        output: output_dir.join("output.tar.gz"),
        failure: failed.map(|_| output_dir.join("failure")),
    };
    let folders = |folder: fn(&Paths) -> PathBuf| hosts.iter().map(folder).collect::<Vec<_>>();
    pack::folder(&tree::merged(&folders(Paths::model))?, &results.model)?;
    pack::folder(&tree::merged(&folders(Paths::output_data))?, &results.output)?;
    if let (Some(paths), Some(failure)) = (failed, &results.failure) {
        fs::copy(paths.failure(), failure).with_context(|| format!("cannot write {}", failure.display()))?;
    }
    fs::remove_dir_all(&base).with_context(|| format!("cannot remove {}", base.display()))?;
    Ok(results)
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            bail!("cannot replace {}: {error}", path.display())
        }
        _ => Ok(()),
    }
}

/// `name=value` of the command line.
///
/// # Errors
/// There is no `=` or no name.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// A name for a job: the script's and the time's.
pub fn job_name(entry_point: &str, seconds: u64) -> String {
    let stem = Path::new(entry_point).file_stem().map(OsString::from).unwrap_or_default();
    let stem = stem.to_string_lossy();
    let plain: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{}-{seconds}", plain.trim_matches('-'))
}
