//! Hosts with networks of their own, connected by a switch. When a cable is pulled, neither side is told: packets are lost,
//! and no connection is closed.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::hosts::Hosts;
use super::images;
use super::job::{FOOTPLATE, Job, eventually};
use super::running::Running;

/// The upper bound for noticing that a host is silent, and for ending.
const PROMPT: Duration = Duration::from_secs(30);

/// A switch and the networks that it connects. Each network exists as long as the process in it.
struct Switch {
    networks: Vec<Child>,
}

impl Switch {
    /// Creates a switch with this many hosts. Returns `None` if this user may not create networks.
    fn new(hosts: usize) -> Option<Switch> {
        if let Err(why) = usable() {
            images::skip(&why);
            return None;
        }
        let network = |_| {
            let mut command = Command::new("unshare");
            command.args(["--net", "setpriv", "--pdeathsig", "KILL", "sleep", "infinity"]).stdin(Stdio::null());
            command.spawn().expect("a process with a network of its own")
        };
        let switch = Switch { networks: (0..=hosts).map(network).collect() };
        let own = fs::read_link("/proc/self/ns/net").expect("a network");
        for child in &switch.networks {
            let path = format!("/proc/{}/ns/net", child.id());
            eventually("it has its network", || (fs::read_link(&path).ok()? != own).then_some(()));
        }
        switch.ip(0, "link add switch type bridge");
        switch.ip(0, "link set switch up");
        for host in 1..=hosts {
            let network = switch.networks[host].id();
            switch.ip(0, &format!("link add port{host} type veth peer name eth0 netns {network}"));
            switch.ip(0, &format!("link set port{host} master switch up"));
            switch.ip(host, &format!("address add {}/24 dev eth0", address(host)));
            switch.ip(host, "link set lo up");
            switch.ip(host, "link set eth0 up");
        }
        Some(switch)
    }

    /// Returns a command that runs in the network of host n; 0 is the switch.
    fn within(&self, n: usize, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.networks[n].id())).arg(program).stdin(Stdio::null());
        command
    }

    fn ip(&self, n: usize, words: &str) {
        images::run(self.within(n, "ip").args(words.split(' ')));
    }

    /// Disconnects host n from the switch.
    fn pull(&self, n: usize) {
        self.ip(0, &format!("link set port{n} nomaster"));
    }

    /// The hosts of a job, with one rank each, that wait for each other.
    fn hosts(&self, count: usize, script: &str) -> Hosts {
        let addresses: Vec<String> = (1..=count).map(|n| format!("algo-{n}={}", address(n))).collect();
        Hosts::new(count, script).ranks(1).variable("FOOTPLATE_HOST_ADDRESSES", &addresses.join(","))
    }

    fn start(&self, hosts: &Hosts, n: usize) -> Running {
        let job = &hosts.jobs[n - 1];
        let mut command = self.within(n, FOOTPLATE);
        command.arg("train").env_clear().envs(job.variables());
        Running::of(job, command)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for child in &mut self.networks {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn address(n: usize) -> String {
    format!("10.77.0.{n}")
}

/// Returns the reason if networks cannot be created here.
fn usable() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("only root may make networks".to_owned());
    }
    match Command::new("unshare").args(["--net", "ip", "link", "add", "switch", "type", "bridge"]).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("the program unshare cannot be run: {error}")),
    }
}

#[test]
fn a_cable_that_is_pulled_is_noticed_on_both_sides() {
    for victim in [1, 3] {
        let Some(switch) = Switch::new(3) else { return };
        let hosts = switch.hosts(3, "from notes import note\nimport time\nnote('up')\ntime.sleep(600)\n");
        let running: Vec<Running> = (1..=3).map(|n| switch.start(&hosts, n)).collect();
        running.iter().for_each(|host| drop(host.noted("up", 1)));
        let pulled = Instant::now();
        switch.pull(victim);
        for (n, ended) in (1..).zip(hosts.end(running)) {
            // The disconnected host loses the leader or, if it is the leader, one of the others.
            let lost = match (n == victim, victim) {
                (false, _) => &[victim][..],
                (true, 1) => &[2, 3],
                (true, _) => &[1],
            };
            let ended = ended.failed(68, "host algo-");
            let text = |lost: &usize| format!("host algo-{lost} is lost: nothing was heard from it for 12 s\n");
            assert!(lost.iter().any(|lost| ended.failure().starts_with(&text(lost))), "host {n}: {}", ended.failure());
        }
        assert!(pulled.elapsed() < PROMPT, "{:?}", pulled.elapsed());
    }
}

#[test]
fn silent_connections_without_proof_do_not_keep_hosts_out() {
    let Some(switch) = Switch::new(3) else { return };
    let hosts = switch.hosts(2, "print('ran')");
    let leader = switch.start(&hosts, 1);
    // More connections than the leader accepts from one address.
    let connect = "import socket, time\nconnections = []\nwhile len(connections) < 40:\n    try:\n        \
                   connections.append(socket.create_connection(('10.77.0.1', 7778), 1))\n    except OSError:\n        \
                   time.sleep(0.05)\nprint('connected', flush=True)\ntime.sleep(600)\n";
    let mut stranger = switch.within(3, "python3");
    let mut stranger = stranger.args(["-c", connect]).stdout(Stdio::piped()).spawn().expect("python3");
    let mut said = String::new();
    BufReader::new(stranger.stdout.take().expect("it is piped")).read_line(&mut said).expect("read");
    assert_eq!(said, "connected\n");
    leader
        .says("a connection from 10.77.0.3 is refused: too many connections from this address have not authenticated");
    switch.pull(3);
    // With the cable pulled, nobody learns that the stranger ends.
    stranger.kill().expect("it runs");
    stranger.wait().expect("it has ended");
    let member = switch.start(&hosts, 2);
    for ended in hosts.end(vec![leader, member]) {
        assert_eq!(ended.succeeded().stdout(), "ran\n");
    }
}

/// A program that sends to everybody who connects, and one that receives for some seconds.
const SEND: &str = "import socket, threading, time\n\
    def serve(connection):\n    while True:\n        connection.sendall(bytes(1 << 20))\n        time.sleep(0.05)\n\
    listener = socket.create_server(('10.77.0.2', 7000))\n\
    print('ready', flush=True)\n\
    while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()\n";
const RECEIVE: &str = "import socket, sys, time\n\
    connection = socket.create_connection(('10.77.0.2', 7000))\n\
    print('connected', flush=True)\n\
    end = time.time() + float(sys.argv[1])\n\
    while time.time() < end: connection.recv(1 << 20)\n";

#[test]
fn a_job_goes_on_if_its_own_processes_receive_and_not_if_others_do() {
    let Some(switch) = Switch::new(2) else { return };
    let speaking = |n: usize, words: &[&str]| {
        let mut command = switch.within(n, "setpriv");
        command.args(["--pdeathsig", "KILL", "python3", "-c"]).args(words).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3");
        let mut said = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut said).expect("read");
        assert!(!said.is_empty(), "{words:?}");
        child
    };
    let others = [speaking(2, &[SEND]), speaking(1, &[RECEIVE, "600"])];
    let start = |script: &str| {
        let job = Job::python(script).file("code/receive.py", RECEIVE).variable("FOOTPLATE_HANG_TIMEOUT", "3");
        let mut command = switch.within(1, FOOTPLATE);
        command.arg("train").env_clear().envs(job.variables());
        let running = Running::of(&job, command);
        (job, running)
    };
    let (stuck, stuck_running) = start("import time\nprint('begun', flush=True)\ntime.sleep(600)\n");
    // The bytes come to a process that the script has started.
    let receive = "import subprocess, sys\nsubprocess.run([sys.executable, 'receive.py', '7'], check=True)\n";
    let (receiving, receiving_running) = start(receive);
    let ended = stuck_running.end(&stuck);
    assert!(ended.failure().starts_with("Hang: no progress for "), "{ended:#?}");
    assert!(!ended.stderr.contains("over the network"), "{ended:#?}");
    let ended = receiving_running.end(&receiving).succeeded();
    assert!(ended.stderr.contains(" MB/s come or go over the network: the job has 3 s more"), "{}", ended.stderr);
    for mut child in others {
        child.kill().expect("it runs");
        child.wait().expect("it has ended");
    }
}
