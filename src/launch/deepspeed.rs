//! DeepSpeed on every host: one rank for each GPU, with the variables and the argument that DeepSpeed's launcher
//! gives it.
//!
//! footplate starts the ranks itself, because the image's launcher takes seconds to import and checks for failures
//! only once a second. The launcher is used only if the user gives it arguments. Neither way needs ssh or pdsh. The
//! contract is that of `deepspeed.launcher.launch` (DeepSpeed 0.19).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

use super::count::Span;
use super::engine::{Engine, PythonModule, Services, locate_nothing, nothing_further};
use super::error::LaunchError;
use super::input::{Entry, LaunchInput, executable, path_bytes, words};
use super::per_gpu::variables_of_rank;
use super::plan::{CommandPlan, LaunchPlan, ProcessPlan, ProcessRole, RankStarter, StopTarget};
use super::ports::{self, ListeningPort};
use super::process;
use crate::job::Job;
use crate::job::settings::Settings;
use crate::prepare::code::EntryKind;
use crate::prepare::environment::VariableTable;
use crate::prepare::environment::registry::Variable;

/// The engine that starts the ranks of DeepSpeed.
pub(super) static DEEPSPEED: Engine = Engine {
    name: "deepspeed",
    title: "deepspeed",
    summary: "one process per GPU, as DeepSpeed's launcher starts it, without ssh",
    needs: "DeepSpeed",
    script: "`deepspeed.init_distributed()`",
    flags: &[],
    variables: &[
        Variable::new("CROSS_RANK", "This host's node rank, under `deepspeed`."),
        Variable::new("CROSS_SIZE", "The number of hosts, under `deepspeed`."),
        Variable::new("LOCAL_SIZE", "The number of ranks on this host, under `deepspeed`."),
    ],
    modules: &[PythonModule { name: "deepspeed", package: "deepspeed" }],
    spans_hosts: true,
    needs_all_hosts: true,
    starts_ranks_of_other_hosts: false,
    services: Services::None,
    ports: listening_ports,
    task_log: None,
    locate: locate_nothing,
    further_profile: nothing_further,
    plan,
};

/// The argument with which the launcher does not pass `--local_rank` to ranks.
const NO_LOCAL_RANK: &str = "--no_local_rank";

fn listening_ports(job: &Job, settings: &Settings) -> Vec<ListeningPort> {
    ports::of_master_unless(job, settings, &settings.deepspeed_arguments, &["--master-port"])
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let Entry::File { .. } = input.entry else { return Err(input.entry.refused_by(DEEPSPEED.name)) };
    let nodes = input.job.nodes();
    let counts = input.ranks_of_hosts(&nodes, None)?;
    let span = input.span(&counts);
    let further = &input.settings.deepspeed_arguments;
    let processes = if further.iter().all(|word| word == NO_LOCAL_RANK) {
        ranks(input, span, nodes.len(), further.is_empty())?
    } else {
        vec![launcher(input, &nodes, &counts)?]
    };
    Ok(LaunchPlan {
        processes,
        variables: input.network_variables(),
        span: Some(span),
        warnings: input.unseen_gpus().into_iter().collect(),
        ..LaunchPlan::new(DEEPSPEED.name, input)
    })
}

/// Returns the ranks that footplate starts itself.
fn ranks(
    input: &LaunchInput<'_>,
    span: Span,
    nodes: usize,
    tells_local_rank: bool,
) -> Result<Vec<ProcessPlan>, LaunchError> {
    let command = process::command(input)?;
    // The argument comes before those of the script.
    let place = command.arguments.len().saturating_sub(input.arguments.len());
    let master = input.meeting_address();
    let process_of = |local_rank: usize| {
        let mut command = command.clone();
        command.variables = variables_of_rank(input, span, local_rank, nodes, &master);
        let own = [("CROSS_RANK", input.job.node_rank()), ("CROSS_SIZE", nodes), ("LOCAL_SIZE", span.count)];
        command.variables.extend(own.map(|(name, value)| (name.into(), value.to_string().into())));
        if tells_local_rank {
            command.arguments.insert(place, format!("--local_rank={local_rank}").into());
        }
        let role = ProcessRole::Rank { rank: span.first + local_rank, local_rank };
        ProcessPlan { leaves_error_file: true, ..ProcessPlan::of_script(role, command) }
    };
    Ok((0..span.count).map(process_of).collect())
}

/// Returns the image's launcher for this host, which the program `deepspeed` would start through ssh.
fn launcher(input: &LaunchInput<'_>, nodes: &[String], counts: &[usize]) -> Result<ProcessPlan, LaunchError> {
    let (kind, script) = match input.entry {
        Entry::File { kind: EntryKind::PythonScript | EntryKind::PythonFolder, name, .. } => (None, name.clone()),
        Entry::File { kind: EntryKind::PythonPackage | EntryKind::PythonModule, module, .. } => {
            (Some("--module"), module.clone())
        }
        Entry::File { name, .. } => (Some("--no_python"), executable(name)),
        other => return Err(other.refused_by(DEEPSPEED.name)),
    };
    let python = input.python()?;
    let node_rank = input.job.node_rank();
    let mut arguments = words([path_bytes(python)]);
    arguments.extend(words([
        "-m".to_owned(),
        "deepspeed.launcher.launch".to_owned(),
        format!("--world_info={}", world_info(nodes, counts)),
        format!("--node_rank={node_rank}"),
        format!("--master_addr={}", input.meeting_address()),
        format!("--master_port={}", input.settings.master_port),
    ]));
    arguments.extend(words(&input.settings.deepspeed_arguments));
    arguments.extend(words(kind));
    arguments.push(script.into());
    arguments.extend(input.arguments.iter().cloned());
    let command = CommandPlan {
        program: python.to_owned(),
        arguments,
        variables: VariableTable::new(),
        working_dir: input.job.working_dir(),
    };
    let role = ProcessRole::Launcher(RankStarter { node_rank, shares_group: true, ..RankStarter::default() });
    // When the launcher is told to stop, it kills its ranks after 30 s, and fails.
    Ok(ProcessPlan { stop: StopTarget::Ranks, ..ProcessPlan::of_script(role, command) })
}

/// Returns the hosts and the numbers of their GPUs in the form that the launcher expects: JSON in base64 with the URL
/// alphabet.
fn world_info(nodes: &[String], counts: &[usize]) -> String {
    let of_host = |(node, count): (&String, &usize)| {
        format!("{}: {:?}", serde_json::Value::from(node.as_str()), (0..*count).collect::<Vec<_>>())
    };
    let hosts: Vec<String> = nodes.iter().zip(counts).map(of_host).collect();
    URL_SAFE.encode(format!("{{{}}}", hosts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::world_info;

    #[test]
    fn the_world_is_described_as_the_launcher_reads_it() {
        let found = world_info(&["algo-1".to_owned(), "algo-2".to_owned()], &[2, 1]);
        // {"algo-1": [0, 1], "algo-2": [0]}
        assert_eq!(found, "eyJhbGdvLTEiOiBbMCwgMV0sICJhbGdvLTIiOiBbMF19");
    }
}
