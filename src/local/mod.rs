//! A job on this machine as the platform would run it, without Docker: the same files in, the real binary, the same files
//! out.
//!
//! [`run`] builds the folders of a job below the output folder, runs `footplate train` on them, and packs what it leaves.
//! It must not know how a job is run: all that it does is what the platform does around a container.

mod pack;
mod tree;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context, Result, bail};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::iterator::Signals;

use crate::job::Paths;
use crate::kernel;
use crate::process::Ending;

/// The folder of a job that runs, in the output folder: of a name that no user's own folder has, as it is removed.
const JOB_FOLDER: &str = ".footplate-job";

/// Variables that decide what runs: those of this machine's shell are not the job's.
const NOT_INHERITED: [&str; 3] = ["SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY", "SAGEMAKER_TRAINING_MODULE"];

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
    let paths = Paths::under(&base);
    tree::build(spec, &paths, &[&output_dir, &base])?;

    let status = run_job(spec, &paths)?;
    let results = Results {
        exit_code: ending(status).exit_code(),
        model: output_dir.join("model.tar.gz"),
        output: output_dir.join("output.tar.gz"),
        failure: paths.failure().exists().then(|| output_dir.join("failure")),
    };
    pack::folder(&paths.model(), &results.model)?;
    pack::folder(&paths.output_data(), &results.output)?;
    if let Some(failure) = &results.failure {
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

/// Runs this binary as the container's, and passes signals on. It gets a group of its own, so that Ctrl-C reaches it once,
/// from here.
fn run_job(spec: &Spec, paths: &Paths) -> Result<ExitStatus> {
    let binary = std::env::current_exe().context("cannot find footplate's own binary")?;
    let mut signals = Signals::new([libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT])?;
    let mut command = Command::new(&binary);
    command.arg("train").process_group(0);
    for (name, value) in &spec.settings {
        command.arg("--set").arg(format!("{name}={value}"));
    }
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command.envs(spec.variables.iter().map(|(name, value)| (name, value)));
    command.env("SAGEMAKER_BASE_DIR", paths.base()).env("TRAINING_JOB_NAME", &spec.name);
    kernel::end_with_this_thread(&mut command);
    let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let handle = signals.handle();
    let forwarder = std::thread::spawn(move || {
        for signal in signals.forever() {
            if let Ok(signal) = Signal::try_from(signal) {
                // A hang-up ends a job as Ctrl-C does.
                let signal = if signal == Signal::SIGHUP { Signal::SIGTERM } else { signal };
                let _ = kill(pid, signal);
            }
        }
    });
    let status = wait(&mut child);
    handle.close();
    let _ = forwarder.join();
    status.context("cannot wait for the job")
}

fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    loop {
        match child.wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            status => return status,
        }
    }
}

fn ending(status: ExitStatus) -> Ending {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Signaled(signal.unwrap_or(libc::SIGKILL)),
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
