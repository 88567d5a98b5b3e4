//! `footplate man`: prints the manual page, from clap's definition of the command line and the tables of settings, launchers
//! and exit codes.

use std::fmt::Write;

use clap::{Arg, Command};

use crate::job::exit_code::EXIT_CODES;
use crate::job::settings::REGISTRY;
use crate::launch;

pub(super) fn command() -> Command {
    Command::new("man").about("Print the manual page, for `man -l`").hide(true)
}

/// Prints the manual page of `command`, the definition of the whole command line.
pub(super) fn run(command: Command) -> i32 {
    super::common::print(page(command));
    0
}

/// Returns the page in the language of man(7).
fn page(mut command: Command) -> String {
    command.build();
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(".TH FOOTPLATE 1 \"\" \"footplate {version}\" \"User Commands\"\n");
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    section(&mut page, "NAME", "footplate \\- runs a training job in any container image\n");
    section(&mut page, "SYNOPSIS", ".B footplate\n.I COMMAND\n[options]\n");
    section(&mut page, "DESCRIPTION", &paragraph(&about));
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    page.push_str(&example(&after));
    section(&mut page, "COMMANDS", "");
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        // Writing to a string cannot fail.
        let _ = write!(page, ".SS {}\n{}", plain(subcommand.get_name()), paragraph(&text(subcommand.get_about())));
        for arg in subcommand.get_arguments().filter(|arg| !arg.is_hide_set()) {
            let _ = write!(page, ".TP\n{}{}", tag(arg), paragraph(&text(arg.get_help())));
        }
        // The help of `train` would repeat the tables of this page.
        if subcommand.get_name() != "train" {
            page.push_str(&example(&text(subcommand.get_after_help())));
        }
    }
    section(
        &mut page,
        "SETTINGS",
        &paragraph(
            "A setting is given as --set NAME=VALUE, as the variable FOOTPLATE_NAME, or as the hyperparameter \
             footplate_NAME. The first of these counts.",
        ),
    );
    for setting in &REGISTRY {
        let takes = format!("Takes {}. Default: {}.", setting.values, setting.default);
        let _ = write!(page, ".TP\n.B {}\n{}{}", plain(setting.name), paragraph(setting.meaning), paragraph(&takes));
    }
    section(&mut page, "LAUNCHERS", "");
    for engine in launch::ENGINES {
        let text = format!("Starts {}. The image needs {}.", engine.summary, engine.needs);
        let _ = write!(page, ".TP\n.B {}\n{}", plain(engine.name), paragraph(&text));
    }
    section(&mut page, "EXIT STATUS", "");
    for (code, meaning) in EXIT_CODES {
        let _ = write!(page, ".TP\n.B {}\n{}", plain(code), paragraph(meaning));
    }
    section(
        &mut page,
        "FILES",
        ".TP\n.I /opt/ml/input/config\nThe configuration of the job.\n\
         .TP\n.I /opt/ml/output/failure\nWhy the job failed.\n\
         .TP\n.I /opt/ml/output/data/footplate/HOST/run.json\nThe run record.\n",
    );
    section(
        &mut page,
        "ENVIRONMENT",
        &paragraph(
            "`footplate env` prints the variables of the script, and `footplate explain NAME` says what one of them is.",
        ),
    );
    page
}

fn section(page: &mut String, name: &str, body: &str) {
    let _ = write!(page, ".SH {name}\n{body}");
}

fn text(styled: Option<&clap::builder::StyledStr>) -> String {
    styled.map(ToString::to_string).unwrap_or_default()
}

/// Returns the line that names an option or an argument.
fn tag(arg: &Arg) -> String {
    let dashed = arg.get_long().map(|long| format!("\\fB\\-\\-{}\\fR ", plain(long))).unwrap_or_default();
    let takes_values = arg.get_action().takes_values();
    let name = arg.get_value_names().filter(|_| takes_values).and_then(|names| names.first());
    let name = name.map(|name| format!("\\fI{}\\fR", plain(name.as_str()))).unwrap_or_default();
    format!("{}\n", (dashed + &name).trim_end())
}

/// Returns a text on one line, so that no part of it is treated as a roff request.
fn paragraph(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() { String::new() } else { format!("{}\n", plain(&words.join(" "))) }
}

/// Returns a text whose lines are kept.
fn example(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(plain).collect();
    if lines.is_empty() { String::new() } else { format!(".PP\n.nf\n{}\n.fi\n", lines.join("\n")) }
}

/// Returns a text escaped for roff.
fn plain(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}
