//! Real Ray and real Dask over hosts that are containers, with 64 MiB of shared memory each. The gate runs the first cases, with
//! Dask, whose start takes less time than Ray's. `tests/engines` runs all.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::container::{Container, Ended};
use crate::fleet::{HAS_LITTLE, Hosts, Started, all, failed, host_is_lost};
use crate::images;
use crate::job::{Job, has_all_engines};
use crate::volumes;

/// The folder of Ray and Dask in a container.
const FOLDER: &str = "/opt/clusters";

/// The two engines.
const ENGINES: [&str; 2] = ["dask", "ray"];

/// Returns the name of a volume with a virtual environment that holds Ray and Dask.
fn volume() -> &'static str {
    // Nothing of Ray is started here: its raylet aborts if its agents take more than 15 s, as they can if they are compiled first.
    let warm_up = format!("{FOLDER}/bin/python3 -m compileall -q {FOLDER}/lib");
    volumes::python_volume("footplate-test-clusters", FOLDER, "ray distributed", &warm_up)
}

/// A script that uses the cluster of either engine. `spread` runs a function once on each host and returns the results, `at`
/// runs it on one host, and `here` is the name of the host on which a task runs.
const BOTH: &str = r#"
import os, signal, sys, time
hosts = os.environ["SM_HOSTS"].strip('[]').replace('"', '').split(",")
def here(): return os.environ["SM_CURRENT_HOST"]
if "RAY_ADDRESS" in os.environ:
    import ray
    ray.init(log_to_driver=True)
    nodes = {node["NodeManagerAddress"]: node["NodeID"] for node in ray.nodes() if node["Alive"]}
    assert len(nodes) == len(hosts), nodes
    import socket
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
    def at(host, function, **options):
        node = nodes[socket.gethostbyname(host)]
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
        return ray.remote(function).options(**options).remote()
    result = ray.get
else:
    from dask.distributed import Client
    client = Client()
    assert len(client.scheduler_info()["workers"]) == len(hosts)
    def at(host, function, **options):
        return client.submit(function, workers=[host], pure=False)
    def result(futures):
        return [f.result() for f in futures] if isinstance(futures, list) else futures.result()
def spread(function): return result([at(host, function) for host in hosts])
def on_worker(): return here()
print("found", *spread(on_worker), flush=True)
"#;

/// Returns hosts whose script uses the cluster of an engine, and then executes `then`.
fn cluster(engine: &str, count: usize, then: &str) -> Hosts {
    let image = images::debian("bookworm");
    let launcher = format!("--env=FOOTPLATE_LAUNCHER={engine}");
    let folder = format!("--volume={}:{FOLDER}:ro", volume());
    let path = format!("--env=PATH={FOLDER}/bin:/usr/local/bin:/usr/bin:/bin");
    Hosts::new(count, image, &format!("{BOTH}{then}\n"), &[&launcher, &folder, &path])
}

/// Returns the line of a script's text, counted from 1, that contains a text.
pub fn line_of(hosts: &Hosts, text: &str) -> usize {
    let script = hosts.jobs[0].read("code/train.py").expect("a script");
    script.lines().position(|line| line.contains(text)).expect("the line is there") + 1
}

impl Started<'_> {
    /// Waits until the script has found the workers of all hosts.
    fn until_found(&self) {
        let names: Vec<String> = (1..=self.containers.len()).map(|n| format!("algo-{n}")).collect();
        self.containers[0].until_logged(&format!("found {}\n", names.join(" ")));
    }
}

/// Runs a case for each engine: in the gate for the first one only, because the other takes the same ways.
fn for_each_engine(case: impl Fn(&str)) {
    if images::usable() {
        let engines = if has_all_engines() { &ENGINES[..] } else { &ENGINES[..1] };
        engines.iter().for_each(|engine| case(engine));
    }
}

/// Returns true if every case with a real engine runs, and containers can.
pub fn has_all_engines_and_containers() -> bool {
    has_all_engines() && images::usable()
}

/// Runs a case for each engine, unless the gate asks.
fn outside_the_gate(case: impl Fn(&str)) {
    if has_all_engines() {
        for_each_engine(case);
    }
}

#[track_caller]
pub fn name_the_error(hosts: &[Ended], code: i32, first: &str, further: &[&str]) {
    for ended in hosts {
        assert_eq!(ended.code, code, "{}", all(hosts));
        failed(ended, code, first, "");
        for part in further {
            assert!(ended.failure().contains(part), "{part:?} is missing\n{}", all(hosts));
        }
    }
}

/// A check that no program of Dask listens on all addresses of its host: nobody is asked for a token there. The port of the hosts'
/// channel is footplate's own, 7778.
const DASK_IS_CLOSED: &str = r#"
def open_ports():
    lines = [line.split() for name in ("tcp", "tcp6") for line in list(open(f"/proc/net/{name}"))[1:]]
    places = [line[1].rpartition(":") for line in lines if line[3] == "0A"]
    return [int(port, 16) for address, _, port in places if not address.strip("0")]
if "DASK_SCHEDULER_ADDRESS" in os.environ:
    assert set(sum(spread(open_ports), [])) <= {7778}, spread(open_ports)
"#;

#[test]
fn a_script_finds_the_workers_of_all_hosts_without_internet() {
    if !images::usable() {
        return;
    }
    for (engine, count, home) in [
        ("dask", 2, "/tmp"),
        ("dask", 3, "/nonexistent"),
        ("dask", 1, "/"),
        ("ray", 2, "/nonexistent"),
        ("ray", 3, "/tmp"),
        ("ray", 1, "/"),
    ] {
        // Another user, who may have no home, or one that cannot be written to.
        let mut hosts = cluster(engine, count, &format!("{HAS_LITTLE}{DASK_IS_CLOSED}"));
        hosts.options.extend(["--user=1000:1000".to_owned(), format!("--env=HOME={home}")]);
        hosts.let_others_write();
        let started = hosts.start();
        let ended = started.end();
        ended.iter().for_each(Ended::succeeded);
        let names: Vec<String> = (1..=count).map(|n| format!("algo-{n}")).collect();
        let found = format!("found {}", names.join(" "));
        assert!(ended[0].logs.lines().any(|line| line == found), "{}", all(&ended));
        let service = if engine == "ray" { "ray-worker" } else { "dask-worker" };
        for (n, ended) in ended.iter().enumerate().skip(1) {
            assert!(ended.logs.contains(&format!("[algo-{}:{service}] ", n + 1)), "{ended}");
        }
        if !has_all_engines() {
            break;
        }
    }
}

#[test]
fn hosts_on_one_machine_make_a_cluster() {
    outside_the_gate(|engine| {
        let mut hosts = cluster(engine, 2, "");
        let script = r#"
import os
def here(): return os.environ["SM_CURRENT_HOST"]
if "RAY_ADDRESS" in os.environ:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
    ray.init()
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    strategies = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
    found = ray.get([ray.remote(here).options(scheduling_strategy=strategy).remote() for strategy in strategies])
else:
    from dask.distributed import Client
    found = Client().run(here).values()
print("found", *sorted(found), flush=True)
"#;
        hosts.jobs[0] = std::mem::replace(&mut hosts.jobs[0], Job::new()).file("code/train.py", script);
        let ended = hosts.on_one_machine();
        assert!(ended.code == 0 && ended.logs.contains("found algo-1 algo-2\n"), "{engine}: {ended}");
    });
}

#[test]
fn rays_dashboard_asks_for_the_token_and_no_line_of_ray_has_colours() {
    if !has_all_engines_and_containers() {
        return;
    }
    let warm_up = format!("{FOLDER}/bin/python3 -m compileall -q {FOLDER}/lib");
    let volume = volumes::python_volume("footplate-test-ray-default", FOLDER, "ray[default]", &warm_up);
    let ask = "import urllib.error, urllib.request\n\
               def ask(**headers):\n    \
               asked = urllib.request.Request('http://127.0.0.1:8265/api/version', headers=headers)\n    \
               try: return urllib.request.urlopen(asked, timeout=60).status\n    \
               except urllib.error.HTTPError as error: return error.code\n\
               print('answers', ask(), ask(Authorization='Bearer ' + os.environ['RAY_AUTH_TOKEN']))\n";
    let mut hosts = cluster("ray", 2, ask);
    hosts.options.retain(|option| !option.starts_with("--volume="));
    hosts.options.push(format!("--volume={volume}:{FOLDER}:ro"));
    // A worker refuses this option.
    hosts.options.push("--env=FOOTPLATE_RAY_ARGUMENTS=--include-dashboard=true".to_owned());
    let ended = hosts.start().end();
    ended.iter().for_each(Ended::succeeded);
    assert!(ended[0].logs.contains("answers 401 200\n"), "{}", all(&ended));
    for line in ended.iter().flat_map(|ended| ended.logs.lines()) {
        assert!(!line.contains(":ray-") || !line.contains('\u{1b}'), "{line:?}");
    }
}

#[test]
fn each_line_of_a_task_reaches_the_log_once_and_without_colours() {
    outside_the_gate(|engine| {
        // By itself, Ray shows equal lines of several tasks once, colours their prefix, and takes a moment to pass them on.
        let then = "def say(): print(f'said on {here()}\\n', end='', flush=True)\nresult([at('algo-2', say) for _ in range(5)])\n\
                    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nprint('may be stopped', flush=True)\n\
                    while True: time.sleep(0.1)";
        let hosts = cluster(engine, 2, then);
        let started = hosts.start();
        started.until_written("said on algo-2", 5);
        started.until_written("may be stopped", 1);
        let ended = started.stop();
        let lines: Vec<&str> = ended.iter().flat_map(|ended| ended.logs.lines()).collect();
        let said = lines.iter().filter(|line| line.ends_with("said on algo-2"));
        // Dask's workers write into the log of their own host.
        let prefix = if engine == "ray" { "(say pid=" } else { "[algo-2:dask-worker] " };
        assert_eq!(said.filter(|line| line.starts_with(prefix)).count(), 5, "{}", all(&ended));
        assert!(!lines.iter().any(|line| line.contains('\u{1b}')), "{}", all(&ended));
        ended.iter().for_each(|ended| assert_eq!(ended.code, 0, "{ended}"));
    });
}

#[test]
fn an_exception_in_a_task_is_the_headline_on_every_host() {
    for_each_engine(|engine| {
        let hosts = cluster(
            engine,
            2,
            "def bad(row=17):\n    raise ValueError(f'row {row} is rotten')\n\
             if 'RAY_ADDRESS' not in os.environ:\n    \
             for host in hosts: client.submit(bad, 16, workers=[host]).exception()\n\
             result(at('algo-2', bad, max_retries=0) \
             if 'RAY_ADDRESS' in os.environ else at('algo-2', bad))",
        );
        let started = hosts.start();
        started.until_found();
        let title = if engine == "ray" { "Ray" } else { "Dask" };
        let place = format!("at train.py:{} in bad ({title} task on host algo-2)", line_of(&hosts, "is rotten"));
        name_the_error(
            &started.end_in_time(),
            1,
            "ValueError: row 17 is rotten\n",
            &[&format!("\n{place}\n"), "host algo-1, exit code 1"],
        );
    });
}

#[test]
fn an_exception_in_the_script_ends_the_cluster() {
    outside_the_gate(|engine| {
        let hosts = cluster(engine, 2, "raise KeyError('loss')");
        let started = hosts.start();
        started.until_found();
        name_the_error(&started.end_in_time(), 1, "KeyError: 'loss'\n", &["host algo-1, exit code 1"]);
    });
}

/// A script that goes on giving tasks to every host. Its own error, if it notices the loss of one, is a consequence: a task of Ray
/// is not repeated, and an actor is not made again.
const BUSY: &str = r#"
def work():
    end = time.time() + 0.2
    while time.time() < end: sum(range(1000))
    return here()
class Actor:
    def work(self): return work()
if "RAY_ADDRESS" in os.environ:
    actors = [at(host, Actor) for host in hosts]
    def works(): return [actor.work.remote() for actor in actors] + [at(host, work, max_retries=0) for host in hosts]
else:
    def works(): return client.map(lambda n: work(), range(4), pure=False)
assert set(result(works())) <= set(hosts)
print("busy", flush=True)
while True: result(works())
"#;

/// A service: the number of its host, counted from 0, a text in the command of one of its processes, its title, and the headline
/// of the job after that process was killed.
type ServiceProcess = (usize, &'static str, &'static str, &'static str);

/// The services of each engine, the one that the gate looks at first.
const DASK_SERVICES: [ServiceProcess; 3] = [
    (1, "dask_worker", "the Dask worker", "killed by SIGKILL (signal 9)\n"),
    (0, "dask_worker", "the Dask worker", "killed by SIGKILL (signal 9)\n"),
    (0, "dask_scheduler", "the Dask scheduler", "killed by SIGKILL (signal 9)\n"),
];
const RAY_SERVICES: [ServiceProcess; 3] = [
    (1, "raylet/raylet", "the Ray worker", "Ray's raylet has ended: killed by SIGKILL (signal 9)\n"),
    (0, "raylet/raylet", "the Ray head", "Ray's raylet has ended: killed by SIGKILL (signal 9)\n"),
    (0, "gcs_server", "the Ray head", "Ray's gcs_server has ended: killed by SIGKILL (signal 9)\n"),
];

/// The upper bound for the end of all hosts after the failure of a service, also on a machine that does much else. Ray's own
/// waits are a minute.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_service_that_is_killed_is_the_cause_while_tasks_run() {
    for_each_engine(|engine| {
        let services = if engine == "ray" { RAY_SERVICES } else { DASK_SERVICES };
        for (host, process, title, headline) in services {
            let hosts = cluster(engine, 2, BUSY);
            let started = hosts.start();
            started.containers[0].until_logged("busy\n");
            let begun = Instant::now();
            started.containers[host].kill_process(process);
            let ended = started.end_in_time();
            let took = begun.elapsed();
            assert!(took < SOON, "{process}: {took:?}\n{}", all(&ended));
            for ended in ended {
                assert_ne!(ended.code, 0, "{ended}");
                failed(
                    &ended,
                    ended.code,
                    headline,
                    &format!("host algo-{}, exit code {} of {title}", host + 1, ended.code),
                );
            }
            if !has_all_engines() {
                break;
            }
        }
    });
}

#[test]
fn a_host_that_is_killed_is_the_cause_while_tasks_run() {
    outside_the_gate(|engine| {
        for victim in [1, 0] {
            let hosts = cluster(engine, 2, BUSY);
            let started = hosts.start();
            started.containers[0].until_logged("busy\n");
            let begun = Instant::now();
            started.containers[victim].kill();
            let ended = started.end_in_time();
            let took = begun.elapsed();
            assert!(took < SOON, "{took:?}\n{}", all(&ended));
            host_is_lost(&ended, victim);
        }
    });
}

/// A script that saves a result of the cluster when it is told to stop.
const SAVES: &str = "def save(*_):\n    found = spread(on_worker)\n    print('saved', *found, flush=True)\n    sys.exit(0)\n\
                     signal.signal(signal.SIGTERM, save)\nprint('waiting', flush=True)\nwhile True: time.sleep(0.1)";

#[test]
fn a_stop_lets_the_script_save_with_the_whole_cluster() {
    outside_the_gate(|engine| {
        // All hosts at once, the host of a worker alone, and the host of the script alone.
        for alone in [None, Some(1), Some(0)] {
            let hosts = cluster(engine, 2, SAVES);
            let started = hosts.start();
            started.containers[0].until_logged("waiting\n");
            let ended = match alone {
                Some(host) => {
                    started.containers[host].signal("TERM");
                    started.end_in_time()
                }
                None => started.stop(),
            };
            assert!(ended[0].logs.contains("saved algo-1 algo-2\n"), "{}", all(&ended));
            for ended in &ended {
                assert_eq!((ended.code, ended.failure.as_deref()), (0, None), "{ended}");
            }
        }
    });
}

#[test]
fn an_engine_that_the_image_lacks_is_named_on_every_host() {
    outside_the_gate(|engine| {
        let mut hosts = cluster(engine, 2, "");
        hosts.options.retain(|option| !option.starts_with("--env=PATH="));
        let started = hosts.start();
        let module = if engine == "ray" { "ray" } else { "distributed" };
        let text =
            format!("the launcher {engine} needs the Python module {module}, which /usr/bin/python3 does not have: ");
        for ended in started.end_in_time() {
            failed(&ended, 69, &text, "exit code 69");
        }
    });
}

impl Container<'_> {
    /// Kills the first process of the container whose command or variables contain a text.
    pub fn kill_process(&self, text: &str) {
        let script = format!(
            "import os, pathlib, signal\nfor pid in sorted(map(int, filter(str.isdigit, os.listdir('/proc')))):\n    \
             command = b''.join(pathlib.Path('/proc', str(pid), name).read_bytes() for name in ('cmdline', 'environ'))\n    \
             if pid not in (1, os.getpid()) and b'{text}' in command:\n        os.kill(pid, signal.SIGKILL)\n        break\n\
             else: raise SystemExit('no such process')"
        );
        images::run(Command::new("docker").args(["exec", self.name(), "python3", "-c", &script]));
    }
}
