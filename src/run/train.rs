//! `footplate train`: a training job on this host.

use super::context::{Context, EntryPointCall, IN_COMMAND, LeavesFiles, Options, ProcessingCommand};
use super::judge::Ended;
use super::live::Live;
use super::observe::HostFacts;
use super::ranks::Separate;
use super::start::{self, RankTask, rank_tasks};
use super::{
    Outcome, Prepared, Refusal, addresses, bring, call, checkpoints, command, entry, hang, install, intermediate,
    lifecycle, module, observe, peers, prepare, ranks, record, remote, script, secret, tasks as failed_tasks,
};
use crate::event::{EventKind, JobPhase};
use crate::failure::TextLimit;
use crate::launch::{self, Entry, LaunchInput};
use crate::logs;
use crate::observe::advice::Processes;
use crate::prepare::code::EntryPoint;
use crate::prepare::environment::ExistingVariables;

/// The variable that makes Python write its output without buffering.
const UNBUFFERED: &str = "PYTHONUNBUFFERED";

/// The error of a training job in the container of a processing job.
const OF_PROCESSING: &str = "this is the container of a processing job, which has no hyperparameters: start it with \
                             `footplate process SCRIPT` or `footplate exec -- COMMAND`, not with `train`";

/// Runs the job whose configuration is in the base folder, and returns the exit code.
pub fn train(options: Options) -> i32 {
    lifecycle::run(options, LeavesFiles::Always, phases)
}

/// Runs an entry point for a framework of the image, and returns the exit code. The framework gets a report about the
/// end, and no file is written.
pub fn entry_point(options: Options, call: EntryPointCall) -> i32 {
    lifecycle::run(Options { call: Some(call), ..options }, LeavesFiles::Never, phases)
}

/// Runs a processing job with this command, and returns the exit code. The success and failure files are written if
/// the base folder exists. Variables that are already exported are kept.
pub fn process(options: Options, command: ProcessingCommand) -> i32 {
    lifecycle::run(Options { command: Some(command), ..options }, LeavesFiles::InBaseFolder, phases)
}

async fn phases(context: &Context, live: &mut Live) -> Result<Ended, Outcome> {
    let mut prepared = prepare::prepare(context.paths.clone(), &context.variables, &context.options.settings, false)?;
    if context.paths.are_of_processing() && context.options.command.is_none() {
        return Err(Outcome::refused(Refusal::Configuration, OF_PROCESSING));
    }
    let mut existing = ExistingVariables::in_job(&prepared.job);
    if let Some(call) = &context.options.call {
        call::apply(call, context, &mut prepared);
        // The framework may have changed these variables on purpose.
        existing = ExistingVariables::Keep;
    }
    if let Some(command) = &context.options.command {
        command::apply(command, &context.variables, &mut prepared);
        live.text_limit = TextLimit::Message { hosts: prepared.job.cluster.hosts.len() };
    }
    prepared.log_level().apply();
    if !launch::undecided(&prepared.job, &prepared.settings).is_empty() {
        prepared = module::with_frameworks(context, live, prepared).await?;
    }
    // An unknown launcher is refused when the launch is planned.
    let engine = launch::choose(&prepared.job, &prepared.settings).unwrap_or(&launch::PROCESS);
    let token = engine.has_services().then(|| secret::engine_token(&prepared, &context.variables));
    let hyperparameters = &prepared.job.all_hyperparameters;
    logs::set_redactor(prepare::redactor_with(&logs::redactor(), hyperparameters, token.as_deref()));
    introduce(&prepared);
    live.events.name_host(&prepared.job.cluster.current_host);
    record::begin(context, live, &prepared);
    if !context.is_within_job() {
        checkpoints::begin(live, &prepared);
    }
    peers::join(context, live, &prepared, engine);
    if !context.is_within_job() {
        intermediate::begin(context, live, &prepared);
    }
    live.next_phase(JobPhase::Config, JobPhase::Code);

    context.files.wait_until_reserved(script::RESERVE_TIME);
    bring::code(context, live, &prepared).await?;
    command::locate(&mut prepared.job);
    live.next_phase(JobPhase::Code, JobPhase::Requirements);

    let (mut entry, point) = entry::entry_of(&prepared.job, &context.variables)?;
    let code_dir = prepared.job.code_dir();
    let needs_python = entry::needs_python(&entry);
    let (image, python) = prepare::image(&prepared, &context.variables, needs_python)?;
    match &image.python {
        Some(_) => tracing::info!("python: {python}"),
        None => tracing::debug!("python: none"),
    }
    // A module of the image installs its own requirements.
    if point.is_some() || prepared.job.runs_as_drivers() {
        install::requirements(context, live, &prepared, point.as_ref(), image.python.as_deref()).await?;
    }
    module::require(live, &prepared, engine, image.python.as_deref()).await?;
    let is_executable = point.as_ref().is_some_and(EntryPoint::make_executable);
    let python = image.python.as_deref();
    entry::find_runner(&mut entry, point.as_ref(), is_executable, &context.variables, python)?;
    live.next_phase(JobPhase::Requirements, JobPhase::Environment);

    let hardware = live.hardware(context, &prepared).await?;
    let environment = prepare::environment_of(&prepared, &hardware, &context.variables, existing)?;
    let plan = |prepared: &Prepared| {
        let planned = launch::plan(&LaunchInput {
            job: &prepared.job,
            settings: &prepared.settings,
            variables: &context.variables,
            hardware: &hardware,
            image: &image,
            entry: &entry,
            arguments: &environment.arguments,
            token: token.as_deref().unwrap_or_default(),
        });
        planned.map_err(|error| Outcome::refused(Refusal::Launch, error))
    };
    // An impossible launch is refused before waiting for the other hosts.
    let mut planned = plan(&prepared)?;
    live.events.emit(EventKind::PhaseEnded(JobPhase::Environment));
    let mut meeting = LaunchBarrier::AtStart;
    if engine.has_services() {
        meeting = LaunchBarrier::Before;
        peers::meet_for_services(live, &prepared, engine).await?;
        prepared = addresses::resolve(live, &prepared).await?;
        planned = plan(&prepared)?;
    }
    let plan = planned;

    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }
    let mut variables = start::variables(context, live, &environment, &plan.variables);
    let hook = hang::hook(live, &prepared, &mut variables);
    if matches!(entry, Entry::ShellCommand(_) | Entry::Function { .. } | Entry::Command { .. }) {
        if context.is_within_job() {
            return Err(Outcome::refused(Refusal::Launch, runs_itself(&entry)));
        }
        variables.insert(IN_COMMAND.into(), "1".into());
    }
    let nodes = prepared.job.nodes();
    if let Some(agent) = live.peers.as_ref().and_then(|peers| peers.agent.as_ref()) {
        remote::name_agent(&mut variables, agent, nodes.len());
    }
    let Separate { streams, keepers } = ranks::separate(context, live, &prepared, &plan, &mut variables);
    // Open MPI 5 mixes parts of the ranks' output. It gives ranks terminals, on which Python writes whole lines by
    // default.
    let tagged = plan.rank_starter().and_then(|(_, starter)| starter.tagged.as_ref());
    let is_mixed = tagged.is_some_and(|tagged| tagged.has_blank) && keepers.is_none();
    if is_mixed && context.variables.get(UNBUFFERED).is_none() {
        variables.remove(std::ffi::OsStr::new(UNBUFFERED));
    }
    let launcher = plan.launcher;
    let can_restart = !engine.starts_ranks_of_other_hosts && plan.services().next().is_none();
    let rules = script::Rules { end_traits: plan.end_traits, can_restart };
    let mut tasks = rank_tasks(context, live, &prepared, plan, &variables);
    if let [launcher] = &mut tasks[..] {
        (launcher.task.ranks, launcher.task.keepers) = (streams, keepers);
    }
    record::plan(live, launcher, &tasks);
    let is_one = launcher == launch::PROCESS.name && tasks.len() == 1;
    let processes = if is_one { Processes::One } else { Processes::Several };
    // The footplate around a framework already observes these lines.
    if !context.is_within_job() {
        observe::begin(context, live, &prepared, &HostFacts { hardware: &hardware, processes }, &code_dir);
    }
    hang::begin(live, &prepared, &code_dir, hook);
    if let Some(log) = engine.task_log {
        failed_tasks::begin(live, &prepared, log);
    }
    let serves = tasks.iter().any(|task| task.serves);
    log_commands(&tasks);
    if meeting == LaunchBarrier::AtStart {
        peers::meet(live).await?;
    }
    tracing::info!("{}", live.timeline.ready());
    if serves {
        return remote::serve(context, live, &prepared, tasks, &nodes[0], &code_dir).await;
    }
    script::run(context, live, &prepared, tasks, &code_dir, rules).await
}

/// Returns the error for a job whose command or function runs `footplate train`, which would run itself for ever.
fn runs_itself(entry: &Entry) -> String {
    match entry {
        Entry::Function { module, function, .. } => format!(
            "the job's function {module}:{function} runs `footplate train`, which calls the function again: use \
             sagemaker_training.entry_point.run or `footplate exec -- …` in it"
        ),
        Entry::ShellCommand(command) => format!(
            "the job's command {command:?} runs `footplate train`, which runs the command again: use `footplate exec -- …` in it"
        ),
        Entry::File { name, .. } => format!("{name} runs `footplate train`, which runs it again"),
        Entry::Command { program, .. } => format!(
            "{} runs `footplate process`, which runs a command in its turn: use `footplate exec -- …` in it",
            program.display()
        ),
    }
}

/// The point at which the hosts of a launch wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaunchBarrier {
    /// Just before the processes start.
    AtStart,
    /// Before the processes are known, because their commands need the addresses of the other hosts.
    Before,
}

/// Logs the commands that this host runs.
fn log_commands(tasks: &[RankTask]) {
    let command = |task: &RankTask| task.shown_command(&logs::redactor());
    let (services, ranks): (Vec<&RankTask>, Vec<&RankTask>) = tasks.iter().partition(|task| task.service.is_some());
    for service in services {
        tracing::info!("{}: {}", service.task.process, command(service));
    }
    if let Some(first) = ranks.first().filter(|first| !first.serves) {
        let times = if ranks.len() > 1 { format!("{} times ", ranks.len()) } else { String::new() };
        tracing::info!("command: {times}{}", command(first));
    }
}

/// Logs the facts about the job.
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
    for warning in &prepared.warnings {
        tracing::warn!("{warning}");
    }
}
