//! `footplate plan`: what would run, without running it.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use crate::code::EntryKind;
use crate::config;
use crate::environment::Given;
use crate::hardware::Hardware;
use crate::job::{Job, Variables};
use crate::launch::{self, Entry, Facts, LaunchPlan};
use crate::redact::Redactor;
use crate::run::{self, Outcome, Refusal};

pub(super) fn command() -> Command {
    Command::new("plan")
        .about("Show what would run on this host, without running it")
        .after_help("Code that is supplied is not fetched for it: then the entry point is taken by its name.")
        .arg(super::settings_option())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As a JSON object"))
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    match planned(matches) {
        Ok(text) => {
            super::print(&text);
            0
        }
        Err(outcome) => refuse(&outcome),
    }
}

/// Says on standard error why something cannot be done; gives the exit code that the job would have.
pub(super) fn refuse(outcome: &Outcome) -> i32 {
    let redactor = Redactor::new(Variables::of_this_process().texts());
    eprintln!("footplate: {}", outcome.failure_text(&redactor).unwrap_or_default());
    outcome.exit_code()
}

fn planned(matches: &ArgMatches) -> Result<String, Outcome> {
    let variables = Variables::of_this_process();
    let options = super::options(matches);
    let prepared = run::prepare(config::base_paths(&variables), &variables, &options.settings, false)?;
    let job = &prepared.job;
    let (entry, note) = entry(job)?;
    let (image, _) = run::image(&prepared, &variables, false)?;
    let hardware = Hardware::detect(&variables, &job.cluster.instance_type, &job.cluster.network_interface);
    let environment = run::environment_of(&prepared, &hardware, &variables, Given::Overwritten)?;
    let plan = launch::plan(&Facts {
        job,
        settings: &prepared.settings,
        hardware: &hardware,
        image: &image,
        entry: &entry,
        arguments: &environment.arguments,
    })
    .map_err(|error| Outcome::refused(Refusal::Launch, error))?;
    let redactor = run::redactor(&variables, &job.all_hyperparameters);
    Ok(match matches.get_flag("json") {
        true => as_json(&plan, &redactor, note),
        false => as_text(&plan, &redactor, note),
    })
}

/// The entry point; by its name where the code is not there yet.
fn entry(job: &Job) -> Result<(Entry, Option<&'static str>), Outcome> {
    match (run::entry_of(job), job.entry_name()) {
        (Err(Outcome::Refused { refusal: Refusal::NotFound, .. }), Some(name)) => {
            let module = name.trim_end_matches(".py");
            let kind = match name {
                _ if name.ends_with(".py") => EntryKind::PythonScript,
                _ if name.ends_with(".sh") => EntryKind::ShellScript,
                _ => EntryKind::Executable,
            };
            let (name, module) = (name.to_owned(), module.to_owned());
            Ok((Entry::File { kind, name, module, is_executable: true }, Some("the code is not in its folder yet")))
        }
        (entry, _) => entry.map(|(entry, _)| (entry, None)),
    }
}

fn words(plan: &LaunchPlan) -> Vec<String> {
    plan.arguments.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn as_text(plan: &LaunchPlan, redactor: &Redactor, note: Option<&str>) -> String {
    let mut lines = vec![
        format!("host         {}", plan.host),
        format!("launcher     {}", plan.launcher),
        format!("processes    {}", plan.ranks.len()),
        format!("folder       {}", plan.working_dir.display()),
        format!("program      {}", plan.program.display()),
        format!("command      {}", redactor.clean_command(&words(plan))),
    ];
    for (name, value) in &plan.variables {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        lines.push(format!("variable     {name}={}", redactor.clean_value(&name, &value)));
    }
    for rank in plan.ranks.iter().filter(|rank| !rank.variables.is_empty()) {
        let pairs = rank
            .variables
            .iter()
            .map(|(name, value)| format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        lines.push(format!("rank {:<7} {}", rank.rank, pairs.collect::<Vec<_>>().join(" ")));
    }
    lines.extend(plan.warnings.iter().map(|warning| format!("warning      {}", redactor.clean(warning))));
    lines.extend(note.map(|note| format!("note         {note}")));
    lines.join("\n") + "\n"
}

fn as_json(plan: &LaunchPlan, redactor: &Redactor, note: Option<&str>) -> String {
    let variables: serde_json::Map<_, _> = plan
        .variables
        .iter()
        .map(|(name, value)| {
            let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            (name.clone().into_owned(), redactor.clean_value(&name, &value).into_owned().into())
        })
        .collect();
    let object = json!({
        "host": plan.host,
        "launcher": plan.launcher.to_string(),
        "ranks": plan.ranks.iter().map(|rank| rank.rank).collect::<Vec<_>>(),
        "folder": plan.working_dir.to_string_lossy(),
        "program": plan.program.to_string_lossy(),
        "arguments": redactor.clean_words(&words(plan)),
        "variables": variables,
        "warnings": plan.warnings.iter().map(|warning| redactor.clean(warning)).collect::<Vec<_>>(),
        "note": note,
    });
    format!("{object:#}\n")
}
