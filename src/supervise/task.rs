//! Programs, and starting them.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::Pid;

use crate::event::{Ending, Process};
use crate::job::exit_code;
use crate::logs::Style;
use crate::system::kernel::{self, InheritedSignals, ParentBond, Step};

use super::direct::{OpenedStreams, RankStreams};
use super::group::Service;
use super::keeper::Keepers;

/// A program to run. The description is complete, so that nothing is looked up when the program starts.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// The program's identity in events and reports.
    pub process: Process,
    /// The file to execute. A relative path counts from the working directory.
    pub program: PathBuf,
    /// The program's arguments. The first one is its name.
    pub arguments: Vec<OsString>,
    /// All environment variables of the program. None is inherited.
    pub variables: BTreeMap<OsString, OsString>,
    /// The program's working directory.
    pub working_dir: PathBuf,
    /// The changes that are made to the program's lines.
    pub style: Style,
    /// The program's role beside the other tasks.
    pub role: Role,
    /// The ranks that the program starts and that write to streams of their own.
    pub ranks: Vec<RankStreams>,
    /// The socket of the keepers of those ranks, if the ranks have keepers.
    pub keepers: Option<Arc<Keepers>>,
    /// The attempt at running the ranks, counted from 0.
    pub attempt: u32,
    /// True if the program may wait for other ranks after a traceback and never end. Then it counts as failed once it
    /// is silent.
    pub may_outlive_traceback: bool,
}

/// The role of a program beside those that run at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A process like the others.
    #[default]
    Process,
    /// A launcher.
    Launcher(Launching),
    /// A service of an engine.
    Service {
        /// The rules for its start and end.
        rules: Service,
        /// The sign that it is ready.
        readiness: Readiness,
    },
}

/// The traits of a launcher that starts ranks and ends when they have ended. An orderly stop signals only its ranks,
/// because mpirun kills them within a second when it is told to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Launching {
    /// The names of further processes that belong to the launcher, such as its daemons.
    pub daemons: &'static [&'static str],
    /// True if the ranks are in the launcher's process group. False if each has its own group.
    pub shares_group: bool,
    /// The ending of a rank that ended only because its daemon did. `None` if no ending shows that.
    pub lost_daemon: Option<Ending>,
}

/// The sign that a service is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The program was started.
    Started,
    /// Enough lines of one of its streams contain a text.
    Line {
        /// The text.
        text: String,
        /// The number of lines.
        times: usize,
    },
    /// Something listens at this address.
    Port(SocketAddr),
}

/// A program that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{}", describe(program, *step, error))]
pub struct SpawnError {
    /// The program.
    pub program: PathBuf,
    step: Step,
    error: io::Error,
}

impl SpawnError {
    /// Returns the exit code that shells use: 127 if the file was not found, else 126.
    pub fn exit_code(&self) -> i32 {
        match (self.step, Errno::from_raw(self.error.raw_os_error().unwrap_or(0))) {
            (Step::Exec, Errno::ENOENT | Errno::ENOTDIR) => exit_code::NOT_FOUND,
            _ => exit_code::NOT_EXECUTABLE,
        }
    }

    /// Returns true if the kernel does not know the format of the file: a script without `#!`.
    pub fn is_unknown_format(&self) -> bool {
        self.step == Step::Exec && self.error.raw_os_error() == Some(Errno::ENOEXEC as i32)
    }

    /// Returns true if the file, or the interpreter that it names, may not be executed.
    pub fn is_not_executable(&self) -> bool {
        self.step == Step::Exec && self.error.raw_os_error() == Some(Errno::EACCES as i32)
    }
}

/// The remedy for a kernel that refuses processes and threads.
pub const LIMIT_REMEDY: &str = "allow the container more processes (docker run --pids-limit, ulimit -u)";

/// Describes why a program could not be started, and names the remedy.
fn describe(path: &Path, step: Step, error: &io::Error) -> String {
    let program = path.display();
    match (step, Errno::from_raw(error.raw_os_error().unwrap_or(0))) {
        (Step::Exec, Errno::ENOENT) if path.exists() => {
            format!("cannot execute {program}: the interpreter or loader that it names is not in this image")
        }
        (Step::Exec, Errno::ENOENT | Errno::ENOTDIR) => format!("{program}: not found"),
        (Step::Exec, Errno::EACCES) => {
            format!("cannot execute {program}: it may not be executed by this user (chmod +x it)")
        }
        (Step::Exec, Errno::ENOEXEC) => {
            format!(
                "cannot execute {program}: it is neither a program for this machine nor a script that begins with #!"
            )
        }
        (Step::Exec, Errno::E2BIG) => {
            format!("cannot execute {program}: arguments and environment are larger than the kernel takes")
        }
        (Step::Exec, _) => format!("cannot execute {program}: {error}"),
        (Step::WorkingDir, _) => {
            format!("cannot start {program}: its working directory cannot be entered: {error}")
        }
        (Step::Streams, _) => format!("cannot start {program}: its streams cannot be set: {error}"),
        (Step::Fork, Errno::EAGAIN) => {
            format!("cannot start {program}: no process can be made ({error}): {LIMIT_REMEDY}")
        }
        (Step::Fork, _) => format!("cannot start {program}: no process can be made: {error}"),
    }
}

/// A started program, with the reading ends of its streams.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) pid: Pid,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) ranks: Vec<OpenedStreams>,
}

impl Task {
    /// Starts the program.
    pub(super) fn start(&self, inherited: &InheritedSignals, bond: ParentBond) -> Result<Started, SpawnError> {
        let failed = |step, error| SpawnError { program: self.working_dir.join(&self.program), step, error };
        let c_string =
            |bytes: &[u8]| CString::new(bytes).map_err(|_| failed(Step::Exec, io::Error::from(Errno::EINVAL)));
        let path = c_string(self.program.as_os_str().as_bytes())?;
        let arguments =
            self.arguments.iter().map(|argument| c_string(argument.as_bytes())).collect::<Result<Vec<_>, _>>()?;
        let variables = self
            .variables
            .iter()
            .map(|(name, value)| c_string(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect::<Result<Vec<_>, _>>()?;
        let working_dir = c_string(self.working_dir.as_os_str().as_bytes())?;

        let streams = |error: Errno| failed(Step::Streams, io::Error::from(error));
        let (stdout, stdout_of_child) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(streams)?;
        let (stderr, stderr_of_child) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(streams)?;
        let ranks = self.ranks.iter().map(RankStreams::open).collect::<io::Result<_>>();
        let ranks = ranks.map_err(|error| failed(Step::Streams, error))?;
        let stdin = standard_input().map_err(|error| failed(Step::Streams, error))?;
        let program = kernel::Executable {
            path: &path,
            arguments: &arguments,
            variables: &variables,
            working_dir: &working_dir,
            streams: [stdin.as_fd(), stdout_of_child.as_fd(), stderr_of_child.as_fd()],
            bond,
        };
        let pid = kernel::spawn(&program, inherited).map_err(|(step, error)| failed(step, error))?;
        Ok(Started { pid, stdout, stderr, ranks })
    }
}

/// Returns footplate's own standard input, or /dev/null if that is a terminal: the kernel stops a program in a
/// background group that reads from a terminal (SIGTTIN), so that it would hang.
fn standard_input() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    if nix::unistd::isatty(stdin.as_fd()).unwrap_or(false) {
        Ok(File::open(Path::new("/dev/null"))?.into())
    } else {
        stdin.as_fd().try_clone_to_owned()
    }
}
