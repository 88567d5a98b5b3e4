//! The guard: a second footplate that ends the job if the first one is killed.
//!
//! No process can react to SIGKILL, and only the end of PID 1 ends all other processes too. So a footplate that is
//! not PID 1 starts a guard, which reads the process numbers of the programs from a pipe. If the pipe ends without
//! the line [`FAREWELL`], footplate is dead. Then the guard kills the programs, their descendants and the processes
//! in their groups:
//!
//! ```text
//! footplate ─► script ─► workers
//!     └─ pipe ─► guard
//! ```
//!
//! The guard is not a child of footplate, because footplate waits for all of its children. It has no environment
//! variables and no descriptor except the pipe. Its name differs from footplate's, so a command that kills every
//! process named footplate misses it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp, pipe2};
use tokio::sync::oneshot;

use super::tree;
use crate::system::kernel::{self, Executable, InheritedSignals, ParentBond};

/// The name of footplate as a guard.
pub const NAME: &str = "end-with-job";

/// True if this program answers to [`NAME`]. Any other program that uses this library, such as a test, would be
/// started again as its own guard and would repeat its work.
static IS_ALLOWED: AtomicBool = AtomicBool::new(false);

/// Allows guards. Only the program footplate calls this function.
pub fn allow() {
    IS_ALLOWED.store(true, Ordering::Relaxed);
}

/// The last line from a footplate that has itself ended all processes.
const FAREWELL: &str = "done";

/// The time for which the guard keeps killing.
const PATIENCE: Duration = Duration::from_secs(10);

/// The interval at which the guard checks for remaining processes.
const INTERVAL: Duration = Duration::from_millis(20);

/// The mechanism that ends the job's programs if footplate is killed.
#[derive(Debug)]
pub(super) enum Protection {
    /// footplate is PID 1, so the kernel kills everything when it ends.
    Kernel,
    /// The guard is being started on another thread, because starting it takes as long as starting footplate itself.
    Starting(oneshot::Receiver<io::Result<Guard>>),
    /// The guard.
    Guard(Guard),
    /// There is no guard. The programs that footplate starts die with it, but their descendants do not.
    Mortality,
}

impl Protection {
    /// Begins to start the guard, if one is needed.
    pub(super) fn begin(inherited: &InheritedSignals) -> Protection {
        if std::process::id() == 1 {
            return Protection::Kernel;
        }
        let inherited = inherited.clone();
        let (sender, started) = oneshot::channel();
        let deliver = move |guard| {
            // The receiver is gone if footplate is ending.
            let _ = sender.send(guard);
        };
        match kernel::on_worker(move || Guard::start(&inherited), deliver) {
            Ok(()) => Protection::Starting(started),
            Err((error, _)) => Protection::settled(Err(error)),
        }
    }

    /// Waits until the guard runs. From then on, this process adopts orphans. Returns the bond with which programs
    /// are started.
    pub(super) async fn ready(&mut self) -> ParentBond {
        if let Protection::Starting(guard) = self {
            let guard = guard.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
            *self = Protection::settled(guard);
        }
        if matches!(self, Protection::Mortality) { ParentBond::MortalChild } else { ParentBond::Child }
    }

    /// Returns the guard, if there is one.
    pub(super) fn guard(&self) -> Option<&Guard> {
        if let Protection::Guard(guard) = self { Some(guard) } else { None }
    }

    fn settled(guard: io::Result<Guard>) -> Protection {
        // This must not happen earlier, because the guard must not become a child of footplate.
        if let Err(error) = prctl::set_child_subreaper(true) {
            tracing::debug!("cannot become a subreaper: {error}");
        }
        match guard {
            Ok(guard) => Protection::Guard(guard),
            Err(error) => {
                tracing::debug!("cannot start a guard: {error}");
                Protection::Mortality
            }
        }
    }
}

/// The pipe to the guard.
#[derive(Debug)]
pub(super) struct Guard(File);

impl Guard {
    /// Starts the guard. This process must not adopt orphans yet.
    ///
    /// # Errors
    /// The kernel refuses a process or a pipe, there is no /proc, or this program is not footplate.
    fn start(inherited: &InheritedSignals) -> io::Result<Guard> {
        if !IS_ALLOWED.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let program = Executable {
            path: c"/proc/self/exe",
            arguments: &[CString::new(NAME)?],
            variables: &[],
            working_dir: c"/",
            streams: [read.as_fd(), null.as_fd(), null.as_fd()],
            bond: ParentBond::Orphan,
        };
        kernel::spawn(&program, inherited).map_err(|(_, error)| error)?;
        let guard = Guard(write.into());
        guard.write_line(&getpgrp().to_string());
        Ok(guard)
    }

    /// Tells the guard about a program.
    pub(super) fn note(&self, program: Pid) {
        self.write_line(&program.to_string());
    }

    fn write_line(&self, line: &str) {
        // A guard that was killed cannot receive the line.
        let _ = (&self.0).write_all(format!("{line}\n").as_bytes());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.write_line(FAREWELL);
    }
}

/// Runs as the guard, and returns the exit code.
pub fn run() -> i32 {
    // Only footplate ends the guard, so all signals are blocked.
    let _ = SigSet::all().thread_block();
    let _ = prctl::set_name(&CString::new(NAME).unwrap_or_default());
    kernel::close_descriptors();
    let mut lines = io::stdin().lock().lines().map_while(Result::ok);
    let footplates_group = lines.next().and_then(|line| line.parse().ok()).map_or(getpgrp(), Pid::from_raw);
    let mut programs = BTreeMap::new();
    for line in lines {
        if line == FAREWELL {
            return 0;
        }
        if let Some(entry) = line.parse().ok().and_then(tree::read_entry) {
            programs.insert(entry.pid, entry.start);
        }
    }
    end_job(&programs, footplates_group);
    0
}

/// Kills the programs, given by number and start time, and all processes that belong to them.
fn end_job(programs: &BTreeMap<i32, u64>, footplates_group: Pid) {
    let begun = Instant::now();
    let mut groups = BTreeSet::new();
    while begun.elapsed() < PATIENCE {
        let table: Vec<_> = tree::table().into_iter().flatten().collect();
        let is_program = |entry: &&tree::ProcessEntry| programs.get(&entry.pid) == Some(&entry.start);
        let roots = table.iter().filter(|entry| is_program(entry) || groups.contains(&entry.group));
        let mut doomed: BTreeSet<i32> = roots.map(|entry| entry.pid).collect();
        loop {
            let below = table.iter().filter(|entry| doomed.contains(&entry.parent) && !doomed.contains(&entry.pid));
            let below: Vec<i32> = below.map(|entry| entry.pid).collect();
            if below.is_empty() {
                break;
            }
            doomed.extend(below);
        }
        let doomed: Vec<_> = table.iter().filter(|entry| doomed.contains(&entry.pid)).collect();
        let spared = [footplates_group.as_raw(), getpgrp().as_raw()];
        groups.extend(doomed.iter().map(|entry| entry.group).filter(|group| *group > 1 && !spared.contains(group)));
        for group in &groups {
            // The group may be empty.
            let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
        }
        for entry in doomed.iter().filter(|entry| entry.is_alive) {
            let _ = kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
        }
        if doomed.iter().all(|entry| !entry.is_alive) {
            return;
        }
        std::thread::sleep(INTERVAL);
    }
}
