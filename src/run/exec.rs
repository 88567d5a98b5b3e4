//! `footplate exec -- COMMAND`: any command under the same variables, supervision and failure text.

use std::ffi::OsString;

use super::context::{Context, IN_COMMAND, LeavesFiles, Options, ProcessingCommand};
use super::entry::program;
use super::judge::Ended;
use super::live::Live;
use super::observe::HostFacts;
use super::start::{self, RankTask, shown_command};
use super::train::process;
use super::{Outcome, Refusal, checkpoints, hang, lifecycle, observe, peers, prepare, record, script};
use crate::event::{EventKind, JobPhase, Process};
use crate::job::{Variables, config};
use crate::launch::PROCESS;
use crate::logs;
use crate::observe::advice::Processes;
use crate::prepare::environment::{ExistingVariables, VariableTable};
use crate::supervise::Task;

/// Runs the command in the present working directory, and returns the exit code.
///
/// Writes the success and failure files if the base folder exists. Variables that are already exported are kept,
/// because the drivers have set them in a job of SDK version 3.
///
/// In the container of a processing job, this is [`process`] of the command.
pub fn exec(options: Options, command: Vec<OsString>) -> i32 {
    let variables = Variables::of_this_process();
    if config::paths_here(&variables).are_of_processing() && variables.get(IN_COMMAND).is_none() {
        return process(options, ProcessingCommand { words: command, may_be_script: false });
    }
    lifecycle::run(options, LeavesFiles::InBaseFolder, async |context: &Context, live: &mut Live| {
        phases(context, live, command).await
    })
}

async fn phases(context: &Context, live: &mut Live, mut command: Vec<OsString>) -> Result<Ended, Outcome> {
    let prepared = prepare::prepare(context.paths.clone(), &context.variables, &context.options.settings, true)?;
    prepared.log_level().apply();
    logs::set_redactor(prepare::redactor(&context.variables, &prepared.job.all_hyperparameters));
    for warning in &prepared.warnings {
        tracing::warn!("{warning}");
    }
    live.events.name_host(&prepared.job.cluster.current_host);
    let is_own_job = !context.is_within_job();
    if is_own_job {
        record::begin(context, live, &prepared);
        checkpoints::begin(live, &prepared);
    }
    // Inside the command of a job, the footplate around it has already joined the other hosts and keeps the record.
    if is_own_job {
        peers::join(context, live, &prepared, &PROCESS);
    }
    let cluster = &prepared.job.cluster;
    let hardware = live.hardware(context, &prepared).await?;
    let environment = prepare::environment_of(&prepared, &hardware, &context.variables, ExistingVariables::Keep)?;
    live.events.emit(EventKind::PhaseEnded(JobPhase::Environment));

    let working_dir = std::env::current_dir()
        .map_err(|error| Outcome::refused(Refusal::Internal, format!("no working directory: {error}")))?;
    let program = program(command.first().map(OsString::as_os_str).unwrap_or_default(), &context.variables)?;
    command.extend(start::os_words(&environment.arguments));
    let mut variables = start::variables(context, live, &environment, &VariableTable::new());
    let hook = hang::hook(live, &prepared, &mut variables);
    let task = Task {
        process: Process::Rank(prepared.job.node_rank()),
        program,
        arguments: command,
        variables,
        style: start::style(&prepared.settings, &cluster.current_host, prepared.job.node_rank(), true, None),
        working_dir: working_dir.clone(),
        ..Task::default()
    };
    tracing::info!(
        "footplate {}, command: {}",
        env!("CARGO_PKG_VERSION"),
        shown_command(&logs::redactor(), &task.arguments)
    );
    if is_own_job {
        let host = HostFacts { hardware: &hardware, processes: Processes::Several };
        observe::begin(context, live, &prepared, &host, &working_dir);
        hang::begin(live, &prepared, &working_dir, hook);
    }
    script::run(
        context,
        live,
        &prepared,
        vec![RankTask { task, rank: None, serves: false, service: None, error_file: None, cause_file: None }],
        &working_dir,
        script::Rules::default(),
    )
    .await
}
