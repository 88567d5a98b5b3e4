//! Hugging Face's Accelerate: the image's `accelerate launch` on every host, which becomes torchrun for several
//! ranks.
//!
//! The command is that of accelerate 1.15. The user's configuration file decides everything except the hosts and the
//! ranks. footplate sets those, because each host needs its own number, and a file that is baked into an image cannot
//! contain it.

use std::path::PathBuf;

use super::engine::{Engine, PythonModule, Services, nothing_further};
use super::error::LaunchError;
use super::image::{ImageProbe, Programs};
use super::input::{Entry, LaunchInput, executable, path_bytes, words};
use super::plan::{CommandPlan, LaunchPlan, ProcessPlan, ProcessRole, RankStarter, Separation, StopTarget};
use super::ports::{self, ListeningPort};
use crate::job::Job;
use crate::job::settings::Settings;
use crate::prepare::code::EntryKind;
use crate::prepare::environment::VariableTable;

/// The engine that runs the image's `accelerate launch`.
pub(super) static ACCELERATE: Engine = Engine {
    name: "accelerate",
    title: "accelerate",
    summary: "`accelerate launch` on every host, with one process per GPU",
    needs: "Accelerate and PyTorch",
    script: "`Accelerator()`",
    flags: &[],
    variables: &[],
    modules: &[PythonModule { name: "accelerate", package: "accelerate" }],
    spans_hosts: true,
    // The rendezvous of accelerate is torchrun's, which waits for late hosts.
    needs_all_hosts: false,
    starts_ranks_of_other_hosts: false,
    services: Services::None,
    ports: listening_ports,
    task_log: None,
    locate,
    further_profile: nothing_further,
    plan,
};

/// The configuration file that `accelerate launch` reads by default.
const DEFAULT_CONFIG: &str = "accelerate/default_config.yaml";

/// The default configuration file, if it makes `accelerate launch` submit a new job to the platform instead of
/// running the script.
const SUBMITTING_CONFIG: &str = "accelerate/default_config.yaml that submits a job";

/// The options that choose how ranks work together, or a file that chooses it.
const MODES: [&str; 7] =
    ["--config_file", "--cpu", "--multi_gpu", "--tpu", "--use_deepspeed", "--use_fsdp", "--use_megatron_lm"];

fn locate(probe: &dyn ImageProbe) -> Result<Programs, LaunchError> {
    let variable = |name: &str| probe.variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let Some(folder) = variable("HF_HOME").or_else(|| Some(cache()?.join("huggingface"))) else {
        return Ok(Programs::new());
    };
    let path = folder.join(DEFAULT_CONFIG);
    let Some(text) = probe.text(&path) else { return Ok(Programs::new()) };
    let submits = |line: &str| line.starts_with("compute_environment:") && line.contains("AMAZON_SAGEMAKER");
    let name = if text.lines().any(submits) { SUBMITTING_CONFIG } else { DEFAULT_CONFIG };
    Ok(Programs::from([(name, path)]))
}

fn listening_ports(job: &Job, settings: &Settings) -> Vec<ListeningPort> {
    let options = ["--main-process-port", "--rdzv", "--standalone"];
    ports::of_master_unless(job, settings, &settings.accelerate_arguments, &options)
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let (kind, script) = match input.entry {
        Entry::File { kind: EntryKind::PythonScript | EntryKind::PythonFolder, name, .. } => (None, name.clone()),
        Entry::File { kind: EntryKind::PythonPackage | EntryKind::PythonModule, module, .. } => {
            (Some("--module"), module.clone())
        }
        Entry::File { name, .. } => (Some("--no_python"), executable(name)),
        other => return Err(other.refused_by(ACCELERATE.name)),
    };
    let further = &input.settings.accelerate_arguments;
    let has = |option: &str| further.iter().any(|word| word.split('=').next() == Some(option));
    if let Some(path) = input.image.program(SUBMITTING_CONFIG).filter(|_| !has("--config_file")) {
        return Err(LaunchError::new(format!(
            "{} has compute_environment: AMAZON_SAGEMAKER, by which accelerate would submit a new job: remove it from the \
             image, or name another file by --config_file in FOOTPLATE_ACCELERATE_ARGUMENTS",
            path.display()
        )));
    }
    let nodes = input.job.nodes();
    let counts = input.ranks_of_hosts(&nodes, None)?;
    let span = input.span(&counts);
    if counts.iter().any(|count| *count != span.count) {
        let of_hosts = nodes.iter().zip(&counts).map(|(node, count)| format!("{node}: {count}"));
        return Err(LaunchError::new(format!(
            "accelerate needs the same number of ranks on every host ({}): set FOOTPLATE_PROCESSES_PER_HOST to it",
            of_hosts.collect::<Vec<_>>().join(", ")
        )));
    }
    let python = input.python()?;
    let node_rank = input.job.node_rank();
    let mut arguments = words([path_bytes(python)]);
    arguments.extend(words([
        "-m".to_owned(),
        "accelerate.commands.launch".to_owned(),
        format!("--num_machines={}", nodes.len()),
        format!("--num_processes={}", span.world_size),
        format!("--machine_rank={node_rank}"),
        format!("--main_process_port={}", input.settings.master_port),
    ]));
    if nodes.len() > 1 {
        arguments.push(format!("--main_process_ip={}", input.meeting_address()).into());
        // The standard launcher of DeepSpeed is torchrun on each host. Its other launchers need ssh.
        arguments.extend(words(["--rdzv_backend=static", "--same_network", "--deepspeed_multinode_launcher=standard"]));
    }
    let is_configured = input.image.program(DEFAULT_CONFIG).is_some() || MODES.iter().any(|mode| has(mode));
    if !is_configured {
        // If a host has no GPU or one GPU, accelerate would start only one process.
        arguments.extend(words((span.world_size > 1).then_some("--multi_gpu")));
        // accelerate warns if these options are missing and it has to choose.
        for (option, value) in [("--mixed_precision", "no"), ("--dynamo_backend", "no")] {
            arguments.extend(words((!has(option)).then(|| format!("{option}={value}"))));
        }
    }
    arguments.extend(words(further));
    arguments.extend(words(kind));
    arguments.push(script.into());
    arguments.extend(input.arguments.iter().cloned());
    let command = CommandPlan {
        program: python.to_owned(),
        arguments,
        variables: VariableTable::new(),
        working_dir: input.job.working_dir(),
    };
    let separation = Separation::Interpreter;
    // A single process is started without torchrun, in accelerate's own process group.
    let starter = RankStarter { node_rank, separation, shares_group: true, ..RankStarter::default() };
    let role = ProcessRole::Launcher(starter);
    Ok(LaunchPlan {
        // When accelerate is told to stop, it kills its ranks after 30 s, as torchrun does.
        processes: vec![ProcessPlan { stop: StopTarget::Ranks, ..ProcessPlan::of_script(role, command) }],
        variables: input.network_variables(),
        span: Some(span),
        warnings: input.unseen_gpus().into_iter().collect(),
        ..LaunchPlan::new(ACCELERATE.name, input)
    })
}
