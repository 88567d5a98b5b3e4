//! Separate streams for the ranks that torchrun and mpirun start, so that their lines arrive whole and can be told
//! apart. mpirun's ranks also have keepers, which report how each rank ended.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::Context;
use super::live::Live;
use super::{Prepared, start};
use crate::job::Variables;
use crate::launch::mpi::FORK_AGENTS;
use crate::launch::{LaunchPlan, Separation, Span};
use crate::logs::RankLabel;
use crate::machine::which;
use crate::prepare::code::{Shebang, shebang};
use crate::supervise::direct::{self, PYTHON_EXEC, RankStreams};
use crate::supervise::keeper::{self, Keepers};

type Table = BTreeMap<OsString, OsString>;

/// The streams of the ranks that a launcher starts here, and their keepers. Empty if the ranks share the launcher's
/// streams.
#[derive(Default)]
pub(super) struct Separate {
    pub(super) streams: Vec<RankStreams>,
    pub(super) keepers: Option<Arc<Keepers>>,
}

/// Gives the ranks that a launcher starts here their own streams, and sets the variables that make the launcher use
/// them.
pub(super) fn separate(
    context: &Context,
    live: &mut Live,
    prepared: &Prepared,
    plan: &LaunchPlan,
    variables: &mut Table,
) -> Separate {
    let Some((launcher, starter)) = plan.rank_starter() else { return Separate::default() };
    match starter.separation {
        Separation::Shared => Separate::default(),
        Separation::Agent => keep(live, prepared, plan, variables),
        Separation::Interpreter => {
            let streams = of_torchrun(context, live, prepared, plan, &launcher.command.program, variables);
            Separate { streams, keepers: None }
        }
    }
}

/// Gives mpirun's ranks streams and keepers.
fn keep(live: &mut Live, prepared: &Prepared, plan: &LaunchPlan, variables: &mut Table) -> Separate {
    let is_free = FORK_AGENTS.iter().all(|name| !variables.contains_key(OsStr::new(name)));
    let (Some(span), Some(agent)) = (plan.span.filter(|_| is_free), keeper::agent()) else {
        return Separate::default();
    };
    let made = live.scratch.path().and_then(|folder| {
        let streams = streams(folder, prepared, plan, span)?;
        Ok((folder.to_owned(), streams, Keepers::listen(folder)?))
    });
    match made {
        Ok((folder, streams, keepers)) => {
            variables.insert(keeper::FOLDER.into(), folder.into());
            for name in FORK_AGENTS {
                variables.insert(name.into(), agent.clone().into());
            }
            Separate { streams, keepers: Some(Arc::new(keepers)) }
        }
        Err(error) => {
            tracing::debug!("the ranks share mpirun's streams: {error}");
            Separate::default()
        }
    }
}

/// Gives torchrun's ranks their own streams. torchrun is given the interpreter that uses them, unless a variable
/// names another one.
fn of_torchrun(
    context: &Context,
    live: &mut Live,
    prepared: &Prepared,
    plan: &LaunchPlan,
    torchrun: &Path,
    variables: &mut Table,
) -> Vec<RankStreams> {
    let is_free = !variables.contains_key(OsStr::new(PYTHON_EXEC));
    let Some(span) = plan.span.filter(|span| is_free && span.count > 1) else { return Vec::new() };
    let Some(python) = interpreter(torchrun, &context.variables) else { return Vec::new() };
    let made = live.scratch.path().and_then(|folder| {
        let streams = streams(folder, prepared, plan, span)?;
        Ok((streams, direct::install(folder, &python)?))
    });
    match made {
        Ok((ranks, interpreter)) => {
            variables.insert(PYTHON_EXEC.into(), interpreter.into());
            ranks
        }
        Err(error) => {
            tracing::debug!("the ranks share torchrun's streams: {error}");
            Vec::new()
        }
    }
}

fn streams(folder: &Path, prepared: &Prepared, plan: &LaunchPlan, span: Span) -> io::Result<Vec<RankStreams>> {
    let of_rank = |rank: usize| {
        let name = RankLabel::new(&plan.host, rank).prefix();
        let style = start::style(&prepared.settings, &plan.host, rank, span.world_size == 1, None);
        RankStreams::make(folder, rank, name, style)
    };
    (span.first..span.first + span.count).map(of_rank).collect()
}

/// Returns the Python that runs torchrun: the program itself, or the interpreter in its first line. Its ranks run
/// with that Python too.
fn interpreter(torchrun: &Path, variables: &Variables) -> Option<PathBuf> {
    let is_python = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"));
    if is_python(torchrun) {
        return Some(torchrun.to_owned());
    }
    let found = match shebang(torchrun).ok()? {
        Shebang::Interpreter(path, Some(name)) if path.ends_with("env") => {
            which(&name, variables.get_os("PATH")).found()?
        }
        // torchrun does not pass options from this line on.
        Shebang::Interpreter(path, _) => path,
        _ => return None,
    };
    is_python(&found).then_some(found)
}
