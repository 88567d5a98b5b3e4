//! Turning a plan into programs to start: their variables, the style of their lines, and their roles.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::Prepared;
use super::context::Context;
use super::live::Live;
use super::scratch::Scratch;
use crate::event::{Ending, Process};
use crate::job::settings::{LogPrefix, Settings};
use crate::launch::{
    CAUSE_FILE, ERROR_FILE, EndMeaning, LaunchPlan, ProcessPlan, ProcessRole, ReadySign, StopTarget, Tagged,
    service_words,
};
use crate::logs::{RankLabel, Rewrite, Style, Tags};
use crate::prepare::environment::{ENVIRONMENT_FILE, Environment, OmittedVariable, VariableTable};
use crate::redact::Redactor;
use crate::supervise::{Launching, Readiness, Role, Service, ServiceEnd, Task, Timing};

/// Returns the variables of a program. Those of the job take precedence over those of the container, which take
/// precedence over those that the launcher sets.
pub(super) fn variables(
    context: &Context,
    live: &mut Live,
    environment: &Environment,
    launcher: &VariableTable,
) -> BTreeMap<OsString, OsString> {
    let own = |table: &VariableTable| -> Vec<(OsString, OsString)> {
        table
            .iter()
            .map(|(name, value)| (OsString::from_vec(name.clone()), OsString::from_vec(value.clone())))
            .collect()
    };
    let mut variables = BTreeMap::new();
    variables.extend(own(launcher));
    variables.extend(context.variables.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    variables.extend(own(&environment.variables));
    if let Some(path) = keep_omitted(&mut live.scratch, &environment.omitted) {
        variables.insert(ENVIRONMENT_FILE.into(), path);
    }
    variables
}

/// Writes the variables that could not be set into a file that only this user can read, and returns its path.
fn keep_omitted(temporary: &mut Scratch, omitted: &[OmittedVariable]) -> Option<OsString> {
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

/// Returns the changes that are made to the lines of a rank.
pub(super) fn style(settings: &Settings, host: &str, rank: usize, is_only: bool, tagged: Option<&Tagged>) -> Style {
    let prefix = match (settings.log_prefix, is_only) {
        (LogPrefix::On, _) | (LogPrefix::Auto, false) => RankLabel::new(host, rank).prefix(),
        // A single process needs no prefix.
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

/// Returns the changes that are made to the lines of a service: a prefix with the name of the service instead of a
/// rank.
fn service_style(settings: &Settings, host: &str, name: &str) -> Style {
    let prefix = match settings.log_prefix {
        LogPrefix::On | LogPrefix::Auto => format!("[{host}:{name}] ").into_bytes(),
        LogPrefix::Off => Vec::new(),
    };
    // Lines that are not logged are still kept as evidence.
    let rewrite = (!settings.service_log).then(|| Rewrite::new(|_| None));
    Style { prefix, is_shared: true, rewrite, ..Style::default() }
}

/// A process of the script, or of an engine's service.
pub(super) struct RankTask {
    /// The program.
    pub(super) task: Task,
    /// The rank of the process, if footplate starts several.
    pub(super) rank: Option<usize>,
    /// True if the process is not run here because mpirun's daemon takes its place.
    pub(super) serves: bool,
    /// The name of a service as used in sentences, such as "the Ray worker".
    pub(super) service: Option<&'static str>,
    /// The file into which the process may write its error (torch elastic's TORCHELASTIC_ERROR_FILE).
    pub(super) error_file: Option<PathBuf>,
    /// The file into which a framework may write the cause of a failure that another footplate told it ([`CAUSE_FILE`]).
    pub(super) cause_file: Option<PathBuf>,
}

impl RankTask {
    /// Returns the command for display, without secrets.
    pub(super) fn shown_command(&self, redactor: &Redactor) -> String {
        let words = texts(&self.task.arguments);
        redactor.clean_command(&if self.service.is_some() { service_words(words) } else { words })
    }
}

/// Returns the processes of a plan. The variables of a single process take precedence over all others except those of
/// the container.
pub(super) fn rank_tasks(
    context: &Context,
    live: &mut Live,
    prepared: &Prepared,
    plan: LaunchPlan,
    variables: &BTreeMap<OsString, OsString>,
) -> Vec<RankTask> {
    let LaunchPlan { launcher, host, processes, end_traits, .. } = plan;
    let is_only = processes.iter().filter(|process| !process.role.is_service()).count() == 1;
    let is_alone = processes.len() == 1;
    // Without a temporary folder, the failure is judged by the ranks' standard error.
    let is_framework = prepared.job.request.training_module.is_some();
    let needs_folder = is_framework || processes.iter().any(|process| process.leaves_error_file);
    let folder = needs_folder.then(|| live.scratch.path().ok().map(Path::to_owned)).flatten();
    let task_of = |process: ProcessPlan| {
        let mut variables = variables.clone();
        for (name, value) in &process.command.variables {
            let (name, value) = (OsString::from_vec(name.clone()), OsString::from_vec(value.clone()));
            if context.variables.get_os(&name).is_none() {
                variables.insert(name, value);
            }
        }
        let number = process.role.number().unwrap_or_default();
        let error_file = folder.as_ref().filter(|_| process.leaves_error_file);
        let error_file = error_file.map(|folder| folder.join(format!("error-{number}.{}.json", process.attempt)));
        if let Some(path) = &error_file {
            variables.insert(ERROR_FILE.into(), path.into());
        }
        let cause_file = folder.as_ref().filter(|_| is_framework);
        let cause_file = cause_file.map(|folder| folder.join(format!("cause-{number}.{}.json", process.attempt)));
        if let Some(path) = &cause_file {
            variables.insert(CAUSE_FILE.into(), path.into());
        }
        let role = role_of(&process);
        let ProcessPlan { role: part, command, attempt, .. } = process;
        let identity = match &part {
            ProcessRole::Script { .. } | ProcessRole::Rank { .. } => Process::Rank(number),
            ProcessRole::Launcher(_) | ProcessRole::Daemon(_) => Process::Launcher(launcher.into()),
            ProcessRole::Service { name, .. } => Process::Service((*name).into()),
        };
        let style = match &part {
            ProcessRole::Service { name, .. } => service_style(&prepared.settings, &host, name),
            ProcessRole::Launcher(starter) | ProcessRole::Daemon(starter) => {
                style(&prepared.settings, &host, number, is_only, starter.tagged.as_ref())
            }
            ProcessRole::Script { .. } | ProcessRole::Rank { .. } => {
                style(&prepared.settings, &host, number, is_only, None)
            }
        };
        let style = Style { is_shared: style.is_shared || !is_alone, ..style };
        let (rank, service, serves) = match part {
            ProcessRole::Rank { rank, .. } => (Some(rank), None, false),
            ProcessRole::Script { .. } | ProcessRole::Launcher(_) => (None, None, false),
            ProcessRole::Daemon(_) => (None, None, true),
            ProcessRole::Service { title, .. } => (None, Some(title), false),
        };
        let task = Task {
            process: identity,
            program: command.program,
            arguments: os_words(&command.arguments),
            variables,
            working_dir: command.working_dir,
            style,
            ranks: Vec::new(),
            keepers: None,
            role,
            attempt,
            may_outlive_traceback: end_traits.outlives_traceback,
        };
        RankTask { task, rank, serves, service, error_file, cause_file }
    };
    processes.into_iter().map(task_of).collect()
}

/// Returns the role of a process for the supervisor.
fn role_of(process: &ProcessPlan) -> Role {
    match &process.role {
        ProcessRole::Launcher(starter) | ProcessRole::Daemon(starter) if process.stop == StopTarget::Ranks => {
            Role::Launcher(Launching {
                daemons: starter.daemons,
                shares_group: starter.shares_group,
                lost_daemon: starter.lost_daemon_code.map(Ending::Exited),
            })
        }
        ProcessRole::Service { .. } => Role::Service {
            rules: Service {
                stage: process.stage,
                end: match process.end {
                    EndMeaning::Failure => ServiceEnd::Failure,
                    EndMeaning::FailureUnlessZero => ServiceEnd::FailureUnlessZero,
                },
                stop_order: process.stop_order,
            },
            readiness: match process.ready {
                ReadySign::Started => Readiness::Started,
                ReadySign::Line { text, times } => Readiness::Line { text: text.to_owned(), times },
                ReadySign::Port(address) => Readiness::Port(address),
            },
        },
        _ => Role::Process,
    }
}

/// Returns words in the form that the system uses.
pub(super) fn os_words(words: &[Vec<u8>]) -> Vec<OsString> {
    words.iter().map(|word| std::ffi::OsStr::from_bytes(word).to_owned()).collect()
}

/// Returns the times in the settings.
pub(super) fn timing(settings: &Settings) -> Timing {
    let Settings { grace_period, drain_time, service_time, cluster_timeout, .. } = *settings;
    // A service that waits for a missing host must not wait longer than this host does.
    Timing {
        grace_period,
        failure_grace: grace_period,
        unserved_grace: grace_period,
        drain_time,
        service_time: service_time.min(cluster_timeout),
    }
}

/// Returns a command without secrets.
pub(super) fn shown_command(redactor: &Redactor, arguments: &[OsString]) -> String {
    redactor.clean_command(&texts(arguments))
}

fn texts(arguments: &[OsString]) -> Vec<String> {
    arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}
