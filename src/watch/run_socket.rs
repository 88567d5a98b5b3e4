//! The socket through which `footplate stacks` asks a running footplate. It is in a folder that only footplate's user
//! can enter.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the socket in the folder of a run.
const NAME: &str = "stacks.sock";

/// The prefix of such folders' names, and the maximum number of entries that are inspected.
const PREFIX: &str = "footplate-";
const MAX_ENTRIES: usize = 10_000;

/// The time for which a client that has asked may read nothing of the answer.
const WRITE_TIME: Duration = Duration::from_secs(1);

/// The time limit for an answer, and the maximum size of an answer in bytes.
const ANSWER_TIME: Duration = Duration::from_secs(15);
const MAX_ANSWER: u64 = 32 << 20;

/// The socket of a run, in a folder of its own.
#[derive(Debug)]
pub(super) struct RunSocket {
    pub(super) listener: UnixListener,
    folder: PathBuf,
}

impl RunSocket {
    /// Listens in a new folder below the temporary folder.
    ///
    /// # Errors
    /// The folder or the socket cannot be made.
    pub(super) fn open(temporary: &Path) -> io::Result<RunSocket> {
        let folder = nix::unistd::mkdtemp(&temporary.join(format!("{PREFIX}XXXXXX")))?;
        let listener = UnixListener::bind(folder.join(NAME)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        match listener {
            Ok(listener) => Ok(RunSocket { listener, folder }),
            Err(error) => {
                let _ = fs::remove_dir(&folder); // it is empty
                Err(error)
            }
        }
    }

    /// Removes the folder, so that no client can ask any more.
    pub(super) fn close(&self) {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!("cannot remove {}: {error}", self.folder.display());
            }
            _ => {}
        }
    }
}

/// Sends the answer to a client. A client that does not read gets nothing.
pub(super) fn answer(mut stream: &UnixStream, text: &str) {
    let written = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_write_timeout(Some(WRITE_TIME)))
        .and_then(|()| stream.write_all(text.as_bytes()));
    if let Err(error) = written {
        tracing::debug!("the stacks are not taken: {error}");
    }
}

/// Asks every footplate that runs on this machine with a folder in `temporary`, and returns their answers. A
/// footplate that does not answer is left out.
pub fn query_all(temporary: &Path) -> Vec<String> {
    sockets(temporary).iter().filter_map(|socket| query(socket).ok()).filter(|answer| !answer.is_empty()).collect()
}

fn query(socket: &Path) -> io::Result<String> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    let mut bytes = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the sockets of all runs. They include the hosts of `footplate local`, whose temporary folders are inside
/// that of a run.
fn sockets(temporary: &Path) -> Vec<PathBuf> {
    let is_of_run = |folder: &PathBuf| {
        folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)) && folder.is_dir()
    };
    let mut runs: Vec<PathBuf> = entries(temporary).into_iter().filter(is_of_run).collect();
    runs.sort_unstable();
    let hosts: Vec<PathBuf> = runs.iter().flat_map(|run| entries(run)).collect();
    let inner = hosts.iter().flat_map(|host| entries(host)).filter(is_of_run);
    let mut inner: Vec<PathBuf> = inner.collect();
    inner.sort_unstable();
    let folders = runs.into_iter().chain(inner);
    folders.map(|folder| folder.join(NAME)).filter(|socket| socket.exists()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_ENTRIES).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{RunSocket, answer, query_all};

    #[test]
    fn every_run_that_answers_is_heard() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sockets = Vec::new();
        for place in ["", "footplate-a/host-1", "footplate-stale", "other"] {
            let path = folder.path().join(place);
            std::fs::create_dir_all(&path).expect("made");
            sockets.push(RunSocket::open(&path).expect("opened"));
        }
        // This one is in a folder that is not searched. Another one is closed, and the process of a third one has
        // died.
        let elsewhere = sockets.pop();
        sockets.pop().expect("a socket").close();
        let dead = RunSocket::open(folder.path()).expect("opened");
        drop(dead.listener);
        let answering: Vec<_> = sockets
            .into_iter()
            .enumerate()
            .map(|(number, socket)| {
                socket.listener.set_nonblocking(false).expect("set");
                thread::spawn(move || answer(&socket.listener.accept().expect("asked").0, &format!("run {number}")))
            })
            .collect();
        assert_eq!(query_all(folder.path()), ["run 0", "run 1"]);
        answering.into_iter().for_each(|thread| thread.join().expect("answered"));
        drop(elsewhere);
    }
}
