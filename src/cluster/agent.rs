//! The remote agent of mpirun, which replaces ssh: mpirun starts its daemons on the other hosts over the channel.
//!
//! mpirun calls its remote agent as `AGENT HOST COMMAND…`, once for each host, and treats the end of the agent as the
//! end of the daemon (Open MPI, `plm_rsh_agent`). This agent is footplate under the name [`NAME`], a link in a folder
//! that only this user can enter. It sends its request to the footplate that started mpirun, over a Unix socket beside
//! the link, and waits:
//!
//! ```text
//! mpirun ─► footplate-agent HOST COMMAND ─► this host's footplate ─► channel ─► HOST's footplate ─► sh -c COMMAND
//! ```
//!
//! The daemon has the variables of its own host. No variable is transferred, and no command line contains a credential.

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

use crate::redact::visible;
use crate::supervise;

/// The name of footplate as the remote agent.
pub const NAME: &str = "footplate-agent";

/// The name of the socket beside the agent.
const SOCKET: &str = "agent.sock";

/// The maximum length of one of mpirun's commands, in bytes. Such a command names every host.
const MAX_REQUEST: u64 = 1 << 20;

/// The exit code of the agent if the host cannot be reached, as with ssh.
pub(super) const UNREACHABLE: i32 = 255;

/// A request of an agent.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    host: String,
    command: String,
}

/// An answer to an agent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The command has ended with this exit code.
    Ended(i32),
    /// The command is for the agent's own host.
    RunItYourself,
    /// The host cannot run the command, for this reason.
    Refused(String),
}

/// A request on its way to the leader's loop.
#[derive(Debug)]
pub(super) struct LeaderRequest {
    pub(super) host: String,
    pub(super) command: String,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Puts the agent into a folder, and returns the path that mpirun calls.
///
/// # Errors
/// The link cannot be made.
pub fn install(folder: &Path) -> io::Result<PathBuf> {
    supervise::link_under(NAME, folder)
}

/// Listens for requests of an installed agent.
pub(super) fn listen(agent: &Path) -> io::Result<UnixListener> {
    UnixListener::bind(agent.with_file_name(SOCKET))
}

/// Handles the requests of agents concurrently.
pub(super) async fn serve(listener: UnixListener, requests: mpsc::UnboundedSender<LeaderRequest>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let requests = requests.clone();
        tokio::spawn(async move {
            let mut text = Vec::new();
            if (&mut stream).take(MAX_REQUEST).read_to_end(&mut text).await.is_err() {
                return;
            }
            let Ok(Request { host, command }) = serde_json::from_slice(&text) else { return };
            let (answer, answered) = oneshot::channel();
            // If the leader's loop is over, this drops `answer`, and the request is refused.
            let _ = requests.send(LeaderRequest { host, command, answer });
            let answer = answered.await.unwrap_or_else(|_| Answer::Refused("it is gone".to_owned()));
            if let Ok(text) = serde_json::to_vec(&answer) {
                // The agent may have been ended in the meantime.
                let _ = stream.write_all(&text).await;
            }
        });
    }
}

/// Runs as the remote agent, and returns its exit code. The agent ignores stop signals that go to all processes of the
/// job, because mpirun would treat the end of the agent as the end of the other host. It ends with mpirun.
pub fn run(words: &[OsString]) -> i32 {
    // No kernel refuses this. Without it, footplate would end the agent with the other leftovers.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    match request(words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{NAME}: {}", visible(&error.to_string()));
            UNREACHABLE
        }
    }
}

fn stop_signals(how: SigmaskHow) -> nix::Result<()> {
    let stop: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    pthread_sigmask(how, Some(&stop), None)
}

fn request(words: &[OsString]) -> io::Result<i32> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let text = |word: &OsString| word.to_str().map(str::to_owned).ok_or_else(|| wrong("a word is no UTF-8"));
    let [name, host, command @ ..] = words else { return Err(wrong("mpirun calls it with a host and a command")) };
    // The words are joined as ssh joins them: the shell on the other host splits them again.
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
