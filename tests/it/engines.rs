//! The real engines over several hosts: containers on a network of their own that find each other by the hosts' names, as
//! on the platform. Open MPI 4.1 (bookworm) and 5.0 (trixie) without ssh, and PyTorch with gloo.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::container::{Container, Ended, job_of};
use crate::images;
use crate::job::Job;

/// Debian's releases with the two Open MPIs.
const SUITES: [&str; 2] = ["bookworm", "trixie"];

/// How long hosts may take to end once something has happened.
const PROMPT: Duration = Duration::from_secs(30);

/// A network that only the hosts of one job are on.
struct Network {
    name: String,
}

impl Network {
    fn new() -> Network {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("footplate-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        images::run(Command::new("docker").args(["network", "create", &name]));
        Network { name }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["network", "rm", &self.name]).output();
    }
}

/// The jobs of the hosts algo-1 and so on, each with its folders.
struct Hosts {
    jobs: Vec<Job>,
    image: &'static str,
    options: Vec<String>,
}

/// Those that run. The containers go before the network.
struct Started<'a> {
    containers: Vec<Container<'a>>,
    network: Network,
}

impl Hosts {
    fn new(count: usize, image: &'static str, script: &str, options: &[&str]) -> Hosts {
        let names: Vec<String> = (1..=count).map(|n| format!("algo-{n}")).collect();
        let job = |name: &String| {
            let resources = serde_json::json!(
                {"current_host": name, "hosts": names, "network_interface_name": "eth0"}
            );
            job_of("train.py", script).file("input/config/resourceconfig.json", resources.to_string())
        };
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Hosts { jobs: names.iter().map(job).collect(), image, options }
    }

    /// Two hosts whose ranks mpirun starts.
    fn of_mpirun(suite: &str, per_host: usize, script: &str) -> Hosts {
        let image = images::with_train(images::debian_with(suite, &["openmpi-bin", "python3-mpi4py"]));
        let ranks = format!("--env=FOOTPLATE_PROCESSES_PER_HOST={per_host}");
        Hosts::new(2, image, script, &["--env=FOOTPLATE_LAUNCHER=mpi", &ranks])
    }

    /// Two hosts with two ranks each that have PyTorch.
    fn of_torch(launcher: &str, script: &str) -> Hosts {
        let image = images::with_train(images::debian("bookworm"));
        let launcher = format!("--env=FOOTPLATE_LAUNCHER={launcher}");
        let folder = format!("--volume={}:{TORCH}:ro", torch());
        let path = format!("--env=PATH={TORCH}/bin:/usr/local/bin:/usr/bin:/bin");
        Hosts::new(2, image, script, &[&launcher, "--env=FOOTPLATE_PROCESSES_PER_HOST=2", &folder, &path])
    }

    fn start(&self) -> Started<'_> {
        let network = Network::new();
        let container = |(index, job): (usize, _)| {
            let n = index + 1;
            let (name, alias) = (format!("--hostname=algo-{n}"), format!("--network-alias=algo-{n}"));
            let network = format!("--network={}", network.name);
            let mut options = vec![name.as_str(), &alias, &network];
            options.extend(self.options.iter().map(String::as_str));
            Container::start(job, self.image, &options, &["train"])
        };
        // The first host comes last: until then its name is not known, as it can be on the platform.
        let mut containers: Vec<Container<'_>> = self.jobs.iter().enumerate().rev().map(container).collect();
        containers.reverse();
        Started { containers, network }
    }
}

impl Started<'_> {
    /// Waits until the ranks of all hosts have written so many lines that end with a text.
    fn until_written(&self, text: &str, count: usize) {
        let written = || {
            let logs: Vec<String> = self.containers.iter().map(Container::logs).collect();
            logs.iter().flat_map(|logs| logs.lines()).filter(|line| line.ends_with(text)).count()
        };
        self.containers[0].poll(&format!("{text:?} is written {count} times"), || (written() >= count).then_some(()));
    }

    /// Waits for the end of every container: with it, no process is left.
    fn end(&self) -> Vec<Ended> {
        self.containers.iter().map(Container::end).collect()
    }

    /// The same where it must follow soon, as what it waits for has happened.
    #[track_caller]
    fn end_in_time(&self) -> Vec<Ended> {
        let begun = Instant::now();
        let ended = self.end();
        let took = begun.elapsed();
        assert!(took < PROMPT, "{took:?}\n{}\n{}", ended[0], ended[1]);
        ended
    }
}

/// The lines that ranks wrote, sorted.
fn of_ranks(ended: &Ended) -> Vec<&str> {
    let mut lines: Vec<&str> = ended.logs.lines().filter(|line| line.starts_with("[algo-")).collect();
    lines.sort_unstable();
    lines
}

/// A failure with this exit code, whose text begins so and holds a further line.
#[track_caller]
fn failed(ended: &Ended, code: i32, text: &str, line: &str) {
    assert_eq!(ended.code, code, "{ended}");
    assert!(ended.failure().starts_with(text) && ended.failure().contains(line), "{ended}");
    assert!(!ended.success, "{ended}");
}

#[test]
fn mpirun_starts_the_ranks_of_all_hosts_without_ssh_and_their_lines_come_whole() {
    if !images::usable() {
        return;
    }
    // Open MPI 5 mixes what several ranks write in parts, and tags only the first: there, Python must write whole lines.
    let in_parts = "for part in parts:\n    sys.stdout.write(part)\n    sys.stdout.flush()\n    time.sleep(0.002)\n";
    let printed = "print(*parts, sep='', end='')\n";
    for (suite, per_host, writes) in [("bookworm", 2, in_parts), ("trixie", 6, printed)] {
        let script = format!(
            "import os, sys, time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\n\
             total = world.allreduce(world.rank)\n\
             parts = [str(total), ' of ', f'{{world.size}} on ', os.environ['SM_CURRENT_HOST'], '\\n']\n\
             {writes}print('  indented', file=sys.stderr)\n"
        );
        let script = script.as_str();
        let hosts = Hosts::of_mpirun(suite, per_host, script);
        let started = hosts.start();
        let [first, second] = &started.end()[..] else { panic!("two hosts") };
        first.succeeded();
        second.succeeded();
        let world = 2 * per_host;
        let total: usize = (0..world).sum();
        let mut expected: Vec<String> = (0..world)
            .flat_map(|rank| {
                let host = format!("algo-{}", rank / per_host + 1);
                [format!("[{host}:{rank}] {total} of {world} on {host}"), format!("[{host}:{rank}]   indented")]
            })
            .collect();
        expected.sort();
        assert_eq!(of_ranks(first), expected, "{suite}\n{first}");
        assert_eq!(of_ranks(second), <[&str; 0]>::default(), "mpirun passes everything on\n{second}");
    }
}

#[test]
fn the_images_of_mpirun_hold_no_ssh_server() {
    if !images::usable() {
        return;
    }
    for suite in SUITES {
        let image = Hosts::of_mpirun(suite, 1, "").image;
        let script = "PATH=$PATH:/usr/sbin:/sbin; command -v sshd mpirun || true";
        let found = images::output(Command::new("docker").args(["run", "--rm", image, "bash", "-c", script]));
        assert_eq!(found, "/usr/bin/mpirun", "{suite}");
    }
}

/// A script of mpi4py that says `up` on all ranks once all are there, and then does this, and then sleeps.
fn after_barrier(imports: &str, then: &str) -> String {
    format!(
        "import os, signal, sys, time\n{imports}from mpi4py import MPI\nworld = MPI.COMM_WORLD\nrank = world.rank\n\
         world.barrier()\nprint('up', flush=True)\n{then}\ntime.sleep(600)\n"
    )
}

#[test]
fn a_rank_of_mpirun_that_raises_ends_all_hosts_which_name_it() {
    if !images::usable() {
        return;
    }
    for suite in SUITES {
        let hosts = Hosts::of_mpirun(suite, 2, &after_barrier("", "if rank == 3: raise ValueError('bad data')"));
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
    for suite in SUITES {
        let hosts =
            Hosts::of_mpirun(suite, 2, &after_barrier("", "if rank == 2: os.kill(os.getpid(), signal.SIGKILL)"));
        let started = hosts.start();
        started.until_written("up", 1);
        for ended in started.end_in_time() {
            failed(&ended, 137, "killed by SIGKILL (signal 9)\n", "host algo-2, rank 2, ");
        }
    }
}

#[test]
fn a_daemon_of_mpirun_that_is_killed_ends_all_hosts_which_name_it() {
    if !images::usable() {
        return;
    }
    for suite in SUITES {
        let hosts =
            Hosts::of_mpirun(suite, 2, &after_barrier("", "if rank == 2: os.kill(os.getppid(), signal.SIGKILL)"));
        let started = hosts.start();
        started.until_written("up", 1);
        // With Open MPI 5 the command of the daemon ends with 255, whatever ended the daemon.
        let (code, how) =
            if suite == "trixie" { (255, "exit code 255") } else { (137, "killed by SIGKILL (signal 9)") };
        for ended in started.end_in_time() {
            failed(&ended, code, &format!("mpirun's daemon on host algo-2 has ended: {how}\n"), "");
        }
    }
}

#[test]
fn a_host_of_mpirun_that_is_killed_ends_the_other_which_names_it() {
    if !images::usable() {
        return;
    }
    let script = after_barrier("", "");
    for suite in SUITES {
        for victim in [0, 1] {
            let hosts = Hosts::of_mpirun(suite, 2, &script);
            let started = hosts.start();
            started.until_written("up", 4);
            started.containers[victim].kill();
            let left = &started.end_in_time()[1 - victim];
            failed(left, 68, &format!("host algo-{} is lost: its connection ", victim + 1), "");
        }
    }
}

#[test]
fn hosts_of_mpirun_that_are_cut_off_each_name_the_other() {
    if !images::usable() {
        return;
    }
    let script = after_barrier("", "");
    for suite in SUITES {
        let hosts = Hosts::of_mpirun(suite, 2, &script);
        let started = hosts.start();
        started.until_written("up", 4);
        started.containers[1].disconnect(&started.network.name);
        for (n, ended) in started.end_in_time().iter().enumerate() {
            let text = format!("host algo-{} is lost: nothing was heard of it for 12 s\n", 2 - n);
            failed(ended, 68, &text, "");
        }
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
    for suite in SUITES {
        let hosts = Hosts::of_mpirun(suite, 2, &script);
        let started = hosts.start();
        started.until_written("up", 4);
        let begun = Instant::now();
        Container::stop_all(&started.containers, Duration::from_secs(60));
        let ended = started.end();
        assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
        for (rank, job) in [&hosts.jobs[0], &hosts.jobs[0], &hosts.jobs[1], &hosts.jobs[1]].iter().enumerate() {
            let saved = job.read(&format!("checkpoints/{rank}"));
            assert_eq!(saved.as_deref(), Some("saved"), "{suite}, rank {rank}\n{}\n{}", ended[0], ended[1]);
        }
        let saved = of_ranks(&ended[0]).iter().filter(|line| line.ends_with("] saved")).count();
        assert_eq!(saved, 4, "{suite}\n{}", ended[0]);
        for ended in ended {
            assert_eq!((ended.code, ended.failure.as_deref()), (0, None), "{suite}\n{ended}");
        }
    }
}

/// Where PyTorch is in a container.
const TORCH: &str = "/opt/torch";

/// A volume with a virtual environment that holds PyTorch. It is made once for the machine: it takes minutes and five
/// gigabytes, as PyTorch for Linux comes with CUDA's libraries, and cannot do without.
fn torch() -> &'static str {
    const VOLUME: &str = "footplate-test-torch";
    let image = images::debian("bookworm");
    let in_container = |options: &[&str], script: &str| {
        let mut command = Command::new("docker");
        command.args(["run", "--rm", &format!("--volume={VOLUME}:{TORCH}")]).args(options);
        command.args([image, "sh", "-ec", script]);
        command
    };
    let _lock = images::locked(VOLUME);
    let is_complete = in_container(&[], &format!("test -e {TORCH}/complete")).output().expect("docker runs");
    if !is_complete.status.success() {
        // What pip is told on this machine, it is told there.
        let certificates = std::env::var("SSL_CERT_FILE").unwrap_or("/etc/ssl/certs/ca-certificates.crt".to_owned());
        let mut options = vec![
            format!("--volume={certificates}:/certificates:ro"),
            "--env=PIP_CERT=/certificates".to_owned(),
            "--env=PIP_NO_CACHE_DIR=1".to_owned(),
        ];
        let is_told = |name: &str| name.starts_with("PIP_") && !["PIP_CERT", "PIP_FIND_LINKS"].contains(&name);
        let told = std::env::vars().filter(|(name, _)| is_told(name));
        options.extend(told.map(|(name, value)| format!("--env={name}={value}")));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        // Only what is imported is compiled: the volume is read-only afterwards.
        let script = format!(
            "rm -rf {TORCH}/*; python3 -m venv {TORCH}; {TORCH}/bin/pip install --quiet --no-compile torch numpy
             {TORCH}/bin/python3 -c 'import torch.distributed.run'; {TORCH}/bin/torchrun --help >/dev/null
             touch {TORCH}/complete"
        );
        images::run(&mut in_container(&options, &script));
    }
    VOLUME
}

/// A script of PyTorch that computes with all ranks. Each writes its line in one piece: the ranks of one torchrun share its
/// stream.
fn all_reduced(then: &str) -> String {
    format!(
        "import os, time, torch\nimport torch.distributed as dist\ndist.init_process_group('gloo')\n\
         total = torch.tensor([dist.get_rank()])\ndist.all_reduce(total)\n\
         line = f'{{total.item()}} of {{dist.get_world_size()}} on {{os.environ[\"SM_CURRENT_HOST\"]}}\\n'\n\
         os.write(1, line.encode())\n{then}\n\
         dist.destroy_process_group()\n"
    )
}

#[test]
fn one_process_for_each_gpu_computes_with_those_of_all_hosts_by_pytorch() {
    if !images::usable() {
        return;
    }
    let hosts = Hosts::of_torch("per-gpu", &all_reduced(""));
    let started = hosts.start();
    for (n, ended) in (1..).zip(started.end()) {
        ended.succeeded();
        let line = |rank: usize| format!("[algo-{n}:{rank}] 6 of 4 on algo-{n}");
        assert_eq!(of_ranks(&ended), [line(2 * n - 2), line(2 * n - 1)], "{ended}");
    }
}

#[test]
fn torchruns_compute_together_and_a_rank_that_raises_ends_all_hosts_which_name_it() {
    if !images::usable() {
        return;
    }
    let raises = "if dist.get_rank() == 3: raise ValueError('bad data')\ntime.sleep(600)";
    let hosts = Hosts::of_torch("torchrun", &all_reduced(raises));
    let started = hosts.start();
    for host in ["algo-1", "algo-2"] {
        started.until_written(&format!("6 of 4 on {host}"), 2);
    }
    for ended in started.end_in_time() {
        failed(&ended, 1, "ValueError: bad data\nat train.py:8\n", "host algo-2, rank 3, exit code 1");
    }
}
