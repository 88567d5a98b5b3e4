//! Running the script, and judging how it ended.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::bring::{display, timing};
use super::session::Session;
use super::{Outcome, Prepared, Refusal};
use crate::code::{Shebang, shebang};
use crate::environment::{Environment, Omitted, Table};
use crate::failure::{self, Evidence, MemoryWatch};
use crate::logs::Style;
use crate::process::{Killed, Report, SpawnError, Task};
use crate::settings::{LogPrefix, Settings};

/// The shell that reads scripts which the kernel cannot execute.
const SHELL: &str = "/bin/sh";

/// The variables of a program: what the container was given, what the launcher needs where it was not, and the job's.
pub(super) fn variables(
    session: &Session,
    environment: &Environment,
    launcher: &Table,
) -> BTreeMap<OsString, OsString> {
    let own = |table: &Table| -> Vec<(OsString, OsString)> {
        table
            .iter()
            .map(|(name, value)| (OsString::from_vec(name.clone()), OsString::from_vec(value.clone())))
            .collect()
    };
    let mut variables: BTreeMap<OsString, OsString> = own(launcher).into_iter().collect();
    variables.extend(session.variables.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    variables.extend(own(&environment.variables));
    if let Some(path) = keep_omitted(&environment.omitted) {
        variables.insert("FOOTPLATE_ENVIRONMENT_FILE".into(), path);
    }
    variables
}

/// Writes the variables that could not be set into a file that only this user can read; gives its path.
fn keep_omitted(omitted: &[Omitted]) -> Option<OsString> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    if omitted.is_empty() {
        return None;
    }
    let path = std::env::temp_dir().join(format!("footplate-environment-{}.json", std::process::id()));
    let text = |bytes: &[u8]| serde_json::Value::from(String::from_utf8_lossy(bytes));
    let values: serde_json::Map<_, _> =
        omitted.iter().map(|variable| (variable.name.clone(), text(&variable.value))).collect();
    let _ = std::fs::remove_file(&path);
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(serde_json::Value::Object(values).to_string().as_bytes()));
    for Omitted { name, value, reason } in omitted.iter().take(10) {
        let shown: String = name.chars().take(100).collect();
        let size = value.len();
        match &written {
            Ok(()) => tracing::warn!("{shown} ({size} bytes) is not set: {reason}; its value is in {}", path.display()),
            Err(_) => {
                tracing::warn!("{shown} ({size} bytes) is not set: {reason}; its value follows from input/config")
            }
        }
    }
    if omitted.len() > 10 {
        tracing::warn!("and {} more variables are not set", omitted.len() - 10);
    }
    match written {
        Ok(()) => Some(path.into_os_string()),
        Err(error) => {
            tracing::warn!("cannot write {}: {error}", path.display());
            None
        }
    }
}

/// What is done to the lines of a host that runs so many ranks.
pub(super) fn style(settings: &Settings, host: &str, rank: usize) -> Style {
    let prefix = match settings.log_prefix {
        LogPrefix::On => format!("[{host}:{rank}] ").into_bytes(),
        // One process needs none, and the ranks of torchrun and mpirun share its streams.
        LogPrefix::Auto | LogPrefix::Off => Vec::new(),
    };
    Style { prefix, progress_interval: settings.progress_interval }
}

/// Runs the task to its end and judges it.
pub(super) async fn run(
    session: &mut Session,
    prepared: &Prepared,
    task: Task,
    code_dir: &Path,
) -> Result<Outcome, Outcome> {
    session.supervisor.check()?;
    let memory = MemoryWatch::start();
    let command = display(session, &task.arguments);
    let (report, command) = match session.supervisor.run(&task, timing(&prepared.settings)).await {
        Ok(report) => (report, command),
        Err(error) => {
            let task = by_shell(&task, &error).ok_or_else(|| not_started(&error))?;
            let command = display(session, &task.arguments);
            match session.supervisor.run(&task, timing(&prepared.settings)).await {
                Ok(report) => (report, command),
                Err(error) => return Err(not_started(&error)),
            }
        }
    };
    Ok(judge(session, prepared, &report, command, code_dir, &memory))
}

/// The same script read by a shell, where the kernel does not execute it: one without `#!`, or on a file system that is
/// mounted `noexec`. Shells do the same.
fn by_shell(task: &Task, error: &SpawnError) -> Option<Task> {
    let is_script = task.program.extension().is_some_and(|extension| extension == "sh");
    let may_be_script = error.is_unknown_format() && !is_binary(&error.program);
    if !may_be_script && !(error.is_not_executable() && is_script) {
        return None;
    }
    let mut arguments = vec![OsString::from(SHELL)];
    arguments.extend(task.arguments.iter().cloned());
    Some(Task { program: SHELL.into(), arguments, ..task.clone() })
}

/// Whether a file is a program after all, such as one for another machine, of which a shell would make nonsense. Bash
/// decides it in the same way: by a NUL in the first line.
fn is_binary(program: &Path) -> bool {
    use std::io::Read;
    let mut start = Vec::new();
    let read = std::fs::File::open(program).and_then(|file| file.take(256).read_to_end(&mut start));
    let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    read.is_ok() && (start.starts_with(b"\x7fELF") || first_line.contains(&0))
}

fn not_started(error: &SpawnError) -> Outcome {
    let path = error.program.display();
    let message = match (error.exit_code(), shebang(&error.program)) {
        (_, Ok(Shebang::WindowsLineEnds { .. })) => format!(
            "cannot execute {path}: its lines end as on Windows (CRLF), so the interpreter after #! is not found: save it \
             with Unix line ends"
        ),
        _ => error.to_string(),
    };
    let refusal = if error.exit_code() == 127 { Refusal::NotFound } else { Refusal::NotExecutable };
    Outcome::refused(refusal, message)
}

fn judge(
    session: &Session,
    prepared: &Prepared,
    report: &Report,
    command: String,
    code_dir: &Path,
    memory: &MemoryWatch,
) -> Outcome {
    tracing::debug!("{} after {:.3} s", report.ending, report.duration.as_secs_f64());
    if report.ending.is_success() {
        return Outcome::Succeeded;
    }
    let job = &prepared.job;
    let mut evidence = Evidence::new(report.ending, &report.stderr, &report.stdout, code_dir, command);
    evidence.host = (job.cluster.hosts.len() > 1).then(|| job.cluster.current_host.clone());
    evidence.stopped = report.stop.map(|stop| failure::Stop {
        signal: stop.signal.to_string(),
        grace_seconds: prepared.settings.grace_period.as_secs(),
        killed_after_grace: stop.killed == Some(Killed::GraceOver),
    });
    evidence.memory = memory.out_of_memory();
    let temporary = std::env::temp_dir();
    evidence.full =
        failure::full_disks(&[job.paths.base().to_owned(), job.paths.output(), job.paths.model(), temporary]);
    let error_file =
        session.variables.get_os("TORCHELASTIC_ERROR_FILE").map(Path::new).and_then(|path| std::fs::read(path).ok());
    evidence.error_file = error_file.and_then(|bytes| failure::error_file(&bytes));
    Outcome::Failed { ending: report.ending, cause: Box::new(failure::cause(&evidence)) }
}

/// Words as the system takes them.
pub(super) fn os_words(words: &[Vec<u8>]) -> Vec<OsString> {
    words.iter().map(|word| std::ffi::OsStr::from_bytes(word).to_owned()).collect()
}
