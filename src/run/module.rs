//! The Python module that an engine needs: the image, or the requirements of the job, must bring it.

use std::path::Path;

use super::live::Live;
use super::python_module::missing_module;
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
    if engine.module.is_none() {
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
