//! Evidence of activity in a silent job, from the work that its processes do between two samples.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::event::{Activity, StackPlace};
use crate::supervise::ProcessEntry;
use crate::system::files;
use crate::watch::stacks::{RankStacks, StackCall};

/// Programs that compile, by the prefixes of their names.
const COMPILERS: [&str; 20] = [
    "nvcc",
    "cicc",
    "ptxas",
    "fatbinary",
    "nvlink",
    "cc1",
    "gcc",
    "g++",
    "collect2",
    "ld",
    "as",
    "clang",
    "ninja",
    "cmake",
    "make",
    "rustc",
    "cargo",
    "neuronx-cc",
    "neuron-cc",
    "walrus_driver",
];

/// The minimum rates at which processes and the network count as active, in bytes per second. Libraries that wait for
/// other ranks, and threads that watch the machine, cause less traffic.
const LEAST_IO: u64 = 512 << 10;
const LEAST_NETWORK: u64 = 512 << 10;

/// The minimum share of a processor at which a rank counts as computing.
const LEAST_SHARE: f64 = 0.5;

/// The minimum share of its power limit at which a GPU counts as computing. A GPU that waits for others in a kernel
/// is busy as well, but draws only a quarter to a half of its limit.
const LEAST_POWER: f64 = 0.6;

/// Parts of names of functions, and of paths of libraries, that are known to take a long time.
const SLOW_FUNCTIONS: [&str; 6] = ["save", "checkpoint", "from_pretrained", "download", "compile", "urlretrieve"];
const SLOW_FILES: [&str; 4] = ["torch/_inductor/", "torch/_dynamo/", "triton/compiler/", "huggingface_hub/"];

/// The kernel's clock ticks per second, the unit of processor time in proc(5).
const TICKS: f64 = 100.0;

/// The time limit for reading a file of /proc, and its maximum size in bytes.
const PATIENCE: Duration = Duration::from_millis(200);
const MAX_SIZE: u64 = 64 << 10;

/// The maximum number of processes that are inspected.
const MAX_PROCESSES: usize = 2048;

/// The work that the processes of ranks have done up to the time of a sample.
#[derive(Clone, Debug)]
pub(super) struct Effort {
    at: Instant,
    /// The name of a running compiler.
    compiler: Option<String>,
    /// The bytes that each process has read and written, by process number and start time.
    moved: BTreeMap<(i32, u64), u64>,
    /// The processor time of each rank, in ticks.
    worked: BTreeMap<usize, u64>,
    /// The ranks that have a process which is ready to run.
    runnable: BTreeSet<usize>,
    network: NetworkBytes,
}

/// The bytes received and sent over the network.
#[derive(Clone, Debug)]
pub(super) enum NetworkBytes {
    /// The bytes of each connection of this job's processes, by the connection's number.
    Connections(BTreeMap<u64, u64>),
    /// The bytes of all interfaces, other programs' included. Used if the kernel does not report connections.
    Interfaces(u64),
}

impl NetworkBytes {
    /// Returns the number of bytes since an earlier sample.
    fn since(&self, before: &NetworkBytes) -> u64 {
        match (before, self) {
            // All bytes of a new connection count.
            (NetworkBytes::Connections(before), NetworkBytes::Connections(now)) => since(now, before),
            (NetworkBytes::Interfaces(before), NetworkBytes::Interfaces(now)) => now.saturating_sub(*before),
            _ => 0,
        }
    }
}

/// Returns the total growth of counters. A new counter began at 0.
fn since<K: Ord>(now: &BTreeMap<K, u64>, before: &BTreeMap<K, u64>) -> u64 {
    now.iter().map(|(key, count)| count.saturating_sub(before.get(key).copied().unwrap_or_default())).sum()
}

impl Effort {
    /// Takes a sample of the processes of each rank.
    pub(super) fn sample(ranks: &BTreeMap<usize, Vec<ProcessEntry>>, network: NetworkBytes) -> Effort {
        let mut effort = Effort {
            at: Instant::now(),
            compiler: None,
            moved: BTreeMap::new(),
            worked: BTreeMap::new(),
            runnable: BTreeSet::new(),
            network,
        };
        let all = ranks.iter().flat_map(|(rank, entries)| entries.iter().map(move |entry| (*rank, entry)));
        for (rank, entry) in all.take(MAX_PROCESSES) {
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            if is_compiler(&name) {
                effort.compiler = Some(name);
            }
            effort.moved.insert((entry.pid, entry.start), moved(entry.pid));
            let (is_runnable, ticks) = worked(entry.pid);
            *effort.worked.entry(rank).or_default() += ticks;
            if is_runnable {
                effort.runnable.insert(rank);
            }
        }
        effort
    }

    /// Returns the activities since an earlier sample.
    pub(super) fn since(&self, before: &Effort) -> Vec<Activity> {
        let seconds = (self.at - before.at).as_secs_f64().max(0.001);
        let rate = |bytes: u64| (bytes as f64 / seconds) as u64;
        // All bytes of a process count if the process started after the earlier sample.
        let moved = rate(since(&self.moved, &before.moved));
        let network = rate(self.network.since(&before.network));
        let mut activities: Vec<Activity> = self.compiler.clone().map(Activity::Compiler).into_iter().collect();
        activities.extend((moved >= LEAST_IO).then_some(Activity::InputOutput(moved)));
        activities.extend((network >= LEAST_NETWORK).then_some(Activity::Network(network)));
        let share = |rank: &usize, ticks: &u64| {
            let worked = ticks.saturating_sub(before.worked.get(rank).copied().unwrap_or(*ticks));
            worked as f64 / TICKS / seconds
        };
        // A script without other ranks that computes silently looks exactly like one in an endless loop.
        if self.worked.len() > 1 {
            // On a busy machine, a rank that is ready to run may get little processor time.
            let wants = |rank: &usize| before.runnable.contains(rank) && self.runnable.contains(rank);
            let computing = self.worked.iter().find(|(rank, ticks)| share(rank, ticks) >= LEAST_SHARE || wants(rank));
            activities.extend(computing.map(|(rank, _)| Activity::Computing(*rank)));
        }
        activities
    }
}

/// Returns the activity that the power of the GPUs shows. `share` is the lowest share of its power limit that a GPU
/// draws.
pub(super) fn of_power(share: Option<f64>) -> Option<Activity> {
    share.filter(|share| *share >= LEAST_POWER).map(|share| Activity::Power((share * 100.0) as u32))
}

/// Returns the activities that two readings of the ranks' stacks show.
pub(super) fn of_stacks(before: &[RankStacks], now: &[RankStacks], code_dir: &Path) -> Vec<Activity> {
    let mut activities = Vec::new();
    let earlier = |rank: &RankStacks| before.iter().find(|other| other.rank == rank.rank && other.is_python());
    let place = |call: &StackCall| (call.function.clone(), call.file.clone());
    let moves = |rank: &&RankStacks| {
        rank.is_python() && earlier(rank).is_some_and(|earlier| !earlier.calls().map(place).eq(rank.calls().map(place)))
    };
    let steps =
        |rank: &&RankStacks| rank.is_python() && earlier(rank).is_some_and(|earlier| !earlier.calls().eq(rank.calls()));
    activities.extend(now.iter().find(moves).map(|rank| Activity::Moving(rank.rank)));
    activities.extend(now.iter().find(steps).map(|rank| Activity::Stepping(rank.rank)));
    let slow = |rank: &RankStacks| -> Option<(usize, StackPlace)> {
        let call = rank.calls().find(|call| {
            let is_slow = |part: &&str| call.name().contains(*part);
            SLOW_FUNCTIONS.iter().any(is_slow) || SLOW_FILES.iter().any(|part| call.file.contains(part))
        })?;
        Some((rank.rank, call.place(code_dir)))
    };
    activities.extend(now.iter().find_map(slow).map(|(rank, place)| Activity::Slow { rank, place }));
    activities
}

fn is_compiler(name: &str) -> bool {
    COMPILERS.iter().any(|compiler| {
        let rest = name.strip_prefix(compiler);
        // This matches `gcc-12`, `cc1plus` and `clang++`, but not `assistant`.
        rest.is_some_and(|rest| rest.is_empty() || rest == "plus" || rest == "++" || rest.starts_with(['-', '.']))
    })
}

fn read(pid: i32, name: &str) -> String {
    let path = format!("/proc/{pid}/{name}");
    let bytes = files::read_within(PATIENCE, Path::new(&path), MAX_SIZE).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the bytes that a process has read and written, from `/proc/PID/io` (proc(5)).
fn moved(pid: i32) -> u64 {
    let text = read(pid, "io");
    let value = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).and_then(|value| value.trim().parse::<u64>().ok())
    };
    value("rchar:").unwrap_or_default() + value("wchar:").unwrap_or_default()
}

/// Returns true if the main thread of a process is ready to run, and the processor time of the process in ticks. Both
/// are from `/proc/PID/stat` (proc(5)).
fn worked(pid: i32) -> (bool, u64) {
    const FIELDS_TO_TIME: usize = 11;
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let ticks = fields.split(' ').skip(FIELDS_TO_TIME).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    (fields.starts_with('R'), ticks)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::{Duration, Instant};

    use super::{Effort, NetworkBytes, is_compiler, moved, of_power, worked};
    use crate::event::Activity;

    fn effort(at: Instant, moved: u64, worked: &[(usize, u64)], network: u64) -> Effort {
        let worked = worked.iter().copied().collect();
        let moved = BTreeMap::from([((7, 1), moved)]);
        let network = NetworkBytes::Interfaces(network);
        Effort { at, compiler: None, moved, worked, runnable: BTreeSet::new(), network }
    }

    #[test]
    fn compilers_are_known_by_their_names() {
        for name in ["gcc", "gcc-12", "cc1plus", "clang++", "ld.bfd", "nvcc", "as", "neuronx-cc"] {
            assert!(is_compiler(name), "{name}");
        }
        for name in ["python3", "assistant", "ldconfig", "makeup", "cargotrain", "tee"] {
            assert!(!is_compiler(name), "{name}");
        }
    }

    #[test]
    fn only_what_is_more_than_waiting_counts() {
        let begun = Instant::now();
        let later = begun + Duration::from_secs(2);
        let before = effort(begun, 1000, &[(0, 5), (1, 5)], 50);
        let since = |moved, worked: &[(usize, u64)], network| effort(later, moved, worked, network).since(&before);
        assert_eq!(since(1000, &[(0, 5), (1, 5)], 50), []);
        assert_eq!(since(100_000, &[(0, 50), (1, 50)], 100_000), []);
        assert_eq!(since(20_001_000, &[(0, 5), (1, 5)], 50), [Activity::InputOutput(10_000_000)]);
        assert_eq!(since(1000, &[(0, 5), (1, 5)], 20_000_050), [Activity::Network(10_000_000)]);
        assert_eq!(since(1000, &[(0, 5), (1, 180)], 50), [Activity::Computing(1)]);
        let wanting = |effort: Effort| Effort { runnable: [1].into(), ..effort };
        let starved = wanting(effort(later, 1000, &[(0, 5), (1, 6)], 50));
        assert_eq!(starved.since(&wanting(before.clone())), [Activity::Computing(1)]);
        assert_eq!(starved.since(&before), []);
        let compiling = Effort { compiler: Some("cc1".into()), ..effort(later, 1000, &[], 50) };
        assert_eq!(compiling.since(&before), [Activity::Compiler("cc1".into())]);
        // A rank that is the only one to compute may be in an endless loop.
        let one = effort(later, 1000, &[(0, 200)], 50);
        assert_eq!(one.since(&effort(begun, 1000, &[(0, 0)], 50)), []);
    }

    #[test]
    fn bytes_count_over_each_connection() {
        let bytes = |counts: &[(u64, u64)]| NetworkBytes::Connections(counts.iter().copied().collect());
        let before = bytes(&[(1, 1000), (2, 70)]);
        // One connection was closed, one grew, and one is new.
        assert_eq!(bytes(&[(2, 100), (3, 5)]).since(&before), 35);
        assert_eq!(NetworkBytes::Interfaces(7000).since(&before), 0);
    }

    #[test]
    fn gpus_that_wait_in_a_kernel_do_not_compute() {
        assert_eq!(of_power(None), None);
        assert_eq!(of_power(Some(0.45)), None);
        assert_eq!(of_power(Some(0.92)), Some(Activity::Power(92)));
    }

    #[test]
    fn the_kernel_counts_what_a_process_does() {
        let pid = i32::try_from(std::process::id()).expect("a number");
        let before = moved(pid);
        std::fs::read("/proc/self/status").expect("read");
        assert!(moved(pid) > before);
        let begun = Instant::now();
        while worked(pid).1 == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60));
        }
    }
}
