//! The plan of mpirun. With several hosts, mpirun on the first host starts the ranks of all hosts, and footplate is
//! its remote agent instead of ssh (see `cluster::agent`).

use std::net::IpAddr;

use super::model_parallel::{ModelParallel, model_parallel};
use super::options::{MpirunCommand, mpirun_options, user_options};
use crate::job::python::Value;
use crate::launch::count::rank_count;
use crate::launch::engine::{Engine, Flag, Services, nothing_further};
use crate::launch::error::LaunchError;
use crate::launch::image::{ImageProbe, Programs};
use crate::launch::input::{Entry, LaunchInput, words};
use crate::launch::plan::{
    CommandPlan, LaunchPlan, ProcessPlan, ProcessRole, RankStarter, Separation, StopTarget, Tagged,
};
use crate::launch::ports;
use crate::launch::process;
use crate::prepare::code::EntryKind;
use crate::prepare::environment::VariableTable;

/// The engine that runs the image's mpirun.
pub(in crate::launch) static MPI: Engine = Engine {
    name: "mpi",
    title: "mpi",
    summary: "mpirun on the first host, which starts the ranks of all hosts",
    needs: "Open MPI 4.1 or 5.0, and mpi4py for Python scripts; no sshd, no keys",
    script: "`from mpi4py import MPI`, Horovod's `hvd.init()`",
    flags: &[Flag::of_engine("mpi_enabled", 10)],
    variables: &[],
    modules: &[],
    spans_hosts: true,
    needs_all_hosts: true,
    starts_ranks_of_other_hosts: true,
    services: Services::None,
    ports: ports::none,
    task_log: None,
    locate,
    further_profile: nothing_further,
    plan,
};

/// The name of the program mpirun.
const PROGRAM: &str = "mpirun";

/// The program of PRRTE, which is beside the mpirun of Open MPI 5. That mpirun is a front end of it.
const PRRTE: &str = "prterun";

/// The names of the processes that belong to mpirun: its daemons in Open MPI 4 and in PRRTE, and footplate as its
/// remote agent.
const DAEMONS: [&str; 3] = ["orted", "prted", "footplate-agent"];

/// The exit code of a rank of Open MPI 4 that has lost its daemon: PMIX_ERR_LOST_CONNECTION_TO_SERVER, which is -61.
/// The rank ends silently a second after the daemon.
const LOST_CONNECTION_TO_SERVER: i32 = 195;

/// The parts that differ between launches with mpirun.
pub(super) struct MpirunLaunch {
    /// The name of the engine.
    pub(super) launcher: &'static str,
    /// The engine's name, as used in sentences.
    pub(super) in_words: &'static str,
    /// The user's own options of mpirun.
    pub(super) custom: Vec<Vec<u8>>,
    /// The number of ranks, if the job states it. Otherwise it follows from the hosts.
    pub(super) processes: Option<usize>,
    /// The variables of every rank.
    pub(super) variables: VariableTable,
    /// The words that come before the script's own command.
    pub(super) command: Vec<Vec<u8>>,
}

/// Finds mpirun, and PRRTE beside it.
pub(super) fn locate(probe: &dyn ImageProbe) -> Result<Programs, LaunchError> {
    let mut programs = Programs::new();
    if let Some(mpirun) = probe.on_path(PROGRAM) {
        let prrte = mpirun.with_file_name(PRRTE);
        if probe.exists(&prrte) {
            programs.insert(PRRTE, prrte);
        }
        programs.insert(PROGRAM, mpirun);
    }
    Ok(programs)
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = input.job;
    let parameter = |name: &str| job.framework_parameters.get(name);
    let ModelParallel { mut variables, command } = model_parallel(input)?;
    let custom = match (job.distributed(), parameter("sagemaker_mpi_custom_mpi_options")) {
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
    const PROCESSES: &str = "sagemaker_mpi_num_processes";
    let processes = rank_count(PROCESSES, parameter(PROCESSES))?;
    start(input, MpirunLaunch { launcher: MPI.name, in_words: "MPI", custom, processes, variables, command })
}

/// Plans mpirun on the first host, and its daemon on all others.
///
/// # Errors
/// The image has no mpirun or no Python, mpirun cannot run the entry point, or the GPUs of a host are not known.
pub(super) fn start(input: &LaunchInput<'_>, launch: MpirunLaunch) -> Result<LaunchPlan, LaunchError> {
    let job = input.job;
    let program = input.image.program(PROGRAM).ok_or_else(|| {
        LaunchError::new(format!(
            "the job asks for {}, and mpirun is not on PATH: install Open MPI in the image, or set FOOTPLATE_LAUNCHER=process",
            launch.in_words
        ))
    })?;
    let has_prrte = input.image.program(PRRTE).is_some();
    let script = script(input)?;
    let nodes = job.nodes();
    let counts = input.ranks_of_hosts(&nodes, input.requested_ranks()?)?;
    let mut span = input.span(&counts);
    if let Some(processes) = launch.processes {
        span.count = processes.saturating_sub(span.first).min(span.count);
        span.world_size = processes;
    }
    // mpirun does not recognize its own machine by every one of its addresses.
    let reach = |host: &String| {
        if input.settings.host_addresses.contains_key(host) && *host == nodes[0] {
            "localhost".to_owned()
        } else {
            input.reach(host)
        }
    };
    let slots = |(host, count): (&String, &usize)| match (reach(host), count) {
        (host, 2..) => format!("{host}:{count}"),
        (host, _) => host,
    };
    let hosts: Vec<String> = nodes.iter().zip(&counts).map(slots).collect();
    // The variables are exported by name only, because mpirun itself has them. Those of the container take
    // precedence.
    let exported = launch.variables.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let addresses = &input.settings.host_addresses;
    let is_loopback = |host: &String| addresses.get(host).is_some_and(IpAddr::is_loopback);
    let is_on_one_machine = nodes.len() > 1 && nodes.iter().all(is_loopback);
    let mpirun =
        MpirunCommand { hosts, processes: span.world_size, is_on_one_machine, exported, custom: launch.custom };
    let tagged = mpirun.is_tagged().then(|| {
        let of_host = |(host, count): (&String, usize)| std::iter::repeat_n(host.clone(), count);
        let hosts = nodes.iter().zip(counts).flat_map(of_host).take(mpirun.processes);
        Tagged {
            hosts: if mpirun.maps_by_slot() { hosts.collect() } else { Vec::new() },
            world_size: mpirun.processes,
            has_blank: has_prrte,
        }
    });
    // PRRTE identifies a host by the name of its machine, and would wait for ranks that it attributes to another
    // host.
    let warning = (is_on_one_machine && has_prrte).then(|| {
        "all hosts are on one machine, which mpirun of Open MPI 5 takes for one host, so that it can fail or hang: use Open MPI \
         4, or run each host in a container"
            .to_owned()
    });
    let separation = if mpirun.can_be_kept() { Separation::Agent } else { Separation::Shared };
    let starter = RankStarter {
        node_rank: job.node_rank(),
        tagged,
        separation,
        daemons: &DAEMONS,
        shares_group: false,
        lost_daemon_code: Some(LOST_CONNECTION_TO_SERVER),
    };
    let role = if job.node_rank() == 0 { ProcessRole::Launcher(starter) } else { ProcessRole::Daemon(starter) };
    let mut arguments = mpirun_options(input, &mpirun);
    arguments.extend(launch.command);
    arguments.extend(script);
    let command = CommandPlan {
        program: program.to_owned(),
        arguments,
        variables: VariableTable::new(),
        working_dir: job.working_dir(),
    };
    let mut variables = input.network_variables();
    variables.extend(launch.variables);
    // When mpirun is told to stop, it kills its ranks within a second. After they have ended, it ends by itself.
    let process = ProcessPlan { stop: StopTarget::Ranks, ..ProcessPlan::of_script(role, command) };
    Ok(LaunchPlan {
        processes: vec![process],
        variables,
        span: Some(span),
        warnings: input.unseen_gpus().into_iter().chain(warning).collect(),
        ..LaunchPlan::new(launch.launcher, input)
    })
}

/// Returns the words of a rank's command. With mpi4py, an uncaught exception in one rank ends the other ranks.
fn script(input: &LaunchInput<'_>) -> Result<Vec<Vec<u8>>, LaunchError> {
    let Entry::File { kind, .. } = input.entry else { return Err(input.entry.refused_by(PROGRAM)) };
    let mut command = process::command(input)?.arguments;
    if !matches!(kind, EntryKind::ShellScript | EntryKind::Executable) {
        command.splice(1..1, words(["-m", "mpi4py"]));
    }
    Ok(command)
}
