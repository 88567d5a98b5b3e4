//! torchrun's ranks, each with streams of its own: their lines come whole, and say whose they are.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::session::Session;
use super::{Prepared, script};
use crate::code::{Shebang, interpreter::which, shebang};
use crate::job::Variables;
use crate::launch::{Image, LaunchPlan, Span};
use crate::process::direct::{self, PYTHON_EXEC, RankStreams};
use crate::settings::Launcher;

/// Gives the ranks that torchrun starts here streams of their own, and names to torchrun the interpreter that takes them.
/// Where that is not possible, or another is named already, they share torchrun's.
pub(super) fn separate(
    session: &mut Session,
    prepared: &Prepared,
    plan: &LaunchPlan,
    image: &Image,
    variables: &mut BTreeMap<OsString, OsString>,
) -> Vec<RankStreams> {
    // What neuron_parallel_compile makes of the output of its torchrun is not known.
    let is_torchrun = plan.launcher == Launcher::Torchrun && image.torchrun.as_ref() == Some(&plan.program);
    let is_free = is_torchrun && !variables.contains_key(OsStr::new(PYTHON_EXEC));
    let Some(span) = plan.span.filter(|span| is_free && span.count > 1) else { return Vec::new() };
    let Some(python) = interpreter(&plan.program, &session.variables) else { return Vec::new() };
    let made = session.temporary.path().and_then(|folder| make(folder, prepared, plan, span, &python));
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

fn make(
    folder: &Path,
    prepared: &Prepared,
    plan: &LaunchPlan,
    span: Span,
    python: &Path,
) -> io::Result<(Vec<RankStreams>, PathBuf)> {
    let of_rank = |rank: usize| {
        let name = script::rank_name(&plan.host, rank);
        RankStreams::make(folder, rank, name, script::style(&prepared.settings, &plan.host, rank, false, None))
    };
    let ranks = (span.first..span.first + span.count).map(of_rank).collect::<io::Result<_>>()?;
    Ok((ranks, direct::install(folder, python)?))
}

/// The Python that runs torchrun, by its first line: its ranks run with the same.
fn interpreter(torchrun: &Path, variables: &Variables) -> Option<PathBuf> {
    let is_python = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"));
    let found = match shebang(torchrun).ok()? {
        Shebang::Interpreter(path, Some(name)) if path.ends_with("env") => {
            which(&name, variables.get_os("PATH")).found()?
        }
        // Options that stand there, torchrun does not pass on.
        Shebang::Interpreter(path, _) => path,
        _ => return None,
    };
    is_python(&found).then_some(found)
}
