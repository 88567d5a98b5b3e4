//! The guard: a second footplate that ends the job if the first one is killed.
//!
//! Nothing can be done on SIGKILL, and only PID 1 takes everything with it. So a footplate that is not PID 1 starts a guard,
//! which reads the process numbers of the programs from a pipe. If the pipe ends without a farewell, footplate is dead, and
//! the guard kills the programs and all that descends from them or is in their groups:
//!
//! ```text
//! footplate ─► script ─► workers
//!     └─ pipe ─► guard
//! ```
//!
//! It is no child of footplate, which waits for all of its children. It has no variables, no descriptors but the pipe, and a
//! name of its own, so that a kill of everything that is called footplate misses it.

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
use crate::kernel::{self, Bond, Executable, Inherited};

/// The name of footplate as a guard.
pub const NAME: &str = "end-with-job";

/// True if this program answers to [`NAME`]. Any other one that uses this library, such as a test, would be started anew as
/// its own guard, and do again what it does.
static IS_ALLOWED: AtomicBool = AtomicBool::new(false);

/// Allows guards. Only the program footplate calls it.
pub fn allow() {
    IS_ALLOWED.store(true, Ordering::Relaxed);
}

/// The last line of a footplate that has ended all processes itself.
const FAREWELL: &str = "done";

/// The time for which the guard goes on killing.
const PATIENCE: Duration = Duration::from_secs(10);

/// The interval of its looks for processes that are left.
const INTERVAL: Duration = Duration::from_millis(20);

/// The end of the job's programs if footplate is killed.
#[derive(Debug)]
pub(super) enum Protection {
    /// The kernel ends everything with PID 1, which footplate is.
    Kernel,
    /// The guard is being started on another thread, because that takes as long as the start of footplate itself.
    Starting(oneshot::Receiver<io::Result<Guard>>),
    /// The guard.
    Guard(Guard),
    /// There is no guard. The programs that footplate starts end with it, but not what these start.
    Mortality,
}

impl Protection {
    /// Begins to start the guard, if there is to be one.
    pub(super) fn begin(inherited: &Inherited) -> Protection {
        if std::process::id() == 1 {
            return Protection::Kernel;
        }
        let inherited = inherited.clone();
        let (sender, started) = oneshot::channel();
        let deliver = move |guard| {
            // Nobody waits any more if footplate is ending.
            let _ = sender.send(guard);
        };
        match kernel::on_worker(move || Guard::start(&inherited), deliver) {
            Ok(()) => Protection::Starting(started),
            Err((error, _)) => Protection::settled(Err(error)),
        }
    }

    /// Waits until the guard runs. From then on this process adopts orphans. Returns the bond for programs to start.
    pub(super) async fn ready(&mut self) -> Bond {
        if let Protection::Starting(guard) = self {
            let guard = guard.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
            *self = Protection::settled(guard);
        }
        if matches!(self, Protection::Mortality) { Bond::MortalChild } else { Bond::Child }
    }

    /// Returns the guard, if there is one.
    pub(super) fn guard(&self) -> Option<&Guard> {
        if let Protection::Guard(guard) = self { Some(guard) } else { None }
    }

    fn settled(guard: io::Result<Guard>) -> Protection {
        // Not earlier: the guard must not become a child of footplate.
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
    fn start(inherited: &Inherited) -> io::Result<Guard> {
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
            bond: Bond::Orphan,
        };
        kernel::spawn(&program, inherited).map_err(|(_, error)| error)?;
        let guard = Guard(write.into());
        guard.say(&getpgrp().to_string());
        Ok(guard)
    }

    /// Tells the guard of a program.
    pub(super) fn note(&self, program: Pid) {
        self.say(&program.to_string());
    }

    fn say(&self, line: &str) {
        // A guard that was killed hears nothing.
        let _ = (&self.0).write_all(format!("{line}\n").as_bytes());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.say(FAREWELL);
    }
}

/// Runs as the guard, and returns the exit code.
pub fn run() -> i32 {
    // Only footplate ends the guard.
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
        if let Some(entry) = line.parse().ok().and_then(tree::look_at) {
            programs.insert(entry.pid, entry.start);
        }
    }
    end_job(&programs, footplates_group);
    0
}

/// Kills the programs, by their numbers and start times, and all that belongs to them.
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
            // Nobody may be left in it.
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
