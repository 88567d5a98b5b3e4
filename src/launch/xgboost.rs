//! XGBoost's collective: a tracker on the first host, and the script as a worker on each host. LightGBM does not need
//! a tracker, only the list of machines.

use super::engine::{Engine, PythonModule, Services, locate_nothing, nothing_further};
use super::error::LaunchError;
use super::input::LaunchInput;
use super::network::LOOPBACK;
use super::plan::{EndMeaning, LaunchPlan, ProcessPlan, ReadySign};
use super::ports::{self, ListeningPort};
use super::service::{ServiceName, service, with_port};
use crate::job::Job;
use crate::job::settings::Settings;
use crate::prepare::environment::VariableTable;
use crate::prepare::environment::registry::Variable;

/// The engine that starts XGBoost's tracker.
pub(super) static XGBOOST: Engine = Engine {
    name: "xgboost",
    title: "XGBoost's tracker",
    summary: "one process per host, and on several hosts XGBoost's tracker; also for LightGBM",
    needs: "XGBoost or LightGBM",
    script: "XGBoost's `CommunicatorContext(dmlc_tracker_uri=…)`; LightGBM's `machines=os.environ[\"FOOTPLATE_MACHINES\"]`",
    flags: &[],
    variables: &[
        Variable::new("DMLC_TRACKER_URI", "The address of the tracker, under `xgboost`."),
        Variable::new("DMLC_TRACKER_PORT", "`9099`, under `xgboost`."),
        Variable::new("DMLC_TASK_ID", "The number of the host, with zeros before it, under `xgboost`."),
        Variable::new(
            "FOOTPLATE_MACHINES",
            "`address:port,…` of all hosts in the order of NODE_RANK, for LightGBM's `machines`, under `xgboost`.",
        ),
    ],
    modules: &[
        PythonModule { name: "xgboost", package: "xgboost" },
        PythonModule { name: "lightgbm", package: "lightgbm" },
    ],
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

const TRACKER: ServiceName = ServiceName { name: "xgboost-tracker", title: "the XGBoost tracker" };

/// The port of the tracker.
const PORT: u16 = 9099;

/// The port at which LightGBM listens on each host.
const MACHINE_PORT: u16 = 12400;

/// The program of the tracker. Its arguments are the address, the port and the number of workers. The tracker is not
/// started if the image has no XGBoost, because LightGBM does not need it.
const TRACK: &str = "import sys; from importlib.util import find_spec; find_spec('xgboost') or \
                     sys.exit(print('tracker: none, because this Python has no XGBoost')); \
                     from xgboost.tracker import RabitTracker; address, port, workers = sys.argv[1:4]; \
                     tracker = RabitTracker(n_workers=int(workers), host_ip=address, port=int(port), sortby='task'); \
                     tracker.start(); print('tracker: it listens', flush=True); tracker.wait_for()";

/// Returns the port of the tracker, and that of LightGBM, which has no tracker.
fn listening_ports(job: &Job, settings: &Settings) -> Vec<ListeningPort> {
    if job.nodes().len() == 1 {
        return Vec::new();
    }
    let mut listening = ports::on_first_host(job, [ListeningPort::fixed(PORT)]);
    listening.push(ports::of_each_host(job, settings, MACHINE_PORT, 1));
    listening
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = input.job;
    let nodes = job.nodes();
    let node_rank = job.node_rank();
    let address = input.host_address(&job.master());
    // LightGBM identifies its own entry by its port and by the address of an interface. No loopback address except
    // 127.0.0.1 is one of those.
    let shares_machine = input.shares_machine();
    let machine = |(n, host): (usize, &String)| {
        let address = if shares_machine { LOOPBACK.to_owned() } else { input.host_address(host) };
        with_port(&address, ports::number(shares_machine, n, MACHINE_PORT, 1))
    };
    let machines: Vec<String> = nodes.iter().enumerate().map(machine).collect();
    let mut variables = input.network_variables_of_script();
    variables.insert("FOOTPLATE_MACHINES".into(), machines.join(",").into());
    let mut processes = Vec::new();
    if nodes.len() == 1 {
        processes.push(input.script_of_host(VariableTable::new())?);
    } else {
        if node_rank == 0 {
            let arguments = [address.clone(), PORT.to_string(), nodes.len().to_string()];
            let command = input.program_command(TRACK, &arguments)?;
            let tracker = service(TRACKER, command, 0, ReadySign::Line { text: "tracker: ", times: 1 });
            processes.push(ProcessPlan { end: EndMeaning::FailureUnlessZero, ..tracker });
        }
        // The tracker sorts the numbers as text, so they need equal widths.
        let width = nodes.len().to_string().len();
        let own = [
            ("DMLC_TRACKER_URI", address),
            ("DMLC_TRACKER_PORT", PORT.to_string()),
            ("DMLC_TASK_ID", format!("{node_rank:0width$}")),
            ("DMLC_NUM_WORKER", nodes.len().to_string()),
        ];
        let own = own.map(|(name, value)| (name.into(), value.into()));
        processes.push(input.served_script(VariableTable::from(own))?);
    }
    Ok(LaunchPlan {
        processes,
        variables,
        span: Some(input.span_of_one()),
        warnings: input.unseen_gpus().into_iter().collect(),
        ..LaunchPlan::new(XGBOOST.name, input)
    })
}
