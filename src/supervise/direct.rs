//! Separate streams for the ranks that a launcher starts. Without them, all ranks of a host share the launcher's two
//! pipes. There, pieces of their lines mix and cannot be told apart.
//!
//! footplate poses as the launcher's interpreter, under the name [`NAME`]. This name is a link in a folder that only
//! this user can enter. Started as a rank, footplate puts the rank's own FIFOs in place of standard output and error,
//! and becomes the real interpreter:
//!
//! ```text
//! torchrun ─► footplate-rank -u train.py ─► python -u train.py ─► FIFO of rank 3 ─► relay
//! ```
//!
//! A rank that has no FIFO, because the user's options placed it on another host than planned, keeps its streams. A
//! stream that the launcher itself redirects is not replaced either.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{dup2_stderr, dup2_stdout, getppid, mkfifo};

use crate::event::ATTEMPT;
use crate::job::exit_code;
use crate::logs::Style;

/// The name of footplate as an interpreter of ranks.
pub const NAME: &str = "footplate-rank";

/// The variable that names torchrun's interpreter (torch 1.9 and later, `torch/distributed/run.py`).
pub const PYTHON_EXEC: &str = "PYTHON_EXEC";

/// The variable that holds the rank in processes of torchrun.
const RANK: &str = "RANK";

/// The variable that holds the number of restarts in processes of torchrun.
pub const RESTART_COUNT: &str = "TORCHELASTIC_RESTART_COUNT";

/// The name of a link to the real interpreter. The link holds the interpreter's path without resolving it, because
/// Python uses that path to detect a virtual environment.
const INTERPRETER: &str = "interpreter";

/// The streams of a rank that bypass its launcher.
#[derive(Clone, Debug)]
pub struct RankStreams {
    /// The rank.
    pub rank: usize,
    /// The prefix of the rank's lines, which tells them apart from those of other ranks.
    pub name: Vec<u8>,
    /// The changes that are made to the rank's lines.
    pub style: Style,
    fifos: [PathBuf; 2],
}

/// The reading ends for the relay, and the writing ends. A stream does not end while its writing end is kept here,
/// whichever processes open and close the FIFO.
pub(super) type OpenedStreams = ([OwnedFd; 2], [File; 2]);

impl RankStreams {
    /// Makes the FIFOs of a rank in a folder.
    ///
    /// # Errors
    /// A FIFO cannot be made.
    pub fn make(folder: &Path, rank: usize, name: Vec<u8>, style: Style) -> io::Result<RankStreams> {
        let fifos = fifos(folder, &rank.to_string());
        for fifo in &fifos {
            mkfifo(fifo, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        Ok(RankStreams { rank, name, style, fifos })
    }

    /// Opens both FIFOs for reading, before any process writes.
    pub(super) fn open(&self) -> io::Result<OpenedStreams> {
        let [stdout, stderr] = &self.fifos;
        let reading = |fifo| open(OpenOptions::new().read(true), fifo).map(OwnedFd::from);
        let readers = [reading(stdout)?, reading(stderr)?];
        Ok((readers, [open(OpenOptions::new().write(true), stdout)?, open(OpenOptions::new().write(true), stderr)?]))
    }
}

/// Returns the paths of a rank's standard output and error.
fn fifos(folder: &Path, rank: &str) -> [PathBuf; 2] {
    ["out", "err"].map(|stream| folder.join(format!("rank-{rank}.{stream}")))
}

/// Opens both FIFOs of a rank for writing, on the rank's side.
///
/// # Errors
/// The rank has no FIFOs.
pub(super) fn writers(folder: &Path, rank: usize) -> io::Result<[File; 2]> {
    let [stdout, stderr] = fifos(folder, &rank.to_string());
    Ok([writer(&stdout)?, writer(&stderr)?])
}

/// Opens a FIFO so that a program can write to it as to a pipe.
fn writer(fifo: &Path) -> io::Result<File> {
    let fifo = open(OpenOptions::new().write(true), fifo)?;
    fcntl(&fifo, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(fifo)
}

/// Opens a FIFO without waiting until its other end is open.
fn open(options: &mut OpenOptions, fifo: &Path) -> io::Result<File> {
    options.custom_flags(libc::O_NONBLOCK).open(fifo)
}

/// Makes footplate the interpreter of ranks, and returns the path for the launcher.
///
/// # Errors
/// The links cannot be made.
pub fn install(folder: &Path, interpreter: &Path) -> io::Result<PathBuf> {
    symlink(interpreter, folder.join(INTERPRETER))?;
    super::link_under(NAME, folder)
}

/// Turns this process into a rank. Returns an exit code if that fails.
pub fn run(words: &[OsString]) -> i32 {
    let Some((own, arguments)) = words.split_first() else { return exit_code::NOT_FOUND };
    let own = Path::new(own);
    if let (Some(folder), Ok(rank)) = (own.parent(), std::env::var(RANK)) {
        let [stdout, stderr] = fifos(folder, &rank);
        // If this fails, the rank writes to the launcher's streams.
        let _ = take_over(&io::stdout(), 1, &stdout, |fifo| dup2_stdout(fifo));
        let _ = take_over(&io::stderr(), 2, &stderr, |fifo| dup2_stderr(fifo));
    }
    let error = match fs::read_link(own.with_file_name(INTERPRETER)) {
        Ok(interpreter) => {
            let mut command = Command::new(interpreter);
            command.args(arguments).env_remove(PYTHON_EXEC);
            if let Some(count) = restart_count() {
                command.env(RESTART_COUNT, count.to_string());
            }
            command.exec()
        }
        Err(error) => error,
    };
    eprintln!("{NAME}: cannot start the interpreter: {error}");
    exit_code::NOT_EXECUTABLE
}

/// Returns the number of restarts by the launcher and by footplate. `None` if the launcher does not count its own.
fn restart_count() -> Option<u32> {
    let number = |name| std::env::var(name).ok()?.parse().ok();
    let own: u32 = number(RESTART_COUNT)?;
    Some(own.saturating_add(number(ATTEMPT).unwrap_or(0)))
}

/// Replaces a stream by a FIFO, if the stream is the launcher's own.
fn take_over(
    stream: &impl std::os::fd::AsFd,
    number: u8,
    fifo: &Path,
    put: impl FnOnce(&File) -> nix::Result<()>,
) -> io::Result<()> {
    let own = fstat(stream)?;
    let launchers = fs::metadata(format!("/proc/{}/fd/{number}", getppid()))?;
    if (own.st_dev, own.st_ino) == (launchers.dev(), launchers.ino()) {
        put(&writer(fifo)?)?;
    }
    Ok(())
}
