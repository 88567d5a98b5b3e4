use std::path::PathBuf;

use super::{Entry, Facts, Image, LaunchPlan, plan};
use crate::code::EntryKind;
use crate::config;
use crate::hardware::Hardware;
use crate::job::{Drivers, Job, Paths, Variables};
use crate::python::{Value, parse};
use crate::settings::{Launcher, Settings};

fn job(hosts: &[&str]) -> Job {
    let mut job = config::without_files(Paths::under("/opt/ml"), &Variables::default()).job;
    job.cluster.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    job.cluster.current_host = hosts.last().map_or_else(String::new, |host| (*host).to_owned());
    job
}

fn entry(kind: EntryKind, name: &str) -> Entry {
    let module = name.trim_end_matches(".py").to_owned();
    Entry::File { kind, name: name.to_owned(), module, is_executable: name != "plain.sh" }
}

fn planned(job: &Job, hardware: &Hardware, entry: &Entry) -> Result<LaunchPlan, String> {
    planned_with(job, hardware, &Settings::default(), entry)
}

fn planned_with(job: &Job, hardware: &Hardware, settings: &Settings, entry: &Entry) -> Result<LaunchPlan, String> {
    let image = Image {
        python: Some(PathBuf::from("/usr/bin/python3")),
        torchrun: Some(PathBuf::from("/usr/bin/torchrun")),
        mpirun: Some(PathBuf::from("/usr/bin/mpirun")),
        neuron_parallel_compile: None,
    };
    let arguments = [b"--lr".to_vec(), b"1".to_vec()];
    let facts = Facts { job, settings, hardware, image: &image, entry, arguments: &arguments };
    plan(&facts).map_err(|error| error.to_string())
}

fn command(plan: &LaunchPlan) -> String {
    let words: Vec<_> = plan.arguments.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    words.join(" ")
}

#[test]
fn each_kind_of_entry_has_its_command() {
    let job = job(&["algo-1"]);
    for (entry, program, expected) in [
        (entry(EntryKind::PythonScript, "sub/train.py"), "/usr/bin/python3", "/usr/bin/python3 sub/train.py --lr 1"),
        (entry(EntryKind::PythonPackage, "train.py"), "/usr/bin/python3", "/usr/bin/python3 -m train --lr 1"),
        (entry(EntryKind::ShellScript, "run/me.sh"), "./run/me.sh", "./run/me.sh --lr 1"),
        (entry(EntryKind::ShellScript, "plain.sh"), "/bin/sh", "/bin/sh ./plain.sh --lr 1"),
        (Entry::ShellCommand("a && b".to_owned()), "/bin/sh", "/bin/sh -c a && b"),
    ] {
        let plan = planned(&job, &Hardware::default(), &entry).expect("a plan");
        assert_eq!((plan.program.to_str(), command(&plan)), (Some(program), expected.to_owned()));
        assert_eq!(plan.working_dir, PathBuf::from("/opt/ml/code"));
    }
    let function = Entry::Function { module: "pkg.training".to_owned(), function: "main".to_owned() };
    let plan = planned(&job, &Hardware::default(), &function).expect("a plan");
    assert!(command(&plan).ends_with(" pkg.training main"), "{}", command(&plan));
}

#[test]
fn idle_gpus_are_pointed_out() {
    let hardware = Hardware { gpus: 4, ..Hardware::default() };
    let plan = planned(&job(&["algo-1"]), &hardware, &entry(EntryKind::PythonScript, "train.py")).expect("a plan");
    assert_eq!(plan.warnings.len(), 1);
    assert!(plan.warnings[0].contains("4 GPUs") && plan.warnings[0].contains("FOOTPLATE_LAUNCHER=per-gpu"));
}

#[test]
fn torchrun_spans_all_hosts_and_gpus() {
    let mut job = job(&["algo-1", "algo-10", "algo-2"]);
    let Ok(Value::Dict(distributed)) = parse(r#"{"process_count_per_node": null, "smp": null}"#) else { panic!() };
    job.drivers = Some(Drivers {
        entry_script: Some("train.py".to_owned()),
        distributed: Some(distributed),
        ..Drivers::default()
    });
    let hardware = Hardware { gpus: 8, ..Hardware::default() };
    let plan = planned(&job, &hardware, &entry(EntryKind::PythonScript, "train.py")).expect("a plan");
    assert_eq!(
        command(&plan),
        "torchrun --nnodes=3 --nproc_per_node=8 --master_addr=algo-1 --master_port=7777 --node_rank=2 train.py --lr 1"
    );
    let error = planned(&job, &hardware, &entry(EntryKind::PythonPackage, "train.py")).expect_err("a package");
    assert!(error.starts_with("torchrun cannot run train.py"), "{error}");
}

#[test]
fn each_gpu_of_each_host_gets_a_rank_with_the_variables_of_torchrun() {
    let hosts: Vec<String> = (1..=13).map(|n| format!("algo-{n}")).collect();
    let job = job(&hosts.iter().map(String::as_str).collect::<Vec<_>>());
    let hardware = Hardware { gpus: 8, ..Hardware::default() };
    let settings = Settings { launcher: Some(Launcher::PerGpu), ..Settings::default() };
    let script = entry(EntryKind::PythonScript, "train.py");
    let plan = planned_with(&job, &hardware, &settings, &script).expect("a plan");
    assert_eq!(command(&plan), "/usr/bin/python3 train.py --lr 1");
    let ranks: Vec<usize> = plan.ranks.iter().map(|rank| rank.rank).collect();
    assert_eq!(ranks, (96..104).collect::<Vec<_>>());
    let variable =
        |rank: usize, name: &str| String::from_utf8_lossy(&plan.ranks[rank].variables[name.as_bytes()]).into_owned();
    for (name, value) in [
        ("RANK", "103"),
        ("LOCAL_RANK", "7"),
        ("WORLD_SIZE", "104"),
        ("LOCAL_WORLD_SIZE", "8"),
        ("GROUP_RANK", "12"),
        ("GROUP_WORLD_SIZE", "13"),
        ("MASTER_ADDR", "algo-1"),
        ("MASTER_PORT", "7777"),
        ("TORCHELASTIC_USE_AGENT_STORE", "False"),
        ("OMP_NUM_THREADS", "1"),
    ] {
        assert_eq!(variable(7, name), value, "{name}");
    }
    let error = planned_with(&job, &Hardware::default(), &settings, &script).expect_err("no GPU");
    assert!(error.contains("this host has no GPU") && error.contains("FOOTPLATE_PROCESSES_PER_HOST"), "{error}");
    let settings = Settings { processes_per_host: Some(2), ..settings };
    assert_eq!(planned_with(&job, &Hardware::default(), &settings, &script).expect("a plan").ranks.len(), 2);
}

#[test]
fn what_cannot_be_launched_is_refused_and_never_becomes_one_process() {
    for (flag, word) in [("pytorch_ddp_enabled", "pytorch_ddp"), ("pytorch_xla_multi_worker_enabled", "XLA")] {
        let mut job = job(&["algo-1"]);
        job.framework_parameters.set(format!("sagemaker_{flag}"), true);
        job.cluster.distribution_groups = vec![job.cluster.current_group.clone()];
        let error = planned(&job, &Hardware::default(), &entry(EntryKind::PythonScript, "train.py")).expect_err(flag);
        assert!(error.contains(word), "{error}");
        // The flag is for another group: this host runs one process.
        job.cluster.distribution_groups = vec!["other".to_owned()];
        assert!(planned(&job, &Hardware::default(), &entry(EntryKind::PythonScript, "train.py")).is_ok());
    }
}
