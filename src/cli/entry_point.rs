//! `footplate entry-point`: runs an entry point for a framework of the image. The Python package `sagemaker_training`
//! calls it, not users.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::local::pair;
use crate::run::{self, EntryPointCall};

pub(super) fn command() -> Command {
    let text = |name: &'static str| Arg::new(name).long(name).value_name("TEXT").required(true);
    Command::new("entry-point")
        .about("Run an entry point for a framework of the image")
        .hide(true)
        .arg(text("uri").help("The source of the code"))
        .arg(text("program").help("The entry point").allow_hyphen_values(true))
        .arg(text("launcher").help("The launcher, unless a setting names another"))
        .arg(
            Arg::new("parameter")
                .long("parameter")
                .value_name("NAME=VALUE")
                .action(ArgAction::Append)
                .value_parser(pair)
                .help("A framework parameter that replaces the job's"),
        )
        .arg(
            Arg::new("report")
                .long("report")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("The file for the report on a failure"),
        )
        .arg(super::common::settings_option())
        .arg(Arg::new("arguments").num_args(0..).last(true).allow_hyphen_values(true).help("The arguments"))
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let call = EntryPointCall {
        uri: text("uri"),
        program: text("program"),
        launcher: text("launcher"),
        parameters: matches.get_many("parameter").into_iter().flatten().cloned().collect(),
        arguments: matches.get_many("arguments").into_iter().flatten().cloned().collect(),
        report: matches.get_one::<PathBuf>("report").cloned(),
    };
    run::entry_point(super::common::options(matches), call)
}
