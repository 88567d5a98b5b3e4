//! The image's own torchrun on each host, with a static rendezvous at the master host.

use super::{Entry, Facts, LaunchError, LaunchPlan, Rank, words};
use crate::job::settings::Launcher;
use crate::prepare::code::EntryKind;

pub(super) fn plan(facts: &Facts<'_>) -> Result<LaunchPlan, LaunchError> {
    let job = facts.job;
    let further = &facts.settings.torchrun_arguments;
    // With it torchrun runs programs of any kind.
    let any_program = further.iter().any(|word| matches!(word.as_str(), "--no-python" | "--no_python"));
    let script = match facts.entry {
        Entry::File { kind: EntryKind::PythonScript | EntryKind::PythonFolder, name, .. } => name.clone(),
        Entry::File { kind: EntryKind::ShellScript | EntryKind::Executable, name, .. } if any_program => {
            format!("./{name}")
        }
        other => return Err(other.refused_by("torchrun")),
    };
    let torchrun = facts.image.torchrun.clone().ok_or_else(|| {
        LaunchError(
            "the job asks for torchrun, which is neither on PATH nor beside Python: install PyTorch in the image, or set \
             FOOTPLATE_LAUNCHER=process"
                .to_owned(),
        )
    })?;
    let asked = facts.asked_ranks();
    let ranks = facts.ranks_per_host(asked);
    let nodes = job.nodes();
    let mut arguments =
        words(["torchrun".to_owned(), format!("--nnodes={}", nodes.len()), format!("--nproc_per_node={ranks}")]);
    let mut program = torchrun;
    if let Some(compiler) = &facts.image.neuron_parallel_compile {
        arguments.insert(0, b"neuron_parallel_compile".to_vec());
        program = compiler.clone();
    }
    if nodes.len() > 1 {
        arguments.extend(words([
            format!("--master_addr={}", facts.reach(&job.master())),
            format!("--master_port={}", facts.settings.master_port),
            format!("--node_rank={}", job.node_rank()),
        ]));
    }
    // Of an option that stands twice, torchrun takes the last.
    arguments.extend(words(further));
    arguments.push(script.into());
    arguments.extend(facts.arguments.iter().cloned());
    Ok(LaunchPlan {
        launcher: Launcher::Torchrun,
        host: job.cluster.current_host.clone(),
        ranks: Rank::only(job),
        // The torchruns of all hosts agree on the ranks by themselves, whatever is known here.
        span: facts.ranks_of_hosts(&nodes, asked).ok().map(|counts| facts.span(&counts)),
        program,
        arguments,
        variables: facts.network_variables(),
        working_dir: job.code_dir(),
        tagged: None,
        keeps_ranks: false,
        warnings: facts.unseen_gpus().into_iter().collect(),
    })
}
