//! Plans of engines whose services form a cluster: Ray, Dask, MXNet, XGBoost and
//! TensorFlow.

use std::net::IpAddr;

use super::{flagged, gpus, image, job, planned_with, script};
use crate::job::python::Value;
use crate::job::settings::{Settings, TensorflowCluster};
use crate::job::{InstanceGroup, Job, Variables};
use crate::launch::{
    LaunchInput, LaunchPlan, LongSocketFolder, ProcessPlan, ReadySign, Span, StartAfter, long_socket_folder,
    tasks_of_cluster, undecided,
};
use crate::machine::Hardware;

fn settings(launcher: &str, addresses: &[(&str, [u8; 4])]) -> Settings {
    let address = |(host, bytes): &(&str, [u8; 4])| ((*host).to_owned(), IpAddr::from(*bytes));
    Settings {
        launcher: Some(launcher.to_owned()),
        host_addresses: addresses.iter().map(address).collect(),
        ..Settings::default()
    }
}

/// The addresses of two hosts.
const TWO: [(&str, [u8; 4]); 2] = [("algo-1", [10, 0, 0, 1]), ("algo-2", [10, 0, 0, 2])];

fn plan(job: &Job, hardware: &Hardware, settings: &Settings) -> LaunchPlan {
    planned_with(job, hardware, settings, &script()).expect("a plan")
}

/// Returns the arguments of a process, without Python and `-m`.
fn arguments(process: &ProcessPlan) -> String {
    let words = process.command.arguments.iter().map(|word| String::from_utf8_lossy(word).into_owned());
    words.skip(2).collect::<Vec<_>>().join(" ")
}

/// Returns the arguments of Ray's command, without Python and the program that runs it.
fn of_ray_start(process: &ProcessPlan) -> String {
    let arguments = arguments(process);
    let (program, rest) = arguments.split_once("\n start ").expect("ray start");
    assert!(program.contains("runpy.run_module(\"ray.scripts.scripts\""), "{program}");
    format!("start {rest}")
}

fn variable(process: &ProcessPlan, name: &str) -> Option<String> {
    let value = process.command.variables.get(name.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[test]
fn ray_has_a_head_beside_the_script_and_a_worker_on_each_other_host() {
    let settings = Settings {
        ray_arguments: ["--num-cpus=2", "--include-dashboard", "true", "--verbose"].map(str::to_owned).to_vec(),
        gpus: Some(4),
        ..settings("ray", &TWO)
    };
    let job = job(&["algo-1", "algo-2"]);
    let head = plan(&job.seen_from("algo-1"), &gpus(4), &settings);
    let [service, script] = &head.processes[..] else { panic!("{head:?}") };
    assert_eq!(
        of_ray_start(service),
        "start --head --port=6379 --include-dashboard=false --node-ip-address=10.0.0.1 --num-gpus=4 \
         --log-color=false --block --num-cpus=2 --include-dashboard true --verbose"
    );
    assert_eq!((service.stage, service.stop_order), (0, 1));
    assert_eq!(service.ready, ReadySign::Line { text: "Ray runtime started", times: 1 });
    assert_eq!(variable(script, "RAY_ADDRESS").as_deref(), Some("10.0.0.1:6379"));
    assert_eq!(script.starts, StartAfter::LowerStagesOfAllHosts);
    assert_eq!(head.variables["RAY_USAGE_STATS_ENABLED".as_bytes()], b"0");
    let worker = plan(&job, &gpus(4), &settings);
    let [service] = &worker.processes[..] else { panic!("{worker:?}") };
    assert_eq!(
        of_ray_start(service),
        "start --address=10.0.0.1:6379 --node-ip-address=10.0.0.2 --num-gpus=4 --log-color=false --block --num-cpus=2 \
         --verbose",
        "a worker refuses options of the head"
    );
    assert_eq!((service.stage, service.stop_order), (0, 0));
    assert_eq!((worker.script_hosts, worker.span), (vec!["algo-1".to_owned()], None::<Span>));
}

#[test]
fn options_by_which_rays_hosts_find_each_other_are_refused() {
    for word in ["--port=7000", "--port", "--address=10.0.0.9:6379", "--head"] {
        let settings = Settings { ray_arguments: vec![word.to_owned()], ..settings("ray", &TWO) };
        let error = planned_with(&job(&["algo-1", "algo-2"]), &gpus(0), &settings, &script()).expect_err(word);
        let name = word.split('=').next().expect("a name");
        assert!(error.starts_with(&format!("FOOTPLATE_RAY_ARGUMENTS has {name}, which footplate sets ")), "{error}");
    }
}

#[test]
fn a_single_ray_host_needs_no_name() {
    let plan = plan(&job(&["algo-1"]), &gpus(0), &settings("ray", &[]));
    assert!(arguments(&plan.processes[0]).contains(" --node-ip-address=127.0.0.1 "), "{plan:?}");
    assert_eq!(variable(&plan.processes[1], "RAY_ADDRESS").as_deref(), Some("127.0.0.1:6379"));
}

#[test]
fn rays_head_is_on_the_group_that_is_set() {
    let mut job = job(&["algo-1", "algo-2"]);
    let group = |name: &str, host: &str| InstanceGroup {
        name: name.to_owned(),
        hosts: vec![host.to_owned()],
        raw: Value::None,
    };
    job.cluster.groups = vec![group("gpu", "algo-1"), group("cpu", "algo-2")];
    let settings = Settings { ray_head_group: Some("cpu".to_owned()), ..settings("ray", &TWO) };
    let head = plan(&job.seen_from("algo-2"), &gpus(0), &settings);
    assert!(arguments(&head.processes[0]).contains("--head"), "{head:?}");
    assert_eq!(head.script_hosts, ["algo-2"]);
    let worker = plan(&job.seen_from("algo-1"), &gpus(0), &settings);
    assert!(arguments(&worker.processes[0]).contains("--address=10.0.0.2:6379"), "{worker:?}");
    let unknown = Settings { ray_head_group: Some("tpu".to_owned()), ..settings };
    let error = planned_with(&job, &gpus(0), &unknown, &script()).expect_err("no such group");
    assert!(error.starts_with("FOOTPLATE_RAY_HEAD_GROUP is tpu, but no host "), "{error}");
}

#[test]
fn rays_sockets_are_in_a_folder_with_a_short_path() {
    let (short, long) = ("/t/".repeat(12), "/t/".repeat(12) + "x");
    let own = settings("ray", &[("algo-1", [127, 0, 0, 2]), ("algo-2", [127, 0, 0, 3])]);
    let apart = settings("ray", &TWO);
    let of = |settings: &Settings, host: &str, pairs: &[(&str, &str)]| {
        let job = job(&["algo-1", "algo-2"]).seen_from(host);
        let variables: Variables = pairs.iter().copied().collect();
        let image = image(&[]);
        let (hardware, entry) = (gpus(0), script());
        let input = LaunchInput {
            job: &job,
            settings,
            variables: &variables,
            hardware: &hardware,
            image: &image,
            entry: &entry,
            arguments: &[],
            token: "",
        };
        let plan = crate::launch::plan(&input).expect("a plan");
        let words = of_ray_start(&plan.processes[0]);
        words.split(' ').find_map(|word| word.strip_prefix("--temp-dir=")).map(str::to_owned)
    };
    // The folder of the head is that of all workers on other machines.
    assert_eq!(of(&apart, "algo-1", &[("TMPDIR", &short)]), None);
    assert_eq!(of(&apart, "algo-1", &[("TMPDIR", &long)]).as_deref(), Some("/tmp/ray"));
    assert_eq!(of(&apart, "algo-2", &[("TMPDIR", &long)]), None);
    assert_eq!(of(&apart, "algo-1", &[("RAY_TMPDIR", "/r"), ("TMPDIR", &long)]), None, "Ray prefers its own variable");
    // Hosts on one machine have a folder each, if it is short enough.
    for host in ["algo-1", "algo-2"] {
        assert_eq!(of(&own, host, &[("TMPDIR", &short)]), Some(format!("{short}/ray")));
        assert_eq!(of(&own, host, &[("TMPDIR", &long)]).as_deref(), Some("/tmp/ray"));
        assert_eq!(of(&own, host, &[]), None);
    }

    let found = |arguments: &[&str], pairs: &[(&str, &str)]| {
        let ray_arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        long_socket_folder(&Settings { ray_arguments, ..Settings::default() }, &pairs.iter().copied().collect())
    };
    let replaced = |source| Some(LongSocketFolder { source, limit: 36, replacement: Some("/tmp/ray") });
    assert_eq!(found(&[], &[("TMPDIR", &short)]), None);
    assert_eq!(found(&[], &[("TMPDIR", &long)]), replaced("TMPDIR"));
    assert_eq!(found(&[], &[("RAY_TMPDIR", &long), ("TMPDIR", "/t")]), replaced("RAY_TMPDIR"));
    assert_eq!(found(&["--temp-dir", "/r", "--verbose"], &[("TMPDIR", &long)]), None);
    let (fits, exceeds) = ("/t/x".repeat(10), "/t/x".repeat(10) + "y");
    let refused = Some(LongSocketFolder { source: "--temp-dir", limit: 40, replacement: None });
    for words in [vec!["--temp-dir", exceeds.as_str()], vec![&*format!("--temp-dir={exceeds}")]] {
        assert_eq!(found(&words, &[]), refused, "{words:?}");
    }
    assert_eq!(found(&["--temp-dir", &fits], &[("TMPDIR", &long)]), None);
    assert_eq!(found(&["--temp-dir", &exceeds, "--temp-dir=/r"], &[]), None, "the last one counts");
    assert_eq!(found(&["--temp-directory", &exceeds, "--temp-dir"], &[]), None);
}

#[test]
fn ray_hosts_on_one_machine_share_its_memory() {
    let settings = settings("ray", &[("algo-1", [127, 0, 0, 2]), ("algo-2", [127, 0, 0, 3])]);
    let hardware = Hardware { shared_memory: Some(4 << 30), ..gpus(0) };
    let two = plan(&job(&["algo-1", "algo-2"]), &hardware, &settings);
    assert!(arguments(&two.processes[0]).contains(" --object-store-memory=1073741824 "), "{two:?}");
    let small = Hardware { shared_memory: Some(64 << 20), ..gpus(0) };
    let two = plan(&job(&["algo-1", "algo-2"]), &small, &settings);
    assert!(arguments(&two.processes[0]).contains(" --object-store-memory=80000000 "), "{two:?}");
    let one = plan(&job(&["algo-1"]), &hardware, &settings);
    assert!(!arguments(&one.processes[0]).contains("--object-store-memory"), "{one:?}");
}

#[test]
fn dask_has_a_scheduler_beside_the_script_and_a_worker_on_every_host() {
    let settings = Settings {
        dask_arguments: vec!["--nthreads=4".to_owned()],
        processes_per_host: Some(2),
        ..settings("dask", &TWO)
    };
    let job = job(&["algo-1", "algo-2"]);
    let first = plan(&job.seen_from("algo-1"), &gpus(0), &settings);
    let [scheduler, own, script] = &first.processes[..] else { panic!("{first:?}") };
    assert_eq!(
        arguments(scheduler),
        "distributed.cli.dask_scheduler --host=10.0.0.1 --port=8786 --dashboard-address=10.0.0.1:8787 --no-dashboard"
    );
    assert_eq!((scheduler.stage, scheduler.stop_order, own.stage, own.stop_order), (0, 1, 0, 0));
    assert_eq!(own.ready, ReadySign::Line { text: "Registered to:", times: 2 });
    assert_eq!(variable(script, "DASK_SCHEDULER_ADDRESS").as_deref(), Some("tcp://10.0.0.1:8786"));
    let second = plan(&job, &gpus(0), &settings);
    let [worker] = &second.processes[..] else { panic!("{second:?}") };
    assert_eq!(
        arguments(worker),
        "distributed.cli.dask_worker tcp://10.0.0.1:8786 --host=10.0.0.2 --name=algo-2 --nworkers=2 --local-directory=/tmp \
         --dashboard-address=10.0.0.2:0 --no-dashboard --death-timeout=300 --nthreads=4"
    );
    assert_eq!(second.script_hosts, ["algo-1"]);
}

/// Returns the names of a plan's services, and the variables of its script that have this prefix.
fn services_and_variables(plan: &LaunchPlan, prefix: &str) -> (Vec<&'static str>, Vec<String>) {
    let name = |process: &ProcessPlan| match process.role {
        crate::launch::ProcessRole::Service { name, .. } => Some(name),
        _ => None,
    };
    let script = plan.script_processes().next().expect("a script");
    let shown = |(name, value): (&Vec<u8>, &Vec<u8>)| {
        let pair = format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        Some(pair).filter(|pair| pair.starts_with(prefix))
    };
    (plan.services().filter_map(name).collect(), script.command.variables.iter().filter_map(shown).collect())
}

#[test]
fn mxnet_has_a_scheduler_a_server_on_each_host_and_workers() {
    let settings = settings("mxnet", &TWO);
    let job = job(&["algo-1", "algo-2"]);
    let (services, variables) = services_and_variables(&plan(&job.seen_from("algo-1"), &gpus(0), &settings), "DMLC_");
    assert_eq!(services, ["mxnet-scheduler", "mxnet-server"]);
    assert_eq!(
        variables,
        [
            "DMLC_NODE_HOST=10.0.0.1",
            "DMLC_NUM_SERVER=2",
            "DMLC_NUM_WORKER=2",
            "DMLC_PS_ROOT_PORT=8000",
            "DMLC_PS_ROOT_URI=10.0.0.1",
            "DMLC_ROLE=worker"
        ]
    );
    let (services, _) = services_and_variables(&plan(&job, &gpus(0), &settings), "");
    assert_eq!(services, ["mxnet-server"]);
}

#[test]
fn xgboost_has_a_tracker_and_lightgbm_a_list_of_machines() {
    let settings = settings("xgboost", &TWO);
    let job = job(&["algo-1", "algo-2"]);
    let first = plan(&job.seen_from("algo-1"), &gpus(0), &settings);
    let (services, variables) = services_and_variables(&first, "DMLC_");
    assert_eq!(services, ["xgboost-tracker"]);
    assert_eq!(
        variables,
        ["DMLC_NUM_WORKER=2", "DMLC_TASK_ID=0", "DMLC_TRACKER_PORT=9099", "DMLC_TRACKER_URI=10.0.0.1"]
    );
    assert_eq!(first.variables["FOOTPLATE_MACHINES".as_bytes()], b"10.0.0.1:12400,10.0.0.2:12400");
    let second = plan(&job, &gpus(0), &settings);
    assert_eq!(services_and_variables(&second, "DMLC_TASK_ID"), (vec![], vec!["DMLC_TASK_ID=1".to_owned()]));
}

#[test]
fn tensorflow_has_parameter_servers_in_two_layouts() {
    let job = job(&["algo-1", "algo-2"]);
    let named = settings("tensorflow-ps", &TWO);
    let requested = Settings { tensorflow_cluster: Some(TensorflowCluster::Toolkit), ..named.clone() };
    let cluster = |first: &str| {
        format!(
            r#""cluster":{{"{first}":["10.0.0.1:2222"],"ps":["10.0.0.1:2223","10.0.0.2:2223"],"worker":["10.0.0.2:2222"]}}"#
        )
    };
    let first = plan(&job.seen_from("algo-1"), &gpus(0), &requested);
    let (services, variables) = services_and_variables(&first, "TF_CONFIG");
    assert_eq!(services, ["tf-ps"]);
    let task = r#""environment":"cloud","task":{"index":0,"type":"master"}"#;
    assert_eq!(variables, [format!("TF_CONFIG={{{},{task}}}", cluster("master"))]);
    assert_eq!(first.script_hosts, ["algo-1", "algo-2"]);
    let first = plan(&job.seen_from("algo-1"), &gpus(0), &named);
    let (services, variables) = services_and_variables(&first, "TF_CONFIG");
    assert_eq!(services, ["tf-ps"]);
    assert_eq!(variables, [format!("TF_CONFIG={{{},{}}}", cluster("chief"), task.replace("master", "chief"))]);
    let tasks = tasks_of_cluster(variables[0].split_once('=').expect("a value").1);
    let tasks: Vec<String> = tasks.iter().map(|(task, host)| format!("{task} {host}")).collect();
    let all = ["chief/replica:0/task:0 10.0.0.1", "ps/replica:0/task:0 10.0.0.1", "ps/replica:0/task:1 10.0.0.2"];
    assert_eq!(tasks[..3], all.map(|task| format!("/job:{task}")));
    assert_eq!(tasks[3..], ["/job:worker/replica:0/task:0 10.0.0.2"]);
    assert_eq!(
        tasks_of_cluster(r#"{"cluster":{"a":7,"b":["x",{},"[::1]:80"]}}"#),
        [("/job:b/replica:0/task:2".into(), "::1".into())]
    );
    let second = plan(&job, &gpus(0), &named);
    let names: Vec<_> = second.services().map(|service| format!("{:?}", service.role)).collect();
    assert!(names[0].contains("tf-ps") && names[1].contains("tf-worker"), "{names:?}");
    assert_eq!((second.script_processes().count(), second.script_hosts), (0, vec!["algo-1".to_owned()]));
}

#[test]
fn machines_of_lightgbm_on_one_machine_have_ports_of_their_own() {
    let settings = settings("xgboost", &[("algo-1", [127, 9, 9, 1]), ("algo-2", [127, 9, 9, 2])]);
    let plan = plan(&job(&["algo-1", "algo-2"]), &gpus(0), &settings);
    assert_eq!(plan.variables["FOOTPLATE_MACHINES".as_bytes()], b"127.0.0.1:12400,127.0.0.1:12401");
}

#[test]
fn the_flag_of_parameter_servers_asks_for_what_the_images_python_has() {
    let two = flagged(job(&["algo-1", "algo-2"]), "parameter_server_enabled");
    let settings = Settings::default();
    assert_eq!(undecided(&two, &settings), ["mxnet", "tensorflow"]);
    for (found, launcher, warning) in [
        (&["tensorflow"][..], "tensorflow-ps", None),
        (&["mxnet"], "mxnet", None),
        (&["mxnet", "tensorflow"], "tensorflow-ps", Some("has mxnet and tensorflow: the launcher is tensorflow-ps;")),
        (&[], "process", Some("has neither: each host runs one process")),
    ] {
        let job = Job { frameworks: Some(found.to_vec()), ..two.clone() };
        let plan = plan(&job, &gpus(0), &settings);
        assert_eq!((plan.launcher, plan.warnings.len()), (launcher, usize::from(warning.is_some())), "{found:?}");
        assert!(plan.warnings.iter().all(|said| said.contains(warning.unwrap_or_default())), "{:?}", plan.warnings);
        // As with the toolkit, the script runs on all hosts.
        assert_eq!(plan.script_hosts, ["algo-1", "algo-2"]);
    }
    // Nothing depends on the image if another request is stronger, if there is one host, or if this host is left out.
    let named = Settings { launcher: Some("dask".to_owned()), ..Settings::default() };
    let mut left_out = two.clone();
    left_out.cluster.distribution_groups = vec!["others".to_owned()];
    for (job, settings) in [
        (two.clone(), &named),
        (flagged(two, "mpi_enabled"), &settings),
        (flagged(job(&["algo-1"]), "parameter_server_enabled"), &settings),
        (job(&["algo-1", "algo-2"]), &settings),
        (left_out, &settings),
    ] {
        assert_eq!(undecided(&job, settings), Vec::<&str>::new());
    }
}

#[test]
fn on_one_host_neither_mxnet_nor_xgboost_needs_services() {
    for engine in ["mxnet", "xgboost"] {
        let plan = plan(&job(&["algo-1"]), &gpus(0), &settings(engine, &[]));
        assert_eq!(plan.services().count(), 0, "{engine}");
    }
}
