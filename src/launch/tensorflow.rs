//! TensorFlow's multi-worker mirrored strategy: the script runs on each host, and TF_CONFIG names the workers.
//!
//! The strategy waits for all workers by itself. The layout and the port are those of sagemaker-tensorflow-training 20.4.1.

use super::engine::{Engine, Flag, PythonModule, Services, locate_nothing, nothing_further};
use super::error::LaunchError;
use super::input::LaunchInput;
use super::network::LOOPBACK;
use super::plan::{EndTraits, LaunchPlan, ProcessPlan, ProcessRole};
use super::ports::{self, ListeningPort};
use super::process;
use crate::job::Job;
use crate::job::settings::Settings;
use crate::prepare::environment::registry::Variable;

/// The engine that runs the script as a worker on each host.
pub(super) static TENSORFLOW: Engine = Engine {
    name: "tensorflow",
    title: "tensorflow",
    summary: "one process per host, with TF_CONFIG for `MultiWorkerMirroredStrategy`",
    needs: "TensorFlow",
    script: "`tf.distribute.MultiWorkerMirroredStrategy()`",
    flags: &[Flag::of_engine("multi_worker_mirrored_strategy_enabled", 12)],
    variables: &[Variable::new(
        TF_CONFIG,
        "The workers, at port 8890 of each host, and the number of this one, under `tensorflow`.",
    )],
    modules: &[PythonModule { name: "tensorflow", package: "tensorflow" }],
    spans_hosts: true,
    needs_all_hosts: true,
    starts_ranks_of_other_hosts: false,
    services: Services::None,
    ports: listening_ports,
    task_log: None,
    locate: locate_nothing,
    further_profile: nothing_further,
    plan,
};

/// The variable that names the cluster and the task of a process in it.
pub const TF_CONFIG: &str = "TF_CONFIG";

/// The port of each worker.
const PORT: u16 = 8890;

fn listening_ports(job: &Job, settings: &Settings) -> Vec<ListeningPort> {
    vec![ports::of_each_host(job, settings, PORT, 1)]
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let nodes = input.job.nodes();
    let node_rank = input.job.node_rank();
    let shares_machine = input.shares_machine();
    let address = |(n, host): (usize, &String)| {
        let host = if nodes.len() == 1 { LOOPBACK.to_owned() } else { input.reach(host) };
        format!("{host}:{}", ports::number(shares_machine, n, PORT, 1))
    };
    let workers: Vec<String> = nodes.iter().enumerate().map(address).collect();
    let config = serde_json::json!({
        "cluster": {"worker": workers},
        "environment": "cloud",
        "task": {"index": node_rank, "type": "worker"},
    });
    let mut variables = input.network_variables();
    variables.extend(input.grpc_variables());
    variables.insert(TF_CONFIG.into(), config.to_string().into());
    let mut warnings: Vec<String> = input.unseen_gpus().into_iter().collect();
    if input.settings.processes_per_host.is_some_and(|count| count > 1) {
        warnings.push(
            "FOOTPLATE_PROCESSES_PER_HOST is ignored: under tensorflow, one process has all GPUs of its host".into(),
        );
    }
    let command = process::command(input)?;
    Ok(LaunchPlan {
        processes: vec![ProcessPlan::of_script(ProcessRole::Script { node_rank }, command)],
        variables,
        span: Some(input.span_of_one()),
        end_traits: EndTraits {
            outlives_traceback: false,
            notices_stop_by: Some(
                "MultiWorkerMirroredStrategy swallows SIGTERM: a script notices it by PreemptionCheckpointHandler, or by a \
                 handler that it sets after it has made the strategy",
            ),
            ..EndTraits::default()
        },
        warnings,
        ..LaunchPlan::new(TENSORFLOW.name, input)
    })
}

/// Returns the tasks of a cluster by the names that TensorFlow's errors use, each with the address of its host.
/// `config` is the value of TF_CONFIG, which the user may have set.
pub fn tasks_of_cluster(config: &str) -> Vec<(String, String)> {
    let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    let jobs = config["cluster"].as_object().into_iter().flatten();
    let tasks = jobs.flat_map(|(job, addresses)| {
        addresses.as_array().into_iter().flatten().enumerate().filter_map(move |(index, address)| {
            let (host, _) = address.as_str()?.rsplit_once(':')?;
            Some((format!("/job:{job}/replica:0/task:{index}"), host.trim_matches(['[', ']']).to_owned()))
        })
    });
    tasks.collect()
}
