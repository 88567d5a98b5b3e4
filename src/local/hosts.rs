//! The hosts of a job on this machine: one footplate each, with folders and a loopback address of its own.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::iterator::Signals;

use super::Spec;
use crate::event::Ending;
use crate::job::Paths;
use crate::kernel;
use crate::logs::{RankLabel, Relay, Rewrite, StreamId, Style};
use crate::run::TemporaryFolder;
use crate::supervise::FLUSH_PATIENCE;

/// Variables that decide what runs: those of this machine's shell are not the job's.
const NOT_INHERITED: [&str; 3] = ["SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY", "SAGEMAKER_TRAINING_MODULE"];

/// Runs the hosts to their ends; gives the job's exit code: that of the first one that failed.
pub(super) fn run(spec: &Spec, hosts: &[Paths]) -> Result<i32> {
    let mut signals = Signals::new([libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT])?;
    let mut temporary = TemporaryFolder::default();
    // Of a single host nothing stands between: its streams are this process's.
    let relay = if hosts.len() > 1 { Some(Relay::new()?) } else { None };
    if let Some(relay) = &relay {
        relay.begin()?;
    }
    let mut children = Vec::new();
    for (index, (paths, name)) in hosts.iter().zip(spec.host_names()).enumerate() {
        let mut command = command(spec, paths)?;
        // Their names need not resolve on this machine.
        command.env("FOOTPLATE_HOST_ADDRESSES", addresses(spec));
        if relay.is_some() {
            command.args(["--set", "log_prefix=on"]).stdout(Stdio::piped()).stderr(Stdio::piped());
            let folder = temporary_folder(temporary.path().context("cannot make a temporary folder")?, index)?;
            command.env("TMPDIR", folder);
        }
        let mut child = command.spawn().context("cannot start footplate for a host")?;
        if let Some(relay) = &relay {
            pass_on(relay, index, &name, &mut child);
        }
        children.push(child);
    }

    let running: Vec<Pid> =
        children.iter().filter_map(|child| i32::try_from(child.id()).ok()).map(Pid::from_raw).collect();
    let running = Arc::new(Mutex::new(running));
    let handle = signals.handle();
    let signalled = Arc::clone(&running);
    let forwarder = std::thread::spawn(move || {
        for signal in signals.forever() {
            if let Ok(signal) = Signal::try_from(signal) {
                // A hang-up ends a job as Ctrl-C does.
                let signal = if signal == Signal::SIGHUP { Signal::SIGTERM } else { signal };
                for pid in signalled.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    let _ = kill(*pid, signal);
                }
            }
        }
    });
    let mut exit_code = 0;
    for child in &mut children {
        let status = wait(child).context("cannot wait for the job")?;
        // Its number may become another's.
        running.lock().unwrap_or_else(PoisonError::into_inner).retain(|pid| pid.as_raw().unsigned_abs() != child.id());
        if exit_code == 0 {
            exit_code = ending(status).exit_code();
        }
    }
    handle.close();
    let _ = forwarder.join();
    if let Some(relay) = relay {
        relay.finish(FLUSH_PATIENCE);
    }
    Ok(exit_code)
}

/// This binary as a container's. It gets a group of its own, so that Ctrl-C reaches it once, from here.
fn command(spec: &Spec, paths: &Paths) -> Result<Command> {
    let binary = std::env::current_exe().context("cannot find footplate's own binary")?;
    let mut command = Command::new(&binary);
    command.arg("train").process_group(0);
    if let Some(gpus) = spec.gpus_per_host {
        command.arg("--set").arg(format!("gpus={gpus}"));
    }
    for (name, value) in &spec.settings {
        command.arg("--set").arg(format!("{name}={value}"));
    }
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command.envs(spec.variables.iter().map(|(name, value)| (name, value)));
    command.env("SAGEMAKER_BASE_DIR", paths.base()).env("TRAINING_JOB_NAME", &spec.name);
    kernel::end_with_this_thread(&mut command);
    Ok(command)
}

/// The hosts' addresses: of the loopback network, and no other job's on this machine.
fn addresses(spec: &Spec) -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = |number: usize| Ipv4Addr::new(127, 64 + high % 128, low, u8::try_from(number).unwrap_or(u8::MAX));
    let pairs = spec.host_names().into_iter().zip(1..).map(|(host, number)| format!("{host}={}", address(number)));
    pairs.collect::<Vec<_>>().join(",")
}

/// Has a host's lines passed on whole. Its ranks' have a prefix; to footplate's own the host's name is put.
fn pass_on(relay: &Relay, process: usize, host: &str, child: &mut Child) {
    let (name, own) = (host.to_owned(), format!("[{host}] ").into_bytes());
    let named = Rewrite::new(move |line| {
        let is_ranks = RankLabel::parse(line).is_some_and(|(label, _)| label.host == name);
        Some(if is_ranks { line.to_vec() } else { [&own, line].concat() })
    });
    let stdout = child.stdout.take().map(OwnedFd::from);
    let stderr = child.stderr.take().map(OwnedFd::from);
    for (source, is_stderr) in [(stdout, false), (stderr, true)] {
        let style = Style { rewrite: is_stderr.then(|| named.clone()), is_shared: true, ..Style::default() };
        if let Some(source) = source {
            relay.add(StreamId { process, part: 0, is_stderr }, source, style, None, |_| {});
        }
    }
}

/// The temporary folder of a host, as each has its own on the platform: mpirun keeps files of its host there. Its path is
/// short, because sockets' must be.
fn temporary_folder(of_job: &Path, index: usize) -> Result<PathBuf> {
    let folder = of_job.join((index + 1).to_string());
    std::fs::create_dir(&folder).context("cannot make a temporary folder")?;
    Ok(folder)
}

fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    loop {
        match child.wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            status => return status,
        }
    }
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Signaled(signal.unwrap_or(libc::SIGKILL)),
    }
}
