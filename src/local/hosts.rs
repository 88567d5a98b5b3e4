//! The hosts of a job on this machine: each is a footplate with its own folders and its own loopback address.

use std::ffi::OsString;
use std::io::{IsTerminal, PipeReader};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::libc;
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::Pid;
use signal_hook::iterator::Signals;

use super::job::LocalJob;
use super::view::{self, LiveView};
use crate::cluster;
use crate::event::Ending;
use crate::event::Process;
use crate::job::Paths;
use crate::kernel;
use crate::logs::{Relay, Relayed, Rewrite, StreamId, Style};
use crate::run::Scratch;
use crate::supervise::FLUSH_PATIENCE;

/// The variables that decide what runs. The job does not inherit them from this machine's shell.
const NOT_INHERITED: [&str; 3] = ["SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY", "SAGEMAKER_TRAINING_MODULE"];

/// The setting and the variable of the secret that the hosts of a job share.
const KEY_SETTING: &str = "cluster_key";
const KEY_VARIABLE: &str = "FOOTPLATE_CLUSTER_KEY";

/// Runs the hosts to their ends. Returns the exit code of the job: that of the first host, in order of rank, that failed.
pub(super) fn run(job: &LocalJob, hosts: &[Paths]) -> Result<i32> {
    let mut signals =
        Signals::new([libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP, libc::SIGCONT])?;
    let mut temporary = Scratch::default();
    let has_view = view::is_possible();
    // A single host uses the streams of this process directly, unless the view shares the terminal with it.
    let relay = if hosts.len() > 1 || has_view { Some(Relay::start()?) } else { None };
    let key = key(job)?;
    let mut children = Vec::new();
    for (index, (paths, name)) in hosts.iter().zip(job.host_names()).enumerate() {
        let mut command = command(job, paths)?;
        // The hosts' names need not resolve on this machine.
        command.env("FOOTPLATE_HOST_ADDRESSES", addresses(job));
        if let Some(key) = &key {
            command.env(KEY_VARIABLE, key);
        }
        let mut shared = None;
        if hosts.len() > 1 {
            command.args(["--set", "log_prefix=on"]).stdout(Stdio::piped()).stderr(Stdio::piped());
            let folder = temporary_folder(temporary.path().context("cannot make a temporary folder")?, index)?;
            command.env("TMPDIR", folder);
        }
        if hosts.len() == 1 && has_view {
            shared = Some(share_terminal(&mut command)?);
        }
        let mut child = command.spawn().context("cannot start footplate for a host")?;
        // Its writing ends keep the stream open.
        drop(command);
        match (&relay, shared) {
            (Some(relay), Some(source)) => add(relay, index, &name, source.into(), false, Style::default()),
            (Some(relay), None) => pass_on(relay, index, &name, &mut child),
            (None, _) => {}
        }
        children.push(child);
    }

    let running: Vec<Pid> =
        children.iter().filter_map(|child| i32::try_from(child.id()).ok()).map(Pid::from_raw).collect();
    let running = Arc::new(Mutex::new(running));
    let records = hosts.iter().zip(job.host_names()).map(|(paths, host)| paths.record(&host));
    let view =
        relay.as_ref().filter(|_| has_view).and_then(|relay| LiveView::begin(&job.name, records.collect(), relay));
    let pause = view.as_ref().map(LiveView::pause);
    let handle = signals.handle();
    let signalled = Arc::clone(&running);
    let forwarder = std::thread::spawn(move || {
        for signal in signals.forever() {
            if let Ok(signal) = Signal::try_from(signal) {
                if let (Signal::SIGTSTP, Some(pause)) = (signal, &pause) {
                    pause.hide();
                }
                // footplate passes SIGHUP on to the script and continues; here it must end the job, as Ctrl-C does.
                let signal = if signal == Signal::SIGHUP { Signal::SIGTERM } else { signal };
                for pid in signalled.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    let _ = kill(*pid, signal);
                }
                // The hosts are suspended too, and continue with this process.
                if signal == Signal::SIGTSTP {
                    let _ = raise(Signal::SIGSTOP);
                    if let Some(pause) = &pause {
                        pause.show();
                    }
                }
            }
        }
    });
    let mut exit_code = 0;
    for child in &mut children {
        let status = child.wait().context("cannot wait for the job")?;
        // The kernel may assign its process ID to another process now.
        running.lock().unwrap_or_else(PoisonError::into_inner).retain(|pid| pid.as_raw().unsigned_abs() != child.id());
        if exit_code == 0 {
            exit_code = Ending::from(status).exit_code();
        }
    }
    handle.close();
    let _ = forwarder.join();
    drop(view);
    if let Some(relay) = relay {
        relay.finish_within(FLUSH_PATIENCE);
    }
    Ok(exit_code)
}

/// Returns the command that runs one host. It gets its own process group, so that it receives Ctrl-C once, from this process.
fn command(job: &LocalJob, paths: &Paths) -> Result<Command> {
    let binary = std::env::current_exe().context("cannot find footplate's own binary")?;
    let mut command = Command::new(&binary);
    command.arg("train").process_group(0);
    if let Some(gpus) = job.gpus_per_host {
        command.arg("--set").arg(format!("gpus={gpus}"));
    }
    for (name, value) in job.settings.iter().filter(|(name, _)| name != KEY_SETTING) {
        command.arg("--set").arg(format!("{name}={value}"));
    }
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command.envs(job.variables.iter().map(|(name, value)| (name, value)));
    command.env("SAGEMAKER_BASE_DIR", paths.base()).env("TRAINING_JOB_NAME", &job.name);
    kernel::end_with_this_thread(&mut command);
    Ok(command)
}

/// Returns the secret that the hosts share, for their environment, which no other user of this machine can read. It is
/// random unless the user has chosen one: the key that footplate derives from a job's configuration is no secret on a
/// machine on which others can guess the configuration, and whoever has the key can run commands as this user.
fn key(job: &LocalJob) -> Result<Option<String>> {
    let value = |pairs: &[(String, String)], name: &str| {
        pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    };
    if let Some(chosen) = value(&job.settings, KEY_SETTING) {
        return Ok(Some(chosen));
    }
    let chosen = value(&job.variables, KEY_VARIABLE).map(OsString::from).or_else(|| std::env::var_os(KEY_VARIABLE));
    if chosen.is_some_and(|key| !key.is_empty()) || job.hosts == 1 {
        return Ok(None);
    }
    cluster::random_secret().map(Some).context("cannot make a key for the hosts of the job")
}

/// Returns the addresses of the hosts, in the loopback network and derived from this process's ID, so that two jobs on this
/// machine have different ones.
fn addresses(job: &LocalJob) -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = |number: usize| Ipv4Addr::new(127, 64 + high % 128, low, u8::try_from(number).unwrap_or(u8::MAX));
    let pairs = job.host_names().into_iter().zip(1..).map(|(host, number)| format!("{host}={}", address(number)));
    pairs.collect::<Vec<_>>().join(",")
}

/// Passes the output of a host on in whole lines. Lines of its ranks have a prefix already; the others get the host's name.
fn pass_on(relay: &Relay, process: usize, host: &str, child: &mut Child) {
    let own = format!("[{host}] ").into_bytes();
    let of_host = format!("[{host}:").into_bytes();
    // Lines of ranks and of services say whose they are.
    let named =
        Rewrite::new(move |line| Some(if line.starts_with(&of_host) { line.to_vec() } else { [&own, line].concat() }));
    let stdout = child.stdout.take().map(OwnedFd::from);
    let stderr = child.stderr.take().map(OwnedFd::from);
    for (source, is_stderr) in [(stdout, false), (stderr, true)] {
        let style = Style { rewrite: is_stderr.then(|| named.clone()), is_shared: true, ..Style::default() };
        if let Some(source) = source {
            add(relay, process, host, source, is_stderr, style);
        }
    }
}

fn add(relay: &Relay, process: usize, host: &str, source: OwnedFd, is_stderr: bool, style: Style) {
    let id = StreamId { process, part: 0, is_stderr, attempt: 0 };
    let writer = Process::Tool(host.into());
    relay.add(Relayed { id, writer, source, style, awaited: None, reports_last_words: false }, |_| {});
}

/// Puts a pipe in place of the terminal, and returns its reading end. Both streams share it if both lead to a terminal, so that
/// their lines stay in order.
fn share_terminal(command: &mut Command) -> Result<PipeReader> {
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    if std::io::stderr().is_terminal() {
        command.stderr(writer.try_clone().context("cannot make a pipe")?);
    }
    command.stdout(writer);
    Ok(reader)
}

/// Creates the temporary folder of a host. On the platform each host has its own, and mpirun keeps files of its host there. The
/// path is short, because paths of sockets must be.
fn temporary_folder(of_job: &Path, index: usize) -> Result<PathBuf> {
    let folder = of_job.join((index + 1).to_string());
    std::fs::create_dir(&folder).context("cannot make a temporary folder")?;
    Ok(folder)
}
