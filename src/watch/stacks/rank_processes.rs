//! The processes of each rank on this host.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::{Event, EventKind, Events, Process};
use crate::supervise::{ProcessEntry, descendants};
use crate::system::files;

/// The variables in which torchrun and MPI implementations give a process its rank.
const RANK_VARIABLES: [&[u8]; 4] = [b"OMPI_COMM_WORLD_RANK=", b"PMIX_RANK=", b"PMI_RANK=", b"RANK="];

/// The time limit for reading the variables of a process, and their maximum size in bytes.
const PATIENCE: Duration = Duration::from_millis(200);
const MAX_VARIABLES: u64 = 4 << 20;

/// The processes that footplate or one of its keepers has started, by process number.
#[derive(Clone, Debug, Default)]
pub struct RankProcesses(Arc<Mutex<BTreeMap<i32, Process>>>);

impl RankProcesses {
    /// Begins to record the processes that events report.
    pub fn subscribe(events: &Events) -> RankProcesses {
        let members = RankProcesses::default();
        let noted = members.clone();
        events.subscribe(move |event: &Event| match &event.kind {
            EventKind::ProcessStarted { process, pid } => {
                noted.lock().insert(*pid, process.clone());
            }
            EventKind::ProcessEnded { process, .. } => noted.lock().retain(|_, known| known != process),
            _ => {}
        });
        members
    }

    /// Returns the processes of each rank that has any, parents before their children.
    pub(in crate::watch) fn ranks(&self) -> BTreeMap<usize, Vec<ProcessEntry>> {
        let known = self.lock().clone();
        assigned(&known, descendants().unwrap_or_default(), rank_by_variables)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Process>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Assigns processes to ranks. A known process belongs to its own rank, and another process to the rank of its
/// parent. If the parent has no rank and the process descends from a launcher, its variables decide.
fn assigned(
    known: &BTreeMap<i32, Process>,
    found: Vec<ProcessEntry>,
    by_variables: impl Fn(i32) -> Option<usize>,
) -> BTreeMap<usize, Vec<ProcessEntry>> {
    let mut owners: BTreeMap<i32, Owner> = BTreeMap::new();
    let mut ranks: BTreeMap<usize, Vec<ProcessEntry>> = BTreeMap::new();
    for entry in found.into_iter().filter(|entry| entry.is_alive) {
        let owner = match known.get(&entry.pid) {
            Some(Process::Rank(rank)) => Owner::Rank(*rank),
            Some(Process::Launcher(_)) => Owner::Launcher,
            Some(_) => continue,
            None => match owners.get(&entry.parent) {
                Some(Owner::Rank(rank)) => Owner::Rank(*rank),
                Some(Owner::Launcher) => by_variables(entry.pid).map_or(Owner::Launcher, Owner::Rank),
                None => continue,
            },
        };
        owners.insert(entry.pid, owner);
        if let Owner::Rank(rank) = owner {
            ranks.entry(rank).or_default().push(entry);
        }
    }
    ranks
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Rank(usize),
    Launcher,
}

/// Returns the rank in the variables of a process.
fn rank_by_variables(pid: i32) -> Option<usize> {
    let path = format!("/proc/{pid}/environ");
    // The kernel reads the variables from the memory of the process, and that can hang if the process hangs.
    let variables = files::read_within(PATIENCE, Path::new(&path), MAX_VARIABLES).ok()?;
    rank_in(&variables)
}

fn rank_in(variables: &[u8]) -> Option<usize> {
    let value = |name: &&[u8]| {
        let found = variables.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(*name))?;
        std::str::from_utf8(found).ok()?.parse().ok()
    };
    RANK_VARIABLES.iter().find_map(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{assigned, rank_in};
    use crate::event::Process;
    use crate::supervise::ProcessEntry;

    #[test]
    fn processes_belong_to_the_rank_above_them_or_to_that_of_their_variables() {
        let entry = |pid, parent| ProcessEntry {
            pid,
            parent,
            group: pid,
            is_alive: true,
            is_stopped: false,
            start: 0,
            stack: None,
            name: b"python3".to_vec(),
        };
        let known = BTreeMap::from([
            (10, Process::Rank(0)),
            (20, Process::Launcher("torchrun".into())),
            (30, Process::Service("redis".into())),
        ]);
        let found = [(10, 1), (11, 10), (20, 1), (21, 20), (22, 21), (23, 20), (30, 1), (31, 30), (40, 1)];
        let found = found.map(|(pid, parent)| entry(pid, parent)).to_vec();
        let by_variables = |pid| if pid == 21 { Some(4) } else { None };
        let ranks = assigned(&known, found, by_variables);
        let pids = |rank| ranks[&rank].iter().map(|entry: &ProcessEntry| entry.pid).collect::<Vec<_>>();
        assert_eq!((ranks.len(), pids(0), pids(4)), (2, vec![10, 11], vec![21, 22]));
    }

    #[test]
    fn the_rank_of_mpi_is_stronger_than_another_one() {
        assert_eq!(rank_in(b"RANK=1\0OMPI_COMM_WORLD_RANK=3\0"), Some(3));
        assert_eq!(rank_in(b"LOCAL_RANK=1\0RANK=2"), Some(2));
        assert_eq!(rank_in(b"RANK=x\0"), None);
    }
}
