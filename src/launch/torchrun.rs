//! The image's own torchrun on each host, with a static rendezvous at the master host.

use super::engine::{Engine, Flag, Services, nothing_further};
use super::error::LaunchError;
use super::image::{ImageProbe, Programs};
use super::input::{Entry, LaunchInput, executable, words};
use super::plan::ERROR_FILE;
use super::plan::{CommandPlan, LaunchPlan, ProcessPlan, ProcessRole, RankStarter, Separation, StopTarget};
use super::ports::{self, ListeningPort};
use crate::job::Job;
use crate::job::settings::Settings;
use crate::prepare::code::EntryKind;
use crate::prepare::environment::VariableTable;

/// The engine that runs the image's torchrun.
pub(super) static TORCHRUN: Engine = Engine {
    name: "torchrun",
    title: "torchrun",
    summary: "torchrun on every host",
    needs: "PyTorch",
    script: "the same as under `per-gpu`",
    flags: &[Flag::of_engine("torch_distributed_enabled", 30)],
    variables: &[],
    modules: &[],
    spans_hosts: true,
    // The rendezvous of torchrun waits for late hosts.
    needs_all_hosts: false,
    starts_ranks_of_other_hosts: false,
    services: Services::None,
    ports: listening_ports,
    task_log: None,
    locate,
    further_profile: nothing_further,
    plan,
};

const PROGRAM: &str = "torchrun";

/// The program that compiles a training script for Neuron cores, for which it runs torchrun.
const COMPILER: &str = "neuron_parallel_compile";

/// The variable that requests the compiler if its value is 1.
const COMPILES: &str = "RUN_NEURON_PARALLEL_COMPILE";

fn locate(probe: &dyn ImageProbe) -> Result<Programs, LaunchError> {
    let mut programs = Programs::new();
    if let Some(path) = probe.on_path(PROGRAM).or_else(|| probe.beside_python(PROGRAM)) {
        programs.insert(PROGRAM, path);
    }
    if probe.variable(COMPILES).as_deref() == Some("1") {
        let compiler = probe
            .on_path(COMPILER)
            .ok_or_else(|| LaunchError::new(format!("{COMPILES} is 1, but {COMPILER} is not on PATH")))?;
        programs.insert(COMPILER, compiler);
    }
    Ok(programs)
}

/// Returns MASTER_PORT, which torchrun gets on several hosts.
fn listening_ports(job: &Job, settings: &Settings) -> Vec<ListeningPort> {
    if job.nodes().len() == 1 {
        return Vec::new();
    }
    ports::of_master_unless(job, settings, &settings.torchrun_arguments, &["--master-port", "--rdzv", "--standalone"])
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = input.job;
    let further = &input.settings.torchrun_arguments;
    // With this option, torchrun runs programs of any kind.
    let any_program = further.iter().any(|word| matches!(word.as_str(), "--no-python" | "--no_python"));
    let script = match input.entry {
        Entry::File { kind: EntryKind::PythonScript | EntryKind::PythonFolder, name, .. } => vec![name.clone()],
        Entry::File { kind: EntryKind::PythonModule, name, .. } => vec!["-m".to_owned(), name.clone()],
        Entry::File { kind: EntryKind::ShellScript | EntryKind::Executable, name, .. } if any_program => {
            vec![executable(name)]
        }
        other => return Err(other.refused_by(PROGRAM)),
    };
    let torchrun = input.image.program(PROGRAM).ok_or_else(|| {
        LaunchError::new(
            "the job asks for torchrun, which is neither on PATH nor beside Python: install PyTorch in the image, or set \
             FOOTPLATE_LAUNCHER=process",
        )
    })?;
    let requested = input.requested_ranks()?;
    let ranks = input.ranks_per_host(requested);
    let nodes = job.nodes();
    let mut arguments =
        words([PROGRAM.to_owned(), format!("--nnodes={}", nodes.len()), format!("--nproc_per_node={ranks}")]);
    let mut program = torchrun;
    let compiler = input.image.program(COMPILER);
    if let Some(compiler) = compiler {
        arguments.insert(0, COMPILER.into());
        program = compiler;
    }
    if nodes.len() > 1 {
        arguments.extend(words([
            format!("--master_addr={}", input.reach(&job.master())),
            format!("--master_port={}", input.settings.master_port),
            format!("--node_rank={}", job.node_rank()),
        ]));
    }
    // If an option is given twice, torchrun uses the last one.
    arguments.extend(words(further));
    arguments.extend(words(script));
    arguments.extend(input.arguments.iter().cloned());
    // It is not known what neuron_parallel_compile does with the output of its torchrun.
    let separation = if compiler.is_none() { Separation::Interpreter } else { Separation::Shared };
    let role = ProcessRole::Launcher(RankStarter { node_rank: job.node_rank(), separation, ..RankStarter::default() });
    let command = CommandPlan {
        program: program.to_owned(),
        arguments,
        variables: VariableTable::new(),
        working_dir: job.working_dir(),
    };
    let process = ProcessPlan {
        stop: stop_target(input),
        leaves_error_file: input.variables.get_os(ERROR_FILE).is_none(),
        ..ProcessPlan::of_script(role, command)
    };
    Ok(LaunchPlan {
        processes: vec![process],
        variables: input.network_variables(),
        // The torchrun programs of all hosts agree on the ranks by themselves, so unknown numbers of ranks are not an
        // error here.
        span: input.ranks_of_hosts(&nodes, requested).ok().map(|counts| input.span(&counts)),
        warnings: input.unseen_gpus().into_iter().collect(),
        ..LaunchPlan::new(TORCHRUN.name, input)
    })
}

/// Returns the processes that an orderly stop signals. When torchrun is told to stop, it kills its ranks after 30 s,
/// and then fails. If only its ranks are told, torchrun ends by itself after them. But if torchrun may restart ranks,
/// it would start them again.
fn stop_target(input: &LaunchInput<'_>) -> StopTarget {
    // torchrun accepts abbreviated options, both ways to write them, and a variable instead.
    let has_option = input.settings.torchrun_arguments.iter().any(|word| word.starts_with("--max"));
    let has_variable = input.variables.get_non_empty("PET_MAX_RESTARTS").is_some_and(|value| value != "0");
    if has_option || has_variable { StopTarget::Process } else { StopTarget::Ranks }
}
