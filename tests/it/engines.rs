//! Real engines on several hosts: Open MPI 4.1 (bookworm) and 5.0 (trixie) without ssh, and PyTorch with gloo. As on the
//! platform, the hosts are containers that find each other by name on a network of their own.

use std::process::Command;

use crate::container::Ended;
pub use crate::fleet::Hosts;
use crate::fleet::{Started, all, failed, host_is_cut_off, host_is_lost};
use crate::images;
use crate::volumes::{self, PythonVolume};

/// The Debian suites with the two versions of Open MPI.
const SUITES: [&str; 2] = ["bookworm", "trixie"];

impl Hosts {
    /// Returns `count` hosts with `per_host` ranks each, which mpirun starts.
    fn of_mpirun(suite: &str, count: usize, per_host: usize, script: &str) -> Hosts {
        let image = images::debian_with(suite, &["openmpi-bin", "python3-mpi4py"]);
        let ranks = format!("--env=FOOTPLATE_PROCESSES_PER_HOST={per_host}");
        Hosts::new(count, image, script, &["--env=FOOTPLATE_LAUNCHER=mpi", &ranks])
    }

    /// Returns `count` hosts with `per_host` ranks of PyTorch each.
    pub fn of_torch(launcher: &str, count: usize, per_host: usize, script: &str) -> Hosts {
        let image = images::debian("bookworm");
        let launcher = format!("--env=FOOTPLATE_LAUNCHER={launcher}");
        let ranks = format!("--env=FOOTPLATE_PROCESSES_PER_HOST={per_host}");
        let folder = format!("--volume={}:{TORCH}:ro", torch().name);
        let path = format!("--env=PATH={TORCH}/bin:/usr/local/bin:/usr/bin:/bin");
        Hosts::new(count, image, script, &[&launcher, &ranks, &folder, &path])
    }
}

/// Returns the lines of the ranks, sorted. Open MPI 5 warns in its own name if an agent was quicker than itself.
fn of_ranks(ended: &Ended) -> Vec<&str> {
    let of_rank = |line: &&str| line.starts_with("[algo-") && !line.contains("plm:ssh: Warning: setpgid");
    let mut lines: Vec<&str> = ended.logs.lines().filter(of_rank).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn mpirun_starts_ranks_on_all_hosts_without_ssh_and_lines_stay_whole() {
    if !images::usable() {
        return;
    }
    for (suite, count, per_host) in [("bookworm", 4, 3), ("bookworm", 2, 1), ("trixie", 4, 3), ("trixie", 2, 6)] {
        let script = "import os, sys, time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\n\
                      total = world.allreduce(world.rank)\n\
                      parts = [str(total), ' of ', f'{world.size} on ', os.environ['SM_CURRENT_HOST'], '\\n']\n\
                      for part in parts:\n    sys.stdout.write(part)\n    sys.stdout.flush()\n    time.sleep(0.002)\n\
                      print('  indented', file=sys.stderr)\n";
        let hosts = Hosts::of_mpirun(suite, count, per_host, script);
        let started = hosts.start();
        let ended = started.end();
        ended.iter().for_each(Ended::succeeded);
        let world = count * per_host;
        let total: usize = (0..world).sum();
        for (index, ended) in ended.iter().enumerate() {
            let host = format!("algo-{}", index + 1);
            let of_rank =
                |rank| [format!("[{host}:{rank}] {total} of {world} on {host}"), format!("[{host}:{rank}]   indented")];
            let mut expected: Vec<String> = (index * per_host..(index + 1) * per_host).flat_map(of_rank).collect();
            expected.sort();
            assert_eq!(of_ranks(ended), expected, "{suite}\n{ended}");
        }
    }
}

#[test]
fn the_images_of_mpirun_hold_no_ssh_server() {
    if !images::usable() {
        return;
    }
    for suite in SUITES {
        let image = Hosts::of_mpirun(suite, 1, 1, "").image;
        let script = "PATH=$PATH:/usr/sbin:/sbin; command -v sshd mpirun || true";
        let found = images::output(Command::new("docker").args(["run", "--rm", image, "bash", "-c", script]));
        assert_eq!(found, "/usr/bin/mpirun", "{suite}");
    }
}

/// Returns a script of mpi4py. Each rank prints `up` when all ranks have started, executes `then` when all have printed it,
/// and sleeps.
fn after_barrier(imports: &str, then: &str) -> String {
    format!(
        "import os, signal, sys, time\n{imports}from mpi4py import MPI\nworld = MPI.COMM_WORLD\nrank = world.rank\n\
         world.barrier()\nprint('up', flush=True); world.barrier()\n{then}\nwhile True: time.sleep(0.1)\n"
    )
}

#[test]
fn a_rank_of_mpirun_that_raises_ends_all_hosts_which_name_it() {
    if !images::usable() {
        return;
    }
    for (suite, count) in [("bookworm", 4), ("trixie", 2)] {
        let raises = after_barrier("", "if rank == 3: raise ValueError('bad data')");
        let hosts = Hosts::of_mpirun(suite, count, 2, &raises);
        let started = hosts.start();
        started.until_written("up", 1);
        for ended in started.end_in_time() {
            failed(&ended, 1, "ValueError: bad data\nat train.py:7\n", "host algo-2, rank 3, exit code 1");
        }
    }
}

#[test]
fn a_rank_of_mpirun_that_is_killed_ends_all_hosts_which_name_it() {
    if !images::usable() {
        return;
    }
    for (suite, count) in [("bookworm", 2), ("trixie", 4)] {
        let killed = after_barrier("", "if rank == 2: os.kill(os.getpid(), signal.SIGKILL)");
        let hosts = Hosts::of_mpirun(suite, count, 2, &killed);
        let started = hosts.start();
        started.until_written("up", 1);
        for ended in started.end_in_time() {
            failed(&ended, 137, "killed by SIGKILL (signal 9)\n", "host algo-2, rank 2, ");
        }
    }
}

#[test]
fn a_rank_of_mpirun_killed_for_memory_is_reported_on_all_hosts() {
    if !images::usable() {
        return;
    }
    let greedy = after_barrier("", "if rank == 2: held = b'x' * 2_000_000_000");
    let mut hosts = Hosts::of_mpirun("bookworm", 2, 2, &greedy);
    hosts.options.extend(["--memory=400m", "--memory-swap=400m"].map(str::to_owned));
    let started = hosts.start();
    started.until_written("up", 1);
    for ended in started.end_in_time() {
        failed(&ended, 137, "killed by SIGKILL (signal 9): out of memory\n", "host algo-2, rank 2, ");
    }
}

#[test]
fn a_daemon_of_mpirun_that_is_killed_ends_all_hosts_which_name_it() {
    if !images::usable() {
        return;
    }
    for suite in SUITES {
        // The daemon is the parent of the rank's keeper.
        let script = "parent = open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1]\n\
                      if rank == 2: os.kill(int(parent), signal.SIGKILL)";
        let hosts = Hosts::of_mpirun(suite, 2, 2, &after_barrier("", script));
        let started = hosts.start();
        started.until_written("up", 1);
        // The command of Open MPI 5's daemon ends with 255, however the daemon ended.
        let (code, how) =
            if suite == "trixie" { (255, "exit code 255") } else { (137, "killed by SIGKILL (signal 9)") };
        for ended in started.end_in_time() {
            failed(&ended, code, &format!("mpirun's daemon on host algo-2 has ended: {how}\n"), "");
        }
    }
}

#[test]
fn a_host_of_mpirun_that_is_killed_ends_the_others_which_name_it() {
    if !images::usable() {
        return;
    }
    let script = after_barrier("", "");
    for (suite, count) in [("bookworm", 4), ("trixie", 2)] {
        for victim in [0, 1] {
            let hosts = Hosts::of_mpirun(suite, count, 1, &script);
            let started = hosts.start();
            started.until_written("up", count);
            started.containers[victim].kill();
            host_is_lost(&started.end_in_time(), victim);
        }
    }
}

#[test]
fn a_disconnected_host_of_mpirun_ends_and_is_named_by_the_others() {
    if !images::usable() {
        return;
    }
    let script = after_barrier("", "");
    for (suite, count) in [("bookworm", 2), ("trixie", 4)] {
        let hosts = Hosts::of_mpirun(suite, count, 1, &script);
        let started = hosts.start();
        started.until_written("up", count);
        started.containers[1].disconnect(&started.network.name);
        host_is_cut_off(&started.end_in_time());
    }
}

#[test]
fn a_stop_of_all_hosts_lets_every_rank_of_mpirun_save_its_checkpoint() {
    if !images::usable() {
        return;
    }
    let script = after_barrier(
        "def save(*_):\n    time.sleep(1)\n    os.makedirs('/opt/ml/checkpoints', exist_ok=True)\n    \
         open(f'/opt/ml/checkpoints/{rank}', 'w').write('saved')\n    print('saved', flush=True)\n    sys.exit(0)\n\
         signal.signal(signal.SIGTERM, save)\n",
        "",
    );
    for (suite, count) in [("bookworm", 4), ("trixie", 2)] {
        let hosts = Hosts::of_mpirun(suite, count, 2, &script);
        let started = hosts.start();
        started.until_written("up", 2 * count);
        let ended = started.stop();
        for rank in 0..2 * count {
            let saved = hosts.jobs[rank / 2].read(&format!("checkpoints/{rank}"));
            assert_eq!(saved.as_deref(), Some("saved"), "{suite}, rank {rank}\n{}", all(&ended));
        }
        for ended in ended {
            assert_eq!(of_ranks(&ended).iter().filter(|line| line.ends_with("] saved")).count(), 2, "{suite}\n{ended}");
            assert_eq!((ended.code, ended.failure.as_deref()), (0, None), "{suite}\n{ended}");
        }
    }
}

#[test]
fn ranks_of_mpirun_that_end_at_once_leave_others_time_to_save() {
    if !images::usable() {
        return;
    }
    // By itself, Open MPI 4 kills the other ranks after two seconds, and Open MPI 5 after a quarter of a second.
    let save = "def save(*_):\n    time.sleep(SECONDS)\n    os.makedirs('/opt/ml/checkpoints', exist_ok=True)\n    \
                open(f'/opt/ml/checkpoints/{rank}', 'w').write('saved')\n    print('saved', flush=True)\n    os._exit(0)\n\
                from mpi4py import MPI\nif MPI.COMM_WORLD.rank in (0, 3): signal.signal(signal.SIGTERM, save)\n";
    let raises = "if rank == 2: raise ValueError('bad data')";
    for suite in SUITES {
        for fails in [false, true] {
            // After a failure the daemons of Open MPI 4 end all the same, and their ranks a second later.
            let seconds = if fails && suite == "bookworm" { "1" } else { "4" };
            let save = save.replace("SECONDS", seconds);
            let hosts = Hosts::of_mpirun(suite, 2, 2, &after_barrier(&save, if fails { raises } else { "" }));
            let started = hosts.start();
            started.until_written("up", 4);
            let ended = if fails { started.end_in_time() } else { started.stop() };
            for (host, rank) in [(0, 0), (1, 3)] {
                let saved = hosts.jobs[host].read(&format!("checkpoints/{rank}"));
                assert_eq!(saved.as_deref(), Some("saved"), "{suite}, rank {rank}\n{}", all(&ended));
                assert!(
                    of_ranks(&ended[host]).iter().any(|line| line.ends_with("] saved")),
                    "{suite}\n{}",
                    ended[host]
                );
            }
            for ended in ended {
                if fails {
                    failed(&ended, 1, "ValueError: bad data\n", "host algo-2, rank 2, exit code 1")
                } else {
                    failed(&ended, 143, "", "SIGTERM")
                }
            }
        }
    }
}

/// The folder of PyTorch in a container.
const TORCH: &str = "/opt/torch";

/// Returns the volume with a virtual environment that holds PyTorch, which takes five gigabytes: PyTorch for Linux
/// requires the CUDA libraries.
pub fn torch() -> PythonVolume {
    let warm_up =
        format!("{TORCH}/bin/python3 -c 'import torch.distributed.run'; {TORCH}/bin/torchrun --help >/dev/null");
    let name = volumes::python_volume("footplate-test-torch", TORCH, "torch numpy", &warm_up);
    PythonVolume { name, folder: TORCH }
}

/// Returns a script of PyTorch. Each rank computes with all others and prints the result, and executes `then` when all have
/// printed it.
fn all_reduced(then: &str) -> String {
    format!(
        "import os, signal, time, torch\nimport torch.distributed as dist\ndist.init_process_group('gloo')\n\
         rank = dist.get_rank()\ntotal = torch.tensor([rank])\ndist.all_reduce(total)\n\
         def say(what): os.write(1, f'{{what}} on {{os.environ[\"SM_CURRENT_HOST\"]}}\\n'.encode())\n\
         say(f'{{total.item()}} of {{dist.get_world_size()}}'); dist.barrier()\n{then}\n"
    )
}

/// Returns a script like [`all_reduced`] whose ranks go on computing after `then`. If a rank ends in `then`, the others fail
/// because their connections break.
fn while_computing(then: &str) -> String {
    all_reduced(&format!("{then}\nwhile True:\n    dist.all_reduce(total)\n    time.sleep(0.01)"))
}

/// The launchers with which PyTorch finds the ranks of other hosts by itself.
const OF_TORCH: [&str; 2] = ["per-gpu", "torchrun"];

impl Started<'_> {
    /// Waits until all ranks have printed their common result.
    fn until_computed(&self, per_host: usize) {
        let world = self.containers.len() * per_host;
        let total: usize = (0..world).sum();
        for n in 1..=self.containers.len() {
            self.until_written(&format!("{total} of {world} on algo-{n}"), per_host);
        }
    }
}

#[test]
fn ranks_of_pytorch_compute_with_those_of_all_hosts() {
    if !images::usable() {
        return;
    }
    for (launcher, (count, per_host)) in OF_TORCH.iter().flat_map(|launcher| [(launcher, (4, 1)), (launcher, (2, 3))]) {
        let hosts = Hosts::of_torch(launcher, count, per_host, &all_reduced("dist.destroy_process_group()"));
        let started = hosts.start();
        let world = count * per_host;
        let total: usize = (0..world).sum();
        for (n, ended) in (1..).zip(started.end()) {
            ended.succeeded();
            let line = format!("{total} of {world} on algo-{n}");
            let lines = ended.logs.lines().filter(|logged| logged.ends_with(&line)).count();
            assert_eq!(lines, per_host, "{launcher}\n{ended}");
        }
    }
}

#[test]
fn a_rank_of_pytorch_that_raises_ends_all_hosts_which_name_it() {
    if !images::usable() {
        return;
    }
    for launcher in OF_TORCH {
        let raises = while_computing("if rank == 3: raise ValueError('bad data')");
        let hosts = Hosts::of_torch(launcher, 2, 2, &raises);
        let started = hosts.start();
        started.until_computed(2);
        for (n, ended) in (1..).zip(started.end_in_time()) {
            failed(&ended, 1, "ValueError: bad data\nat train.py:9\n", "host algo-2, rank 3, exit code 1");
            for rank in [2 * n - 2, 2 * n - 1] {
                assert!(ended.logs.contains(&format!("[algo-{n}:{rank}] 6 of 4 on algo-{n}\n")), "{ended}");
            }
        }
    }
}

#[test]
fn a_rank_of_pytorch_that_is_killed_ends_all_hosts_which_name_it() {
    if !images::usable() {
        return;
    }
    for launcher in OF_TORCH {
        let killed = while_computing("if rank == 1: os.kill(os.getpid(), signal.SIGKILL)");
        let hosts = Hosts::of_torch(launcher, 2, 1, &killed);
        let started = hosts.start();
        started.until_computed(1);
        // torchrun ends with 1, however its rank ended.
        let code = if launcher == "torchrun" { 1 } else { 137 };
        for ended in started.end_in_time() {
            failed(&ended, code, "killed by SIGKILL (signal 9)\n", "host algo-2, rank 1, ");
        }
    }
}

#[test]
fn a_host_of_pytorch_that_is_killed_ends_the_others_which_name_it() {
    if !images::usable() {
        return;
    }
    // torchrun's ranks meet at a store on the first host.
    for (launcher, victim) in [("per-gpu", 1), ("torchrun", 0)] {
        let hosts = Hosts::of_torch(launcher, 2, 1, &while_computing(""));
        let started = hosts.start();
        started.until_computed(1);
        started.containers[victim].kill();
        host_is_lost(&started.end_in_time(), victim);
    }
}

#[test]
fn a_disconnected_host_of_pytorch_ends_and_is_named_by_the_others() {
    if !images::usable() {
        return;
    }
    for launcher in OF_TORCH {
        let hosts = Hosts::of_torch(launcher, 2, 1, &while_computing(""));
        let started = hosts.start();
        started.until_computed(1);
        started.containers[1].disconnect(&started.network.name);
        host_is_cut_off(&started.end_in_time());
    }
}

#[test]
fn a_stop_of_all_hosts_lets_every_rank_of_pytorch_save_its_checkpoint() {
    if !images::usable() {
        return;
    }
    let script = all_reduced(
        "def save(*_):\n    time.sleep(1)\n    os.makedirs('/opt/ml/checkpoints', exist_ok=True)\n    \
         open(f'/opt/ml/checkpoints/{rank}', 'w').write('saved')\n    say('saved')\n    os._exit(0)\n\
         signal.signal(signal.SIGTERM, save)\nsay('up')\nwhile True: time.sleep(0.1)",
    );
    for launcher in OF_TORCH {
        let hosts = Hosts::of_torch(launcher, 2, 1, &script);
        let started = hosts.start();
        for n in [1, 2] {
            started.until_written(&format!("up on algo-{n}"), 1);
        }
        let ended = started.stop();
        for (rank, (job, ended)) in hosts.jobs.iter().zip(&ended).enumerate() {
            let saved = job.read(&format!("checkpoints/{rank}"));
            assert_eq!(saved.as_deref(), Some("saved"), "{launcher}, rank {rank}\n{ended}");
            assert_eq!((ended.code, ended.failure.as_deref()), (0, None), "{launcher}\n{ended}");
        }
    }
}

/// A trainer of PyTorch that needs the workers of its data loader in order to save: it ends its epoch first.
const WITH_DATA_LOADER: &str = r#"
import os, signal, sys, time, torch
from torch.utils.data import DataLoader, Dataset
told = []
class Numbers(Dataset):
    def __len__(self):
        return 1 << 20
    def __getitem__(self, index):
        time.sleep(0.005)
        return torch.zeros(4)
if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: told.append(number))
    loader = DataLoader(Numbers(), num_workers=int(os.environ["WORKERS"]), persistent_workers=True, multiprocessing_context=os.environ["START"])
    left = 50
    for step, batch in enumerate(loader):
        if step == 0:
            os.write(1, b"up\n")
        left -= len(told)
        if left <= 0:
            break
    for step, batch in enumerate(loader):
        if step == 20:
            break
    os.write(1, f"saved after {told}\n".encode())
"#;

#[test]
fn a_stop_lets_pytorch_save_with_the_workers_of_its_data_loader() {
    if !images::usable() {
        return;
    }
    for (launcher, ranks, start, signal, number) in [
        ("process", 1, "fork", "TERM", 15),
        ("process", 1, "spawn", "INT", 2),
        ("torchrun", 2, "fork", "INT", 2),
        ("torchrun", 2, "spawn", "TERM", 15),
    ] {
        let mut hosts = Hosts::of_torch(launcher, 1, ranks, WITH_DATA_LOADER);
        // Each worker loads PyTorch, which takes long if many do.
        hosts.options.extend([format!("--env=START={start}"), format!("--env=WORKERS={}", 2 / ranks)]);
        let started = hosts.start();
        started.until_written("up", ranks);
        started.containers[0].signal(signal);
        for ended in started.end_in_time() {
            ended.succeeded();
            let saved = ended.logs.lines().filter(|line| line.ends_with(&format!("saved after [{number}]"))).count();
            assert_eq!(saved, ranks, "{launcher}, {start}, SIG{signal}\n{ended}");
        }
    }
}
