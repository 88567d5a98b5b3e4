//! The branches of processes below footplate: which processes of a stop are told at once, and which follow.
//!
//! A trainer that saves needs its data-loading workers, its pool and its `tee` until it has saved. So a stop signal goes to
//! main processes, and down each branch to the first process that handles it:
//!
//! ```text
//! footplate ─► bash run.sh      a main process: told, and passed through, because it is a shell
//!                ├─► python     handles the signal: told
//!                │     └─► data-loading workers      its own business: they follow
//!                └─► tee        does not handle it: follows when python has ended
//! ```

use std::collections::{BTreeMap, BTreeSet};

use nix::unistd::Pid;

/// A process, told apart from later ones with its number by its start time, in clock ticks since the machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::supervise) struct ProcessId {
    /// Its number.
    pub pid: Pid,
    /// Its start time.
    pub start: u64,
}

/// The part of the job that a process belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Place {
    /// A process of the script.
    Script,
    /// A launcher, its daemons, and the keepers of its ranks. What else it starts are main processes.
    Launcher,
    /// A service, with all that it starts.
    Service,
}

/// A process that descends from footplate and has not ended, as /proc shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) struct Seen {
    /// The process.
    pub id: ProcessId,
    /// Its parent.
    pub parent: Pid,
    /// The part of the job that it belongs to.
    pub place: Place,
    /// True if it handles the stop signal.
    pub handles: bool,
    /// True for a shell, which runs its traps only after its foreground child has ended.
    pub is_shell: bool,
    /// True if it is stopped, so that it would sleep through a signal.
    pub is_stopped: bool,
    /// True if it reads what another process of the job writes, so that it ends when nobody writes any more.
    pub reads_pipe: bool,
}

/// The processes of a stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// Those that are told at once.
    pub(super) told: Vec<ProcessId>,
    /// Those among them that the others wait for.
    pub(super) awaited: BTreeSet<ProcessId>,
    /// Those that follow and have no process above them that handles the signal.
    pub(super) following: Vec<ProcessId>,
    /// Those below a process that handles the signal.
    pub(super) below: Vec<ProcessId>,
}

/// Splits the processes of a stop. `mains` are the main processes that are known as members; `tells_launchers` is true if
/// launchers and what belongs to them are told too.
pub(super) fn split(seen: &[Seen], mains: &[Pid], tells_launchers: bool) -> Split {
    let known: BTreeSet<Pid> = seen.iter().map(|process| process.id.pid).collect();
    let mut children: BTreeMap<Pid, Vec<&Seen>> = BTreeMap::new();
    let mut waiting: Vec<(&Seen, Above)> = Vec::new();
    for process in seen {
        if known.contains(&process.parent) {
            children.entry(process.parent).or_default().push(process);
        } else {
            waiting.push((process, Above::Nothing));
        }
    }
    let mut split = Split::default();
    while let Some((process, above)) = waiting.pop() {
        let own = match process.place {
            Place::Service => continue,
            Place::Launcher => {
                if tells_launchers {
                    split.told.push(process.id);
                }
                Above::Launcher
            }
            Place::Script if above == Above::Handler => {
                split.below.push(process.id);
                Above::Handler
            }
            Place::Script => {
                let is_main = above == Above::Launcher || mains.contains(&process.id.pid);
                let list = if is_main || process.handles { &mut split.told } else { &mut split.following };
                list.push(process.id);
                if process.handles && !process.is_shell {
                    split.awaited.insert(process.id);
                    Above::Handler
                } else {
                    Above::Nothing
                }
            }
        };
        waiting.extend(children.remove(&process.id.pid).into_iter().flatten().map(|child| (child, own)));
    }
    split
}

/// The process above another one, as far as it matters to a stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Above {
    /// None, or one that the stop passes through.
    Nothing,
    /// A launcher.
    Launcher,
    /// One that handles the signal, or descends from one.
    Handler,
}

/// Returns the processes that follow when those that handled the signal have ended: those of `first` that were not told,
/// and what descends from these. A process that was started in order to save is not among them.
pub(super) fn followers(
    seen: &[Seen],
    first: &BTreeSet<ProcessId>,
    told: &BTreeSet<ProcessId>,
    tells_launchers: bool,
) -> Vec<Seen> {
    let mut found: BTreeSet<Pid> = BTreeSet::new();
    let is_meant = |process: &&Seen| match process.place {
        Place::Script => true,
        Place::Launcher => tells_launchers,
        Place::Service => false,
    };
    // Parents come before their children.
    for process in seen.iter().filter(is_meant) {
        let is_untold = first.contains(&process.id) && !told.contains(&process.id);
        if is_untold || !told.contains(&process.id) && found.contains(&process.parent) {
            found.insert(process.id.pid);
        }
    }
    seen.iter().filter(|process| found.contains(&process.id.pid)).copied().collect()
}
