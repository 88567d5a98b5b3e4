//! Companions: programs that report on the machine while the job runs, such as the helper that samples GPUs.
//!
//! They belong to footplate, not to the job. No stop signal is passed to them, they do not count as processes that
//! the job left behind, and nothing waits until they end. A companion is killed when its value is dropped, or when
//! the thread that started it ends.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, pipe2};

use crate::system::kernel::{self, Executable, InheritedSignals, ParentBond, WaitResult};

/// The variables that load libraries into every program. Such a library is meant for the script only.
const NOT_PASSED: [&str; 2] = ["LD_PRELOAD", "LD_AUDIT"];

/// The maximum number of bytes that are read at once.
const MAX_PIECE: usize = 64 << 10;

/// The maximum number of bytes that are read from a companion's standard error.
const MAX_COMPLAINT: u64 = 4 << 10;

/// The companions that were not reaped yet, by process number.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A companion that runs.
#[derive(Debug)]
pub struct Companion {
    pid: Pid,
    stdin: File,
    stdout: File,
    stderr: File,
}

/// The state of a companion's standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputState {
    /// More may follow.
    Open,
    /// The companion has ended, or closed the stream.
    Ended,
}

impl Companion {
    /// Starts a program. The first argument is its name. `variables` are those of the container.
    ///
    /// # Errors
    /// The kernel refuses the process or a pipe, or the file cannot be executed.
    pub fn start<'a>(
        program: &Path,
        arguments: &[OsString],
        variables: impl Iterator<Item = (&'a OsStr, &'a OsStr)>,
    ) -> io::Result<Companion> {
        let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::from);
        let arguments = arguments.iter().map(|word| text(word)).collect::<io::Result<Vec<_>>>()?;
        let variables =
            variables.filter(|(name, _)| !NOT_PASSED.iter().any(|other| name == other)).map(|(name, value)| {
                let mut pair = name.to_owned();
                pair.push("=");
                pair.push(value);
                text(&pair)
            });
        let variables = variables.collect::<io::Result<Vec<_>>>()?;
        let (input, stdin) = pipe2(OFlag::O_CLOEXEC)?;
        let (stdout, output) = pipe2(OFlag::O_CLOEXEC)?;
        let (stderr, complaints) = pipe2(OFlag::O_CLOEXEC)?;
        for end in [&stdin, &stdout, &stderr] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let executable = Executable {
            path: &text(program.as_os_str())?,
            arguments: &arguments,
            variables: &variables,
            working_dir: c"/",
            streams: [input.as_fd(), output.as_fd(), complaints.as_fd()],
            bond: ParentBond::MortalChild,
        };
        let pid = kernel::spawn(&executable, &InheritedSignals::nothing()).map_err(|(_, error)| error)?;
        let mut running = running();
        // The companion may have ended and been reaped before it was registered.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        if waitid(Id::Pid(pid), flags).is_ok() {
            running.push(pid);
        }
        let file = |end: OwnedFd| File::from(end);
        Ok(Companion { pid, stdin: file(stdin), stdout: file(stdout), stderr: file(stderr) })
    }

    /// Writes to the companion's standard input. Returns false if it does not take the bytes.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stdin.write(bytes).is_ok_and(|length| length == bytes.len())
    }

    /// Waits for output, but no longer than `patience`.
    pub fn wait(&self, patience: Duration) {
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
        // After an error, the next read returns nothing.
        let _ = poll(&mut [PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)], timeout);
    }

    /// Adds what the companion has written to `bytes`. Does not wait.
    pub fn read(&mut self, bytes: &mut Vec<u8>) -> OutputState {
        let start = bytes.len();
        let mut piece = [0; 4 << 10];
        while bytes.len() - start < MAX_PIECE {
            match self.stdout.read(&mut piece) {
                Ok(0) => return OutputState::Ended,
                Ok(length) => bytes.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return OutputState::Open,
                Err(_) => return OutputState::Ended,
            }
        }
        OutputState::Open
    }

    /// Returns the last line that the companion has written to standard error, if there is one.
    pub fn complaint(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        // The read ends with an error if the companion is still running.
        let _ = (&mut self.stderr).take(MAX_COMPLAINT).read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        // No other process can have this number until the companion is reaped.
        if running().contains(&self.pid) {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }
}

/// Reaps one child as [`kernel::wait_any`] does. Companions are reaped, but not returned.
pub(super) fn wait_any() -> WaitResult {
    let mut running = running();
    loop {
        match kernel::wait_any() {
            WaitResult::Exited(pid, _) | WaitResult::Signaled(pid, _) if running.contains(&pid) => {
                running.retain(|other| *other != pid);
            }
            WaitResult::Stopped(pid, _) if running.contains(&pid) => {}
            other => return other,
        }
    }
}

/// Returns the companions that run.
pub(super) fn all() -> Vec<Pid> {
    running().clone()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::{Companion, OutputState, all, wait_any};
    use crate::job::Variables;
    use crate::supervise::tree;
    use crate::system::kernel::WaitResult;

    fn shell(script: &str) -> Companion {
        let arguments = ["sh", "-c", script].map(OsString::from);
        Companion::start(Path::new("/bin/sh"), &arguments, Variables::of_this_process().iter()).expect("started")
    }

    /// Reads until the companion has ended or has written this text.
    fn read(companion: &mut Companion, until: &str) -> String {
        let (mut bytes, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(60));
        while companion.read(&mut bytes) == OutputState::Open && !String::from_utf8_lossy(&bytes).contains(until) {
            assert!(Instant::now() < deadline, "{bytes:?}");
            companion.wait(Duration::from_millis(100));
        }
        String::from_utf8(bytes).expect("text")
    }

    // One test, because a process has one set of children.
    #[test]
    fn a_companion_answers_is_no_part_of_the_job_and_ends_with_its_value() {
        let mut companion = shell("while read word; do echo \"<$word>\"; done");
        assert!(companion.send(b"a\n"));
        assert_eq!(read(&mut companion, "<a>"), "<a>\n");
        assert!(companion.send(b"b\n"));
        assert_eq!(read(&mut companion, "<b>"), "<b>\n");
        assert_eq!(all(), [companion.pid]);
        let pid = companion.pid.as_raw();
        assert!(tree::descendants().expect("a process table").iter().all(|entry| entry.pid != pid));
        assert_eq!(wait_any(), WaitResult::NoneEnded);
        drop(companion);
        let deadline = Instant::now() + Duration::from_secs(60);
        while wait_any() != WaitResult::NoneLeft {
            assert!(Instant::now() < deadline, "it was not killed");
            std::thread::yield_now();
        }
        assert_eq!(all(), []);

        let mut companion = shell("echo first >&2; echo 'not found' >&2; exit 127");
        assert_eq!(read(&mut companion, "nothing"), "");
        assert_eq!(companion.complaint().as_deref(), Some("not found"));
        let missing = Companion::start(Path::new("/no/such/program"), &[OsString::from("x")], std::iter::empty());
        assert_eq!(missing.expect_err("missing").kind(), std::io::ErrorKind::NotFound);
    }
}
