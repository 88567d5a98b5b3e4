//! Dask: a scheduler on the first host and a worker on every host. The script runs beside the scheduler, and `Client()` finds it.

use super::engine::{Engine, PythonModule, Services, TaskLog, locate_nothing, nothing_further};
use super::error::LaunchError;
use super::input::LaunchInput;
use super::plan::{LaunchPlan, ReadySign};
use super::ports::{self, ListeningPort};
use super::service::{ServiceName, service, with_port};
use crate::job::Job;
use crate::job::settings::Settings;
use crate::prepare::environment::VariableTable;
use crate::prepare::environment::registry::Variable;

/// The engine that starts a Dask cluster.
pub(super) static DASK: Engine = Engine {
    name: "dask",
    title: "a Dask cluster",
    summary: "a Dask scheduler on the first host and a Dask worker on every host; the script runs beside the scheduler",
    needs: "Dask (`distributed`)",
    script: "`distributed.Client()`",
    flags: &[],
    variables: &[
        Variable::new("DASK_SCHEDULER_ADDRESS", "The address of the scheduler, under `dask`."),
        Variable::new("DASK_DISTRIBUTED__WORKER__DAEMON", "`False` under `dask`: tasks may start processes."),
    ],
    modules: &[PythonModule { name: "distributed", package: "distributed" }],
    spans_hosts: true,
    needs_all_hosts: true,
    starts_ranks_of_other_hosts: false,
    services: Services::OfManyHosts,
    ports: listening_ports,
    task_log: Some(TaskLog { title: "Dask", service: WORKER.name }),
    locate: locate_nothing,
    further_profile: nothing_further,
    plan,
};

/// The port of the scheduler, and the port of its dashboard.
const PORT: u16 = 8786;
const REPORT_PORT: u16 = 8787;

const SCHEDULER: ServiceName = ServiceName { name: "dask-scheduler", title: "the Dask scheduler" };
const WORKER: ServiceName = ServiceName { name: "dask-worker", title: "the Dask worker" };

fn listening_ports(job: &Job, _: &Settings) -> Vec<ListeningPort> {
    ports::on_first_host(job, [PORT, REPORT_PORT].map(ListeningPort::fixed))
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = input.job;
    let (scheduler, own) = (job.master(), &job.cluster.current_host);
    let own_address = input.host_address(own);
    let address = format!("tcp://{}", with_port(&input.host_address(&scheduler), PORT));
    let found = VariableTable::from([("DASK_SCHEDULER_ADDRESS".into(), address.clone().into())]);
    let runs_script = *own == scheduler;

    let mut processes = Vec::new();
    if runs_script {
        let arguments = [
            format!("--host={own_address}"),
            format!("--port={PORT}"),
            format!("--dashboard-address={}", with_port(&own_address, REPORT_PORT)),
            "--no-dashboard".to_owned(),
        ];
        let command = input.module_command("distributed.cli.dask_scheduler", &arguments)?;
        let ready = ReadySign::Line { text: "Scheduler at:", times: 1 };
        let mut scheduler = service(SCHEDULER, command, 0, ready);
        scheduler.stop_order = 1;
        processes.push(scheduler);
    }

    let workers = input.ranks_per_host(None);
    let folder = input.variables.get_non_empty("TMPDIR").unwrap_or("/tmp".into());
    let mut arguments = vec![
        address,
        format!("--host={own_address}"),
        format!("--name={own}"),
        format!("--nworkers={workers}"),
        format!("--local-directory={folder}"),
        // A worker has a dashboard too, which listens on all addresses by default.
        format!("--dashboard-address={}", with_port(&own_address, 0)),
        "--no-dashboard".to_owned(),
        // A worker starts with the scheduler, and tries to reach it for as long as the scheduler may take to start.
        format!("--death-timeout={}", input.settings.service_time.as_secs()),
    ];
    arguments.extend(input.settings.dask_arguments.iter().cloned());
    let mut command = input.module_command("distributed.cli.dask_worker", &arguments)?;
    command.variables.extend(found.clone());
    processes.push(service(WORKER, command, 0, ReadySign::Line { text: "Registered to:", times: workers }));
    if runs_script {
        processes.push(input.served_script(found)?);
    }

    let mut variables = input.network_variables_of_script();
    variables.insert("DASK_DISTRIBUTED__WORKER__DAEMON".into(), "False".into());
    Ok(LaunchPlan {
        processes,
        variables,
        script_hosts: vec![scheduler],
        warnings: input.unseen_gpus().into_iter().collect(),
        ..LaunchPlan::new(DASK.name, input)
    })
}
