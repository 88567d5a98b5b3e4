//! `footplate train`: a training job on this host.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::judge::Ended;
use super::ranks::Separate;
use super::script::RankTask;
use super::session::{self, Options, Session};
use super::{Outcome, Prepared, Refusal, bring, install, intermediate, peers, prepare, ranks, record, remote, script};
use crate::event::{Phase, Process};
use crate::job::settings::Launcher;
use crate::launch::{self, Entry, Facts, LaunchPlan, Rank};
use crate::prepare::environment::{ExistingVariables, VariableTable};
use crate::supervise::{Launching, Role, Task, keeper};

/// Set around the command of a job of SDK version 3.
pub(super) const IN_COMMAND: &str = "FOOTPLATE_IN_COMMAND";

/// Lets Python write each piece by itself.
const UNBUFFERED: &str = "PYTHONUNBUFFERED";

/// Names the file that torch elastic's `record` writes a rank's exception into.
const ERROR_FILE: &str = "TORCHELASTIC_ERROR_FILE";

/// Runs the job whose configuration is in the base folder; gives the exit code.
pub fn train(options: Options) -> i32 {
    session::run(options, phases)
}

async fn phases(session: &mut Session) -> Result<Ended, Outcome> {
    let prepared = prepare::prepare(session.paths.clone(), &session.variables, &session.options.settings, false)?;
    prepared.log_level().apply();
    session.set_redactor(prepare::redactor(&session.variables, &prepared.job.all_hyperparameters));
    introduce(&prepared);
    // A launcher that does not exist is refused when the launch is planned.
    let launcher = launch::choose(&prepared.job, &prepared.settings).unwrap_or(Launcher::Process);
    session.events.name_host(&prepared.job.cluster.current_host);
    record::begin(session, &prepared);
    peers::join(session, &prepared, launcher);
    intermediate::begin(session, &prepared);
    session.next_phase(Phase::Config, Phase::Code);

    bring::code(session, &prepared).await?;
    session.next_phase(Phase::Code, Phase::Requirements);

    let (mut entry, point) = prepare::entry_of(&prepared.job)?;
    let code_dir = prepared.job.code_dir();
    let needs_python = prepare::needs_python(&entry);
    let (image, python) = prepare::image(&prepared, &session.variables, needs_python)?;
    match &image.python {
        Some(_) => tracing::info!("python: {python}"),
        None => tracing::debug!("python: none"),
    }
    // A module of the image's own installs what it needs itself.
    if point.is_some() || prepared.job.runs_as_drivers() {
        install::requirements(session, &prepared, point.as_ref(), image.python.as_deref()).await?;
    }
    if let (Some(point), Entry::File { is_executable, .. }) = (&point, &mut entry) {
        *is_executable = point.make_executable();
    }
    session.next_phase(Phase::Requirements, Phase::Environment);

    let hardware = session.hardware(&prepared).await?;
    let environment = prepare::environment_of(&prepared, &hardware, &session.variables, ExistingVariables::Overwrite)?;
    let plan = launch::plan(&Facts {
        job: &prepared.job,
        settings: &prepared.settings,
        hardware: &hardware,
        image: &image,
        entry: &entry,
        arguments: &environment.arguments,
    })
    .map_err(|error| Outcome::refused(Refusal::Launch, error))?;
    session.next_phase(Phase::Environment, Phase::Hosts);

    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }
    let mut variables = script::variables(session, &environment, &plan.variables);
    if let Entry::ShellCommand(command) = &entry {
        // `SourceCode.command` of SDK version 3 that is `footplate train` would run itself without end.
        if session.variables.get(IN_COMMAND).is_some() {
            let message = format!(
                "the job's command {command:?} runs `footplate train`, which runs the command again: use `footplate exec -- …` in it"
            );
            return Err(Outcome::refused(Refusal::Launch, message));
        }
        variables.insert(IN_COMMAND.into(), "1".into());
    }
    let nodes = prepared.job.nodes();
    if let Some(agent) = session.peers.as_ref().and_then(|peers| peers.agent()) {
        remote::name_agent(&mut variables, agent, nodes.len());
    }
    let Separate { streams, keepers } = ranks::separate(session, &prepared, &plan, &image, &mut variables);
    // Open MPI 5 mixes what ranks write in parts; on the terminals that it gives them Python writes whole lines by itself.
    let is_mixed = plan.tagged.as_ref().is_some_and(|tagged| tagged.has_blank) && keepers.is_none();
    if is_mixed && session.variables.get(UNBUFFERED).is_none() {
        variables.remove(std::ffi::OsStr::new(UNBUFFERED));
    }
    let launcher = plan.launcher;
    let mut tasks = rank_tasks(session, &prepared, plan, variables);
    if let [launcher] = &mut tasks[..] {
        (launcher.task.ranks, launcher.task.keepers) = (streams, keepers);
    }
    record::plan(session, launcher, &tasks);
    let serves = tasks.iter().any(|task| task.serves);
    if let Some(first) = tasks.first().filter(|_| !serves) {
        let times = if tasks.len() > 1 { format!("{} times ", tasks.len()) } else { String::new() };
        tracing::info!("command: {times}{}", bring::display(&session.redactor, &first.task.arguments));
    }
    peers::meet(session).await?;
    tracing::info!("{}", session.timeline.ready());
    if serves {
        return remote::serve(session, &prepared, tasks, &nodes[0], &code_dir).await;
    }
    script::run(session, &prepared, tasks, &code_dir).await
}

/// The processes of a plan, the launcher of another host's included that starts the ranks of this one; each rank's own variables are stronger than all but what the container was given.
fn rank_tasks(
    session: &mut Session,
    prepared: &Prepared,
    plan: LaunchPlan,
    variables: BTreeMap<OsString, OsString>,
) -> Vec<RankTask> {
    let LaunchPlan { launcher, host, mut ranks, program, arguments, working_dir, tagged, .. } = plan;
    let serves = ranks.is_empty();
    if serves {
        let rank = prepared.job.node_rank();
        ranks.push(Rank { rank, local_rank: 0, variables: VariableTable::new() });
    }
    let is_only = ranks.len() == 1;
    let arguments = script::os_words(&arguments);
    // Without a temporary folder, what the ranks write to standard error has to tell.
    let leaves_error_file = match launcher {
        Launcher::PerGpu => true,
        // torchrun gives each of its ranks a file of its own, and copies that of the rank that failed first into this one.
        Launcher::Torchrun => session.variables.get_os(ERROR_FILE).is_none(),
        Launcher::Process | Launcher::Mpi | Launcher::Smddp | Launcher::Xla => false,
    };
    let folder = leaves_error_file.then(|| session.temporary.path().ok().map(Path::to_owned)).flatten();
    let starts_ranks = !matches!(launcher, Launcher::Process | Launcher::PerGpu);
    let role = match launch::ends_with_its_ranks(launcher, &prepared.settings, &session.variables) {
        true if launch::is_mpirun(launcher) => Role::Launcher(keeper::MPIRUN),
        true => Role::Launcher(Launching::default()),
        false => Role::Process,
    };
    let task_of = |rank: Rank| {
        let mut variables = variables.clone();
        for (name, value) in rank.variables {
            let (name, value) = (OsString::from_vec(name), OsString::from_vec(value));
            if session.variables.get_os(&name).is_none() {
                variables.insert(name, value);
            }
        }
        let error_file = folder.as_ref().map(|folder| folder.join(format!("error-{}.json", rank.rank)));
        if let Some(path) = &error_file {
            variables.insert(ERROR_FILE.into(), path.into());
        }
        let task = Task {
            process: if starts_ranks {
                Process::Launcher(launcher.to_string().into())
            } else {
                Process::Rank(rank.rank)
            },
            program: program.clone(),
            arguments: arguments.clone(),
            variables,
            working_dir: working_dir.clone(),
            style: script::style(&prepared.settings, &host, rank.rank, is_only, tagged.as_ref()),
            ranks: Vec::new(),
            keepers: None,
            role: role.clone(),
            attempt: 0,
        };
        RankTask { task, rank: (launcher == Launcher::PerGpu).then_some(rank.rank), serves, error_file }
    };
    ranks.into_iter().map(task_of).collect()
}

/// Says what matters of the job.
fn introduce(prepared: &Prepared) {
    let job = &prepared.job;
    let cluster = &job.cluster;
    let name = job.name.as_deref().unwrap_or("without a name");
    let place = cluster.hosts.iter().position(|host| *host == cluster.current_host).unwrap_or(0) + 1;
    tracing::info!(
        "footplate {}, job {name}, host {} ({place} of {}), {}",
        env!("CARGO_PKG_VERSION"),
        cluster.current_host,
        cluster.hosts.len(),
        cluster.instance_type
    );
    if let Some(entry) = job.entry_name() {
        tracing::info!("entry point: {entry}");
    }
    if let Some(folder) = &job.checkpoint_dir {
        tracing::info!("checkpoints: {}", super::checkpoints::describe(folder));
    }
    for warning in &prepared.warnings {
        tracing::warn!("{warning}");
    }
}
