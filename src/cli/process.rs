//! `footplate process [COMMAND]`: a processing job.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::run::{self, ProcessingCommand};

/// The name of the argument that holds the command.
const COMMAND: &str = "command";

pub(super) fn command() -> Command {
    Command::new("process")
        .about("Run the script of a processing job, with the launchers and the supervision of a training job")
        .after_help(
            "A script need not be executable; any other first word is a program. Without a command, or with options alone, the \
             script is the one that SAGEMAKER_PROGRAM names. The exit message of the job is in /opt/ml/output/message.\n\n\
             Examples:\n  \
             footplate process /opt/ml/processing/input/code/clean.py --rows 100\n  \
             footplate process --set launcher=torchrun train.py\n  \
             footplate process -- java -jar clean.jar\n\n\
             With the SDK: ScriptProcessor(command=[\"footplate\", \"process\"], …)",
        )
        .arg(super::common::settings_option())
        .arg(
            Arg::new(COMMAND)
                .value_name("COMMAND")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(value_parser!(OsString))
                .help("The script or the program, and its arguments"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> i32 {
    run::process(super::common::options(matches), stated(matches, true))
}

/// Returns the command in the arguments of `process` or `exec`.
pub(super) fn stated(matches: &ArgMatches, may_be_script: bool) -> ProcessingCommand {
    let words = matches.get_many(COMMAND).into_iter().flatten().cloned().collect();
    ProcessingCommand { words, may_be_script }
}
