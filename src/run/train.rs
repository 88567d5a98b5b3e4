//! `footplate train`: a training job on this host.

use super::session::{self, Options, Session};
use super::{Outcome, Prepared, Refusal, bring, prepare, script};
use crate::environment::Given;
use crate::hardware::Hardware;
use crate::launch::{self, Entry, Facts};
use crate::process::Task;

/// Runs the job whose configuration is in the base folder; gives the exit code.
pub fn train(options: Options) -> i32 {
    session::run(options, phases)
}

async fn phases(session: &mut Session) -> Result<Outcome, Outcome> {
    let prepared = prepare::prepare(session.paths.clone(), &session.variables, &session.options.settings, false)?;
    prepared.log_level().apply();
    session.set_redactor(prepare::redactor(&session.variables, &prepared.job.all_hyperparameters));
    introduce(&prepared);
    session.end_phase("config");

    bring::code(session, &prepared).await?;
    session.end_phase("code");

    let (mut entry, point) = prepare::entry_of(&prepared.job)?;
    let code_dir = prepared.job.code_dir();
    let needs_python = prepare::needs_python(&entry);
    let (image, python) = prepare::image(&prepared, &session.variables, needs_python)?;
    match &image.python {
        Some(_) => tracing::info!("python: {python}"),
        None => tracing::debug!("python: none"),
    }
    if let Some(point) = &point {
        bring::requirements(session, &prepared, point, image.python.as_deref()).await?;
        if let Entry::File { is_executable, .. } = &mut entry {
            *is_executable = point.prepare();
        }
    }
    session.end_phase("requirements");

    let cluster = &prepared.job.cluster;
    let hardware = Hardware::detect(&session.variables, &cluster.instance_type, &cluster.network_interface);
    let environment = prepare::environment_of(&prepared, &hardware, &session.variables, Given::Overwritten)?;
    let plan = launch::plan(&Facts {
        job: &prepared.job,
        settings: &prepared.settings,
        hardware: &hardware,
        image: &image,
        entry: &entry,
        arguments: &environment.arguments,
    })
    .map_err(|error| Outcome::refused(Refusal::Launch, error))?;
    session.end_phase("environment");

    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }
    let task = Task {
        variables: script::variables(session, &environment, &plan.variables),
        arguments: script::os_words(&plan.arguments),
        style: script::style(&prepared.settings, &plan.host, prepared.job.node_rank()),
        program: plan.program,
        working_dir: plan.working_dir,
    };
    tracing::info!("command: {}", bring::display(session, &task.arguments));
    tracing::info!("{}", session.phases());
    script::run(session, &prepared, task, &code_dir).await
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
