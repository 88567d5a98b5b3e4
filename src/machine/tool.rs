//! Running programs of the image that answer a question. A program in trouble may hang, or write without end.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The maximum size of what a program may write to one stream, in bytes.
const MAX_OUTPUT: usize = 4 << 20;

/// The interval of checks if a program has ended while its streams are still open. A process that it leaves behind
/// can hold them.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The answer of a program.
#[derive(Debug)]
pub struct ToolOutput {
    /// The way in which the program ended. Success if it is not known, because the supervisor, which reaps all
    /// children, was faster.
    pub status: ExitStatus,
    /// The bytes that the program wrote to standard output.
    pub stdout: Vec<u8>,
    /// The bytes that the program wrote to standard error.
    pub stderr: Vec<u8>,
}

/// The reason why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The program could not be started.
    #[error("it cannot be started: {0}")]
    NotStarted(#[from] io::Error),
    /// The program did not end in time.
    #[error("it did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The program wrote too much.
    #[error("it wrote more than {} MiB", MAX_OUTPUT >> 20)]
    Endless,
}

/// Runs a program to its end, in its own process group, and returns its output. Blocks for no longer than `patience`.
/// A program that takes longer or writes too much is killed.
///
/// # Errors
/// [`ToolError`]
pub fn run_tool(command: &mut Command, patience: Duration) -> Result<ToolOutput, ToolError> {
    let deadline = Instant::now() + patience;
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let answer = listen(&mut child, deadline).and_then(|outputs| outputs.ok_or(ToolError::Silent(patience)));
    if answer.is_err() {
        give_up(&mut child);
    }
    answer
}

/// Reads the output of a program until the program has ended. Returns `None` if it still runs at the deadline.
fn listen(child: &mut Child, deadline: Instant) -> Result<Option<ToolOutput>, ToolError> {
    let streams = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
    let mut streams = streams.map(|stream| (stream.map(std::fs::File::from), Vec::new()));
    for (stream, _) in &streams {
        if let Some(stream) = stream {
            // Pipes always accept this flag.
            let _ = fcntl(stream, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        }
    }
    loop {
        // The end is checked before the last read, so that everything that the program wrote is read.
        let status = match child.try_wait() {
            // While programs run, the supervisor reaps every child, and may have reaped this one. Then it is not
            // known how it ended.
            Err(error) if error.raw_os_error() == Some(Errno::ECHILD as i32) => Some(ExitStatus::default()),
            waited => waited?,
        };
        for (stream, bytes) in &mut streams {
            drain(stream, bytes)?;
        }
        if let Some(status) = status {
            let [(_, stdout), (_, stderr)] = streams;
            return Ok(Some(ToolOutput { status, stdout, stderr }));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let open = streams.iter().filter_map(|(stream, _)| stream.as_ref());
        let mut polled: Vec<PollFd<'_>> = open.map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN)).collect();
        // A program that has closed its streams is about to end.
        let interval = if polled.is_empty() { Duration::from_millis(1) } else { LOOK_INTERVAL };
        let timeout = PollTimeout::try_from(interval.min(left)).unwrap_or(PollTimeout::ZERO);
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
}

/// Reads the bytes that are available at once. A stream that has ended is closed.
fn drain(stream: &mut Option<std::fs::File>, bytes: &mut Vec<u8>) -> Result<(), ToolError> {
    let Some(file) = stream else { return Ok(()) };
    let mut buffer = [0; 16 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => {
                *stream = None;
                return Ok(());
            }
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if bytes.len() > MAX_OUTPUT {
            return Err(ToolError::Endless);
        }
    }
}

/// Kills a program and its process group. SIGKILL may have no effect while the program hangs in a driver. Then it is
/// reaped later, with the orphans.
fn give_up(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // The group may have ended.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = child.try_wait();
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::{ToolError, ToolOutput, run_tool};

    fn shell(script: &str, patience: Duration) -> Result<ToolOutput, ToolError> {
        run_tool(Command::new("/bin/sh").args(["-c", script]), patience)
    }

    #[test]
    fn a_program_is_asked_for_its_output_and_its_end() {
        let long = Duration::from_secs(60);
        let answer = shell("echo out; echo err >&2; exit 3", long).expect("it ends");
        assert_eq!((answer.status.code(), &*answer.stdout, &*answer.stderr), (Some(3), &b"out\n"[..], &b"err\n"[..]));
        let error = run_tool(&mut Command::new("/no/such/program"), long).expect_err("missing");
        assert!(error.to_string().starts_with("it cannot be started: No such file"), "{error}");
    }

    #[test]
    fn a_program_that_writes_without_end_or_hangs_is_given_up() {
        let (long, begun) = (Duration::from_secs(600), Instant::now());
        for script in ["exec yes", "exec yes >&2"] {
            assert!(matches!(shell(script, long), Err(ToolError::Endless)), "{script}");
        }
        for script in ["sleep 600", "exec >&- 2>&-; sleep 600"] {
            assert!(matches!(shell(script, Duration::from_millis(50)), Err(ToolError::Silent(_))), "{script}");
        }
        // The process that the shell leaves behind holds the streams.
        let answer = shell("sleep 600 & echo $!", long).expect("it ends");
        let pid: i32 = String::from_utf8(answer.stdout).expect("text").trim().parse().expect("a number");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("it runs");
        assert!(begun.elapsed() < Duration::from_secs(300));
    }
}
