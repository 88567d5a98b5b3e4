//! Kills of the container's processes by the kernel for lack of memory, as the container's cgroup counts them.
//!
//! The counter `oom_kill` is read at the start and again after the end: if it grew, a process was killed. cgroup v2 has it in
//! `memory.events`, v1 in `memory.oom_control` (kernel documentation: admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst). If
//! neither file exists, nothing is claimed and nothing is logged.

use std::fs;
use std::path::{Path, PathBuf};

/// A kill of a process of the container for lack of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// The largest amount of memory that the container ever used, in bytes; unknown on cgroup v2 before Linux 5.19.
    pub peak_bytes: Option<u64>,
    /// The amount that it could use, in bytes: its own limit, or all memory of the machine if it had none.
    pub limit_bytes: Option<u64>,
    /// True if `limit_bytes` is all memory of the machine.
    pub whole_machine: bool,
}

/// The folders of the kernel's files. Tests use other folders than the defaults.
#[derive(Clone, Debug)]
struct Roots {
    /// The folder in which the cgroup file systems are mounted.
    cgroup: PathBuf,
    proc: PathBuf,
}

/// One of the two interfaces of the memory controller, by the names of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MemoryInterface {
    counters: &'static str,
    limit: &'static str,
    peak: &'static str,
}

const V1: MemoryInterface = MemoryInterface {
    counters: "memory.oom_control",
    limit: "memory.limit_in_bytes",
    peak: "memory.max_usage_in_bytes",
};
const V2: MemoryInterface = MemoryInterface { counters: "memory.events", limit: "memory.max", peak: "memory.peak" };

/// A watch over the container's memory: started before the script, and asked after it.
#[derive(Debug)]
pub struct MemoryWatch {
    roots: Roots,
    group: Option<MemoryGroup>,
}

/// The memory cgroup of this process, as it was at the start.
#[derive(Debug)]
struct MemoryGroup {
    interface: MemoryInterface,
    /// The root of the controller's hierarchy.
    mount: PathBuf,
    folder: PathBuf,
    /// The value of `oom_kill` at the start.
    kills: u64,
    /// The value of `oom` at the start: the number of times that the limit was hit (v2 only).
    hits: u64,
}

impl MemoryWatch {
    /// Starts the watch by reading two small files. It never fails; without a cgroup there is nothing to watch.
    pub fn start() -> MemoryWatch {
        MemoryWatch::start_at(Roots { cgroup: "/sys/fs/cgroup".into(), proc: "/proc".into() })
    }

    fn start_at(roots: Roots) -> MemoryWatch {
        let group = MemoryGroup::find(&roots);
        MemoryWatch { roots, group }
    }

    /// Returns what is known about a kill since the start; `None` if no process of the container was killed for lack of memory.
    ///
    /// The kernel counts a kill before it sends the signal, so the answer is right as soon as the process is reaped.
    pub fn out_of_memory(&self) -> Option<OutOfMemory> {
        let group = self.group.as_ref()?;
        let counters = fs::read_to_string(group.folder.join(group.interface.counters)).ok()?;
        if counter(&counters, "oom_kill")? <= group.kills {
            return None;
        }
        let machine = machine_memory(&self.roots.proc);
        let own = group.limit();
        // v1 writes "no limit" as a number beyond any machine.
        let whole_machine = match (own, machine) {
            (Some(own), Some(machine)) => own >= machine,
            (own, _) => own.is_none(),
        };
        let limit_bytes = if whole_machine { machine } else { own };
        let hit = counter(&counters, "oom").is_some_and(|hits| hits > group.hits);
        let peak_bytes =
            number(&group.folder.join(group.interface.peak)).or(if hit && !whole_machine { limit_bytes } else { None });
        Some(OutOfMemory { peak_bytes, limit_bytes, whole_machine })
    }
}

impl MemoryGroup {
    /// Finds the memory cgroup of this process by /proc/self/cgroup. In a container without a cgroup namespace the path in that
    /// file does not exist; the container's own cgroup is then mounted at the root of the hierarchy.
    fn find(roots: &Roots) -> Option<MemoryGroup> {
        let text = fs::read_to_string(roots.proc.join("self/cgroup")).ok()?;
        let mut found = Vec::new();
        for line in text.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(hierarchy), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if controllers.split(',').any(|controller| controller == "memory") {
                found.insert(0, (V1, roots.cgroup.join("memory"), path));
            } else if hierarchy == "0" && controllers.is_empty() {
                found.push((V2, roots.cgroup.clone(), path));
            }
        }
        for (interface, mount, path) in found {
            for folder in [mount.join(path.trim_start_matches('/')), mount.clone()] {
                let Ok(counters) = fs::read_to_string(folder.join(interface.counters)) else { continue };
                let Some(kills) = counter(&counters, "oom_kill") else { continue };
                let hits = counter(&counters, "oom").unwrap_or(0);
                return Some(MemoryGroup { interface, mount, folder, kills, hits });
            }
        }
        None
    }

    /// Returns the lowest limit of the cgroup and of those that contain it, in bytes; `None` if there is no limit.
    fn limit(&self) -> Option<u64> {
        let above = self.folder.ancestors().take_while(|folder| folder.starts_with(&self.mount));
        above.filter_map(|folder| number(&folder.join(self.interface.limit))).min()
    }
}

/// Returns the number in a file; `None` if the file contains `max` or does not exist.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Returns the number after `name` in lines of the form `name number`.
fn counter(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// Returns the memory of the machine, in bytes.
fn machine_memory(proc: &Path) -> Option<u64> {
    let text = fs::read_to_string(proc.join("meminfo")).ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?;
    kilobytes.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tempfile::TempDir;

    use super::{MemoryWatch, OutOfMemory, Roots};

    const GIB: u64 = 1 << 30;

    /// Writes a recorded tree of files below one folder: `proc/…` and `cgroup/…`.
    fn tree(files: &[(&str, &str)]) -> (TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| write(folder.path(), name, text);
        put("proc/meminfo", "MemTotal:       33554432 kB\nMemFree:        30000000 kB\n");
        for (name, text) in files {
            put(name, text);
        }
        let roots = Roots { cgroup: folder.path().join("cgroup"), proc: folder.path().join("proc") };
        (folder, roots)
    }

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn events(oom: u64, kills: u64) -> String {
        format!("low 0\nhigh 0\nmax 9\noom {oom}\noom_kill {kills}\noom_group_kill 0\n")
    }

    #[test]
    fn a_kill_in_a_v2_container_is_seen_with_peak_and_limit() {
        let (folder, roots) = tree(&[
            ("proc/self/cgroup", "0::/\n"),
            ("cgroup/memory.events", &events(1, 1)),
            ("cgroup/memory.max", "17179869184\n"),
            ("cgroup/memory.peak", "17072495001\n"),
        ]);
        let watch = MemoryWatch::start_at(roots);
        assert_eq!(watch.out_of_memory(), None, "a kill before the start does not count");
        write(folder.path(), "cgroup/memory.events", &events(2, 2));
        assert_eq!(
            watch.out_of_memory(),
            Some(OutOfMemory { peak_bytes: Some(17_072_495_001), limit_bytes: Some(16 * GIB), whole_machine: false })
        );
    }

    #[test]
    fn without_memory_peak_the_peak_is_known_only_if_the_limit_was_hit() {
        let files = [("proc/self/cgroup", "0::/\n"), ("cgroup/memory.events", &events(0, 0))];
        let (folder, roots) = tree(&files);
        let watch = MemoryWatch::start_at(roots);
        write(folder.path(), "cgroup/memory.max", "1073741824\n");
        write(folder.path(), "cgroup/memory.events", &events(1, 1));
        let known = OutOfMemory { peak_bytes: Some(GIB), limit_bytes: Some(GIB), whole_machine: false };
        assert_eq!(watch.out_of_memory(), Some(known));
        // The whole machine ran out of memory: this container's share is not known.
        write(folder.path(), "cgroup/memory.max", "max\n");
        let known = OutOfMemory { peak_bytes: None, limit_bytes: Some(32 * GIB), whole_machine: true };
        assert_eq!(watch.out_of_memory(), Some(known));
    }

    #[test]
    fn the_limit_of_a_containing_v2_cgroup_counts() {
        let (folder, roots) = tree(&[
            ("proc/self/cgroup", "0::/job/script\n"),
            ("cgroup/job/script/memory.events", &events(0, 0)),
            ("cgroup/job/script/memory.max", "max\n"),
            ("cgroup/job/memory.max", "2147483648\n"),
        ]);
        let watch = MemoryWatch::start_at(roots);
        write(folder.path(), "cgroup/job/script/memory.events", &events(1, 1));
        assert_eq!(watch.out_of_memory().unwrap().limit_bytes, Some(2 * GIB));
    }

    /// cgroup v1 as a container sees it: the path is the host's, and the files are at the root of the mount.
    #[test]
    fn a_kill_in_a_v1_container_is_seen_through_the_mount_root() {
        let control = |kills: u64| format!("oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n");
        let (folder, roots) = tree(&[
            ("proc/self/cgroup", "12:pids:/docker/0a1b\n5:cpu,cpuacct:/docker/0a1b\n4:memory:/docker/0a1b\n0::/\n"),
            ("cgroup/memory/memory.oom_control", &control(0)),
            ("cgroup/memory/memory.limit_in_bytes", "4294967296\n"),
            ("cgroup/memory/memory.max_usage_in_bytes", "4294967296\n"),
        ]);
        let watch = MemoryWatch::start_at(roots);
        assert_eq!(watch.out_of_memory(), None);
        write(folder.path(), "cgroup/memory/memory.oom_control", &control(1));
        let known = OutOfMemory { peak_bytes: Some(4 * GIB), limit_bytes: Some(4 * GIB), whole_machine: false };
        assert_eq!(watch.out_of_memory(), Some(known));
        write(folder.path(), "cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        let known = OutOfMemory { peak_bytes: Some(4 * GIB), limit_bytes: Some(32 * GIB), whole_machine: true };
        assert_eq!(watch.out_of_memory(), Some(known));
    }

    /// A hybrid: v1 has the memory controller, and v2 is mounted for systemd only.
    #[test]
    fn the_v1_controller_is_read_in_a_hybrid() {
        let (folder, roots) = tree(&[
            ("proc/self/cgroup", "0::/job\n4:memory:/job\n"),
            ("cgroup/unified/job/cgroup.procs", "1\n"),
            ("cgroup/memory/job/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"),
            ("cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"),
        ]);
        let watch = MemoryWatch::start_at(roots);
        write(folder.path(), "cgroup/memory/memory.oom_control", "oom_kill 1\n");
        assert_eq!(watch.out_of_memory(), None, "another cgroup's kill");
        write(folder.path(), "cgroup/memory/job/memory.oom_control", "oom_kill 8\n");
        assert!(watch.out_of_memory().is_some());
    }

    #[test]
    fn nothing_is_claimed_without_a_cgroup_or_from_nonsense_in_it() {
        let nonsense = [("proc/self/cgroup", "0::/\nx\n::\n"), ("cgroup/memory.events", "oom_kill many\n")];
        let old_kernel = [("proc/self/cgroup", "4:memory:/\n"), ("cgroup/memory/memory.oom_control", "under_oom 0\n")];
        for files in [&[][..], &nonsense, &old_kernel] {
            let (_folder, roots) = tree(files);
            assert_eq!(MemoryWatch::start_at(roots).out_of_memory(), None);
        }
    }

    #[test]
    fn nothing_was_killed_on_this_machine_just_now() {
        assert_eq!(MemoryWatch::start().out_of_memory(), None);
    }
}
