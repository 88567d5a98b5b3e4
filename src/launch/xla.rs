//! PyTorch/XLA on GPUs: the image's `torch_xla.distributed.xla_spawn` on each host, which starts one rank for each
//! GPU.
//!
//! The command and the variables are those of sagemaker-training 5.1.4 (`pytorch_xla.py`), except those for EFA,
//! which depend on the machine.

use super::engine::{Engine, Flag, Services, locate_nothing, nothing_further};
use super::error::LaunchError;
use super::input::{Entry, LaunchInput, words};
use super::plan::{LaunchPlan, ProcessPlan, ProcessRole, RankStarter};
use super::ports::{self, ListeningPort};
use super::process;
use crate::job::Job;
use crate::job::settings::Settings;
use crate::prepare::code::EntryKind;
use crate::prepare::environment::registry::Variable;

/// The engine that runs the image's xla_spawn.
pub(super) static XLA: Engine = Engine {
    name: "xla",
    title: "xla",
    summary: "xla_spawn on every host",
    needs: "PyTorch/XLA",
    script: "`_mp_fn(index)`",
    flags: &[Flag::of_engine("pytorch_xla_multi_worker_enabled", 50)],
    variables: &[
        Variable::new("XRT_HOST_ORDINAL", "This host's node rank, under `xla`."),
        Variable::new("XRT_SHARD_WORLD_SIZE", "The number of hosts, under `xla`."),
        Variable::new("XRT_WORKERS", "The hosts' workers, under `xla`."),
        Variable::new(
            "XRT_MESH_SERVICE_ADDRESS",
            "The address of the mesh service on the master host, on several hosts under `xla`.",
        ),
        Variable::new("GPU_NUM_DEVICES", "The number of GPUs, under `xla`."),
        Variable::new("OFI_NCCL_NIC_DUP_CONNS", "The number of GPUs, with EFA under `xla`."),
    ],
    modules: &[],
    spans_hosts: true,
    // The rendezvous of PyTorch/XLA waits for late hosts.
    needs_all_hosts: false,
    starts_ranks_of_other_hosts: false,
    services: Services::None,
    ports: listening_ports,
    task_log: None,
    locate: locate_nothing,
    further_profile: nothing_further,
    plan,
};

/// The port of each host's worker.
const WORKER_PORT: u16 = 43857;

/// The port of the mesh service on the master host.
const MESH_SERVICE_PORT: u16 = 53957;

/// The engine's name, as used in sentences.
const IN_WORDS: &str = "PyTorch/XLA";

fn listening_ports(job: &Job, _: &Settings) -> Vec<ListeningPort> {
    let mut listening = vec![ListeningPort::fixed(WORKER_PORT)];
    if job.nodes().len() > 1 {
        listening.extend(ports::on_first_host(job, [ListeningPort::fixed(MESH_SERVICE_PORT)]));
    }
    listening
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = input.job;
    if !matches!(input.entry, Entry::File { kind: EntryKind::PythonScript | EntryKind::PythonFolder, .. }) {
        return Err(input.entry.refused_by(IN_WORDS));
    }
    input.require_gpus(IN_WORDS, "use an instance that has some")?;
    let mut command = process::command(input)?;
    let nodes = job.nodes();
    // The runtime has one worker for each GPU, whatever the platform's flag for ranks per host says.
    let span = input.span(&input.ranks_of_hosts(&nodes, None)?);
    let count = span.count.to_string();

    let mut variables = input.network_variables();
    let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
    set("XRT_HOST_ORDINAL", &job.node_rank().to_string());
    set("XRT_SHARD_WORLD_SIZE", &nodes.len().to_string());
    let worker = |(n, host): (usize, &String)| format!("localservice:{n};{}:{WORKER_PORT}", input.reach(host));
    set("XRT_WORKERS", &nodes.iter().enumerate().map(worker).collect::<Vec<_>>().join("|"));
    set("GPU_NUM_DEVICES", &count);
    if nodes.len() > 1 {
        set("XRT_MESH_SERVICE_ADDRESS", &format!("{}:{MESH_SERVICE_PORT}", input.reach(&job.master())));
    }
    if input.hardware.efa {
        // One connection for each GPU uses the full bandwidth of EFA.
        set("OFI_NCCL_NIC_DUP_CONNS", &count);
    }

    let starter = ["-m", "torch_xla.distributed.xla_spawn", "--num_gpus", &count];
    command.arguments.splice(1..1, words(starter));
    let role = ProcessRole::Launcher(RankStarter { node_rank: job.node_rank(), ..RankStarter::default() });
    Ok(LaunchPlan {
        processes: vec![ProcessPlan::of_script(role, command)],
        variables,
        span: Some(span),
        ..LaunchPlan::new(XLA.name, input)
    })
}
