//! `footplate plan`: shows what would run on every host, without running it.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use crate::job::config;
use crate::job::{Job, Variables};
use crate::launch::{self, Entry, LaunchInput, LaunchPlan};
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
             follows from their instance types, or is assumed to be that of this host.",
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

/// Prints on standard error why something cannot be done. Returns the exit code that the job would have.
pub(super) fn refuse(outcome: &Outcome) -> i32 {
    let redactor = Redactor::new(Variables::of_this_process().texts());
    super::common::report(&outcome.failure_text(&redactor).unwrap_or_default());
    outcome.exit_code()
}

fn planned(matches: &ArgMatches) -> Result<String, Outcome> {
    let variables = Variables::of_this_process();
    let options = super::common::options(matches);
    let prepared = run::prepare(config::base_paths(&variables), &variables, &options.settings, false)?;
    let job = &prepared.job;
    let (entry, note) = entry(&prepared, &variables)?;
    let hardware = run::hardware(&prepared, &variables);
    let environment = run::environment_of(&prepared, &hardware, &variables, ExistingVariables::Overwrite)?;
    // Each host's image is looked at for the launcher that it has.
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
        };
        launch::plan(&input).map_err(|error| Outcome::refused(Refusal::Launch, error))
    };
    let own = plan_of(job.clone(), &hardware)?;
    let redactor = run::redactor(&variables, &job.all_hyperparameters);
    // The hosts in the order of their node ranks, and then those that the distribution leaves out.
    let cluster = &job.cluster;
    let mut hosts = job.seen_from(&job.master()).nodes();
    hosts.extend(cluster.hosts.iter().filter(|host| !hosts.contains(host)).cloned().collect::<Vec<_>>());
    let planned = hosts.into_iter().map(|host| {
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
    });
    let planned: Vec<Planned> = planned.collect();
    let as_json_object = matches.get_flag("json");
    Ok(if as_json_object { as_json(&own, &planned, &redactor, note) } else { as_text(&planned, &redactor, note) })
}

/// The plan of one host, or the text with which it would refuse the job.
struct Planned {
    host: String,
    instance_type: String,
    plan: Result<LaunchPlan, String>,
}

/// Returns the entry point. If the code is not in its folder yet, its kind follows from its name, and a note says so.
pub(super) fn entry(prepared: &Prepared, variables: &Variables) -> Result<(Entry, Option<&'static str>), Outcome> {
    match (run::entry_of(&prepared.job), prepared.job.entry_name()) {
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
            // A job makes the file executable.
            run::find_runner(&mut entry, point.as_ref(), true, variables, image.python.as_deref())?;
            Ok((entry, None))
        }
    }
}

fn as_text(planned: &[Planned], redactor: &Redactor, note: Option<&str>) -> String {
    let mut blocks: Vec<String> = planned.iter().map(|planned| block(planned, redactor)).collect();
    blocks.extend(note.map(|note| launch::plan_line("note", note) + "\n"));
    match planned.len() {
        1 => blocks.concat(),
        _ => blocks.join("\n"),
    }
}

/// One host's part of the text.
fn block(planned: &Planned, redactor: &Redactor) -> String {
    let Planned { host, instance_type, plan } = planned;
    let mut lines = vec![launch::plan_line("host", host), launch::plan_line("instance", instance_type)];
    match plan {
        Err(error) => lines.push(launch::plan_line("refused", redactor.clean(error))),
        Ok(plan) => lines.extend(launch::plan_text(plan, redactor)),
    }
    lines.join("\n") + "\n"
}

/// Returns this host's plan as a JSON object, with the plans of all hosts in `hosts`.
fn as_json(own: &LaunchPlan, planned: &[Planned], redactor: &Redactor, note: Option<&str>) -> String {
    let hosts = planned.iter().map(|planned| {
        let mut object = match &planned.plan {
            Ok(plan) => launch::plan_json(plan, redactor),
            Err(error) => json!({"host": planned.host, "refused": redactor.clean(error)}),
        };
        object["instance_type"] = planned.instance_type.as_str().into();
        object
    });
    let mut object = launch::plan_json(own, redactor);
    object["hosts"] = hosts.collect();
    object["note"] = note.into();
    visible_json(&format!("{object:#}\n")).into_owned()
}
