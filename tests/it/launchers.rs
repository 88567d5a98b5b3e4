//! Launchers of the image: their exact command lines, and launches that are refused before anything starts.
//!
//! smddprun, smddpmprun, PyTorch/XLA and neuron_parallel_compile are closed or need hardware that is missing here, and
//! PyTorch is too large to install for these tests. Stand-ins record how they were called, or do what the real program does
//! with the script. Each stand-in says that it is one, by its name or its text.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::job::{Ended, Job, search_path};
use super::recorder::{Record, recorded, recording};
use super::running::{Running, nothing_survives};

/// A stand-in for the program whose name it has. It records its arguments and variables, and starts nothing.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import json, os, sys
argv = [os.path.basename(sys.argv[0])] + sys.argv[1:]
with open(os.environ["RECORD"], "w") as f:
    json.dump({"argv": argv, "cwd": os.getcwd(), "env": dict(os.environ)}, f)
"#;

/// Puts an executable on the job's `PATH`, before all others.
pub fn tool(job: Job, name: &str, text: &str) -> Job {
    let bin = job.path("bin");
    let path = format!("{}:{}", bin.display(), search_path());
    let job = job.file(&format!("bin/{name}"), text).variable("PATH", &path);
    fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).expect("made executable");
    job
}

/// Adds a stand-in for nvidia-smi that lists `count` GPUs.
fn with_gpus(job: Job, count: usize) -> Job {
    let lines: String = (0..count).map(|gpu| format!("echo 'GPU {gpu}: NVIDIA A100 (UUID: GPU-{gpu})'\n")).collect();
    tool(job, "nvidia-smi", &format!("#!/bin/sh\n{lines}"))
}

/// A job whose launchers are stand-ins that record their calls.
fn with_stand_ins(hyperparameters: &str, launchers: &[&str]) -> Job {
    let job = recorded(Job::python("print('never')")).hyperparameters(hyperparameters);
    launchers.iter().fold(job, |job, launcher| tool(job, launcher, STAND_IN))
}

fn resources(groups: Value, host: &str, group: &str, instance_type: &str) -> String {
    let hosts: Vec<&Value> =
        groups.as_array().into_iter().flatten().flat_map(|group| group["hosts"].as_array().expect("hosts")).collect();
    serde_json::json!({
        "current_host": host, "hosts": hosts, "network_interface_name": "lo", "current_group_name": group,
        "current_instance_type": instance_type, "instance_groups": groups,
    })
    .to_string()
}

/// Restricts the `PATH` of the job to Python and its stand-ins, so that nothing else of this machine is found.
fn bare(job: Job) -> Job {
    let job = job.file("bin/.keep", "");
    let bin = job.path("bin");
    let python = search_path().split(':').next().expect("a folder").to_owned() + "/python3";
    std::os::unix::fs::symlink(python, bin.join("python3")).expect("linked");
    job.variable("PATH", &bin.display().to_string())
}

/// Checks that the job is refused with all these reasons and that nothing is started.
#[track_caller]
fn refused(job: &Job, reasons: &[&str]) -> Ended {
    let ended = job.train();
    assert_eq!(ended.code(), 69, "{ended:#?}");
    assert!(reasons.iter().all(|reason| ended.failure().contains(reason)), "{reasons:?}: {ended:#?}");
    assert!(ended.stdout().is_empty() && job.read("record.json").is_none(), "something was started: {ended:#?}");
    ended
}

#[test]
fn mpirun_gets_smddprun_as_the_incumbent_calls_it() {
    for flag in ["distributed_dataparallel_enabled", "pytorch_ddp_enabled"] {
        let hyperparameters = format!(
            r#"{{"sagemaker_{flag}": "true", "lr": "0.1", "sagemaker_distributed_dataparallel_custom_mpi_options":
                "--NCCL_DEBUG INFO --verbose"}}"#
        );
        let job = with_gpus(with_stand_ins(&hyperparameters, &["mpirun", "smddprun"]), 8);
        let resources = r#"{"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}"#;
        let job = job.file("input/config/resourceconfig.json", resources).variable("AWS_SECRET_ACCESS_KEY", "hush");
        job.train().succeeded();
        let record = Record::of(&job);
        let python = search_path().split(':').next().expect("a folder").to_owned() + "/python3";
        let expected = "mpirun --host algo-1:8 -np 8 --allow-run-as-root --oversubscribe --tag-output --bind-to none --map-by slot \
                        -mca btl_tcp_if_include lo -mca oob_tcp_if_include lo -mca pml ob1 -mca btl ^openib \
                        -mca orte_abort_on_non_zero_status 1 -mca btl_vader_single_copy_mechanism none \
                        -x NCCL_DEBUG -x RDMAV_FORK_SAFE -x SMDATAPARALLEL_USE_SINGLENODE --verbose \
                        smddprun PYTHON -m mpi4py train.py --lr 0.1";
        assert_eq!(record.argv.join(" "), expected.replace("PYTHON", &python));
        assert_eq!(record.cwd, job.path("code").display().to_string());
        for (name, value) in [
            ("SMDATAPARALLEL_USE_SINGLENODE", "1"),
            ("RDMAV_FORK_SAFE", "1"),
            ("NCCL_DEBUG", "INFO"),
            ("NCCL_SOCKET_IFNAME", "lo"),
            ("SM_HP_LR", "0.1"),
        ] {
            assert_eq!(record.var(name), value, "{name}");
        }
    }
}

#[test]
fn variables_that_the_container_has_are_kept() {
    let job = with_stand_ins(r#"{"sagemaker_torch_distributed_enabled": "true"}"#, &["torchrun"]);
    let job = with_gpus(job, 2).variable("NCCL_DEBUG", "TRACE").variable("NCCL_SOCKET_IFNAME", "mine0");
    let job = job.variable("TORCHELASTIC_ERROR_FILE", "/tmp/mine.json");
    job.train().succeeded();
    let record = Record::of(&job);
    for (name, value) in [
        ("NCCL_DEBUG", "TRACE"),
        ("NCCL_SOCKET_IFNAME", "mine0"),
        ("NCCL_IB_DISABLE", "1"),
        ("TORCHELASTIC_ERROR_FILE", "/tmp/mine.json"),
    ] {
        assert_eq!(record.var(name), value, "{name}");
    }
}

#[test]
fn mpirun_gets_smddpmprun_for_model_parallel_parameters() {
    let hyperparameters = r#"{"sagemaker_mpi_enabled": "true", "mp_parameters": "{\"partitions\": 2}"}"#;
    let job = with_gpus(with_stand_ins(hyperparameters, &["mpirun", "smddpmprun"]), 2);
    job.train().succeeded();
    let record = Record::of(&job);
    let words = record.argv.join(" ");
    assert!(words.contains(" -x NCCL_ALGO -x NCCL_PROTO smddpmprun -i local --allow-bypass "), "{words}");
    assert!(words.contains("/python3 -m mpi4py train.py --mp_parameters "), "{words}");
    assert_eq!((record.var("NCCL_ALGO"), record.var("NCCL_PROTO")), ("ring", "simple"));
}

#[test]
fn xla_spawn_gets_the_script_and_the_hosts() {
    // The stand-in for torch_xla runs the script once; the real one runs it once per GPU.
    let spawn = "import runpy, sys\nsys.argv[:] = sys.argv[3:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n";
    let job = recording().hyperparameters(r#"{"sagemaker_pytorch_xla_multi_worker_enabled": "true", "lr": "0.1"}"#);
    let job = with_gpus(job, 4).file("code/torch_xla/distributed/xla_spawn.py", spawn);
    job.train().succeeded();
    let record = Record::of(&job);
    assert_eq!(record.argv, ["train.py", "--lr", "0.1"]);
    for (name, value) in [
        ("XRT_HOST_ORDINAL", "0"),
        ("XRT_SHARD_WORLD_SIZE", "1"),
        ("XRT_WORKERS", "localservice:0;algo-1:43857"),
        ("GPU_NUM_DEVICES", "4"),
    ] {
        assert_eq!(record.var(name), value, "{name}");
    }
    assert_eq!(record.get("XRT_MESH_SERVICE_ADDRESS"), None);
    // In an image without it, Python reports that the module is missing.
    let job = Job::python("print('never')");
    let job = job.hyperparameters(r#"{"sagemaker_pytorch_xla_multi_worker_enabled": "true"}"#);
    let ended = with_gpus(job, 1).train();
    let failure = ended.failure();
    assert!(failure.lines().next().is_some_and(|line| line.contains("No module named 'torch_xla'")), "{failure}");
    assert_eq!(ended.stdout(), "");
}

#[test]
fn torchrun_gets_further_arguments_and_neuron_parallel_compile() {
    let job = with_stand_ins(r#"{"lr": "0.1"}"#, &["torchrun"])
        .variable("FOOTPLATE_LAUNCHER", "torchrun")
        .variable("FOOTPLATE_TORCHRUN_ARGUMENTS", "--tee 3 --rdzv-conf 'a=1, b=2'")
        .variable("FOOTPLATE_PROCESSES_PER_HOST", "3");
    job.train().succeeded();
    let expected = [
        "torchrun",
        "--nnodes=1",
        "--nproc_per_node=3",
        "--tee",
        "3",
        "--rdzv-conf",
        "a=1, b=2",
        "train.py",
        "--lr",
        "0.1",
    ];
    assert_eq!(Record::of(&job).argv, expected);

    let job = tool(job, "neuron_parallel_compile", STAND_IN).variable("RUN_NEURON_PARALLEL_COMPILE", "1");
    job.train().succeeded();
    assert_eq!(Record::of(&job).argv[..2], ["neuron_parallel_compile", "torchrun"]);

    let job = job.variable("FOOTPLATE_TORCHRUN_ARGUMENTS", "--tee '3");
    job.train().failed(78, "settings: the variable FOOTPLATE_TORCHRUN_ARGUMENTS is \"--tee '3\", but takes words");
}

#[test]
fn a_launch_without_what_it_needs_is_refused_before_anything_starts() {
    let stand_ins = |hyperparameters: &str, launchers: &[&str]| bare(with_stand_ins(hyperparameters, launchers));
    let asks = |flag: &str| format!(r#"{{"sagemaker_{flag}_enabled": "true"}}"#);
    refused(
        &bare(with_gpus(with_stand_ins(&asks("distributed_dataparallel"), &["mpirun"]), 8)),
        &["smdistributed data parallel", "smddprun is not on PATH", "FOOTPLATE_LAUNCHER=torchrun"],
    );
    refused(
        &stand_ins(&asks("distributed_dataparallel"), &["mpirun", "smddprun"]),
        &["smdistributed data parallel", "this host has no GPU"],
    );
    refused(
        &bare(with_gpus(with_stand_ins(&asks("distributed_dataparallel"), &["smddprun"]), 8)),
        &["mpirun is not on PATH: install Open MPI"],
    );
    refused(&stand_ins(&asks("mpi"), &[]), &["the job asks for MPI, and mpirun is not on PATH"]);
    refused(&stand_ins(&asks("torch_distributed"), &[]), &["torchrun", "neither on PATH nor beside Python"]);
    refused(&stand_ins(&asks("pytorch_xla_multi_worker"), &[]), &["PyTorch/XLA", "this host has no GPU"]);

    let neuron = stand_ins(&asks("torch_distributed"), &["torchrun"]).variable("RUN_NEURON_PARALLEL_COMPILE", "1");
    refused(&neuron, &["RUN_NEURON_PARALLEL_COMPILE is 1, but neuron_parallel_compile is not on PATH"]);

    let package = stand_ins(&asks("torch_distributed"), &["torchrun"]);
    let package = package.file("code/setup.py", "from setuptools import setup\nsetup(name='train')\n");
    let package = package.variable("FOOTPLATE_REQUIREMENTS", "off");
    refused(&package, &["torchrun cannot run train.py, which is a package to be installed"]);
    let shell = stand_ins(&asks("torch_distributed"), &["torchrun"]).file("code/train.sh", "echo never\n");
    let shell = shell.variable("SAGEMAKER_PROGRAM", "train.sh");
    refused(&shell, &["torchrun cannot run train.sh, which is no Python script"]);

    let resources = r#"{"current_host": "a", "hosts": ["a"], "current_instance_type": "ml.p4d.24xlarge"}"#;
    let unseen = stand_ins("{}", &[]).file("input/config/resourceconfig.json", resources);
    let unseen = unseen.variable("FOOTPLATE_LAUNCHER", "per-gpu").variable("FOOTPLATE_PROCESSES_PER_HOST", "8");
    if fs::metadata("/dev/nvidia0").is_err() {
        refused(&unseen, &["ml.p4d.24xlarge has 8 GPUs, and none is seen in this container: run it with --gpus all"]);
    }
}

/// A job with two instance groups, `data` and `train`, whose distribution is for `train` only.
fn heterogeneous(host: &str, group: &str, instance_type: &str) -> Job {
    let groups = serde_json::json!([
        {"instance_group_name": "data", "instance_type": "ml.c5.xlarge", "hosts": ["algo-1", "algo-4"]},
        {"instance_group_name": "train", "instance_type": "ml.g5.12xlarge", "hosts": ["algo-3", "algo-2"]},
    ]);
    let hyperparameters = r#"{"sagemaker_torch_distributed_enabled": "true",
                              "sagemaker_distribution_instance_groups": "[\"train\"]", "lr": "0.1"}"#;
    let job = recording().hyperparameters(hyperparameters).variable("FOOTPLATE_CLUSTER_PORT", "off");
    let job = tool(job, "torchrun", STAND_IN);
    job.file("input/config/resourceconfig.json", resources(groups, host, group, instance_type))
}

#[test]
fn a_distribution_starts_only_on_the_groups_it_was_requested_for() {
    let job = with_gpus(heterogeneous("algo-2", "train", "ml.g5.12xlarge"), 4);
    job.train().succeeded();
    let words = Record::of(&job).argv.join(" ");
    let expected = "torchrun --nnodes=2 --nproc_per_node=4 --master_addr=algo-3 --master_port=7777 --node_rank=1 \
                    train.py --lr 0.1";
    assert_eq!(words, expected);
    for job in [
        heterogeneous("algo-4", "data", "ml.c5.xlarge"),
        // The setting applies to the whole job, but only hosts of the requested groups use it.
        heterogeneous("algo-4", "data", "ml.c5.xlarge").variable("FOOTPLATE_LAUNCHER", "torchrun"),
    ] {
        job.train().succeeded();
        assert_eq!(Record::of(&job).argv, ["train.py", "--lr", "0.1"]);
        nothing_survives(&job);
    }
}

/// A script that prints its rank and the world size, or `-`, and fails if `FAILING` is its rank.
const PLACE: &str = "import os, time\n\
                     place = [os.environ.get(name, '-') for name in ('RANK', 'WORLD_SIZE')]\n\
                     print(*place)\n\
                     if place[0] == os.environ.get('FAILING'): raise ValueError('bad data')\n\
                     if 'FAILING' in os.environ: time.sleep(600)\n";

#[test]
fn hosts_of_all_groups_run_together_and_fail_together() {
    // Two ranks on each host of the group `train`, and one process on each host of the group `data`.
    let process = std::process::id();
    let address = |n: usize| format!("algo-{n}=127.{}.{}.{n}", 64 + (process >> 8) % 128, process % 256);
    let addresses: Vec<String> = (1..=4).map(address).collect();
    let places = [("algo-1", "data"), ("algo-2", "train"), ("algo-3", "train"), ("algo-4", "data")];
    for failing in [None, Some("3")] {
        let jobs = places.map(|(host, group)| {
            let instance_type = if group == "data" { "ml.c5.xlarge" } else { "ml.g5.12xlarge" };
            let job = with_gpus(heterogeneous(host, group, instance_type), 4).file("code/train.py", PLACE);
            let job = job.without("FOOTPLATE_CLUSTER_PORT").variable("FOOTPLATE_HOST_ADDRESSES", &addresses.join(","));
            let job = job.variable("FOOTPLATE_LAUNCHER", "per-gpu").variable("FOOTPLATE_PROCESSES_PER_HOST", "2");
            failing.iter().fold(job, |job, rank| job.variable("FAILING", rank))
        });
        let running: Vec<Running> = jobs.iter().map(|job| Running::start(job, ["train"])).collect();
        // Ranks follow the order of the group's hosts, so algo-3 has the first ones.
        let expected =
            [&["- -"][..], &["[algo-2:2] 2 4", "[algo-2:3] 3 4"], &["[algo-3:0] 0 4", "[algo-3:1] 1 4"], &["- -"]];
        for ((job, running), expected) in jobs.iter().zip(running).zip(expected) {
            let ended = running.end(job);
            match failing {
                None => {
                    let ended = ended.succeeded();
                    let mut lines: Vec<String> = ended.stdout().lines().map(str::to_owned).collect();
                    lines.sort_unstable();
                    assert_eq!(lines, expected);
                }
                Some(_) => {
                    let ended = ended.failed(1, "ValueError: bad data\nat train.py:4\n");
                    assert!(ended.failure().contains("host algo-2, rank 3, exit code 1"), "{}", ended.failure());
                }
            }
            nothing_survives(job);
        }
    }
}

#[test]
fn plan_shows_every_host_and_rank() {
    let job = heterogeneous("algo-4", "data", "ml.c5.xlarge");
    let stdout = job.run(["plan"]).stdout();
    let lines = |host: &str| -> Vec<String> {
        let block =
            stdout.split("\n\n").find(|block| block.contains(&format!("host         {host}\n"))).expect("a block");
        block.lines().map(str::to_owned).collect()
    };
    let order: Vec<&str> = stdout.lines().filter_map(|line| line.strip_prefix("host         ")).collect();
    assert_eq!(order, ["algo-3", "algo-2", "algo-1", "algo-4"], "{stdout}");
    for (host, line) in [
        ("algo-3", "ranks        0-3 of 8"),
        ("algo-2", "ranks        4-7 of 8"),
        ("algo-2", "launcher     torchrun"),
        ("algo-2", "instance     ml.g5.12xlarge"),
        ("algo-2", "variable     NCCL_IB_DISABLE=1"),
        ("algo-4", "launcher     process"),
        ("algo-1", "launcher     process"),
    ] {
        assert!(lines(host).iter().any(|found| found == line), "{line}: {stdout}");
    }
    let json: Value = serde_json::from_str(&job.run(["plan", "--json"]).stdout()).expect("JSON");
    assert_eq!((&json["host"], &json["launcher"]), (&"algo-4".into(), &"process".into()));
    assert_eq!(json["hosts"].as_array().expect("hosts").len(), 4);
    assert_eq!(json["hosts"][1]["ranks"], serde_json::json!([4, 5, 6, 7]));
    assert_eq!(json["hosts"][1]["world_size"], 8);
    let words = json["hosts"][0]["arguments"].as_array().expect("words");
    assert!(words.contains(&"--node_rank=0".into()), "{words:?}");

    let job = job.variable("FOOTPLATE_LAUNCHER", "per-gpu");
    let json: Value = serde_json::from_str(&job.run(["plan", "--json"]).stdout()).expect("JSON");
    assert_eq!(json["hosts"][1]["processes"], 4);
    assert_eq!(json["hosts"][1]["variables_of_ranks"]["7"]["WORLD_SIZE"], "8");
    assert!(json["warnings"][0].as_str().expect("a warning").contains("instance groups train"), "{json:#}");
    assert!(job.read("record.json").is_none(), "plan runs nothing");

    let job = heterogeneous("algo-4", "data", "ml.c5.xlarge").variable("FOOTPLATE_LAUNCHER", "smddp");
    let json: Value = serde_json::from_str(&job.run(["plan", "--json"]).stdout()).expect("JSON");
    assert!(json["hosts"][0]["refused"].as_str().expect("a reason").contains("smddprun"), "{json:#}");
}
