//! Several hosts: processes on this machine, each with its own folders and its own loopback address.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::job::{Ended, Job, eventually, executable, search_path};
use super::running::{Running, nothing_survives, with_notes};

/// The default port of the channel. The addresses belong to this test process alone, so it is free.
pub const PORT: u16 = 7778;

/// The hosts of a job: `algo-1`, `algo-2` and so on.
pub struct Hosts {
    pub jobs: Vec<Job>,
}

impl Hosts {
    pub fn new(count: usize, script: &str) -> Hosts {
        let names: Vec<String> = (1..=count).map(|n| format!("algo-{n}")).collect();
        let addresses: Vec<String> = (1..=count).map(|n| format!("algo-{n}={}", address(n))).collect();
        let job_of = |name: &String| {
            let resources = serde_json::json!({"current_host": name, "hosts": names, "network_interface_name": "lo"});
            with_notes(Job::python(script))
                .file("input/config/resourceconfig.json", resources.to_string())
                .variable("FOOTPLATE_HOST_ADDRESSES", &addresses.join(","))
        };
        Hosts { jobs: names.iter().map(job_of).collect() }
    }

    pub fn variable(self, name: &str, value: &str) -> Hosts {
        Hosts { jobs: self.jobs.into_iter().map(|job| job.variable(name, value)).collect() }
    }

    /// Starts this many ranks on each host with `per-gpu`, which waits for all hosts.
    pub fn ranks(self, per_host: usize) -> Hosts {
        self.variable("FOOTPLATE_LAUNCHER", "per-gpu").variable("FOOTPLATE_PROCESSES_PER_HOST", &per_host.to_string())
    }

    pub fn start(&self) -> Vec<Running> {
        self.jobs.iter().map(|job| Running::start(job, ["train"])).collect()
    }

    pub fn end(&self, running: Vec<Running>) -> Vec<Ended> {
        let ended = self.jobs.iter().zip(running).map(|(job, running)| running.end(job)).collect();
        self.jobs.iter().for_each(nothing_survives);
        ended
    }

    pub fn train(&self) -> Vec<Ended> {
        self.end(self.start())
    }
}

/// Returns the address of host n. Every test runs in its own process and so has its own network.
pub fn address(n: usize) -> String {
    let process = std::process::id();
    format!("127.{}.{}.{}", 64 + (process >> 8) % 128, process % 256, n)
}

#[test]
fn ranks_of_all_hosts_start_together_with_their_variables() {
    let script = "import os\nprint(*(os.environ[v] for v in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'GROUP_RANK')))\n";
    let hosts = Hosts::new(3, script).ranks(2);
    // The leader starts last.
    let mut running: Vec<Running> = hosts.jobs[1..].iter().map(|job| Running::start(job, ["train"])).collect();
    for host in &running {
        host.says("requirements:");
        assert!(!host.stderr().contains("ready in"), "{}", host.stderr());
    }
    running.insert(0, Running::start(&hosts.jobs[0], ["train"]));
    for (node, ended) in hosts.end(running).into_iter().enumerate() {
        let ended = ended.succeeded();
        assert!(ended.stderr.contains(", hosts "), "the time that hosts waited is said: {}", ended.stderr);
        let stdout = ended.stdout();
        let mut lines: Vec<&str> = stdout.lines().collect();
        lines.sort_unstable();
        let line = |local: usize| {
            let rank = node * 2 + local;
            format!("[algo-{}:{rank}] {rank} {local} 6 {node}", node + 1)
        };
        assert_eq!(lines, [line(0), line(1)]);
    }
}

#[test]
fn the_rank_that_fails_ends_every_host_and_is_named_on_each() {
    let script = "import os, time\nfrom notes import note\n\
                  if os.environ['RANK'] == '5':\n    raise ValueError('bad data')\n\
                  time.sleep(600)\n";
    let hosts = Hosts::new(3, script).ranks(2);
    for ended in hosts.train() {
        let ended = ended.failed(1, "ValueError: bad data\nat train.py:4\n");
        let status = "host algo-3, rank 5, exit code 1, 5 other ranks were ended";
        assert!(ended.failure().contains(status), "{}", ended.failure());
        assert!(ended.duration < Duration::from_secs(20), "{:?}", ended.duration);
    }
}

#[test]
fn a_host_whose_ranks_use_their_grace_does_not_delay_the_others() {
    let script = "import os, signal, sys\nfrom notes import note, wait_for\n\
                  signal.signal(signal.SIGTERM, lambda *_: (note('told'), wait_for('saved'), sys.exit(0)))\n\
                  if os.environ['RANK'] == '1': wait_for('go'); sys.exit('bad')\n\
                  note('up')\nwait_for('end')\n";
    let hosts = Hosts::new(3, script).ranks(1);
    let mut running = hosts.start();
    running[0].noted("up", 1);
    running[2].noted("up", 1);
    running[2].tell("saved");
    running[1].tell("go");
    let [slow, failing, quick] = [running.remove(0), running.remove(0), running.remove(0)];
    slow.noted("told", 1);
    for (job, running) in [(&hosts.jobs[1], failing), (&hosts.jobs[2], quick)] {
        running.end(job).failed(1, "bad\n");
    }
    slow.tell("saved");
    slow.end(&hosts.jobs[0]).failed(1, "bad\n");
}

#[test]
fn the_failure_that_caused_an_earlier_one_is_named() {
    // Rank 1 is the cause, but ends later than rank 0, which loses its connection to rank 1. Rank 1 gets SIGTERM in between.
    let script = "import os, signal, time\nfrom notes import note, wait_for\n\
                  if os.environ['RANK'] == '0': wait_for('go'); raise ConnectionResetError('Connection reset by peer')\n\
                  told = []\n\
                  signal.signal(signal.SIGTERM, lambda *_: told.append(1))\nnote('up')\n\
                  while not told: time.sleep(0.01)\n\
                  raise RuntimeError('loss is NaN')\n";
    let hosts = Hosts::new(2, script).ranks(1);
    let running = hosts.start();
    running[1].noted("up", 1);
    running[0].tell("go");
    for ended in hosts.end(running) {
        let ended = ended.failed(1, "RuntimeError: loss is NaN\nat train.py:8\n");
        let status = "host algo-2, rank 1, exit code 1, 1 other rank failed after it";
        assert!(ended.failure().contains(status), "{}", ended.failure());
    }
}

#[test]
fn one_process_per_host_starts_without_the_other_hosts() {
    let hosts = Hosts::new(2, "print('done')");
    let begun = Instant::now();
    let ended = hosts.jobs[1].train().succeeded();
    assert_eq!(ended.stdout(), "done\n");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    hosts.jobs[0].train().succeeded();
}

/// Puts an executable script before all others on the job's `PATH`.
pub fn with_program(job: Job, name: &str, script: &str) -> Job {
    let bin = job.path("bin");
    fs::create_dir_all(&bin).expect("a folder");
    executable(&bin.join(name), script);
    let path = format!("{}:{}", bin.display(), search_path());
    job.variable("PATH", &path)
}

/// Two hosts with a stand-in for torchrun that prints its arguments and starts nothing.
#[test]
fn a_host_that_fails_before_another_has_started_still_ends_it() {
    let script = "import os, time\nif os.environ['SM_CURRENT_HOST'] == os.environ['FAILS']:\n    \
                  raise ValueError('no shard')\ntime.sleep(600)\n";
    for (first, second) in [(0, 1), (1, 0)] {
        let hosts = Hosts::new(2, script).variable("FAILS", &format!("algo-{}", first + 1));
        let failing = Running::start(&hosts.jobs[first], ["train"]);
        failing.says("ValueError: no shard");
        let other = Running::start(&hosts.jobs[second], ["train"]);
        for (running, job) in [(failing, &hosts.jobs[first]), (other, &hosts.jobs[second])] {
            let ended = running.end(job).failed(1, "ValueError: no shard\nat train.py:3\n");
            assert!(ended.failure().contains(&format!("\nhost algo-{}, ", first + 1)), "{ended:#?}");
        }
        hosts.jobs.iter().for_each(nothing_survives);
    }
}

fn with_torchrun() -> Hosts {
    let hosts = Hosts::new(2, "").variable("FOOTPLATE_LAUNCHER", "torchrun");
    let with = |job| with_program(job, "torchrun", "#!/bin/sh\necho started \"$@\"\n");
    Hosts { jobs: hosts.jobs.into_iter().map(with).collect() }
}

#[test]
fn torchrun_starts_without_hosts_that_have_not_connected() {
    for (node, job) in with_torchrun().jobs.iter().enumerate() {
        let ended = job.train().succeeded();
        assert!(ended.stdout().contains(&format!("--node_rank={node}")), "{}", ended.stdout());
    }
}

#[test]
fn torchrun_waits_for_a_connected_host_that_still_prepares() {
    // Both hosts install requirements with a stand-in for Python that waits for the test; on the second host it fails.
    let wait = "#!/bin/sh\nuntil [ -e \"$NOTES.go\" ]; do sleep 0.01; done\n";
    let Hosts { jobs } = with_torchrun();
    let with = |(node, job): (usize, Job)| {
        let job = job.file("code/requirements.txt", "fixture\n").variable("FOOTPLATE_INSTALLER", "pip");
        with_program(job, "python3", &format!("{wait}exit {node}\n"))
    };
    let hosts = Hosts { jobs: jobs.into_iter().enumerate().map(with).collect() };
    let running = hosts.start();
    running[0].says("all 2 hosts are connected");
    running[0].tell("go");
    running[0].says("this host is ready, and waits for the others");
    running[1].tell("go");
    for ended in hosts.end(running) {
        assert!(ended.failure().contains("host algo-2"), "{ended:#?}");
        assert_ne!(ended.code(), 0);
        assert!(!ended.stdout().contains("started"), "{}", ended.stdout());
    }
}

#[test]
fn a_failure_reaches_hosts_that_have_finished() {
    let script = "import os, sys\nfrom notes import note, wait_for\n\
                  if os.environ['SM_CURRENT_HOST'] == 'algo-2': wait_for('go'); sys.exit('bad')\n";
    let hosts = Hosts::new(2, script);
    let running = hosts.start();
    running[0].says("this host has finished, and waits for the others");
    running[1].tell("go");
    for ended in hosts.end(running) {
        assert!(ended.failed(1, "bad\n").failure().contains("host algo-2, exit code 1"));
    }
}

#[test]
fn a_command_that_fails_on_one_host_ends_those_of_other_hosts() {
    let script = "import os, sys, time\nfrom notes import note, wait_for\n\
                  if os.environ['SM_CURRENT_HOST'] == 'algo-2': wait_for('go'); sys.exit('bad')\nnote('up')\ntime.sleep(600)\n";
    let hosts = Hosts::new(2, script);
    let start = |job: &Job| {
        let script = job.path("code/train.py").display().to_string();
        Running::start(job, ["exec", "--", "python3", &script])
    };
    let running: Vec<Running> = hosts.jobs.iter().map(start).collect();
    running[0].noted("up", 1);
    running[0].says("all 2 hosts are connected");
    running[1].tell("go");
    for ended in hosts.end(running) {
        assert!(ended.failed(1, "bad\n").failure().contains("host algo-2, exit code 1"));
    }
}

#[test]
fn a_host_that_dies_ends_the_others_and_is_named() {
    for victim in [0, 1] {
        let hosts = Hosts::new(3, "from notes import note\nimport time\nnote('up')\ntime.sleep(600)\n").ranks(1);
        let mut running = hosts.start();
        running.iter().for_each(|host| drop(host.noted("up", 1)));
        running.remove(victim).signal(Signal::SIGKILL);
        let left = hosts.jobs.iter().enumerate().filter(|(n, _)| *n != victim).map(|(_, job)| job);
        for (job, running) in left.zip(running) {
            let text = format!("host algo-{} is lost: its connection was closed\n", victim + 1);
            running.end(job).failed(68, &text);
        }
    }
}

#[test]
fn a_silent_host_is_lost_after_12_seconds() {
    for victim in [0, 1] {
        let hosts = Hosts::new(2, "from notes import note\nimport time\nnote('up')\ntime.sleep(600)\n");
        let mut running = hosts.start();
        running.iter().for_each(|host| drop(host.noted("up", 1)));
        running[0].says("all 2 hosts are connected");
        let cut_off = running.remove(victim);
        cut_off.signal(Signal::SIGSTOP);
        let text = format!("host algo-{} is lost: nothing was heard from it for 12 s\n", victim + 1);
        running.remove(0).end(&hosts.jobs[1 - victim]).failed(68, &text);
        cut_off.signal(Signal::SIGKILL);
    }
}

#[test]
fn the_leader_waits_for_a_port_that_is_in_use_for_a_moment() {
    let taken = TcpListener::bind((address(1), PORT)).expect("the port");
    let hosts = Hosts::new(2, "print('ran')").ranks(1);
    let running = hosts.start();
    running[0].says("this host is ready, and waits for the others");
    drop(taken);
    for ended in hosts.end(running) {
        ended.succeeded();
    }
}

#[test]
fn a_port_that_stays_in_use_is_named_on_the_leader() {
    let taken = TcpListener::bind((address(1), PORT)).expect("the port");
    let hosts = Hosts::new(2, "print('never')").ranks(1).variable("FOOTPLATE_CLUSTER_TIMEOUT", "2");
    let leader = hosts.jobs[0].train();
    let leader = leader.failed(68, "cannot listen on port 7778 for the other hosts: Address already in use");
    assert_eq!(leader.stdout(), "");
    drop(taken);
}

#[test]
fn a_host_that_never_connects_is_named() {
    let hosts = Hosts::new(3, "print('never')").ranks(1).variable("FOOTPLATE_CLUSTER_TIMEOUT", "1");
    let leader = hosts.jobs[0].train();
    let leader = leader.failed(68, "hosts algo-2, algo-3 have not come within 1 s (FOOTPLATE_CLUSTER_TIMEOUT)\n");
    assert_eq!(leader.stdout(), "");
    let member = hosts.jobs[1].train();
    let member = member.failed(68, "host algo-1 cannot be reached: Connection refused");
    assert_eq!(member.stdout(), "");
}

#[test]
fn a_refusal_on_one_host_ends_the_hosts_that_wait_for_it() {
    let hosts = Hosts::new(2, "print('never')").ranks(1);
    fs::remove_file(hosts.jobs[1].path("code/train.py")).expect("removed");
    for ended in hosts.train() {
        assert!(ended.failure().contains("host algo-2"), "{ended:#?}");
        ended.failed(127, "the entry point \"train.py\" is not in ");
    }
}

#[test]
fn with_one_process_per_host_a_stop_signal_stops_only_that_host() {
    let script = "import signal, sys\nfrom notes import note, wait_for\n\
                  signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nnote('up')\nwait_for('go')\n";
    for stopped in [0, 1] {
        let hosts = Hosts::new(2, script);
        let mut running = hosts.start();
        running.iter().for_each(|host| drop(host.noted("up", 1)));
        running[0].says("all 2 hosts are connected");
        let told = running.remove(stopped);
        told.signal(Signal::SIGTERM);
        told.end(&hosts.jobs[stopped]).succeeded();
        let other = running.remove(0);
        other.tell("go");
        other.end(&hosts.jobs[1 - stopped]).succeeded();
    }
}

#[test]
fn a_stop_while_a_host_waits_for_others_starts_the_grace_of_its_uploads() {
    // The server never answers.
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", server.local_addr().expect("an address"));
    let script = "import os\nfrom notes import note, wait_for\n\
                  wait_for('go')\n\
                  if os.environ['SM_CURRENT_HOST'] == 'algo-1':\n    \
                      open(os.environ['SM_OUTPUT_INTERMEDIATE_DIR'] + '/a', 'w').write('x')\n";
    let hosts = Hosts::new(2, script)
        .variable("AWS_ENDPOINT_URL_S3", &url)
        .variable("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "none")
        .variable("FOOTPLATE_GRACE_PERIOD", "1000");
    let asking = |job: Job| job.hyperparameters(r#"{"sagemaker_s3_output": "\"s3://out\""}"#);
    let hosts = Hosts { jobs: hosts.jobs.into_iter().map(asking).collect() };
    let mut running = hosts.start();
    // A host does not wait for one that has never connected.
    running[0].says("all 2 hosts are connected");
    running[0].tell("go");
    running[0].says("this host has finished, and waits for the others");
    running[0].signal(Signal::SIGTERM);
    eventually("the end of the wait", || hosts.jobs[0].path("output/success").exists().then_some(()));
    running[0].signal(Signal::SIGTERM);
    let ended = running.remove(0).end(&hosts.jobs[0]).succeeded();
    assert!(ended.stderr.contains("a: there was no more time"), "{}", ended.stderr);
    running[0].tell("go");
    running.remove(0).end(&hosts.jobs[1]).succeeded();
}

#[test]
fn hosts_with_another_key_are_refused_and_the_job_continues() {
    let mut hosts = Hosts::new(2, "from notes import wait_for\nwait_for('go')\n");
    let other = hosts.jobs.remove(1).variable("FOOTPLATE_CLUSTER_KEY", "another-key-of-no-use");
    hosts.jobs.push(other);
    let running = hosts.start();
    running[0].says("is refused: it has another key");
    running.iter().for_each(|host| host.tell("go"));
    for ended in hosts.end(running) {
        let ended = ended.succeeded();
        assert!(!ended.stderr.contains("another-key-of-no-use"), "{}", ended.stderr);
    }
}

#[test]
fn a_launch_that_needs_every_host_says_that_one_has_another_key() {
    let mut hosts = Hosts::new(2, "print('never')").ranks(1).variable("FOOTPLATE_CLUSTER_TIMEOUT", "4");
    let other = hosts.jobs.remove(1).variable("FOOTPLATE_CLUSTER_KEY", "another-key-of-no-use");
    hosts.jobs.push(other);
    let [leader, member]: [Ended; 2] = hosts.train().try_into().expect("two hosts");
    let leader = leader.failed(68, "host algo-2 has not come within 4 s (FOOTPLATE_CLUSTER_TIMEOUT)\n");
    let said = format!("or it is the one at {}, which has another key", address(2));
    assert!(leader.failure().contains(&said), "{}", leader.failure());
    member.failed(68, "host algo-1 cannot be reached: it refuses this host: it has another key");
}

#[test]
fn a_stop_signal_ends_the_wait_for_other_hosts_at_once() {
    for waiting in [0, 1] {
        let hosts = Hosts::new(3, "print('never')").ranks(1);
        let running = Running::start(&hosts.jobs[waiting], ["train"]);
        running.says("this host is ready, and waits for the others");
        let begun = Instant::now();
        running.signal(Signal::SIGTERM);
        running.end(&hosts.jobs[waiting]).failed(143, "stopped by SIGTERM before the script started");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[test]
fn strangers_at_the_port_do_not_disturb_the_job() {
    let hosts = Hosts::new(2, "from notes import wait_for\nwait_for('go')\n").ranks(1);
    let leader = Running::start(&hosts.jobs[0], ["train"]);
    let connect = || TcpStream::connect((address(1), PORT)).ok();
    let mut silent = vec![eventually("the leader's port", connect)];
    silent.extend((0..40).filter_map(|_| connect()));
    let mut noisy = connect().expect("a connection");
    noisy.write_all(&[0xff; 4096]).expect("written");
    // The leader closes the connection and sends nothing but its challenge.
    let mut answer = Vec::new();
    noisy.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    let _ = noisy.read_to_end(&mut answer);
    assert!(answer.len() < 100, "{} bytes", answer.len());
    leader.says("refused");
    drop(silent);
    let member = Running::start(&hosts.jobs[1], ["train"]);
    for host in [&leader, &member] {
        host.says("ready in");
        host.tell("go");
    }
    for ended in hosts.end(vec![leader, member]) {
        ended.succeeded();
    }
}

#[test]
fn a_job_of_one_host_opens_no_port() {
    let hosts = Hosts::new(1, "from notes import note, wait_for\nnote('up')\nwait_for('go')\n");
    let running = Running::start(&hosts.jobs[0], ["train"]);
    running.noted("up", 1);
    let listening = listening_sockets();
    let descriptors = fs::read_dir(format!("/proc/{}/fd", running.pid())).expect("descriptors");
    let links = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let own: Vec<String> = links.map(|link| link.display().to_string()).collect();
    assert!(own.iter().all(|link| !listening.contains(link)), "{own:?}");
    running.tell("go");
    running.end(&hosts.jobs[0]).succeeded();
}

/// Returns the listening TCP sockets of this machine, in the form in which /proc/PID/fd shows them.
fn listening_sockets() -> Vec<String> {
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.get(3) == Some(&"0A") {
                found.push(format!("socket:[{}]", fields[9]));
            }
        }
    }
    found
}
