//! `footplate plan`: shows what would run on every host, without running it.

use std::collections::{HashMap, HashSet};
use std::mem::{Discriminant, discriminant};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::alike::{self, PlannedPart};
use super::{here, outputs};
use crate::job::{InstanceGroup, Job, Variables};
use crate::launch::{self, Entry, LaunchInput, LaunchPlan, ProcessRole};
use crate::machine::Hardware;
use crate::prepare::code::{EntryKind, Runner};
use crate::prepare::environment::ExistingVariables;
use crate::redact::{Redactor, visible_json};
use crate::run::{self, Outcome, Prepared, Refusal};

pub(super) fn command() -> Command {
    Command::new("plan")
        .about("Show what would run on every host, without running it")
        .after_help(
            "Supplied code is not fetched, so the kind of the entry point follows from its name. The hardware of other hosts \
             follows from their instance types, or is assumed to be that of this host. Of a job of more than 64 hosts, \
             hosts that run the same are shown by the first and the last of them.",
        )
        .arg(super::common::settings_option())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print a JSON object"))
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    match planned(matches) {
        Ok(text) => {
            super::common::print(&text);
            0
        }
        Err(outcome) => refuse(&outcome),
    }
}

/// Prints on standard error why the job would be refused. Returns the exit code that the job would have.
pub(super) fn refuse(outcome: &Outcome) -> i32 {
    let redactor = Redactor::new(Variables::of_this_process().texts());
    super::common::report(&outcome.failure_text(&redactor).unwrap_or_default());
    outcome.exit_code()
}

fn planned(matches: &ArgMatches) -> Result<String, Outcome> {
    let variables = Variables::of_this_process();
    let options = super::common::options(matches);
    let prepared = here::with_frameworks(&variables, &options.settings, false)?;
    let job = &prepared.job;
    let (entry, note) = entry(&prepared, &variables)?;
    let hardware = run::hardware(&prepared, &variables);
    let environment = run::environment_of(&prepared, &hardware, &variables, ExistingVariables::in_job(job))?;
    let token = run::engine_token(&prepared, &variables);
    // The launcher of each host is chosen by its image.
    let plan_of = |job: Job, hardware: &Hardware| {
        let prepared = Prepared { job, ..prepared.clone() };
        let (image, _) = run::image(&prepared, &variables, false)?;
        let Prepared { job, settings, .. } = &prepared;
        let input = LaunchInput {
            job,
            settings,
            variables: &variables,
            hardware,
            image: &image,
            entry: &entry,
            arguments: &environment.arguments,
            token: &token,
        };
        launch::plan(&input).map_err(|error| Outcome::refused(Refusal::Launch, error))
    };
    let own = plan_of(job.clone(), &hardware)?;
    let redactor = run::redactor(&variables, &job.all_hyperparameters);
    // The hosts in the order of their node ranks, followed by those that are not part of the distribution.
    let cluster = &job.cluster;
    let mut hosts = job.seen_from(&job.master()).nodes();
    let spanned: HashSet<String> = hosts.iter().cloned().collect();
    hosts.extend(cluster.hosts.iter().filter(|host| !spanned.contains(*host)).cloned());
    let groups: HashMap<&str, usize> = cluster.groups.iter().enumerate().rev().flat_map(named_hosts).collect();
    let planned = |index: usize| {
        let host = hosts[index].clone();
        let plan = if host == cluster.current_host {
            Ok(own.clone())
        } else {
            let job = job.seen_from(&host);
            let instance_type = &job.cluster.instance_type;
            let other = hardware.of_instance(instance_type).filter(|_| *instance_type != cluster.instance_type);
            let plan = plan_of(job, other.as_ref().unwrap_or(&hardware));
            plan.map_err(|outcome| outcome.failure_text(&redactor).unwrap_or_default())
        };
        Planned { instance_type: cluster.instance_type_of(&host).to_owned(), host, plan }
    };
    let current = hosts.iter().position(|host| *host == cluster.current_host).unwrap_or_default();
    let kind = |index: usize| (groups.get(hosts[index].as_str()), spanned.contains(&hosts[index]));
    let parts = alike::parts(hosts.len(), current, kind, planned, Planned::runs_the_same);
    let as_json_object = matches.get_flag("json");
    let outputs = outputs::read(&job.paths);
    Ok(if as_json_object {
        let mut object = as_json(&own, &hosts, &parts, &redactor, note);
        object["platform_outputs"] = outputs::as_json(&outputs);
        visible_json(&format!("{object:#}\n")).into_owned()
    } else {
        as_text(&hosts, &parts, &redactor, note) + &redactor.clean(&outputs::as_text(&outputs))
    })
}

/// Returns the hosts of a group, each with the number of the group.
fn named_hosts((number, group): (usize, &InstanceGroup)) -> impl Iterator<Item = (&str, usize)> {
    group.hosts.iter().map(move |host| (host.as_str(), number))
}

/// The plan of one host, or the error with which it would refuse the job.
struct Planned {
    host: String,
    instance_type: String,
    plan: Result<LaunchPlan, String>,
}

impl Planned {
    /// Returns true if the plans of two hosts differ only by the host and the numbers of ranks.
    fn runs_the_same(&self, other: &Planned) -> bool {
        let roles = |plan: &LaunchPlan| -> Vec<Discriminant<ProcessRole>> {
            plan.processes.iter().map(|process| discriminant(&process.role)).collect()
        };
        match (&self.plan, &other.plan) {
            (Ok(one), Ok(other)) => {
                let count = |plan: &LaunchPlan| plan.span.map(|span| span.count);
                roles(one) == roles(other) && count(one) == count(other) && one.warnings == other.warnings
            }
            (Err(one), Err(other)) => one == other,
            _ => false,
        }
    }
}

/// Returns the entry point. If the code is not in its folder yet, the kind of the entry point is derived from its
/// name, and a note states that.
pub(super) fn entry(prepared: &Prepared, variables: &Variables) -> Result<(Entry, Option<&'static str>), Outcome> {
    match (run::entry_of(&prepared.job, variables), prepared.job.entry_name()) {
        (Err(Outcome::Refused { refusal: Refusal::NotFound, .. }), Some(name)) => {
            let module = name.trim_end_matches(".py");
            let kind = match name {
                _ if name.ends_with(".py") => EntryKind::PythonScript,
                _ if name.ends_with(".sh") => EntryKind::ShellScript,
                _ => EntryKind::Executable,
            };
            let (name, module) = (name.to_owned(), module.to_owned());
            let runner = Runner::Kernel;
            Ok((Entry::File { kind, name, module, runner }, Some("the code is not in its folder yet")))
        }
        (entry, _) => {
            let (mut entry, point) = entry?;
            let (image, _) = run::image(prepared, variables, false)?;
            // In a real run, the job makes the file executable.
            run::find_runner(&mut entry, point.as_ref(), true, variables, image.python.as_deref())?;
            Ok((entry, None))
        }
    }
}

fn as_text(hosts: &[String], parts: &[PlannedPart<Planned>], redactor: &Redactor, note: Option<&str>) -> String {
    let text = |part: &PlannedPart<Planned>| match part {
        PlannedPart::Host(_, planned) => block(planned, redactor),
        PlannedPart::Alike { first, last } => {
            let (like, from, to) = (&hosts[first - 1], &hosts[*first], &hosts[*last]);
            let count = last + 1 - first;
            let text = format!("{from} to {to}: {count} hosts, which run the same as {like}, with ranks of their own");
            launch::plan_line("hosts", &text) + "\n"
        }
    };
    let mut blocks: Vec<String> = parts.iter().map(text).collect();
    blocks.extend(note.map(|note| launch::plan_line("note", note) + "\n"));
    match hosts.len() {
        1 => blocks.concat(),
        _ => blocks.join("\n"),
    }
}

/// Returns one host's part of the text.
fn block(planned: &Planned, redactor: &Redactor) -> String {
    let Planned { host, instance_type, plan } = planned;
    let mut lines = vec![launch::plan_line("host", host), launch::plan_line("instance", instance_type)];
    match plan {
        Err(error) => lines.push(launch::plan_line("refused", redactor.clean(error))),
        Ok(plan) => lines.extend(launch::plan_text(plan, redactor)),
    }
    lines.join("\n") + "\n"
}

/// Returns this host's plan as a JSON object, with the plans of all hosts in `hosts`. In a large job, `alike` lists
/// the hosts that are left out of `hosts`.
fn as_json(
    own: &LaunchPlan,
    hosts: &[String],
    parts: &[PlannedPart<Planned>],
    redactor: &Redactor,
    note: Option<&str>,
) -> serde_json::Value {
    let host = |planned: &Planned| {
        let mut object = match &planned.plan {
            Ok(plan) => launch::plan_json(plan, redactor),
            Err(error) => json!({"host": planned.host, "refused": redactor.clean(error)}),
        };
        object["instance_type"] = planned.instance_type.as_str().into();
        object
    };
    let (mut shown, mut alike) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            PlannedPart::Host(_, planned) => shown.push(host(planned)),
            PlannedPart::Alike { first, last } => {
                let (like, from, to) = (&hosts[first - 1], &hosts[*first], &hosts[*last]);
                alike.push(json!({"like": like, "first": from, "last": to, "count": last + 1 - first}));
            }
        }
    }
    let mut object = launch::plan_json(own, redactor);
    object["hosts"] = shown.into();
    if !alike.is_empty() {
        object["alike"] = alike.into();
    }
    object["note"] = note.into();
    object
}
