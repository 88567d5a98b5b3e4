//! Recorded trees of the kernel's files, of both versions of cgroups.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{DiskTraffic, MemoryUse, Periods, Roots, Traffic, UsageReader};

const INTERFACES: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0
  eth0: 1000 10 0 0 0 0 0 0 200 2 0 0 0 0 0 0
  eth1:2000 10 0 0 0 0 0 0 300 2 0 0 0 0 0 0
";

fn tree(folder: &Path, files: &[(&str, &str)]) -> Roots {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }
    Roots { cgroup: folder.join("cgroup"), proc: folder.join("proc"), sys: folder.join("sys") }
}

#[test]
fn version_2_is_read_as_kubelet_reads_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let roots = tree(
        folder.path(),
        &[
            ("proc/self/cgroup", "0::/job/script\n"),
            ("proc/meminfo", "MemTotal:       8388608 kB\n"),
            ("proc/net/dev", INTERFACES),
            ("cgroup/job/script/memory.current", "5000\n"),
            ("cgroup/job/script/memory.stat", "anon 1\ninactive_anon 7\ninactive_file 1500\nactive_file 3\n"),
            ("cgroup/job/script/memory.events", "low 0\noom 1\noom_kill 2\n"),
            ("cgroup/job/script/memory.max", "max\n"),
            ("cgroup/job/memory.max", "100000\n"),
            ("cgroup/job/script/cpu.stat", "usage_usec 2500000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 7\n"),
            ("cgroup/job/script/cpu.max", "max 100000\n"),
            ("cgroup/job/cpu.max", "50000 100000\n"),
            (
                "cgroup/job/script/memory.pressure",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=1200\nfull avg10=0.00 total=9\n",
            ),
            (
                "cgroup/job/script/io.stat",
                "8:0 rbytes=100 wbytes=7 rios=1 wios=1 dbytes=0\n8:16 rbytes=1 wbytes=2\n259:0 \n",
            ),
            ("proc/pressure/io", "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\n"),
            ("sys/class/infiniband/efa_0/ports/1/hw_counters/rx_bytes", "10\n"),
            ("sys/class/infiniband/efa_0/ports/1/hw_counters/tx_bytes", "20\n"),
            ("sys/class/infiniband/efa_1/ports/1/hw_counters/rx_bytes", "1\n"),
            ("sys/class/infiniband/efa_1/ports/1/hw_counters/tx_bytes", "2\n"),
        ],
    );
    let mut reader = UsageReader::open(&roots, folder.path());
    let usage = reader.read();
    assert_eq!(usage.memory, Some(MemoryUse { usage: 5000, working_set: 3500, limit: Some(100_000) }));
    assert_eq!((usage.kills, usage.periods), (Some(2), Some(Periods { all: 10, throttled: 4 })));
    assert_eq!(usage.processor_time, Some(Duration::from_micros(2_500_000)));
    assert!((usage.processors - 0.5).abs() < 1e-9, "{}", usage.processors);
    assert_eq!(usage.pressure.memory, Some(Duration::from_micros(1200)));
    assert_eq!((usage.pressure.cpu, usage.pressure.io), (None, Some(Duration::from_micros(77))));
    assert_eq!(usage.network, Some(Traffic { received: 3000, sent: 500 }));
    assert_eq!(usage.efa, Some(Traffic { received: 11, sent: 22 }));
    assert_eq!(usage.disks, Some(DiskTraffic { read: 101, written: 9 }));
    assert!(usage.disk.is_some_and(|disk| disk.free <= disk.size));
    // The files stay open, and changes are noticed.
    fs::write(roots.cgroup.join("job/script/memory.current"), "6000\n").expect("written");
    assert_eq!(reader.read().memory.map(|memory| memory.working_set), Some(4500));
}

#[test]
fn version_1_is_read_with_the_controllers_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let roots = tree(
        folder.path(),
        &[
            ("proc/self/cgroup", "5:blkio:/docker/x\n4:memory:/docker/x\n3:cpuacct:/docker/x\n2:cpu:/docker/x\n0::/\n"),
            ("proc/meminfo", "MemTotal:       8 kB\n"),
            (
                "cgroup/blkio/blkio.throttle.io_service_bytes",
                "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 1\nTotal 31\n",
            ),
            // The root of the hierarchy is the container's own cgroup.
            ("cgroup/memory/memory.usage_in_bytes", "5000\n"),
            ("cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 6000\n"),
            ("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            ("cgroup/cpuacct/cpuacct.usage", "1500000000\n"),
            ("cgroup/cpu/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"),
            ("cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ],
    );
    let usage = UsageReader::open(&roots, folder.path()).read();
    // If the cache is larger than the usage, the working set is 0. Without a limit, the machine's memory is the
    // limit.
    assert_eq!(usage.memory, Some(MemoryUse { usage: 5000, working_set: 0, limit: Some(8192) }));
    assert_eq!((usage.kills, usage.periods, usage.processor_time), (Some(3), None, Some(Duration::from_millis(1500))));
    assert!(usage.processors >= 1.0);
    assert_eq!((usage.network, usage.efa), (None, None));
    assert_eq!(usage.disks, Some(DiskTraffic { read: 11, written: 20 }));
    // The limit of an ancestor cgroup that the container does not see.
    let stat = "inactive_file 1\ntotal_inactive_file 1000\nhierarchical_memory_limit 7000\n";
    fs::write(roots.cgroup.join("memory/memory.stat"), stat).expect("written");
    let usage = UsageReader::open(&roots, folder.path()).read();
    assert_eq!(usage.memory, Some(MemoryUse { usage: 5000, working_set: 4000, limit: Some(7000) }));
}

#[test]
fn without_any_file_nothing_is_claimed() {
    let folder = tempfile::tempdir().expect("a folder");
    let roots = tree(folder.path(), &[("proc/self/cgroup", "nonsense\n0::\n"), ("cgroup/cpu.stat", "\u{0}garbage")]);
    let usage = UsageReader::open(&roots, &folder.path().join("none")).read();
    assert_eq!((usage.memory, usage.kills, usage.processor_time, usage.disk), (None, None, None, None));
}
