//! The processes that descend from this one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp, getpid};

/// What is known of a process.
#[derive(Clone, Copy)]
struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    /// Whether it runs, and is no zombie.
    is_alive: bool,
    /// Whether it is a launcher's own, such as mpirun's daemon on the other hosts.
    is_helper: bool,
}

/// The names of processes that are a launcher's own, but for the launcher itself.
const HELPERS: [&[u8]; 3] = [b"orted", b"prted", b"footplate-agent"];

/// All processes that descend from this one, zombies included; none where there is no /proc.
fn descendants() -> Option<Vec<Process>> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    let own = getpid().as_raw();
    let mut seen_itself = false;
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if let Some(process) = look_at(pid) {
            children.entry(process.parent).or_default().push(process);
            seen_itself |= pid == own;
        }
    }
    if !seen_itself {
        return None;
    }
    let mut found = Vec::new();
    let mut waiting = vec![own];
    while let Some(parent) = waiting.pop() {
        for child in children.remove(&parent).into_iter().flatten() {
            found.push(child);
            waiting.push(child.pid);
        }
    }
    Some(found)
}

/// Reads proc(5)'s `stat`: `pid (name) state parent group …`, of which the name may hold anything.
fn look_at(pid: i32) -> Option<Process> {
    let stat = std::fs::read(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let name_end = memchr::memrchr(b')', &stat)?;
    let name = memchr::memchr(b'(', &stat[..name_end]).map_or(&[][..], |start| &stat[start + 1..name_end]);
    let rest = String::from_utf8_lossy(&stat[name_end + 1..]).into_owned();
    let mut fields = rest.split_ascii_whitespace();
    let is_alive = !matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some(Process { pid, parent, group, is_alive, is_helper: HELPERS.contains(&name) })
}

/// Whether a process is a child of this one: one that was a grandchild has lost its parent.
pub(super) fn is_child(pid: Pid) -> bool {
    look_at(pid.as_raw()).is_some_and(|process| process.parent == getpid().as_raw())
}

/// Stops launchers, by their groups, and what is their own, for good.
pub(super) fn freeze(launchers: &[Pid]) {
    let helpers = descendants().unwrap_or_default().into_iter().filter(|process| process.is_helper);
    let groups: BTreeSet<i32> =
        helpers.map(|helper| helper.group).chain(launchers.iter().map(|launcher| launcher.as_raw())).collect();
    for group in groups {
        // Gone already: then there is nothing to stop.
        let _ = killpg(Pid::from_raw(group), Signal::SIGSTOP);
    }
}

/// Sends a signal once to every process that descends from this one; gives how many there were, as far as is known.
///
/// Each process group gets it together: the kernel sees to it that no process of the group escapes by forking, however
/// fast its processes follow each other. Even a zombie shows which group its living successors are in. `groups` are the
/// programs' own. A group that is made meanwhile by one that was not reached yet is found in a further look.
pub(super) fn signal_all(signal: Signal, groups: &[Pid]) -> usize {
    signal_all_but(&[], signal, groups)
}

/// Whether no process is left but launchers, by their groups, and what is their own.
pub(super) fn only_launchers(launchers: &[Pid]) -> bool {
    let is_launcher = |process: &Process| launchers.iter().any(|launcher| launcher.as_raw() == process.group);
    descendants()
        .is_some_and(|found| found.iter().all(|process| !process.is_alive || process.is_helper || is_launcher(process)))
}

/// The same but for launchers, by their groups, and what is their own.
pub(super) fn signal_all_but(launchers: &[Pid], signal: Signal, groups: &[Pid]) -> usize {
    let Some(mut found) = descendants() else { return signal_unseen(signal, groups) };
    let mut spared: Vec<i32> = launchers.iter().map(|launcher| launcher.as_raw()).collect();
    if !launchers.is_empty() {
        spared.extend(found.iter().filter(|process| process.is_helper).map(|process| process.group));
    }
    let is_spared = |group: i32| spared.contains(&group);
    let own_group = getpgrp().as_raw();
    let mut reached = BTreeSet::new();
    let mut reached_groups = BTreeSet::new();
    for round in 0..3 {
        let before = reached_groups.len() + reached.len();
        if round > 0 {
            found = descendants().unwrap_or_default();
        }
        let new_groups: BTreeSet<i32> = found
            .iter()
            .map(|process| process.group)
            .chain(groups.iter().map(|group| group.as_raw()))
            .filter(|group| *group != own_group && *group > 1 && !is_spared(*group) && !reached_groups.contains(group))
            .collect();
        for process in found.iter().filter(|process| process.is_alive) {
            let is_new = new_groups.contains(&process.group) || process.group == own_group;
            if is_new && reached.insert(process.pid) && process.group == own_group {
                // Gone already: then there is nothing to signal.
                let _ = kill(Pid::from_raw(process.pid), signal);
            }
        }
        for group in &new_groups {
            let _ = killpg(Pid::from_raw(*group), signal);
        }
        reached_groups.extend(new_groups);
        if reached_groups.len() + reached.len() == before {
            break;
        }
    }
    reached.len()
}

/// The same where there is no /proc to see processes in: PID 1 can signal all others, whoever they are; else only the
/// programs' own groups are known.
fn signal_unseen(signal: Signal, groups: &[Pid]) -> usize {
    match getpid().as_raw() {
        1 => usize::from(kill(Pid::from_raw(-1), signal).is_ok()),
        _ => groups.iter().filter(|group| killpg(**group, signal).is_ok()).count(),
    }
}
