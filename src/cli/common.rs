//! The parts that several subcommands share.

use std::io::Write;

use clap::{Arg, ArgAction, ArgMatches};

use crate::redact::{Redactor, visible_lines};
use crate::run::Options;

/// Returns the option `--set`, which every subcommand that reads settings has.
pub(super) fn settings_option() -> Arg {
    Arg::new("set")
        .long("set")
        .value_name("NAME=VALUE")
        .action(ArgAction::Append)
        .value_parser(|text: &str| match text.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err("expected NAME=VALUE, such as grace_period=30"),
        })
        .help("A setting; it overrides the variable FOOTPLATE_NAME")
}

/// Returns the options that all subcommands share.
pub(super) fn options(matches: &ArgMatches) -> Options {
    Options::of_settings(matches.get_many("set").into_iter().flatten().cloned().collect())
}

/// Prints a message on standard error. Removes control characters and secrets that can be recognized by their form.
pub(super) fn report(text: &str) {
    eprintln!("footplate: {}", visible_lines(&Redactor::default().clean(text)));
}

/// Prints to standard output. A missing reader is not an error.
pub(super) fn print(text: impl AsRef<[u8]>) {
    let _ = std::io::stdout().write_all(text.as_ref());
}
