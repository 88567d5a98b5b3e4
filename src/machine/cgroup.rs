//! Reader of the memory cgroup of this process, versions 1 and 2.
//!
//! The files are described in the kernel's documentation: admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst. The
//! values of a file that is missing or cannot be parsed are unknown, which is never an error.

use std::path::{Path, PathBuf};

use crate::system::files;

/// The maximum size of a file of the kernel, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// The mount points of the kernel's files. [`Roots::default`] has the real ones; tests have others.
#[derive(Clone, Debug)]
pub struct Roots {
    /// The folder that cgroup file systems are mounted on: `/sys/fs/cgroup`.
    pub cgroup: PathBuf,
    /// The proc file system: `/proc`.
    pub proc: PathBuf,
    /// The sys file system: `/sys`.
    pub sys: PathBuf,
}

impl Default for Roots {
    fn default() -> Roots {
        Roots { cgroup: "/sys/fs/cgroup".into(), proc: "/proc".into(), sys: "/sys".into() }
    }
}

/// The file names of one version of the memory controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interface {
    counters: &'static str,
    limit: &'static str,
    peak: &'static str,
}

const V1: Interface =
    Interface { counters: "memory.oom_control", limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes" };
const V2: Interface = Interface { counters: "memory.events", limit: "memory.max", peak: "memory.peak" };

/// The memory cgroup of this process, whose counters can be read repeatedly.
#[derive(Clone, Debug)]
pub struct MemoryGroup {
    interface: Interface,
    /// The root of the controller's hierarchy.
    mount: PathBuf,
    folder: PathBuf,
}

/// The counters of a memory cgroup. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryCounters {
    /// The number of processes that the kernel killed because memory ran out (`oom_kill`).
    pub kills: u64,
    /// The number of times that the cgroup ran out of memory at its limit (`oom`); always 0 in version 1.
    pub limit_hits: u64,
}

impl MemoryGroup {
    /// Finds the memory cgroup of this process in `/proc/self/cgroup`, and reads its counters, which takes two small
    /// files. Returns `None` if there is no memory cgroup that counts kills.
    pub fn of_this_process(roots: &Roots) -> Option<(MemoryGroup, MemoryCounters)> {
        let hierarchies = Hierarchies::of_this_process(roots)?;
        let found = [(V1, hierarchies.of(Some("memory"))), (V2, hierarchies.of(None))];
        found.into_iter().find_map(|(interface, hierarchy)| {
            let Hierarchy { mount, folders } = hierarchy?;
            let mut groups = folders.into_iter().map(|folder| MemoryGroup { interface, mount: mount.clone(), folder });
            groups.find_map(|group| group.counters().map(|counters| (group, counters)))
        })
    }

    /// Reads the counters; returns `None` if they cannot be read.
    pub fn counters(&self) -> Option<MemoryCounters> {
        let text = files::of_kernel(&self.folder.join(self.interface.counters), MAX_SIZE).ok()?;
        let counter = |name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
            line.trim().parse().ok()
        };
        Some(MemoryCounters { kills: counter("oom_kill")?, limit_hits: counter("oom").unwrap_or(0) })
    }

    /// Reads the smallest limit of the cgroup and of its ancestors, in bytes. Returns `None` if none of them has a
    /// limit.
    ///
    /// Version 1 reports the absence of a limit as a number that is larger than the memory of any machine.
    pub fn limit(&self) -> Option<u64> {
        around(&self.folder, &self.mount).filter_map(|folder| number(&folder.join(self.interface.limit))).min()
    }

    /// Reads the maximum memory that the cgroup ever held, in bytes. Returns `None` on cgroup v2 before Linux 5.19.
    pub fn peak(&self) -> Option<u64> {
        number(&self.folder.join(self.interface.peak))
    }
}

/// The cgroup hierarchies that this process is in.
#[derive(Debug)]
pub(super) struct Hierarchies {
    /// The content of `/proc/self/cgroup`.
    text: String,
    /// The folder that cgroup file systems are mounted on.
    mounts: PathBuf,
}

/// One hierarchy.
#[derive(Debug)]
pub(super) struct Hierarchy {
    /// The root of the hierarchy.
    pub(super) mount: PathBuf,
    /// The folders that may be this process's cgroup, the more certain first.
    ///
    /// In a container without a cgroup namespace, `/proc/self/cgroup` contains the host's path, under which nothing
    /// is mounted. The root of the visible hierarchy is then the container's own cgroup.
    pub(super) folders: [PathBuf; 2],
}

impl Hierarchies {
    /// Reads the hierarchies of this process. Returns `None` if they cannot be read.
    pub(super) fn of_this_process(roots: &Roots) -> Option<Hierarchies> {
        let text = files::of_kernel(&roots.proc.join("self/cgroup"), MAX_SIZE).ok()?;
        Some(Hierarchies { text, mounts: roots.cgroup.clone() })
    }

    /// Returns the hierarchy of a controller of version 1, or that of version 2.
    pub(super) fn of(&self, controller: Option<&str>) -> Option<Hierarchy> {
        let path = self.text.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (hierarchy, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let is_wanted = match controller {
                Some(wanted) => controllers.split(',').any(|controller| controller == wanted),
                None => hierarchy == "0" && controllers.is_empty(),
            };
            is_wanted.then_some(path)
        })?;
        let mount = controller.map_or_else(|| self.mounts.clone(), |controller| self.mounts.join(controller));
        Some(Hierarchy { folders: [mount.join(path.trim_start_matches('/')), mount.clone()], mount })
    }
}

/// Returns a cgroup's folder and those of its ancestors, up to the root of the hierarchy.
pub(super) fn around<'f>(folder: &'f Path, mount: &'f Path) -> impl Iterator<Item = &'f Path> {
    folder.ancestors().take_while(move |folder| folder.starts_with(mount))
}

/// Reads a file that holds one number; returns `None` if the file holds `max` or is missing.
pub(super) fn number(path: &Path) -> Option<u64> {
    files::of_kernel(path, MAX_SIZE).ok()?.trim().parse().ok()
}

/// Reads the size of the machine's memory from `/proc/meminfo`, in bytes.
pub fn machine_memory(roots: &Roots) -> Option<u64> {
    let text = files::of_kernel(&roots.proc.join("meminfo"), MAX_SIZE).ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?;
    kilobytes.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{MemoryCounters, MemoryGroup, Roots, machine_memory};

    /// Returns the roots of a recorded tree in `folder`, with one cgroup of version 2.
    fn roots(folder: &std::path::Path) -> Roots {
        let roots = Roots { cgroup: folder.join("cgroup"), proc: folder.join("proc"), ..Roots::default() };
        for (path, text) in [
            (roots.proc.join("self/cgroup"), "0::/job/script\n"),
            (roots.proc.join("meminfo"), "MemTotal:       33554432 kB\nMemFree:        30000000 kB\n"),
            (roots.cgroup.join("job/script/memory.events"), "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\n"),
            (roots.cgroup.join("job/script/memory.max"), "max\n"),
            (roots.cgroup.join("job/script/memory.peak"), "4096\n"),
            (roots.cgroup.join("job/memory.max"), "2147483648\n"),
            (roots.cgroup.join("memory.max"), "4294967296\n"),
            // This file is above the mount, so it does not belong to the hierarchy.
            (folder.join("memory.max"), "1\n"),
        ] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        roots
    }

    #[test]
    fn counters_peak_and_the_smallest_limit_around_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let roots = roots(folder.path());
        let (group, counters) = MemoryGroup::of_this_process(&roots).expect("a cgroup");
        assert_eq!(counters, MemoryCounters { kills: 2, limit_hits: 3 });
        assert_eq!(group.counters(), Some(counters));
        assert_eq!((group.peak(), group.limit()), (Some(4096), Some(2 << 30)));
        assert_eq!(machine_memory(&roots), Some(32 << 30));
        fs::remove_file(roots.cgroup.join("job/script/memory.events")).unwrap();
        assert_eq!(group.counters(), None);
        assert!(MemoryGroup::of_this_process(&roots).is_none());
    }
}
