//! The image's own mpirun. Over several hosts that of the first one starts the ranks of all, and footplate is its remote
//! agent in place of ssh (see [`crate::cluster::agent`]).

use super::modelparallel::{ModelParallel, model_parallel};
use super::mpirun::{Mpirun, mpirun_options, program, user_options};
use super::{Entry, Facts, LaunchError, LaunchPlan, Rank, Tagged, path_bytes, process, words};
use std::net::IpAddr;

use crate::job::settings::Launcher;
use crate::prepare::code::EntryKind;
use crate::prepare::environment::VariableTable;
use crate::python::Value;

/// What one launch with mpirun differs in from another.
pub(super) struct Variant {
    pub(super) launcher: Launcher,
    /// What the job asks for, in words.
    pub(super) what: &'static str,
    /// The user's own options.
    pub(super) custom: Vec<Vec<u8>>,
    /// How many ranks there are, if the job says it; else those of all hosts.
    pub(super) processes: Option<usize>,
    /// Variables of every rank.
    pub(super) variables: VariableTable,
    /// What stands before the script's own command.
    pub(super) command: Vec<Vec<u8>>,
}

pub(super) fn plan(facts: &Facts<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = facts.job;
    let distributed = job.drivers.as_ref().and_then(|drivers| drivers.distributed.as_ref());
    let parameter = |name: &str| job.framework_parameters.get(name);
    let ModelParallel { mut variables, command } = model_parallel(facts)?;
    let custom = match (distributed, parameter("sagemaker_mpi_custom_mpi_options")) {
        (Some(distributed), _) => {
            let options = distributed.get("mpi_additional_options").and_then(Value::as_list).unwrap_or_default();
            options.iter().map(|option| option.to_py_str().to_system()).collect()
        }
        (None, Some(options)) => {
            let (custom, nccl_debug) = user_options(&options.to_py_str().to_str());
            variables.extend(nccl_debug.map(|level| ("NCCL_DEBUG".into(), level.into())));
            custom
        }
        (None, None) => Vec::new(),
    };
    let processes = parameter("sagemaker_mpi_num_processes").and_then(Value::as_i64);
    let processes = processes.and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    start(facts, Variant { launcher: Launcher::Mpi, what: "MPI", custom, processes, variables, command })
}

/// Plans what mpirun starts.
pub(super) fn start(facts: &Facts<'_>, variant: Variant) -> Result<LaunchPlan, LaunchError> {
    let job = facts.job;
    let program = program(facts, variant.what)?;
    let script = script(facts)?;
    let nodes = job.nodes();
    let counts = facts.ranks_of_hosts(&nodes, facts.asked_ranks())?;
    let mut span = facts.span(&counts);
    if let Some(processes) = variant.processes {
        span.count = processes.saturating_sub(span.first).min(span.count);
        span.world_size = processes;
    }
    // mpirun does not know the machine that it is on by every address.
    let reach = |host: &String| match facts.settings.host_addresses.contains_key(host) && *host == nodes[0] {
        true => "localhost".to_owned(),
        false => facts.reach(host),
    };
    let slots = |(host, count): (&String, &usize)| match (reach(host), count) {
        (host, 2..) => format!("{host}:{count}"),
        (host, _) => host,
    };
    let hosts: Vec<String> = nodes.iter().zip(&counts).map(slots).collect();
    // What the container was given is stronger, and mpirun has it: names alone.
    let exported = variant.variables.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let addresses = &facts.settings.host_addresses;
    let is_loopback = |host: &String| addresses.get(host).is_some_and(IpAddr::is_loopback);
    let is_on_one_machine = nodes.len() > 1 && nodes.iter().all(is_loopback);
    let mpirun = Mpirun { hosts, processes: span.world_size, is_on_one_machine, exported, custom: variant.custom };
    let tagged = mpirun.is_tagged().then(|| {
        let of_host = |(host, count): (&String, usize)| std::iter::repeat_n(host.clone(), count);
        let hosts = nodes.iter().zip(counts).flat_map(of_host).take(mpirun.processes);
        Tagged {
            hosts: if mpirun.maps_by_slot() { hosts.collect() } else { Vec::new() },
            world_size: mpirun.processes,
            has_blank: facts.image.has_prrte,
        }
    });
    // PRRTE knows a host by the name of its machine, and waits for ranks that it takes for another host's.
    let warning = (is_on_one_machine && facts.image.has_prrte).then(|| {
        "the hosts are one machine, which mpirun of Open MPI 5 takes for one host: it can fail or hang; take Open MPI 4, or run \
         each host in a container"
            .to_owned()
    });
    let mut arguments = mpirun_options(facts, &mpirun);
    arguments.extend(variant.command);
    arguments.extend(script);
    let mut variables = facts.network_variables();
    variables.extend(variant.variables);
    Ok(LaunchPlan {
        launcher: variant.launcher,
        host: job.cluster.current_host.clone(),
        // The others serve it.
        ranks: if job.node_rank() == 0 { Rank::only(job) } else { Vec::new() },
        span: Some(span),
        program,
        arguments,
        variables,
        working_dir: job.code_dir(),
        tagged,
        keeps_ranks: mpirun.can_be_kept(),
        warnings: facts.unseen_gpus().into_iter().chain(warning).collect(),
    })
}

/// The command of a rank. mpi4py ends the other ranks when an exception in one of them is not caught.
fn script(facts: &Facts<'_>) -> Result<Vec<Vec<u8>>, LaunchError> {
    let mut command = match facts.entry {
        Entry::File { kind: EntryKind::PythonScript | EntryKind::PythonFolder, name, .. } => {
            words([path_bytes(facts.python()?), b"-m", b"mpi4py", name.as_bytes()])
        }
        Entry::File { kind: EntryKind::PythonPackage, module, .. } => {
            words([path_bytes(facts.python()?), b"-m", b"mpi4py", b"-m", module.as_bytes()])
        }
        Entry::File { .. } => return Ok(process::command(facts)?.1),
        other => return Err(other.refused_by("mpirun")),
    };
    command.extend(facts.arguments.iter().cloned());
    Ok(command)
}
