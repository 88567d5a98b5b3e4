//! The engines of frameworks: JAX, TensorFlow, DeepSpeed and Accelerate.

use std::net::IpAddr;

use super::{command, flagged, gpus, grouped, job, numbers, planned_in, planned_with, script, variables};
use crate::job::Job;
use crate::job::settings::Settings;
use crate::launch::{ENGINES, Image, LaunchPlan, PythonModule, StopTarget, choose};

fn settings(launcher: &str) -> Settings {
    Settings { launcher: Some(launcher.to_owned()), ..Settings::default() }
}

/// Returns settings that give the hosts addresses of this machine, as `footplate local` does.
fn local(launcher: &str, job: &Job) -> Settings {
    let address = |n: usize| IpAddr::from([127, 70, 1, u8::try_from(n).expect("few hosts")]);
    let hosts = job.cluster.hosts.iter().enumerate();
    Settings { host_addresses: hosts.map(|(n, host)| (host.clone(), address(n + 1))).collect(), ..settings(launcher) }
}

/// Returns a variable of the host's processes, or of one of them.
fn value(plan: &LaunchPlan, process: usize, name: &str) -> Option<String> {
    let own = plan.processes[process].command.variables.get(name.as_bytes());
    own.or_else(|| plan.variables.get(name.as_bytes())).map(|value| String::from_utf8_lossy(value).into_owned())
}

#[test]
fn jax_starts_a_process_for_each_gpu_or_one_per_host() {
    let job = job(&["algo-1", "algo-2", "algo-3"]);
    let plan = planned_with(&job, &gpus(0), &settings("jax"), &script()).expect("a plan");
    assert_eq!((command(&plan).as_str(), numbers(&plan)), ("/usr/bin/python3 train.py --lr 1", vec![2]));
    for (name, expected) in [
        ("JAX_COORDINATOR_ADDRESS", Some("algo-1:7777")),
        ("JAX_COORDINATOR_BIND_ADDRESS", None),
        ("JAX_NUM_PROCESSES", Some("3")),
        ("JAX_PROCESS_ID", Some("2")),
        ("OMPI_COMM_WORLD_SIZE", Some("3")),
        ("OMPI_COMM_WORLD_RANK", Some("2")),
        ("OMPI_COMM_WORLD_LOCAL_RANK", Some("0")),
        ("JAX_LOCAL_DEVICE_IDS", None),
        ("no_grpc_proxy", None),
    ] {
        assert_eq!(value(&plan, 0, name).as_deref(), expected, "{name}");
    }

    let plan = planned_with(&job, &gpus(4), &settings("jax"), &script()).expect("a plan");
    assert_eq!(numbers(&plan), [8, 9, 10, 11]);
    assert_eq!(value(&plan, 3, "JAX_PROCESS_ID").as_deref(), Some("11"));
    assert_eq!(value(&plan, 3, "JAX_LOCAL_DEVICE_IDS").as_deref(), Some("3"));
}

#[test]
fn processes_of_jax_share_the_gpus_of_their_host_equally() {
    let job = job(&["algo-1"]);
    let with = |count| Settings { processes_per_host: Some(count), ..settings("jax") };
    for (count, shares) in [(1, &["0,1,2,3"][..]), (2, &["0,1", "2,3"]), (4, &["0", "1", "2", "3"])] {
        let plan = planned_with(&job, &gpus(4), &with(count), &script()).expect("a plan");
        let found: Vec<_> = (0..count).filter_map(|process| value(&plan, process, "JAX_LOCAL_DEVICE_IDS")).collect();
        assert_eq!(found, shares);
    }
    let error = planned_with(&job, &gpus(4), &with(3), &script()).expect_err("no equal shares");
    assert!(error.ends_with("set FOOTPLATE_PROCESSES_PER_HOST to a divisor of 4"), "{error}");
}

#[test]
fn jax_listens_on_one_address_if_all_hosts_are_on_this_machine() {
    let single = job(&["algo-1"]);
    let plan = planned_with(&single, &gpus(0), &settings("jax"), &script()).expect("a plan");
    let both = |plan: &LaunchPlan| ["", "_BIND"].map(|part| value(plan, 0, &format!("JAX_COORDINATOR{part}_ADDRESS")));
    assert_eq!(both(&plan), [0, 1].map(|_| Some("127.0.0.1:7777".to_owned())));
    let several = job(&["algo-1", "algo-2"]);
    let plan = planned_with(&several, &gpus(0), &local("jax", &several), &script()).expect("a plan");
    assert_eq!(both(&plan), [0, 1].map(|_| Some("127.70.1.1:7777".to_owned())));
}

#[test]
fn tensorflow_gets_all_workers_at_the_toolkits_port() {
    let config = |plan: &LaunchPlan| -> serde_json::Value {
        serde_json::from_str(&value(plan, 0, "TF_CONFIG").expect("TF_CONFIG")).expect("JSON")
    };
    let several = job(&["algo-1", "algo-10", "algo-2"]);
    let plan = planned_with(&several, &gpus(8), &settings("tensorflow"), &script()).expect("a plan");
    assert_eq!((plan.processes.len(), plan.warnings.len()), (1, 0));
    let expected = serde_json::json!({
        "cluster": {"worker": ["algo-1:8890", "algo-10:8890", "algo-2:8890"]},
        "environment": "cloud",
        "task": {"index": 2, "type": "worker"},
    });
    assert_eq!(config(&plan), expected);

    // Workers listen on all addresses, so different addresses alone do not separate workers on one machine.
    let plan = planned_with(&several, &gpus(0), &local("tensorflow", &several), &script()).expect("a plan");
    let workers = serde_json::json!(["127.70.1.1:8890", "127.70.1.2:8891", "127.70.1.3:8892"]);
    assert_eq!(config(&plan)["cluster"]["worker"], workers);

    let plan = planned_with(&job(&["algo-1"]), &gpus(0), &settings("tensorflow"), &script()).expect("a plan");
    assert_eq!(config(&plan)["cluster"]["worker"], serde_json::json!(["127.0.0.1:8890"]));
}

#[test]
fn the_flag_of_multi_worker_mirrored_gives_way_to_mpi_alone() {
    let chosen = |job: &Job| choose(job, &Settings::default()).expect("an engine").name;
    let job = flagged(job(&["algo-1", "algo-2"]), "multi_worker_mirrored_strategy_enabled");
    assert_eq!(chosen(&job), "tensorflow");
    let job = flagged(job, "torch_distributed_enabled");
    assert_eq!(chosen(&job), "tensorflow");
    assert_eq!(chosen(&flagged(job, "mpi_enabled")), "mpi");
}

#[test]
fn a_proxy_is_not_asked_for_the_hosts_of_the_job() {
    use super::{LaunchInput, image, plan};
    use crate::job::Variables;
    let job = job(&["algo-1", "algo-2"]);
    for (given, expected) in [
        (&[][..], None),
        (&[("no_proxy", "mine")], None),
        (&[("https_proxy", "http://proxy")], Some("no_grpc_proxy=algo-1,algo-2")),
        (&[("http_proxy", "http://proxy"), ("no_proxy", "mine,.too")], Some("no_grpc_proxy=mine,.too,algo-1,algo-2")),
    ] {
        let input = LaunchInput {
            job: &job,
            settings: &settings("tensorflow"),
            variables: &given.iter().copied().collect::<Variables>(),
            hardware: &gpus(0),
            image: &image(&[]),
            entry: &script(),
            arguments: &[],
            token: "",
        };
        let found =
            variables(&plan(&input).expect("a plan")).into_iter().find(|pair| pair.starts_with("no_grpc_proxy"));
        assert_eq!(found.as_deref(), expected);
    }
}

#[test]
fn engines_of_frameworks_name_the_module_that_they_need() {
    let modules: Vec<(&str, PythonModule)> =
        ENGINES.iter().flat_map(|engine| engine.modules.iter().map(|module| (engine.name, *module))).collect();
    for name in ["jax", "tensorflow", "deepspeed", "accelerate"] {
        assert!(modules.iter().any(|(engine, module)| *engine == name && module.name == name), "{name}");
    }
}

#[test]
fn deepspeed_starts_ranks_itself_unless_its_launcher_gets_arguments() {
    let job = job(&["algo-1", "algo-2"]);
    let plan = planned_with(&job, &gpus(2), &settings("deepspeed"), &script()).expect("a plan");
    assert_eq!(
        (command(&plan).as_str(), numbers(&plan)),
        ("/usr/bin/python3 train.py --local_rank=0 --lr 1", vec![2, 3])
    );
    for (name, expected) in [
        ("RANK", "3"),
        ("LOCAL_RANK", "1"),
        ("WORLD_SIZE", "4"),
        ("LOCAL_SIZE", "2"),
        ("CROSS_RANK", "1"),
        ("CROSS_SIZE", "2"),
        ("MASTER_ADDR", "algo-1"),
    ] {
        assert_eq!(value(&plan, 1, name).as_deref(), Some(expected), "{name}");
    }
    let with = |word: &str| Settings { deepspeed_arguments: vec![word.to_owned()], ..settings("deepspeed") };
    let plan = planned_with(&job, &gpus(2), &with("--no_local_rank"), &script()).expect("a plan");
    assert_eq!(command(&plan), "/usr/bin/python3 train.py --lr 1");

    let plan = planned_with(&job, &gpus(2), &with("--bind_cores_to_rank"), &script()).expect("a plan");
    assert_eq!(
        command(&plan),
        "/usr/bin/python3 -m deepspeed.launcher.launch --world_info=eyJhbGdvLTEiOiBbMCwgMV0sICJhbGdvLTIiOiBbMCwgMV19 \
         --node_rank=1 --master_addr=algo-1 --master_port=7777 --bind_cores_to_rank train.py --lr 1"
    );
    assert_eq!((plan.processes.len(), plan.processes[0].stop), (1, StopTarget::Ranks));
}

#[test]
fn accelerate_gets_hosts_and_ranks_and_obeys_the_users_configuration() {
    let job = job(&["algo-1", "algo-2"]);
    let begin = "/usr/bin/python3 -m accelerate.commands.launch --num_machines=2 --num_processes=4 --machine_rank=1 \
                 --main_process_port=7777 --main_process_ip=algo-1 --rdzv_backend=static --same_network \
                 --deepspeed_multinode_launcher=standard ";
    let with = |words: &[&str]| Settings {
        accelerate_arguments: words.iter().map(|word| (*word).to_owned()).collect(),
        ..settings("accelerate")
    };
    for (words, expected) in [
        (&[][..], "--multi_gpu --mixed_precision=no --dynamo_backend=no train.py --lr 1"),
        (&["--mixed_precision=bf16"], "--multi_gpu --dynamo_backend=no --mixed_precision=bf16 train.py --lr 1"),
        (&["--config_file", "mine.yaml"], "--config_file mine.yaml train.py --lr 1"),
        (&["--use_fsdp"], "--use_fsdp train.py --lr 1"),
    ] {
        let plan = planned_with(&job, &gpus(2), &with(words), &script()).expect("a plan");
        assert_eq!(command(&plan), format!("{begin}{expected}"));
        assert_eq!(plan.processes[0].stop, StopTarget::Ranks);
    }

    let image = |name: &'static str| super::image(&[(name, "/root/.cache/huggingface/accelerate/default_config.yaml")]);
    let in_image = |image: Image, words: &[&str]| planned_in(&image, &job, &gpus(2), &with(words), &script());
    let plan = in_image(image("accelerate/default_config.yaml"), &[]).expect("a plan");
    assert_eq!(command(&plan), format!("{begin}train.py --lr 1"));
    let submitting = || image("accelerate/default_config.yaml that submits a job");
    let error = in_image(submitting(), &[]).expect_err("it would submit a job");
    assert!(error.contains("by which accelerate would submit a new job: remove it"), "{error}");
    in_image(submitting(), &["--config_file=mine.yaml"]).expect("another file");

    let single = super::job(&["algo-1"]);
    let plan = planned_with(&single, &gpus(1), &settings("accelerate"), &script()).expect("a plan");
    assert_eq!(
        command(&plan),
        "/usr/bin/python3 -m accelerate.commands.launch --num_machines=1 --num_processes=1 --machine_rank=0 \
         --main_process_port=7777 --mixed_precision=no --dynamo_backend=no train.py --lr 1"
    );
}

#[test]
fn accelerate_refuses_hosts_with_different_counts() {
    let mut job = grouped(
        job(&["algo-1", "algo-2"]),
        &[("a", "ml.g5.12xlarge", &["algo-1"]), ("b", "ml.p4d.24xlarge", &["algo-2"])],
    );
    job.cluster.distribution_groups = vec!["a".to_owned(), "b".to_owned()];
    let error = planned_with(&job, &gpus(8), &settings("accelerate"), &script()).expect_err("4 and 8");
    assert!(error.contains("the same number of ranks on every host (algo-1: 4, algo-2: 8)"), "{error}");
}
