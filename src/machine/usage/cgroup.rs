//! The files of the container's cgroups, versions 1 and 2.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::kept_file::KeptFile;
use super::{MemoryUse, Periods, Pressure, Roots};

/// Limits above it are none: version 1 has no other word for it.
const NO_LIMIT: u64 = 1 << 60;

/// The controllers' folders of this process.
#[derive(Debug, Default)]
struct Folders {
    /// The folder of the one hierarchy of version 2, and its mount.
    unified: Option<(PathBuf, PathBuf)>,
    memory: Option<(PathBuf, PathBuf)>,
    cpu: Option<(PathBuf, PathBuf)>,
    cpuacct: Option<(PathBuf, PathBuf)>,
}

impl Folders {
    /// Finds the folders by `/proc/self/cgroup`. A container without a cgroup namespace sees the host's path there, under which
    /// nothing is mounted: the root of the hierarchy is then its own.
    fn of_this_process(roots: &Roots) -> Folders {
        let text = fs::read_to_string(roots.proc.join("self/cgroup")).unwrap_or_default();
        let mut folders = Folders::default();
        for line in text.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(hierarchy), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            let below = |mount: PathBuf, file: &str| {
                let own = mount.join(path.trim_start_matches('/'));
                [own, mount.clone()].into_iter().find(|folder| folder.join(file).exists()).map(|folder| (folder, mount))
            };
            if hierarchy == "0" && controllers.is_empty() {
                folders.unified =
                    below(roots.cgroup.clone(), "memory.current").or_else(|| below(roots.cgroup.clone(), "cpu.stat"));
            }
            for controller in controllers.split(',') {
                let mount = roots.cgroup.join(controller);
                match controller {
                    "memory" => folders.memory = below(mount, "memory.usage_in_bytes"),
                    "cpu" => folders.cpu = below(mount, "cpu.stat"),
                    "cpuacct" => folders.cpuacct = below(mount, "cpuacct.usage"),
                    _ => {}
                }
            }
        }
        folders
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
        // If the memory controller is one of version 1, version 2's hierarchy has no controllers.
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
            limit: around(memory)
                .filter_map(|folder| number(&folder.join(limit)))
                .filter(|limit| *limit < NO_LIMIT)
                .min(),
            quota: around(cpu).filter_map(|folder| quota(&folder)).reduce(f64::min),
        }
    }

    /// Returns the number of processors of the least quota, if there is one.
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
        let stat = self.memory_stat.as_mut()?.numbers(["total_inactive_file", "inactive_file"])?;
        let inactive = stat.into_iter().flatten().next().unwrap_or(0);
        let limit = self.limit.into_iter().chain(of_machine).min();
        Some(MemoryUse { usage, working_set: usage.saturating_sub(inactive), limit })
    }

    pub(super) fn kills(&mut self) -> Option<u64> {
        self.kills.as_mut()?.numbers(["oom_kill"])?[0]
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

/// Returns the folder of a cgroup and those around it, up to the mount.
fn around(group: &Option<(PathBuf, PathBuf)>) -> impl Iterator<Item = PathBuf> {
    let (folder, mount) = group.clone().unzip();
    folder.into_iter().flat_map(move |folder| {
        let mount = mount.clone().unwrap_or_default();
        folder.ancestors().take_while(|above| above.starts_with(&mount)).map(Path::to_owned).collect::<Vec<_>>()
    })
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

/// Reads a file that holds one number.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
