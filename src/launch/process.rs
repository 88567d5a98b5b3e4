//! One process on each host: the script itself, with nothing between footplate and it.

use std::path::PathBuf;

use super::{Entry, Facts, LaunchError, LaunchPlan, Rank, path_bytes, words};
use crate::job::settings::Launcher;
use crate::prepare::code::EntryKind;

/// Imports a module and calls a function of it; both are arguments, so that nothing needs quoting.
const CALL: &str = "import importlib, sys; module, function = sys.argv[1:3]; sys.argv[:] = [module]; \
                    getattr(importlib.import_module(module), function)()";

/// The shell that is in every image that has one.
const SHELL: &str = "/bin/sh";

/// The script's own command: the file to execute, and its arguments.
pub(super) fn command(facts: &Facts<'_>) -> Result<(PathBuf, Vec<Vec<u8>>), LaunchError> {
    let mut with_arguments = true;
    let (program, mut arguments): (PathBuf, Vec<Vec<u8>>) = match facts.entry {
        Entry::File { kind: EntryKind::PythonScript | EntryKind::PythonFolder, name, .. } => {
            let python = facts.python()?;
            (python.to_owned(), words([path_bytes(python), name.as_bytes()]))
        }
        Entry::File { kind: EntryKind::PythonPackage, module, .. } => {
            let python = facts.python()?;
            (python.to_owned(), words([path_bytes(python), b"-m", module.as_bytes()]))
        }
        // Relative: a script sees in $0 the path that was executed.
        Entry::File { name, is_executable: true, .. } => {
            (PathBuf::from(format!("./{name}")), words([format!("./{name}")]))
        }
        Entry::File { name, .. } => (PathBuf::from(SHELL), words([SHELL.to_owned(), format!("./{name}")])),
        Entry::Function { module, function } => {
            with_arguments = false;
            let python = facts.python()?;
            (
                python.to_owned(),
                words([path_bytes(python), b"-c", CALL.as_bytes(), module.as_bytes(), function.as_bytes()]),
            )
        }
        // The drivers evaluate it in the code folder, without hyperparameters.
        Entry::ShellCommand(command) => {
            with_arguments = false;
            (PathBuf::from(SHELL), words([SHELL, "-c", command]))
        }
    };
    if with_arguments {
        arguments.extend(facts.arguments.iter().cloned());
    }
    Ok((program, arguments))
}

pub(super) fn plan(facts: &Facts<'_>) -> Result<LaunchPlan, LaunchError> {
    let (program, arguments) = command(facts)?;
    let mut warnings: Vec<String> = facts.unseen_gpus().into_iter().collect();
    let room = facts.hardware.default_processes();
    if room > 1 {
        let what = if facts.hardware.gpus > 0 { "GPUs" } else { "Neuron cores" };
        let remedy = match facts.job.cluster.is_left_out() {
            true => format!("add its instance group, {}, to the distribution", facts.job.cluster.current_group),
            false => "set FOOTPLATE_LAUNCHER=per-gpu or torchrun for one process each".to_owned(),
        };
        warnings.push(format!(
            "this host has {room} {what}, and one process is started: if the script does not start others itself, {remedy}"
        ));
    }
    Ok(LaunchPlan {
        launcher: Launcher::Process,
        host: facts.job.cluster.current_host.clone(),
        ranks: Rank::only(facts.job),
        span: Some(facts.span_of_one()),
        program,
        arguments,
        variables: facts.network_variables_of_script(),
        working_dir: facts.job.code_dir(),
        tagged: None,
        keeps_ranks: false,
        warnings,
    })
}
