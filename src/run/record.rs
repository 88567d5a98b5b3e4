//! The beginning of the run record: the facts about the job and the plan, without secrets.

use std::path::Path;

use super::context::Context;
use super::live::Live;
use super::start::RankTask;
use super::{Prepared, panic};
use crate::job::python::{Dict, Separators, Value};
use crate::logs;
use crate::observe::record::{JobFacts, PlannedProcess, RunRecord};
use crate::redact::is_secret_name;
use crate::supervise::Role;

/// The maximum size of recorded hyperparameters, in bytes.
const MAX_HYPERPARAMETERS: usize = 64 << 10;

/// Begins the record of this host, unless it is turned off.
pub(super) fn begin(context: &Context, live: &mut Live, prepared: &Prepared) {
    if !prepared.settings.record || !context.leaves_files {
        return;
    }
    let job = prepared.job.clone();
    let folder = job.paths.record(&job.cluster.current_host);
    if prepared.settings.report && job.node_rank() == 0 {
        live.report = folder.parent().map(Path::to_owned);
    }
    let facts = move || JobFacts {
        name: job.name.clone(),
        host: job.cluster.current_host.clone(),
        hosts: job.nodes(),
        instance_type: job.cluster.instance_type.clone(),
        command: job.entry_name().map(logs::clean),
        hyperparameters: hyperparameters(&job.all_hyperparameters),
    };
    let record = RunRecord::subscribe(&live.events, folder, live.timeline.begun(), facts);
    panic::finish_at_the_end(record.early_end());
    live.record = Some(record);
}

/// Returns the hyperparameters without secrets, or only their size if they are very large.
fn hyperparameters(hyperparameters: &Dict) -> serde_json::Value {
    let given = Value::Dict(hyperparameters.clone());
    let size = given.dumps(Separators::Default).len();
    if size > MAX_HYPERPARAMETERS {
        return format!("not recorded: {size} bytes").into();
    }
    without_secrets("", &plain(&given))
}

/// Records the processes that this host will run.
pub(super) fn plan(live: &Live, launcher: &str, tasks: &[RankTask]) {
    let Some(record) = &live.record else { return };
    let redactor = logs::redactor();
    let planned = tasks.iter().map(|task| PlannedProcess {
        role: match task.task.role {
            _ if task.task.process.rank().is_some() => "rank",
            Role::Service { .. } => "service",
            Role::Process | Role::Launcher(_) => "launcher",
        },
        name: task.task.process.rank().map_or_else(|| task.task.process.to_string(), |rank| rank.to_string()),
        rank: task.task.process.rank(),
        command: task.shown_command(&redactor),
    });
    record.plan(launcher, planned.collect());
}

/// Returns a value in the form of JSON. Python's NaN and infinities, which JSON does not have, become texts.
fn plain(value: &Value) -> serde_json::Value {
    let text = value.dumps(Separators::Default);
    match value {
        Value::Dict(dict) => dict
            .iter()
            .map(|(key, value)| (key.to_str().into_owned(), plain(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::List(list) => list.iter().map(plain).collect::<Vec<_>>().into(),
        _ => serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)),
    }
}

/// Returns a value without secrets. A value is hidden if it can be a secret and its name, or that of a value around
/// it, is the name of a secret.
fn without_secrets(name: &str, value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| {
                let name = if is_secret_name(name) { name } else { key };
                (key.clone(), without_secrets(name, value))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(list) => list.iter().map(|value| without_secrets(name, value)).collect(),
        Value::String(text) => logs::redactor().clean_value(name, text).into(),
        other => {
            let text = other.to_string();
            match logs::redactor().clean_value(name, &text) {
                clean if clean != text => clean.into(),
                _ => other.clone(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn hyperparameters_with_a_secret_name_are_hidden_if_they_can_be_secret() {
        let given = serde_json::json!({
            "lr": 0.1, "api_token": 12_345_678_901_234_567_u64, "password": {"a": ["b"]}, "list": [{"secret": "x7"}],
            "url": "https://me:pw@host/", "use_token": true, "pin": 1234, "hub_token": null, "token": "a word"
        });
        let hidden = "******";
        let expected = serde_json::json!({
            "lr": 0.1, "api_token": hidden, "password": {"a": [hidden]}, "list": [{"secret": hidden}],
            "url": "https://******@host/", "use_token": true, "pin": 1234, "hub_token": null, "token": "a word"
        });
        assert_eq!(without_secrets("", &given), expected);
    }
}
