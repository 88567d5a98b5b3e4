//! footplate in place of ssh: mpirun starts its daemons on the other hosts over the channel.
//!
//! mpirun calls its remote agent as `AGENT HOST COMMAND…`, once for each host, and takes the agent's end for the daemon's
//! (Open MPI, `plm_rsh_agent`). Here the agent is footplate under the name [`NAME`], a link in a folder that only this user
//! can enter. It asks the footplate that started mpirun, at a Unix socket beside the link, and waits:
//!
//! ```text
//! mpirun ─► footplate-agent HOST COMMAND ─► this host's footplate ─► channel ─► HOST's footplate ─► sh -c COMMAND
//! ```
//!
//! The daemon there has that host's own variables: none travels, and no credential stands on a command line.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use crate::supervise;

/// The name by which footplate is the remote agent.
pub const NAME: &str = "footplate-agent";

/// The socket beside it.
const SOCKET: &str = "agent.sock";

/// No command of mpirun's is longer: it names every host.
const MAX_REQUEST: u64 = 1 << 20;

/// The agent's exit code where the host cannot be reached, as ssh has it.
pub(super) const UNREACHABLE: i32 = 255;

/// What an agent asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    host: String,
    command: String,
}

/// What an agent hears.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The command has ended with this exit code.
    Ended(i32),
    /// It is for the host that the agent itself is on.
    RunItYourself,
    /// It cannot be run there.
    Refused(String),
}

/// A request on its way to the leader's loop.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) host: String,
    pub(super) command: String,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Puts the agent into a folder; gives the path that mpirun calls.
///
/// # Errors
/// The link cannot be made.
pub fn install(folder: &Path) -> io::Result<PathBuf> {
    supervise::link_under(NAME, folder)
}

/// Listens for an agent that was installed.
pub(super) fn listen(agent: &Path) -> io::Result<UnixListener> {
    UnixListener::bind(agent.with_file_name(SOCKET))
}

/// Takes the requests of agents, side by side.
pub(super) async fn serve(listener: UnixListener, requests: mpsc::UnboundedSender<Asked>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let requests = requests.clone();
        tokio::spawn(async move {
            let mut text = Vec::new();
            if (&mut stream).take(MAX_REQUEST).read_to_end(&mut text).await.is_err() {
                return;
            }
            let Ok(Request { host, command }) = serde_json::from_slice(&text) else { return };
            let (answer, answered) = oneshot::channel();
            // The leader's loop may be over; so is its answer, then.
            let _ = requests.send(Asked { host, command, answer });
            let answer = answered.await.unwrap_or_else(|_| Answer::Refused("it is gone".to_owned()));
            if let Ok(text) = serde_json::to_vec(&answer) {
                // The agent may have been ended meanwhile.
                let _ = stream.write_all(&text).await;
            }
        });
    }
}

/// Is the remote agent: gives the exit code. A stop signal to all processes of the job is not for it: mpirun would take
/// its end for that of the other host. It ends with mpirun.
pub fn run(words: &[OsString]) -> i32 {
    // Refused by no kernel; without it mpirun's end leaves it to footplate, which ends what is left behind.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    match ask(words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{NAME}: {error}");
            UNREACHABLE
        }
    }
}

fn stop_signals(how: SigmaskHow) -> nix::Result<()> {
    let stop: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    pthread_sigmask(how, Some(&stop), None)
}

fn ask(words: &[OsString]) -> io::Result<i32> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let text = |word: &OsString| word.to_str().map(str::to_owned).ok_or_else(|| wrong("a word is no UTF-8"));
    let [name, host, command @ ..] = words else { return Err(wrong("mpirun calls it with a host and a command")) };
    // As ssh does: the shell of the other side takes them apart again.
    let command: Vec<String> = command.iter().map(text).collect::<io::Result<_>>()?;
    let request = Request { host: text(host)?, command: command.join(" ") };
    stop_signals(SigmaskHow::SIG_BLOCK)?;
    let mut stream = UnixStream::connect(Path::new(name).with_file_name(SOCKET))?;
    stream.write_all(&serde_json::to_vec(&request)?)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let gone = || io::Error::new(io::ErrorKind::UnexpectedEof, "the footplate of this host is gone");
    match serde_json::from_slice(&answer).map_err(|_| gone())? {
        Answer::Ended(code) => Ok(code),
        Answer::RunItYourself => {
            stop_signals(SigmaskHow::SIG_UNBLOCK)?;
            Err(Command::new("/bin/sh").arg("-c").arg(&request.command).exec())
        }
        Answer::Refused(why) => Err(io::Error::other(format!("host {}: {why}", request.host))),
    }
}
