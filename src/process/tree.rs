//! The processes that descend from this one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpid};

/// The numbers of all processes that descend from this one, zombies left out; none where there is no /proc.
fn descendants() -> Option<BTreeSet<i32>> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    let mut seen_itself = false;
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if let Some(parent) = living_parent(&Path::new("/proc").join(pid.to_string()).join("stat")) {
            children.entry(parent).or_default().push(pid);
            seen_itself |= pid == getpid().as_raw();
        }
    }
    if !seen_itself {
        return None;
    }
    let mut found = BTreeSet::new();
    let mut waiting = vec![getpid().as_raw()];
    while let Some(parent) = waiting.pop() {
        for child in children.remove(&parent).into_iter().flatten() {
            if found.insert(child) {
                waiting.push(child);
            }
        }
    }
    Some(found)
}

/// The parent of a process that is not a zombie, from proc(5)'s `stat`: `pid (name) state parent …`, of which the name
/// may hold anything.
fn living_parent(stat: &Path) -> Option<i32> {
    let stat = std::fs::read(stat).ok()?;
    let name_end = memchr::memrchr(b')', &stat)?;
    let rest = String::from_utf8_lossy(&stat[name_end + 1..]).into_owned();
    let mut fields = rest.split_ascii_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.next()?.parse().ok(),
    }
}

/// Sends a signal once to every process that descends from this one; gives how many there were, as far as is known.
///
/// The processes of each of `groups`, the programs' own, get it together. A process that is made meanwhile by one that was
/// not reached yet is found in a further look.
pub(super) fn signal_all(signal: Signal, groups: &[Pid]) -> usize {
    let Some(found) = descendants() else { return signal_unseen(signal, groups) };
    let in_groups = |pid: i32| group_of(pid).is_some_and(|group| groups.contains(&group));
    let mut reached: BTreeSet<i32> = found.into_iter().filter(|pid| in_groups(*pid)).collect();
    for group in groups {
        // Gone already: then there is nothing to signal.
        let _ = killpg(*group, signal);
    }
    for _ in 0..3 {
        let newly: Vec<i32> =
            descendants().unwrap_or_default().into_iter().filter(|pid| reached.insert(*pid)).collect();
        if newly.is_empty() {
            break;
        }
        for pid in newly.into_iter().filter(|pid| !in_groups(*pid)) {
            let _ = kill(Pid::from_raw(pid), signal);
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

fn group_of(pid: i32) -> Option<Pid> {
    nix::unistd::getpgid(Some(Pid::from_raw(pid))).ok()
}
