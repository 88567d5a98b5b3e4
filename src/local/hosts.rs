//! The processes of the hosts while they run: their lines, their signals, and their ends.

use std::io::{IsTerminal, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use signal_hook::iterator::Signals;

use super::report;
use super::view::{self, LiveView};
use crate::cluster;
use crate::event::{Ending, Process};
use crate::logs::{Relay, Relayed, Rewrite, StreamId, Style};
use crate::supervise::FLUSH_PATIENCE;

/// A host that is to be started.
#[derive(Debug)]
pub(super) struct HostProcess {
    /// The name of the host.
    pub(super) name: String,
    /// The command that runs the host and ends with it.
    pub(super) command: Command,
    /// The folder of the host's run record.
    pub(super) record: PathBuf,
    /// The host's failure file.
    pub(super) failure: PathBuf,
}

/// The time within which hosts notice that another one is gone. Hosts that have not connected, or that do not wait
/// for each other, never notice it.
const NOTICE_TIME: Duration = cluster::LOST_AFTER.saturating_add(Duration::from_secs(3));

/// The way in which signals reach the hosts.
pub(super) trait Overseer: Sync {
    /// Passes a signal on to the hosts that still run. Must not block for long.
    fn pass_on(&self, signal: Signal, running: &Arc<Running>);

    /// Handles the end of a host's process. The handling of other hosts' ends waits for this call.
    fn ended(&self, host: usize, status: ExitStatus, running: &Arc<Running>);
}

/// An overseer that sends signals directly to the processes.
pub(super) struct DirectOverseer;

impl Overseer for DirectOverseer {
    fn pass_on(&self, signal: Signal, running: &Arc<Running>) {
        running.signal(signal);
    }

    fn ended(&self, _: usize, _: ExitStatus, _: &Arc<Running>) {}
}

/// The processes of the hosts that still run, by the positions of the hosts.
#[derive(Debug, Default)]
pub(super) struct Running {
    processes: Mutex<Vec<(usize, Pid)>>,
    changed: Condvar,
}

impl Running {
    /// Sends a signal to each process.
    pub(super) fn signal(&self, signal: Signal) {
        // A process is reaped after it was removed from the list, so no process ID has another owner.
        for (_, pid) in self.lock().iter() {
            let _ = kill(*pid, signal);
        }
    }

    /// Returns the positions of the hosts that still run.
    pub(super) fn hosts(&self) -> Vec<usize> {
        self.lock().iter().map(|(host, _)| *host).collect()
    }

    /// Waits until every host has ended, and returns true if that was within `patience`.
    pub(super) fn all_end_within(&self, patience: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), patience, |running| !running.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_empty()
    }

    fn remove(&self, host: usize) {
        self.lock().retain(|(other, _)| *other != host);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(usize, Pid)>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins to catch the signals that concern the job.
pub(super) fn signals() -> Result<Signals> {
    let caught = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP, libc::SIGCONT];
    Signals::new(caught).context("cannot catch signals")
}

/// Runs the hosts until they end, and returns their exit statuses in the order of the hosts. As on the platform,
/// hosts that do not notice that another one was killed are stopped.
pub(super) fn run(
    job: &str,
    hosts: Vec<HostProcess>,
    mut signals: Signals,
    overseer: &dyn Overseer,
) -> Result<Vec<ExitStatus>> {
    let has_view = view::is_possible();
    let count = hosts.len();
    // A single host uses the streams of this process directly, unless the live view needs the terminal.
    let relay = if count > 1 || has_view { Some(Relay::start()?) } else { None };
    let records = hosts.iter().map(|host| host.record.clone()).collect();
    let failures: Vec<(String, PathBuf)> = hosts.iter().map(|host| (host.name.clone(), host.failure.clone())).collect();
    let running = Arc::new(Running::default());
    let mut children = Vec::new();
    for (index, HostProcess { name, mut command, .. }) in hosts.into_iter().enumerate() {
        // A separate group, so that the process receives Ctrl-C only once, from this process.
        command.process_group(0);
        let mut shared = None;
        if count > 1 {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        } else if has_view {
            shared = Some(share_terminal(&mut command)?);
        }
        let program = command.get_program().to_owned();
        let spawned = command.spawn();
        let mut child = spawned.with_context(|| format!("cannot start {} for host {name}", program.display()))?;
        // The command's writing ends would keep the stream open.
        drop(command);
        match (&relay, shared) {
            (Some(relay), Some(source)) => add(relay, index, &name, source.into(), false, Style::default()),
            (Some(relay), None) => pass_on(relay, index, &name, &mut child),
            (None, _) => {}
        }
        if let Ok(pid) = i32::try_from(child.id()) {
            running.lock().push((index, Pid::from_raw(pid)));
        }
        children.push(child);
    }

    let view = relay.as_ref().filter(|_| has_view).and_then(|relay| LiveView::begin(job, records, relay));
    let pause = view.as_ref().map(LiveView::pause);
    let handle = signals.handle();
    let mut statuses = vec![ExitStatus::default(); count];
    let waited = std::thread::scope(|scope| {
        scope.spawn(|| {
            for signal in signals.forever() {
                if let Ok(signal) = Signal::try_from(signal) {
                    if let (Signal::SIGTSTP, Some(pause)) = (signal, &pause) {
                        pause.hide();
                    }
                    // footplate passes SIGHUP on to the script and continues. Here SIGHUP must end the job, as Ctrl-C
                    // does.
                    let signal = if signal == Signal::SIGHUP { Signal::SIGTERM } else { signal };
                    overseer.pass_on(signal, &running);
                    // The hosts are suspended too, and continue when this process does.
                    if signal == Signal::SIGTSTP {
                        let _ = raise(Signal::SIGSTOP);
                        if let Some(pause) = &pause {
                            pause.show();
                        }
                    }
                }
            }
        });
        let (sender, ends) = mpsc::channel();
        for (index, mut child) in children.into_iter().enumerate() {
            let (sender, running) = (sender.clone(), &running);
            scope.spawn(move || {
                wait_for_end(&child);
                running.remove(index);
                // The receiver exists until all hosts have ended.
                let _ = sender.send((index, child.wait()));
            });
        }
        drop(sender);
        let mut waited = Ok(());
        for (index, status) in ends {
            match status {
                Ok(status) => {
                    statuses[index] = status;
                    overseer.ended(index, status, &running);
                    let (name, failure) = &failures[index];
                    // footplate always leaves the file behind, unless it was killed itself.
                    if !status.success() && !failure.exists() {
                        let running = &running;
                        scope.spawn(move || {
                            if !running.all_end_within(NOTICE_TIME) {
                                note_death(name, failure, status);
                                overseer.pass_on(Signal::SIGTERM, running);
                            }
                        });
                    }
                }
                Err(error) => waited = Err(error),
            }
        }
        handle.close();
        waited
    });
    waited.context("cannot wait for the job")?;
    drop(view);
    if let Some(relay) = relay {
        relay.finish_within(FLUSH_PATIENCE);
    }
    Ok(statuses)
}

/// Writes the failure file for a host that could not write its own.
fn note_death(host: &str, path: &Path, status: ExitStatus) {
    let ending = Ending::from(status);
    let text = format!(
        "host {host} ended without a reason: {ending}\nhint: somebody or something killed its footplate, such as a lack of memory"
    );
    report(&format!("host {host} ended without a reason ({ending}): the other hosts do not notice it and are stopped"));
    if let Err(error) = std::fs::write(path, text) {
        report(&format!("cannot write {}: {error}", path.display()));
    }
}

/// Waits until a child has ended, without reaping it.
fn wait_for_end(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(Pid::from_raw(pid)), flags) == Err(Errno::EINTR) {}
    }
}

/// Passes the output of a host on in whole lines. Lines of its ranks already have a prefix. Other lines get the
/// host's name.
fn pass_on(relay: &Relay, process: usize, host: &str, child: &mut Child) {
    let own = format!("[{host}] ").into_bytes();
    let of_host = format!("[{host}:").into_bytes();
    // Lines of ranks and of services already name their origin.
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

/// Replaces the terminal by a pipe, and returns its reading end. If both streams lead to a terminal, they share the
/// pipe, so that their lines stay in order.
fn share_terminal(command: &mut Command) -> Result<PipeReader> {
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    if std::io::stderr().is_terminal() {
        command.stderr(writer.try_clone().context("cannot make a pipe")?);
    }
    command.stdout(writer);
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn hosts_that_do_not_notice_the_death_of_another_one_are_stopped() {
        let folder = tempfile::tempdir().expect("a folder");
        let host = |name: &str, script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            let at = folder.path().join(name);
            HostProcess { name: name.to_owned(), command, record: at.clone(), failure: at }
        };
        let hosts = vec![host("algo-1", "exec sleep 600"), host("algo-2", "kill -KILL $$")];
        let ended = run("a-job", hosts, signals().expect("caught"), &DirectOverseer).expect("they end");
        assert_eq!(ended.iter().map(ExitStatusExt::signal).collect::<Vec<_>>(), [Some(15), Some(9)]);
        let text = std::fs::read_to_string(folder.path().join("algo-2")).expect("the failure file");
        assert!(text.starts_with("host algo-2 ended without a reason: killed by SIGKILL (signal 9)\n"), "{text}");
        assert!(!folder.path().join("algo-1").exists(), "nothing is said in its name");
    }
}
