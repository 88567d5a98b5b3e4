//! Services over several hosts: an engine that stands in for Ray, as processes on this machine. Its head and its workers note
//! what happens to them, and do what the test tells them.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::hosts::Hosts;
use super::job::{Ended, eventually};
use super::running::{Running, notes};

/// The module of Ray that starts a node. It is ready when it may be, and ends when it is told.
const NODE: &str = r#"
import atexit, os, signal, socket, sys, time
from notes import note
name = "head" if "--head" in sys.argv else "worker"
def told(*_):
    note(f"{time.monotonic()} {name} told")
    sys.exit(1)
signal.signal(signal.SIGTERM, told)
note(f"{time.monotonic()} {name} started")
atexit.register(lambda: note(f"{time.monotonic()} {name} ended"))
if name == "head":
    address = next(word.partition("=")[2] for word in sys.argv if word.startswith("--node-ip-address="))
    listening = socket.create_server((address, 6379), reuse_port=True)
if os.environ.get("LATE") == name and os.environ.get("RAY_raylet_start_wait_time_s") == "60":
    del os.environ["LATE"]
    raise Exception("The current node timed out during startup.")
def is_told(what): return os.path.exists(os.environ["NOTES"] + "." + what)
if os.environ.get("HOLD") == name:
    print("the disk is slow\n2026-11-28 16:54:45,412\tWARNING services.py:2248 -- WARNING: 64 MB", file=sys.stderr, flush=True)
    while not is_told("ready"): time.sleep(0.01)
note(f"{time.monotonic()} {name} ready")
print("Ray runtime started.", flush=True)
while True:
    time.sleep(0.01)
    if is_told("well"): sys.exit(0)
    if is_told("die"):
        print("the node has lost its disk", file=sys.stderr)
        sys.exit(7)
"#;

/// The beginning of scripts.
const BEGIN: &str = "import os, signal, sys, time\nfrom notes import note, wait_for\n\
                     note(f'{time.monotonic()} script')\n";

fn cluster(count: usize, script: &str) -> Hosts {
    let hosts = Hosts::new(count, &format!("{BEGIN}{script}")).variable("FOOTPLATE_LAUNCHER", "ray");
    let with_engine = |job: super::job::Job| {
        job.file("code/ray/__init__.py", "")
            .file("code/ray/_private/__init__.py", "")
            .file("code/ray/_private/node.py", "")
            .file("code/ray/scripts/__init__.py", "")
            .file("code/ray/scripts/scripts.py", NODE)
    };
    Hosts { jobs: hosts.jobs.into_iter().map(with_engine).collect() }
}

/// Returns the time at which something was noted on a host.
#[track_caller]
fn time_of(hosts: &Hosts, n: usize, what: &str) -> f64 {
    let noted = notes(hosts.jobs[n].base());
    let found = noted.iter().find_map(|note| note.strip_suffix(what)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("{what:?} is not among {noted:?}"))
}

fn has_noted(hosts: &Hosts, n: usize, what: &str) -> bool {
    notes(hosts.jobs[n].base()).iter().any(|note| note.ends_with(what))
}

/// Starts the hosts and waits until the script runs.
fn started(hosts: &Hosts) -> Vec<Running> {
    let running = hosts.start();
    eventually("the script runs", || has_noted(hosts, 0, " script").then_some(()));
    running
}

#[track_caller]
fn quick(ended: &[Ended]) {
    for ended in ended {
        assert!(ended.duration < Duration::from_secs(40), "{:?}", ended.duration);
    }
}

#[test]
fn services_start_in_step_and_end_after_the_script() {
    let hosts = cluster(3, "print('trained', os.environ['RAY_ADDRESS'])\n").variable("HOLD", "worker");
    let running = hosts.start();
    for n in [1, 2] {
        eventually("the worker starts", || has_noted(&hosts, n, " worker started").then_some(()));
    }
    running[1].tell("ready");
    eventually("the first worker is ready", || has_noted(&hosts, 1, " worker ready").then_some(()));
    assert!(!has_noted(&hosts, 0, " script"), "the script waits for every worker");
    running[2].tell("ready");
    let ended = hosts.end(running);
    let at = |n, what| time_of(&hosts, n, what);
    for n in [1, 2] {
        assert!(at(0, " head started") < at(n, " worker started"), "a worker needs the head's port");
        assert!(at(0, " head ready") < at(0, " script"));
        assert!(at(n, " worker ready") < at(0, " script"));
        assert!(at(0, " script") < at(n, " worker told"));
        assert!(at(n, " worker told") < at(0, " head told"));
        assert!(!has_noted(&hosts, n, " script"));
    }
    let [head, workers @ ..] = &ended[..] else { unreachable!() };
    let stdout = String::from_utf8_lossy(&head.stdout).into_owned();
    assert!(stdout.contains(&format!("trained {}:6379\n", super::hosts::address(1))), "{stdout}");
    assert!(stdout.contains("[algo-1:ray-head] Ray runtime started.\n"), "{stdout}");
    // Of the program that starts a node, the log has a line.
    let command = head.stderr.lines().find(|line| line.contains(" ray-head: ")).expect("the command");
    assert!(command.contains(" -c '\"\"\"footplate: ") && command.contains(" …' start --head "), "{command}");
    for (worker, n) in workers.iter().zip(2..) {
        assert_eq!(worker.stdout(), format!("[algo-{n}:ray-worker] Ray runtime started.\n"));
    }
    for ended in ended {
        ended.succeeded();
    }
}

#[test]
fn a_service_that_ends_before_the_script_ends_the_job_on_every_host() {
    for (order, code, text, status) in [
        ("die", 7, "the node has lost its disk\n", "host algo-2, exit code 7 of the Ray worker"),
        ("well", 1, "the Ray worker ended with exit code 0 before the script\n", "host algo-2, exit code 1"),
    ] {
        let hosts = cluster(2, "time.sleep(600)\n");
        let running = started(&hosts);
        running[1].tell(order);
        let ended = hosts.end(running);
        quick(&ended);
        for ended in ended {
            let ended = ended.failed(code, text);
            assert!(ended.failure().contains(status), "{}", ended.failure());
        }
    }
}

#[test]
fn a_service_that_is_not_ready_in_time_is_named_with_its_host() {
    let hosts = cluster(3, "").variable("HOLD", "worker").variable("FOOTPLATE_SERVICE_TIME", "3");
    let running = hosts.start();
    eventually("the worker starts", || has_noted(&hosts, 2, " worker started").then_some(()));
    running[2].tell("ready");
    for ended in hosts.end(running) {
        let ended = ended.failed(69, "the Ray worker was not ready within 3 s (FOOTPLATE_SERVICE_TIME)\n");
        for part in [
            "\nlast line: the disk is slow\n",
            "\nhost algo-2, exit code 69\n",
            "\nhint: the service may need longer on a busy host; raise FOOTPLATE_SERVICE_TIME, and look at its lines in the log\n",
        ] {
            assert!(ended.failure().contains(part), "{part:?} is missing in {}", ended.failure());
        }
    }
    assert!(!has_noted(&hosts, 0, " script"));
}

#[test]
fn a_script_that_fails_decides_and_services_end_at_once() {
    let hosts = cluster(2, "raise ValueError('bad data')\n");
    let ended = hosts.train();
    quick(&ended);
    for ended in ended {
        let ended = ended.failed(1, "ValueError: bad data\nat train.py:4\n");
        assert!(ended.failure().contains("host algo-1, "), "{}", ended.failure());
    }
}

#[test]
fn a_script_that_is_told_to_stop_saves_while_all_services_serve() {
    let script = "def save(*_):\n    note('saving')\n    wait_for('saved')\n    note(f'{time.monotonic()} saved')\n    \
                  sys.exit(0)\nsignal.signal(signal.SIGTERM, save)\nnote('up')\nwait_for('end')\n";
    // All hosts are stopped, as by the platform, or only one that runs nothing but a service.
    for stopped in [&[0, 1][..], &[1]] {
        let hosts = cluster(2, script);
        let running = started(&hosts);
        running[0].noted("up", 1);
        for n in stopped {
            running[*n].signal(Signal::SIGTERM);
        }
        running[0].noted("saving", 1);
        assert!(!has_noted(&hosts, 1, " worker told") && !has_noted(&hosts, 0, " head told"));
        running[0].tell("saved");
        let ended = hosts.end(running);
        assert!(time_of(&hosts, 0, " saved") < time_of(&hosts, 1, " worker told"));
        assert!(time_of(&hosts, 1, " worker told") < time_of(&hosts, 0, " head told"));
        for ended in ended {
            assert_eq!(ended.code(), 0, "{}", ended.stderr);
        }
    }
}

#[test]
fn a_host_of_a_service_that_is_lost_ends_the_job() {
    for victim in [0, 1] {
        let hosts = cluster(2, "time.sleep(600)\n");
        let mut running = started(&hosts);
        running[victim].signal(Signal::SIGKILL);
        let other = running.remove(1 - victim);
        let ended = other.end(&hosts.jobs[1 - victim]);
        quick(std::slice::from_ref(&ended));
        ended.failed(68, &format!("host algo-{} is lost: ", victim + 1));
    }
}

#[test]
fn one_host_runs_head_and_script() {
    let hosts = cluster(1, "print('trained')\n");
    let ended = hosts.jobs[0].train().succeeded();
    assert_eq!(ended.stdout(), "[algo-1:ray-head] Ray runtime started.\ntrained\n");
    assert!(time_of(&hosts, 0, " script") < time_of(&hosts, 0, " head told"));
}

#[test]
fn an_engine_with_services_needs_the_channel_between_hosts() {
    let hosts = cluster(2, "").variable("FOOTPLATE_CLUSTER_PORT", "off");
    let ended = hosts.jobs[0].train();
    ended.failed(78, "the hosts of this job do not connect (FOOTPLATE_CLUSTER_PORT=off), but ray needs them ");
}

#[test]
fn enough_hosts_start_without_an_absent_one_and_go_on_without_a_lost_one() {
    let hosts = cluster(4, "note('up')\nwait_for('end')\n")
        .variable("FOOTPLATE_MIN_HOSTS", "2")
        .variable("FOOTPLATE_CLUSTER_TIMEOUT", "20");
    // The last host never comes.
    let mut running: Vec<Running> = hosts.jobs[..3].iter().map(|job| Running::start(job, ["train"])).collect();
    running[0].says("starting without algo-4 (FOOTPLATE_MIN_HOSTS)");
    running[0].noted("up", 1);
    running[2].signal(Signal::SIGKILL);
    running[0].says("host algo-3 is lost");
    running[0].tell("end");
    running.truncate(2);
    for ended in hosts.end(running) {
        ended.succeeded();
    }
}

#[test]
fn a_job_with_too_few_hosts_does_not_go_on() {
    let hosts = cluster(3, "note('up')\nwait_for('end')\n").variable("FOOTPLATE_MIN_HOSTS", "3");
    let mut running = started(&hosts);
    running[2].signal(Signal::SIGKILL);
    running.truncate(2);
    for ended in hosts.end(running) {
        ended.failed(68, "host algo-3 is lost: ");
    }
}

#[test]
fn lines_of_quiet_services_are_kept_in_files_and_as_evidence() {
    for order in ["die", "end"] {
        let hosts = cluster(2, "wait_for('end')\n").variable("FOOTPLATE_SERVICE_LOG", "off");
        let running = started(&hosts);
        running[usize::from(order == "die")].tell(order);
        for (n, ended) in (1..).zip(hosts.end(running)) {
            assert!(!ended.stdout().contains("Ray runtime started"), "{}", ended.stdout());
            assert!(!ended.stderr.contains("] the node has lost its disk"), "{}", ended.stderr);
            let name = if n == 1 { "ray-head" } else { "ray-worker" };
            let kept = hosts.jobs[n - 1].read(&format!("output/data/footplate/algo-{n}/{name}.log"));
            let told = if n == 2 && order == "die" { "the node has lost its disk\n" } else { "" };
            assert_eq!(kept.as_deref(), Some(&*format!("Ray runtime started.\n{told}")), "{ended:#?}");
            if order == "die" {
                ended.failed(7, "the node has lost its disk\n")
            } else {
                ended.succeeded()
            };
        }
    }
}

#[test]
fn a_node_of_ray_that_is_late_is_started_again() {
    for late in ["head", "worker"] {
        let hosts = cluster(2, "print('trained')\n").variable("LATE", late);
        let ended = hosts.end(hosts.start());
        let n = usize::from(late == "worker");
        let noted = notes(hosts.jobs[n].base());
        let noted: Vec<&str> = noted.iter().filter_map(|note| note.split_once(' ')).map(|(_, what)| what).collect();
        // Its processes end before it starts again.
        let begun = ["started", "ended", "started", "ready"].map(|what| format!("{late} {what}"));
        assert_eq!(noted[..4], begun, "{ended:#?}");
        let said = format!(
            "[algo-{}:ray-{late}] The current node timed out during startup. The node is started again.\n",
            n + 1
        );
        assert!(ended[n].stderr.contains(&said), "{ended:#?}");
        assert!(!ended[n].stderr.contains("Traceback"), "{ended:#?}");
        for ended in ended {
            ended.succeeded();
        }
    }
}

#[test]
fn check_names_a_port_of_a_service_that_another_program_has() {
    let hosts = cluster(2, "");
    let said = |mark: &str| {
        let ended = hosts.jobs[0].run(["check"]);
        ended.stdout().lines().find(|line| line.starts_with(mark) && line.contains(" ports ")).map(str::to_owned)
    };
    assert!(said("ok").is_some_and(|line| line.contains("6379 free for ray")));
    let _taken = std::net::TcpListener::bind((super::hosts::address(1), 6379)).expect("a port");
    assert!(said("warn").is_some_and(|line| {
        line.contains("another program has port 6379 of this machine, which ray needs: end it before the job starts")
    }));
}

#[test]
fn check_names_the_master_port_if_another_program_has_it() {
    let taken = std::net::TcpListener::bind((super::hosts::address(1), 0)).expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    for (launcher, ports) in
        [("jax", 1), ("deepspeed", 1), ("accelerate", 1), ("per-gpu", 1), ("torchrun", 1), ("process", 0)]
    {
        let hosts = Hosts::new(2, "").variable("FOOTPLATE_LAUNCHER", launcher).variable("FOOTPLATE_MASTER_PORT", &port);
        for (n, expected) in [(0, ports), (1, 0)] {
            let said = hosts.jobs[n].run(["check"]).stdout();
            let line = format!(
                "another program has port {port} of this machine, which {launcher} needs (FOOTPLATE_MASTER_PORT changes \
                 it): end it before the job starts"
            );
            assert_eq!(said.matches(&line).count(), expected, "{launcher} on host {n}: {said}");
        }
    }
}

#[test]
fn check_says_what_ray_needs_of_paths_and_of_shared_memory() {
    let job = cluster(2, "").jobs.remove(0);
    let long = job.path(&"long-".repeat(12)).display().to_string();
    std::fs::create_dir(&long).expect("made");
    // On a machine with 64 MiB of shared memory.
    let said = |job: &super::job::Job| {
        let mut unshare = std::process::Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-ec"]);
        unshare.arg("mount -t tmpfs -o size=64m none /dev/shm; exec \"$0\" check").arg(super::job::FOOTPLATE);
        let output = job.within(unshare).output().expect("unshare runs");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter(|line| line.split_whitespace().nth(1) == Some("ray")).map(str::to_owned).collect::<Vec<_>>()
    };
    let small = "warn  ray            Ray keeps its objects in /dev/shm, which has 64.0 MiB, and on disk beyond that: docker run \
                 --shm-size with 30 % of the memory";
    assert_eq!(said(&job), [small]);
    let job = job.variable("TMPDIR", &long);
    let moved = "ok    ray            the path in TMPDIR is longer than 36 bytes, which is too long for Ray's sockets: they are in \
                 /tmp/ray";
    assert_eq!(said(&job), [moved, small]);
    let job = job.variable("FOOTPLATE_RAY_ARGUMENTS", &format!("--temp-dir={long}"));
    let own = "warn  ray            the path in --temp-dir is longer than 40 bytes, which is too long for Ray's sockets: use a \
               shorter path, such as /tmp/ray";
    assert_eq!(said(&job), [own, small]);
}

/// Gives the job of three hosts two instance groups: `gpu` with the first and the last host, and `cpu` with the second.
fn of_groups(hosts: Hosts) -> Hosts {
    let groups = serde_json::json!([
        {"instance_group_name": "gpu", "instance_type": "ml.g5.xlarge", "hosts": ["algo-1", "algo-3"]},
        {"instance_group_name": "cpu", "instance_type": "ml.m5.xlarge", "hosts": ["algo-2"]},
    ]);
    let with_groups = |(n, job): (usize, super::job::Job)| {
        let (group, kind) = if n == 2 { ("cpu", "ml.m5.xlarge") } else { ("gpu", "ml.g5.xlarge") };
        let resources = serde_json::json!({
            "current_host": format!("algo-{n}"), "hosts": ["algo-1", "algo-2", "algo-3"], "network_interface_name": "lo",
            "current_group_name": group, "current_instance_type": kind, "instance_groups": groups,
        });
        job.file("input/config/resourceconfig.json", resources.to_string())
    };
    Hosts { jobs: (1..).zip(hosts.jobs).map(with_groups).collect() }
}

#[test]
fn the_head_and_the_script_are_on_the_group_that_is_set() {
    let hosts = cluster(3, "print('trained', os.environ['RAY_ADDRESS'])\n").variable("FOOTPLATE_RAY_HEAD_GROUP", "cpu");
    let hosts = of_groups(hosts);
    let ended = hosts.train();
    for (n, ended) in ended.into_iter().enumerate() {
        let is_head = n == 1;
        let ended = ended.succeeded();
        assert_eq!(has_noted(&hosts, n, " head ready"), is_head, "{ended:#?}");
        assert_eq!(has_noted(&hosts, n, " worker ready"), !is_head, "{ended:#?}");
        let trained = format!("trained {}:6379\n", super::hosts::address(2));
        assert_eq!(ended.stdout().contains(&trained), is_head, "{ended:#?}");
    }
}

#[test]
fn services_leave_out_groups_that_are_not_part_of_the_distribution() {
    let script = "print('trained', os.environ['SM_CURRENT_HOST'], os.environ.get('RAY_ADDRESS'))\n";
    let hosts = of_groups(cluster(3, script));
    let with = |job: super::job::Job| job.hyperparameters(r#"{"sagemaker_distribution_instance_groups": "[\"gpu\"]"}"#);
    let hosts = Hosts { jobs: hosts.jobs.into_iter().map(with).collect() };
    let ended = hosts.train();
    let said: Vec<String> = ended.into_iter().map(|ended| ended.succeeded().stdout()).collect();
    assert!(said[0].contains(&format!("trained algo-1 {}:6379\n", super::hosts::address(1))), "{said:?}");
    // The other group runs the script alone, as it does under every launcher.
    assert!(said[1].contains("trained algo-2 None\n"), "{said:?}");
    assert!(!said[2].contains("trained"), "{said:?}");
    let roles = [(0, " head ready"), (2, " worker ready")];
    assert!(roles.iter().all(|(n, what)| has_noted(&hosts, *n, what)));
    assert!(![" head started", " worker started"].iter().any(|what| has_noted(&hosts, 1, what)));
}

#[test]
fn the_plan_of_services_is_printed_for_every_host() {
    let hosts = of_groups(cluster(3, "").variable("FOOTPLATE_RAY_HEAD_GROUP", "cpu"));
    let job = &hosts.jobs[0];
    let ended = job.run(["plan"]);
    assert_eq!(ended.code(), 0, "{ended:#?}");
    let text = ended.stdout();
    let of_hosts: Vec<&str> = text.split("host         ").skip(1).collect();
    assert_eq!(of_hosts.len(), 3, "{text}");
    for (n, of_host) in (1..).zip(of_hosts) {
        let service = if n == 2 { "ray-head: the Ray head" } else { "ray-worker: the Ray worker" };
        let script = if n == 2 { "when the lower stages of all hosts are ready (stage 2)" } else { "runs on algo-2" };
        for line in [
            format!("algo-{n}\n"),
            format!("service      {service}\n"),
            "starts       at once (stage 0)\n".to_owned(),
            "ready        when it has printed \"Ray runtime started\"\n".to_owned(),
            format!("script       {script}\n"),
            "variable     RAY_AUTH_TOKEN=******\n".to_owned(),
        ] {
            assert!(of_host.contains(&line), "{line:?} is not in {of_host}");
        }
    }
    let plan: serde_json::Value = serde_json::from_str(&job.run(["plan", "--json"]).stdout()).expect("JSON");
    assert_eq!(plan["script_hosts"], serde_json::json!(["algo-2"]), "{plan:#}");
    for (n, of_host) in (1..).zip(plan["hosts"].as_array().expect("hosts")) {
        let service = &of_host["services"][0];
        let (name, stop_order) = if n == 2 { ("ray-head", 1) } else { ("ray-worker", 0) };
        assert_eq!((&of_host["host"], &service["name"]), (&format!("algo-{n}").into(), &name.into()), "{plan:#}");
        assert_eq!((&service["stage"], &service["stop_order"]), (&0.into(), &stop_order.into()), "{plan:#}");
        assert_eq!(service["ready"], "when it has printed \"Ray runtime started\"", "{plan:#}");
        assert_eq!(of_host["program"].is_string(), n == 2, "only one host runs the script: {plan:#}");
        assert_eq!(of_host["variables"]["RAY_AUTH_TOKEN"], "******", "{plan:#}");
    }
}

/// An engine as `footplate plan` and `footplate check` show it on two hosts: its launcher, its Python module, the names of the
/// services of each host, the number of hosts that run the script, and the ports that must be free.
type ShownEngine = (&'static str, &'static str, [&'static [&'static str]; 2], usize, &'static str);

#[test]
fn plan_and_check_know_the_services_and_ports_of_every_engine() {
    let engines: [ShownEngine; 9] = [
        ("ray", "ray", [&["ray-head"], &["ray-worker"]], 1, "6379"),
        ("dask", "distributed", [&["dask-scheduler", "dask-worker"], &["dask-worker"]], 1, "8786, 8787"),
        ("tensorflow", "tensorflow", [&[], &[]], 2, "8890"),
        ("tensorflow-ps", "tensorflow", [&["tf-ps"], &["tf-ps", "tf-worker"]], 1, "2222, 2223"),
        ("mxnet", "mxnet", [&["mxnet-scheduler", "mxnet-server"], &["mxnet-server"]], 2, "8000"),
        ("jax", "jax", [&[], &[]], 2, "7777"),
        ("deepspeed", "deepspeed", [&[], &[]], 2, "7777"),
        ("accelerate", "accelerate", [&[], &[]], 2, "7777"),
        ("xgboost", "xgboost", [&["xgboost-tracker"], &[]], 2, "9099, 12400"),
    ];
    for (launcher, module, services, script_hosts, ports) in engines {
        let mut hosts = Hosts::new(2, "").variable("FOOTPLATE_LAUNCHER", launcher);
        let job = hosts.jobs.remove(0).file(&format!("code/{module}/__init__.py"), "");
        let text = job.run(["plan"]).stdout();
        let plan: serde_json::Value = serde_json::from_str(&job.run(["plan", "--json"]).stdout()).expect("JSON");
        let of_hosts: Vec<&str> = text.split("host         ").skip(1).collect();
        assert_eq!((of_hosts.len(), plan["hosts"].as_array().map(Vec::len)), (2, Some(2)), "{text}\n{plan:#}");
        for (n, names) in services.into_iter().enumerate() {
            let (of_host, runs_script) = (of_hosts[n], n < script_hosts);
            let shown = |mark: &str| -> Vec<&str> {
                of_host.lines().filter_map(|line| line.strip_prefix(mark)).map(str::trim_start).collect()
            };
            let titles = shown("service ");
            assert!(
                titles.iter().map(|title| title.split(':').next().unwrap_or_default()).eq(names.iter().copied()),
                "{text}"
            );
            assert!(titles.iter().all(|title| title.contains(": the ")), "{text}");
            assert_eq!((shown("ready ").len(), shown("starts ").len()), (names.len(), names.len()), "{text}");
            let script = match (services, runs_script) {
                (_, false) => vec!["runs on algo-1"],
                ([[], []], true) => vec![],
                (_, true) => vec!["when the lower stages of all hosts are ready (stage 2)"],
            };
            assert_eq!(shown("script "), script, "{launcher}: {text}");
            let host = &plan["hosts"][n];
            let listed = host["services"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert!(listed.iter().map(|service| &service["name"]).eq(names), "{plan:#}");
            assert!(
                listed.iter().all(|service| service["ready"].is_string() && service["arguments"].is_array()),
                "{plan:#}"
            );
            assert_eq!(host["program"].is_string(), runs_script, "{launcher}: {plan:#}");
        }
        let said = job.run(["check"]).stdout();
        let line =
            |name: &str| said.lines().find(|line| line.split_whitespace().nth(1) == Some(name)).unwrap_or_default();
        assert!(
            line("module").starts_with("ok ") && line("module").contains(&format!("Python has {module}")),
            "{said}"
        );
        let expected = if ports.is_empty() { String::new() } else { format!("{ports} free for {launcher}") };
        assert!(line("ports").ends_with(&expected), "{said}");
    }
}

#[test]
fn the_token_of_services_follows_from_the_key_and_is_on_no_command_line() {
    let script = "note('token ' + os.environ['RAY_AUTH_TOKEN'])\nwait_for('end')\n";
    let token = |key: &str, name: &str| {
        let hosts = cluster(2, script).variable("TRAINING_JOB_NAME", name);
        let hosts = if key.is_empty() { hosts } else { hosts.variable("FOOTPLATE_CLUSTER_KEY", key) };
        let running = hosts.start();
        let notes = running[0].noted("token ", 1);
        let token = notes.iter().find_map(|note| note.strip_prefix("token ")).expect("a token").to_owned();
        assert!(token.len() >= 32 && token != key, "{token}");
        for (n, name) in [(0, "head"), (1, "worker")] {
            let processes = super::running::survivors(hosts.jobs[n].base());
            assert!(processes.len() > 1, "{name}: {processes:?}");
            let mut holders = 0;
            for process in processes {
                let read = |file: &str| std::fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
                let has = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).contains(&token);
                assert!(!has(read("cmdline")), "the token is on a command line");
                holders += usize::from(has(read("environ")));
            }
            assert!(holders > 0, "the {name} has the token in its variables");
        }
        running[0].tell("end");
        for ended in hosts.end(running) {
            let ended = ended.succeeded();
            assert!(!ended.stderr.contains(&token) && !ended.stdout().contains(&token), "{ended:#?}");
        }
        token
    };
    let (one, two) = ("0123456789abcdef-one", "0123456789abcdef-two");
    let first = token(one, "a");
    assert_eq!(token(one, "b"), first, "it follows from the key alone");
    assert_ne!(token(two, "a"), first);
    // Without a key, it follows from what only the job's containers know.
    assert_ne!(token("", "a"), token("", "b"));
}
