//! Reader of the container's resource usage: processors, memory, pressure, disks and networks.
//!
//! The files stay open and are read again for each sample, which takes about 50 µs. A source that is missing or
//! cannot be parsed is `None`, never an error. Counters only grow. The caller computes their differences.

mod cgroup;
mod kept_file;
mod network;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use cgroup::GroupFiles;
use network::TrafficFiles;

use super::cgroup::{Roots, machine_memory};
use super::disk::{FileSystem, SHARED_MEMORY};

/// The state of the container at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// The time.
    pub at: Instant,
    /// The number of processors that the container may use: the lower one of its quota and its affinity.
    pub processors: f64,
    /// The processor time used so far.
    pub processor_time: Option<Duration>,
    /// The scheduling periods so far, if the container has a quota.
    pub periods: Option<Periods>,
    /// The memory in use.
    pub memory: Option<MemoryUse>,
    /// The number of processes that the kernel killed because memory ran out.
    pub kills: Option<u64>,
    /// The time during which some task waited for a processor, for memory or for a disk.
    pub pressure: Pressure,
    /// The bytes read from and written to disks.
    pub disks: Option<DiskTraffic>,
    /// The bytes received and sent over network interfaces other than loopback.
    pub network: Option<Traffic>,
    /// The bytes received and sent over EFA devices.
    pub efa: Option<Traffic>,
    /// The shared memory.
    pub shared_memory: Option<Space>,
    /// The file system of the base folder.
    pub disk: Option<Space>,
}

impl Usage {
    /// Returns the names of what could not be read, of what every usual container has.
    pub fn missing(&self) -> Vec<&'static str> {
        let sources = [
            ("processor time", self.processor_time.is_none()),
            ("memory", self.memory.is_none()),
            ("network traffic", self.network.is_none()),
            ("disk space", self.disk.is_none()),
        ];
        sources.into_iter().filter(|(_, is_missing)| *is_missing).map(|(name, _)| name).collect()
    }
}

/// The scheduling periods of a container with a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Periods {
    /// The number of periods.
    pub all: u64,
    /// The number of periods in which the container had to wait for the next one.
    pub throttled: u64,
}

/// The memory of a container, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// The memory in use, page cache included.
    pub usage: u64,
    /// The memory in use, without the page cache that the kernel can drop at once, as kubelet computes it.
    pub working_set: u64,
    /// The lowest limit of the container's cgroup and its ancestors, else the machine's memory.
    pub limit: Option<u64>,
}

/// The total times during which some task waited. `None` if the kernel does not count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// The time of waiting for a processor.
    pub cpu: Option<Duration>,
    /// The time of waiting for memory.
    pub memory: Option<Duration>,
    /// The time of waiting for a disk.
    pub io: Option<Duration>,
}

/// The bytes received and sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The bytes received.
    pub received: u64,
    /// The bytes sent.
    pub sent: u64,
}

/// The bytes read from and written to disks so far, network file systems excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskTraffic {
    /// The bytes read.
    pub read: u64,
    /// The bytes written.
    pub written: u64,
}

/// The space of a file system, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// The size.
    pub size: u64,
    /// The space that ordinary users may still use.
    pub free: u64,
}

impl Space {
    /// Returns the space in use, in bytes.
    pub fn used(&self) -> u64 {
        self.size.saturating_sub(self.free)
    }

    fn of(folder: &Path) -> Option<Space> {
        let found = FileSystem::of(folder).ok().filter(|found| found.total_bytes > 0)?;
        Some(Space { size: found.total_bytes, free: found.free_bytes })
    }
}

/// Reads the state of this process's container.
#[derive(Debug)]
pub struct UsageReader {
    group: GroupFiles,
    traffic: TrafficFiles,
    processors: f64,
    memory_of_machine: Option<u64>,
    base: PathBuf,
}

impl UsageReader {
    /// Opens the files. `base` is the base folder of the job.
    pub fn open(roots: &Roots, base: &Path) -> UsageReader {
        let group = GroupFiles::open(roots);
        let available = sched_getaffinity(Pid::from_raw(0))
            .map_or(1, |set| (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).count());
        let processors = group.quota().map_or(available as f64, |quota| quota.min(available as f64));
        UsageReader {
            group,
            traffic: TrafficFiles::open(roots),
            processors,
            memory_of_machine: machine_memory(roots),
            base: base.to_owned(),
        }
    }

    /// Reads the state.
    pub fn read(&mut self) -> Usage {
        Usage {
            at: Instant::now(),
            processors: self.processors,
            processor_time: self.group.processor_time(),
            periods: self.group.periods(),
            memory: self.group.memory(self.memory_of_machine),
            kills: self.group.kills(),
            pressure: self.group.pressure(),
            disks: self.group.disks(),
            network: self.traffic.network(),
            efa: self.traffic.efa(),
            shared_memory: Space::of(Path::new(SHARED_MEMORY)),
            disk: Space::of(&self.base),
        }
    }
}

#[cfg(test)]
mod tests;
