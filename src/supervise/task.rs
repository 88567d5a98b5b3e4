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
use crate::kernel::{self, Bond, Inherited, Step};
use crate::logs::Style;

use super::direct::{Opened, RankStreams};
use super::group::Service;
use super::keeper::Keepers;

/// A program to run, whole and explicit: nothing about it is looked up when it starts.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// Its identity in events and reports.
    pub process: Process,
    /// The file to execute. A relative path counts from the working directory.
    pub program: PathBuf,
    /// Its arguments. The first one is its name.
    pub arguments: Vec<OsString>,
    /// All of its variables. None is inherited.
    pub variables: BTreeMap<OsString, OsString>,
    /// Its working directory.
    pub working_dir: PathBuf,
    /// The changes that are made to its lines.
    pub style: Style,
    /// Its role beside the other tasks.
    pub role: Role,
    /// The streams of ranks that it starts and that write past it.
    pub ranks: Vec<RankStreams>,
    /// The socket of the keepers of those ranks, if they have keepers.
    pub keepers: Option<Arc<Keepers>>,
    /// The attempt at running the ranks, counted from 0.
    pub attempt: u32,
    /// True if it may wait for other ranks after a traceback, and never end. Then it counts as failed when it says no more.
    pub may_outlive_traceback: bool,
}

/// The role of a program beside those that run with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A process like the others.
    #[default]
    Process,
    /// A launcher.
    Launcher(Launching),
    /// A service of an engine.
    Service {
        /// The rules of its start and end.
        rules: Service,
        /// The sign that it is ready.
        readiness: Readiness,
    },
}

/// The traits of a launcher that starts ranks and ends when they have ended. An orderly stop is for its ranks: mpirun that is
/// told to stop kills them within a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Launching {
    /// The names of further processes that belong to the launcher, such as its daemons.
    pub daemons: &'static [&'static str],
    /// True if its ranks are in its process group. False if each has a group of its own.
    pub shares_group: bool,
    /// The ending of a rank that only followed its daemon, if there is one to tell it by.
    pub lost_daemon: Option<Ending>,
}

/// The sign that a service is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It was started.
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

/// Describes why a program could not be started, and what to do.
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
            format!("cannot execute {program}: it is no program for this machine, nor a script that begins with #!")
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
    pub(super) ranks: Vec<Opened>,
}

impl Task {
    /// Starts the program.
    pub(super) fn start(&self, inherited: &Inherited, bond: Bond) -> Result<Started, SpawnError> {
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

/// Returns footplate's own standard input, or /dev/null if that is a terminal: the kernel stops a program in a group of
/// its own that reads from a terminal (SIGTTIN), so that it would hang.
fn standard_input() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    if nix::unistd::isatty(stdin.as_fd()).unwrap_or(false) {
        Ok(File::open(Path::new("/dev/null"))?.into())
    } else {
        stdin.as_fd().try_clone_to_owned()
    }
}
