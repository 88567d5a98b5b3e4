//! The processes that descend from this one.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::path::Path;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp, getpid};

use super::companion;

/// An entry of the process table.
#[derive(Clone, Debug)]
pub struct ProcessEntry {
    /// The process number.
    pub pid: i32,
    /// The number of the parent process.
    pub parent: i32,
    /// The number of the process group.
    pub group: i32,
    /// False for a zombie.
    pub is_alive: bool,
    /// True if the process was stopped by a signal.
    pub is_stopped: bool,
    /// The start time, in clock ticks since the machine started.
    pub start: u64,
    /// The address of the stack. `None` if the kernel does not show it to this process.
    pub stack: Option<NonZeroU64>,
    /// The name, as the kernel reports it.
    pub name: Vec<u8>,
}

/// The processes that a signal or a survey leaves out.
#[derive(Clone, Debug, Default)]
pub(super) struct ExcludedProcesses {
    /// The leaders of process groups that are left out completely.
    pub(super) groups: Vec<Pid>,
    /// Processes that a survey leaves out without the rest of their groups. A signal to whole groups reaches them.
    pub(super) alone: Vec<Pid>,
    /// The names of processes whose groups are left out completely, such as a launcher's daemons.
    pub(super) names: Vec<&'static str>,
    /// Processes that are left out with all their descendants.
    pub(super) trees: Vec<Pid>,
}

impl ExcludedProcesses {
    /// Returns true if a survey leaves out this process. `groups` are the groups that [`ExcludedProcesses::groups_among`]
    /// returned.
    pub(super) fn has(&self, groups: &BTreeSet<i32>, entry: &ProcessEntry) -> bool {
        groups.contains(&entry.group) || self.alone.iter().any(|pid| pid.as_raw() == entry.pid)
    }

    /// Returns the process groups among `found` that are left out.
    pub(super) fn groups_among(&self, found: &[ProcessEntry]) -> BTreeSet<i32> {
        let mut spared: BTreeSet<i32> = self.groups.iter().map(|group| group.as_raw()).collect();
        let is_named = |entry: &&ProcessEntry| self.names.iter().any(|name| name.as_bytes() == entry.name);
        spared.extend(found.iter().filter(is_named).map(|entry| entry.group));
        spared.extend(below(&self.trees, found).map(|entry| entry.group));
        spared
    }
}

/// Returns the entries of these processes and of all that descend from them.
pub(super) fn below<'a>(roots: &[Pid], found: &'a [ProcessEntry]) -> impl Iterator<Item = &'a ProcessEntry> {
    let mut known: BTreeSet<i32> = roots.iter().map(|root| root.as_raw()).collect();
    if !known.is_empty() {
        // Parents come before their children.
        for entry in found {
            if known.contains(&entry.parent) {
                known.insert(entry.pid);
            }
        }
    }
    found.iter().filter(move |entry| known.contains(&entry.pid))
}

/// Returns the entries of all processes of the machine, zombies included. `None` without /proc.
pub(super) fn table() -> Option<impl Iterator<Item = ProcessEntry>> {
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    Some(entries.filter_map(|entry| read_entry(entry.file_name().to_str()?.parse().ok()?)))
}

/// Returns all processes that descend from this one, zombies included, parents before children. Companions are not among them.
/// `None` without /proc.
pub fn descendants() -> Option<Vec<ProcessEntry>> {
    let mut children: BTreeMap<i32, Vec<ProcessEntry>> = BTreeMap::new();
    let own = getpid().as_raw();
    let mut seen_itself = false;
    for entry in table()? {
        seen_itself |= entry.pid == own;
        children.entry(entry.parent).or_default().push(entry);
    }
    if !seen_itself {
        return None;
    }
    let companions = companion::all();
    let mut found = Vec::new();
    let mut waiting = vec![own];
    while let Some(parent) = waiting.pop() {
        let children = children.remove(&parent).into_iter().flatten();
        for child in children.filter(|child| !companions.contains(&Pid::from_raw(child.pid))) {
            waiting.push(child.pid);
            found.push(child);
        }
    }
    Some(found)
}

/// The fields of `/proc/PID/stat` (proc(5)) between the group and the number of threads, between that and the start time,
/// and between that and the address of the stack.
const FIELDS_TO_THREADS: usize = 14;
const FIELDS_TO_START: usize = 1;
const FIELDS_TO_STACK: usize = 5;

/// Reads the entry of a process from `/proc/PID/stat` (proc(5)): `pid (name) state parent group …`. The name may
/// contain any character.
pub(super) fn read_entry(pid: i32) -> Option<ProcessEntry> {
    let stat = std::fs::read(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let name_end = memchr::memrchr(b')', &stat)?;
    let name = memchr::memchr(b'(', &stat[..name_end]).map_or(&[][..], |start| &stat[start + 1..name_end]);
    let rest = String::from_utf8_lossy(&stat[name_end + 1..]).into_owned();
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let threads: u32 = fields.nth(FIELDS_TO_THREADS)?.parse().ok()?;
    let start = fields.nth(FIELDS_TO_START)?.parse().ok()?;
    let stack = NonZeroU64::new(fields.nth(FIELDS_TO_STACK)?.parse().ok()?);
    // While other threads of a process run, the process looks like a zombie if its first thread has ended.
    let is_alive = !matches!(state, "Z" | "X") || threads > 1;
    Some(ProcessEntry { pid, parent, group, is_alive, is_stopped: state == "T", start, stack, name: name.to_vec() })
}

/// Returns true if a process is a child of this one. A former grandchild that has lost its parent counts too.
pub(super) fn is_child(pid: Pid) -> bool {
    read_entry(pid.as_raw()).is_some_and(|entry| entry.parent == getpid().as_raw())
}

/// Freezes the spared processes for good (SIGSTOP).
pub(super) fn freeze(spared: &ExcludedProcesses) {
    for group in spared.groups_among(&descendants().unwrap_or_default()) {
        // If it has ended already, there is nothing to stop.
        let _ = killpg(Pid::from_raw(group), Signal::SIGSTOP);
    }
}

/// Suspends all descendants. The groups of members get SIGTSTP, as from a terminal. The others, which a terminal
/// would not reach, get SIGSTOP, which always works.
pub(super) fn suspend(members: &[Pid]) {
    for group in groups_but(&ExcludedProcesses::default()) {
        let is_member = members.contains(&group);
        // If it has ended already, there is nothing to suspend.
        let _ = killpg(group, if is_member { Signal::SIGTSTP } else { Signal::SIGSTOP });
    }
}

/// Lets all descendants except the spared ones continue.
pub(super) fn resume(spared: &ExcludedProcesses) {
    for group in groups_but(spared) {
        let _ = killpg(group, Signal::SIGCONT);
    }
}

/// Returns the process groups of all descendants except the spared ones.
fn groups_but(spared: &ExcludedProcesses) -> Vec<Pid> {
    let found = descendants().unwrap_or_default();
    let left_out = spared.groups_among(&found);
    let groups: BTreeSet<i32> = found.iter().map(|entry| entry.group).collect();
    let own = getpgrp().as_raw();
    groups
        .difference(&left_out)
        .filter(|group| **group > 1 && **group != own)
        .map(|group| Pid::from_raw(*group))
        .collect()
}

/// Returns true if no process is left except the spared ones. Returns false without /proc.
pub(super) fn only_left(spared: &ExcludedProcesses) -> bool {
    descendants().is_some_and(|found| {
        let groups = spared.groups_among(&found);
        found.iter().all(|entry| !entry.is_alive || spared.has(&groups, entry))
    })
}

/// Sends a signal once to every process that descends from this one, and returns how many there were, as far as is known.
pub(super) fn signal_all(signal: Signal, groups: &[Pid]) -> usize {
    signal_all_but(&ExcludedProcesses::default(), signal, groups)
}

/// Sends a signal once to every process that descends from this one, except the spared ones. Returns how many there
/// were, as far as is known.
///
/// Each process group gets it as a whole: the kernel guarantees that no process of the group escapes by forking,
/// however fast its processes follow each other. Even a zombie shows the group of its living successors. `groups` are
/// the groups of the programs that footplate started. A group that an unreached process creates meanwhile is found in
/// the next pass.
pub(super) fn signal_all_but(spared: &ExcludedProcesses, signal: Signal, groups: &[Pid]) -> usize {
    let Some(found) = descendants() else { return signal_unseen(signal, groups) };
    let spared = spared.groups_among(&found);
    signal_groups(signal, found, |found| {
        let seen = found.iter().map(|entry| entry.group).chain(groups.iter().map(|group| group.as_raw()));
        seen.filter(|group| !spared.contains(group)).collect()
    })
}

/// Sends a signal once to the process groups of these processes and of all that descend from them, and returns how many
/// processes there were.
pub(super) fn signal_below(roots: &[Pid], signal: Signal) -> usize {
    let Some(found) = descendants() else { return signal_unseen(signal, roots) };
    signal_groups(signal, found, |found| {
        let seen = below(roots, found).map(|entry| entry.group);
        seen.chain(roots.iter().map(|root| root.as_raw())).collect()
    })
}

/// Sends a signal to the wanted groups among the descendants, and repeats the search until no new group appears.
fn signal_groups(
    signal: Signal,
    mut found: Vec<ProcessEntry>,
    wanted: impl Fn(&[ProcessEntry]) -> BTreeSet<i32>,
) -> usize {
    let own_group = getpgrp().as_raw();
    let mut reached = BTreeSet::new();
    let mut reached_groups = BTreeSet::new();
    for round in 0..3 {
        let before = reached_groups.len() + reached.len();
        if round > 0 {
            found = descendants().unwrap_or_default();
        }
        let wanted = wanted(&found);
        for entry in found.iter().filter(|entry| entry.is_alive && wanted.contains(&entry.group)) {
            let is_new = !reached_groups.contains(&entry.group) && reached.insert(entry.pid);
            // footplate itself is in this group, so its processes are signalled one by one.
            if is_new && entry.group == own_group {
                // If it has ended already, there is nothing to signal.
                let _ = kill(Pid::from_raw(entry.pid), signal);
                let _ = wake(signal).map(|wake| kill(Pid::from_raw(entry.pid), wake));
            }
        }
        let is_new = |group: &i32| *group != own_group && *group > 1 && !reached_groups.contains(group);
        let new_groups: Vec<i32> = wanted.into_iter().filter(is_new).collect();
        for group in &new_groups {
            let _ = killpg(Pid::from_raw(*group), signal);
            let _ = wake(signal).map(|wake| killpg(Pid::from_raw(*group), wake));
        }
        reached_groups.extend(new_groups);
        if reached_groups.len() + reached.len() == before {
            break;
        }
    }
    reached.len()
}

/// Sends a signal without /proc. PID 1 can signal all other processes. Any other process knows only these groups.
fn signal_unseen(signal: Signal, groups: &[Pid]) -> usize {
    let send = |signal: Signal| {
        if getpid().as_raw() == 1 {
            return usize::from(kill(Pid::from_raw(-1), signal).is_ok());
        }
        groups.iter().filter(|group| killpg(**group, signal).is_ok()).count()
    };
    let reached = send(signal);
    if let Some(wake) = wake(signal) {
        send(wake);
    }
    reached
}

/// Returns the signal that follows a stop signal, so that stopped processes do not sleep through it.
pub(super) fn wake(signal: Signal) -> Option<Signal> {
    matches!(signal, Signal::SIGTERM | Signal::SIGINT).then_some(Signal::SIGCONT)
}
