//! Ranks that a launcher starts, but that write to footplate directly: else all ranks of a host share the launcher's two
//! pipes, where pieces of their lines mix and nothing says whose they are.
//!
//! The launcher is told of an interpreter that is footplate under the name [`NAME`]: a link in a folder that only this user
//! can enter. Started as a rank, it puts the rank's own FIFOs in place of standard output and error, and becomes the real
//! interpreter:
//!
//! ```text
//! torchrun ─► footplate-rank -u train.py ─► python -u train.py ─► FIFO of rank 3 ─► relay
//! ```
//!
//! A rank that has no FIFO, because the user's options moved it, and a stream that the launcher itself sends elsewhere, are
//! left as they are.

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

use crate::job::exit_code;
use crate::logs::Style;

/// The name by which footplate starts ranks.
pub const NAME: &str = "footplate-rank";

/// The variable that names torchrun's interpreter (torch 1.9 and later, `torch/distributed/run.py`).
pub const PYTHON_EXEC: &str = "PYTHON_EXEC";

/// The variable that tells torchrun's ranks theirs.
const RANK: &str = "RANK";

/// The link beside it that says what it becomes: the interpreter's own path, of which a virtual environment goes out.
const INTERPRETER: &str = "interpreter";

/// The streams of a rank that its launcher does not pass on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankStreams {
    /// The rank.
    pub rank: usize,
    /// What its lines begin with where they are evidence beside those of other ranks.
    pub name: Vec<u8>,
    /// What is done to its lines.
    pub style: Style,
    fifos: [PathBuf; 2],
}

/// Those streams at footplate's end. As long as the writing ends are kept here they do not end, whoever comes and goes.
pub(super) type Opened = ([OwnedFd; 2], [File; 2]);

impl RankStreams {
    /// Makes those of a rank in a folder.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn make(folder: &Path, rank: usize, name: Vec<u8>, style: Style) -> io::Result<RankStreams> {
        let fifos = fifos(folder, &rank.to_string());
        for fifo in &fifos {
            mkfifo(fifo, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        Ok(RankStreams { rank, name, style, fifos })
    }

    /// Opens both for reading, before anybody writes.
    pub(super) fn open(&self) -> io::Result<Opened> {
        let [stdout, stderr] = &self.fifos;
        let reading = |fifo| open(OpenOptions::new().read(true), fifo).map(OwnedFd::from);
        let readers = [reading(stdout)?, reading(stderr)?];
        Ok((readers, [open(OpenOptions::new().write(true), stdout)?, open(OpenOptions::new().write(true), stderr)?]))
    }
}

/// A rank's standard output and error.
fn fifos(folder: &Path, rank: &str) -> [PathBuf; 2] {
    ["out", "err"].map(|stream| folder.join(format!("rank-{rank}.{stream}")))
}

/// Opens both of a rank's for writing, as the rank finds them.
///
/// # Errors
/// It has none.
pub(super) fn writers(folder: &Path, rank: usize) -> io::Result<[File; 2]> {
    let [stdout, stderr] = fifos(folder, &rank.to_string());
    Ok([writer(&stdout)?, writer(&stderr)?])
}

/// A FIFO that a program writes to as to a pipe.
fn writer(fifo: &Path) -> io::Result<File> {
    let fifo = open(OpenOptions::new().write(true), fifo)?;
    fcntl(&fifo, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(fifo)
}

/// Opens a FIFO without waiting for its other end.
fn open(options: &mut OpenOptions, fifo: &Path) -> io::Result<File> {
    options.custom_flags(libc::O_NONBLOCK).open(fifo)
}

/// Makes footplate the interpreter of ranks; gives the path that the launcher starts.
///
/// # Errors
/// The links cannot be made.
pub fn install(folder: &Path, interpreter: &Path) -> io::Result<PathBuf> {
    symlink(interpreter, folder.join(INTERPRETER))?;
    super::link_under(NAME, folder)
}

/// Becomes a rank; gives the exit code where it cannot.
pub fn run(words: &[OsString]) -> i32 {
    let Some((own, arguments)) = words.split_first() else { return exit_code::NOT_FOUND };
    let own = Path::new(own);
    if let (Some(folder), Ok(rank)) = (own.parent(), std::env::var(RANK)) {
        let [stdout, stderr] = fifos(folder, &rank);
        // Where it fails, the rank writes to where its launcher does.
        let _ = take_over(&io::stdout(), 1, &stdout, |fifo| dup2_stdout(fifo));
        let _ = take_over(&io::stderr(), 2, &stderr, |fifo| dup2_stderr(fifo));
    }
    let error = match fs::read_link(own.with_file_name(INTERPRETER)) {
        Ok(interpreter) => Command::new(interpreter).args(arguments).env_remove(PYTHON_EXEC).exec(),
        Err(error) => error,
    };
    eprintln!("{NAME}: cannot start the interpreter: {error}");
    exit_code::NOT_EXECUTABLE
}

/// Puts a FIFO in place of a stream, if that is the launcher's own.
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
