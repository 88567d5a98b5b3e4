//! Running the script, and judging how it ended.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bring::timing;
use super::judge::{Ended, Judge};
use super::session::Session;
use super::temporary::TemporaryFolder;
use super::{Outcome, Prepared, Refusal};
use crate::event::{Kind, Phase};
use crate::job::exit_code;
use crate::job::settings::{LogPrefix, Settings};
use crate::launch::Tagged;
use crate::logs::{RankLabel, Style, Tags};
use crate::prepare::code::{Shebang, shebang};
use crate::prepare::environment::{Environment, OmittedVariable, VariableTable};
use crate::supervise::{SpawnError, Task};

/// The shell that reads scripts which the kernel cannot execute.
pub(super) const SHELL: &str = "/bin/sh";

/// The variables of a program: what the container was given, what the launcher needs where it was not, and the job's.
pub(super) fn variables(
    session: &mut Session,
    environment: &Environment,
    launcher: &VariableTable,
) -> BTreeMap<OsString, OsString> {
    let own = |table: &VariableTable| -> Vec<(OsString, OsString)> {
        table
            .iter()
            .map(|(name, value)| (OsString::from_vec(name.clone()), OsString::from_vec(value.clone())))
            .collect()
    };
    let mut variables: BTreeMap<OsString, OsString> = own(launcher).into_iter().collect();
    variables.extend(session.variables.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    variables.extend(own(&environment.variables));
    if let Some(path) = keep_omitted(&mut session.temporary, &environment.omitted) {
        variables.insert("FOOTPLATE_ENVIRONMENT_FILE".into(), path);
    }
    variables
}

/// Writes the variables that could not be set into a file that only this user can read; gives its path.
fn keep_omitted(temporary: &mut TemporaryFolder, omitted: &[OmittedVariable]) -> Option<OsString> {
    if omitted.is_empty() {
        return None;
    }
    let text = |bytes: &[u8]| serde_json::Value::from(String::from_utf8_lossy(bytes));
    let values: serde_json::Map<_, _> =
        omitted.iter().map(|variable| (variable.name.clone(), text(&variable.value))).collect();
    let written = temporary.path().map(|folder| folder.join("environment.json")).and_then(|path| {
        std::fs::write(&path, serde_json::Value::Object(values).to_string())?;
        Ok(path)
    });
    for OmittedVariable { name, value, reason } in omitted.iter().take(10) {
        let shown: String = name.chars().take(100).collect();
        let size = value.len();
        match &written {
            Ok(path) => {
                tracing::warn!("{shown} ({size} bytes) is not set: {reason}; its value is in {}", path.display())
            }
            Err(_) => {
                tracing::warn!("{shown} ({size} bytes) is not set: {reason}; its value follows from input/config")
            }
        }
    }
    if omitted.len() > 10 {
        tracing::warn!("and {} more variables are not set", omitted.len() - 10);
    }
    match written {
        Ok(path) => Some(path.into_os_string()),
        Err(error) => {
            tracing::warn!("cannot write into {}: {error}", std::env::temp_dir().display());
            None
        }
    }
}

/// What is done to the lines of a rank.
pub(super) fn style(settings: &Settings, host: &str, rank: usize, is_only: bool, tagged: Option<&Tagged>) -> Style {
    let prefix = match (settings.log_prefix, is_only) {
        (LogPrefix::On, _) | (LogPrefix::Auto, false) => RankLabel::new(host, rank).prefix(),
        // One process needs none.
        (LogPrefix::Auto, true) | (LogPrefix::Off, _) => Vec::new(),
    };
    let tags = tagged.map(|Tagged { hosts, world_size, has_blank }| Tags {
        prefixes: match settings.log_prefix {
            LogPrefix::Off => vec![Vec::new(); *world_size].into(),
            LogPrefix::Auto if *world_size == 1 => vec![Vec::new()].into(),
            _ => hosts.iter().enumerate().map(|(rank, host)| RankLabel::new(host, rank).prefix()).collect(),
        },
        has_blank: *has_blank,
    });
    Style { prefix, progress_interval: settings.progress_interval, is_shared: !is_only, rewrite: None, tags }
}

/// A process of the script.
pub(super) struct RankTask {
    /// What to run.
    pub(super) task: Task,
    /// Its rank, where footplate starts several.
    pub(super) rank: Option<usize>,
    /// Whether it is not run here: mpirun's daemon takes its place.
    pub(super) serves: bool,
    /// Where it may leave its error (torch elastic's TORCHELASTIC_ERROR_FILE).
    pub(super) error_file: Option<PathBuf>,
}

/// Runs the script's processes to their ends and judges them.
pub(super) async fn run(
    session: &mut Session,
    prepared: &Prepared,
    ranks: Vec<RankTask>,
    code_dir: &Path,
) -> Result<Ended, Outcome> {
    session.supervisor.check()?;
    let judge = judge(session, prepared, &ranks, code_dir);
    let tasks: Vec<Task> = ranks.iter().map(|rank| rank.task.clone()).collect();
    let timing = timing(&prepared.settings);
    session.events.emit(Kind::PhaseStarted(Phase::Script));
    let reports = match session.supervisor.run(&tasks, timing).await {
        Ok(reports) => reports,
        Err(error) => {
            let tasks: Option<Vec<Task>> = tasks.iter().map(|task| by_shell(task, &error)).collect();
            let tasks = tasks.ok_or_else(|| not_started(&error))?;
            session.supervisor.run(&tasks, timing).await.map_err(|error| not_started(&error))?
        }
    };
    session.events.emit(Kind::PhaseEnded(Phase::Script));
    Ok(judge.outcome(&reports))
}

/// Returns the judge of these processes. If there are other hosts, it tells them of failures as they happen.
pub(super) fn judge(session: &Session, prepared: &Prepared, ranks: &[RankTask], code_dir: &Path) -> Arc<Judge> {
    let judge = Arc::new(Judge::new(&session.variables, prepared, code_dir.to_owned(), ranks));
    if session.peers.is_some() {
        judge.listen(&session.events);
    }
    judge
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

pub(super) fn not_started(error: &SpawnError) -> Outcome {
    let path = error.program.display();
    let message = match (error.exit_code(), shebang(&error.program)) {
        (_, Ok(Shebang::WindowsLineEnds { .. })) => format!(
            "cannot execute {path}: its lines end as on Windows (CRLF), so the interpreter after #! is not found: save it \
             with Unix line ends"
        ),
        _ => error.to_string(),
    };
    let refusal = if error.exit_code() == exit_code::NOT_FOUND { Refusal::NotFound } else { Refusal::NotExecutable };
    Outcome::refused(refusal, message)
}

/// Words as the system takes them.
pub(super) fn os_words(words: &[Vec<u8>]) -> Vec<OsString> {
    words.iter().map(|word| std::ffi::OsStr::from_bytes(word).to_owned()).collect()
}
