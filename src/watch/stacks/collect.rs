//! Collecting the stacks of all ranks of this host within a time limit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::faulthandler::Hook;
use super::process::ProcessStacks;
use super::rank::RankStacks;
use super::{kernel_view, python};
use crate::supervise::ProcessEntry;

/// The number of processes that are examined at the same time.
const PARALLEL: usize = 8;

/// The maximum number of processes that are examined, and the maximum number per rank.
const MAX_PROCESSES: usize = 512;
const MAX_OF_RANK: usize = 64;

/// The means of reading stacks.
#[derive(Clone, Debug, Default)]
pub struct StackMeans {
    /// The module that makes Python answer a signal, if the user allows it.
    pub hook: Option<Hook>,
}

/// Examines all processes of these ranks. `silent` returns the time since a rank's last sign of life, in
/// milliseconds. For a process that does not answer before the deadline, only the kernel's files are read.
pub(in crate::watch) fn collect(
    means: &StackMeans,
    ranks: BTreeMap<usize, Vec<ProcessEntry>>,
    silent: impl Fn(usize) -> u64,
    deadline: Instant,
) -> Vec<RankStacks> {
    let mut of_rank: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut processes: Vec<(i32, String)> = Vec::new();
    // The first processes of all ranks come before the second ones.
    for turn in 0..MAX_OF_RANK {
        for (rank, entries) in &ranks {
            if let Some(entry) = entries.get(turn).filter(|_| processes.len() < MAX_PROCESSES) {
                of_rank.entry(*rank).or_default().push(processes.len());
                processes.push((entry.pid, String::from_utf8_lossy(&entry.name).into_owned()));
            }
        }
    }
    let mut found = read_all(means, &processes, deadline);
    let rank_stacks = |(rank, places): (usize, Vec<usize>)| RankStacks {
        rank,
        processes: places.into_iter().filter_map(|at| found[at].take()).collect(),
        silent_ms: silent(rank),
    };
    of_rank.into_iter().map(rank_stacks).collect()
}

fn read_all(means: &StackMeans, processes: &[(i32, String)], deadline: Instant) -> Vec<Option<ProcessStacks>> {
    let mut found = in_parallel(processes, |(pid, name)| {
        let is_late = Instant::now() >= deadline;
        if is_late { None } else { python::stacks_of((*pid, name)) }
    });
    if let Some(hook) = &means.hook {
        let unknown: Vec<usize> = (0..processes.len()).filter(|at| found[*at].is_none()).collect();
        let requested: Vec<(i32, String)> = unknown.iter().map(|at| processes[*at].clone()).collect();
        for (at, answer) in unknown.into_iter().zip(hook.request(&requested, deadline)) {
            found[at] = answer;
        }
    }
    for (at, (pid, name)) in processes.iter().enumerate() {
        found[at].get_or_insert_with(|| kernel_view::read((*pid, name)));
    }
    found
}

/// Does some work for each item, on several threads. The results are in the order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> Option<R> + Sync) -> Vec<Option<R>> {
    let waiting: Mutex<VecDeque<(usize, &T)>> = Mutex::new(items.iter().enumerate().collect());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let run = || {
        let mut done = Vec::new();
        while let Some((at, item)) = next() {
            done.push((at, work(item)));
        }
        done
    };
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    thread::scope(|scope| {
        // The kernel may refuse to start threads. Then this thread does all the work.
        let others: Vec<_> = (1..PARALLEL.min(items.len()))
            .filter_map(|_| thread::Builder::new().spawn_scoped(scope, run).ok())
            .collect();
        let mut done = run();
        done.extend(others.into_iter().filter_map(|thread| thread.join().ok()).flatten());
        for (at, result) in done {
            results[at] = result;
        }
    });
    results
}

#[cfg(test)]
mod tests {
    use super::in_parallel;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..1000).collect();
        let results = in_parallel(&items, |item| (item % 3 != 0).then_some(item * 2));
        for (item, result) in items.iter().zip(results) {
            assert_eq!(result, (item % 3 != 0).then_some(item * 2));
        }
        assert!(in_parallel(&[] as &[u32], |_| Some(1)).is_empty());
    }
}
