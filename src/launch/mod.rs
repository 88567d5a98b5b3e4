//! From a job to the command that runs it: a [`LaunchPlan`], pure, so that it is tested by tables and can be printed.
//!
//! One file a launcher. [`choice`] says which one a job asks for. Nothing here touches a file, a process or a clock: what
//! the image has is handed in as [`Image`].

pub mod choice;
mod count;
mod modelparallel;
mod mpi;
mod mpirun;
mod network;
mod per_gpu;
mod process;
mod smddp;
mod torchrun;
mod xla;

use std::fmt;
use std::path::PathBuf;

pub use choice::{choose, ends_with_its_ranks, is_mpirun, needs_all_hosts};
pub use count::Span;

use crate::job::Job;
use crate::job::settings::{Launcher, Settings};
use crate::machine::Hardware;
use crate::prepare::code::EntryKind;
use crate::prepare::environment::VariableTable;

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file of the user's code.
    File {
        /// Its kind.
        kind: EntryKind,
        /// Its name, relative to the code folder.
        name: String,
        /// The name of its module, for `python -m`.
        module: String,
        /// Whether it can be executed itself; else a shell reads it.
        is_executable: bool,
    },
    /// A function of a module that the image brings (SAGEMAKER_TRAINING_MODULE).
    Function {
        /// The module.
        module: String,
        /// The function.
        function: String,
    },
    /// A command for the shell (SDK version 3, `SourceCode.command`).
    ShellCommand(String),
}

/// What the image has to run it with; launchers only where the job asks for them.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The Python interpreter.
    pub python: Option<PathBuf>,
    /// torchrun.
    pub torchrun: Option<PathBuf>,
    /// mpirun.
    pub mpirun: Option<PathBuf>,
    /// Whether mpirun is that of Open MPI 5, which has PRRTE beside it.
    pub has_prrte: bool,
    /// neuron_parallel_compile, if it was asked for (RUN_NEURON_PARALLEL_COMPILE=1).
    pub neuron_parallel_compile: Option<PathBuf>,
}

/// All that a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The job.
    pub job: &'a Job,
    /// What is set.
    pub settings: &'a Settings,
    /// What this host has.
    pub hardware: &'a Hardware,
    /// What the image has.
    pub image: &'a Image,
    /// What is to be run.
    pub entry: &'a Entry,
    /// Its arguments.
    pub arguments: &'a [Vec<u8>],
}

/// What runs on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchPlan {
    /// What starts the ranks.
    pub launcher: Launcher,
    /// The host.
    pub host: String,
    /// What footplate starts on this host, one process each. Launchers of the image start ranks of their own.
    pub ranks: Vec<Rank>,
    /// The training ranks of this host, whoever starts them; none where the counts of other hosts are not known.
    pub span: Option<Span>,
    /// The file to execute; a relative one counts from the working directory.
    pub program: PathBuf,
    /// Its arguments, the first of which is its name.
    pub arguments: Vec<Vec<u8>>,
    /// Variables that the launcher needs; what the container was given is stronger.
    pub variables: VariableTable,
    /// Where it runs.
    pub working_dir: PathBuf,
    /// Whose lines the launcher's streams hold, if it tags them.
    pub tagged: Option<Tagged>,
    /// Whether footplate may start mpirun's ranks in its place: their places are known, and their streams are not the user's.
    pub keeps_ranks: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// The ranks whose lines come through the streams of one launcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tagged {
    /// The host of each rank, as far as it is known.
    pub hosts: Vec<String>,
    /// How many ranks there are.
    pub world_size: usize,
    /// Whether a blank follows each tag, as with Open MPI 5.
    pub has_blank: bool,
}

/// A process that footplate starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rank {
    /// Its rank in the whole job; a host's node rank where each host has one process.
    pub rank: usize,
    /// Its rank among those of its host.
    pub local_rank: usize,
    /// Its own variables, stronger than all but those that the container was given.
    pub variables: VariableTable,
}

impl Rank {
    /// The only one of its host.
    fn only(job: &Job) -> Vec<Rank> {
        vec![Rank { rank: job.node_rank(), local_rank: 0, variables: VariableTable::new() }]
    }
}

/// A launch that was asked for and cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchError(pub String);

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LaunchError {}

/// Plans what this host runs.
///
/// # Errors
/// What was asked for is not possible here. It never becomes a single process instead.
pub fn plan(facts: &Facts<'_>) -> Result<LaunchPlan, LaunchError> {
    let launcher = choose(facts.job, facts.settings)?;
    let mut plan = match launcher {
        Launcher::Process => process::plan(facts),
        Launcher::PerGpu => per_gpu::plan(facts),
        Launcher::Torchrun => torchrun::plan(facts),
        Launcher::Mpi => mpi::plan(facts),
        Launcher::Smddp => smddp::plan(facts),
        Launcher::Xla => xla::plan(facts),
    }?;
    if let Some(set) = facts.settings.launcher.filter(|set| *set != launcher) {
        let cluster = &facts.job.cluster;
        plan.warnings.push(format!(
            "FOOTPLATE_LAUNCHER={set} is for the instance groups {}: this host's, {}, runs one process a host",
            cluster.distribution_groups.join(", "),
            cluster.current_group
        ));
    }
    Ok(plan)
}

impl Facts<'_> {
    fn python(&self) -> Result<&std::path::Path, LaunchError> {
        self.image.python.as_deref().ok_or_else(|| {
            LaunchError("the image has no Python on PATH: install one, or name one in FOOTPLATE_PYTHON".to_owned())
        })
    }
}

impl Entry {
    /// Why a launcher of Python scripts does not run this.
    fn refused_by(&self, launcher: &str) -> LaunchError {
        let script = "name a Python script as the entry point";
        LaunchError(match self {
            Entry::File { kind: EntryKind::PythonPackage, name, .. } => {
                format!("{launcher} cannot run {name}, which is a package to be installed: {script}")
            }
            Entry::File { name, .. } => {
                format!("{launcher} cannot run {name}, which is no Python script: {script}, or start {launcher} in it")
            }
            Entry::Function { module, function } => {
                format!("{launcher} cannot run the function {module}:{function}: {script}")
            }
            Entry::ShellCommand(_) => {
                format!("{launcher} cannot run a shell command: {script}, or start {launcher} in the command")
            }
        })
    }
}

/// The words of a command as bytes.
fn words<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Vec<Vec<u8>> {
    words.into_iter().map(|word| word.as_ref().to_vec()).collect()
}

fn path_bytes(path: &std::path::Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

#[cfg(test)]
mod tests;
