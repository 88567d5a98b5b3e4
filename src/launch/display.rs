//! Displaying a plan as text and as a JSON object, without secrets.

use std::fmt::Display;

use serde_json::{Value, json};

use super::count::Span;
use super::plan::{CommandPlan, EndMeaning, LaunchPlan, ProcessPlan, ProcessRole, ReadySign, StartAfter};
use crate::prepare::environment::VariableTable;
use crate::redact::{Redactor, visible};

/// Returns the lines that describe a plan, without the host's name.
pub fn plan_text(plan: &LaunchPlan, redactor: &Redactor) -> Vec<String> {
    let mut lines = vec![plan_line("launcher", plan.launcher), plan_line("processes", started_here(plan).count())];
    lines.extend(plan.span.map(|span| plan_line("ranks", span_text(span))));
    for service in plan.services() {
        lines.extend(service_text(service, redactor));
    }
    match plan.script_processes().next() {
        Some(first) => {
            if first.starts != StartAfter::Nothing {
                lines.push(plan_line("script", starts_text(first)));
            }
            lines.extend(command_text(&first.command, &words(&first.command), redactor));
        }
        None => lines.push(plan_line("script", format!("runs on {}", plan.script_hosts.join(", ")))),
    }
    lines
        .extend(pairs(&plan.variables, redactor).map(|(name, value)| plan_line("variable", format!("{name}={value}"))));
    for process in plan.script_processes() {
        let number = process.role.number().unwrap_or_default();
        lines.extend(own_variables(&format!("rank {number}"), &process.command, redactor));
    }
    lines.extend(plan.warnings.iter().map(|warning| plan_line("warning", redactor.clean(warning))));
    lines
}

/// Returns a JSON object that describes a plan.
pub fn plan_json(plan: &LaunchPlan, redactor: &Redactor) -> Value {
    let first = plan.script_processes().next();
    let command = first.map(|process| &process.command);
    let own = |process: &ProcessPlan| {
        let number = process.role.number().unwrap_or_default();
        (number.to_string(), table(&process.command.variables, redactor))
    };
    json!({
        "host": plan.host,
        "launcher": plan.launcher,
        "processes": started_here(plan).count(),
        "ranks": plan.span.map(|span| (span.first..span.first + span.count).collect::<Vec<_>>()),
        "world_size": plan.span.map(|span| span.world_size),
        "folder": command.map(|command| command.working_dir.to_string_lossy()),
        "program": command.map(|command| command.program.to_string_lossy()),
        "arguments": command.map(|command| redactor.clean_words(&words(command))),
        "variables": table(&plan.variables, redactor),
        "variables_of_ranks": started_here(plan).filter(|process| !process.role.is_service()).map(own)
            .collect::<serde_json::Map<_, _>>(),
        "services": plan.services().map(|service| service_json(service, redactor)).collect::<Vec<_>>(),
        "script_hosts": plan.script_hosts,
        "warnings": plan.warnings.iter().map(|warning| redactor.clean(warning)).collect::<Vec<_>>(),
    })
}

/// Returns the processes that this host itself starts. A daemon is started by a launcher on another host.
fn started_here(plan: &LaunchPlan) -> impl Iterator<Item = &ProcessPlan> {
    plan.processes.iter().filter(|process| !matches!(process.role, ProcessRole::Daemon(_)))
}

/// Returns one line of the text: a label and its text.
pub fn plan_line(word: &str, text: impl Display) -> String {
    visible(&format!("{word:<12} {text}")).into_owned()
}

fn command_text(command: &CommandPlan, words: &[String], redactor: &Redactor) -> [String; 3] {
    [
        plan_line("folder", command.working_dir.display()),
        plan_line("program", command.program.display()),
        plan_line("command", redactor.clean_command(words)),
    ]
}

fn service_text(service: &ProcessPlan, redactor: &Redactor) -> Vec<String> {
    let ProcessRole::Service { name, title } = &service.role else { return Vec::new() };
    let mut lines = vec![plan_line("service", format!("{name}: {title}")), plan_line("starts", starts_text(service))];
    lines.push(plan_line("ready", readiness_text(service.ready)));
    lines.push(plan_line(
        "its end",
        format!("{}; in the shutdown: number {}", end_text(service.end), service.stop_order),
    ));
    lines.extend(command_text(&service.command, &service_words(words(&service.command)), redactor));
    lines.extend(own_variables(name, &service.command, redactor));
    lines
}

/// Returns the words of a service's command for display. Of a word that is a program text, only the first line is
/// shown.
pub fn service_words(words: Vec<String>) -> Vec<String> {
    let short = |word: String| match word.split_once('\n') {
        Some((first, _)) => format!("{first} …"),
        None => word,
    };
    words.into_iter().map(short).collect()
}

/// Returns a line with the variables that only this process gets, if there are any.
fn own_variables(of: &str, command: &CommandPlan, redactor: &Redactor) -> Option<String> {
    let pairs = pairs(&command.variables, redactor).map(|(name, value)| format!("{name}={value}"));
    (!command.variables.is_empty()).then(|| plan_line(of, pairs.collect::<Vec<_>>().join(" ")))
}

fn service_json(service: &ProcessPlan, redactor: &Redactor) -> Value {
    let ProcessPlan { role, command, stage, ready, end, stop_order, .. } = service;
    json!({
        "name": if let ProcessRole::Service { name, .. } = role { *name } else { "" },
        "stage": stage,
        "starts": starts_text(service),
        "ready": readiness_text(*ready),
        "end": end_text(*end),
        "stop_order": stop_order,
        "folder": command.working_dir.to_string_lossy(),
        "program": command.program.to_string_lossy(),
        "arguments": redactor.clean_words(&words(command)),
        "variables": table(&command.variables, redactor),
    })
}

fn span_text(Span { first, count, world_size }: Span) -> String {
    match count {
        0 => format!("none of {world_size}"),
        1 => format!("{first} of {world_size}"),
        _ => format!("{first}-{} of {world_size}", first + count - 1),
    }
}

fn starts_text(process: &ProcessPlan) -> String {
    let stage = process.stage;
    match process.starts {
        StartAfter::Nothing => format!("at once (stage {stage})"),
        StartAfter::LowerStages => format!("when the lower stages of this host are ready (stage {stage})"),
        StartAfter::LowerStagesOfAllHosts => format!("when the lower stages of all hosts are ready (stage {stage})"),
    }
}

fn readiness_text(ready: ReadySign) -> String {
    match ready {
        ReadySign::Started => "when it has started".to_owned(),
        ReadySign::Line { text, times: 1 } => format!("when it has printed {text:?}"),
        ReadySign::Line { text, times } => format!("when it has printed {text:?} {times} times"),
        ReadySign::Port(address) => format!("when {address} answers"),
    }
}

fn end_text(end: EndMeaning) -> &'static str {
    match end {
        EndMeaning::FailureUnlessZero => "a failure, unless the exit code is 0",
        EndMeaning::Failure => "a failure",
    }
}

fn words(command: &CommandPlan) -> Vec<String> {
    command.arguments.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Returns names and values in the form in which they may be shown.
fn pairs(variables: &VariableTable, redactor: &Redactor) -> impl Iterator<Item = (String, String)> {
    variables.iter().map(|(name, value)| {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        (name.clone().into_owned(), redactor.clean_value(&name, &value).into_owned())
    })
}

fn table(variables: &VariableTable, redactor: &Redactor) -> Value {
    pairs(variables, redactor).map(|(name, value)| (name, Value::from(value))).collect::<serde_json::Map<_, _>>().into()
}
