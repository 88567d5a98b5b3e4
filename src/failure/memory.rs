//! Detects processes of this container that the kernel killed for lack of memory.
//!
//! The container's cgroup counts such kills. The counter is read before the script starts and again after the script
//! has ended. If it grew, a process was killed. Without a memory cgroup, nothing is claimed.

use crate::machine::{MemoryCounters, MemoryGroup, Roots, machine_memory};

/// A kill of a process of the container for lack of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// The largest amount of memory that the container ever used, in bytes. `None` on cgroup v2 before Linux 5.19.
    pub peak_bytes: Option<u64>,
    /// The amount of memory that the container could use, in bytes: its own limit, or all memory of the machine if it
    /// had no limit.
    pub limit_bytes: Option<u64>,
    /// True if `limit_bytes` is all memory of the machine.
    pub whole_machine: bool,
}

/// A watch over the container's memory. It is started before the script and read after it.
#[derive(Debug)]
pub struct MemoryWatch {
    roots: Roots,
    /// The memory cgroup of this process, and its counters at the start.
    group: Option<(MemoryGroup, MemoryCounters)>,
}

impl MemoryWatch {
    /// Starts the watch by reading two small files. This never fails. Without a cgroup, the watch reports nothing.
    pub fn start() -> MemoryWatch {
        MemoryWatch::start_at(Roots::default())
    }

    fn start_at(roots: Roots) -> MemoryWatch {
        let group = MemoryGroup::of_this_process(&roots);
        MemoryWatch { roots, group }
    }

    /// Returns true if kills are counted, which means that the container has a memory cgroup whose counters can be
    /// read.
    pub fn counts(&self) -> bool {
        self.group.as_ref().is_some_and(|(group, _)| group.counters().is_some())
    }

    /// Returns the known facts about a kill since the start. `None` if no process of the container was killed for lack
    /// of memory.
    ///
    /// The kernel counts a kill before it sends the signal, so the result is reliable as soon as the process has been
    /// reaped.
    pub fn out_of_memory(&self) -> Option<OutOfMemory> {
        let (group, at_start) = self.group.as_ref()?;
        let counters = group.counters()?;
        if counters.kills <= at_start.kills {
            return None;
        }
        let machine = machine_memory(&self.roots);
        let own = group.limit();
        // Version 1 reports "no limit" as a number beyond any machine.
        let whole_machine = match (own, machine) {
            (Some(own), Some(machine)) => own >= machine,
            (own, _) => own.is_none(),
        };
        let limit_bytes = if whole_machine { machine } else { own };
        let was_at_limit = counters.limit_hits > at_start.limit_hits && !whole_machine;
        let peak_bytes = group.peak().or(if was_at_limit { limit_bytes } else { None });
        Some(OutOfMemory { peak_bytes, limit_bytes, whole_machine })
    }
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
        let roots =
            Roots { cgroup: folder.path().join("cgroup"), proc: folder.path().join("proc"), ..Roots::default() };
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
        assert_eq!(watch.out_of_memory(), None, "a kill before the start is not ours");
        write(folder.path(), "cgroup/memory.events", &events(2, 2));
        assert_eq!(
            watch.out_of_memory(),
            Some(OutOfMemory { peak_bytes: Some(17_072_495_001), limit_bytes: Some(16 * GIB), whole_machine: false })
        );
    }

    #[test]
    fn the_peak_is_known_without_memory_peak_only_if_the_limit_was_hit() {
        let files = [("proc/self/cgroup", "0::/\n"), ("cgroup/memory.events", &events(0, 0))];
        let (folder, roots) = tree(&files);
        let watch = MemoryWatch::start_at(roots);
        write(folder.path(), "cgroup/memory.max", "1073741824\n");
        write(folder.path(), "cgroup/memory.events", &events(1, 1));
        let known = OutOfMemory { peak_bytes: Some(GIB), limit_bytes: Some(GIB), whole_machine: false };
        assert_eq!(watch.out_of_memory(), Some(known));
        // The whole machine ran out of memory. The container's share of it is not known.
        write(folder.path(), "cgroup/memory.max", "max\n");
        let known = OutOfMemory { peak_bytes: None, limit_bytes: Some(32 * GIB), whole_machine: true };
        assert_eq!(watch.out_of_memory(), Some(known));
    }

    #[test]
    fn a_v2_limit_further_up_counts() {
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

    /// Tests cgroup v1 as a container sees it: the path is the host's, and the files are at the root of the mount.
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

    /// Tests a hybrid setup: v1 has the memory controller, and v2 is mounted only for systemd.
    #[test]
    fn in_a_hybrid_the_v1_controller_is_read() {
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
