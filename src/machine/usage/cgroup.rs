//! The files of the container's cgroups, versions 1 and 2.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::kept_file::KeptFile;
use super::{DiskTraffic, MemoryUse, Periods, Pressure, Roots};
use crate::machine::cgroup::{Hierarchies, Hierarchy, around, number};

/// The value from which on a limit counts as none, because version 1 has no special value for it.
const NO_LIMIT: u64 = 1 << 60;

/// Version 1's file with the bytes read from and written to disks.
const SERVICE_BYTES: &str = "blkio.throttle.io_service_bytes";

/// The folders of this process in the hierarchies of the controllers.
#[derive(Debug, Default)]
struct Folders {
    /// The folder in the single hierarchy of version 2, and the mount of that hierarchy.
    unified: Option<(PathBuf, PathBuf)>,
    memory: Option<(PathBuf, PathBuf)>,
    cpu: Option<(PathBuf, PathBuf)>,
    cpuacct: Option<(PathBuf, PathBuf)>,
    blkio: Option<(PathBuf, PathBuf)>,
}

impl Folders {
    /// Finds the folders that have the files of their controllers.
    fn of_this_process(roots: &Roots) -> Folders {
        let Some(hierarchies) = Hierarchies::of_this_process(roots) else { return Folders::default() };
        let having = |controller, file: &str| {
            let Hierarchy { mount, folders } = hierarchies.of(controller)?;
            folders.into_iter().find(|folder| folder.join(file).exists()).map(|folder| (folder, mount))
        };
        Folders {
            unified: having(None, "memory.current").or_else(|| having(None, "cpu.stat")),
            memory: having(Some("memory"), "memory.usage_in_bytes"),
            cpu: having(Some("cpu"), "cpu.stat"),
            cpuacct: having(Some("cpuacct"), "cpuacct.usage"),
            blkio: having(Some("blkio"), SERVICE_BYTES),
        }
    }
}

/// The files of the cgroups of this process.
#[derive(Debug)]
pub(super) struct GroupFiles {
    /// `cpu.stat` with `usage_usec`, or version 1's `cpuacct.usage`.
    processor_time: Option<KeptFile>,
    is_in_nanoseconds: bool,
    cpu_stat: Option<KeptFile>,
    usage: Option<KeptFile>,
    memory_stat: Option<KeptFile>,
    kills: Option<KeptFile>,
    pressure: [Option<KeptFile>; 3],
    /// `io.stat`, or version 1's `blkio.throttle.io_service_bytes`.
    disks: Option<KeptFile>,
    limit: Option<u64>,
    quota: Option<f64>,
}

impl GroupFiles {
    /// Opens the files, and reads the limits.
    pub(super) fn open(roots: &Roots) -> GroupFiles {
        let folders = Folders::of_this_process(roots);
        let in_folder =
            |folder: &Option<(PathBuf, PathBuf)>, name: &str| KeptFile::open(&folder.as_ref()?.0.join(name));
        let accounts = in_folder(&folders.cpuacct, "cpuacct.usage");
        let is_in_nanoseconds = accounts.is_some();
        // If the memory controller belongs to version 1, version 2's hierarchy has no controllers.
        let (memory, usage, kills, limit) = match &folders.memory {
            Some(_) => (&folders.memory, "memory.usage_in_bytes", "memory.oom_control", "memory.limit_in_bytes"),
            None => (&folders.unified, "memory.current", "memory.events", "memory.max"),
        };
        let cpu = if folders.cpu.is_some() { &folders.cpu } else { &folders.unified };
        GroupFiles {
            processor_time: accounts.or_else(|| in_folder(&folders.unified, "cpu.stat")),
            is_in_nanoseconds,
            cpu_stat: in_folder(cpu, "cpu.stat"),
            usage: in_folder(memory, usage),
            memory_stat: in_folder(memory, "memory.stat"),
            kills: in_folder(memory, kills),
            pressure: ["cpu", "memory", "io"].map(|resource| {
                in_folder(&folders.unified, &format!("{resource}.pressure"))
                    .or_else(|| KeptFile::open(&roots.proc.join("pressure").join(resource)))
            }),
            disks: in_folder(&folders.blkio, SERVICE_BYTES).or_else(|| in_folder(&folders.unified, "io.stat")),
            limit: least(memory, |folder| number(&folder.join(limit)).filter(|limit| *limit < NO_LIMIT)),
            quota: least(cpu, quota),
        }
    }

    /// Returns the number of processors that the lowest quota allows, if there is a quota.
    pub(super) fn quota(&self) -> Option<f64> {
        self.quota
    }

    pub(super) fn processor_time(&mut self) -> Option<Duration> {
        let file = self.processor_time.as_mut()?;
        if self.is_in_nanoseconds {
            return file.number().map(Duration::from_nanos);
        }
        let [used] = file.numbers(["usage_usec"])?;
        used.map(Duration::from_micros)
    }

    pub(super) fn periods(&mut self) -> Option<Periods> {
        self.quota?;
        let [all, throttled] = self.cpu_stat.as_mut()?.numbers(["nr_periods", "nr_throttled"])?;
        Some(Periods { all: all?, throttled: throttled? })
    }

    pub(super) fn memory(&mut self, of_machine: Option<u64>) -> Option<MemoryUse> {
        let usage = self.usage.as_mut()?.number()?;
        // Version 1 reports the lowest limit of all ancestors, including those that the container does not see.
        let names = ["total_inactive_file", "inactive_file", "hierarchical_memory_limit"];
        let [of_all, of_itself, around] = self.memory_stat.as_mut()?.numbers(names)?;
        let inactive = of_all.or(of_itself).unwrap_or(0);
        let around = around.filter(|limit| *limit < NO_LIMIT);
        let limit = self.limit.into_iter().chain(around).chain(of_machine).min();
        Some(MemoryUse { usage, working_set: usage.saturating_sub(inactive), limit })
    }

    pub(super) fn kills(&mut self) -> Option<u64> {
        self.kills.as_mut()?.numbers(["oom_kill"])?[0]
    }

    /// Returns the bytes read from and written to all devices. Lines are `8:0 rbytes=1 wbytes=2 …`, or `8:0 Read 1`.
    pub(super) fn disks(&mut self) -> Option<DiskTraffic> {
        let text = self.disks.as_mut()?.read()?;
        let mut sum = DiskTraffic::default();
        for line in text.lines() {
            let words = line.split_ascii_whitespace().skip(1);
            let mut before = "";
            for word in words {
                let (name, number) = word.split_once('=').unwrap_or((before, word));
                before = word;
                let Ok(number) = number.parse::<u64>() else { continue };
                match name {
                    "rbytes" | "Read" => sum.read = sum.read.wrapping_add(number),
                    "wbytes" | "Write" => sum.written = sum.written.wrapping_add(number),
                    _ => {}
                }
            }
        }
        Some(sum)
    }

    pub(super) fn pressure(&mut self) -> Pressure {
        let [cpu, memory, io] = &mut self.pressure;
        let waited = |file: &mut Option<KeptFile>| {
            let text = file.as_mut()?.read()?;
            let total = text.lines().find(|line| line.starts_with("some "))?.rsplit_once("total=")?.1;
            total.trim().parse().ok().map(Duration::from_micros)
        };
        Pressure { cpu: waited(cpu), memory: waited(memory), io: waited(io) }
    }
}

/// Returns the lowest value among a cgroup and its ancestors.
fn least<T: PartialOrd>(group: &Option<(PathBuf, PathBuf)>, value: impl Fn(&Path) -> Option<T>) -> Option<T> {
    let (folder, mount) = group.as_ref()?;
    around(folder, mount).filter_map(value).reduce(|least, other| if other < least { other } else { least })
}

/// Returns the number of processors that a cgroup's quota allows.
fn quota(folder: &Path) -> Option<f64> {
    let (quota, period) = match fs::read_to_string(folder.join("cpu.max")) {
        Ok(text) => {
            let (quota, period) = text.trim().split_once(' ')?;
            (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
        }
        Err(_) => {
            let read = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<f64>().ok();
            (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?)
        }
    };
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}
