//! The branches of processes below footplate, which decide which processes get a stop signal at once and which get it
//! later.
//!
//! A trainer that saves a checkpoint needs its data-loading workers, its pool and its `tee` until it has finished. So
//! a stop signal goes to main processes, and down each branch to the first process that handles it:
//!
//! ```text
//! footplate ─► bash run.sh      a main process: signalled, and passed through, because it is a shell
//!                ├─► python     handles the signal: signalled
//!                │     └─► data-loading workers      its own business: they follow
//!                └─► tee        does not handle it: follows when python has ended
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use nix::unistd::Pid;

/// A process, identified by its number and its start time, in clock ticks since the machine started. The start time
/// tells it apart from later processes with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::supervise) struct ProcessId {
    /// The process number.
    pub pid: Pid,
    /// The start time, in clock ticks since the machine started.
    pub start: u64,
}

/// The part of the job that a process belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Place {
    /// A process of the script.
    Script,
    /// A launcher, its daemons, and the keepers of its ranks. All other processes that it starts are main processes.
    Launcher,
    /// A service, with all processes that it starts.
    Service,
}

/// The effect of a stop signal on a process, apart from SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Reaction {
    /// The process handles the signal or waits for it.
    Handles,
    /// The process ignores the signal.
    Ignores,
    /// The signal ends the process.
    Ends,
}

/// The program that a process executes, known by the address of its stack. The kernel chooses the address at random in
/// execve(2), and a forked process has that of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) struct ProgramImage(pub(in crate::supervise) NonZeroU64);

/// A process that descends from footplate and has not ended, as read from /proc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) struct SurveyedProcess {
    /// The process.
    pub id: ProcessId,
    /// Its parent.
    pub parent: Pid,
    /// The part of the job that it belongs to.
    pub place: Place,
    /// The effect of the stop signal.
    pub reaction: Reaction,
    /// The program that it executes. `None` if the kernel does not show it.
    pub image: Option<ProgramImage>,
    /// True for a shell, which runs its traps only after its foreground child has ended.
    pub is_shell: bool,
    /// True if the process is stopped. It would sleep through a signal.
    pub is_stopped: bool,
    /// True if the process reads the output of another process of the job, so that it ends when nobody writes any
    /// more.
    pub reads_pipe: bool,
}

/// The processes of the job, by the time at which a stop signal is sent to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StopWaves {
    /// The processes that get the signal at once.
    pub(super) first: Vec<ProcessId>,
    /// The processes among `first` for which the others wait.
    pub(super) awaited: BTreeSet<ProcessId>,
    /// The processes that get the signal later and have no ancestor that handles it.
    pub(super) following: Vec<ProcessId>,
    /// The descendants of processes that handle the signal.
    pub(super) below: Vec<ProcessId>,
}

/// Splits the processes of the job for a stop. `mains` are the main processes that are known as members.
/// `includes_launchers` is true if launchers and the processes that belong to them get the signal too.
pub(super) fn split(seen: &[SurveyedProcess], mains: &[Pid], includes_launchers: bool) -> StopWaves {
    let known: BTreeSet<Pid> = seen.iter().map(|process| process.id.pid).collect();
    let mut children: BTreeMap<Pid, Vec<&SurveyedProcess>> = BTreeMap::new();
    let mut waiting: Vec<(&SurveyedProcess, NearestHandler)> = Vec::new();
    for process in seen {
        if known.contains(&process.parent) {
            children.entry(process.parent).or_default().push(process);
        } else {
            waiting.push((process, NearestHandler::Nothing));
        }
    }
    let mut waves = StopWaves::default();
    while let Some((process, above)) = waiting.pop() {
        let own = match process.place {
            Place::Service => continue,
            Place::Launcher => {
                if includes_launchers {
                    waves.first.push(process.id);
                }
                NearestHandler::Launcher
            }
            Place::Script if above == NearestHandler::Handler => {
                waves.below.push(process.id);
                NearestHandler::Handler
            }
            Place::Script => {
                let handles = process.reaction == Reaction::Handles;
                let is_main = above == NearestHandler::Launcher || mains.contains(&process.id.pid);
                let list = if is_main || handles { &mut waves.first } else { &mut waves.following };
                list.push(process.id);
                if handles && !process.is_shell {
                    waves.awaited.insert(process.id);
                    NearestHandler::Handler
                } else {
                    NearestHandler::Nothing
                }
            }
        };
        waiting.extend(children.remove(&process.id.pid).into_iter().flatten().map(|child| (child, own)));
    }
    waves
}

/// The ancestor of a process that matters to a stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NearestHandler {
    /// No ancestor, or one that the stop passes through.
    Nothing,
    /// A launcher.
    Launcher,
    /// A process that handles the signal, or a descendant of one.
    Handler,
}

/// Returns the processes that get the signal when those that handled it have ended: the processes of `targets` that
/// have not got it, and their descendants. A process that was started in order to save is not among them.
pub(super) fn followers(
    seen: &[SurveyedProcess],
    targets: &BTreeSet<ProcessId>,
    signalled: &BTreeSet<ProcessId>,
    includes_launchers: bool,
) -> Vec<SurveyedProcess> {
    let mut found: BTreeSet<Pid> = BTreeSet::new();
    let is_meant = |process: &&SurveyedProcess| match process.place {
        Place::Script => true,
        Place::Launcher => includes_launchers,
        Place::Service => false,
    };
    // Parents come before their children.
    for process in seen.iter().filter(is_meant) {
        let is_unsignalled = targets.contains(&process.id) && !signalled.contains(&process.id);
        if is_unsignalled || !signalled.contains(&process.id) && found.contains(&process.parent) {
            found.insert(process.id.pid);
        }
    }
    seen.iter().filter(|process| found.contains(&process.id.pid)).copied().collect()
}
