//! The Python module that an engine needs. The image or the requirements of the job must provide it.

use std::path::Path;

use super::context::Context;
use super::live::Live;
use super::python_module::{find_frameworks, missing_module};
use super::{Outcome, Prepared, Refusal};
use crate::launch::Engine;
use crate::supervise;

/// Refuses the job if the image's Python lacks the module that the engine needs, now that the requirements are installed.
pub(super) async fn require(
    live: &mut Live,
    prepared: &Prepared,
    engine: &'static Engine,
    python: Option<&Path>,
) -> Result<(), Outcome> {
    if engine.modules.is_empty() {
        return Ok(());
    }
    let (python, code_dir) = (python.map(Path::to_owned), prepared.job.code_dir());
    let look = move || missing_module(engine, python.as_deref(), &code_dir);
    let looked = live.supervisor.interruptible(look).await;
    if looked.is_err() {
        supervise::kill_descendants();
    }
    match looked? {
        Some(problem) => Err(Outcome::refused(Refusal::Launch, problem)),
        None => Ok(()),
    }
}

/// Adds to the job the modules of the image's Python on which the choice of the launcher depends.
pub(super) async fn with_frameworks(
    context: &Context,
    live: &mut Live,
    mut prepared: Prepared,
) -> Result<Prepared, Outcome> {
    let variables = context.variables.clone();
    let look = move || {
        find_frameworks(&mut prepared, &variables);
        prepared
    };
    let looked = live.supervisor.interruptible(look).await;
    if looked.is_err() {
        supervise::kill_descendants();
    }
    Ok(looked?)
}
