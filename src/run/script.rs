//! Running the script, and judging how it ended.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::bring::{display, timing};
use super::session::Session;
use super::{Outcome, Prepared, Refusal};
use crate::code::{Shebang, shebang};
use crate::environment::{Environment, Omitted, Table};
use crate::failure::{self, Cause, Evidence, MemoryWatch, OutOfMemory};
use crate::logs::Style;
use crate::process::{Ending, Killed, Report, SpawnError, Stop, Task};
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

/// What is done to the lines of a rank.
pub(super) fn style(settings: &Settings, host: &str, rank: usize, is_only: bool) -> Style {
    let prefix = match (settings.log_prefix, is_only) {
        (LogPrefix::On, _) | (LogPrefix::Auto, false) => format!("[{host}:{rank}] ").into_bytes(),
        // One process needs none, and the ranks of torchrun and mpirun share its streams.
        (LogPrefix::Auto, true) | (LogPrefix::Off, _) => Vec::new(),
    };
    Style { prefix, progress_interval: settings.progress_interval, is_shared: !is_only }
}

/// A process of the script.
pub(super) struct RankTask {
    /// What to run.
    pub(super) task: Task,
    /// Its rank, where footplate starts several.
    pub(super) rank: Option<usize>,
    /// Where it may leave its error (torch elastic's TORCHELASTIC_ERROR_FILE).
    pub(super) error_file: Option<PathBuf>,
}

/// Runs the script's processes to their ends and judges them.
pub(super) async fn run(
    session: &mut Session,
    prepared: &Prepared,
    ranks: Vec<RankTask>,
    code_dir: &Path,
) -> Result<Outcome, Outcome> {
    session.supervisor.check()?;
    let memory = MemoryWatch::start();
    let mut tasks: Vec<Task> = ranks.iter().map(|rank| rank.task.clone()).collect();
    let timing = timing(&prepared.settings);
    let reports = match session.supervisor.run(&tasks, timing).await {
        Ok(reports) => reports,
        Err(error) => {
            tasks = tasks
                .iter()
                .map(|task| by_shell(task, &error))
                .collect::<Option<_>>()
                .ok_or_else(|| not_started(&error))?;
            session.supervisor.run(&tasks, timing).await.map_err(|error| not_started(&error))?
        }
    };
    let memory = memory.out_of_memory();
    let failed: Vec<usize> =
        (0..reports.reports.len()).filter(|index| !reports.reports[*index].ending.is_success()).collect();
    let causes = failed.iter().map(|index| {
        let report = &reports.reports[*index];
        let command = display(session, &tasks[*index].arguments);
        let followers = failed.len() - 1;
        let judged = Judged { report, rank: &ranks[*index], stop: reports.stop, memory, command, followers };
        (report, cause_of(session, prepared, judged, code_dir))
    });
    // The rank that failed first, unless it only noticed that another was failing, or was told to end.
    let first = causes.min_by_key(|(report, cause)| {
        let told = report.followed && report.ending == Ending::Signaled(Signal::SIGTERM as i32);
        (told, cause.is_consequence(), report.duration)
    });
    Ok(match first {
        None => Outcome::Succeeded,
        Some((report, cause)) => Outcome::Failed { ending: report.ending, cause: Box::new(cause) },
    })
}

/// The same script read by a shell, where the kernel does not execute it: one without `#!`, or on a file system that is
/// mounted `noexec`. Shells do the same.
fn by_shell(task: &Task, error: &SpawnError) -> Option<Task> {
    let is_script = task.program.extension().is_some_and(|extension| extension == "sh");
    let has_no_interpreter = error.is_unknown_format() && !is_binary(&error.program);
    let cannot_be_executed_here = error.is_not_executable() && is_script;
    if !(has_no_interpreter || cannot_be_executed_here) {
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

/// What is known of a process that failed.
struct Judged<'a> {
    report: &'a Report,
    rank: &'a RankTask,
    stop: Option<Stop>,
    memory: Option<OutOfMemory>,
    command: String,
    followers: usize,
}

fn cause_of(session: &Session, prepared: &Prepared, judged: Judged<'_>, code_dir: &Path) -> Cause {
    let Judged { report, rank, stop, memory, command, followers } = judged;
    tracing::debug!("{} after {:.3} s", report.ending, report.duration.as_secs_f64());
    let job = &prepared.job;
    let mut evidence = Evidence::new(report.ending, &report.stderr, &report.stdout, code_dir, command);
    evidence.host = (job.cluster.hosts.len() > 1).then(|| job.cluster.current_host.clone());
    evidence.rank = rank.rank;
    evidence.followers = followers;
    evidence.stopped = stop.map(|stop| failure::Stop {
        signal: stop.signal.to_string(),
        grace_seconds: prepared.settings.grace_period.as_secs(),
        killed_after_grace: stop.killed == Some(Killed::GraceOver),
    });
    evidence.memory = memory;
    let temporary = std::env::temp_dir();
    evidence.full =
        failure::full_disks(&[job.paths.base().to_owned(), job.paths.output(), job.paths.model(), temporary]);
    let given = session.variables.get_os("TORCHELASTIC_ERROR_FILE").map(PathBuf::from);
    let error_file = rank.error_file.clone().or(given).and_then(|path| std::fs::read(path).ok());
    evidence.error_file = error_file.and_then(|bytes| failure::error_file(&bytes));
    failure::cause(&evidence)
}

/// Words as the system takes them.
pub(super) fn os_words(words: &[Vec<u8>]) -> Vec<OsString> {
    words.iter().map(|word| std::ffi::OsStr::from_bytes(word).to_owned()).collect()
}
