//! `footplate exec -- COMMAND`: runs any command as the script of the job.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::run;

pub(super) fn command() -> Command {
    Command::new("exec")
        .about("Run any command with the job's variables, supervision and failure text")
        .after_help(
            "Variables that are already set keep their values.\n\nExamples:\n  \
             footplate exec -- python train.py --lr 0.1\n  \
             footplate exec -- sh -c 'make data && python train.py'",
        )
        .arg(super::common::settings_option())
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .required(true)
                .num_args(1..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(value_parser!(OsString))
                .help("The command and its arguments"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    let command: Vec<OsString> = matches.get_many("command").into_iter().flatten().cloned().collect();
    run::exec(super::common::options(matches), command)
}
