//! `footplate completions SHELL`: prints a script that makes a shell complete footplate's command line.
//!
//! [`model`] describes the command line as lists of words, from clap's definition and the tables of settings,
//! launchers, variables and exit codes. `bash`, `zsh` and `fish` write it in the language of that shell.

mod bash;
mod fish;
mod model;
mod zsh;

use clap::{Arg, ArgMatches, Command};

use model::CommandLine;

/// The name of a shell, and the function that writes its completions.
type Shell = (&'static str, fn(&CommandLine) -> String);

const SHELLS: [Shell; 3] = [("bash", bash::script), ("zsh", zsh::script), ("fish", fish::script)];

pub(super) fn command() -> Command {
    Command::new("completions")
        .about("Print what makes a shell complete the command line of footplate")
        .after_help(
            "Examples:\n  \
             footplate completions bash > /etc/bash_completion.d/footplate\n  \
             footplate completions zsh > ~/.zfunc/_footplate          with `fpath+=~/.zfunc` before `compinit`\n  \
             footplate completions fish > ~/.config/fish/completions/footplate.fish",
        )
        .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(SHELLS.map(|(name, _)| name)))
}

/// Prints the completions of `command`, the definition of the whole command line.
pub(super) fn run(matches: &ArgMatches, command: Command) -> i32 {
    let requested = matches.get_one::<String>("shell").map(String::as_str).unwrap_or_default();
    if let Some((_, script)) = SHELLS.iter().find(|(name, _)| *name == requested) {
        super::common::print(script(&CommandLine::of(command)));
    }
    0
}
