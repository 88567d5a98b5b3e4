//! `footplate explain NAME`: explains a setting, a variable, an exit code, a launcher, an item of advice, a hint or a line
//! of output. It also shows why a setting or a variable has its value in this container.
//!
//! Each kind of name has a file. Its function returns the text for a name of that kind, or `None` for any other name.

mod advice;
mod code;
mod output;
mod setting;
mod variable;

use clap::{Arg, ArgMatches, Command};

use crate::job::Variables;
use crate::job::exit_code::{self, EXIT_CODES};
use crate::job::settings::REGISTRY;
use crate::launch;
use crate::observe::advice::RULES;
use crate::prepare::nearest::nearest;
use crate::redact::{Redactor, visible_lines};
use crate::run::{self, Outcome, Prepared};

pub(super) fn command() -> Command {
    Command::new("explain")
        .about("Say what a setting, variable, exit code, launcher, advice, hint or error message is, and why it has its value here")
        .after_help(
            "Examples:\n  \
             footplate explain grace_period\n  \
             footplate explain SM_NUM_GPUS\n  \
             footplate explain 137\n  \
             footplate explain data-loader\n  \
             footplate explain 'OSError: [Errno 28] No space left on device'",
        )
        .arg(super::common::settings_option())
        .arg(
            Arg::new("explained")
                .value_name("NAME")
                .required(true)
                .help("The name, the number, or the last lines of a script's output"),
        )
}

/// The job of this container, or the reason why there is none.
struct Here {
    variables: Variables,
    command_line: Vec<(String, String)>,
    prepared: Result<Prepared, Outcome>,
    redactor: Redactor,
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    let name = matches.get_one::<String>("explained").map(|name| name.trim()).unwrap_or_default();
    let variables = Variables::of_this_process();
    let command_line = super::common::options(matches).settings;
    let prepared = super::here::with_frameworks(&variables, &command_line, true);
    let redactor = match &prepared {
        Ok(prepared) => run::redactor(&variables, &prepared.job.all_hyperparameters),
        Err(_) => Redactor::new(variables.texts()),
    };
    let here = Here { variables, command_line, prepared, redactor };
    let text = setting::explained(name, &here)
        .or_else(|| code::explained(name))
        .or_else(|| launcher(name))
        .or_else(|| variable::explained(name, &here))
        .or_else(|| advice::advice(name))
        .or_else(|| advice::hint(name))
        .or_else(|| output::explained(name));
    match text {
        Some(text) => {
            super::common::print(&*visible_lines(&text));
            0
        }
        None => {
            let known = names();
            let meant = nearest(name, known.iter().map(String::as_str));
            let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            super::common::report(&format!(
                "there is no setting, variable, exit code, launcher or advice {name:?}{meant} (a line of output is explained if it has \
                 several words)"
            ));
            exit_code::USAGE
        }
    }
}

/// Returns the names that can be explained, for completions.
pub(in crate::cli) fn names() -> Vec<String> {
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let settings = REGISTRY.iter().map(|setting| setting.name.to_owned());
    let codes = EXIT_CODES.iter().map(|(code, _)| (*code).to_owned());
    let launchers = launch::names().into_iter().map(str::to_owned);
    let variables = variable::documented().into_iter().map(|variable| variable.name.to_owned());
    let advice = RULES.iter().map(|rule| rule.kind.to_owned());
    settings.chain(codes).chain(launchers).chain(variables).chain(advice).filter(|name| is_name(name)).collect()
}

/// Returns a line of an explanation.
fn line(label: &str, text: &str) -> String {
    format!("  {label:<10} {text}\n")
}

fn launcher(name: &str) -> Option<String> {
    let engine = launch::ENGINES.iter().find(|engine| engine.name == name)?;
    let mut text = format!("{name}, a launcher\n");
    text += &line("starts", &engine.summary.replace('`', ""));
    text += &line("needs", engine.needs);
    text += &line("the script", &engine.script.replace('`', ""));
    for flag in engine.flags {
        text += &line("asked by", &format!("the hyperparameter sagemaker_{}", flag.name));
    }
    text += &line("asked by", &format!("the setting launcher={name}"));
    for variable in engine.variables {
        text += &line("sets", variable.name);
    }
    Some(text)
}
