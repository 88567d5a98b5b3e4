//! One process on each host: the script itself, with nothing between footplate and it.

use std::path::PathBuf;

use super::engine::{Engine, Services, locate_nothing, nothing_further};
use super::error::LaunchError;
use super::input::{Entry, LaunchInput, executable, path_bytes, words};
use super::plan::{CommandPlan, LaunchPlan, ProcessPlan, ProcessRole};
use super::ports;
use crate::prepare::code::{EntryKind, Runner, SHELL};
use crate::prepare::environment::VariableTable;

/// The engine that runs the script once on each host.
pub static PROCESS: Engine = Engine {
    name: "process",
    title: "one process",
    summary: "one process per host; the default",
    needs: "nothing",
    script: "nothing",
    flags: &[],
    variables: &[],
    modules: &[],
    spans_hosts: false,
    needs_all_hosts: false,
    starts_ranks_of_other_hosts: false,
    services: Services::None,
    ports: ports::none,
    task_log: None,
    locate: locate_nothing,
    further_profile: nothing_further,
    plan,
};

/// Python code that imports a module and calls one of its functions. Both names are arguments, so that nothing needs
/// quoting.
const CALL: &str = "import importlib, sys; module, function = sys.argv[1:3]; sys.argv[:] = [module]; \
                    getattr(importlib.import_module(module), function)()";

/// Returns the command of the script itself.
///
/// # Errors
/// The script needs Python, and the image has none.
pub(super) fn command(input: &LaunchInput<'_>) -> Result<CommandPlan, LaunchError> {
    let mut with_arguments = true;
    let mut working_dir = input.job.working_dir();
    let (program, mut arguments): (PathBuf, Vec<Vec<u8>>) = match input.entry {
        Entry::File { kind: EntryKind::PythonScript | EntryKind::PythonFolder, name, .. } => {
            let python = input.python()?;
            (python.to_owned(), words([path_bytes(python), name.as_bytes()]))
        }
        Entry::File { kind: EntryKind::PythonPackage | EntryKind::PythonModule, module, .. } => {
            let python = input.python()?;
            (python.to_owned(), words([path_bytes(python), b"-m", module.as_bytes()]))
        }
        // In $0, a script sees the path that was executed. sagemaker-training uses a relative path too.
        Entry::File { name, runner: Runner::Kernel, .. } => {
            (PathBuf::from(executable(name)), words([executable(name)]))
        }
        Entry::File { name, runner: Runner::Interpreter(interpreter), .. } => {
            let program = interpreter.first().map_or(SHELL, String::as_str);
            (PathBuf::from(program), words(interpreter.iter().cloned().chain([executable(name)])))
        }
        Entry::Function { module, function, working_dir: images } => {
            with_arguments = false;
            working_dir = images.clone();
            let python = input.python()?;
            (
                python.to_owned(),
                words([path_bytes(python), b"-c", CALL.as_bytes(), module.as_bytes(), function.as_bytes()]),
            )
        }
        // The drivers of SDK version 3 run the command in the code folder, with its arguments appended to the text,
        // so that the last program of the text gets them. This does the same.
        Entry::ShellCommand(command) => {
            with_arguments = false;
            let own = input.job.drivers.iter().flat_map(|drivers| &drivers.args).map(String::as_bytes);
            let mut text = command.clone().into_bytes();
            for word in own.chain(input.arguments.iter().map(Vec::as_slice)) {
                text.push(b' ');
                text.extend(quoted(word));
            }
            (PathBuf::from(SHELL), vec![SHELL.into(), "-c".into(), text])
        }
        Entry::Command { program, words } => {
            with_arguments = false;
            (program.clone(), words.clone())
        }
    };
    if with_arguments {
        arguments.extend(input.arguments.iter().cloned());
    }
    Ok(CommandPlan { program, arguments, variables: VariableTable::new(), working_dir })
}

/// Returns a word quoted for a shell.
fn quoted(word: &[u8]) -> Vec<u8> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(byte);
    if !word.is_empty() && word.iter().all(is_plain) {
        return word.to_vec();
    }
    let inner = word.iter().flat_map(|byte| if *byte == b'\'' { &b"'\\''"[..] } else { std::slice::from_ref(byte) });
    [b'\''].into_iter().chain(inner.copied()).chain([b'\'']).collect()
}

fn plan(input: &LaunchInput<'_>) -> Result<LaunchPlan, LaunchError> {
    let command = command(input)?;
    let mut warnings: Vec<String> = input.unseen_gpus().into_iter().collect();
    let room = input.hardware.default_processes();
    if room > 1 {
        let devices = if input.hardware.gpus > 0 { "GPUs" } else { "Neuron cores" };
        let cluster = &input.job.cluster;
        let remedy = if cluster.is_left_out() {
            format!("add its instance group, {}, to the distribution", cluster.current_group)
        } else {
            "set FOOTPLATE_LAUNCHER=per-gpu or torchrun for one process each".to_owned()
        };
        warnings.push(format!(
            "this host has {room} {devices}, and one process is started: if the script does not start others itself, {remedy}"
        ));
    }
    let role = ProcessRole::Script { node_rank: input.job.node_rank() };
    Ok(LaunchPlan {
        processes: vec![ProcessPlan::of_script(role, command)],
        variables: input.network_variables_of_script(),
        span: Some(input.span_of_one()),
        warnings,
        ..LaunchPlan::new(PROCESS.name, input)
    })
}
