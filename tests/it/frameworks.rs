//! Frameworks whose processes find each other by variables: a real JAX on several hosts, and frameworks that are missing.

use std::path::PathBuf;

use super::hosts::Hosts;
use super::job::{Job, search_path};
use super::kept;
use super::recorder::{Record, recording};

/// Returns a virtual environment with JAX.
fn jax() -> PathBuf {
    kept::environment(&["jax"])
}

/// Gives a job the Python of a virtual environment.
fn with_environment(job: Job, folder: &std::path::Path) -> Job {
    job.variable("PATH", &format!("{}/bin:{}", folder.display(), search_path()))
}

/// Returns hosts with processes of a real JAX. The script begins with a sum over all processes, which each of them prints.
fn hosts_of_jax(count: usize, per_host: usize, script: &str) -> Hosts {
    let begin = "import jax, os, signal, time\njax.distributed.initialize()\n\
                 from jax.experimental import multihost_utils\n\
                 rank, size = jax.process_index(), jax.process_count()\n\
                 def total(): return int(multihost_utils.process_allgather(jax.numpy.array([rank])).sum())\n\
                 print(total(), 'of', size, flush=True)\n";
    let hosts = Hosts::new(count, &format!("{begin}{script}"))
        .variable("FOOTPLATE_LAUNCHER", "jax")
        .variable("FOOTPLATE_PROCESSES_PER_HOST", &per_host.to_string());
    let environment = jax();
    Hosts { jobs: hosts.jobs.into_iter().map(|job| with_environment(job, &environment)).collect() }
}

#[test]
fn processes_of_jax_compute_with_those_of_all_hosts() {
    let hosts = hosts_of_jax(2, 2, "");
    for (n, ended) in hosts.train().into_iter().enumerate() {
        let stdout = ended.succeeded().stdout();
        let mut lines: Vec<&str> = stdout.lines().filter(|line| !line.contains("[Gloo]")).collect();
        lines.sort_unstable();
        let expected = [2 * n, 2 * n + 1].map(|rank| format!("[algo-{}:{rank}] 6 of 4", n + 1));
        assert_eq!(lines, expected);
    }
}

#[test]
fn a_framework_that_python_lacks_is_refused_before_anything_starts() {
    let empty = kept::environment(&[]);
    for (launcher, module) in [("jax", "jax"), ("tensorflow", "tensorflow")] {
        let job = with_environment(recording(), &empty).variable("FOOTPLATE_LAUNCHER", launcher);
        let problem = format!("the launcher {launcher} needs the Python module {module}, which ");
        let ended = job.train().failed(69, &problem);
        assert!(ended.failure().contains("requirements.txt"), "{}", ended.failure());
        assert!(job.read("record.json").is_none(), "the script was started");

        let said = |job: &Job, mark: &str| {
            let ended = job.run(["check"]);
            assert!(ended.stdout().contains(&format!("{mark} module         {problem}")), "{ended:#?}");
            ended.code()
        };
        assert_eq!(said(&job, "FAIL "), 1);
        // The requirements may bring it.
        let job = job.file("code/requirements.txt", module);
        assert_eq!(said(&job, "warn "), 0);

        // A module of the job's own code is one, too.
        let job = with_environment(recording(), &empty).variable("FOOTPLATE_LAUNCHER", launcher);
        let job = job.file(&format!("code/{module}.py"), "raise ImportError('nobody imports it')");
        job.train().succeeded();
        assert_eq!(Record::of(&job).argv, ["train.py"]);
    }
}

#[test]
fn tensorflow_finds_its_workers_in_tf_config() {
    let job = recording().file("code/tensorflow.py", "");
    let job = job
        .hyperparameters(r#"{"sagemaker_multi_worker_mirrored_strategy_enabled": "true"}"#)
        .file("input/config/resourceconfig.json", r#"{"current_host": "algo-1", "hosts": ["algo-1"]}"#);
    job.train().succeeded();
    let config: serde_json::Value = serde_json::from_str(Record::of(&job).var("TF_CONFIG")).expect("JSON");
    assert_eq!(config["cluster"]["worker"], serde_json::json!(["127.0.0.1:8890"]));
    // The user's own value is stronger.
    let job = job.variable("TF_CONFIG", "{}");
    job.train().succeeded();
    assert_eq!(Record::of(&job).var("TF_CONFIG"), "{}");
}
