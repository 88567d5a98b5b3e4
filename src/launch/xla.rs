//! PyTorch/XLA on GPUs: the image's `torch_xla.distributed.xla_spawn` on each host, which starts one rank for each GPU.
//!
//! The command and the variables are those of sagemaker-training 5.1.4 (`pytorch_xla.py`), but for EFA's, which follow the
//! machine.

use super::{Entry, Facts, LaunchError, LaunchPlan, Rank, path_bytes, words};
use crate::job::settings::Launcher;
use crate::prepare::code::EntryKind;

/// Where the hosts' workers listen.
const WORKER_PORT: u16 = 43857;

/// Where the mesh service listens on the master host.
const MESH_SERVICE_PORT: u16 = 53957;

const WHAT: &str = "PyTorch/XLA";

pub(super) fn plan(facts: &Facts<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = facts.job;
    let script = match facts.entry {
        Entry::File { kind: EntryKind::PythonScript | EntryKind::PythonFolder, name, .. } => name,
        other => return Err(other.refused_by(WHAT)),
    };
    if facts.hardware.gpus == 0 {
        let why = facts.unseen_gpus().unwrap_or_else(|| "use an instance that has".to_owned());
        return Err(LaunchError(format!("the job asks for {WHAT}, and this host has no GPU: {why}")));
    }
    let python = facts.python()?;
    let nodes = job.nodes();
    // The platform's flag for ranks per host does not count here: the runtime has one worker for each GPU.
    let counts = facts.ranks_of_hosts(&nodes, None)?;
    let span = facts.span(&counts);
    let count = span.count.to_string();

    let mut variables = facts.network_variables();
    let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
    set("XRT_HOST_ORDINAL", &job.node_rank().to_string());
    set("XRT_SHARD_WORLD_SIZE", &nodes.len().to_string());
    let worker = |(n, host): (usize, &String)| format!("localservice:{n};{}:{WORKER_PORT}", facts.reach(host));
    set("XRT_WORKERS", &nodes.iter().enumerate().map(worker).collect::<Vec<_>>().join("|"));
    set("GPU_NUM_DEVICES", &count);
    if nodes.len() > 1 {
        set("XRT_MESH_SERVICE_ADDRESS", &format!("{}:{MESH_SERVICE_PORT}", facts.reach(&job.master())));
    }
    if facts.hardware.efa {
        // Connections for each GPU, to fill the width of EFA.
        set("OFI_NCCL_NIC_DUP_CONNS", &count);
    }

    let mut arguments = words([path_bytes(python), b"-m", b"torch_xla.distributed.xla_spawn", b"--num_gpus"]);
    arguments.extend(words([&count, script]));
    arguments.extend(facts.arguments.iter().cloned());
    Ok(LaunchPlan {
        launcher: Launcher::Xla,
        host: job.cluster.current_host.clone(),
        ranks: Rank::only(job),
        span: Some(span),
        program: python.to_owned(),
        arguments,
        variables,
        working_dir: job.code_dir(),
        tagged: None,
        keeps_ranks: false,
        warnings: Vec::new(),
    })
}
