//! Programs of the image that report on the machine.

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The time that a program may take. A driver in trouble can block `nvidia-smi` for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a program and returns its standard output, or `None` if it fails or does not end in time.
pub(super) fn output(program: &Path, arguments: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .inspect_err(|error| tracing::debug!("cannot run {}: {error}", program.display()))
        .ok()?;
    let mut stdout = child.stdout.take()?;
    let deadline = Instant::now() + PATIENCE;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(nix::errno::Errno::EINTR) => continue,
            Ok(1..) => {}
            _ => return give_up(program, child),
        }
        match stdout.read(&mut buffer).ok()? {
            0 => break,
            length => text.extend_from_slice(&buffer[..length]),
        }
    }
    // The program has closed its output and so is about to end, but even then it can hang in the driver.
    let status = loop {
        match child.try_wait().ok()? {
            Some(status) => break status,
            None if Instant::now() >= deadline => return give_up(program, child),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    status.success().then(|| String::from_utf8_lossy(&text).into_owned())
}

fn give_up(program: &Path, mut child: Child) -> Option<String> {
    tracing::warn!("{} did not answer within {} s: not used", program.display(), PATIENCE.as_secs());
    // SIGKILL may have no effect while the program hangs in the driver. It is reaped with the other orphans then.
    let _ = child.kill();
    None
}
