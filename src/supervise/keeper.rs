//! Keepers: each rank that mpirun starts runs under a footplate of its own.
//!
//! mpirun has its own way to end ranks. When one fails, mpirun kills the others one to two seconds later, even if
//! they are not done, and reports little about how they ended. Its daemons start ranks through an exec agent, and
//! that agent is footplate:
//!
//! ```text
//! mpirun ─► orted ─► keeper ─► rank ─► FIFOs of the rank ─► relay     (see `direct`)
//!                      └─► socket: began 3 4711, ended 3 -9 ─► supervisor of this host
//! ```
//!
//! The rank is in its own process group, which mpirun does not know. Only the supervisor tells the rank to end, and
//! it respects the grace period. The keeper passes other signals from mpirun on, and ends as the rank did.
//!
//! A rank that cannot be kept, such as one that MPI_Comm_spawn started, runs as it would without a keeper.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use signal_hook::iterator::Signals;
use tokio::net;

use super::direct;
use crate::event::Ending;
use crate::job::exit_code;
use crate::redact::visible;
use crate::system::kernel;

/// The first argument that makes footplate a keeper.
pub const WORD: &str = "keep-rank";

/// The variable that names the folder with the FIFOs and the socket of a host's ranks.
pub const FOLDER: &str = "FOOTPLATE_RANKS";

/// The name of the keepers' socket in that folder.
const SOCKET: &str = "ranks.sock";

/// The maximum size of a note, in bytes: a word and two numbers.
const MAX_NOTE: usize = 64;

/// A note from a keeper about its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// The rank runs as this process.
    Began(usize, Pid),
    /// The rank has ended.
    Ended(usize, Ending),
}

impl Note {
    fn text(self) -> String {
        match self {
            Note::Began(rank, pid) => format!("began {rank} {pid}"),
            Note::Ended(rank, Ending::Exited(code)) => format!("ended {rank} {code}"),
            Note::Ended(rank, Ending::Signaled(number)) => format!("ended {rank} -{number}"),
        }
    }

    fn read(text: &[u8]) -> Option<Note> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let (what, rank) = (words.next()?, words.next()?.parse().ok()?);
        let number: i32 = words.next()?.parse().ok()?;
        match what {
            "began" => Some(Note::Began(rank, Pid::from_raw(number))),
            "ended" if number < 0 => Some(Note::Ended(rank, Ending::Signaled(-number))),
            "ended" => Some(Note::Ended(rank, Ending::Exited(number))),
            _ => None,
        }
    }
}

/// The socket on which the supervisor receives the notes of a host's keepers.
#[derive(Debug)]
pub struct Keepers(UnixDatagram);

impl Keepers {
    /// Listens in a folder.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn listen(folder: &Path) -> io::Result<Keepers> {
        let socket = UnixDatagram::bind(folder.join(SOCKET))?;
        socket.set_nonblocking(true)?;
        Ok(Keepers(socket))
    }

    /// Returns the next note, without waiting. `None` if there is none.
    pub(super) fn next(&self) -> Option<Note> {
        let mut text = [0; MAX_NOTE];
        loop {
            let size = self.0.recv(&mut text).ok()?;
            if let Some(note) = Note::read(&text[..size]) {
                return Some(note);
            }
        }
    }

    /// Returns a listener that waits for notes. Must be called in the runtime.
    pub(super) fn listener(&self) -> io::Result<Listener> {
        Ok(Listener(net::UnixDatagram::from_std(self.0.try_clone()?)?))
    }
}

/// A listener that waits for notes from keepers.
pub(super) struct Listener(net::UnixDatagram);

impl Listener {
    pub(super) async fn next(&self) -> Note {
        let mut text = [0; MAX_NOTE];
        loop {
            match self.0.recv(&mut text).await {
                Ok(size) => {
                    if let Some(note) = Note::read(&text[..size]) {
                        return note;
                    }
                }
                // A bound socket does not fail. If it fails all the same, no more notes arrive.
                Err(_) => std::future::pending().await,
            }
        }
    }
}

/// Returns the command with which mpirun starts its ranks. `None` if the path of this binary contains a blank, at
/// which mpirun would split it. mpirun passes the path to the daemons on all hosts, where it is valid because all
/// hosts use one image.
pub fn agent() -> Option<String> {
    let own = std::env::current_exe().ok()?;
    let own = own.to_str().filter(|path| !path.contains(char::is_whitespace) && Path::new(path).exists())?;
    Some(format!("{own} {WORD}"))
}

/// Runs as the keeper of a rank, and returns the exit code.
pub fn run(words: &[OsString]) -> i32 {
    let Some((program, arguments)) = words.split_first() else { return exit_code::NOT_FOUND };
    let mut command = Command::new(program);
    command.args(arguments).env_remove(FOLDER);
    let kept = kept_rank().and_then(|(folder, rank)| {
        let [stdout, stderr] = direct::writers(&folder, rank).ok()?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(folder.join(SOCKET)).ok()?;
        command.stdout(stdout).stderr(stderr).process_group(0);
        Some((rank, socket))
    });
    let Some((rank, socket)) = kept else { return failed(program, &command.exec()) };
    match keep(command, rank, &socket) {
        Ok(status) => end_as(status),
        Err(error) => failed(program, &error),
    }
}

fn failed(program: &OsString, error: &io::Error) -> i32 {
    eprintln!("footplate: cannot start {}: {error}", visible(&program.to_string_lossy()));
    if error.kind() == io::ErrorKind::NotFound { exit_code::NOT_FOUND } else { exit_code::NOT_EXECUTABLE }
}

/// Returns the folder of this host's ranks and the number of this rank. `None` for processes that ranks start,
/// because MPI numbers those from 0 again.
fn kept_rank() -> Option<(PathBuf, usize)> {
    let rank = std::env::var("OMPI_COMM_WORLD_RANK").ok()?.parse().ok()?;
    is_first_job(&std::env::var("PMIX_NAMESPACE").ok()?).then_some(())?;
    Some((std::env::var_os(FOLDER)?.into(), rank))
}

/// Returns true for the job that mpirun was started for. Open MPI 4 uses a number whose lower half counts jobs. Open
/// MPI 5 uses a name, `prterun-HOST-PID@1`.
fn is_first_job(namespace: &str) -> bool {
    match namespace.rsplit_once('@') {
        Some((_, job)) => job == "1",
        None => namespace.parse::<u32>().is_ok_and(|number| number & 0xffff == 1),
    }
}

/// Runs the rank until it ends.
fn keep(mut command: Command, rank: usize, socket: &UnixDatagram) -> io::Result<ExitStatus> {
    let forbidden = signal_hook::consts::FORBIDDEN;
    // A handler, unlike an ignored or blocked signal, is not inherited by the rank when it is executed.
    let mut signals = Signals::new((1..32).filter(|signal| !forbidden.contains(signal)))?;
    let mut child = command.spawn()?;
    // Only the rank may keep its streams open.
    drop(command);
    let pid = Pid::from_raw(child.id().cast_signed());
    // The rank runs even if nobody receives the notes.
    let report = |note: Note| drop(socket.send(note.text().as_bytes()));
    report(Note::Began(rank, pid));
    loop {
        if let Some(status) = child.try_wait()? {
            report(Note::Ended(rank, Ending::from(status)));
            return Ok(status);
        }
        for signal in signals.wait() {
            // The supervisor, not mpirun, tells ranks to end.
            if !matches!(signal, libc::SIGCHLD | libc::SIGTERM | libc::SIGINT | libc::SIGCONT | libc::SIGPIPE) {
                kernel::send_signal(pid, signal);
            }
        }
    }
}

/// Ends as the rank ended, so that mpirun reports the rank's ending. Returns the exit code if the rank was not killed
/// by a signal.
fn end_as(status: ExitStatus) -> i32 {
    let Some(number) = status.signal() else { return status.code().unwrap_or_default() };
    // If core dumps are enabled, the rank has already written one.
    let _ = prctl::set_dumpable(false);
    let _ = match number {
        libc::SIGKILL => nix::sys::signal::raise(Signal::SIGKILL).map_err(io::Error::from),
        number => signal_hook::low_level::emulate_default_handler(number),
    };
    exit_code::of_signal(number)
}

#[cfg(test)]
mod tests {
    use super::{Note, is_first_job};
    use crate::event::Ending;
    use nix::unistd::Pid;

    #[test]
    fn notes_are_read_as_they_were_written() {
        for note in [
            Note::Began(0, Pid::from_raw(4711)),
            Note::Ended(127, Ending::Exited(3)),
            Note::Ended(3, Ending::Signaled(9)),
        ] {
            assert_eq!(Note::read(note.text().as_bytes()), Some(note));
        }
        for nonsense in ["", "began", "began 1", "ended x 3", "other 1 2", "\u{fffd}"] {
            assert_eq!(Note::read(nonsense.as_bytes()), None);
        }
    }

    #[test]
    fn ranks_that_ranks_start_are_of_another_job() {
        for (namespace, is_first) in
            [("1234567169", true), ("1234567170", false), ("prterun-algo-1-71@1", true), ("prterun-algo-1-71@2", false)]
        {
            assert_eq!(is_first_job(namespace), is_first, "{namespace}");
        }
    }
}
