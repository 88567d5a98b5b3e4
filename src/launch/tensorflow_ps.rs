//! TensorFlow's parameter servers: one on each host, and the script.
//!
//! There are two layouts. In the toolkit's (sagemaker-tensorflow-training), the script runs on every host and
//! TF_CONFIG names a `master`, which TensorFlow 2's own strategies refuse. In the coordinator's, the script is the
//! `chief` on the first host, and the other hosts run workers, to which the chief sends its functions.

use super::engine::{Engine, Flag, PythonModule, Services, locate_nothing, nothing_further};
use super::error::LaunchError;
use super::input::LaunchInput;
use super::plan::{LaunchPlan, ProcessPlan, ReadySign};
use super::ports::{self, ListeningPort};
use super::service::{ServiceName, service, with_port};
use super::tensorflow::TF_CONFIG;
use crate::job::Job;
use crate::job::settings::{Settings, TensorflowCluster};
use crate::prepare::environment::VariableTable;
use crate::prepare::environment::registry::Variable;

/// The engine that starts TensorFlow's parameter servers.
pub(super) static TENSORFLOW_PS: Engine = Engine {
    name: "tensorflow-ps",
    title: "TensorFlow's parameter servers",
    summary: "on several hosts, TensorFlow's parameter servers, and the script on every host or as coordinator on the first",
    needs: "TensorFlow",
    script: "`ParameterServerStrategy(TFConfigClusterResolver())`",
    flags: &[PARAMETER_SERVER],
    variables: &[
        Variable::new(
            "GRPC_FAIL_FAST",
            "`use_caller` under `tensorflow-ps` with the coordinator's layout, as the coordinator needs it.",
        ),
        Variable::new("CUDA_VISIBLE_DEVICES", "`-1` for the parameter servers, under `tensorflow-ps`."),
    ],
    modules: &[PythonModule { name: "tensorflow", package: "tensorflow" }],
    spans_hosts: true,
    needs_all_hosts: true,
    starts_ranks_of_other_hosts: false,
    services: Services::OfAllHosts,
    ports: listening_ports,
    task_log: None,
    locate: locate_nothing,
    further_profile: nothing_further,
    plan,
};

/// The flag of TensorFlow's estimator, which MXNet's estimator shares. `mpi_enabled`, which the estimator sends as
/// well, takes precedence.
const PARAMETER_SERVER: Flag = Flag::shared("parameter_server_enabled", 13);

/// The port of the script or worker on each host, and the port of its parameter server.
const PORT: u16 = 2222;
const SERVER_PORT: u16 = 2223;

/// The number of ports of a host.
const PORTS_OF_HOST: u16 = 2;

const SERVER: ServiceName = ServiceName { name: "tf-ps", title: "the TensorFlow parameter server" };
const WORKER: ServiceName = ServiceName { name: "tf-worker", title: "the TensorFlow worker" };

/// The program of a parameter server and of a worker. They never end by themselves.
const SERVE: &str = "import json, os, tensorflow as tf; config = json.loads(os.environ['TF_CONFIG']); \
                     cluster, task = config['cluster'], config['task']; \
                     server = tf.distribute.Server(tf.train.ClusterSpec(cluster), job_name=task['type'], \
                     task_index=task['index'], protocol='grpc'); print('the server listens', flush=True); server.join()";

const READY: ReadySign = ReadySign::Line { text: "the server listens", times: 1 };

fn listening_ports(job: &Job, settings: &Settings) -> Vec<ListeningPort> {
    let on_each_host = [PORT, SERVER_PORT].map(|first| ports::of_each_host(job, settings, first, PORTS_OF_HOST));
    if job.nodes().len() == 1 { Vec::new() } else { on_each_host.into() }
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = input.job;
    let (nodes, node_rank) = (job.nodes(), job.node_rank());
    // With the flag, the layout is that of the toolkit, whose scripts run on every host.
    let by_flag = input.settings.launcher.is_none();
    let usual = if by_flag { TensorflowCluster::Toolkit } else { TensorflowCluster::Coordinator };
    let layout = input.settings.tensorflow_cluster.unwrap_or(usual);
    let mut variables = input.network_variables_of_script();
    variables.extend(input.grpc_variables());
    let plan = |processes, variables, script_hosts| LaunchPlan {
        processes,
        variables,
        script_hosts,
        span: (layout == TensorflowCluster::Toolkit).then(|| input.span_of_one()),
        warnings: input.unseen_gpus().into_iter().collect(),
        ..LaunchPlan::new(TENSORFLOW_PS.name, input)
    };
    if nodes.len() == 1 {
        return Ok(plan(vec![input.script_of_host(VariableTable::new())?], variables, nodes));
    }
    let shares_machine = input.shares_machine();
    let address = |(n, host): (usize, &String), port: u16| {
        with_port(&input.host_address(host), ports::number(shares_machine, n, port, PORTS_OF_HOST))
    };
    let addresses = |port: u16| nodes.iter().enumerate().map(move |node| address(node, port));
    let first = if layout == TensorflowCluster::Toolkit { "master" } else { "chief" };
    let cluster = serde_json::json!({
        first: addresses(PORT).take(1).collect::<Vec<_>>(),
        "ps": addresses(SERVER_PORT).collect::<Vec<_>>(),
        "worker": addresses(PORT).skip(1).collect::<Vec<_>>(),
    });
    let as_task = |kind: &str, index: usize| {
        let config =
            serde_json::json!({"cluster": cluster, "environment": "cloud", "task": {"index": index, "type": kind}});
        VariableTable::from([(TF_CONFIG.into(), config.to_string().into())])
    };
    let serving = |name: ServiceName, mut own: VariableTable, sees_gpus: bool| -> Result<ProcessPlan, LaunchError> {
        if !sees_gpus {
            own.insert("CUDA_VISIBLE_DEVICES".into(), "-1".into());
        }
        let mut command = input.program_command(SERVE, &[])?;
        command.variables = own;
        Ok(service(name, command, 0, READY))
    };
    let mut processes = vec![serving(SERVER, as_task("ps", node_rank), false)?];
    let own = match node_rank {
        0 => as_task(first, 0),
        rank => as_task("worker", rank - 1),
    };
    let script_hosts = match layout {
        TensorflowCluster::Toolkit => nodes.clone(),
        TensorflowCluster::Coordinator => vec![job.master()],
    };
    if layout == TensorflowCluster::Coordinator {
        variables.insert("GRPC_FAIL_FAST".into(), "use_caller".into());
    }
    if script_hosts.contains(&job.cluster.current_host) {
        processes.push(input.served_script(own)?);
    } else {
        processes.push(serving(WORKER, own, true)?);
    }
    Ok(plan(processes, variables, script_hosts))
}
