//! MXNet's parameter server: a scheduler on the first host, a server on each host, and the script as a worker on each host.
//!
//! The variables and the port are those of sagemaker-mxnet-training. Importing mxnet runs a scheduler or a server, which ends
//! by itself after the last worker.

use super::engine::{Engine, Flag, PythonModule, Services, locate_nothing, nothing_further};
use super::error::LaunchError;
use super::input::LaunchInput;
use super::plan::{EndMeaning, EndTraits, LaunchPlan, ProcessPlan, ReadySign};
use super::ports::{self, ListeningPort};
use super::service::{ServiceName, service};
use crate::job::Job;
use crate::job::settings::Settings;
use crate::prepare::environment::VariableTable;
use crate::prepare::environment::registry::Variable;

/// The engine that starts MXNet's parameter server.
pub(super) static MXNET: Engine = Engine {
    name: "mxnet",
    title: "MXNet's parameter server",
    summary: "one process per host, and on several hosts MXNet's scheduler and its servers",
    needs: "MXNet",
    script: "`mxnet.kv.create(\"dist_sync\")`",
    flags: &[Flag::shared("parameter_server_enabled", 14)],
    variables: &[
        Variable::new("DMLC_ROLE", "`worker` for the script, on several hosts under `mxnet`."),
        Variable::new("DMLC_PS_ROOT_URI", "The address of the scheduler, under `mxnet`."),
        Variable::new("DMLC_NODE_HOST", "The address of this host, under `mxnet`."),
        Variable::new("DMLC_PS_ROOT_PORT", "The port of the scheduler: the hyperparameter `_ps_port`, else 8000."),
        Variable::new("DMLC_NUM_SERVER", "The number of servers, under `mxnet`."),
        Variable::new("DMLC_NUM_WORKER", "The number of hosts that run the script, under `mxnet` and `xgboost`."),
        Variable::new("PS_VERBOSE", "The hyperparameter `_ps_verbose`, else 0, under `mxnet`."),
    ],
    modules: &[PythonModule { name: "mxnet", package: "mxnet 'numpy<1.24'" }],
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

const SCHEDULER: ServiceName = ServiceName { name: "mxnet-scheduler", title: "the MXNet scheduler" };
const SERVER: ServiceName = ServiceName { name: "mxnet-server", title: "the MXNet server" };

/// The port of the scheduler, unless the job sets another one.
const PORT: u16 = 8000;

/// The hyperparameter that sets the port of the scheduler.
const PORT_PARAMETER: &str = "_ps_port";

/// The program of a scheduler and of a server.
const SERVE: &str = "import mxnet";

fn listening_ports(job: &Job, _: &Settings) -> Vec<ListeningPort> {
    if job.nodes().len() == 1 {
        return Vec::new();
    }
    let number = hyperparameter(job, PORT_PARAMETER).map_or(Ok(PORT), |given| given.parse());
    let port = number.map(|number| ListeningPort { number, setting: Some("the hyperparameter _ps_port") });
    port.map_or_else(|_| Vec::new(), |port| ports::on_first_host(job, [port]))
}

fn hyperparameter(job: &Job, name: &str) -> Option<String> {
    let value = job.hyperparameters.get(name)?.to_py_str();
    Some(value.to_str().into_owned())
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = input.job;
    let nodes = job.nodes();
    let plan = |processes, variables| LaunchPlan {
        processes,
        variables,
        span: Some(input.span_of_one()),
        // A worker's exit handler waits for the other workers, which wait for this one.
        end_traits: EndTraits { outlives_traceback: true, ..EndTraits::default() },
        warnings: input.unseen_gpus().into_iter().collect(),
        ..LaunchPlan::new(MXNET.name, input)
    };
    let variables = input.network_variables_of_script();
    if nodes.len() == 1 {
        return Ok(plan(vec![input.script_of_host(VariableTable::new())?], variables));
    }
    let count = nodes.len().to_string();
    let shared = VariableTable::from(
        [
            ("DMLC_PS_ROOT_URI", input.host_address(&job.master())),
            // Hosts on one machine must not look like a single host.
            ("DMLC_NODE_HOST", input.host_address(&job.cluster.current_host)),
            ("DMLC_PS_ROOT_PORT", hyperparameter(job, PORT_PARAMETER).unwrap_or_else(|| PORT.to_string())),
            ("DMLC_NUM_SERVER", count.clone()),
            ("DMLC_NUM_WORKER", count),
            ("PS_VERBOSE", hyperparameter(job, "_ps_verbose").unwrap_or_else(|| "0".to_owned())),
        ]
        .map(|(name, value)| (name.into(), value.into())),
    );
    let as_role = |role: &str| {
        let mut variables = shared.clone();
        variables.insert("DMLC_ROLE".into(), role.into());
        variables
    };
    let serving = |name: ServiceName, role: &str| -> Result<ProcessPlan, LaunchError> {
        let mut command = input.program_command(SERVE, &[])?;
        command.variables = as_role(role);
        let service = service(name, command, 0, ReadySign::Started);
        Ok(ProcessPlan { end: EndMeaning::FailureUnlessZero, ..service })
    };
    let mut processes = Vec::new();
    if job.node_rank() == 0 {
        processes.push(serving(SCHEDULER, "scheduler")?);
    }
    processes.push(serving(SERVER, "server")?);
    processes.push(input.served_script(as_role("worker"))?);
    Ok(plan(processes, variables))
}
